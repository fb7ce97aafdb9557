"""An edge's streams."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from amiws_gevent.bus import reader as module
from amiws_gevent.bus.api import Bounds
from tests.support.bus import KEYS, collector, edge
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % i for i in range(first, last)]


def test_the_snapshot_what_was_before_it_and_what_comes(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        for i in range(500):
            bus.writer.append("s", b"%d" % i)
        bus.writer.save("s", b"snapshot")
        for i in range(500, 800):
            bus.writer.append("s", b"%d" % i)
        until(lambda: not bus.writer.waiting)
        with edge(server, "s") as (reader, log):
            until(lambda: len(log.entries.get("s", ())) == 300)
            assert log.snapshots["s"] == b"snapshot"
            assert log.earlier["s"] == numbers(0, 500)
            bus.writer.append("s", b"800")
            until(lambda: len(log.entries["s"]) == 301)
            assert log.entries["s"] == numbers(500, 801)
            assert (reader.reader.entries, reader.reader.begins) == (301, 1)
            assert reader.reader.bytes == sum(map(len, numbers(500, 801)))
            assert reader.reader.lag() == {"s": 0}


def test_the_lag_is_known_from_the_beginning_on(server: RedisServer) -> None:
    """An edge that starts waits until it has heard all that there is."""
    with collector(server) as (bus, _), edge(server) as (reader, log):
        bus.writer.save("s", b"snapshot")
        for i in range(300):
            bus.writer.append("s", b"%d" % i)
        until(lambda: not bus.writer.waiting)
        lags: list[int] = []
        log.when_entries = lambda: lags.append(reader.reader.lag()["s"])
        reader.reader.follow(["s"])
        until(lambda: len(log.entries.get("s", ())) == 300)
        until(lambda: reader.reader.lag() == {"s": 0})
        assert lags[0] == 300
        assert lags == sorted(lags, reverse=True)


def test_a_stream_is_told_once_it_has_a_snapshot(server: RedisServer) -> None:
    with edge(server, "s", "t") as (_, log), collector(server) as (bus, _):
        assert log.told[:2] == [("connection", True), ("collector", False)]
        bus.writer.append("s", b"one")
        bus.writer.save("t", b"empty")
        bus.writer.append("t", b"other")
        until(lambda: log.entries == {"t": [b"other"]})
        bus.writer.save("s", b"up to one")
        until(lambda: "s" in log.snapshots)
        assert log.snapshots == {"s": b"up to one", "t": b"empty"}
        assert log.earlier == {"s": [b"one"], "t": []}
        assert [up for up, _ in log.collectors] == [False, True]


def test_a_beginning_is_never_told_without_its_snapshot(server: RedisServer) -> None:
    """Which stands for what no entry says."""
    with collector(server, "s") as (bus, _), edge(server, "s") as (_, log):
        until(lambda: log.snapshots)
        for i in range(20):
            bus.writer._give_up(bus.writer._streams["s"], "for a test")
            bus.writer._streams["s"].told_at = float("-inf")
            until(lambda i=i: len(log.broken) == i + 1)  # type: ignore[misc]
            until(lambda: log.told[-1] == ("begin", "s", b"anew", []))


def test_a_snapshot_at_the_very_beginning(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        bus.writer.save("s", b"empty")
        until(lambda: not bus.writer.waiting)
        with edge(server, "s") as (_, log):
            until(lambda: log.snapshots == {"s": b"empty"})
            bus.writer.append("s", b"one")
            until(lambda: log.entries["s"] == [b"one"])
            assert log.earlier["s"] == []


def test_what_was_before_is_bounded(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        for i in range(1000):
            bus.writer.append("s", b"%05d" % i)
        bus.writer.save("s", b"snapshot")
        until(lambda: not bus.writer.waiting)
        with edge(server, "s", bounds=Bounds(entries=10**6, bytes=500)) as (_, log):
            until(lambda: "s" in log.earlier)
            assert 100 <= len(log.earlier["s"]) < 400
            assert log.earlier["s"][-1] == b"00999"
            assert log.earlier["s"] == sorted(log.earlier["s"])


def test_streams_may_change_at_any_time(server: RedisServer) -> None:
    with collector(server, "a", "b", "c") as (bus, _), edge(server, "a", "b") as (reader, log):
        for name in "abc":
            bus.writer.append(name, b"one")
        until(lambda: log.entries == {"a": [b"one"], "b": [b"one"]})
        reader.reader.follow(["b", "c"])
        until(lambda: "c" in log.entries)
        for name in "abc":
            bus.writer.append(name, b"two")
        until(lambda: log.entries["b"] == log.entries["c"] == [b"one", b"two"])
        assert log.entries["a"] == [b"one"]
        assert reader.reader.lag().keys() == {"b", "c"}
        reader.reader.follow([])
        gevent.sleep(0)
        reader.reader.follow(["a"])
        until(lambda: log.entries["a"] == [b"one", b"two"])


def test_a_follower_may_change_streams_while_it_is_told(server: RedisServer) -> None:
    with collector(server, "a", "b", "c") as (bus, _), edge(server, "a", "b") as (reader, log):
        log.when_entries = lambda: reader.reader.follow(["b"])
        bus.writer.append("a", b"one")
        until(lambda: reader.reader.lag().keys() == {"b"})
        bus.writer.append("a", b"two")
        bus.writer.append("b", b"one")
        until(lambda: "b" in log.entries and log.entries["b"])
        assert log.entries["a"] == [b"one"]


def test_what_is_followed_once_a_stream_begins_is_looked_for_at_once(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edge knows its streams by the directory, and does not serve before it has all."""
    monkeypatch.setattr(module, "LOOK_TIME", 600.0)  # a read may take 5 s: then Redis is lost
    with collector(server, "a", "b") as (bus, _):
        for name in "ab":
            bus.writer.save(name, b"snapshot")
        until(lambda: not bus.writer.waiting)
        with edge(server) as (reader, log):
            log.when_begun = lambda: reader.reader.follow(["a", "b"])
            reader.reader.follow(["a"])
            reader.reader.wake.set()
            until(lambda: "b" in log.snapshots)
            assert log.states == [(True, "")]


