"""The bus over Redis: what a collector and an edge have of it, put together."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable

from amiws_gevent.bus.api import Bounds, CollectorEvents, Follower
from amiws_gevent.bus.callee import RedisCallee
from amiws_gevent.bus.caller import Listener, RedisCaller
from amiws_gevent.bus.connection import Connection
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.lane import REPLY_TIME, Lane
from amiws_gevent.bus.lease import LEASE_TIME, Lease, boot_time
from amiws_gevent.bus.reader import RedisReader
from amiws_gevent.bus.worker import Guard, Health, Teller
from amiws_gevent.bus.writer import RedisWriter
from amiws_gevent.config import Redis


class RedisCollector:
    """`CollectorBus` over Redis. Its parts have counted what metrics tell."""

    def __init__(
        self,
        settings: Redis,
        events: CollectorEvents,
        bounds: Bounds,
        *,
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
        self._has = False
        """Whether ``events`` knows that this collector has the lease."""

        def connected(name: str, patience: float = REPLY_TIME) -> Connection:
            return Connection(settings, f"amiws-collector-{name}", patience)

        self.lease = Lease(
            keys,
            connected("lease", min(REPLY_TIME, lease_time / 3)),
            self.health,
            holder=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            on_gained=lambda term: self.teller.tell(self._gained, term),
            on_lost=self._lost,
            duration=lease_time,
            clock=clock,
        )
        self.writer = RedisWriter(
            keys, connected("writer"), self.health, self.lease, events, self.guard, bounds
        )
        self.lane = Lane("replies", connected("replies"), self.health, keep=True)
        self.callee = RedisCallee(
            keys, connected("calls"), self.health, self.lease, self.lane, self.guard, clock=clock
        )

    @property
    def term(self) -> int:
        return self.lease.term

    def holds(self) -> bool:
        return self.lease.holds()

    def start(self) -> None:
        self.teller.start()
        for worker in (self.lease, self.writer, self.lane, self.callee):
            worker.start()

    def stop(self, timeout: float = 5.0) -> None:
        until = time.monotonic() + timeout
        self.callee.stop()
        for worker in (self.writer, self.lane, self.lease):
            worker.stop(max(0.01, until - time.monotonic()))
        self.teller.stop(max(0.01, until - time.monotonic()))

    def _gained(self, term: int) -> None:
        if self.lease.fence is not None:
            self._has = True
            self.writer.begin()
            self._events.on_gained(term)

    def _lost(self, reason: str) -> None:
        self.writer.end()
        self.callee.end()
        self.teller.tell(self._tell_loss, reason)

    def _tell_loss(self, reason: str) -> None:
        if self._has:
            self._has = False
            self._events.on_lost(reason)


class RedisEdge:
    """`EdgeBus` over Redis. Its parts have counted what metrics tell."""

    def __init__(self, settings: Redis, follower: Follower, bounds: Bounds) -> None:
        keys = Keys(settings.prefix)
        edge = secrets.token_hex(8)
        self.guard = Guard()
        self.health = Health(str(settings.url), lambda up, why: None)

        def connected(name: str) -> Connection:
            return Connection(settings, f"amiws-edge-{name}", REPLY_TIME)

        self.reader = RedisReader(
            keys, connected("reader"), self.health, follower, self.guard, bounds
        )
        self.lane = Lane("calls", connected("calls"), self.health, keep=False)
        self.caller = RedisCaller(keys, self.lane, self.guard, edge=edge)
        self.listener = Listener(keys, connected("answers"), self.health, self.caller, edge)

    def start(self) -> None:
        self.caller.start()
        for worker in (self.reader, self.lane, self.listener):
            worker.start()

    def stop(self, timeout: float = 5.0) -> None:
        self.caller.stop()
        for worker in (self.listener, self.reader):
            worker.stop()
        self.lane.stop(timeout)


def make_collector(
    settings: Redis, events: CollectorEvents, bounds: Bounds | None = None
) -> RedisCollector:
    """A collector's bus; `RedisCollector.start` connects it."""
    return RedisCollector(settings, events, bounds or Bounds())


def make_edge(settings: Redis, follower: Follower, bounds: Bounds | None = None) -> RedisEdge:
    """An edge's bus; `RedisEdge.start` connects it. Of ``bounds``, age does not count here."""
    return RedisEdge(settings, follower, bounds or Bounds())
