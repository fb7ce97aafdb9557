"""The collector's side of the questions of edges. What both sides see is in test_bus_caller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from amiws_gevent.bus import callee as module
from amiws_gevent.bus.api import UNKNOWN, UNREACHABLE, Reply
from tests.support.bus import KEYS, LEASE, Answers, collector, edge, fence, life, take_away
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def ask(
    server: RedisServer, identity: str, method: str | bytes = "ask", **other: str | bytes
) -> None:
    """As an edge asks that is no longer there."""
    given = {"f": fence(server) or b"", "e": "gone", "i": identity, "m": method, "t": "600000"}
    given |= {"r": life(server), "d": "x"} | other
    server.ask("XADD", KEYS.calls(LEASE), "*", *(part for pair in given.items() for part in pair))


def test_what_an_edge_asks_twice_is_two_questions(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        asked: list[bytes] = []
        bus.callee.serve({"ask": lambda data, reply: asked.append(data)})
        ask(server, "1", d="one")
        ask(server, "2", d="two")
        until(lambda: asked == [b"one", b"two"])
        assert (bus.callee.taken, bus.callee.at_work) == (2, 2)


def test_too_many_at_work(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_WORK", 3)
    with collector(server) as (bus, _), edge(server) as (asker, _):
        bus.callee.serve({"ask": lambda data, reply: None})
        told = [Answers() for _ in range(5)]
        for answers in told:
            asker.caller.call(LEASE, "ask", b"", 600.0, answers)
        until(lambda: bus.callee.refused == 2)
        until(lambda: told[-1].told == [(None, True, UNREACHABLE)])
        assert bus.callee.at_work == 3


def test_what_waits_at_the_end_of_the_lease_is_cancelled(server: RedisServer) -> None:
    with collector(server, lease_time=600.0) as (bus, log):
        replies: list[Reply] = []
        bus.callee.serve({"ask": lambda data, reply: replies.append(reply)})
        ask(server, "1")
        until(lambda: replies)
        told: list[bool] = []
        replies[0].on_cancel(lambda: told.append(replies[0].expired))
        take_away(server, 9999999999999)
        bus.leases.doubt()
        until(lambda: log.losses)
        assert told == [True]
        assert bus.callee.at_work == 0


def test_what_a_handler_of_cancelling_raises_is_contained(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        replies: list[Reply] = []
        bus.callee.serve({"ask": lambda data, reply: replies.append(reply)})
        ask(server, "1")
        until(lambda: replies)
        told: list[int] = []
        replies[0].on_cancel(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        replies[0].on_cancel(lambda: told.append(1))
        ask(server, "1", method="")
        until(lambda: told == [1])
        assert bus.guard.faults == 1


def test_strange_entries_harm_nothing(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        asked: list[bytes] = []
        bus.callee.serve({"ask": lambda data, reply: asked.append(data)})
        server.ask("XADD", KEYS.calls(LEASE), "*", "strange", "entry")
        ask(server, "1", t="soon")
        ask(server, "2", method="\udcff".encode("utf-8", "surrogateescape"))
        ask(server, "4", e=b"\xff")
        ask(server, "3")
        until(lambda: asked == [b"x"])
        until(lambda: bus.health.up)
        assert (bus.callee.refused, bus.callee.at_work) == (4, 1)


def test_answers_of_a_lane_that_is_full_are_counted(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amiws_gevent.bus.lane.MOST_WAITING", 1000)
    with collector(server) as (bus, _):
        replies: list[Reply] = []
        bus.callee.serve({"ask": lambda data, reply: replies.append(reply)})
        ask(server, "1")
        until(lambda: replies)
        for _ in range(5):
            replies[0].send(b"x" * 900)
        assert bus.callee.lost == 4


def test_questions_of_many_leases_come_by_one_connection(server: RedisServer) -> None:
    names = [LEASE, *(f"x{i}" for i in range(20))]
    with collector(server, leases=names, lease_time=600.0) as (bus, _), edge(server) as (asker, _):
        until(lambda: len(bus.held) == len(names))
        bus.callee.serve({"ask": lambda data, reply: reply.send(reply.lease.encode(), last=True)})
        told = {lease: Answers() for lease in names}
        for lease, answers in told.items():
            asker.caller.call(lease, "ask", b"", 600.0, answers)
        until(lambda: all(answers.over for answers in told.values()))
        assert all(told[lease].told == [(lease.encode(), True, "")] for lease in names)


def test_who_has_another_lease_now_is_refused_without_harm_to_the_rest(
    server: RedisServer,
) -> None:
    with collector(server, leases=[LEASE, "x"], lease_time=600.0) as (bus, log):
        until(lambda: len(bus.held) == 2)
        asked: list[bytes] = []
        bus.callee.serve({"ask": lambda data, reply: asked.append(data)})
        take_away(server, 10**14, "x")
        known = fence(server, "x") or b""
        fields = ("f", known, "e", "gone", "i", "9", "m", "ask", "t", "600000", "r", "", "d", "x")
        server.ask("XADD", KEYS.calls("x"), "*", *fields)
        ask(server, "1", d="mine")
        until(lambda: asked == [b"mine"])
        until(lambda: log.lost)
        assert bus.refusals == bus.callee.fenced >= 1
        assert server.ask("XLEN", KEYS.calls("x")) == 1


def test_a_collector_asks_another(server: RedisServer) -> None:
    with (
        collector(server, leases=["x"]) as (first, _),
        collector(server, leases=["y"]) as (second, _),
    ):
        first.callee.serve({"ask": lambda data, reply: reply.send(b"x has " + data, last=True)})
        until(lambda: first.health.up and second.health.up)
        second.caller.call("x", "ask", b"it", 600.0, answers := Answers())
        until(lambda: answers.told == [(b"x has it", True, "")])


def test_what_redis_has_again_is_not_done_again(server: RedisServer) -> None:
    """It came back with older data, as a replica may have them that has become the primary."""
    with collector(server, lease_time=600.0) as (bus, _), edge(server) as (asker, _):
        asked: list[Reply] = []
        bus.callee.serve({"ask": lambda data, reply: asked.append(reply)})
        bus.callee.stop()
        told = [Answers() for _ in range(3)]
        for answers in told:
            asker.caller.call(LEASE, "ask", b"", 600.0, answers)
        until(lambda: server.ask("XLEN", KEYS.calls(LEASE)) == 3)
        server.keep_data()
        bus.callee.stopping = False
        bus.callee.start()
        until(lambda: len(asked) == 3)
        asked[0].send(b"done", last=True)
        until(lambda: told[0].over)
        server.kill()
        server.start()
        bus.callee._at_work.pop(next(reversed(bus.callee._at_work)))  # as of another collector
        until(lambda: told[2].over)
        asked[1].send(b"done", last=True)
        until(lambda: told[1].over)
        assert [answers.told for answers in told] == [
            [(b"done", True, "")],
            [(b"done", True, "")],
            [(None, True, UNKNOWN)],
        ]
        assert len(asked) == 3


def test_what_redis_has_again_is_not_said_to_be_undone(server: RedisServer) -> None:
    with collector(server, lease_time=600.0) as (bus, _), edge(server) as (asker, _):
        bus.callee.stop()
        asker.caller.call(LEASE, "ask", b"", 600.0, answers := Answers())
        until(lambda: server.ask("XLEN", KEYS.calls(LEASE)))
        server.keep_data()
        server.kill()
        server.start()
        until(lambda: asker.health.up)
        take_away(server, 10**14)  # so that it is taken back
        until(lambda: answers.told == [(None, True, UNKNOWN)])
        assert server.ask("XLEN", KEYS.calls(LEASE)) == 0
