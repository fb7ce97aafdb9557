"""Helpers for tests that run gevent code in their own process."""

from __future__ import annotations

import fcntl
import struct
import termios
import time
from collections.abc import Callable

import gevent
from gevent import socket as gsocket

from tests.support.patience import WAIT


def until(condition: Callable[[], object], timeout: float = WAIT) -> None:
    """Let greenlets run until ``condition`` is true; AssertionError past ``timeout``."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s")
        gevent.sleep(0.002)


def bytes_waiting(sock: gsocket.socket) -> int:
    """What the kernel holds for the reader of ``sock``."""
    waiting: int = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0" * 4))[0]
    return waiting
