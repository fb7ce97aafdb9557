"""The way in: patched before anything that would keep an unpatched name."""

from __future__ import annotations

import subprocess
import sys

from amiws_gevent import __version__
from tests.support.patience import WAIT
from tests.support.program import ROOT

SPY = """
import sys
import amiws_gevent.__main__
assert "amiws_gevent.cli" not in sys.modules, "nothing is imported before the patch"
assert "gevent.monkey" not in sys.modules, "an import alone patches nothing"
sys.argv[1:] = ["--version"]
try:
    amiws_gevent.__main__.main()
finally:
    from gevent import monkey
    assert monkey.is_module_patched("socket")
"""


def test_the_patch_comes_first() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SPY],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == f"amiws-gevent {__version__}\n"


def test_as_a_module_its_status_is_the_programs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "amiws_gevent", "--none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 2
    assert "unrecognized arguments: --none" in done.stderr
