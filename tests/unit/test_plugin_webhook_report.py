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
        self.lost: list[float] = []
        self.report = Report(
            logging.getLogger("webhook"),
            "https://h",
            lambda: self.now,
            count_lost=self.lost.append,
        )

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
    assert log.lines() == ["WARNING the queue is full; oldest messages dropped: 2 so far"]
    log.now += INTERVAL
    log.report.dropped(1)
    assert log.lines() == ["WARNING the queue is full; oldest messages dropped: 2001 so far"]


def test_what_the_receiver_will_never_have_is_counted_each_time(log: Log) -> None:
    log.report.dropped(2)
    log.report.dropped(1)
    log.report.refused(3, "400")
    log.report.failed("no route", 1.0)
    log.report.given_up(4)
    assert log.lost == [2, 1, 3, 4]


def test_what_was_dropped_is_told_when_it_goes_on(log: Log) -> None:
    log.report.dropped(5)
    log.lines()
    log.report.delivered(1, 200)
    assert log.lines() == ["WARNING accepts messages again; dropped while the queue was full: 5"]
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
    assert log.lines() == ["WARNING accepts messages again; dropped while the queue was full: 99"]


def test_refusals_are_told_once_with_the_answer(log: Log) -> None:
    for _ in range(10):
        log.report.refused(3, '401: "who?"')
    assert log.lines() == [
        'WARNING refuses messages; dropped: 3 so far: 401: "who?"',
    ]
    log.report.delivered(1, 200)
    assert log.lines() == ["WARNING accepts messages again; refused before: 30"]


def test_each_row_is_counted_from_nothing(log: Log) -> None:
    for _ in range(2):
        log.report.dropped(2)
        log.report.refused(3, "400")
        log.report.delivered(1, 200)
        assert log.lines() == [
            "WARNING the queue is full; oldest messages dropped: 2 so far",
            "WARNING refuses messages; dropped: 3 so far: 400",
            "WARNING accepts messages again; dropped while the queue was full: 2",
            "WARNING accepts messages again; refused before: 3",
        ]
        log.now += INTERVAL


def test_a_failure_is_told_once(log: Log) -> None:
    log.report.failed("cannot connect", 0.5)
    log.report.failed("no answer within 15 s", 1.5)
    assert log.lines() == ["WARNING a batch was not delivered and will be retried: cannot connect"]


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
        "WARNING keeps failing, nothing is sent for 30 s: why",
        "INFO testing whether it works again",
        "INFO keeps failing, nothing is sent for 60 s: why",
        "INFO works again",
    ]


def test_the_end(log: Log) -> None:
    log.report.given_up(3)
    assert log.lines() == ["WARNING stopped with messages not delivered: 3"]
