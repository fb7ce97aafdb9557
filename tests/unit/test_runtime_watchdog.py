"""What ends a program that does not end: with a main thread that this test keeps busy."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import pytest
from gevent.monkey import get_original

from amiws_gevent.runtime import watchdog
from amiws_gevent.runtime.watchdog import Place, Watchdog
from tests.support.greenlets import until
from tests.support.patience import WAIT

STATUS = 70
SOON = 0.05  # seconds in the place of those of the program


class End:
    """Stands for the end of the process, and for who is told of it."""

    def __init__(self) -> None:
        self.places: Sequence[Place] = ()
        self.statuses: list[int] = []
        self.error: Exception | None = None

    def tell(self, places: Sequence[Place]) -> None:
        self.places = places
        if self.error is not None:
            raise self.error

    def watchdog(self, end_time: float = 2 * SOON, last_time: float = WAIT) -> Watchdog:
        return Watchdog(
            self.tell,
            STATUS,
            end_time=end_time,
            last_time=last_time,
            answer_time=SOON,
            leave=self.statuses.append,
        )


@pytest.fixture
def end() -> End:
    return End()


@pytest.fixture
def asked() -> Iterator[list[int]]:
    """The signals that Python's own handlers were called for."""
    seen: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    before = {number: signal.signal(number, handler) for number in watchdog._SIGNALS}
    yield seen
    for number, old in before.items():
        signal.signal(number, old)


def compute_until(condition: Callable[[], object]) -> None:
    """What a plugin's endless loop does: the event loop does not turn."""
    limit = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < limit


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_computes_past_the_time_is_told_and_ended(
    end: End, asked: list[int], number: signal.Signals
) -> None:
    with end.watchdog():
        signal.raise_signal(number)
        compute_until(lambda: end.statuses)
    assert end.statuses == [STATUS]
    assert "compute_until" in [place.function for place in end.places]
    names = [place.function for place in end.places]
    assert names.index("compute_until") < names.index(
        "test_what_computes_past_the_time_is_told_and_ended"
    )
    assert asked == [number], "who handles the signal is called all the same"


def test_that_telling_fails_keeps_nobody_alive(end: End, asked: list[int]) -> None:
    end.error = ValueError("no words")
    with end.watchdog():
        signal.raise_signal(signal.SIGTERM)
        compute_until(lambda: end.statuses)
    assert end.statuses == [STATUS]


def test_who_ends_is_left_alone(end: End, asked: list[int]) -> None:
    threads = get_original("_thread", "_count")
    before = threads()
    with end.watchdog(WAIT):
        until(lambda: threads() > before)
        signal.raise_signal(signal.SIGTERM)
    until(lambda: threads() <= before)
    assert end.statuses == []


def test_a_signal_again_and_again_changes_nothing(end: End, asked: list[int]) -> None:
    for _ in range(20):
        with end.watchdog(WAIT):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
                signal.raise_signal(number)
    assert len(asked) == 60
    assert end.statuses == []


def test_nobody_is_ended_unasked(end: End, asked: list[int]) -> None:
    with end.watchdog():
        compute_for_a_while()
    compute_for_a_while()
    assert end.statuses == []


def compute_for_a_while() -> None:
    until_then = time.monotonic() + 6 * SOON
    compute_until(lambda: time.monotonic() > until_then)


def test_a_loop_that_turns_has_longer_but_not_for_ever(end: End, asked: list[int]) -> None:
    answers: list[int] = []

    class Turning:
        """An event loop that calls back at once."""

        def run_callback_threadsafe(self, function: Callable[[], None]) -> None:
            assert end.statuses == []
            answers.append(1)
            function()

    dog = end.watchdog(last_time=6 * SOON)
    with dog:
        dog._loop = Turning()
        signal.raise_signal(signal.SIGTERM)
        until(lambda: end.statuses)
    assert len(answers) >= 5, "each time it is asked whether it still turns"


def test_the_handlers_are_given_back(end: End, asked: list[int]) -> None:
    before = [signal.getsignal(number) for number in watchdog._SIGNALS]
    with end.watchdog():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in watchdog._SIGNALS] == before


def test_its_thread_ends_with_it(end: End, asked: list[int]) -> None:
    count = get_original("_thread", "_count")
    before = count()
    for _ in range(5):
        with end.watchdog():
            until(lambda: count() > before)
    until(lambda: count() <= before)
