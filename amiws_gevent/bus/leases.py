"""The leases: which collector publishes what, and acts on which servers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from amiws_gevent.bus.balance import Balance, Free, Member
from amiws_gevent.bus.connection import Connection
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.scripts import CLAIM, LEAVE, MEET, RELEASE
from amiws_gevent.bus.worker import Health, Worker

_log = logging.getLogger("amiws_gevent.bus")

LEASE_TIME = 10.0
"""Seconds that a lease lasts unless it is renewed, which is done after a third of that."""

MARGIN = 0.1
"""Share of that time by which the holder believes it to end before Redis does: their clocks may
run at different speeds, and what was decided just before takes a moment to be done."""

YIELD_TIME = 5.0
"""Seconds that the user has to give back what is to be yielded; and then the bus, to write what
waits."""

_YOUNG = (
    "this Redis was started, filled, or made the primary just now, and may not know who has a "
    "lease: it grants none for %.1f s"
)
_LOOK_TIME = 1.0  # seconds between two looks whether others have what is wanted, at most
_NAMED = 10  # leases in one line of the log
_SOON = 0.05  # seconds, while something is about to be given back


def boot_time() -> float:
    """Seconds of a clock that also runs while this machine is suspended, and is never set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def holder_of(fence: bytes) -> str:
    """Who has the lease, for people: ``host:pid:random`` of ``TERM host:pid:random``."""
    return fence.partition(b" ")[2].decode("utf-8", "replace")


def term_of(fence: bytes) -> int:
    """The term of a fence; 0 of none."""
    return int(fence.partition(b" ")[0] or 0)


@dataclass
class Hold:
    """A lease that this collector has, from when it was gained until it is lost."""

    lease: str
    fence: bytes
    """Term and holder, as Redis compares them."""
    until: float
    """When another may have it."""
    yields_by: float | None = None
    """When the bus gives it back itself, if its user is asked to."""
    returns_by: float | None = None
    """When it is given back at the latest, if it is to be: before, once all is written."""


class Keeper(Protocol):
    """Who is told. None of these must wait."""

    def gained(self, hold: Hold) -> None: ...

    def asked_back(self, hold: Hold, reason: str) -> None:
        """Another collector should have it."""

    def returning(self, hold: Hold, reason: str) -> None:
        """Nothing more is taken; it is given back once all is written. Without a reason its user
        has asked for that."""

    def ended(self, hold: Hold, reason: str) -> None:
        """Nothing can be written any more."""

    def is_written(self, lease: str) -> bool: ...