def test_an_outage_with_data_is_no_gap(server: RedisServer) -> None:
    with collector(server, "s") as (bus, _), edge(server, "s") as (_, log):
        bus.writer.append("s", b"0")
        until(lambda: log.entries == {"s": [b"0"]})
        server.keep_data()
        server.kill()
        until(lambda: log.states[-1] == (False, "the connection is lost"))
        for i in range(1, 100):
            bus.writer.append("s", b"%d" % i)
        server.start()
        until(lambda: log.entries["s"] == numbers(0, 100))
        assert log.broken == []
        assert log.states[-1][0]


@pytest.mark.parametrize("how", ["killed", "flushed", "older"])
def test_lost_data_is_a_new_beginning(server: RedisServer, how: str) -> None:
    with (
        collector(server, "s", "idle", lease_time=0.9) as (bus, _),
        edge(server, "s", "idle") as (_, log),
    ):
        bus.writer.append("s", b"one")
        bus.writer.append("idle", b"one")
        until(lambda: log.entries == {"s": [b"one"], "idle": [b"one"]})
        if how == "older":
            server.keep_data()
            bus.writer.append("s", b"two")
            until(lambda: log.entries["s"] == [b"one", b"two"])
            until(lambda: not bus.writer.waiting)  # else it is written once more
        if how == "flushed":
            server.ask("FLUSHALL")
        else:
            server.kill()
            server.start()
        if how == "older":
            until(lambda: log.snapshots["s"] == b"anew")
            assert {stream for stream, _ in log.broken} == {"s"}
        else:
            until(lambda: log.snapshots == {"s": b"anew", "idle": b"anew"})
            assert {stream for stream, _ in log.broken} == {"s", "idle"}
        bus.writer.append("s", b"three")
        until(lambda: log.entries["s"] == [b"three"])


def test_one_that_is_behind_the_trimmed_begins_anew(server: RedisServer) -> None:
    """It reads too slowly: what it did not read is gone, which it is told, with a snapshot."""
    bounds = Bounds(entries=50, bytes=10**9)
    with collector(server, bounds=bounds) as (bus, _), edge(server, "s") as (_, log):
        bus.writer.save("s", b"first")
        until(lambda: "s" in log.snapshots)
        slow = gevent.event.Event()
        log.when_entries = slow.wait
        bus.writer.append("s", b"0")
        until(lambda: log.entries["s"] == [b"0"])
        for i in range(1, 400):
            bus.writer.append("s", b"%d" % i)
            if i % 20 == 0:
                bus.writer.save("s", b"up to %d" % i)
                until(lambda: not bus.writer.waiting)
        until(lambda: server.ask("XLEN", KEYS.stream("s")) < 100)
        slow.set()
        until(lambda: log.snapshots["s"] == b"up to 380")
        until(lambda: log.entries["s"] == numbers(381, 400))
        assert log.broken == [("s", "it was trimmed past us, or begins anew")]
        assert log.earlier["s"] == numbers(381 - len(log.earlier["s"]), 381)


