"""How long the event loop keeps the AMI readers from their sockets.

One turn of the loop: a poll tells which sockets are ready, the callbacks for them run,
gevent's own queued callbacks run (spawned greenlets, ``sleep(0)``), and the loop polls
again. Whatever computes in all that keeps the rest waiting: the time from one poll to
the next is the pause that is measured here, and Asterisk drops a session that does not
read for 100 ms.

Two watchers of libev see both ends. Right behind the poll it calls ``check`` watchers,
ahead of all others of their priority; right before the next the ``prepare`` watchers,
of which one is gevent's for its queued callbacks. So the highest priority for the first
and the lowest for the second hold everything between them. There is no timer, and a
loop with nothing to do calls neither.

It costs half a microsecond a turn (Python 3.11 on a machine where a turn that does
nothing but switch to one greenlet takes 1.4 µs).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent

_LAST = -2  # libev's lowest priority: behind every socket that one poll found ready


def yield_to_loop() -> None:
    """Let the event loop poll its sockets and serve those that are ready; then return.

    ``gevent.sleep(0)`` does less: it lets other runnable greenlets run, and returns without
    polling a socket. gevent runs its queue up to 50 times in a row, so 50 pieces of 2 ms
    with such sleeps between them keep every socket waiting for 100 ms. A timer that is due
    runs only after a poll.
    """
    hub = gevent.get_hub()
    timer = hub.loop.timer(0.0, priority=_LAST)
    try:
        hub.wait(timer)
    finally:
        timer.close()


PIECE = 0.005  # seconds


class Pieces:
    """Long work in pieces, between which the event loop turns; ``clock`` gives seconds.

    Not in the main greenlet, as at the start: there nobody waits.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._is_main = gevent.getcurrent().parent is None
        self._end = clock() + PIECE

    def between(self) -> None:
        """To be called often: yield if a piece is over."""
        if not self._is_main and self._clock() >= self._end:
            yield_to_loop()
            self._end = self._clock() + PIECE


LONG_PAUSE = 0.05  # seconds: what the readers are to be kept waiting at most
WINDOW = 60.0  # seconds that `PauseMeter.recent` looks back at least
SLICE = 1.0  # seconds of which the longest pause is kept in one number

_FIRST, _LAST = 2, -2  # libev's priorities


class PauseMeter:
    """Measures every turn of the loop that starts it; ``clock`` gives seconds."""

    __slots__ = (
        "_check",
        "_clock",
        "_polled",
        "_prepare",
        "_slice_end",
        "_slice_longest",
        "_slices",
        "long_pauses",
        "longest",
        "seconds",
        "turns",
    )

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.longest = 0.0
        """The longest pause since the start, in seconds."""
        self.long_pauses = 0
        """How many pauses were longer than LONG_PAUSE."""
        self.seconds = 0.0
        """All pauses together: the time in which the loop was busy."""
        self.turns = 0
        """How often the loop has polled."""
        self._clock = clock
        self._polled = clock()
        self._slice_end = self._polled + SLICE
        self._slice_longest = 0.0
        self._slices: deque[tuple[float, float]] = deque()  # (end, longest pause), old to new
        self._check: Any = None
        self._prepare: Any = None

    def start(self) -> None:
        """Measure from here on, in the loop of this thread."""
        loop = gevent.get_hub().loop
        self._check = loop.check(ref=False, priority=_FIRST)
        self._prepare = loop.prepare(ref=False, priority=_LAST)
        self._polled = self._clock()
        self._check.start(self.polled)
        self._prepare.start(self.about_to_poll)

    def stop(self) -> None:
        """Measure no more; what was measured stays."""
        for watcher in (self._check, self._prepare):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._check = self._prepare = None

    def recent(self) -> float:
        """The longest pause of the last WINDOW seconds, and two SLICEs more at most.

        A pause belongs to when it ended. Reading changes nothing, so that any number of
        readers see the same.
        """
        now = self._clock()
        if now >= self._slice_end:
            self._end_slice(now)
        return max([self._slice_longest, *(longest for _, longest in self._slices)])

    def polled(self) -> None:
        """The loop has polled: a turn begins."""
        self._polled = self._clock()

    def about_to_poll(self) -> None:
        """The loop is about to poll: the turn is over."""
        now = self._clock()
        pause = now - self._polled
        self.turns += 1
        self.seconds += pause
        if now >= self._slice_end:
            self._end_slice(now)
        if pause > self._slice_longest:
            self._slice_longest = pause
            if pause > self.longest:
                self.longest = pause
        if pause > LONG_PAUSE:
            self.long_pauses += 1

    def _end_slice(self, now: float) -> None:
        """Keep what the slice that is over has seen, and begin one that ends from now."""
        if self._slice_longest:
            self._slices.append((self._slice_end, self._slice_longest))
        self._slice_longest = 0.0
        self._slice_end = now + SLICE
        while self._slices and self._slices[0][0] < now - WINDOW:
            self._slices.popleft()
