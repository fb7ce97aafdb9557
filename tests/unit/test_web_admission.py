"""Who may come in and when: decided by numbers alone."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.config import Limits
from amiws_gevent.web.admission import (
    ADDRESS,
    ARRIVAL_TIME,
    BURST_TIME,
    BUSY,
    CONNECTIONS,
    HANDSHAKES,
    MOST_WAITING,
    RATE,
    Admission,
    Evicted,
    Population,
    TokenBucket,
    most_connections_from,
)
from tests.support.clock import Clock
from tests.support.patience import WAIT


class FakePacer:
    waiting = 0


class Door:
    """An Admission and what it asks."""

    def __init__(self) -> None:
        self.clock = Clock(50.0)
        self.pacer: Any = FakePacer()
        self.population = Population()
        self.admission = Admission(self.population, self.pacer, clock=self.clock)

    def lets_in(self, host: str, limits: Limits) -> str | None:
        reason = self.admission.refusal(host, limits)
        if reason is None:
            self.population.add(host)
        return reason


@pytest.fixture
def door() -> Door:
    return Door()


# The rate


@pytest.mark.parametrize("rate", [1, 7, 1000])
def test_a_burst_and_then_the_rate(rate: int) -> None:
    clock = Clock(50.0)
    bucket = TokenBucket(clock)
    for _ in range(int(rate * BURST_TIME)):
        assert bucket.wait(rate) == 0
        bucket.take()
    for _ in range(3):
        assert bucket.wait(rate) == pytest.approx(1 / rate)
        clock.now += 1 / rate
        assert bucket.wait(rate) == pytest.approx(0)
        bucket.take()


def test_rest_gives_the_burst_back_and_no_more() -> None:
    clock = Clock(50.0)
    bucket = TokenBucket(clock)
    for _ in range(2):
        for _ in range(50):
            assert bucket.wait(10) == 0
            bucket.take()
        assert bucket.wait(10) > 0
        clock.now += 1000


def test_another_rate_holds_at_once() -> None:
    clock = Clock(50.0)
    bucket = TokenBucket(clock)
    for _ in range(50):
        bucket.take()
    assert bucket.wait(10) == pytest.approx(0.1)
    assert bucket.wait(20) == 0
    assert bucket.wait(1) == pytest.approx(46)


def test_too_fast_is_a_pause(door: Door) -> None:
    limits = Limits(connection_rate=2)
    for _ in range(10):
        assert door.admission.pause(limits) is None
        assert door.lets_in("192.0.2.1", limits) is None
    pause = door.admission.pause(limits)
    assert pause is not None
    assert pause.reason == RATE
    assert pause.seconds == pytest.approx(0.5)
    door.clock.now += pause.seconds
    assert door.admission.pause(limits) is None


# How many


def test_too_many_in_all(door: Door) -> None:
    limits = Limits(connections=4, connections_per_address=4)
    reasons = [door.lets_in(f"192.0.2.{number}", limits) for number in range(5)]
    assert reasons == [None] * 4 + [CONNECTIONS]
    door.population.remove("192.0.2.3")
    assert door.lets_in("192.0.2.9", limits) is None


def test_too_many_from_one_address(door: Door) -> None:
    limits = Limits(connections_per_address=2)
    assert [door.lets_in("192.0.2.1", limits) for _ in range(3)] == [None, None, ADDRESS]
    assert door.population.connections_from("192.0.2.1") == 2
    assert door.lets_in("192.0.2.2", limits) is None
    door.population.remove("192.0.2.1")
    assert door.lets_in("192.0.2.1", limits) is None


def test_addresses_without_a_connection_are_forgotten(door: Door) -> None:
    door.population.add("192.0.2.1")
    door.population.remove("192.0.2.1")
    assert not door.population._by_network


def test_half_of_all_are_for_others(door: Door) -> None:
    limits = Limits(connections=5)
    assert [door.lets_in("192.0.2.1", limits) for _ in range(3)] == [None, None, ADDRESS]
    assert most_connections_from("192.0.2.1", Limits(connections=1)) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "unix"])
def test_a_proxy_on_this_machine_may_bring_all(door: Door, host: str) -> None:
    limits = Limits(connections=4)
    assert [door.lets_in(host, limits) for _ in range(5)] == [None] * 4 + [CONNECTIONS]
    assert most_connections_from(host, Limits(connections_per_address=7)) == 7, "unless told so"


# Those that say nothing


def test_the_newest_waits_for_those_that_have_just_come(door: Door) -> None:
    limits = Limits(handshakes=2)
    for _ in range(2):
        assert door.admission.pause(limits) is None
        door.admission.arrives(limits)
    pause = door.admission.pause(limits)
    assert pause is not None
    assert pause.reason == HANDSHAKES
    door.admission.arrived(next(iter(door.population.arriving)))
    assert door.admission.pause(limits) is None


def test_the_oldest_goes_once_it_has_had_its_time(door: Door) -> None:
    limits = Limits(handshakes=2)
    first, _ = door.admission.arrives(limits)
    door.clock.now += ARRIVAL_TIME
    second, evicted = door.admission.arrives(limits)
    assert evicted == 0
    assert door.admission.pause(limits) is None
    third, evicted = door.admission.arrives(limits)
    assert evicted == 1
    assert list(door.population.arriving) == [second, third]
    assert door.admission.pause(limits) is not None, "the second has not had its time"
    _, evicted = door.admission.arrives(limits)
    assert evicted == 0, "rather one more than one that is just coming"
    door.admission.arrived(first)  # gone already


def test_one_that_waits_for_the_cpu_is_not_the_one_to_go(door: Door) -> None:
    """What it waits there is not its own time, neither meanwhile nor afterwards."""
    limits = Limits(handshakes=2)
    first, _ = door.admission.arrives(limits)
    second, _ = door.admission.arrives(limits)

    def others_come() -> None:
        door.clock.now += ARRIVAL_TIME
        _, evicted = door.admission.arrives(limits)
        assert evicted == 1
        assert first in door.population.arriving
        assert second not in door.population.arriving

    door.pacer.wait = others_come
    door.admission.wait_for_turn(first)
    door.clock.now += ARRIVAL_TIME / 2
    door.admission.arrives(limits)
    assert first in door.population.arriving
    door.clock.now += ARRIVAL_TIME / 2
    door.admission.arrives(limits)
    assert first not in door.population.arriving


def test_all_that_are_over_a_lowered_limit_go(door: Door) -> None:
    for _ in range(3):
        door.admission.arrives(Limits(handshakes=3))
    door.clock.now += ARRIVAL_TIME
    _, evicted = door.admission.arrives(Limits(handshakes=1))
    assert evicted == 3
    assert len(door.population.arriving) == 1


class Waiting:
    """A greenlet within an arrival, which waits for what does not come, or does."""

    def __init__(self, door: Door) -> None:
        self.event = Event()
        self.ended: list[str] = []
        self._door = door
        self.arrival, _ = door.admission.arrives(Limits(handshakes=1))
        self.greenlet = gevent.spawn(self._run)
        gevent.sleep(0)

    def _run(self) -> None:
        self.arrival.greenlet = gevent.getcurrent()
        try:
            self.event.wait()
            self._door.admission.arrived(self.arrival)
            gevent.sleep(0.01)
            self.ended.append("served")
        except Evicted:
            self.ended.append("evicted")


def test_one_that_is_turned_out_is_told_in_its_greenlet(door: Door) -> None:
    waiting = Waiting(door)
    door.clock.now += ARRIVAL_TIME
    door.admission.arrives(Limits(handshakes=1))
    waiting.greenlet.join(WAIT)
    assert waiting.ended == ["evicted"]


def test_one_that_comes_to_the_end_at_the_last_moment_is_served(door: Door) -> None:
    waiting = Waiting(door)
    waiting.event.set()
    door.clock.now += ARRIVAL_TIME
    door.admission.arrives(Limits(handshakes=1))
    waiting.greenlet.join(WAIT)
    assert waiting.ended == ["served"]


def test_one_that_has_not_begun_is_left_alone(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    door.admission.arrives(Limits(handshakes=1))
    door.clock.now += ARRIVAL_TIME
    _, evicted = door.admission.arrives(Limits(handshakes=1))
    assert evicted == 1
    gevent.sleep(0)
    assert not capsys.readouterr().err, "where gevent tells of an error"


def test_nobody_is_accepted_while_many_wait_for_the_cpu(door: Door) -> None:
    door.pacer.waiting = MOST_WAITING - 1
    assert door.admission.pause(Limits()) is None
    door.pacer.waiting = MOST_WAITING
    pause = door.admission.pause(Limits())
    assert pause is not None
    assert pause.reason == BUSY


# Proxies


def test_connections_of_a_proxy_count_for_its_clients(door: Door) -> None:
    limits = Limits(connections_per_address=1)
    for _ in range(5):
        assert door.admission.refusal("10.0.0.1", limits, proxy=True) is None
        door.population.add("10.0.0.1")
    assert door.admission.refusal("10.0.0.1", limits) == ADDRESS
    assert door.admission.move("10.0.0.1", "203.0.113.7", limits)
    assert not door.admission.move("10.0.0.1", "203.0.113.7", limits)
    assert door.admission.move("10.0.0.1", "2001:db8::7", limits)
    assert not door.admission.move("10.0.0.1", "2001:db8::8", limits)
    assert door.population.connections_from("10.0.0.1") == 3
    assert door.population.total == 5
    assert door.admission.move("203.0.113.7", "10.0.0.1")
    assert door.population.connections_from("203.0.113.7") == 0
    for host in (*["10.0.0.1"] * 4, "2001:db8::7"):
        door.population.remove(host)
    assert door.population.total == door.population.connections_from("10.0.0.1") == 0


def test_a_proxy_has_the_limit_of_all(door: Door) -> None:
    limits = Limits(connections=1)
    door.population.add("10.0.0.1")
    assert door.admission.refusal("10.0.0.1", limits, proxy=True) == CONNECTIONS
