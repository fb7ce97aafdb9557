"""The leases: which collector publishes what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from amiws_gevent.bus.leases import boot_time, holder_of
from amiws_gevent.bus.scripts import MEET
from tests.support.bus import (
    FENCE,
    KEYS,
    LEASE,
    LeasesLog,
    collector,
    fence,
    run_out,
    take_away,
    working,
)
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow

LONG = 1000.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def is_held(server: RedisServer, lease: str = LEASE) -> bool:
    """Whether somebody has it, for Redis."""
    ends = int(server.ask("HGET", KEYS.leases, f"u:{lease}") or 0)
    return ends > int(server.ask("TIME")[0]) * 1000


def test_who_asks_first_has_it_and_gives_it_back(server: RedisServer) -> None:
    first, second = LeasesLog(server, "a:1:x"), LeasesLog(server, "b:2:y")
    with working(first.leases):
        until(lambda: first.terms)
        assert first.holds()
        assert holder_of(fence(server) or b"") == "a:1:x"
        with working(second.leases):
            second.look()
            assert not second.holds()
            first.leases.stop(5.0)
            assert not first.holds()
            until(lambda: second.terms)
    assert second.terms[0] > first.terms[0]
    assert not is_held(server)
    members, _, gone = server.ask(*MEET([KEYS.leases, KEYS.members], "c", 9000, ""))
    assert ([name for name, _ in members], gone) == ([b"c"], 2)


def test_one_that_is_dead_is_followed_after_its_time(server: RedisServer) -> None:
    dead = LeasesLog(server, "a", duration=0.5)
    dead.leases.start()
    until(lambda: dead.terms)
    dead.leases.stop()  # at once: it gives nothing back
    with working((follower := LeasesLog(server, "b", duration=0.5)).leases):
        until(lambda: follower.terms)
    assert follower.terms[0] > dead.terms[0]


def test_it_ends_for_its_holder_before_it_ends_in_redis(server: RedisServer) -> None:
    clock = Clock()
    log = LeasesLog(server, "a", clock, duration=LONG)
    with working(log.leases):
        until(lambda: log.terms)
        clock.now += 899.0
        assert log.holds()
        clock.now += 2.0
        assert not log.holds()
        assert log.leases.fence(LEASE) is None
        log.leases.doubt()
        until(log.holds)
    assert log.losses == []


def test_it_counts_from_what_was_sent_not_from_the_reply(server: RedisServer) -> None:
    """A reply that took long must not make the lease longer than Redis has it."""
    clock = Clock()
    log = LeasesLog(server, "a", clock, duration=LONG)
    asked = log.leases.connection.ask

    def slow(*command: bytes | str | int) -> object:
        reply = asked(*command)
        clock.now += 901.0
        return reply

    log.leases.connection.ask = slow  # type: ignore[method-assign]
    with working(log.leases):
        until(lambda: log.terms)
        assert not log.holds()
        log.leases.connection.ask = asked  # type: ignore[method-assign]


def test_one_that_has_run_out_goes_on_under_a_new_term_if_nobody_had_it(
    server: RedisServer,
) -> None:
    log = LeasesLog(server, "a")
    with working(log.leases):
        until(lambda: log.terms)
        run_out(server)
        log.look()
        assert log.leases.term(LEASE) > log.terms[0]
        assert fence(server) == log.fence
        assert log.holds()
        assert len(log.terms) == 1
    assert log.losses == []


def test_a_renewal_whose_reply_was_lost_is_taken_up(server: RedisServer) -> None:
    log = LeasesLog(server, "a")
    with working(log.leases):
        until(lambda: log.terms)
        take_away(server, 10**14, holder="a")
        log.look()
        assert log.leases.term(LEASE) == 10**14
        assert log.holds()


def test_a_grant_whose_reply_was_lost_is_taken_up(server: RedisServer) -> None:
    log = LeasesLog(server, "a:1:x")
    take_away(server, 77, holder="a:1:x")
    with working(log.leases):
        until(lambda: log.terms)
    assert log.terms == [77]


def test_it_is_lost_to_another(server: RedisServer) -> None:
    log = LeasesLog(server, "a")
    with working(log.leases):
        until(lambda: log.terms)
        take_away(server, log.terms[0] + 1)
        log.leases.doubt()
        until(lambda: log.losses)
        assert log.losses == ["other has the lease"]
        assert not log.holds()
        assert log.fence is None
        run_out(server)
        until(lambda: len(log.terms) == 2)
        assert log.terms[1] > log.terms[0] + 1


def test_it_is_lost_to_another_that_has_none_any_more(server: RedisServer) -> None:
    """Something was published meanwhile, so that it does not just go on."""
    log = LeasesLog(server, "a")
    with working(log.leases):
        until(lambda: log.terms)
        take_away(server, log.terms[0] + 1)
        run_out(server)
        log.leases.doubt()
        until(lambda: len(log.terms) == 2)
        assert log.losses == ["other has the lease"]


def test_terms_never_go_back_when_redis_loses_its_data(server: RedisServer) -> None:
    log = LeasesLog(server, "a")
    with working(log.leases):
        until(lambda: log.terms)
        before = log.fence
        # A clock that was far ahead, once.
        server.ask("HSET", KEYS.leases, FENCE, f"{10**15} gone")
        run_out(server)
        log.leases.doubt()
        until(lambda: len(log.terms) == 2)
        server.ask("FLUSHALL")
        log.look()
        assert log.leases.term(LEASE) > 10**15 + 1
        assert log.holds()
        assert log.fence not in (before, None)
    assert len(log.terms) == 2
    assert log.losses == ["gone has the lease"]


def test_who_comes_first_after_a_loss_of_data_has_it(server: RedisServer) -> None:
    log = LeasesLog(server, "a")
    with working(log.leases):
        until(lambda: log.terms)
        server.ask("FLUSHALL")
        take_away(server, log.terms[0] + 1)
        log.leases.doubt()
        until(lambda: log.losses)
        assert not log.holds()


@pytest.mark.parametrize("how", ["new", "flushed", "other server", "older data"])
def test_a_redis_that_may_not_know_of_all_grants_nothing_at_once(
    server: RedisServer, how: str
) -> None:
    """Who had the lease may act until it would have ended: a new collector cannot know of it."""
    first = LeasesLog(server, "a", duration=LONG, settled=how != "new")
    server.keep_data()
    if how != "new":
        with working(first.leases):
            until(lambda: first.terms)
    if how == "flushed":
        server.ask("FLUSHALL")
    elif how != "new":  # as of before the lease, as a replica may be
        server.kill()
        server.start()
    if how == "other server":
        server.ask("HSET", KEYS.leases, "run", "0123456789abcdef 0")
    second = LeasesLog(server, "b", duration=LONG, settled=False)
    with working(second.leases):
        until(lambda: second.leases._grants_at > 0)
        second.look()
        assert second.terms == []
        server.settle()  # the time is over
        second.leases._grants_at = 0.0
        until(lambda: second.terms)
        assert second.terms[0] > max(first.terms, default=0)


def test_collectors_that_wait_for_a_young_redis_share_what_it_grants(server: RedisServer) -> None:
    """While it grants nothing, nobody has left anything to others."""
    names = [f"server-{number}" for number in range(4)]
    clock = Clock()
    first, second = (
        LeasesLog(server, name, clock, leases=names, duration=LONG, settled=False) for name in "ab"
    )
    with working(first.leases), working(second.leases):
        for log in (first, second):
            until(lambda log=log: log.leases._grants_at > 0)
        for log in (first, second):
            log.look()  # each knows of the other
        server.settle()
        clock.now = first.leases._grants_at + 0.1
        first.look()
        assert len(first.leases.held) == 2
        clock.now = second.leases._grants_at + 0.1
        second.look()
        assert len(second.leases.held) == 2


def test_who_certainly_has_the_lease_goes_on_when_redis_has_lost_its_data(
    server: RedisServer,
) -> None:
    clock = Clock()
    first, second = (LeasesLog(server, name, clock, duration=LONG) for name in "ab")
    with working(first.leases), working(second.leases):
        until(lambda: first.terms or second.terms)
        holder, other = (first, second) if first.terms else (second, first)
        server.ask("FLUSHALL")
        other.look()
        holder.look()
        assert holder.holds()
        assert (len(holder.terms), other.terms, holder.losses) == (1, [], [])
        # One whose lease has run out meanwhile waits like all others.
        server.ask("FLUSHALL")
        clock.now += 901.0
        holder.look()
        assert not holder.holds()
        assert holder.losses == []
        server.settle()
        holder.look()
        assert holder.holds()


def test_an_older_replica_takes_nothing_from_who_has_the_lease(server: RedisServer) -> None:
    """The one of before has given it back, which this Redis does not know any more."""
    first, second = (LeasesLog(server, name, duration=LONG) for name in "ab")
    with working(first.leases):
        until(lambda: first.terms)
        older = fence(server)
        ends = server.ask("HGET", KEYS.leases, f"u:{LEASE}")
    with working(second.leases):
        until(lambda: second.terms)
        server.ask("HSET", KEYS.leases, FENCE, older or b"", f"u:{LEASE}", ends, "run", "x 0")
        second.look()
        assert second.holds()
        assert (fence(server), second.losses) == (second.fence, [])


def test_redis_away_leaves_it_in_doubt_and_no_more(server: RedisServer) -> None:
    clock = Clock()
    log = LeasesLog(server, "a", clock, duration=LONG)
    with working(log.leases):
        until(lambda: log.terms)
        server.keep_data()
        server.kill()
        log.leases.doubt()
        until(lambda: not log.leases.up)
        assert log.holds()
        clock.now += 901
        assert not log.holds()
        server.start()
        server.settle()
        until(log.holds)
    assert log.losses == []
    assert len(log.terms) == 1


def test_many_leases_are_renewed_by_one_command(server: RedisServer) -> None:
    names = [f"server-{i}" for i in range(300)]
    log = LeasesLog(server, "a", leases=names, duration=LONG)
    with working(log.leases):
        until(lambda: len(log.terms) == 300)
        asked: list[object] = []
        ask = log.leases.connection.ask
        log.leases.connection.ask = lambda *command: (asked.append(command), ask(*command))[1]  # type: ignore[method-assign]
        log.look()
        renewals = [command for command in asked if len(command) > 300]  # type: ignore[arg-type]
        assert len(renewals) == 1
        assert all(log.leases.holds(name) for name in names)


def test_who_is_alone_waits_for_nothing_and_follows_itself(server: RedisServer) -> None:
    clock = Clock()
    take_away(server, 5, holder="the one before")
    log = LeasesLog(server, "a", clock, duration=LONG, alone=True, settled=False)
    with working(log.leases):
        until(lambda: log.terms)
        clock.now += 10**6
        assert log.holds()
        server.ask("FLUSHALL")
        log.look()
        assert log.losses == []
        # Once, and no more: then it is the one before.
        take_away(server, 10**14)
        log.look()
        assert log.losses == ["other has the lease"]
        log.look()
        assert not log.holds()
        assert len(log.terms) == 1


def test_what_is_not_wanted_any_more_is_given_back(server: RedisServer) -> None:
    log = LeasesLog(server, "a", leases=["x", "y"], duration=LONG)
    with working(log.leases):
        until(lambda: len(log.terms) == 2)
        log.leases.want(["y", "z"])
        assert log.losses == ["it is not wanted any more"]
        assert not log.leases.holds("x")
        until(lambda: log.leases.holds("z"))
        until(lambda: not is_held(server, "x"))
        assert log.leases.holds("y")


def test_what_is_granted_while_it_is_no_longer_wanted_is_given_back(server: RedisServer) -> None:
    log = LeasesLog(server, "a", leases=["x"], duration=LONG)
    asked = log.leases.connection.ask

    def changing(*command: bytes | str | int) -> object:
        reply = asked(*command)
        if "asks" in command:
            log.leases.want(["y"])
        return reply

    log.leases.connection.ask = changing  # type: ignore[method-assign]
    with working(log.leases):
        until(lambda: log.leases.holds("y"))
        until(lambda: not is_held(server, "x"))
        assert log.losses == ["it is not wanted any more"]
        assert log.leases.up


def test_two_collectors_come_to_have_as_many(server: RedisServer) -> None:
    names = [f"server-{i}" for i in range(5)]
    clock = Clock()
    first, second = (LeasesLog(server, name, clock, leases=names, duration=LONG) for name in "ab")

    def held() -> list[int]:
        return sorted(len(log.leases.held) for log in (first, second))

    with working(first.leases):
        until(lambda: len(first.terms) == 5)
        with working(second.leases):
            second.look()
            first.look()
            assert first.asked == []  # not before there was no change for a while
            clock.now += 3 * LONG / 4
            while held() != [2, 3]:
                second.look()
                first.look()
                for lease in first.asked:
                    first.leases.give_back(lease)
                second.look()
                clock.now += LONG / 4
            assert second.losses == []
        first.look()
        assert len(first.leases.held) == 5  # at once


def test_collectors_that_all_start_again_share_at_once(server: RedisServer) -> None:
    names = [f"server-{i}" for i in range(4)]
    clock = Clock()

    def made(holder: str) -> LeasesLog:
        return LeasesLog(server, holder, clock, leases=names, duration=LONG)

    def shares(*logs: LeasesLog) -> list[int]:
        with ExitStack() as stack:
            for log in logs:
                stack.enter_context(working(log.leases))
                log.look()
            return [len(log.leases.held) for log in logs]

    assert shares(made("a")) == [4]
    assert shares(made("b")) == [4], "it was alone before"
    server.ask("DEL", KEYS.members)
    assert shares(made("a"), made("b")) == [4, 0]
    assert shares(made("c"), made("d")) == [2, 2]
    server.ask("DEL", KEYS.members)
    assert shares(made("a"), made("b")) == [4, 0]
    alone = made("c")
    with working(alone.leases):
        alone.look()
        assert len(alone.leases.held) == 2
        clock.now += LONG
        alone.look()
        assert len(alone.leases.held) == 4, "the other has not come"


def test_what_is_not_given_back_in_time_is_given_back(server: RedisServer) -> None:
    clock = Clock()
    log = LeasesLog(server, "a", clock, duration=LONG)
    with working(log.leases):
        until(lambda: log.terms)
        log.leases._yield(log.leases.held[LEASE])
        assert log.asked == [LEASE]
        log.look()
        assert log.holds()
        clock.now += 5.0
        log.look()
        until(lambda: not is_held(server))
        assert log.losses[0] == "it was to be given to another collector, and was not in time"


def test_what_waits_is_written_before_the_lease_is_given_back(server: RedisServer) -> None:
    with collector(server, lease_time=600.0) as (bus, log):
        for i in range(5000):
            bus.writer.append("s", b"%d" % i)
        bus.give_back(LEASE)
        assert not bus.holds(LEASE)
        assert bus.held == {}
        bus.writer.append("s", b"late")
        until(lambda: not is_held(server))
        newest = server.ask("XREVRANGE", KEYS.stream("s"), "+", "-", "COUNT", 1)
        assert newest[0][1][1] == b"4999"
        assert (bus.dropped, bus.waiting, log.losses) == (1, 0, [])


def test_the_clock_runs_while_the_machine_is_suspended() -> None:
    assert boot_time() > 0
