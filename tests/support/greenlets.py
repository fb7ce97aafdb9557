"""Waits for tests that run gevent code in their own process."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

WAIT = 20.0  # seconds; far above what is needed, since machines are shared


def until(condition: Callable[[], object], timeout: float = WAIT) -> None:
    """Let greenlets run until ``condition`` is true; AssertionError past ``timeout``."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s")
        gevent.sleep(0.002)
