"""Counters that stay few, and a log line a second at most."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from amiws_gevent.web import counts
from amiws_gevent.web.counts import (
    BY_CLIENT,
    KINDS,
    LOSS_INTERVAL,
    LOST,
    SILENT,
    SLOW,
    Counts,
    Laggards,
    LossReport,
)
from tests.support.webserver import wait_for


@dataclass
class Gone:
    close_kind: str
    close_code: int = 1006
    close_reason: str = "a reason"
    address: str = "192.0.2.1:99"
    user: str | None = None


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


def test_codes_that_clients_make_up_are_two() -> None:
    made = Counts()
    for code in (1000, *range(3000, 5000)):
        made.closed(Gone(BY_CLIENT, code))
    assert made.closes == {(1000, BY_CLIENT): 1, (3000, BY_CLIENT): 1000, (4000, BY_CLIENT): 1000}


def test_every_code_that_is_sent_has_a_kind() -> None:
    assert set(KINDS) == {1001, 1002, 1003, 1007, 1008, 1009, 1011, 1013, 4401, 4403, 4410}


def test_only_those_who_fell_behind_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    laggards = Laggards()
    for kind in (BY_CLIENT, LOST, *set(KINDS.values()) - {SLOW}):
        laggards.closed(Gone(kind))
    assert not caplog.records


@pytest.mark.parametrize("kind", [SLOW, SILENT])
@pytest.mark.parametrize(("user", "name"), [(None, "192.0.2.1:99"), ("ann", "192.0.2.1:99 (ann)")])
def test_who_and_why(
    kind: str, user: str | None, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    Laggards().closed(Gone(kind, close_reason="too slow: 9 bytes waiting", user=user))
    assert warnings(caplog) == [f"client {name} closed: 1006 too slow: 9 bytes waiting"]


def test_one_line_an_interval_and_how_many_were_held_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "LOG_INTERVAL", 0.05)
    laggards = Laggards()
    for number in range(10):
        laggards.closed(Gone(SLOW, address=f"10.0.0.{number}:1", user="ann" if number else None))
    assert len(warnings(caplog)) == 1
    wait_for(lambda: len(caplog.records) == 2, "the rest")
    laggards.closed(Gone(SILENT))
    laggards.closed(Gone(SILENT))
    assert len(warnings(caplog)) == 2, "that was a line too"
    wait_for(lambda: len(caplog.records) == 3, "the rest")
    first = [f"10.0.0.{number}:1 (ann)" for number in (1, 2, 3)]
    assert warnings(caplog)[1:] == [
        f"9 more clients closed because they were slow or silent: {', '.join(first)} and others",
        "2 more clients closed because they were slow or silent: 192.0.2.1:99, 192.0.2.1:99",
    ]
    wait_for(lambda: laggards._timer is None, "the end of the interval")
    laggards.closed(Gone(SILENT, close_reason="the client sent nothing for 63 s"))
    assert warnings(caplog)[3:] == [
        "client 192.0.2.1:99 closed: 1006 the client sent nothing for 63 s"
    ]
    laggards.stop()


def test_a_stop_leaves_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    laggards = Laggards()
    laggards.stop()
    laggards.closed(Gone(SLOW))
    laggards.closed(Gone(SLOW))
    assert laggards._timer is not None
    laggards.stop()
    assert laggards._timer is None


@dataclass
class Waiting:
    pending_bytes: int
    address: str = "192.0.2.1:99"
    user: str | None = None


def test_what_slow_clients_lose_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    report = LossReport()
    slowest = Waiting(7, "10.0.0.2:9", "al")
    report.look(0, [slowest], 1000.0)
    assert not caplog.records, "nothing is lost"
    report.look(5, [Waiting(0), slowest, Waiting(6)], 1001.0)
    report.look(7, [slowest], 1001.0 + LOSS_INTERVAL - 1)
    assert len(warnings(caplog)) == 1
    report.look(9, [Waiting(0)], 1001.0 + LOSS_INTERVAL)
    report.look(9, [slowest], 1001.0 + 3 * LOSS_INTERVAL)
    assert warnings(caplog) == [
        (
            "slow clients lost 5 messages (slow_clients: drop), 5 so far; "
            "the slowest is 10.0.0.2:9 (al) with 7 bytes waiting"
        ),
        "slow clients lost 4 messages (slow_clients: drop), 9 so far; no client is slow now",
    ]


def test_what_was_not_told_is_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    report = LossReport()
    report.look(5, [], 1000.0)
    report.look(8, [], 1001.0)
    report.stop(8)
    assert [line.split(" messages")[0] for line in warnings(caplog)] == [
        "slow clients lost 5",
        "slow clients lost 3",
    ]
