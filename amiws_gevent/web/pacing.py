"""Spreads the work for connections over many turns of the event loop.

One poll may find a thousand sockets with a request, with a TLS handshake that costs a
millisecond, or writable again. gevent would serve them all before the next poll, and the
AMI readers, the hub and all other clients would wait as long. Here they share BUDGET
seconds a turn; the rest wait in order.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent.hub import Waiter, get_hub

BUDGET = 0.005  # seconds of a turn of the loop; one piece of work may take longer

_LAST = -2  # libev's lowest priority: behind every socket that the same poll found ready


def at_once() -> None:
    """In place of ``Pacer.wait``: returns at once."""


def call_at_once(work: Callable[[], None]) -> None:
    """In place of ``Pacer.call``: calls ``work`` at once."""
    work()


class Pacer:
    """Starts work while the turn has time left; ``clock`` gives seconds.

    It has a timer only while there is work.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._waiting: deque[Callable[[], object]] = deque()
        self._end = 0.0  # of the time that this turn has for work
        self._timer: Any = None
        self._begun = False  # whether a turn has begun, which the timer ends

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def wait(self) -> None:
        """Return at once if the turn has time left and nothing waits; else in order, later."""
        if self._may_begin():
            return
        waiter: Waiter[None] = Waiter()
        wake = partial(waiter.switch, None)
        self._waiting.append(wake)
        try:
            waiter.get()
        except BaseException:  # a time limit, or a stop
            if wake in self._waiting:
                self._waiting.remove(wake)
            raise

    def call(self, work: Callable[[], None]) -> None:
        """Call ``work`` when ``wait`` would return; it must not wait or raise."""
        if self._may_begin():
            work()
        else:
            self._waiting.append(work)

    def _may_begin(self) -> bool:
        if not self._begun:
            self._begun = True
            self._begin_turn()
            return True
        return not self._waiting and self._clock() < self._end

    def _begin_turn(self) -> None:
        self._end = self._clock() + BUDGET
        if self._timer is None:
            self._timer = get_hub().loop.timer(0.0, priority=_LAST)
        self._timer.start(self._polled)

    def _polled(self) -> None:
        """The loop has polled, and served the sockets that were ready."""
        if not self._waiting:
            self._begun = False
            self._timer.close()
            self._timer = None
            return
        self._begin_turn()
        self._waiting.popleft()()
        while self._waiting and self._clock() < self._end:
            self._waiting.popleft()()
