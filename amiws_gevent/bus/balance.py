"""Which leases a collector takes, and which it yields, so that each has its share. Without Redis.

Where all want the same leases, all come to have as many, give or take one. Where each wants others,
each counts with its own; what is free for a while is taken by whoever wants it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

_STEADY = 3
_PACE = 1
_PATIENCE = 1
"""Lease times: for which there was no other change of members before a lease is yielded; between
two that are yielded; and for which a lease is left to others."""


class Free(NamedTuple):
    """A lease that nobody has."""

    lease: str
    since: float


LOW, RICH = "low", "rich"


@dataclass(frozen=True)
class Member:
    """A collector, as it tells others of itself."""

    state: str = ""
    """LOW: it has less than its share, rounded down; RICH: it has more, rounded up."""
    takes: frozenset[str] = frozenset()
    """Those that it would take from others."""

    def encode(self) -> str:
        """As it is in Redis."""
        return " ".join([self.state, *sorted(self.takes)])

    @classmethod
    def of(cls, text: str) -> Member:
        """What was encoded."""
        state, *takes = text.split(" ")
        return cls(state, frozenset(takes))


class Balance:
    """``me`` is the name of this collector; ``uncounted`` are leases that make no work.

    Times are in seconds of one clock, which never goes back.
    """

    def __init__(self, me: str, lease_time: float, uncounted: Collection[str] = ()) -> None:
        self.wanted: frozenset[str] = frozenset()
        self._me = me
        self._lease_time = lease_time
        self._uncounted = frozenset(uncounted)
        self._others: Mapping[str, Member] = {}
        self._changed_at = float("-inf")
        self._yielded_at = float("-inf")
        self._left: dict[str, float] = {}
        """Those that are left to others, and until when."""
        self._expected = 0
        """Collectors that may be about to come."""
        self._expects_until: float | None = None

    def meet(self, members: Mapping[str, Member], now: float, gone: int = 0) -> bool:
        """Who is there now; this collector may be among them. Whether that has changed.

        ``gone`` were there lately. If they are when this collector comes, all may be starting
        again: it leaves them their share for a while.
        """
        if self._expects_until is None:
            self._expected, self._expects_until = gone, now + _PATIENCE * self._lease_time
        elif now >= self._expects_until:
            self._expected = 0
        others = {name: member for name, member in members.items() if name != self._me}
        changed = others.keys() != self._others.keys()
        if changed:
            self._changed_at = now
            self._left.clear()  # whoever it was for may be gone
        self._others = others
        return changed

    def member(self, held: Collection[str]) -> Member:
        """What others should know of this collector."""
        count = self._count(held)
        takes = self.wanted - set(held) - self._uncounted
        if count < self._floor:
            return Member(LOW, takes)
        if count > self._share:
            return Member(RICH)
        return Member("", takes) if count < self._share and self._is(RICH) else Member()

    def leave(self, lease: str, now: float) -> None:
        """It is given back: others may take it first."""
        self._left[lease] = now + _PATIENCE * self._lease_time

    def takes(self, free: Iterable[Free], held: Collection[str], now: float) -> list[str]:
        """Those that this collector should ask for now."""
        self._left = {lease: until for lease, until in self._left.items() if until > now}
        there = [one for one in free if one.lease in self.wanted and one.lease not in self._left]
        old = now - _PATIENCE * self._lease_time
        at_once = [one.lease for one in there if one.since <= old or one.lease in self._uncounted]
        counted = sorted({one.lease for one in there} - set(at_once))
        first = self._rank * self._share  # each begins elsewhere, so that few ask for the same
        turned = counted[first:] + counted[:first]
        return at_once + turned[: max(0, self._room(held))]

    def yields(self, held: Collection[str], now: float) -> str | None:
        """The lease that this collector should yield now, if any."""
        steady = now - self._changed_at >= _STEADY * self._lease_time
        paced = now - self._yielded_at >= _PACE * self._lease_time
        if not steady or not paced or self._count(held) <= self._floor:
            return None
        rich = self._count(held) > self._share
        asked = [one.takes for one in self._others.values() if rich or one.state == LOW]
        found = min(frozenset().union(*asked) & set(held) - self._uncounted, default=None)
        if found is not None:
            self._yielded_at = now
        return found

    def _room(self, held: Collection[str]) -> int:
        """How many more this collector may have at once."""
        count = self._count(held)
        return 0 if count >= self._floor and self._is(LOW) else self._share - count

    def _is(self, state: str) -> bool:
        """Whether another one is so."""
        return any(other.state == state for other in self._others.values())

    def _count(self, leases: Collection[str]) -> int:
        return len(set(leases) - self._uncounted)

    @property
    def _floor(self) -> int:
        return self._count(self.wanted) // self._collectors

    @property
    def _share(self) -> int:
        return -(-self._count(self.wanted) // self._collectors)

    @property
    def _collectors(self) -> int:
        return max(len(self._others) + 1, self._expected)

    @property
    def _rank(self) -> int:
        return sum(name < self._me for name in self._others)
