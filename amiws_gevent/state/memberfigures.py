"""What the members of queues have done today: counted as the figures of their queues are.

A member is known by its key, ``queue|interface``. Who leaves the queue and comes back the same
day goes on with what he had. Pauses are counted when they are over, each day what was of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FIELDS = ("answered", "missed", "talk_time", "pause_time")

_NONE: Mapping[str, int] = dict.fromkeys(FIELDS, 0)


@dataclass(slots=True)
class _Counts:
    """Of one member and day; times are in seconds. In the order of ``FIELDS``."""

    answered: int = 0
    missed: int = 0
    talk_time: int = 0
    pause_time: int = 0

    def all(self) -> list[int]:
        return [self.answered, self.missed, self.talk_time, self.pause_time]


class MemberFigures:
    """The figures of all members of a server; the day is told by ``begin``."""

    def __init__(self) -> None:
        self._begun = 0
        self._counts: dict[str, _Counts] = {}  # of those of whom there is something to count
        self._pauses: dict[str, int] = {}  # who is paused, and since when
        self._stale: list[str] = []

    @property
    def size(self) -> int:
        """How many members are remembered."""
        return len(self._counts) + len(self._pauses)

    def begin(self, begun: int) -> None:
        """Another day has begun, at ``begun``. Who is paused still is."""
        self._begun = begun
        self._stale += self._counts
        self._counts = {}

    def take_stale(self, most: int) -> list[str]:
        """Some of those whose figures have begun anew; each is told once."""
        if not self._stale:
            return self._stale
        taken = self._stale[-most:]
        del self._stale[-most:]
        return taken

    def fields(self, key: str) -> Mapping[str, int]:
        """As fields of a member."""
        counts = self._counts.get(key)
        return _NONE if counts is None else dict(zip(FIELDS, counts.all(), strict=True))

    def answered(self, key: str) -> None:
        """A caller has been connected to him."""
        self._of(key).answered += 1

    def missed(self, key: str) -> None:
        """He was rung for a caller, and did not come to talk to him."""
        self._of(key).missed += 1

    def talked(self, key: str, seconds: int) -> None:
        """A talk with a caller is over: it counts for the day on which it ends."""
        if seconds > 0:
            self._of(key).talk_time += seconds

    def paused(self, key: str, since: int) -> None:
        """He is paused; of one who was already, nothing changes."""
        self._pauses.setdefault(key, since)

    def is_paused(self, key: str) -> bool:
        return key in self._pauses

    @property
    def pauses(self) -> Iterable[str]:
        """The keys of those who are paused."""
        return tuple(self._pauses)

    def resumed(self, key: str, end: int) -> None:
        """The pause of one who is paused was over at ``end``: what was of it today counts."""
        passed = end - max(self._pauses.pop(key), self._begun)
        if passed > 0:  # the clock may have been set back
            self._of(key).pause_time += round(passed / 1000)

    def export(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "counts": {key: counts.all() for key, counts in self._counts.items()},
            "pauses": dict(self._pauses),
        }

    def restore(self, data: Mapping[str, Any], *, same_day: bool) -> None:
        """Go on from what was exported; counts of another day are gone.

        Raises KeyError, TypeError, ValueError, AttributeError or OverflowError if the data are
        none of ``export``, and leaves everything as it was.
        """
        counts = {
            str(key): _Counts(*(int(count) for count in counts))
            for key, counts in data["counts"].items()
        }
        pauses = {str(key): int(since) for key, since in data["pauses"].items()}
        self._counts, self._pauses = (counts if same_day else {}), pauses

    def _of(self, key: str) -> _Counts:
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = _Counts()
        return counts
