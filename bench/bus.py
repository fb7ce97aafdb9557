"""The bus over Redis: what an entry costs to write, to keep and to read."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import gevent

from amiws_gevent.bus.api import Bounds
from amiws_gevent.bus.redis_bus import RedisCollector, RedisEdge
from bench.sections import Report
from bench.subjects import cpu_of
from tests.support.redis_server import PROGRAM, RedisServer

_MESSAGE = 500  # bytes, as the messages of the busy capture are in the mean
_TOGETHER = 50
_ENTRIES = 10_000
_LONE = 300
_LEASE = "program"
_BOUNDS = Bounds(entries=10**6, bytes=10**9)


class _Both:
    """What both sides are told; they count, and take times."""

    def __init__(self) -> None:
        self.has_lease = False
        self.begun = 0
        self.taken = 0
        self.arrived = 0.0

    def on_gained(self, lease: str, term: int) -> None:
        self.has_lease = True

    def on_begin(self, stream: str, snapshot: bytes, earlier: Sequence[bytes]) -> None:
        assert not earlier
        self.begun += 1

    def on_entries(self, stream: str, entries: Sequence[bytes]) -> None:
        self.taken += len(entries)
        self.arrived = time.perf_counter()

    def on_broken(self, stream: str, reason: str = "") -> None:
        raise AssertionError(f"{stream} was lost: {reason}")

    def on_lost(self, lease: str, reason: str) -> None:
        """It is given back, at the end."""

    on_yield = on_lost

    def on_snapshot_due(self, stream: str) -> None:
        raise AssertionError(f"{stream} is longer than its bounds")

    def on_connection(self, up: bool, reason: str) -> None:
        """It is in the figures."""

    def on_collector(self, lease: str, up: bool, reason: str) -> None:
        """There is one."""


def section(report: Report) -> None:
    """CPU for an entry at the collector, in Redis and at an edge, and how long a lone one takes."""
    if shutil.which(PROGRAM) is None:
        print("\nthe bus: there is no redis-server on this machine")
        return
    subjects = {"one stream": (1, 1), "100 streams": (100, 1), "one stream, 50 a read": (1, 50)}
    rounds = [
        {name: _measured(*subject) for name, subject in subjects.items()}
        for _ in range(report.rounds)
    ]
    rows = {
        name: {key: statistics.median(one[name][key] for one in rounds) for key in rounds[0][name]}
        for name in subjects
    }
    report.table("the bus over Redis, microseconds for an entry", rows)
    ratio = statistics.median(
        _cpu(one["one stream, 50 a read"]) / _cpu(one["one stream"]) for one in rounds
    )
    report.ratio("CPU of an entry with 50 messages against one with one", ratio, "at most 10")
    report.table(
        "a lone entry that many edges read, microseconds",
        {f"{edges} edges": _read_by(edges) for edges in (1, 16, 64)},
    )


def _cpu(row: Mapping[str, float]) -> float:
    return row["append_us"] + row["redis_us"] + row["read_us"]


def _measured(streams: int, messages: int) -> dict[str, float]:
    """Figures of one Redis, one collector and one edge, in this process."""
    names = [f"s{number}" for number in range(streams)]
    data = b"x" * (_MESSAGE * messages)
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        told = _Both()
        server.settle()
        bus = RedisCollector(server.settings, told, _BOUNDS, lease_of=lambda _: _LEASE)
        edge = RedisEdge(server.settings, told, _BOUNDS, lease_of=lambda _: _LEASE)
        bus.want([_LEASE])
        bus.start()
        _until(lambda: told.has_lease)
        for name in names:
            bus.writer.save(name, b"")
        _until(lambda: not bus.writer.waiting)
        entries = _ENTRIES if messages == 1 else _ENTRIES // 5
        redis, began = cpu_of(server.pid), time.process_time()
        for number in range(entries):
            bus.writer.append(names[number % streams], data)
            if number % 100 == 0:
                gevent.sleep(0)
        _until(lambda: not bus.writer.waiting)
        appended = time.process_time() - began
        edge.reader.follow(names)
        began = time.process_time()
        edge.start()
        _until(lambda: told.taken == entries)
        read = time.process_time() - began
        redis = cpu_of(server.pid) - redis
        lone = []
        for number in range(_LONE):
            sent = time.perf_counter()
            bus.writer.append(names[number % streams], data)
            _until(lambda number=number: told.taken == entries + number + 1)  # type: ignore[misc]
            lone.append(1e6 * (told.arrived - sent))
        edge.stop()
        bus.stop()
    return {
        "append_us": 1e6 * appended / entries,
        "redis_us": 1e6 * redis / entries,
        "read_us": 1e6 * read / entries,
        "lone_p50_us": statistics.median(lone),
    }


def _read_by(edges: int) -> dict[str, float]:
    """What Redis needs for an entry and for each edge that reads it."""
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        server.settle()
        told = _Both()
        bus = RedisCollector(server.settings, told, _BOUNDS, lease_of=lambda _: _LEASE)
        bus.want([_LEASE])
        readers = [
            RedisEdge(server.settings, told, _BOUNDS, lease_of=lambda _: _LEASE)
            for _ in range(edges)
        ]
        bus.start()
        _until(lambda: told.has_lease)
        bus.writer.save("s", b"")
        for reader in readers:
            reader.reader.follow(["s"])
            reader.start()
        _until(lambda: told.begun == edges)
        began = cpu_of(server.pid)
        for number in range(_LONE):
            bus.writer.append("s", b"x" * _MESSAGE)
            _until(lambda number=number: told.taken == edges * (number + 1))  # type: ignore[misc]
        used = cpu_of(server.pid) - began
        for reader in readers:
            reader.stop()
        bus.stop()
    return {"redis_us": 1e6 * used / _LONE, "redis_us_an_edge": 1e6 * used / _LONE / edges}


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        gevent.sleep(0.0005)