class Leases(Worker):
    """Asks for leases, renews them, and gives them back.

    While Redis is away they stay as they are, but `holds` says no once they may have ended: then
    another may have one, which is known when Redis is back. If nobody had it, it goes on under a
    new term. With ``alone`` there are no others: they do not end, and are taken at once.
    """

    def __init__(
        self,
        keys: Keys,
        connection: Connection,
        health: Health,
        *,
        holder: str,
        keeper: Keeper,
        uncounted: Collection[str] = (),
        duration: float = LEASE_TIME,
        clock: Callable[[], float] = boot_time,
        alone: bool = False,
    ) -> None:
        super().__init__("leases", connection, health)
        self.held: dict[str, Hold] = {}
        self._keys = [keys.leases, keys.members]
        self._holder = holder
        self._keeper = keeper
        self._duration = duration
        self._milliseconds = round(duration * 1000)
        self._clock = clock
        self._alone = alone
        self._balance = Balance(holder, duration, uncounted)
        self._terms: dict[str, int] = {}
        """The largest that is known of each, whoever had it."""
        self._own_terms: dict[str, int] = {}
        self._free: dict[str, float] = {}
        """Since when nobody has it, as far as this collector has looked."""
        self._renews_at = float("-inf")
        self._looks_at = float("-inf")
        self._grants_at = float("-inf")
        """When Redis may grant a lease again that it may not know of."""

    # What others ask

    def want(self, leases: Iterable[str]) -> None:
        """See `CollectorBus.want`."""
        wanted = self._balance.wanted = frozenset(leases)
        self._return_unwanted()
        self._free = {lease: since for lease, since in self._free.items() if lease in wanted}
        self._looks_at = float("-inf")
        self.wake.set()

    def give_back(self, lease: str) -> None:
        """See `CollectorBus.give_back`."""
        if lease in self.held:
            self._return(self.held[lease], "")

    def holds(self, lease: str) -> bool:
        """See `CollectorBus.holds`."""
        hold = self.held.get(lease)
        return hold is not None and hold.returns_by is None and self._lasts(hold)

    def fence(self, lease: str) -> bytes | None:
        """Under which something may be written now, also while the lease is given back."""
        hold = self.held.get(lease)
        return hold.fence if hold is not None and self._lasts(hold) else None

    def term(self, lease: str) -> int:
        """See `CollectorBus.term`."""
        return self._own_terms.get(lease, 0)

    def doubt(self) -> None:
        """Redis has refused what was written under a lease: ask whether it is still there."""
        self._renews_at = float("-inf")
        self.wake.set()

    def _lasts(self, hold: Hold) -> bool:
        return self._alone or self._clock() < hold.until

    def _return_unwanted(self) -> None:
        for hold in self.held.values():
            if hold.lease not in self._balance.wanted:
                self._return(hold, "it is not wanted any more")

    def _return(self, hold: Hold, reason: str) -> None:
        if hold.returns_by is None:
            hold.returns_by = self._clock() + YIELD_TIME
            self._balance.leave(hold.lease, self._clock())
            self._keeper.returning(hold, reason)
            self.wake.set()

    # In the greenlet

    def opened(self) -> None:
        self._renews_at = self._looks_at = float("-inf")

    def turn(self) -> float:
        now = self._clock()
        self._give_back(now)
        if now >= self._renews_at:
            self._renew()
        if now >= self._looks_at:
            self._look(now)
        wait = min(self._renews_at, self._looks_at) - self._clock()
        if any(hold.returns_by is not None for hold in self.held.values()):
            wait = min(wait, _SOON)
        return max(wait, 0.0)

    def ending(self) -> None:
        self._release(list(self.held.values()))
        self.connection.ask(*LEAVE(self._keys[1:], self._holder))

    def _release(self, holds: Sequence[Hold]) -> None:
        if not holds:
            return
        words = [word for hold in holds for word in (hold.lease, hold.fence)]
        self.connection.ask(*RELEASE(self._keys[:1], *words))
        for hold in holds:
            self._end(hold, "it was given back")

    def _end(self, hold: Hold, reason: str) -> None:
        del self.held[hold.lease]
        self._keeper.ended(hold, reason)

    def _give_back(self, now: float) -> None:
        self._return_unwanted()  # also what was granted while it was no longer wanted
        for hold in self.held.values():
            if hold.yields_by is not None and now >= hold.yields_by:
                self._return(hold, "it was to be given to another collector, and was not in time")
        self._release(
            [
                hold
                for hold in self.held.values()
                if hold.returns_by is not None
                and (now >= hold.returns_by or self._keeper.is_written(hold.lease))
            ]
        )

    def _renew(self) -> None:
        sent = self._clock()
        self._renews_at = sent + self._duration / 3
        holds = list(self.held.values())
        states = ["has" if self._lasts(hold) else "had" for hold in holds]
        leases = [hold.lease for hold in holds]
        terms = [term_of(hold.fence) for hold in holds]
        lost: dict[str, list[str]] = {}
        for hold, (granted, fence, rest, _) in zip(
            holds, self._claimed(leases, terms, states), strict=True
        ):
            if granted:
                self._hold(hold, fence, sent)
            elif term_of(fence) > term_of(hold.fence):
                self._terms[hold.lease] = term_of(fence)
                lost.setdefault(holder_of(fence), []).append(hold.lease)
                self._end(hold, f"{holder_of(fence)} has the lease")
            else:  # Redis may not know of all; nobody else is known to have it
                self._renews_at = min(self._renews_at, sent + rest / 1000 + _SOON)
        for holder, some in lost.items():
            _log.error("leases are lost: the collector %s has %s", holder, some_of(some))

    def _claimed(
        self, leases: Sequence[str], terms: Sequence[int], states: Sequence[str]
    ) -> list[tuple[int, bytes, int, int]]:
        """See `scripts.CLAIM`."""
        if not leases:
            return []
        words = [word for one in zip(leases, map(str, terms), states, strict=True) for word in one]
        command = CLAIM(self._keys[:1], self._holder, self._milliseconds, *words)
        replies: list[tuple[int, bytes, int, int]] = self.connection.ask(*command)
        self.connection.confirm()
        return replies

    def _hold(self, hold: Hold, fence: bytes, sent: float) -> None:
        """The lease lasts since Redis did what was sent then, or a little later."""
        hold.fence = fence
        hold.until = sent + self._duration * (1 - MARGIN)
        self._own_terms[hold.lease] = self._terms[hold.lease] = term_of(fence)

    def _look(self, now: float) -> None:
        """See who is there and what is free; take some of it, or let another have some."""
        balance = self._balance
        waiting = sorted(balance.wanted - self.held.keys())
        self._looks_at = now + (
            min(_LOOK_TIME, self._duration / 10) if waiting else self._duration / 3
        )
        told = balance.member(self.held).encode()
        command = MEET(self._keys, self._holder, self._milliseconds, told, *waiting)
        members, found, gone = self.connection.ask(*command)
        if not self._alone:
            there = {name.decode(): Member.of(text.decode()) for name, text in members}
            if balance.meet(there, now, gone):
                _log.info("%d collectors share the leases: %s", len(there), some_of(sorted(there)))
        for lease, (fence, rest) in zip(waiting, found, strict=True):
            self._see(lease, fence, rest / 1000, now)
        if now >= self._grants_at:
            free = [Free(lease, since) for lease, since in self._free.items()]
            self._take(balance.takes(free, self.held, now))
        given = balance.yields(self.held, now)
        if given is not None:
            self._yield(self.held[given])

    def _see(self, lease: str, fence: bytes, rest: float, now: float) -> None:
        """Who has a lease that is wanted, and for how many seconds."""
        self._terms[lease] = max(self._terms.get(lease, 0), term_of(fence))
        mine = holder_of(fence) == self._holder  # it was granted, but its reply was lost
        if rest and not mine and not self._may_force(lease):
            self._free.pop(lease, None)
            self._looks_at = min(self._looks_at, now + rest + 0.01)
        else:
            self._free.setdefault(lease, now)

    def _may_force(self, lease: str) -> bool:
        """Whether it may be taken from whoever has it: who is alone follows itself, once."""
        return self._alone and lease not in self._own_terms

    def _take(self, leases: Sequence[str]) -> None:
        sent = self._clock()
        terms = [self._terms.get(lease, 0) for lease in leases]
        states = ["takes" if self._may_force(lease) else "asks" for lease in leases]
        gained: list[str] = []
        for lease, (granted, fence, _, new) in zip(
            leases, self._claimed(leases, terms, states), strict=True
        ):
            if granted:
                gained.append(lease)
                self._free.pop(lease, None)
                hold = self.held[lease] = Hold(lease, fence, 0.0)
                self._hold(hold, fence, sent)
                self._keeper.gained(hold)
            elif new:
                if sent >= self._grants_at:
                    _log.info(_YOUNG, new / 1000)
                self._grants_at = sent + new / 1000
                self._looks_at = min(self._looks_at, self._grants_at)
            else:  # another was faster: there may be others that are free
                self._looks_at = float("-inf")
        if self._grants_at > sent:  # until then nobody leaves anything to others
            self._free = dict.fromkeys(self._free, self._grants_at)
        if gained:
            _log.info(
                "this collector has %d more leases, %d in all: %s",
                len(gained),
                len(self.held),
                some_of(gained),
            )

    def _yield(self, hold: Hold) -> None:
        if hold.yields_by is None and hold.returns_by is None:
            hold.yields_by = self._clock() + YIELD_TIME
            self._keeper.asked_back(hold, "another collector has fewer")


def some_of(names: Sequence[str]) -> str:
    """The first of them, for the log."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
