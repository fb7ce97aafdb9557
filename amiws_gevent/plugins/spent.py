"""What a hook's call has had of its time limit, whatever else the machine does meanwhile.

Two clocks, since a hook can use up time in two ways. Computing is the CPU time of the
thread while the call has it: on a busy machine, or in a process that was stopped, the
wall clock goes on and the hook does nothing wrong. Waiting is the wall clock while the
event loop runs: somebody looks every ``tick`` seconds, and of what lies between two looks
at most one tick counts, so that a loop that stood still counts for no more than that.

What neither of the two sees is a call that waits in C, without gevent: to the program it
looks like a machine that has given the core to somebody else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from greenlet import greenlet


class Spent:
    """The time of the calls of one greenlet, one call after the other; all in seconds.

    ``since`` is when the call that runs began by ``clock`` (inf: none runs). It may be
    set for each call without a look at the CPU clock, which costs ten times as much as
    the other: that is asked at each ``turn``, and of what the turn has computed up to a
    call all counts that may have been before it. So a call may get away with some of what it
    has computed, and is never charged with what others have.
    """

    __slots__ = (
        "_away",
        "_clock",
        "_computed",
        "_cpu",
        "_cpu_clock",
        "_of",
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
    ) -> None:
        self.tick = tick
        self.since = math.inf
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._wall = self._cpu = 0.0  # both clocks at the last turn or return
        # Of the call that began at `_of`, if that is the one that runs; it has left then.
        self._of = math.inf
        self._computed = self._waited = 0.0
        self._away = math.inf  # since when it waits, or was last looked at

    def turn(self) -> float:
        """The greenlet begins to work; returns the time."""
        self._cpu = self._cpu_clock()
        self._wall = self._clock()
        return self._wall

    def leave(self) -> None:
        """The call begins to wait."""
        if self.since == math.inf:
            return
        computed = self._computing()
        if self._of != self.since:
            self._of, self._waited = self.since, 0.0
        self._computed = computed
        self._away = self._clock()

    def come_back(self) -> None:
        """The call goes on."""
        if self._of == self.since != math.inf:
            self._waited += self._waiting(self._clock())
        self._away = math.inf
        self.turn()

    def look(self) -> float:
        """What a call that waits has had so far; to be called each ``tick``."""
        if self.since == math.inf:
            return 0.0
        if self._of != self.since or self._away == math.inf:
            self.leave()
        now = self._clock()
        self._waited += self._waiting(now)
        self._away = now
        return self._computed + self._waited

    def end(self) -> float:
        """What the call has had that ends here."""
        spent = self._computing() + (self._waited if self._of == self.since else 0.0)
        self._of = math.inf
        self.turn()
        return spent

    def _computing(self) -> float:
        before = self._computed if self._of == self.since else 0.0
        others = max(0.0, self.since - self._wall)
        return before + max(0.0, self._cpu_clock() - self._cpu - others)

    def _waiting(self, now: float) -> float:
        return min(max(0.0, now - self._away), self.tick)


class Metered(greenlet):
    """A greenlet that tells its ``spent`` when it waits: as gevent's hub calls these."""

    spent: Spent

    def switch_out(self) -> None:
        self.spent.leave()

    def switch(self, *arguments: Any) -> Any:
        self.spent.come_back()
        return super().switch(*arguments)

    def throw(self, *arguments: Any) -> Any:
        self.spent.come_back()
        return super().throw(*arguments)
