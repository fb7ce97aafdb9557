"""Both sides of the bus in one process, and what they were told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from amiws_gevent.bus.api import Bounds, Problem
from amiws_gevent.bus.connection import Connection
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.lease import Lease
from amiws_gevent.bus.redis_bus import RedisCollector, RedisEdge
from amiws_gevent.bus.worker import Health, Worker
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

KEYS = Keys("amiws")


class CollectorLog:
    """What a collector is told. Streams begin with the snapshot ``first``, or ``anew``."""

    def __init__(self, *streams: str) -> None:
        self.streams = streams
        self.bus: RedisCollector | None = None
        self.terms: list[int] = []
        self.losses: list[str] = []
        self.states: list[tuple[bool, str]] = []
        self.broken: list[str] = []
        self.due: list[str] = []

    def on_gained(self, term: int) -> None:
        self.terms.append(term)
        for stream in self.streams:
            assert self.bus is not None
            self.bus.writer.save(stream, b"first")

    def on_lost(self, reason: str) -> None:
        self.losses.append(reason)

    def on_connection(self, up: bool, reason: str) -> None:
        self.states.append((up, reason))

    def on_broken(self, stream: str) -> None:
        self.broken.append(stream)
        if self.bus is not None:
            self.bus.writer.save(stream, b"anew")

    def on_snapshot_due(self, stream: str) -> None:
        self.due.append(stream)


class EdgeLog:
    """What an edge is told: ``told`` has it all in order, ``entries`` those of each stream."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.entries: dict[str, list[bytes]] = {}
        self.snapshots: dict[str, bytes] = {}
        self.earlier: dict[str, list[bytes]] = {}
        self.states: list[tuple[bool, str]] = []
        self.collectors: list[tuple[bool, str]] = []
        self.broken: list[tuple[str, str]] = []
        self.when_entries: Callable[[], None] = lambda: None

    def on_begin(self, stream: str, snapshot: bytes, earlier: Sequence[bytes]) -> None:
        self.told.append(("begin", stream, snapshot, list(earlier)))
        self.snapshots[stream] = snapshot
        self.earlier[stream] = list(earlier)
        self.entries[stream] = []

    def on_entries(self, stream: str, entries: Sequence[bytes]) -> None:
        self.told.append(("entries", stream, list(entries)))
        self.entries[stream].extend(entries)
        self.when_entries()

    def on_broken(self, stream: str, reason: str) -> None:
        self.told.append(("broken", stream))
        self.broken.append((stream, reason))

    def on_connection(self, up: bool, reason: str) -> None:
        self.told.append(("connection", up))
        self.states.append((up, reason))

    def on_collector(self, up: bool, reason: str) -> None:
        self.told.append(("collector", up))
        self.collectors.append((up, reason))


class Answers:
    """What was answered to a question."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes | None, bool, Problem]] = []

    def __call__(self, data: bytes | None, last: bool, problem: Problem) -> None:
        self.told.append((data, last, problem))

    @property
    def over(self) -> bool:
        return bool(self.told) and self.told[-1][1]


@contextmanager
def collector(
    server: RedisServer,
    *streams: str,
    bounds: Bounds | None = None,
    lease_time: float = 1.0,
    wait: bool = True,
    **clock: Callable[[], float],
) -> Iterator[tuple[RedisCollector, CollectorLog]]:
    """A collector that has the lease when the block begins, unless it need not ``wait``."""
    log = CollectorLog(*streams)
    bus = RedisCollector(server.settings, log, bounds or Bounds(), lease_time=lease_time, **clock)
    log.bus = bus
    bus.start()
    try:
        if wait:
            until(lambda: log.terms)
        yield bus, log
    finally:
        bus.stop()


@contextmanager
def edge(
    server: RedisServer, *streams: str, bounds: Bounds | None = None
) -> Iterator[tuple[RedisEdge, EdgeLog]]:
    """An edge that is connected, with all its parts, when the block begins."""
    log = EdgeLog()
    bus = RedisEdge(server.settings, log, bounds or Bounds())
    bus.reader.follow(streams)
    bus.start()
    try:
        until(lambda: bus.health.up)
        yield bus, log
    finally:
        bus.stop()


def health() -> Health:
    return Health("redis", lambda up, reason: None)


@contextmanager
def working(worker: Worker) -> Iterator[None]:
    """It works while the block does."""
    worker.start()
    try:
        yield
    finally:
        worker.stop(5.0)


class LeaseLog:
    """A lease on its own, and what it told."""

    def __init__(
        self, server: RedisServer, holder: str, clock: Callable[[], float], duration: float = 9.0
    ) -> None:
        self.terms: list[int] = []
        self.losses: list[str] = []
        self.lease = Lease(
            KEYS,
            Connection(server.settings, "lease", 5.0),
            health(),
            holder=holder,
            on_gained=self.terms.append,
            on_lost=self.losses.append,
            duration=duration,
            clock=clock,
        )
