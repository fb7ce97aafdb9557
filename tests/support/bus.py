"""Both sides of the bus in one process, and what they were told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from amiws_gevent.bus.api import Bounds, Problem
from amiws_gevent.bus.connection import Connection
from amiws_gevent.bus.keys import Keys, field
from amiws_gevent.bus.leases import Hold, Leases, boot_time
from amiws_gevent.bus.redis_bus import RedisCollector, RedisEdge
from amiws_gevent.bus.worker import Health, Worker
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

KEYS = Keys("amiws")

LEASE = "main"
FENCE = field(LEASE)
"""Its field in the hash of the leases."""


def lease_of(stream: str) -> str:
    """``LEASE.STREAM`` is of its own lease, all others of one."""
    lease, dot, _ = stream.partition(".")
    return lease if dot else LEASE


def fence(server: RedisServer, lease: str = LEASE) -> bytes | None:
    """Who had a lease last."""
    found: bytes | None = server.ask("HGET", KEYS.leases, field(lease))
    return found


def life(server: RedisServer) -> str:
    """What `scripts.TAKE` compares."""
    told = server.ask("INFO").decode()
    return "".join(told.partition(f"{word}:")[2].split()[0] for word in ("run_id", "master_replid"))


def take_away(server: RedisServer, term: int, lease: str = LEASE, holder: str = "other") -> None:
    """Somebody else has the lease, for a long time."""
    ends = int(server.ask("TIME")[0]) * 1000 + 600_000
    words = (field(lease), f"{term} {holder}", f"u:{lease}", str(ends))
    server.ask("HSET", KEYS.leases, *words)


def run_out(server: RedisServer, lease: str = LEASE) -> None:
    """The lease ends, for Redis."""
    server.ask("HDEL", KEYS.leases, f"u:{lease}")


class CollectorLog:
    """What a collector is told. Streams begin with the snapshot ``first``, or ``anew``."""

    def __init__(self, *streams: str) -> None:
        self.streams = streams
        self.bus: RedisCollector | None = None
        self.terms: list[int] = []
        """Of `LEASE`."""
        self.gained: list[str] = []
        self.losses: list[str] = []
        self.lost: list[tuple[str, str]] = []
        self.yields: list[str] = []
        self.states: list[tuple[bool, str]] = []
        self.broken: list[str] = []
        self.due: list[str] = []

    def on_gained(self, lease: str, term: int) -> None:
        self.gained.append(lease)
        if lease == LEASE:
            self.terms.append(term)
        for stream in self.streams:
            if lease_of(stream) == lease:
                assert self.bus is not None
                self.bus.writer.save(stream, b"first")

    def on_lost(self, lease: str, reason: str) -> None:
        self.lost.append((lease, reason))
        self.losses.append(reason)

    def on_yield(self, lease: str, reason: str) -> None:
        self.yields.append(lease)
        if self.bus is not None:
            self.bus.give_back(lease)

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
        self.by_lease: dict[str, bool] = {}
        self.broken: list[tuple[str, str]] = []
        self.when_begun: Callable[[], None] = lambda: None
        self.when_entries: Callable[[], None] = lambda: None

    def on_begin(self, stream: str, snapshot: bytes, earlier: Sequence[bytes]) -> None:
        self.told.append(("begin", stream, snapshot, list(earlier)))
        self.snapshots[stream] = snapshot
        self.earlier[stream] = list(earlier)
        self.entries[stream] = []
        self.when_begun()

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

    def on_collector(self, lease: str, up: bool, reason: str) -> None:
        self.told.append(("collector", up))
        self.collectors.append((up, reason))
        self.by_lease[lease] = up


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
    leases: Iterable[str] = (LEASE,),
    lease_time: float = 1.0,
    wait: bool = True,
    clock: Callable[[], float] = boot_time,
) -> Iterator[tuple[RedisCollector, CollectorLog]]:
    """A collector that has a lease and all its connections when the block begins.

    It has not if it need not ``wait``.
    """
    server.settle()
    log = CollectorLog(*streams)
    bus = RedisCollector(
        server.settings,
        log,
        bounds or Bounds(),
        lease_of=lease_of,
        lease_time=lease_time,
        clock=clock,
    )
    log.bus = bus
    bus.want(leases)
    bus.start()
    try:
        if wait:
            until(lambda: log.gained and bus.health.up)
        yield bus, log
    finally:
        bus.stop()


@contextmanager
def edge(
    server: RedisServer, *streams: str, bounds: Bounds | None = None
) -> Iterator[tuple[RedisEdge, EdgeLog]]:
    """An edge that is connected, with all its parts, when the block begins."""
    log = EdgeLog()
    bus = RedisEdge(server.settings, log, bounds or Bounds(), lease_of=lease_of)
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


class LeasesLog:
    """Leases on their own, as a `Keeper` sees them. What is to be given back is written at once."""

    def __init__(
        self,
        server: RedisServer,
        holder: str,
        clock: Callable[[], float] = boot_time,
        *,
        leases: Iterable[str] = (LEASE,),
        duration: float = 9.0,
        alone: bool = False,
        settled: bool = True,
    ) -> None:
        self.terms: list[int] = []
        self.losses: list[str] = []
        self.asked: list[str] = []
        self._at_work = False
        if settled:
            server.settle()
        self.leases = Leases(
            KEYS,
            Connection(server.settings, "leases", 5.0),
            health(),
            holder=holder,
            keeper=self,
            duration=duration,
            clock=clock,
            alone=alone,
        )
        self.leases.want(leases)
        turn = self.leases.turn

        def watched() -> float:
            self._at_work = True
            try:
                return turn()
            finally:
                self._at_work = False

        self.leases.turn = watched  # type: ignore[method-assign]

    def look(self) -> None:
        """Have it renew what it has, and look for what it wants; returns once that is done."""
        leases = self.leases
        leases._looks_at = float("-inf")
        leases.doubt()
        until(lambda: not self._at_work and min(leases._looks_at, leases._renews_at) > 0)

    @property
    def fence(self) -> bytes | None:
        hold = self.leases.held.get(LEASE)
        return None if hold is None else hold.fence

    def holds(self) -> bool:
        return self.leases.holds(LEASE)

    def gained(self, hold: Hold) -> None:
        self.terms.append(self.leases.term(hold.lease))

    def asked_back(self, hold: Hold, reason: str) -> None:
        self.asked.append(hold.lease)

    def returning(self, hold: Hold, reason: str) -> None:
        if reason:
            self.losses.append(reason)

    def ended(self, hold: Hold, reason: str) -> None:
        if hold.returns_by is None and not self.leases.stopping:
            self.losses.append(reason)

    def is_written(self, lease: str) -> bool:
        return True
