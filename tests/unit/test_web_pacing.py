"""The pacer: what is let through at once, what waits, and in which order."""

from __future__ import annotations

import time

import gevent
import pytest
from gevent import socket

from amiws_gevent.web import pacing
from amiws_gevent.web.pacing import BUDGET, Pacer
from tests.support.clock import Clock
from tests.support.patience import WAIT
from tests.support.webserver import wait_for


@pytest.fixture
def clock() -> Clock:
    return Clock(50.0)


class Crowd:
    """Greenlets that want to work, ``cost`` seconds each; who did so, in order."""

    def __init__(self, clock: Clock, cost: float) -> None:
        self.pacer = Pacer(clock)
        self.done: list[int] = []
        self._clock = clock
        self._cost = cost

    def come(self, *numbers: int) -> list[gevent.Greenlet[..., None]]:
        return [gevent.spawn(self._work, number) for number in numbers]

    def _work(self, number: int) -> None:
        self.pacer.wait()
        self._clock.now += self._cost
        self.done.append(number)


def test_work_that_fits_into_a_turn_does_not_wait(clock: Clock) -> None:
    crowd = Crowd(clock, BUDGET / 10)
    for number in range(9):
        crowd._work(number)  # in this greenlet: to wait would let the loop run
    assert crowd.done == list(range(9))
    assert crowd.pacer.waiting == 0


def test_the_rest_waits_and_goes_on_in_order(clock: Clock) -> None:
    crowd = Crowd(clock, BUDGET / 2)
    crowd.come(*range(50))
    gevent.sleep(0)
    assert 2 <= len(crowd.done) < 25, "two a turn, and few turns"
    assert crowd.pacer.waiting == 50 - len(crowd.done)
    wait_for(lambda: len(crowd.done) == 50, "all")
    assert crowd.done == list(range(50))
    assert crowd.pacer.waiting == 0


def test_who_comes_later_does_not_overtake(clock: Clock) -> None:
    crowd = Crowd(clock, BUDGET)
    crowd.come(*range(5))
    gevent.sleep(0)
    clock.now += 10  # a new turn could begin, but others wait
    crowd.come(5)
    wait_for(lambda: len(crowd.done) == 6, "all")
    assert crowd.done == list(range(6))


def test_nor_does_one_who_comes_again(clock: Clock) -> None:
    """A TLS handshake has several steps."""
    crowd = Crowd(clock, BUDGET / 10)

    def work_twice(number: int) -> None:
        crowd._work(number)
        crowd._work(number)

    crowd._work(-1)
    clock.now += BUDGET
    workers = [gevent.spawn(work_twice, number) for number in range(3)]
    gevent.joinall(workers, timeout=WAIT)
    assert crowd.done == [-1, 0, 1, 2, 0, 1, 2]


def test_one_piece_that_is_larger_than_a_turn_is_done(clock: Clock) -> None:
    crowd = Crowd(clock, BUDGET * 10)
    crowd.come(*range(5))
    wait_for(lambda: len(crowd.done) == 5, "all")


def test_one_who_gives_up_has_no_turn(clock: Clock) -> None:
    crowd = Crowd(clock, BUDGET)
    greenlets = crowd.come(*range(6))
    gevent.sleep(0)
    gevent.killall(greenlets[-2:])
    wait_for(lambda: crowd.pacer.waiting == 0, "nobody waits")
    assert crowd.done == [0, 1, 2, 3]


def test_one_who_gives_up_is_not_counted(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient:
        def get(self) -> None:
            raise gevent.GreenletExit

        def switch(self, value: object) -> None:
            """It is not waited for any more."""

    monkeypatch.setattr(pacing, "Waiter", Impatient)
    pacer = Pacer(clock)
    pacer.wait()
    clock.now += BUDGET
    with pytest.raises(gevent.GreenletExit):
        pacer.wait()
    assert pacer.waiting == 0


def test_calls_keep_their_place_among_those_who_wait(clock: Clock) -> None:
    crowd = Crowd(clock, BUDGET)

    def work(number: int) -> None:
        clock.now += BUDGET
        crowd.done.append(number)

    crowd.pacer.call(lambda: work(0))
    assert crowd.done == [0], "the turn had time"
    crowd.pacer.call(lambda: work(1))
    crowd.come(2)
    gevent.sleep(0)
    crowd.pacer.call(lambda: work(3))
    wait_for(lambda: len(crowd.done) == 4, "all")
    assert crowd.done == [0, 1, 2, 3]


def test_it_leaves_no_timer_behind(clock: Clock) -> None:
    crowd = Crowd(clock, BUDGET)
    crowd.come(*range(6))
    wait_for(lambda: len(crowd.done) == 6, "all")
    wait_for(lambda: crowd.pacer._timer is None, "the end of the timer")
    crowd._work(6)
    assert crowd.done[-1] == 6


def test_sockets_that_are_ready_come_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream is read in each turn, however much work there is, and with a true clock."""
    monkeypatch.setattr(pacing, "BUDGET", 0.001)
    pacer = Pacer()
    near, far = socket.socketpair()
    delays: list[float] = []

    def read() -> None:
        while data := near.recv(100):
            delays.append(time.thread_time() - float(data.split()[-1]))

    def work() -> None:
        pacer.wait()
        end = time.thread_time() + 0.0005
        while time.thread_time() < end:
            pass
        # Each piece writes to the stream, so that it is ready again and again.
        far._sock.send(b"%.9f " % time.thread_time())

    reader = gevent.spawn(read)
    gevent.joinall([gevent.spawn(work) for _ in range(200)])
    far.close()
    reader.join(WAIT)
    near.close()
    assert len(delays) > 40, "read in most turns"
    assert sorted(delays)[len(delays) // 2] < 0.02
