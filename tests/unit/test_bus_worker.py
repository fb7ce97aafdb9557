"""Greenlets with a connection to Redis, and whether Redis is there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from amiws_gevent.bus.connection import Away, Connection
from amiws_gevent.bus.worker import Guard, Health, Teller, Worker
from amiws_gevent.runtime.outages import AGAIN, AT_ONCE
from tests.support.bus import working
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer


def test_faults_of_others_are_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard()
    for _ in range(3):
        guard(lambda what: what / 0, 1)
    assert guard.faults == 3
    assert len(caplog.records) == 1
    assert "internal error in" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_what_is_told_comes_in_order_whatever_one_raises() -> None:
    told: list[int] = []
    teller = Teller(Guard())
    teller.start()
    teller.tell(told.append, 1)
    teller.tell(lambda: 1 / 0)
    teller.tell(told.append, 2)
    assert told == []
    teller.stop(5.0)
    assert told == [1, 2]


def test_who_is_told_may_stop_it() -> None:
    teller = Teller(Guard())
    teller.start()
    teller.tell(teller.stop, 5.0)
    teller.stop(5.0)


def test_redis_is_there_when_all_have_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "amiws_gevent.bus")
    told: list[tuple[bool, str]] = []
    health = Health("redis://h", lambda up, reason: told.append((up, reason)))
    for name in "ab":
        health.expect(name, lambda: None)
    health.report("a", None)
    assert not health.up
    health.report("b", None)
    assert told.pop() == (True, "")
    for _ in range(3):  # each fails in a way of its own: that is told once
        health.report("a", "it is gone")
        health.report("b", "it is loading")
    assert told == [(False, "it is gone")]
    health.report("a", None)
    assert told.pop() == (False, "it is loading")
    health.report("b", None)
    assert told.pop() == (True, "")
    assert health.losses == 1
    assert [record.getMessage() for record in caplog.records] == [
        "Redis at redis://h: connected",
        "Redis at redis://h: it is gone",
        "Redis at redis://h: it is loading",
        "Redis at redis://h: connected",
    ]


def test_a_lasting_outage_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Who is told of it, as clients are, hears each reason."""
    caplog.set_level(logging.INFO, "amiws_gevent.bus")
    told: list[tuple[bool, str]] = []
    clock = Clock()
    health = Health("redis", lambda up, reason: told.append((up, reason)), clock=clock)
    for name in "ab":
        health.expect(name, lambda: None)
        health.report(name, None)
    for second in range(600):
        clock.now += 1
        health.report("ab"[second % 2], f"sentinel {second % 3}: {second % 80}")
    assert len(told) > 200
    assert AT_ONCE <= len(caplog.records) <= 2 + AT_ONCE + 600 / AGAIN
    for name in "ab":
        health.report(name, None)
    assert caplog.messages[-1] == "Redis at redis: connected"
    assert caplog.messages.count("Redis at redis: connected") == 2


class _Counting(Worker):
    """Counts its turns; ``fault`` is raised in the next."""

    def __init__(self, connection: Connection, health: Health) -> None:
        super().__init__("counting", connection, health)
        self.turns = 0
        self.fault: Exception | None = None
        self.lost: list[Away] = []
        self.ended = False

    def turn(self) -> float:
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        self.turns += 1
        return 0.05

    def away(self, away: Away) -> None:
        self.lost.append(away)

    def ending(self) -> None:
        self.ended = True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


@pytest.mark.slow
def test_it_works_on_after_any_fault(server: RedisServer) -> None:
    health = Health("redis", lambda up, reason: None)
    worker = _Counting(Connection(server.settings, "x", 5.0), health)
    with working(worker):
        for fault in (Away("for a test"), ValueError("a slip of ours")):
            until(lambda: worker.up)
            worker.fault = fault
            until(lambda: not worker.up)
            assert str(fault) in health.reason
        until(lambda: health.up)
    assert worker.ended
    assert [str(away) for away in worker.lost] == [
        "for a test",
        "internal error: a slip of ours",
    ]


@pytest.mark.slow
def test_an_idle_one_finds_out_that_redis_is_gone(server: RedisServer) -> None:
    worker = _Counting(Connection(server.settings, "x", 5.0), Health("redis", lambda *told: None))
    with working(worker):
        until(lambda: worker.turns > 2)
        server.kill()
        until(lambda: worker.lost)
        assert "the connection is lost" in str(worker.lost[0])
        server.start()
        until(lambda: worker.up)


@pytest.mark.slow
def test_it_ends_at_once_if_it_is_not_given_time(server: RedisServer) -> None:
    worker = _Counting(Connection(server.settings, "x", 5.0), Health("redis", lambda *told: None))
    worker.start()
    until(lambda: worker.up)
    gevent.sleep(0)
    worker.stop()
    assert not worker.ended
