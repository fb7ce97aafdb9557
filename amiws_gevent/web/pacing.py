"""Spreads what connections ask for over many turns of the event loop.

One poll may find a thousand sockets with a request, or with a TLS handshake that costs
a millisecond each. gevent would serve them all before it polls again, and the AMI
readers, the hub and all other pages would wait as long. Here they get BUDGET seconds a
turn between them; the rest wait in the order in which they came.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.hub import Waiter, get_hub

BUDGET = 0.005  # seconds of a turn of the loop; one piece of work may take longer

_LAST = -2  # libev's lowest priority: behind every socket that the same poll found ready


class Pacer:
    """Lets work begin while the turn has time for it; ``clock`` gives seconds.

    It has a timer only while there is something to spread.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._waiting: deque[Waiter[None]] = deque()
        self._end = 0.0  # of the time that this turn has for work
        self._timer: Any = None
        self._begun = False  # a turn, which the timer ends

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def wait(self) -> None:
        """Return at once if the turn has time left and nobody came before; else when it has."""
        if not self._begun:
            self._begun = True
            self._begin_turn()
        elif self._waiting or self._clock() >= self._end:
            waiter: Waiter[None] = Waiter()
            self._waiting.append(waiter)
            try:
                waiter.get()
            except BaseException:  # a time limit, or a stop
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                raise

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
        self._waiting.popleft().switch(None)
        while self._waiting and self._clock() < self._end:
            self._waiting.popleft().switch(None)
