"""What edges share, over a real Redis: each of them has what the others have told."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from pydantic import SecretStr

from amiws_gevent.bus import shared
from amiws_gevent.bus.sharing import Failures, Full, Logout, NonceUse, Rate, Unshared
from tests.support.bus import health
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.redis_server import RedisServer
from tests.support.sharing import Events, is_back, key, pass_time, sharing
from tests.unit.test_bus_check import rights

pytestmark = pytest.mark.slow

USER = Rate("anna", 1000.0, 2)
NETWORK = Rate("192.0.2.7", 100.0, 20)
FAILURES = Failures(USER, NETWORK, False, 100)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def use(secret: bytes, number: int, nonce: str = "n", issued: float | None = None) -> NonceUse:
    return NonceUse(secret, nonce, time.time() if issued is None else issued, number, 300.0, 256)


def test_edges_have_one_secret_until_redis_loses_its_data(server: RedisServer) -> None:
    first, second = Events(), Events()
    with sharing(server, first) as one, sharing(server, second):
        assert first.secrets == second.secrets
        assert len(first.secrets[0]) == 32
        assert one.spend(use(first.secrets[0], 1))
        server.kill()
        until(lambda: not one.health.up)
        server.start()
        until(lambda: len(first.secrets) == len(second.secrets) == 2)
        assert first.secrets[1] == second.secrets[1] != first.secrets[0]
        until(lambda: is_back(one))
        assert not one.spend(use(first.secrets[0], 2)), "its counts are lost"
    with sharing(server, third := Events()):
        assert third.secrets == first.secrets[1:], "it stays with Redis, not with an edge"
        server.ask("FLUSHALL")
        until(lambda: len(third.secrets) == 2)


def test_a_count_is_good_once_wherever(server: RedisServer) -> None:
    with sharing(server, events := Events()) as one, sharing(server) as other:
        secret = events.secrets[0]
        assert one.spend(use(secret, 1))
        assert not other.spend(use(secret, 1))
        assert other.spend(use(secret, 2))
        assert [one.spend(use(b"another", 3)), one.spend(use(secret, 3))] == [False, True]
        old, ahead = time.time() - 421, time.time() + 121
        assert not one.spend(use(secret, 1, "old", old)), "Redis has forgotten what was used then"
        assert not one.spend(use(secret, 1, "ahead", ahead)), "it would be kept for too long"


def test_wrong_passwords_count_together(server: RedisServer) -> None:
    with sharing(server) as one, sharing(server) as other:
        assert one.judge(FAILURES, wrong=True) == other.judge(FAILURES, wrong=True) == 0
        for edge in (one, other):
            for wrong in (True, False):
                assert 800 < edge.judge(FAILURES, wrong=wrong) <= 1000
        bob = FAILURES._replace(user=Rate("bob", 1000.0, 2))
        assert one.judge(bob, wrong=False) == 0
        pass_time(server, 1000.0)
        assert one.judge(FAILURES, wrong=False) == 0


def test_guesses_at_the_same_time_are_no_more(server: RedisServer) -> None:
    with sharing(server) as one, sharing(server) as other:
        tries = [
            gevent.spawn(edge.judge, FAILURES, wrong=True)
            for edge in (one, other)
            for _ in range(50)
        ]
        gevent.joinall(tries)
        assert [found.value for found in tries].count(0.0) == 2


def test_actions_count_together(server: RedisServer) -> None:
    rates = {"user": Rate("anna", 500.0, 3), "address": Rate("192.0.2.7", 50.0, 30)}
    with sharing(server) as one, sharing(server) as other:
        assert [edge.take(rates, 10) for edge in (one, other, one)] == [None, None, None]
        full = other.take(rates, 10)
        assert full is not None
        assert full[0] == "user"
        assert 300 < full[1] <= 500
        alone = {"address": Rate("192.0.2.7", 50.0, 3)}
        full = other.take(alone, 10)
        assert full is not None
        assert full[0] == "address", "what was refused did not count"


def test_actions_at_work_count_together_and_end(server: RedisServer) -> None:
    bounds = {"user": ("anna", 2), "address": ("192.0.2.7", 3)}
    bob = {"user": ("bob", 2), "address": ("192.0.2.7", 3)}
    with sharing(server) as one, sharing(server) as other:
        work = one.work_begins(bounds, 60.0)
        other.work_begins(bounds, 60.0)
        with pytest.raises(Full) as caught:
            other.work_begins(bounds, 60.0)
        assert caught.value.whose == "user"
        other.work_begins(bob, 60.0)
        with pytest.raises(Full) as caught:
            one.work_begins(bob, 60.0)
        assert caught.value.whose == "address"
        one.work_ends(work)
        one.work_ends(work)  # twice is once
        one.work_begins(bounds, 60.0)
        with pytest.raises(Full):
            one.work_begins(bounds, 60.0)
    with sharing(server) as one:
        pass_time(server, 61.0)  # those edges are gone, and said nothing
        one.work_begins(bounds, 60.0)
        assert server.ask("ZCARD", key("work")) == 1
        assert server.ask("HLEN", key("at-work")) == 2


def test_logouts_are_with_all_edges_at_once_and_with_later_ones(server: RedisServer) -> None:
    first, second = Events(), Events()
    told = [Logout("anna", b"1", 0.0, 600.0), Logout("bür\udc80", b"2", 5.0, 600.0)]
    names = [("anna", b"1"), ("bür\udc80", b"2")]
    with sharing(server, first) as one, sharing(server, second):
        one.tell_logouts(told)
        until(lambda: first.names == second.names == names)
        assert second.logouts[1].age == pytest.approx(5.0, abs=2)
        assert second.logouts[1].rest == pytest.approx(600.0, abs=2)
        one.tell_logouts(told)  # is nothing new
        one.tell_logouts([Logout("carl", b"3", 0.0, 60.0)])
        until(lambda: second.names == [*names, ("carl", b"3")])
    with sharing(server, third := Events()):
        assert third.names == [*names, ("carl", b"3")]
        assert third.forgotten is None


def test_what_redis_has_lost_edges_tell_anew(server: RedisServer) -> None:
    mine = Logout("anna", b"1", 1.0, 600.0)
    first, second = Events(mine), Events()
    with sharing(server, first) as one, sharing(server, second):
        until(lambda: second.names == [("anna", b"1")])
        assert first.waiting == []
        server.kill()
        until(lambda: not one.health.up)
        with pytest.raises(Unshared):
            one.tell_logouts([Logout("bob", b"2", 0.0, 600.0)])
        first.waiting = [mine, Logout("bob", b"2", 0.0, 600.0)]
        server.start()
        until(lambda: ("bob", b"2") in second.names)
        assert second.begun == 2


def test_too_many_logouts_open_nothing_again(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "MOST_LOGOUTS", 3)
    with sharing(server, events := Events()) as one:
        for number in range(5):
            one.tell_logouts([Logout("anna", b"%d" % number, 100.0 - number, 600.0)])
        last = [("anna", b"%d" % number) for number in (2, 3, 4)]
        until(lambda: events.forgotten is not None and set(last) <= set(events.names))
        assert events.forgotten == pytest.approx(99.0, abs=2)
        assert server.ask("HLEN", key("until")) == server.ask("ZCARD", key("logouts")) == 3


def test_pages_of_logouts(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "LOGOUTS_AT_ONCE", 2)
    waiting = [Logout("anna", b"%d" % number, 0.0, 600.0) for number in range(5)]
    with sharing(server, Events(*waiting)), sharing(server, second := Events()):
        until(lambda: len(second.logouts) == 5)


def test_pieces_of_lists_are_with_all_edges(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "MOST_LIST_BYTES", 100)
    with sharing(server) as one, sharing(server) as other:
        assert one.keep_piece("a", 0, b"x" * 40, 60.0)
        assert one.keep_piece("a", 1, b"y" * 40, 60.0)
        assert other.pieces("a", [1, 0, 2], 60.0) == [b"y" * 40, b"x" * 40, None]
        assert other.pieces("b", [0], 60.0) == [None]
        assert other.keep_piece("b", 0, b"z" * 50, 60.0), "the older one goes"
        assert one.pieces("a", [0], 60.0) == [None]
        assert not one.keep_piece("a", 2, b"y", 60.0), "it is not whole any more"
        assert not one.keep_piece("c", 0, b"x" * 200, 60.0), "there is no room for it"
        assert server.ask("HGETALL", key("lists")) in ([b"bytes", b"0"], [])
        assert server.ask("ZCARD", key("lists-order")) == 0


def test_lists_are_forgotten(server: RedisServer) -> None:
    with sharing(server) as one:
        assert one.keep_piece("a", 0, b"x", 0.05)
        until(lambda: one.pieces("a", [0], 0.05) == [None] or gevent.sleep(0.1))
        assert one.keep_piece("a", 0, b"x", 60.0)
        server.ask("ZADD", key("lists-order"), 0, "a")
        assert one.keep_piece("b", 0, b"x", 60.0)
        assert one.pieces("a", [0], 60.0) == [None]
        assert one.pieces("b", [0], 60.0) == [b"x"]


def test_the_acl_of_the_docs_lets_an_edge_do_all_of_it(server: RedisServer) -> None:
    server.ask("ACL", "SETUSER", "edge", "reset", "on", "nopass", *rights()["edge"])
    settings = server.settings.model_copy(update={"username": "edge", "password": SecretStr("x")})
    made = shared.RedisShared(settings, health(), WAIT)
    made.start(events := Events(Logout("anna", b"1", 0.0, 600.0)))
    try:
        until(lambda: made.health.up and not events.waiting)
        assert made.spend(use(events.secrets[0], 1))
        assert made.judge(FAILURES, wrong=True) == 0
        assert made.take({"user": USER, "address": NETWORK}, 10) is None
        made.work_ends(made.work_begins({"user": ("anna", 1)}, 60.0))
        made.work_begins({"user": ("anna", 1)}, 60.0)
        assert made.keep_piece("a", 0, b"x", 60.0)
        assert made.pieces("a", [0], 60.0) == [b"x"]
        pass_time(server, 10_000.0)  # what is old is removed
        assert made.judge(FAILURES, wrong=True) == 0
        assert made.take({"user": USER, "address": NETWORK}, 10) is None
        made.work_begins({"user": ("anna", 1)}, 60.0)
    finally:
        made.stop()


def test_nobody_waits_for_a_redis_that_is_away(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with sharing(server, patience=0.2) as one:
        server.freeze()
        with pytest.raises(Unshared, match="does not answer"):
            one.judge(FAILURES, wrong=True)
        until(lambda: not one.health.up)
        with pytest.raises(Unshared):
            one.judge(FAILURES, wrong=True)
        assert one.unshared == 2
        lines = [r for r in caplog.records if "this one goes by what it knows" in r.getMessage()]
        assert [(line.levelno, line.name) for line in lines] == [
            (logging.WARNING, "amiws_gevent.bus")
        ]
        server.thaw()
        until(lambda: is_back(one))


def test_a_redis_that_never_was_there(tmp_path: Path) -> None:
    made = shared.RedisShared(RedisServer(tmp_path).settings, health())
    made.start(Events())
    try:
        assert not made.wait(0.01)
        with pytest.raises(Unshared):
            made.take({"user": USER}, 10)
    finally:
        made.stop()
