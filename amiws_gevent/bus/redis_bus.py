"""The bus over Redis: what a collector and an edge have of it, put together."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from amiws_gevent.bus.api import Bounds, CollectorEvents, EdgeEvents, LeaseOf
from amiws_gevent.bus.callee import RedisCallee
from amiws_gevent.bus.caller import Listener, RedisCaller
from amiws_gevent.bus.connection import Connection
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.lane import REPLY_TIME, Lane
from amiws_gevent.bus.leases import LEASE_TIME, Hold, Leases, boot_time
from amiws_gevent.bus.reader import RedisReader
from amiws_gevent.bus.shared import RedisShared
from amiws_gevent.bus.worker import Guard, Health, Teller
from amiws_gevent.bus.writer import RedisWriter
from amiws_gevent.config import Redis


class Asker:
    """What it takes to ask collectors: a `Caller`, and the workers behind it."""

    def __init__(
        self, keys: Keys, connected: Callable[[str], Connection], health: Health, guard: Guard
    ) -> None:
        name = secrets.token_hex(8)
        self.lane = Lane("calls", connected("calls"), health, keep=False)
        self.caller = RedisCaller(keys, self.lane, guard, edge=name)
        self.listener = Listener(keys, connected("answers"), health, self.caller, name)

    def start(self) -> None:
        """Begin to ask and to listen."""
        self.caller.start()
        self.lane.start()
        self.listener.start()

    def stop(self, timeout: float) -> None:
        """Tell all who wait; what was cancelled is told to collectors."""
        self.caller.stop()
        self.listener.stop()
        self.lane.stop(timeout)


class RedisCollector:
    """`CollectorBus` over Redis. Its parts have counted what metrics tell."""

    def __init__(
        self,
        settings: Redis,
        events: CollectorEvents,
        bounds: Bounds,
        *,
        lease_of: LeaseOf,
        uncounted: Collection[str] = (),
        alone: bool = False,
        lease_time: float = LEASE_TIME,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        keys = Keys(settings.prefix)
        self.guard = Guard()
        self.teller = Teller(self.guard)
        self.health = Health(
            str(settings.url), lambda up, why: self.teller.tell(events.on_connection, up, why)
        )
        self._events = events
        self._told: dict[str, Hold] = {}
        """The leases that ``events`` knows of."""

        def connected(name: str, patience: float = REPLY_TIME) -> Connection:
            return Connection(settings, f"amiws-collector-{name}", patience)

        self.leases = Leases(
            keys,
            connected("leases", min(REPLY_TIME, lease_time / 3)),
            self.health,
            holder=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            keeper=self,
            uncounted=uncounted,
            duration=lease_time,
            clock=clock,
            alone=alone,
        )
        self.writer = RedisWriter(
            keys,
            connected("writer"),
            self.health,
            self.leases,
            lease_of,
            events,
            self.guard,
            bounds,
        )
        self.lane = Lane("replies", connected("replies"), self.health, keep=True)
        self.callee = RedisCallee(
            keys,
            connected("questions"),
            self.health,
            self.leases,
            self.lane,
            self.guard,
            clock=clock,
        )
        self.asker = Asker(keys, connected, self.health, self.guard)
        self.caller = self.asker.caller

    @property
    def held(self) -> Mapping[str, int]:
        return {lease: self.leases.term(lease) for lease in self._told}

    @property
    def refusals(self) -> int:
        return self.writer.refusals + self.callee.fenced

    @property
    def dropped(self) -> int:
        return self.writer.dropped

    @property
    def waiting(self) -> int:
        return self.writer.waiting

    def want(self, leases: Iterable[str]) -> None:
        self.leases.want(leases)

    def holds(self, lease: str) -> bool:
        return self.leases.holds(lease)

    def term(self, lease: str) -> int:
        return self.leases.term(lease)

    def give_back(self, lease: str) -> None:
        self.leases.give_back(lease)

    def start(self) -> None:
        self.teller.start()
        for worker in (self.leases, self.writer, self.lane, self.callee):
            worker.start()
        self.asker.start()

    def stop(self, timeout: float = 5.0) -> None:
        until = time.monotonic() + timeout
        self.callee.stop()
        self.asker.stop(0.01)
        for worker in (self.writer, self.lane, self.leases):
            worker.stop(max(0.01, until - time.monotonic()))
        self.teller.stop(max(0.01, until - time.monotonic()))

    # Of `leases.Keeper`

    def gained(self, hold: Hold) -> None:
        self.teller.tell(self._tell_gain, hold)
        self.callee.wake.set()

    def asked_back(self, hold: Hold, reason: str) -> None:
        self.teller.tell(self._tell_yield, hold, reason)

    def returning(self, hold: Hold, reason: str) -> None:
        self.writer.close(hold.lease)
        self.callee.end(hold.lease)
        if reason:
            self.teller.tell(self._tell_loss, hold, reason)
        elif self._told.get(hold.lease) is hold:
            del self._told[hold.lease]

    def ended(self, hold: Hold, reason: str) -> None:
        self.writer.end(hold.lease)
        self.callee.end(hold.lease)
        self.teller.tell(self._tell_loss, hold, reason)

    def is_written(self, lease: str) -> bool:
        return self.writer.is_written(lease)

    def _tell_gain(self, hold: Hold) -> None:
        if self.leases.held.get(hold.lease) is hold and hold.returns_by is None:
            self._told[hold.lease] = hold
            self.writer.begin(hold.lease)
            self._events.on_gained(hold.lease, self.leases.term(hold.lease))

    def _tell_yield(self, hold: Hold, reason: str) -> None:
        if self._told.get(hold.lease) is hold:
            self._events.on_yield(hold.lease, reason)

    def _tell_loss(self, hold: Hold, reason: str) -> None:
        if self._told.get(hold.lease) is hold:
            del self._told[hold.lease]
            self._events.on_lost(hold.lease, reason)


class RedisEdge:
    """`EdgeBus` over Redis. Its parts have counted what metrics tell."""

    def __init__(
        self, settings: Redis, events: EdgeEvents, bounds: Bounds, *, lease_of: LeaseOf
    ) -> None:
        keys = Keys(settings.prefix)
        self.guard = Guard()
        self.health = Health(str(settings.url), lambda up, why: None)

        def connected(name: str) -> Connection:
            return Connection(settings, f"amiws-edge-{name}", REPLY_TIME)

        self.reader = RedisReader(
            keys, connected("reader"), self.health, lease_of, events, self.guard, bounds
        )
        self.asker = Asker(keys, connected, self.health, self.guard)
        self.caller = self.asker.caller
        self.sharing = RedisShared(settings, self.health)

    def start(self) -> None:
        self.asker.start()
        self.reader.start()

    def stop(self, timeout: float = 5.0) -> None:
        self.reader.stop()
        self.asker.stop(timeout)


def make_collector(
    settings: Redis,
    events: CollectorEvents,
    bounds: Bounds | None = None,
    *,
    lease_of: LeaseOf,
    uncounted: Collection[str] = (),
    alone: bool = False,
) -> RedisCollector:
    """A collector's bus; `RedisCollector.start` connects it.

    The leases ``uncounted`` make no work: whoever comes first has them, whatever else it has. With
    ``alone`` there is certainly no other collector: it waits for nothing, and takes all.
    """
    return RedisCollector(
        settings, events, bounds or Bounds(), lease_of=lease_of, uncounted=uncounted, alone=alone
    )


def make_edge(
    settings: Redis, events: EdgeEvents, bounds: Bounds | None = None, *, lease_of: LeaseOf
) -> RedisEdge:
    """An edge's bus; `RedisEdge.start` connects it. Of ``bounds``, age does not count here."""
    return RedisEdge(settings, events, bounds or Bounds(), lease_of=lease_of)
