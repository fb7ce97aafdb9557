"""Starts tests/support/still_pbx.py beside a test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.program import ROOT


@contextmanager
def still_pbx() -> Iterator[int]:
    """A PBX in which no time passes; its port, for ``ami_host``."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.still_pbx"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout is not None
    try:
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
