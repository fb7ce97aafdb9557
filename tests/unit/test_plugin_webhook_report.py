"""What an operator is told, and how seldom."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from amiws_plugins.webhook.circuit import State
from amiws_plugins.webhook.report import INTERVAL, Report


class Log:
    """A report with its clock and what it said."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 1000.0
        self._caplog = caplog
        self.report = Report(logging.getLogger("webhook"), "https://h", lambda: self.now)

    def lines(self) -> list[str]:
        """Level and text of what was said since the last call, DEBUG left out."""
        found = [(r.levelname, r.getMessage()) for r in self._caplog.records if r.levelno > 10]
        self._caplog.clear()
        assert all(text.startswith("https://h: ") for _, text in found)
        return [f"{level} {text.removeprefix('https://h: ')}" for level, text in found]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    caplog.set_level(logging.DEBUG)
    return Log(caplog)


def test_a_full_queue_is_told_once_a_minute_with_its_count(log: Log) -> None:
    for _ in range(1000):
        log.report.dropped(2)
    assert log.lines() == [
        "WARNING the queue is full and its oldest messages are dropped: 2 so far"
    ]
    log.now += INTERVAL
    log.report.dropped(1)
    assert log.lines() == [
        "WARNING the queue is full and its oldest messages are dropped: 2001 so far"
    ]


def test_what_was_dropped_is_told_when_it_goes_on(log: Log) -> None:
    log.report.dropped(5)
    log.lines()
    log.report.delivered(1, 200)
    assert log.lines() == ["WARNING takes messages again; dropped for want of room: 5"]
    log.report.delivered(1, 200)
    assert log.lines() == []


def test_a_receiver_that_keeps_falling_behind_does_not_fill_the_log(log: Log) -> None:
    for _ in range(100):
        log.report.dropped(1)
        log.report.delivered(1, 200)
        log.now += 0.1
    assert len(log.lines()) == 2
    log.now += INTERVAL
    log.report.delivered(1, 200)
    assert log.lines() == ["WARNING takes messages again; dropped for want of room: 99"]


def test_refusals_are_told_once_with_the_answer(log: Log) -> None:
    for _ in range(10):
        log.report.refused(3, '401: "who?"')
    assert log.lines() == [
        'WARNING refuses messages, which are dropped (3 so far): 401: "who?"',
    ]
    log.report.delivered(1, 200)
    assert log.lines() == ["WARNING takes messages again; refused before that: 30"]


def test_each_row_is_counted_from_nothing(log: Log) -> None:
    for _ in range(2):
        log.report.dropped(2)
        log.report.refused(3, "400")
        log.report.delivered(1, 200)
        assert log.lines() == [
            "WARNING the queue is full and its oldest messages are dropped: 2 so far",
            "WARNING refuses messages, which are dropped (3 so far): 400",
            "WARNING takes messages again; dropped for want of room: 2",
            "WARNING takes messages again; refused before that: 3",
        ]
        log.now += INTERVAL


def test_a_failure_is_told_once(log: Log) -> None:
    log.report.failed("cannot connect", 0.5)
    log.report.failed("no answer within 15 s", 1.5)
    assert log.lines() == ["WARNING a batch did not get through and is tried again: cannot connect"]


def test_each_attempt_is_told_at_debug(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.report.failed("why", 0.5)
    log.report.delivered(7, 202)
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG]
    assert told == ["https://h: next attempt in 0.5 s: why", "https://h: took a batch of 7 (202)"]


def test_the_circuit(log: Log) -> None:
    log.report.circuit(State.CLOSED, State.OPEN, "why", 30.0)
    log.report.circuit(State.OPEN, State.HALF_OPEN, "", 0.0)
    log.report.circuit(State.HALF_OPEN, State.OPEN, "why", 60.0)
    log.report.circuit(State.HALF_OPEN, State.CLOSED, "", 0.0)
    assert log.lines() == [
        "WARNING out of order, left alone for 30 s: why",
        "INFO trying whether it is back",
        "INFO out of order, left alone for 60 s: why",
        "INFO is back",
    ]


def test_the_end(log: Log) -> None:
    log.report.given_up(3)
    assert log.lines() == ["WARNING ends with messages not delivered: 3"]
