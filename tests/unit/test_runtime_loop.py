"""The meter by itself, and what it sees of gevent's loop.

With the loop, the meter's clock is the thread's CPU time: what other processes do to
this machine is no pause then, and neither is a greenlet's sleep.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket

from amiws_gevent.runtime.loop import LONG_PAUSE, PIECE, PauseMeter, Pieces, yield_to_loop
from tests.support.clock import Clock
from tests.support.patience import WAIT


class Turns:
    """A meter on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.meter = PauseMeter(self.clock)

    def pause(self, seconds: float) -> None:
        self.meter.polled()
        self.clock.now += seconds
        self.meter.about_to_poll()

    def idle(self, seconds: float) -> None:
        self.clock.now += seconds


@pytest.fixture
def turns() -> Turns:
    return Turns()


def test_nothing_was_measured_yet(turns: Turns) -> None:
    meter = turns.meter
    assert (meter.turns, meter.seconds, meter.longest, meter.long_pauses) == (0, 0, 0, 0)
    assert meter.recent() == 0


def test_a_pause_is_from_one_poll_to_the_next_and_waiting_is_none(turns: Turns) -> None:
    turns.pause(0.010)
    turns.idle(5)
    turns.pause(0.030)
    turns.idle(5)
    turns.pause(0.020)
    assert turns.meter.turns == 3
    assert turns.meter.seconds == pytest.approx(0.060)
    assert turns.meter.longest == pytest.approx(0.030)
    assert turns.meter.recent() == pytest.approx(0.030)


def test_pauses_over_50_ms_are_counted(turns: Turns) -> None:
    assert LONG_PAUSE == 0.05
    for seconds in (0.049, 0.051, 0.2):
        turns.pause(seconds)
    assert turns.meter.long_pauses == 2


def test_a_pause_is_recent_for_60_seconds_and_two_slices_at_most(turns: Turns) -> None:
    turns.pause(0.080)
    ended = turns.clock.now
    turns.idle(59.9)
    assert turns.meter.recent() == pytest.approx(0.080)
    turns.clock.now = ended + 62
    assert turns.meter.recent() == 0
    assert turns.meter.longest == pytest.approx(0.080)


def test_the_next_longest_comes_to_light_when_the_longest_is_forgotten(turns: Turns) -> None:
    turns.pause(0.080)
    turns.idle(30)
    turns.pause(0.070)
    turns.idle(20)
    turns.pause(0.010)
    assert turns.meter.recent() == pytest.approx(0.080)
    turns.idle(25)
    turns.pause(0.005)
    assert turns.meter.recent() == pytest.approx(0.070)
    turns.idle(25)
    assert turns.meter.recent() == pytest.approx(0.010)


def test_reading_takes_nothing_away_from_another_reader(turns: Turns) -> None:
    turns.pause(0.080)
    for _ in range(5):
        turns.idle(3)
        assert turns.meter.recent() == pytest.approx(0.080)


def test_a_busy_hour_is_kept_in_a_minute_of_numbers(turns: Turns) -> None:
    for number in range(10_000):
        turns.pause(0.36 + number % 7 / 1000)
    assert len(turns.meter._slices) <= 62
    assert turns.meter.recent() == pytest.approx(0.366)
    assert turns.meter.turns == 10_000


# -- in gevent's loop ---------------------------------------------------------------------


def compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.fixture
def meter() -> Iterator[PauseMeter]:
    meter = PauseMeter(time.thread_time)
    gc.disable()  # what earlier tests left takes long to look through
    meter.start()
    yield meter
    meter.stop()
    gc.enable()


def run(meter: PauseMeter, *functions: Callable[[], object]) -> None:
    """Run the functions in greenlets of their own, in turns that hold nothing else."""
    yield_to_loop()
    meter.longest = 0.0
    meter.turns = 0
    gevent.joinall([gevent.spawn(function) for function in functions], raise_error=True)
    yield_to_loop()  # so that the turn in which they ended is over


def test_a_greenlet_that_computes_is_a_pause(meter: PauseMeter) -> None:
    run(meter, lambda: compute(0.080))
    assert 0.080 <= meter.longest < 0.150
    assert meter.long_pauses == 1
    assert meter.recent() == meter.longest


def test_a_greenlet_that_sleeps_is_none(meter: PauseMeter) -> None:
    run(meter, lambda: gevent.sleep(0.080))
    assert meter.longest < 0.050
    assert meter.long_pauses == 0


def test_greenlets_one_after_the_other_without_a_poll_are_one_pause(meter: PauseMeter) -> None:
    run(meter, *[lambda: compute(0.020)] * 4)
    assert 0.080 <= meter.longest < 0.150


def test_callbacks_that_queue_the_next_are_one_pause(meter: PauseMeter) -> None:
    loop = gevent.get_hub().loop
    left = [5]

    def again() -> None:
        compute(0.016)
        left[0] -= 1
        if left[0]:
            loop.run_callback(again)

    run(meter, lambda: loop.run_callback(again))
    assert 0.080 <= meter.longest < 0.150


