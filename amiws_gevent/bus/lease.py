"""The lease: which collector publishes, and acts on the servers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from amiws_gevent.bus.connection import Connection
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.scripts import ACQUIRE, RELEASE, RENEW
from amiws_gevent.bus.worker import Health, Worker

_log = logging.getLogger("amiws_gevent.bus")

LEASE_TIME = 10.0
"""Seconds that a lease lasts unless it is renewed, which is done after a third of that."""

MARGIN = 0.1
"""Share of that time by which the holder believes it to end before Redis does: their clocks may
run at different speeds, and what was decided just before takes a moment to be done."""


def boot_time() -> float:
    """Seconds of a clock that also runs while this machine is suspended, and is never set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def holder_of(fence: bytes) -> str:
    """Who has the lease, for people: ``host:pid:random`` of ``TERM host:pid:random``."""
    return fence.partition(b" ")[2].decode("utf-8", "replace")


class Lease(Worker):
    """Asks for the lease, and renews it.

    ``fence`` is term and holder, as Redis compares them; None without a lease. While Redis is
    away it stays as it is, but `holds` says no once the lease may have ended: then another may
    have it, which is known when Redis is back. If nobody had it, it goes on under a new term.
    ``on_gained`` gets the first term, ``on_lost`` why it is lost; they must not wait.
    """

    def __init__(
        self,
        keys: Keys,
        connection: Connection,
        health: Health,
        *,
        holder: str,
        on_gained: Callable[[int], None],
        on_lost: Callable[[str], None],
        duration: float = LEASE_TIME,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        super().__init__("lease", connection, health)
        self.fence: bytes | None = None
        self.term = 0
        self._keys = [keys.lease, keys.fence]
        self._holder = holder
        self._on_gained = on_gained
        self._on_lost = on_lost
        self._duration = duration
        self._clock = clock
        self._until = 0.0
        self._other: bytes | None = None
        self._seen = 0
        """The term of another that had the lease last."""
        self._lost_at: float | None = None
        """When Redis was found not to remember it."""

    def holds(self) -> bool:
        """Whether nobody else can have the lease now."""
        return self.fence is not None and self._clock() < self._until

    def doubt(self) -> None:
        """Redis has refused what was written under this lease: ask whether it is still there."""
        self.wake.set()

    def turn(self) -> float:
        wait = self._duration / 3
        if self.fence is None:
            return min(wait, self._ask_for_it())
        self._renew(self.fence)
        return wait

    def ending(self) -> None:
        if self.fence is not None:
            self.connection.ask(*RELEASE(self._keys[:1], self.fence))
            self.fence = None

    def _ask_for_it(self) -> float:
        """Take the lease if it is free; else returns the seconds after which it may be."""
        now = self._clock()
        waited = self._lost_at is not None and now >= self._lost_at + self._duration
        holder, rest = self._acquire(0 if waited else self._seen)
        if holder is None:
            _log.info("this collector has the lease, with the term %d", self.term)
            self._on_gained(self.term)
            return self._duration / 3
        if not holder:
            # Whoever had the lease may believe that it still has, and only knows otherwise later.
            self._lost_at = now if self._lost_at is None else self._lost_at
            return self._lost_at + self._duration - now
        self._lost_at = None
        self._seen = int(holder.partition(b" ")[0])
        if self._other != holder:
            self._other = holder
            _log.warning(
                "another collector, %s, has the lease: this one waits until it ends; two "
                "that are to work at once need prefixes of their own",
                holder_of(holder),
            )
        return max(rest, 0) + 0.01

    def _acquire(self, seen: int) -> tuple[bytes | None, float]:
        """None if the lease is ours; else who has it, and for how many seconds.

        Nobody, if Redis does not remember the term ``seen``, so that it has lost its data.
        """
        sent = self._clock()
        milliseconds, least = round(self._duration * 1000), max(self.term, self._seen) + 1
        command = ACQUIRE(self._keys, self._holder, milliseconds, least, seen)
        taken, fence, rest = (*self.connection.ask(*command), 0)[:3]
        if not taken:
            return fence, rest / 1000
        self.connection.settle()
        self._hold(fence, sent)
        self._other = self._lost_at = None
        return None, 0.0

    def _renew(self, fence: bytes) -> None:
        sent = self._clock()
        reply = self.connection.ask(*RENEW(self._keys, fence, round(self._duration * 1000)))
        if isinstance(reply, list):
            self.connection.settle()
            self._hold(reply[0], sent)
            return
        if holder_of(reply) == self._holder:  # renewed under a new term, whose reply was lost
            self.fence = reply
            self._renew(reply)
            return
        if reply == b"":
            _log.warning("Redis has lost its data: the lease is asked for anew")
            self._acquire(0)
        if self.fence == fence:
            self.fence = None
            _log.error("the lease is lost: %s has it", holder_of(reply) or "another collector")
            self._on_lost(f"{holder_of(reply) or 'another collector'} has the lease")

    def _hold(self, fence: bytes, sent: float) -> None:
        """The lease lasts since Redis did what was sent then, or a little later."""
        self.fence = fence
        self.term = int(fence.partition(b" ")[0])
        self._until = sent + self._duration * (1 - MARGIN)
