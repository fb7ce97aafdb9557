"""The day of the queues' figures."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from amiws_gevent.config.queueday import QueueDay, queue_day
from amiws_gevent.values import Scalar


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("00:00 Europe/Berlin", QueueDay(0, 0, "Europe/Berlin")),
        (" 6:30  UTC ", QueueDay(6, 30, "UTC")),
        ("23:59", QueueDay(23, 59)),
        (QueueDay(1, 2, "UTC"), QueueDay(1, 2, "UTC")),
    ],
)
def test_a_time_with_a_zone_or_without(text: object, made: QueueDay) -> None:
    assert queue_day(Scalar(text) if isinstance(text, str) else text) == made
    assert queue_day(str(made)) == made


@pytest.mark.parametrize("text", ["", "24:00", "0:60", "noon", "00:00Europe/Berlin", "00", 0, None])
def test_what_is_no_time_says_how_it_is_written(text: object) -> None:
    with pytest.raises(ValueError, match="00:00 Europe/Berlin"):
        queue_day(text)


@pytest.mark.parametrize("zone", ["Europe/Bonn", "../../etc/passwd", "Europe", "/etc/localtime"])
def test_a_zone_that_nobody_knows(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone database"):
        queue_day(f"00:00 {zone}")


def test_a_day_begins_at_its_time_in_its_zone_whatever_the_season() -> None:
    berlin = QueueDay(0, 0, "Europe/Berlin")
    assert berlin.day_of(at(2026, 1, 31, 22, 59, 59)) == "2026-01-31"
    assert berlin.day_of(at(2026, 1, 31, 23, 0)) == "2026-02-01"
    assert berlin.day_of(at(2026, 7, 31, 21, 59, 59)) == "2026-07-31"
    assert berlin.day_of(at(2026, 7, 31, 22, 0)) == "2026-08-01"


def test_before_its_time_it_is_still_the_day_before() -> None:
    day = QueueDay(6, 30, "UTC")
    assert day.day_of(at(2026, 3, 1, 6, 29)) == "2026-02-28"
    assert day.day_of(at(2026, 3, 1, 6, 30)) == "2026-03-01"


def test_without_a_zone_it_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert QueueDay().day_of(at(2026, 1, 1, 12, 0)) == "2026-01-02"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("begins", [(0, 0), (2, 0), (2, 30), (3, 0)])
def test_no_day_comes_again_when_clocks_are_set_back(begins: tuple[int, int]) -> None:
    """Berlin, 25 October 2026, 3:00 is 2:00 again: 2:30 comes twice, and the day begins once."""
    day = QueueDay(*begins, "Europe/Berlin")
    quarters = range(at(2026, 10, 24, 20, 0), at(2026, 10, 25, 6, 0), 900_000)
    days = [day.day_of(quarter) for quarter in quarters]
    assert days == sorted(days)
    assert days[0] == "2026-10-24"
    assert days[-1] == "2026-10-25"


def test_the_day_begins_when_its_time_comes_first() -> None:
    day = QueueDay(2, 30, "Europe/Berlin")
    assert day.day_of(at(2026, 10, 25, 0, 29, 59)) == "2026-10-24"
    assert day.day_of(at(2026, 10, 25, 0, 30)) == "2026-10-25"


def test_a_day_begins_whose_time_is_left_out_when_clocks_are_set_ahead() -> None:
    day = QueueDay(2, 30, "Europe/Berlin")
    assert day.day_of(at(2026, 3, 29, 0, 59, 59)) == "2026-03-28"
    assert day.day_of(at(2026, 3, 29, 1, 0)) == "2026-03-29"


def test_no_day_comes_again_by_the_clock_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        days = [QueueDay(2, 30).day_of(at(2026, 10, 25, 0, minute)) for minute in (29, 30)]
        days.append(QueueDay(2, 30).day_of(at(2026, 10, 25, 1, 10)))
        assert days == ["2026-10-24", "2026-10-25", "2026-10-25"]
    finally:
        monkeypatch.undo()
        time.tzset()
