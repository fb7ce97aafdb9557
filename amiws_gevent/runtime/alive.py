"""Tells systemd that the event loop turns (``WatchdogSec=``, systemd.service(5)).

A loop that stands still reads no server and serves no client. Nothing in the process can change
that, so systemd ends it by SIGABRT, at which ``faulthandler`` writes to standard error where it
stood, and starts it again.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent

from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.runtime.notify import notify

ALIVE = "WATCHDOG=1"


def tell_alive(seconds: float | None, tell: Callable[[str], object] = notify) -> None:
    """Tell it twice in so many seconds, for ever; None: nobody wants to know.

    Each time the loop has polled its sockets, and those that were ready were read.
    """
    while seconds is not None:
        yield_to_loop()
        tell(ALIVE)
        gevent.sleep(seconds / 2)