def work_in_pieces(pause: Callable[[], object]) -> None:
    for _ in range(10):
        compute(0.008)
        pause()


def test_sleep_0_between_pieces_of_work_does_not_end_the_pause(meter: PauseMeter) -> None:
    run(meter, lambda: work_in_pieces(lambda: gevent.sleep(0)))
    assert 0.080 <= meter.longest < 0.150


def test_giving_way_between_pieces_of_work_ends_it(meter: PauseMeter) -> None:
    run(meter, lambda: work_in_pieces(yield_to_loop))
    assert 0.008 <= meter.longest < 0.060
    assert meter.turns >= 10


def test_a_callback_of_a_socket_counts_whatever_its_priority(meter: PauseMeter) -> None:
    one, other = socket.socketpair()
    watcher = gevent.get_hub().loop.io(one.fileno(), 1, priority=2)

    def readable() -> None:
        watcher.stop()
        compute(0.080)

    watcher.start(readable)
    run(meter, lambda: other.send(b"x"), yield_to_loop)
    watcher.close()
    one.close()
    other.close()
    assert 0.080 <= meter.longest < 0.150


def in_a_loop_of_its_own(function: Callable[[], object]) -> object:
    """What ``function`` returns in a thread whose loop has seen nothing of other tests."""
    results: list[object] = []

    def run_in_thread() -> None:
        results.append(function())
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run_in_thread)
    thread.start()
    thread.join(WAIT)
    return results[0]


def test_an_idle_loop_does_not_turn() -> None:
    def turns() -> int:
        meter = PauseMeter()
        meter.start()
        gevent.sleep(0.2)
        meter.stop()
        return meter.turns

    assert in_a_loop_of_its_own(turns) in range(1, 11)


def test_what_was_before_the_start_is_no_pause() -> None:
    meter = PauseMeter(time.thread_time)
    compute(0.060)
    meter.start()
    yield_to_loop()
    meter.stop()
    assert meter.turns >= 1
    assert meter.longest < 0.050


def test_a_stopped_meter_keeps_what_it_saw_and_sees_no_more(meter: PauseMeter) -> None:
    run(meter, lambda: compute(0.060))
    meter.stop()
    before = meter.longest, meter.turns
    gevent.spawn(compute, 0.080).join()
    yield_to_loop()
    assert (meter.longest, meter.turns) == before
    meter.stop()


def test_the_meter_does_not_keep_a_loop_alive_that_has_nothing_to_do() -> None:
    def waited_to_the_end() -> bool:
        meter = PauseMeter()
        meter.start()
        try:
            return bool(gevent.wait(timeout=WAIT))
        finally:
            meter.stop()

    assert in_a_loop_of_its_own(waited_to_the_end) is True


def test_a_ready_socket_is_served_before_who_gave_way_goes_on() -> None:
    one, other = socket.socketpair()
    seen: list[str] = []

    def read() -> None:
        seen.append(one.recv(10).decode())

    reader = gevent.spawn(read)
    yield_to_loop()  # the reader waits for its socket now
    other.send(b"ready")
    yield_to_loop()
    seen.append("back")
    reader.join()
    one.close()
    other.close()
    assert seen == ["ready", "back"]


def test_sleep_0_does_not_look_at_sockets_which_is_why_there_is_give_way() -> None:
    one, other = socket.socketpair()
    served: list[bytes] = []
    reader = gevent.spawn(lambda: served.append(one.recv(10)))
    yield_to_loop()
    other.send(b"ready")

    def work() -> bool:
        for _ in range(20):
            gevent.sleep(0)
        return bool(served)

    assert gevent.spawn(work).get() is False
    reader.join()
    one.close()
    other.close()


def test_giving_way_takes_no_time_when_there_is_nothing_to_do() -> None:
    with gevent.Timeout(5):  # libev waits a whole millisecond for a timer of less than one
        for _ in range(5000):
            yield_to_loop()


class TestPieces:
    @staticmethod
    def work(seen: list[str]) -> None:
        """Two calls within a piece, and one behind it."""
        clock = Clock()
        pieces = Pieces(clock)
        for name in ("first", "second"):
            pieces.between()
            seen.append(name)
        clock.now += PIECE
        pieces.between()
        seen.append("third")

    def test_the_loop_turns_between_them(self) -> None:
        seen: list[str] = []
        working = gevent.spawn(self.work, seen)
        gevent.spawn(seen.append, "other")
        working.join(WAIT)
        assert seen == ["first", "second", "other", "third"]

    def test_but_not_in_the_main_greenlet(self) -> None:
        seen: list[str] = []
        other = gevent.spawn(seen.append, "other")
        self.work(seen)
        assert seen == ["first", "second", "third"]
        other.join(WAIT)
