"""How much of its time limit a hook's call has used, whatever else the machine does meanwhile.

A hook can use time in three ways. Computing is the CPU time of the thread while the call
has it. Waiting is the wall clock while the event loop runs: somebody looks every ``tick``
seconds, and of the time between two looks at most one tick counts, so that a loop that
stood still counts for no more than that. Blocking is a wait in C, without gevent, which
stops the event loop: `BlockedTime` tells it from a busy machine or a stopped process, in
which the wall clock goes on and the hook does nothing wrong.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from greenlet import greenlet

from amiws_gevent.runtime.blocked import BlockedTime, Snapshot

_THREAD = BlockedTime()  # of the thread in which all hooks run


class Spent:
    """The time of the calls of one greenlet, one call after the other; all in seconds.

    ``since`` is when the running call began by ``clock`` (inf: none runs). It may be set
    for each call without reading the CPU clock, which costs ten times as much: that is
    read at each ``turn``. All the wall time from there to the call is taken off what the
    turn has computed and was blocked. So a call may be charged with less than it has used,
    never with what others have. The kernel is asked for blocked time only if a call
    looks late: when more than a ``tick`` of its turn is not CPU time.
    """

    __slots__ = (
        "_away",
        "_before",
        "_blocked",
        "_clock",
        "_cpu",
        "_cpu_clock",
        "_of",
        "_used",
        "_waited",
        "_wall",
        "since",
        "tick",
    )

    def __init__(
        self,
        tick: float,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
        blocked: BlockedTime = _THREAD,
    ) -> None:
        self.tick = tick
        self.since = math.inf
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._blocked = blocked
        self._wall = self._cpu = 0.0  # both clocks at the last turn or return
        self._before: Snapshot | None = None  # the kernel's figures then
        # Of the call that began at `_of`, if that is the running one and it has waited.
        self._of = math.inf
        self._used = self._waited = 0.0  # computing and blocked; waiting
        self._away = math.inf  # since when it waits, or was last looked at

    def turn(self) -> float:
        """The greenlet begins to work; returns the time."""
        self._cpu = self._cpu_clock()
        self._wall = self._clock()
        self._before = self._blocked.snapshot(self._wall)
        return self._wall

    def leave(self) -> None:
        """The call begins to wait."""
        if self.since == math.inf:
            return
        used = self._using()
        if self._of != self.since:
            self._of, self._waited = self.since, 0.0
        self._used = used
        self._away = self._clock()

    def come_back(self) -> None:
        """The call goes on."""
        if self._of == self.since != math.inf:
            self._waited += self._waiting(self._clock())
        self._away = math.inf
        self.turn()

    def look(self) -> float:
        """The time that a waiting call has used so far; to be called each ``tick``."""
        if self.since == math.inf:
            return 0.0
        if self._of != self.since or self._away == math.inf:
            self.leave()
        now = self._clock()
        self._waited += self._waiting(now)
        self._away = now
        return self._used + self._waited

    def end(self) -> float:
        """The call ends; returns the time that it has used."""
        spent = self._using() + (self._waited if self._of == self.since else 0.0)
        self._of = math.inf
        self.turn()
        return spent

    def _using(self) -> float:
        earlier = self._used if self._of == self.since else 0.0
        used = self._cpu_clock() - self._cpu
        if self._before is not None:
            wall = self._clock() - self._wall
            if wall - used > self.tick:
                used += self._blocked.since(self._before, wall, used)
        others = max(0.0, self.since - self._wall)
        return earlier + max(0.0, used - others)

    def _waiting(self, now: float) -> float:
        return min(max(0.0, now - self._away), self.tick)


class Metered(greenlet):
    """A greenlet that tells its ``spent`` when it waits and goes on; gevent's hub calls these."""

    spent: Spent

    def switch_out(self) -> None:
        self.spent.leave()

    def switch(self, *arguments: Any) -> Any:
        self.spent.come_back()
        return super().switch(*arguments)

    def throw(self, *arguments: Any) -> Any:
        self.spent.come_back()
        return super().throw(*arguments)


class Worker(Metered):
    """The greenlet in which filters and transforms are called."""