def test_a_stream_that_is_removed(server: RedisServer) -> None:
    with collector(server, "s") as (bus, _), edge(server, "s") as (_, log):
        bus.writer.append("s", b"one")
        until(lambda: log.entries == {"s": [b"one"]})
        bus.writer.remove("s")
        until(lambda: log.broken == [("s", "it is gone")])
        bus.writer.save("s", b"again")
        bus.writer.append("s", b"two")
        until(lambda: log.entries == {"s": [b"two"]})


def test_the_next_collector_is_told_and_goes_on(server: RedisServer) -> None:
    with edge(server, "s") as (_, log):
        for i in range(2):
            with collector(server, *["s"][i:]) as (bus, _):
                bus.writer.append("s", b"%d" % i)
                until(lambda i=i: log.entries.get("s") == numbers(0, i + 1))  # type: ignore[misc]
                until(lambda: log.collectors[-1][0])
        until(lambda: not log.collectors[-1][0])
        told = [up for up, _ in log.collectors]
        assert [up for up, _ in itertools.groupby(told)] in (
            [False, True, False],
            [False, True, False, True, False],
        )
        assert log.broken == []


def test_huge_entries_are_read_a_few_at_a_time(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MANY_BYTES", 100_000)
    monkeypatch.setattr(module, "_FEW_BYTES", 10_000)
    with collector(server, "s") as (bus, _):
        for i in range(300):
            bus.writer.append("s", b"%d" % i)
        for _ in range(150):
            bus.writer.append("s", b"x" * 50_000)
        until(lambda: not bus.writer.waiting)
        with edge(server, "s") as (_, log):
            until(lambda: len(log.entries.get("s", ())) == 450)
            told = [len(entry[2]) for entry in log.told if entry[0] == "entries"]
            assert 16 < max(told) <= 64
            assert told[-1] <= 2


def test_a_frozen_redis_is_told(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amiws_gevent.bus.redis_bus.REPLY_TIME", 1.2)
    with edge(server, "s") as (_, log):
        server.freeze()
        until(lambda: not log.states[-1][0])
        assert "does not answer within" in log.states[-1][1]
        server.thaw()
        until(lambda: log.states[-1][0])


def test_a_key_of_somebody_else_is_told(server: RedisServer) -> None:
    about = {"base": "5", "n": "5", "ms": "1", "sn": "5", "sms": "1", "snapshot": "x"}
    server.ask("HSET", KEYS.about("s"), *(part for pair in about.items() for part in pair))
    server.ask("SET", KEYS.stream("s"), "precious")
    with edge(server) as (reader, log):
        reader.reader.follow(["s"])
        until(lambda: log.states and "prefix of its own" in log.states[-1][1])
        server.ask("DEL", KEYS.stream("s"), KEYS.about("s"))
        until(lambda: log.states[-1][0])


def test_what_the_follower_raises_is_contained(server: RedisServer) -> None:
    with collector(server, "s") as (bus, _), edge(server, "s") as (reader, log):
        log.when_entries = lambda: 1 / 0  # type: ignore[assignment,return-value]
        bus.writer.append("s", b"one")
        until(lambda: reader.guard.faults)
        bus.writer.append("s", b"two")
        until(lambda: log.entries["s"] == [b"one", b"two"])


def test_every_entry_comes_once_when_redis_is_killed_at_any_time(tmp_path: Path) -> None:
    """With its data as it is just then: it writes each change to the disk."""
    always = ["appendonly yes", "appendfsync always"]
    with (
        RedisServer(tmp_path, always) as server,
        collector(server, "s", lease_time=600.0) as (bus, log),
        edge(server, "s") as (_, told),
    ):
        sent = 0
        for _ in range(4):
            for _ in range(200):
                bus.writer.append("s", b"%d" % sent)
                sent += 1
                if sent % 50 == 0:
                    gevent.sleep(0)
            gevent.sleep(0.01)
            server.kill()
            server.start()
            until(lambda: bus.health.up)
        until(lambda: len(told.entries.get("s", ())) >= sent)
        assert told.entries["s"] == numbers(0, sent)
        assert (log.broken, told.broken) == ([], [])
