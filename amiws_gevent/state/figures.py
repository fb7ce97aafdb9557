"""What queues have done today: counts that Asterisk's own lose when it starts anew.

Counted are events, each once for a caller's stay in a queue. Counts are of one day; which
day a time belongs to is asked of a function, so that no zone is known here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from amiws_gevent.state.memberfigures import MemberFigures

MOST_ABANDONED = 20
"""So many of the last abandoned callers are told of each queue."""

MOST_ENDED = 1000
"""So many callers are remembered that have left, in order not to count them twice."""

_LONGEST_DAY = 48 * 3_600_000
"""Milliseconds, and more than any has: those on which clocks are set back have 25 hours."""

DayOf = Callable[[int], str]
"""From a time in milliseconds to the key of its day."""


@dataclass
class Figures:
    """Of one queue and day. Times are UTC in milliseconds, waits are in seconds."""

    day: str
    since: int | None
    """From when on nothing was missed, if that was not from the day's start."""
    entered: int = 0
    answered: int = 0
    answered_in_level: int = 0
    abandoned: int = 0
    longest_wait: int = 0
    last_abandoned: list[Mapping[str, Any]] = field(default_factory=list)
    """The last one first."""

    def fields(self, service_level: int) -> dict[str, Any]:
        """As fields of a queue."""
        return {
            "day": self.day,
            "entered": self.entered,
            "answered": self.answered,
            "answered_in_level": self.answered_in_level,
            "service_level": service_level,
            "abandoned": self.abandoned,
            "longest_wait": self.longest_wait,
            "last_abandoned": list(self.last_abandoned),
            "incomplete": self.since is not None,
            "counted_since": self.since,
        }


class QueueFigures:
    """The figures of all queues of a server."""

    def __init__(self, day_of: DayOf, service_level: int) -> None:
        self._day_of = day_of
        self.service_level = service_level
        self.members = MemberFigures()
        self._day = ""
        self.now = 0
        """The time of the last ``begin``."""
        self._since: int | None = None
        self._queues: dict[str, Figures] = {}
        # Callers, by queue and Uniqueid: who waits, and who has left, the oldest first.
        self._inside: set[tuple[str, str]] = set()
        self._ended: dict[tuple[str, str], None] = {}
        # In which queue they have given up, by Uniqueid, the last ones.
        self._abandoned: dict[str, str] = {}

    def begin(self, now: int) -> list[str]:
        """It is ``now``: the queues whose figures begin anew, since it is another day.

        The clock may have been set back, to a day of which a part was counted as another's.
        """
        day = self._day_of(now)
        back, self.now = now < self.now, now
        if day == self._day:
            return []
        self._since = None if self._day and not back else now  # the first day is not whole
        self._day = day
        self.members.begin(self._beginning_of(day, now))
        stale = [queue for queue, figures in self._queues.items() if figures.day != day]
        for queue in stale:
            self._queues[queue] = Figures(day, self._since)
        return stale

    def interrupt(self, now: int) -> None:
        """What happened before ``now`` was not seen, at least in part."""
        self.begin(now)
        self._since = now
        for figures in self._queues.values():
            figures.since = now

    def of(self, queue: str) -> Figures:
        """The figures of a queue; ``begin`` was called."""
        if queue not in self._queues:
            self._queues[queue] = Figures(self._day, self._since)
        return self._queues[queue]

    def entered(self, queue: str, uniqueid: str) -> None:
        """A caller has come, or was found to wait."""
        if (queue, uniqueid) not in self._inside:
            self._inside.add((queue, uniqueid))
            self._ended.pop((queue, uniqueid), None)
            self.of(queue).entered += 1

    def left(self, queue: str, uniqueid: str) -> None:
        """A caller does not wait any more, for whatever reason."""
        self._inside.discard((queue, uniqueid))

    @property
    def inside(self) -> Iterable[tuple[str, str]]:
        """Who waits as far as is counted: queue and Uniqueid."""
        return tuple(self._inside)

    def replaced(self, queue: str, uniqueid: str, heir: str) -> None:
        """A caller waits in the place of another: that is the same stay."""
        if (queue, uniqueid) in self._inside:
            self._inside.remove((queue, uniqueid))
            self._inside.add((queue, heir))

    def answered(self, queue: str, uniqueid: str, wait: int) -> bool:
        """A caller has been answered after so many seconds; False if that was counted."""
        if not self._ends(queue, uniqueid):
            return False
        figures = self.of(queue)
        figures.answered += 1
        figures.answered_in_level += wait <= self.service_level
        figures.longest_wait = max(figures.longest_wait, wait)
        return True

    def abandoned(self, queue: str, uniqueid: str, wait: int, caller: Mapping[str, Any]) -> bool:
        """A caller has given up after so many seconds; False if that was counted."""
        if not self._ends(queue, uniqueid):
            return False
        figures = self.of(queue)
        figures.abandoned += 1
        figures.longest_wait = max(figures.longest_wait, wait)
        told = {**caller, "uniqueid": uniqueid, "wait": wait}
        figures.last_abandoned = [told, *figures.last_abandoned[: MOST_ABANDONED - 1]]
        self._abandoned[uniqueid] = queue
        if len(self._abandoned) > MOST_ABANDONED:
            del self._abandoned[next(iter(self._abandoned))]
        return True

    def sent_on(self, uniqueid: str) -> str | None:
        """A caller who was told to have given up has not hung up; the queue, if he was counted."""
        queue = self._abandoned.pop(uniqueid, None)
        if queue is None:
            return None
        figures = self.of(queue)
        for caller in figures.last_abandoned:
            if caller["uniqueid"] == uniqueid:
                figures.last_abandoned.remove(caller)
                figures.abandoned -= 1
                return queue
        return None

    @property
    def size(self) -> int:
        """How many queues, callers and members are remembered."""
        return len(self._queues) + len(self._inside) + self.members.size

    def export(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "day": self._day,
            "since": self._since,
            "inside": [list(caller) for caller in sorted(self._inside)],
            "queues": {queue: asdict(figures) for queue, figures in self._queues.items()},
            "members": self.members.export(),
        }

    def restore(self, data: Mapping[str, Any], now: int) -> None:
        """Go on from what was exported: of another day nothing counts any more.

        What happened between the export and ``now`` is missing.

        Raises ValueError if the data are none of ``export``.
        """
        self.begin(now)
        try:
            same_day = data["day"] == self._day
            inside = {(str(queue), str(caller)) for queue, caller in data["inside"]}
            queues = data["queues"] if same_day else {}
            queues = {str(queue): Figures(**figures) for queue, figures in queues.items()}
            if "members" in data:  # the program of before wrote none
                self.members.restore(data["members"], same_day=same_day)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"no figures of queues: {error!r:.100}") from error
        self._inside, self._queues = inside, queues
        self.interrupt(now)

    def _beginning_of(self, day: str, now: int) -> int:
        """When the day began that it is now."""
        earliest = now - _LONGEST_DAY
        times = range(earliest, now + 1)
        return earliest + bisect_left(times, True, key=lambda at: self._day_of(at) == day)

    def _ends(self, queue: str, uniqueid: str) -> bool:
        """Whether a caller's stay has not been counted as ended before."""
        if (queue, uniqueid) in self._ended:
            return False
        self._ended[queue, uniqueid] = None
        if len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        return True
