"""Which reasons of an outage are logged."""

from __future__ import annotations

import pytest

from amiws_gevent.runtime.outages import AGAIN, AT_ONCE, OutageLog
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> OutageLog:
    return OutageLog(clock)


def test_the_loss_another_reason_and_the_end(log: OutageLog) -> None:
    assert not log.back(), "nothing was lost"
    assert [log.lost(reason) for reason in ("gone", "gone", "loads", "gone")] == [1, 0, 1, 0]
    assert (log.back(), log.back()) == (True, False)
    assert log.lost("gone")


def test_reasons_that_change_for_hours(log: OutageLog, clock: Clock) -> None:
    lines = 0
    for second in range(3600):
        clock.now += 1
        lines += log.lost(f"sentinel {second % 7}: {second % 11}")
    assert AT_ONCE < lines <= AT_ONCE + 3600 / AGAIN
    assert log.back()


def test_two_that_take_turns_for_hours(log: OutageLog, clock: Clock) -> None:
    lines = 0
    for second in range(3600):
        clock.now += 1
        lines += log.lost(f"{second % 2}")
    assert lines <= AT_ONCE + 3600 / AGAIN


def test_what_stays_is_told_in_the_end_and_once(log: OutageLog, clock: Clock) -> None:
    for number in range(3 * AT_ONCE):
        log.lost(str(number))
    assert not log.lost("refused")
    told = 0
    for _ in range(int(2 * AGAIN)):
        clock.now += 1
        told += log.lost("refused")
    assert told == 1


def test_one_that_comes_and_goes_all_the_time(log: OutageLog, clock: Clock) -> None:
    losses = ends = 0
    for _ in range(600):
        clock.now += 0.5
        losses += log.lost("refuses to write")
        clock.now += 0.5
        ends += log.back()
    assert losses == ends
    assert losses <= AT_ONCE + 600 / AGAIN + 1
    clock.now += 2 * AGAIN
    assert log.lost("refuses to write"), "a later one is told"
