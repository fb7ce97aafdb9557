"""The collector's streams on their way to Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import gevent
import pytest

from amiws_gevent.bus import writer as module
from amiws_gevent.bus.api import Bounds
from tests.support.bus import FENCE, KEYS, LEASE, collector, run_out, take_away
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def payloads(server: RedisServer, stream: str = "s") -> list[bytes]:
    return [fields[1] for _, fields in server.ask("XRANGE", KEYS.stream(stream), "-", "+")]


def snapshot(server: RedisServer, stream: str = "s") -> bytes | None:
    found: bytes | None = server.ask("HGET", KEYS.about(stream), "snapshot")
    return found


def test_entries_and_snapshots_in_order(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        for i in range(1000):
            bus.writer.append("s", b"%d" % i)
            if i == 500:
                bus.writer.save("s", b"up to 500")
        bus.writer.append("t", b"other")
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", *(b"%d" % i for i in range(1000))]
        assert payloads(server, "t") == [b"", b"other"]
        about = server.ask("HMGET", KEYS.about("s"), "base", "sn", "n")
        assert [int(number) - int(about[0]) for number in about[1:]] == [501, 1000]
        assert (bus.writer.entries, bus.writer.snapshots, bus.writer.dropped) == (1001, 1, 0)
        assert bus.writer.bytes == sum(len(b"%d" % i) for i in range(1000)) + len(b"other")


def test_without_the_lease_all_is_dropped(server: RedisServer) -> None:
    with collector(server) as (_, _), collector(server, wait=False) as (second, log):
        until(lambda: second.leases.up)
        second.writer.append("s", b"x")
        second.writer.save("s", b"x")
        assert (second.writer.dropped, second.writer.waiting) == (2, 0)
        assert log.terms == []
        assert server.ask("EXISTS", KEYS.stream("s")) == 0


def test_the_next_collector_goes_on_in_the_stream(server: RedisServer) -> None:
    with collector(server) as (first, _):
        first.writer.append("s", b"one")
        first.writer.save("s", b"snapshot")
    with collector(server) as (second, log):
        second.writer.append("s", b"two")
        until(lambda: not second.writer.waiting)
        assert log.broken == []
    assert payloads(server) == [b"", b"one", b"two"]


def test_what_waits_is_written_before_the_end(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        for i in range(3000):
            bus.writer.append("s", b"%d" % i)
    assert len(payloads(server)) == 3001
    assert server.ask("HGET", KEYS.leases, f"u:{LEASE}") is None


def test_an_outage_with_data_loses_nothing(server: RedisServer) -> None:
    with collector(server) as (bus, log):
        bus.writer.append("s", b"one")
        until(lambda: not bus.writer.waiting)
        server.keep_data()
        server.kill()
        bus.writer.append("s", b"two")
        until(lambda: not bus.health.up)
        bus.writer.append("s", b"three")
        server.start()
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"one", b"two", b"three"]
        assert (log.broken, log.losses, len(log.terms)) == ([], [], 1)
        assert bus.health.losses == 1
        until(lambda: log.states[-1] == (True, ""))


def test_a_reply_that_is_lost_does_not_add_twice(server: RedisServer) -> None:
    with collector(server) as (bus, log):
        bus.writer.append("s", b"one")
        until(lambda: not bus.writer.waiting)
        ask_all = bus.writer.connection.ask_all

        def lost(commands: list[module.Command]) -> list[object]:
            ask_all(commands)
            bus.writer.connection.ask_all = ask_all  # type: ignore[method-assign,assignment]
            raise module.Away("the reply is lost", asked=True)

        bus.writer.connection.ask_all = lost  # type: ignore[method-assign,assignment]
        bus.writer.append("s", b"two")
        bus.writer.append("s", b"three")
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"one", b"two", b"three"]
        assert log.broken == []


@pytest.mark.parametrize("how", ["killed", "flushed", "one stream"])
def test_lost_data_begins_streams_anew_also_idle_ones(server: RedisServer, how: str) -> None:
    with collector(server, lease_time=0.9) as (bus, log):
        bus.writer.append("s", b"one")
        bus.writer.append("idle", b"one")
        until(lambda: not bus.writer.waiting)
        if how == "killed":
            server.kill()
            server.start()
        elif how == "flushed":
            server.ask("FLUSHALL")
        else:
            server.ask("DEL", KEYS.stream("s"), KEYS.about("idle"))
            bus.writer._suspect()
        until(lambda: sorted(log.broken) == ["idle", "s"])
        until(lambda: not bus.writer.waiting)
        bus.writer.append("s", b"two")
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"two"]
        assert snapshot(server) == snapshot(server, "idle") == b"anew"
        assert log.losses == []
        assert bus.holds(LEASE)
        assert bus.writer.breaks == 2


def test_data_of_an_hour_ago_begins_streams_anew(server: RedisServer) -> None:
    """Redis comes back with an older file: entries that were read are no longer there."""
    with collector(server) as (bus, log):
        bus.writer.append("s", b"one")
        until(lambda: not bus.writer.waiting)
        server.keep_data()
        bus.writer.append("s", b"two")
        until(lambda: not bus.writer.waiting)
        server.kill()
        server.start()
        bus.writer.append("s", b"three")
        until(lambda: log.broken == ["s"])
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b""]
        assert snapshot(server) == b"anew"


def test_too_much_that_waits_is_dropped_and_told_when_redis_is_back(server: RedisServer) -> None:
    with collector(server) as (bus, log):
        bus.writer._most_waiting = 100_000
        bus.writer.append("small", b"one")
        until(lambda: not bus.writer.waiting)
        server.keep_data()
        server.kill()
        until(lambda: not bus.health.up)
        bus.writer.append("small", b"two")
        for _ in range(1000):
            bus.writer.append("large", b"x" * 1000)
            assert bus.writer.waiting <= 100_000
        assert log.broken == []
        assert bus.writer.dropped == 1000
        server.start()
        until(lambda: log.broken == ["large"])
        until(lambda: not bus.writer.waiting)
        assert payloads(server, "small") == [b"", b"one", b"two"]
        assert snapshot(server, "large") == b"anew"


def test_an_outage_that_was_too_long(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_OUTAGE", 0.0)
    with collector(server) as (bus, log):
        bus.writer.append("s", b"one")
        until(lambda: log.broken == ["s"])
        monkeypatch.setattr(module, "LONGEST_OUTAGE", 60.0)
        until(lambda: snapshot(server) == b"anew")
        assert bus.writer.dropped == 1


def test_an_item_that_is_too_large(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_ITEM", 10)
    with collector(server) as (bus, log):
        bus.writer.append("s", b"x" * 11)
        until(lambda: log.broken == ["s"])
        until(lambda: snapshot(server) == b"anew")


def test_an_item_that_is_larger_than_all_that_may_wait(server: RedisServer) -> None:
    with collector(server) as (bus, log):
        bus.writer._most_waiting = 1000
        bus.writer.append("s", b"x" * 20_000_000)
        until(lambda: not bus.writer.waiting)
        assert len(payloads(server)[1]) == 20_000_000
        assert log.broken == []


def test_a_newer_term_is_never_written_over(server: RedisServer) -> None:
    """As after SIGSTOP: the lease ran out unnoticed, and another collector has it."""
    with collector(server, lease_time=600.0) as (stale, log):
        stale.writer.append("s", b"one")
        until(lambda: not stale.writer.waiting)
        run_out(server)
        with collector(server, lease_time=600.0) as (new, _):
            new.writer.append("s", b"two")
            until(lambda: not new.writer.waiting)
            assert stale.holds(LEASE)  # it does not know better yet
            stale.writer.append("s", b"never")
            until(lambda: log.losses)
            assert "has the lease" in log.losses[0]
            assert (stale.writer.refusals, stale.writer.waiting) == (1, 0)
            assert not stale.holds(LEASE)
            assert payloads(server) == [b"", b"one", b"two"]


def test_while_the_lease_is_in_doubt_redis_is_not_asked_all_the_time(server: RedisServer) -> None:
    with collector(server, lease_time=600.0) as (bus, _):
        bus.writer.append("s", b"one")
        until(lambda: not bus.writer.waiting)
        clock = Clock()
        bus.writer._clock = clock
        bus.leases.doubt = lambda: None  # type: ignore[method-assign]
        take_away(server, 1)
        for i in range(50):
            bus.writer.append("s", b"%d" % i)
            gevent.sleep(0.001)
        until(lambda: bus.writer.refusals)
        gevent.sleep(0.05)
        assert bus.writer.refusals == 1
        known = bus.leases.fence(LEASE)
        assert known is not None
        server.ask("HSET", KEYS.leases, FENCE, known)
        clock.now += 0.2
        until(lambda: not bus.writer.waiting)
        assert len(payloads(server)) == 52


def test_nothing_is_written_once_the_lease_may_have_ended(server: RedisServer) -> None:
    offset = 0.0
    with collector(server, lease_time=600.0, clock=lambda: 1000.0 + offset) as (bus, log):
        bus.writer.append("s", b"one")
        until(lambda: not bus.writer.waiting)
        offset = 541.0
        bus.writer.append("s", b"two")
        gevent.sleep(0.3)
        assert payloads(server) == [b"", b"one"]
        bus.leases.doubt()  # it is renewed
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"one", b"two"]
        assert log.losses == []


def test_a_snapshot_is_asked_for_and_the_stream_is_bounded(server: RedisServer) -> None:
    with collector(server, bounds=Bounds(entries=100, bytes=10**9)) as (bus, log):
        for i in range(51):
            bus.writer.append("s", b"%d" % i)
        until(lambda: log.due == ["s"])
        for i in range(100):
            bus.writer.append("s", b"%d" % i)
        until(lambda: not bus.writer.waiting)
        assert log.due == ["s"]
        bus.writer.save("s", b"snapshot")
        for i in range(20):
            bus.writer.append("s", b"%d" % i)
        until(lambda: server.ask("XLEN", KEYS.stream("s")) <= 104)
        assert snapshot(server) == b"snapshot"
        for i in range(40):
            bus.writer.append("s", b"%d" % i)
        until(lambda: log.due == ["s", "s"])
        assert log.broken == []


@pytest.mark.parametrize("bounds", [Bounds(entries=50), Bounds(bytes=5000)])
def test_without_a_snapshot_a_stream_is_given_up(server: RedisServer, bounds: Bounds) -> None:
    with collector(server, bounds=bounds) as (bus, log):
        for _ in range(300):
            bus.writer.append("s", b"x" * 100)
        until(lambda: log.broken == ["s"])
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b""]


def test_a_stream_is_removed_and_may_come_again(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        bus.writer.append("s", b"one")
        bus.writer.remove("s")
        until(lambda: not bus.writer.waiting)
        assert server.ask("EXISTS", KEYS.stream("s"), KEYS.about("s")) == 0
        bus.writer.append("s", b"two")
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"two"]
        bus.writer.remove("s")
        bus.writer.append("s", b"three")
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"three"]


def test_a_stream_that_is_given_up_may_be_removed(server: RedisServer) -> None:
    with collector(server) as (bus, log):
        bus.writer.append("s", b"one")
        until(lambda: not bus.writer.waiting)
        bus.writer._give_up(bus.writer._streams["s"], "for a test")
        bus.writer.remove("s")
        until(lambda: not bus.writer.waiting)
        assert server.ask("EXISTS", KEYS.stream("s"), KEYS.about("s")) == 0
        assert log.broken == []


def test_what_is_dropped_anyway_evicts_nothing(server: RedisServer) -> None:
    with collector(server) as (bus, log):
        bus.writer._most_waiting = 10_000
        bus.writer.append("small", b"x" * 6_000)
        bus.writer.append("large", b"x" * 9_000)  # small has to go
        bus.writer.append("small", b"x" * 6_000)
        assert (bus.writer.dropped, bus.writer.breaks) == (2, 1)
        until(lambda: log.broken == ["small"])
        until(lambda: not bus.writer.waiting)
        assert payloads(server, "large") == [b"", b"x" * 9_000]


def test_a_key_of_somebody_else_is_told_and_left(server: RedisServer) -> None:
    server.ask("SET", KEYS.stream("s"), "precious")
    with collector(server) as (bus, log):
        bus.writer.append("s", b"one")
        until(lambda: "prefix of its own" in bus.health.reason)
        assert server.ask("GET", KEYS.stream("s")) == b"precious"
        server.ask("DEL", KEYS.stream("s"))
        until(lambda: bus.health.up)
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"one"]
        assert log.broken == []


def test_a_full_redis_is_told_and_nothing_is_lost(server: RedisServer) -> None:
    with collector(server, lease_time=600.0) as (bus, log):
        bus.writer.append("s", b"one")
        until(lambda: not bus.writer.waiting)
        server.ask("CONFIG", "SET", "maxmemory", "1")
        bus.writer.append("s", b"two")
        until(lambda: "no memory left" in bus.health.reason)
        server.ask("CONFIG", "SET", "maxmemory", "0")
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"one", b"two"]
        assert log.broken == []


def test_what_its_owner_raises_is_contained(server: RedisServer) -> None:
    with collector(server) as (bus, log):
        log.on_broken = lambda stream: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        bus.writer.append("s", b"one")
        until(lambda: not bus.writer.waiting)
        server.ask("FLUSHALL")
        bus.writer.append("s", b"two")
        until(lambda: bus.guard.faults)
        bus.writer.append("s", b"three")
        until(lambda: not bus.writer.waiting)
        assert payloads(server) == [b"", b"three"]


def test_the_next_collector_is_told_what_the_one_before_has_left(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TAIL_ENTRIES", 3)
    with collector(server) as (first, _):
        for i in range(20):
            first.writer.append("s", b"%d" % i)
            if i == 9:
                first.writer.save("s", b"up to 9")
    with collector(server) as (second, log):
        told: list[tuple[bytes | None, list[bytes]]] = []

        def on_tail(snapshot: bytes | None, entries: Sequence[bytes]) -> None:
            told.append((snapshot, list(entries)))
            second.writer.append("s", b"20")

        second.writer.tail("s", on_tail)
        second.writer.tail("none", lambda snapshot, entries: told.append((snapshot, [*entries])))
        until(lambda: len(told) == 2)
        until(lambda: not second.writer.waiting)
        assert told == [(b"up to 9", [b"%d" % i for i in range(10, 20)]), (None, [])]
        assert payloads(server)[-2:] == [b"19", b"20"]
        assert log.broken == []


@pytest.mark.parametrize("lost", ["an entry", "the newest", "the snapshot"])
def test_of_a_stream_that_lacks_something_nothing_is_told_and_it_begins_anew(
    server: RedisServer, lost: str
) -> None:
    with collector(server) as (first, _):
        first.writer.save("s", b"snapshot")
        for i in range(5):
            first.writer.append("s", b"%d" % i)
    ids = [entry for entry, _ in server.ask("XRANGE", KEYS.stream("s"), "-", "+")]
    if lost == "the snapshot":
        server.ask("HDEL", KEYS.about("s"), "snapshot")
    else:
        server.ask("XDEL", KEYS.stream("s"), ids[-1 if lost == "the newest" else 3])
    with collector(server) as (second, _):
        told: list[tuple[bytes | None, Sequence[bytes]]] = []
        second.writer.tail("s", lambda *tail: told.append(tail))
        until(lambda: told == [(None, [])])
        second.writer.append("s", b"anew")
        until(lambda: not second.writer.waiting)
        assert payloads(server) == [b"", b"anew"]


def test_a_tail_waits_for_redis_and_is_not_told_once_the_lease_is_lost(
    server: RedisServer,
) -> None:
    with collector(server, leases=[LEASE, "x"], lease_time=600.0) as (bus, log):
        until(lambda: len(bus.held) == 2)
        server.keep_data()
        server.kill()
        until(lambda: not bus.writer.up)
        told: list[str] = []
        bus.writer.tail("s", lambda *_: told.append("s"))
        bus.writer.tail("x.s", lambda *_: told.append("x.s"))
        bus.leases._end(bus.leases.held["x"], "for a test")
        server.start()
        until(lambda: told)
        until(lambda: not bus.writer._tails)
        assert told == ["s"]
        assert log.lost == [("x", "for a test")]


def test_a_lease_that_is_lost_takes_only_its_own_streams_along(server: RedisServer) -> None:
    with collector(server, leases=[LEASE, "x"], lease_time=600.0) as (bus, log):
        until(lambda: len(bus.held) == 2)
        bus.writer.append("x.s", b"one")
        until(lambda: not bus.waiting)
        take_away(server, 10**14, "x")
        bus.writer.append("x.s", b"never")
        bus.writer.append("s", b"two")
        until(lambda: log.lost == [("x", "other has the lease")])
        until(lambda: not bus.waiting)
        assert payloads(server) == [b"", b"two"]
        assert payloads(server, "x.s") == [b"", b"one"]
        assert (bus.refusals, bus.dropped) == (1, 1)
        bus.writer.append("x.s", b"never")
        assert bus.dropped == 2
        assert bus.held.keys() == {LEASE}
