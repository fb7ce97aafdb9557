"""amiws_gevent.bus.api: what both sides of the bus see."""

from __future__ import annotations

import subprocess
import sys


def test_it_needs_no_library() -> None:
    program = "import sys, amiws_gevent.bus.api; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"
