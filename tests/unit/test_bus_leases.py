"""The lease: which collector publishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from amiws_gevent.bus.lease import boot_time, holder_of

from tests.support.bus import KEYS, LeaseLog, working
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def test_who_asks_first_has_it_and_gives_it_back(server: RedisServer) -> None:
    first, second = (LeaseLog(server, name, boot_time) for name in ("a:1:x", "b:2:y"))
    with working(first.lease):
        until(lambda: first.terms)
        assert first.lease.holds()
        assert holder_of(server.ask("GET", KEYS.lease)) == "a:1:x"
        with working(second.lease):
            until(lambda: second.lease.up)
            assert not second.lease.holds()
            first.lease.stop(5.0)
            assert not first.lease.holds()
            second.lease.wake.set()
            until(lambda: second.terms)
    assert second.terms[0] > first.terms[0]
    assert server.ask("EXISTS", KEYS.lease) == 0
    assert first.losses == second.losses == []


def test_one_that_is_dead_is_followed_after_its_time(server: RedisServer) -> None:
    dead = LeaseLog(server, "a", boot_time, duration=0.5)
    dead.lease.start()
    until(lambda: dead.terms)
    dead.lease.stop()  # at once: it gives nothing back
    assert server.ask("PTTL", KEYS.lease) > 0
    with working((follower := LeaseLog(server, "b", boot_time)).lease):
        until(lambda: follower.terms)
    assert follower.terms[0] > dead.terms[0]


def test_it_ends_for_its_holder_before_it_ends_in_redis(server: RedisServer) -> None:
    clock = Clock()
    log = LeaseLog(server, "a", clock, duration=1000.0)
    with working(log.lease):
        until(lambda: log.terms)
        clock.now += 899.0
        assert log.lease.holds()
        clock.now += 2.0
        assert not log.lease.holds()
        log.lease.doubt()
        until(log.lease.holds)
    assert log.losses == []


def test_it_counts_from_what_was_sent_not_from_the_reply(server: RedisServer) -> None:
    """A reply that took long must not make the lease longer than Redis has it."""
    clock = Clock()
    log = LeaseLog(server, "a", clock, duration=1000.0)
    asked = log.lease.connection.ask

    def slow(*command: bytes | str | int) -> object:
        reply = asked(*command)
        clock.now += 901.0
        return reply

    log.lease.connection.ask = slow  # type: ignore[method-assign]
    with working(log.lease):
        until(lambda: log.terms)
        assert not log.lease.holds()
        log.lease.connection.ask = asked  # type: ignore[method-assign]


def test_one_that_has_run_out_goes_on_under_a_new_term_if_nobody_had_it(
    server: RedisServer,
) -> None:
    log = LeaseLog(server, "a", boot_time)
    with working(log.lease):
        until(lambda: log.terms)
        server.ask("DEL", KEYS.lease)
        log.lease.doubt()
        until(lambda: log.lease.term > log.terms[0])
        assert server.ask("GET", KEYS.lease) == server.ask("GET", KEYS.fence) == log.lease.fence
        assert log.lease.holds()
        assert len(log.terms) == 1
    assert log.losses == []


def test_a_renewal_whose_reply_was_lost_is_taken_up(server: RedisServer) -> None:
    log = LeaseLog(server, "a", boot_time)
    with working(log.lease):
        until(lambda: log.terms)
        server.ask("SET", KEYS.fence, f"{10**14} a")
        server.ask("SET", KEYS.lease, f"{10**14} a", "PX", "60000")
        log.lease.doubt()
        until(lambda: log.lease.term == 10**14)
    assert log.losses == []


def test_older_data_brings_no_older_term_back(server: RedisServer) -> None:
    """Redis comes back as it was when another, who does not know better, had the lease."""
    first, second = (LeaseLog(server, name, boot_time, duration=1.0) for name in "ab")
    first.lease.start()
    until(lambda: first.terms)
    server.keep_data()
    first.lease.stop()  # as if it stood still from now on
    old = first.lease.fence
    with working(second.lease):
        until(lambda: second.terms)
        server.kill()
        server.start()
        assert server.ask("GET", KEYS.fence) == old
        first.lease.stopping = False
        with working(first.lease):
            until(lambda: second.losses or first.losses)
            until(lambda: first.lease.holds() or second.lease.holds())
            assert not (first.lease.holds() and second.lease.holds())
            assert int(server.ask("GET", KEYS.fence).split()[0]) > second.terms[0]


def test_it_is_lost_to_another(server: RedisServer) -> None:
    log = LeaseLog(server, "a", boot_time)
    with working(log.lease):
        until(lambda: log.terms)
        server.ask("SET", KEYS.fence, f"{log.terms[0] + 1} other")
        server.ask("SET", KEYS.lease, f"{log.terms[0] + 1} other")
        log.lease.doubt()
        until(lambda: log.losses)
        assert log.losses == ["other has the lease"]
        assert not log.lease.holds()
        assert log.lease.fence is None
        server.ask("DEL", KEYS.lease)
        log.lease.wake.set()
        until(lambda: len(log.terms) == 2)
        assert log.terms[1] > log.terms[0] + 1


def test_terms_never_go_back_when_redis_loses_its_data(server: RedisServer) -> None:
    log = LeaseLog(server, "a", boot_time)
    with working(log.lease):
        until(lambda: log.terms)
        before = log.lease.fence
        # A clock that was far ahead, once.
        server.ask("SET", KEYS.fence, f"{10**15} gone")
        server.ask("DEL", KEYS.lease)
        log.lease.doubt()
        until(lambda: len(log.terms) == 2)
        assert log.losses == ["gone has the lease"]
        server.ask("FLUSHALL")
        log.lease.doubt()
        until(lambda: log.lease.term > 10**15 + 1)
        assert log.lease.holds()
        assert log.lease.fence not in (before, None)
    assert len(log.terms) == 2
    assert len(log.losses) == 1


def test_who_comes_first_after_a_loss_of_data_has_it(server: RedisServer) -> None:
    log = LeaseLog(server, "a", boot_time)
    with working(log.lease):
        until(lambda: log.terms)
        server.ask("FLUSHALL")
        server.ask("SET", KEYS.lease, "5 other")
        log.lease.doubt()
        until(lambda: log.losses)
        assert not log.lease.holds()


def test_who_waits_does_not_take_it_at_once_when_redis_has_lost_its_data(
    server: RedisServer,
) -> None:
    """Whoever had it may act until its lease would have ended, unless it is there first."""
    clock = Clock()
    first, second = (LeaseLog(server, name, clock, duration=1000.0) for name in "ab")
    with working(first.lease):
        until(lambda: first.terms)
        with working(second.lease):
            until(lambda: second.lease._seen)
            server.ask("FLUSHALL")
            second.lease.wake.set()
            until(lambda: second.lease._lost_at is not None)
            clock.now += 999.0
            second.lease.wake.set()
            gevent.sleep(0.1)
            assert second.terms == []
            assert not first.lease.holds()
            clock.now += 1.0
            second.lease.wake.set()
            until(lambda: second.terms)
            assert second.terms[0] > first.terms[0]
            first.lease.doubt()
            until(lambda: first.losses)


def test_a_grant_whose_reply_was_lost_is_taken_up(server: RedisServer) -> None:
    log = LeaseLog(server, "a:1:x", boot_time)
    server.ask("SET", KEYS.fence, "77 a:1:x")
    server.ask("SET", KEYS.lease, "77 a:1:x", "PX", "600000")
    with working(log.lease):
        until(lambda: log.terms)
    assert log.terms == [77]


def test_redis_away_leaves_it_in_doubt_and_no_more(server: RedisServer) -> None:
    clock = Clock()
    log = LeaseLog(server, "a", clock, duration=1000.0)
    with working(log.lease):
        until(lambda: log.terms)
        server.keep_data()
        server.kill()
        log.lease.doubt()
        until(lambda: not log.lease.up)
        assert log.lease.holds()
        clock.now += 901
        assert not log.lease.holds()
        server.start()
        until(log.lease.holds)
    assert log.losses == []
    assert len(log.terms) == 1
