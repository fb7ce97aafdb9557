"""amiws_gevent.bus.api: what both sides of the bus see."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("module", ["bus.api", "server", "cli"])
def test_one_process_alone_does_not_import_redis(module: str) -> None:
    program = f"import sys, amiws_gevent.{module}; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"
