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
    have it, which is known when Redis is back. ``on_gained`` gets the term, ``on_lost`` why;
    they must not wait.
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

    def holds(self) -> bool:
        """Whether nobody else can have the lease now."""
        return self.fence is not None and self._clock() < self._until

    def doubt(self) -> None:
        """Redis has refused what was written under this lease: ask whether it is still there."""
        self.wake.set()

    def turn(self) -> float:
        wait = self._duration / 3
        if self.fence is None:
            return min(wait, self._acquire() or wait)
        self._renew(self.fence)
        return wait

    def ending(self) -> None:
        if self.fence is not None:
            self.connection.ask(*RELEASE(self._keys[:1], self.fence))
            self.fence = None

    def _acquire(self) -> float | None:
        """Take the lease if it is free; else the seconds after which it may be."""
        sent = self._clock()
        milliseconds = round(self._duration * 1000)
        reply = self.connection.ask(*ACQUIRE(self._keys, self._holder, milliseconds, self.term + 1))
        if reply[0] == 1:
            before, self.fence = self.fence, reply[1]
            self.term = int(reply[1].partition(b" ")[0])
            self._hold(sent)
            self._other = None
            if before is None:
                _log.info("this collector has the lease, with the term %d", self.term)
                self._on_gained(self.term)
            return None
        if self._other != reply[1]:
            self._other = reply[1]
            _log.warning(
                "another collector, %s, has the lease: this one waits until it ends; two "
                "that are to work at once need prefixes of their own",
                holder_of(reply[1]),
            )
        return max(float(reply[2]) / 1000, 0) + 0.01

    def _renew(self, fence: bytes) -> None:
        sent = self._clock()
        reply = self.connection.ask(*RENEW(self._keys, fence, round(self._duration * 1000)))
        if reply == 1:
            self._hold(sent)
            return
        if reply == b"":
            _log.warning("Redis has lost its data: the lease is asked for anew")
            self._acquire()
        if self.fence == fence:
            self.fence = None
            _log.error("the lease is lost: %s has it", holder_of(reply) or "another collector")
            self._on_lost(f"{holder_of(reply) or 'another collector'} has the lease")

    def _hold(self, sent: float) -> None:
        """The lease lasts since Redis did what was sent then, or a little later."""
        self._until = sent + self._duration * (1 - MARGIN)
