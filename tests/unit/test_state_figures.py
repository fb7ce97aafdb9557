"""What queues have done today: each caller once, by day, kept over a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from amiws_gevent.state.figures import MOST_ABANDONED, MOST_ENDED, QueueFigures

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000
DAY = 86_400_000


def day_of(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo("Europe/Berlin")).date().isoformat()


def figures(now: int = NOON) -> QueueFigures:
    made = QueueFigures(day_of, 20)
    made.begin(now)
    return made


def test_each_stay_is_counted_once() -> None:
    made = figures()
    for _ in range(2):
        made.entered("q", "1")
    assert [made.answered("q", "1", 20), made.answered("q", "1", 20)] == [True, False]
    assert not made.abandoned("q", "1", 20, {})
    made.left("q", "1")
    made.entered("q", "1")  # comes back by way of the dialplan
    assert made.abandoned("q", "1", 30, {"number": "1"})
    told = made.of("q").fields(20)
    assert (told["entered"], told["answered"], told["abandoned"]) == (2, 1, 1)
    assert (told["answered_in_level"], told["longest_wait"]) == (1, 30)


def test_later_than_the_service_level_is_answered_all_the_same() -> None:
    made = figures()
    made.answered("q", "1", 21)
    told = made.of("q").fields(20)
    assert (told["answered"], told["answered_in_level"], told["service_level"]) == (1, 0, 20)


def test_the_last_abandoned_are_told_the_last_one_first() -> None:
    made = figures()
    for number in range(MOST_ABANDONED + 5):
        made.abandoned("q", str(number), number, {"number": str(number)})
    told = made.of("q").fields(20)["last_abandoned"]
    assert [caller["number"] for caller in told[:2]] == ["24", "23"]
    assert len(told) == MOST_ABANDONED


def test_a_long_day_does_not_need_more_and_more_memory() -> None:
    made = figures()
    for number in range(MOST_ENDED + 10):
        made.entered("q", str(number))
        made.answered("q", str(number), 1)
        made.left("q", str(number))
    assert len(made._ended) == MOST_ENDED
    assert len(made._inside) == 0


def test_a_day_begins_in_its_zone() -> None:
    made = figures()
    made.entered("q", "1")
    midnight_in_berlin = NOON + 11 * 3_600_000
    assert made.begin(midnight_in_berlin - 1) == []
    assert made.begin(midnight_in_berlin) == ["q"]
    told = made.of("q").fields(20)
    assert (told["day"], told["entered"]) == ("2026-03-02", 0)


def test_the_first_day_is_not_whole_and_the_next_one_is() -> None:
    made = figures()
    told = made.of("q").fields(20)
    assert (told["incomplete"], told["counted_since"]) == (True, NOON)
    made.begin(NOON + DAY)
    told = made.of("q").fields(20)
    assert (told["incomplete"], told["counted_since"]) == (False, None)


def test_an_interruption_is_told() -> None:
    made = figures()
    made.begin(NOON + DAY)
    made.entered("q", "1")
    made.interrupt(NOON + DAY + 5)
    for queue in ("q", "new"):
        told = made.of(queue).fields(20)
        assert (told["incomplete"], told["counted_since"]) == (True, NOON + DAY + 5)
    assert made.of("q").entered == 1


def test_figures_outlive_the_program() -> None:
    made = figures()
    made.entered("q", "waits")
    made.entered("q", "1")
    made.abandoned("q", "1", 7, {"number": "1"})
    made.left("q", "1")
    again = QueueFigures(day_of, 20)
    again.restore(json.loads(json.dumps(made.export())), NOON + 60_000)
    again.entered("q", "waits")  # is found in the first list
    assert again.of("q").fields(20) == {
        **made.of("q").fields(20),
        "counted_since": NOON + 60_000,
    }


def test_figures_of_another_day_do_not_count() -> None:
    made = figures()
    made.entered("q", "1")
    again = QueueFigures(day_of, 20)
    again.restore(made.export(), NOON + DAY)
    assert again.of("q").entered == 0


@pytest.mark.parametrize("data", [{}, {"day": "2026-03-01"}, {"inside": [1]}])
def test_what_is_no_export_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no figures of queues"):
        QueueFigures(day_of, 20).restore(data, NOON)


def test_an_export_with_unknown_members_is_refused() -> None:
    data = {"day": day_of(NOON), "inside": [], "queues": {"q": {"colour": "red"}}}
    with pytest.raises(ValueError, match="colour"):
        QueueFigures(day_of, 20).restore(data, NOON)


def test_a_clock_that_is_set_back_to_another_day_begins_a_day_that_is_not_whole() -> None:
    made = figures()
    made.entered("q", "1")
    assert made.begin(NOON + 365 * DAY) == ["q"]
    assert not made.of("q").fields(20)["incomplete"]
    assert made.begin(NOON + 1000) == ["q"]
    told = made.of("q").fields(20)
    assert (told["day"], told["entered"]) == (day_of(NOON), 0)
    assert (told["incomplete"], told["counted_since"]) == (True, NOON + 1000)
    made.begin(NOON + DAY)
    assert not made.of("q").fields(20)["incomplete"]


def test_a_clock_that_is_set_back_within_the_day_costs_no_figures() -> None:
    made = figures()
    made.entered("q", "1")
    assert made.begin(NOON - 3_600_000) == []
    assert made.of("q").fields(20)["entered"] == 1
