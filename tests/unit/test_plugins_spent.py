"""What a call has computed and waited, on clocks that stand still."""

from __future__ import annotations

import math
from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.plugins.spent import Metered, Spent
from amiws_gevent.runtime.blocked import BlockedTime, Snapshot
from tests.support.clock import Clock

TICK = 0.5


class Kernel(BlockedTime):
    """What the kernel would say."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked = 0.0
        self.asked = 0

    def snapshot(self, now: float) -> Snapshot | None:
        return Snapshot(self.blocked, 0, 0)

    def since(self, before: Snapshot, wall: float, cpu: float) -> float:
        self.asked += 1
        return self.blocked - before.run_queue


class Call:
    """A call under test; it begins with the thread's first turn."""

    def __init__(self) -> None:
        self.wall, self.cpu, self.kernel = Clock(), Clock(7.0), Kernel()
        self.spent = Spent(TICK, self.wall, self.cpu, self.kernel)
        self.spent.turn()
        self.begin()

    def begin(self) -> None:
        self.spent.since = self.wall.now

    def compute(self, seconds: float) -> None:
        self.wall.now += seconds
        self.cpu.now += seconds

    def stand_still(self, seconds: float) -> None:
        self.wall.now += seconds

    def block(self, seconds: float) -> None:
        self.wall.now += seconds
        self.kernel.blocked += seconds


@pytest.fixture
def call() -> Call:
    return Call()


def test_computing_counts(call: Call) -> None:
    call.compute(3)
    assert call.spent.end() == pytest.approx(3)


def test_being_kept_from_computing_does_not(call: Call) -> None:
    call.compute(1)
    call.stand_still(60)
    assert call.spent.end() == pytest.approx(1)


def test_being_blocked_counts(call: Call) -> None:
    call.compute(1)
    call.block(2)
    call.stand_still(60)
    assert call.spent.end() == pytest.approx(3)


def test_so_it_does_before_a_wait(call: Call) -> None:
    call.block(2)
    call.spent.leave()
    call.stand_still(TICK)
    call.spent.come_back()
    call.block(3)
    assert call.spent.end() == pytest.approx(5 + TICK)


def test_what_the_turn_was_blocked_before_does_not(call: Call) -> None:
    call.block(5)
    call.begin()
    call.stand_still(2)
    assert call.spent.end() == 0


def test_the_kernel_is_asked_only_of_a_call_that_looks_late(call: Call) -> None:
    call.compute(60)
    call.stand_still(TICK)
    call.spent.end()
    assert call.kernel.asked == 0


def test_nor_does_what_the_turn_computed_before(call: Call) -> None:
    call.compute(5)
    call.begin()
    call.compute(1)
    assert call.spent.end() == pytest.approx(1)


def test_each_call_begins_anew(call: Call) -> None:
    call.compute(1)
    call.spent.leave()
    call.stand_still(TICK)
    call.spent.come_back()
    assert call.spent.end() == pytest.approx(1 + TICK)
    call.begin()
    call.compute(2)
    assert call.spent.end() == pytest.approx(2)


def test_waiting_counts_from_look_to_look(call: Call) -> None:
    call.spent.leave()
    for looks in range(1, 5):
        call.stand_still(TICK)
        assert call.spent.look() == pytest.approx(looks * TICK)
    call.stand_still(0.1)
    call.spent.come_back()
    assert call.spent.end() == pytest.approx(4 * TICK + 0.1)


def test_a_loop_that_stood_still_is_one_tick(call: Call) -> None:
    call.spent.leave()
    call.stand_still(3600)
    assert call.spent.look() == pytest.approx(TICK)
    call.stand_still(3600)
    call.spent.come_back()
    assert call.spent.end() == pytest.approx(2 * TICK)


def test_what_others_compute_meanwhile_counts_as_waiting_at_most(call: Call) -> None:
    call.spent.leave()
    call.compute(3600)
    call.spent.come_back()
    assert call.spent.end() == pytest.approx(TICK)


def test_computing_between_waits_counts_each_time(call: Call) -> None:
    for _ in range(3):
        call.compute(1)
        call.spent.leave()
        call.stand_still(0.1)
        call.spent.come_back()
    call.compute(2)
    assert call.spent.end() == pytest.approx(5.3)


def test_between_calls_nothing_counts(call: Call) -> None:
    call.spent.since = math.inf
    call.spent.leave()
    call.stand_still(10)
    assert call.spent.look() == 0
    call.spent.come_back()
    call.begin()
    assert call.spent.end() == 0


@pytest.mark.parametrize(
    "wait",
    [
        lambda: gevent.sleep(0),
        lambda: gevent.sleep(0.001),
        lambda: gevent.spawn(gevent.sleep).join(),
        lambda: Event().wait(0.001),
        lambda: gevent.get_hub().threadpool.apply(abs, (1,)),
    ],
    ids=["turn", "sleep", "join", "event", "threads"],
)
def test_a_greenlet_tells_of_each_wait(wait: Callable[[], object]) -> None:
    told: list[str] = []

    class Told(Spent):
        def leave(self) -> None:
            told.append("leaves")

        def come_back(self) -> None:
            told.append("comes back")

    worker = Metered(wait)
    worker.spent = Told(TICK)
    worker.switch()
    while not worker.dead:
        gevent.sleep(0.001)
    assert told == ["comes back", "leaves", "comes back"], "it is begun as it is gone on with"
