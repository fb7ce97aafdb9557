"""Signals at every moment of a program's life, sent by the test to itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.runtime.signals import EndAsked, Signals
from tests.support.greenlets import until
from tests.support.leaks import open_descriptors
from tests.support.patience import WAIT

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ENDING = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = {number: signal.getsignal(number) for number in (*NUMBERS, signal.SIGCONT)}
    taken = Signals()
    taken.take()
    yield taken
    for number, handler in before.items():
        signal.signal(number, handler)


class Told:
    """What a program was told, and what calls it."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def end(self) -> None:
        self.words.append("end")

    def reload(self) -> None:
        self.words.append("reload")


@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_happens_where_nothing_may(signals: Signals, number: signal.Signals) -> None:
    signal.raise_signal(number)


@ENDING
def test_an_end_that_was_asked_for_before(signals: Signals, number: signal.Signals) -> None:
    signal.raise_signal(number)
    with pytest.raises(EndAsked), signals.may_end():
        raise AssertionError("went on")


@ENDING
def test_an_end_within(signals: Signals, number: signal.Signals) -> None:
    with pytest.raises(EndAsked), signals.may_end():
        signal.raise_signal(number)
    signal.raise_signal(number)  # while that is cleaned up


def test_a_reload_ends_nothing(signals: Signals) -> None:
    with signals.may_end():
        signal.raise_signal(signal.SIGHUP)


def test_it_is_raised_where_the_starter_waits_and_not_in_who_computes(signals: Signals) -> None:
    gone_on = []

    def compute() -> None:
        signal.raise_signal(signal.SIGTERM)
        gone_on.append(True)

    computing = gevent.Greenlet(compute)
    computing.start()
    with pytest.raises(EndAsked), signals.may_end():
        Event().wait(WAIT)
    assert gone_on


def test_it_is_not_raised_behind_the_block(signals: Signals) -> None:
    """The signal came in another greenlet's turn, and the block was left in the same turn."""
    left = Event()

    def leave_and_signal() -> None:
        left.set()
        signal.raise_signal(signal.SIGTERM)

    with signals.may_end():
        gevent.spawn(leave_and_signal)
        left.wait(WAIT)
    gevent.sleep(0)
    with pytest.raises(EndAsked), signals.may_end():
        raise AssertionError("went on")


def test_while_it_runs_each_calls_its_function(signals: Signals) -> None:
    told = Told()
    with signals.handed_to(end=told.end, reload=told.reload):
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            before = len(told.words)
            os.kill(os.getpid(), number)
            until(lambda before=before: len(told.words) > before)
    assert told.words == ["reload", "end", "end"]


def test_what_came_before_is_made_up_for_once(signals: Signals) -> None:
    told = Told()
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    with signals.handed_to(end=told.end, reload=told.reload):
        until(lambda: told.words)
        gevent.sleep(0)
    with signals.handed_to(end=told.end, reload=told.reload):
        gevent.sleep(0)
    assert told.words == ["reload"]


def test_an_end_that_came_before(signals: Signals) -> None:
    told = Told()
    signal.raise_signal(signal.SIGTERM)
    with signals.handed_to(end=told.end, reload=told.reload):
        until(lambda: told.words)
    assert told.words == ["end"]


@pytest.mark.parametrize("number", NUMBERS)
def test_behind_it_nothing_happens(signals: Signals, number: signal.Signals) -> None:
    told = Told()
    before = open_descriptors()
    with signals.handed_to(end=told.end, reload=told.reload):
        assert open_descriptors() > before
    assert open_descriptors() == before
    signal.raise_signal(number)
    gevent.sleep(0)
    assert told.words == []


def test_the_event_loop_wakes_up(signals: Signals) -> None:
    """Though nothing else would wake it."""
    told = Told()
    asked = Event()

    def end() -> None:
        told.end()
        asked.set()

    gevent.get_hub().threadpool.spawn(os.kill, os.getpid(), signal.SIGTERM)
    with signals.handed_to(end=end, reload=told.reload):
        assert asked.wait(WAIT)
