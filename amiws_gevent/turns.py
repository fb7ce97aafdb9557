"""Letting others have their turn in the middle of long work."""

from __future__ import annotations

import gevent

_LAST = -2  # libev's lowest priority: behind every socket that one poll found ready


def give_way() -> None:
    """Let the event loop look at its sockets, serve all that are ready, and come back.

    ``gevent.sleep(0)`` does less: it lets other greenlets run that wait for nothing, and
    comes back without a look at a socket. gevent calls what is queued up to 50 times in
    a row, so that 50 pieces of 2 ms with such sleeps between them keep every socket
    waiting for 100 ms. A timer that is due is looked at only behind a poll.
    """
    hub = gevent.get_hub()
    timer = hub.loop.timer(0.0, priority=_LAST)
    try:
        hub.wait(timer)
    finally:
        timer.close()
