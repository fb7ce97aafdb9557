"""An edge's questions to the collector; the collector's side is real, and here too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.bus import caller as module
from amiws_gevent.bus.api import UNKNOWN, UNREACHABLE, Reply
from amiws_gevent.bus.connection import Away
from amiws_gevent.bus.redis_bus import RedisCollector
from tests.support.bus import KEYS, LEASE, Answers, collector, edge, fence, life, run_out
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow

LONG = 600.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


class Served:
    """Questions as they came, which a test answers."""

    def __init__(self, bus: RedisCollector) -> None:
        self.asked: list[bytes] = []
        self.replies: list[Reply] = []
        bus.callee.serve({"ask": self})

    def __call__(self, data: bytes, reply: Reply) -> None:
        self.asked.append(data)
        self.replies.append(reply)


def test_one_question_many_answers(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, answers = Served(bus), Answers()
        asker.caller.call(LEASE, "ask", b"\0question", LONG, answers)
        assert answers.told == []
        until(lambda: served.asked == [b"\0question"])
        for i in range(100):
            served.replies[0].send(b"%d" % i)
        served.replies[0].send(b"end", last=True)
        served.replies[0].send(b"never")
        until(lambda: answers.over)
        assert answers.told == [*((b"%d" % i, False, "") for i in range(100)), (b"end", True, "")]
        assert (asker.caller.calls, asker.caller.answers, asker.caller.at_work) == (1, 101, 0)
        until(lambda: bus.callee.answers == 101)
        assert (bus.callee.taken, bus.callee.at_work, bus.callee.lost) == (1, 0, 0)
        # Nothing is left in Redis of what was asked and answered.
        assert server.ask("XLEN", KEYS.calls(LEASE)) == 0
        assert server.ask("GET", KEYS.calls_bytes(LEASE)) == b"0"
        stream = KEYS.answers(asker.caller._edge)
        until(lambda: server.ask("XLEN", stream) == 0)
        assert server.ask("PTTL", stream) > 0


def test_many_questions_of_many_edges(server: RedisServer) -> None:
    with (
        collector(server, lease_time=LONG) as (bus, _),
        edge(server) as (first, _),
        edge(server) as (second, _),
    ):
        bus.callee.serve({"echo": lambda data, reply: reply.send(data, last=True)})
        told: list[list[Any]] = [[], []]
        for i in range(300):
            for asker, answers in zip((first, second), told, strict=True):
                text = b"%d of %d" % (i, id(asker))
                asker.caller.call(
                    LEASE,
                    "echo",
                    text,
                    LONG,
                    lambda data, last, problem, text=text, answers=answers: answers.append(  # type: ignore[misc]
                        (text == data, last, problem)
                    ),
                )
        until(lambda: [len(answers) for answers in told] == [300, 300])
        assert all(answer == (True, True, "") for answers in told for answer in answers)


def test_a_method_that_is_not_there(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        asker.caller.call(LEASE, "none", b"", LONG, answers := Answers())
        until(lambda: answers.told == [(None, True, UNREACHABLE)])
        assert bus.callee.refused == 1


def test_a_handler_that_fails_may_have_begun(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        bus.callee.serve({"bad": lambda data, reply: 1 / 0})  # type: ignore[dict-item,return-value]
        asker.caller.call(LEASE, "bad", b"", LONG, answers := Answers())
        until(lambda: answers.told == [(None, True, UNKNOWN)])


def test_without_a_collector_at_once(server: RedisServer) -> None:
    with edge(server) as (asker, _):
        asker.caller.call(LEASE, "ask", b"", LONG, answers := Answers())
        until(lambda: answers.told == [(None, True, UNREACHABLE)])
        assert server.ask("EXISTS", KEYS.calls(LEASE)) == 0


def test_without_redis_at_once(server: RedisServer) -> None:
    with edge(server) as (asker, _):
        server.kill()
        until(lambda: not asker.asker.lane.up)
        asker.caller.call(LEASE, "ask", b"", LONG, answers := Answers())
        assert answers.told == []
        until(lambda: answers.told == [(None, True, UNREACHABLE)])


@pytest.mark.parametrize("what", ["lane", "listener"])
def test_what_comes_before_the_way_is_there_again_is_held(server: RedisServer, what: str) -> None:
    """After an outage an edge may have heard of a server before it can ask for anything."""
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, answers = Served(bus), [Answers() for _ in range(3)]
        worker = getattr(asker.asker, what)
        worker.stop()
        worker.away(Away("it is slower than the others"))
        worker.up = False
        for one in answers[:2]:
            cancel = asker.caller.call(LEASE, "ask", b"held", LONG, one)
        asker.caller.call(LEASE, "ask", b"short", 0.01, answers[2])
        cancel()
        until(lambda: answers[2].told == [(None, True, UNREACHABLE)])
        assert served.asked == []
        worker.stopping = False
        worker.start()
        until(lambda: served.asked == [b"held"])
        served.replies[0].send(b"done", last=True)
        until(lambda: answers[0].told == [(b"done", True, "")])
        assert answers[1].told == []


def test_what_is_held_does_not_wait_for_ever(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HOLD_TIME", 0.1)
    monkeypatch.setattr(module, "MOST_HELD", 2)
    with edge(server) as (asker, _):
        asker.asker.lane.stop()
        asker.asker.lane.up = False
        answers = [Answers() for _ in range(3)]
        for one in answers:
            asker.caller.call(LEASE, "ask", b"x", LONG, one)
        until(lambda: all(one.told == [(None, True, UNREACHABLE)] for one in answers))
        last = Answers()
        monkeypatch.setattr(module, "HOLD_TIME", LONG)
        asker.caller.call(LEASE, "ask", b"x", LONG, last)
        asker.stop()
        until(lambda: last.told == [(None, True, UNREACHABLE)])


def test_when_nobody_takes_it_in_time_it_is_taken_back(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served = Served(bus)
        bus.callee.stop()
        asker.caller.call(LEASE, "ask", b"x" * 100, 0.2, answers := Answers())
        until(lambda: answers.told == [(None, True, UNREACHABLE)])
        assert server.ask("XLEN", KEYS.calls(LEASE)) == 0
        assert server.ask("GET", KEYS.calls_bytes(LEASE)) == b"0"
        assert served.asked == []


def test_when_the_answers_take_too_long_it_is_unknown_and_the_collector_told(
    server: RedisServer,
) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, answers, cancelled = Served(bus), Answers(), Answers()
        asker.caller.call(LEASE, "ask", b"", 5.0, answers)  # may be taken late
        until(lambda: served.replies)
        served.replies[0].on_cancel(lambda: cancelled(None, True, ""))
        served.replies[0].send(b"one")
        until(lambda: answers.over)
        assert answers.told == [(b"one", False, ""), (None, True, UNKNOWN)]
        until(lambda: served.replies[0].cancelled)
        assert served.replies[0].expired
        assert len(cancelled.told) == 1
        served.replies[0].send(b"late", last=True)
        assert bus.callee.at_work == 0


def test_cancelled_before_and_after_it_was_taken(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, answers = Served(bus), Answers()
        cancel = asker.caller.call(LEASE, "ask", b"", LONG, answers)
        until(lambda: served.replies)
        assert not served.replies[0].cancelled
        cancel()
        cancel()
        until(lambda: served.replies[0].cancelled)
        told: list[bool] = []
        served.replies[0].on_cancel(lambda: told.append(True))
        assert told == [True]
        bus.callee.stop()
        asker.caller.call(LEASE, "ask", b"never", LONG, answers)()
        until(lambda: asker.asker.lane.waiting == 0)
        until(lambda: server.ask("XLEN", KEYS.calls(LEASE)) == 0)
        assert answers.told == []
        assert asker.caller.at_work == 0
        assert served.asked == [b""]


def test_a_lost_collector_is_told_soon(server: RedisServer) -> None:
    """What it had taken is unknown, what it had not is taken back; the next one does neither."""
    with edge(server) as (asker, _):
        with collector(server, lease_time=LONG) as (bus, _):
            served, first, second = Served(bus), Answers(), Answers()
            asker.caller.call(LEASE, "ask", b"taken", LONG, first)
            until(lambda: served.replies)
            for worker in (bus.callee, bus.leases, bus.writer):
                worker.stop()  # as if it were dead: it gives nothing back
            asker.caller.call(LEASE, "ask", b"not taken", LONG, second)
            until(lambda: server.ask("XLEN", KEYS.calls(LEASE)) == 1)
            assert first.told == second.told == []
            run_out(server)
            server.ask("DEL", KEYS.members)  # it is missed there, too
            until(lambda: first.told == [(None, True, UNKNOWN)])
            until(lambda: second.told == [(None, True, UNREACHABLE)])
        with collector(server, lease_time=LONG) as (bus, _):
            following = Served(bus)
            asker.caller.call(LEASE, "ask", b"new", LONG, third := Answers())
            until(lambda: following.replies)
            following.replies[0].send(b"done", last=True)
            until(lambda: third.over)
            assert following.asked == [b"new"]
        assert (asker.caller.unknown, asker.caller.unreachable) == (1, 1)


def test_what_was_for_the_collector_before_is_not_done(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served = Served(bus)
        bus.callee.stop()
        asker.caller.call(LEASE, "ask", b"old", LONG, answers := Answers())
        until(lambda: server.ask("XLEN", KEYS.calls(LEASE)))
        run_out(server)
        with collector(server, lease_time=LONG) as (new, _):
            following = Served(new)
            until(lambda: answers.over)
            assert answers.told == [(None, True, UNREACHABLE)]
            assert served.asked == following.asked == []


def test_a_stale_collector_takes_nothing(server: RedisServer) -> None:
    """As after SIGSTOP: the lease ran out, another has it, and this one does not know."""
    with collector(server, lease_time=LONG) as (stale, log), edge(server) as (asker, _):
        before = Served(stale)
        asker.caller.call(LEASE, "ask", b"first", LONG, answers := Answers())
        until(lambda: before.replies)
        run_out(server)
        with collector(server, lease_time=LONG) as (new, _):
            after = Served(new)
            for _ in range(20):
                asker.caller.call(LEASE, "ask", b"x", LONG, Answers())
            until(lambda: len(after.asked) + len(before.asked) == 21)
            assert before.asked == [b"first"]
            until(lambda: answers.told == [(None, True, UNKNOWN)])
            until(lambda: log.losses)
            assert before.replies[0].expired
            assert before.replies[0].cancelled


def test_an_outage_with_data_loses_no_answer(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, answers = Served(bus), Answers()
        asker.caller.call(LEASE, "ask", b"", LONG, answers)
        until(lambda: served.replies)
        server.keep_data()
        server.kill()
        until(lambda: not asker.asker.lane.up and not bus.lane.up)
        served.replies[0].send(b"one")
        served.replies[0].send(b"two", last=True)
        server.start()
        until(lambda: answers.over)
        assert answers.told == [(b"one", False, ""), (b"two", True, "")]


def test_lost_data_makes_what_was_taken_unknown(server: RedisServer) -> None:
    with collector(server, lease_time=0.9) as (bus, _), edge(server) as (asker, _):
        served, answers = Served(bus), Answers()
        asker.caller.call(LEASE, "ask", b"", LONG, answers)
        until(lambda: served.replies)
        server.kill()
        server.start()
        until(lambda: answers.told == [(None, True, UNKNOWN)])
        until(lambda: asker.health.up and bus.health.up and bus.holds(LEASE))
        asker.caller.call(LEASE, "ask", b"again", LONG, answers := Answers())
        until(lambda: len(served.replies) == 2 or answers.over)


def test_a_reply_that_is_lost_is_unknown_and_never_asked_again(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, answers = Served(bus), Answers()
        ask_all = asker.asker.lane.connection.ask_all

        def lost(commands: Any) -> Any:
            ask_all(commands)
            asker.asker.lane.connection.ask_all = ask_all  # type: ignore[method-assign]
            raise module.Away("the reply is lost", asked=True)

        asker.asker.lane.connection.ask_all = lost  # type: ignore[method-assign]
        asker.caller.call(LEASE, "ask", b"once", LONG, answers)
        until(lambda: answers.told == [(None, True, UNKNOWN)])
        until(lambda: asker.asker.lane.up and served.asked)
        gevent.sleep(0.1)
        assert served.asked == [b"once"]


def test_answers_that_come_again_are_told_once(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, answers = Served(bus), Answers()
        asker.caller.call(LEASE, "ask", b"", LONG, answers)
        until(lambda: served.replies)
        ask_all = bus.lane.connection.ask_all

        def lost(commands: Any) -> Any:
            ask_all(commands)
            bus.lane.connection.ask_all = ask_all  # type: ignore[method-assign]
            raise module.Away("the reply is lost", asked=True)

        bus.lane.connection.ask_all = lost  # type: ignore[method-assign]
        served.replies[0].send(b"one")
        served.replies[0].send(b"two", last=True)
        until(lambda: answers.over)
        assert answers.told == [(b"one", False, ""), (b"two", True, "")]


def test_an_edge_that_is_gone_cancels_what_it_asked(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _):
        with edge(server) as (asker, _):
            served = Served(bus)
            asker.caller.call(LEASE, "ask", b"", LONG, answers := Answers())
            until(lambda: served.replies)
        assert answers.told == [(None, True, UNKNOWN)]
        stream = KEYS.answers(asker.caller._edge)
        server.ask("DEL", stream)  # as it runs out
        served.replies[0].send(b"one")
        until(lambda: served.replies[0].cancelled)
        assert (bus.callee.lost, bus.callee.at_work) == (1, 0)


def test_an_edge_that_does_not_read_loses_answers_and_learns_it(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amiws_gevent.bus.callee.MOST_UNREAD_BYTES", 10_000)
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, answers = Served(bus), Answers()
        asker.caller.call(LEASE, "ask", b"", LONG, answers)
        until(lambda: served.replies)
        asker.asker.listener.stop()
        for _ in range(30):
            served.replies[0].send(b"x" * 1000)
        until(lambda: bus.callee.answers + bus.callee.lost == 30)
        assert 0 < bus.callee.answers <= 12
        stream = KEYS.answers(asker.caller._edge)
        assert server.ask("XLEN", stream) == bus.callee.answers
        told = bus.callee.answers
        asker.asker.listener.stopping = False
        asker.asker.listener.start()
        until(lambda: len(answers.told) == told)
        served.replies[0].send(b"after the gap", last=True)
        until(lambda: answers.over)
        assert answers.told[-1] == (None, True, UNKNOWN)


def test_too_many_questions(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CALLS", 5)
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served = Served(bus)
        told = [Answers() for _ in range(8)]
        for answers in told:
            asker.caller.call(LEASE, "ask", b"", LONG, answers)
        until(lambda: len(served.replies) == 5)
        until(lambda: sum(answers.over for answers in told) == 3)
        assert all(one.told == [(None, True, UNREACHABLE)] for one in told[5:])


def test_too_much_that_no_collector_takes(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNTAKEN_BYTES", 1000)
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        bus.callee.stop()
        told = [Answers() for _ in range(8)]
        for answers in told:
            asker.caller.call(LEASE, "ask", b"x" * 400, LONG, answers)
        until(lambda: sum(answers.over for answers in told) == 5)
        assert server.ask("XLEN", KEYS.calls(LEASE)) == 3


def test_who_is_told_slowly_is_not_told_twice_nor_forgotten(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNTOLD_BYTES", 10_000)
    with collector(server, lease_time=LONG) as (bus, _), edge(server) as (asker, _):
        served, slow, told = Served(bus), gevent.event.Event(), []

        def on_answer(data: bytes | None, last: bool, problem: str) -> None:
            slow.wait()
            told.append((data, last, problem))

        asker.caller.call(LEASE, "ask", b"", LONG, on_answer)
        until(lambda: served.replies)
        for i in range(300):
            served.replies[0].send(b"%05d" % i * 200, last=i == 299)
        until(lambda: bus.callee.answers == 300)
        assert asker.caller.untold < 200_000
        slow.set()
        until(lambda: told and told[-1][1])
        assert [data for data, _, _ in told] == [b"%05d" % i * 200 for i in range(300)]


def test_a_deadline_is_kept_by_the_collector_too(server: RedisServer) -> None:
    offset = 0.0
    clock: Callable[[], float] = lambda: 1000.0 + offset  # noqa: E731 - as a test moves it
    with (
        collector(server, lease_time=6000.0, clock=clock) as (bus, _),
        edge(server) as (asker, _),
    ):
        served = Served(bus)
        asker.caller.call(LEASE, "ask", b"", 60.0, Answers())
        until(lambda: served.replies)
        assert not served.replies[0].expired
        offset = 60.0
        assert served.replies[0].expired
        assert bus.holds(LEASE)
        until(lambda: served.replies[0].cancelled)


def test_what_comes_after_its_time_is_not_begun(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _):
        served = Served(bus)
        old = int(server.ask("TIME")[0]) * 1000 - 5000
        known = fence(server) or b""
        fields = ("f", known, "e", "gone", "i", "1", "m", "ask", "t", "4000")
        fields += ("r", life(server), "d", "late")
        server.ask("XADD", KEYS.calls(LEASE), f"{old}-1", *fields)
        until(lambda: bus.callee.refused == 1)
        assert served.asked == []


def test_the_end_tells_all_who_wait(server: RedisServer) -> None:
    with collector(server, lease_time=LONG) as (bus, _):
        served, answers = Served(bus), Answers()
        with edge(server) as (asker, _):
            asker.caller.call(LEASE, "ask", b"", LONG, answers)
            until(lambda: served.replies)
        assert answers.told == [(None, True, UNKNOWN)]
        asker.caller.call(LEASE, "ask", b"", LONG, after := Answers())
        assert after.told == []
