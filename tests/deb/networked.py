"""Programs of this machine in the network of a root: a simulated PBX, and a browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deb.roots import PBX, Root
from tests.support.patience import WAIT
from tests.support.program import ROOT


@contextmanager
def pbx(root: Root) -> Iterator[None]:
    """The PBX of docs/install.md, simulated."""
    words = [
        sys.executable, "-m", "amiws_gevent.simulator", "--host", PBX, "--port", "5038",
        "--user", "amiws", "--secret", "sesame", "--rate", "2",
    ]  # fmt: skip
    process = subprocess.Popen(root.in_network(words), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "listening" in process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.communicate(timeout=WAIT)


def seen_calls(root: Root, url: str) -> int:
    """How many calls Chromium shows, outside the root and in its network."""
    words = root.in_network([sys.executable, "-m", "tests.deb.see", url])
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
