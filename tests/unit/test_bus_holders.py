"""Who has which lease, for the log."""

from __future__ import annotations

import logging

import pytest

from amiws_gevent.bus.holders import START_TIME, Holders
from tests.support.clock import Clock

A, B = b"7 a", b"8 b"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "amiws_gevent.bus")
    return caplog


def said(log: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [(record.levelname, record.getMessage()) for record in log.records]
    log.clear()
    return found


def test_a_start_is_no_fault(log: pytest.LogCaptureFixture) -> None:
    """Edges may start before collectors, and servers may be new."""
    clock = Clock(5.0)
    holders = Holders(clock)
    assert holders.look({"program": b""}) == ["program"]
    clock.now += START_TIME - 1
    assert holders.look({"program": b""}) == []
    assert said(log) == []
    assert holders.look({"program": A, "server-1": b""}) == ["program", "server-1"]
    clock.now += START_TIME - 1
    assert holders.look({"program": A, "server-1": A}) == ["server-1"]
    clock.now += START_TIME
    holders.look({"program": A, "server-1": A})
    assert said(log) == [
        ("INFO", "the collector a has program"),
        ("INFO", "the collector a has server-1"),
    ]


def test_who_never_comes_is_told_once(log: pytest.LogCaptureFixture) -> None:
    clock = Clock(5.0)
    holders = Holders(clock)
    for _ in range(5):
        holders.look({"program": A, "server-1": b"", "server-2": b""})
        clock.now += START_TIME / 2
    assert said(log) == [
        ("INFO", "the collector a has program"),
        ("WARNING", "no collector has server-1, server-2"),
    ]
    holders.look({"program": A, "server-1": B, "server-2": b""})
    assert said(log) == [("INFO", "the collector b has server-1")]


def test_one_that_somebody_had_is_missed_at_once(log: pytest.LogCaptureFixture) -> None:
    holders = Holders(Clock(5.0))
    holders.look({"program": A, "server-1": A})
    said(log)
    assert holders.look({"program": A, "server-1": b""}) == ["server-1"]
    assert holders.look({"program": A, "server-1": b""}) == []
    assert said(log) == [("WARNING", "no collector has server-1")]
    assert holders.look({"program": A, "server-1": B}) == ["server-1"]
    assert said(log) == [("INFO", "the collector b has server-1")]


def test_what_is_no_longer_looked_for_is_forgotten(log: pytest.LogCaptureFixture) -> None:
    clock = Clock(5.0)
    holders = Holders(clock)
    holders.look({"program": A, "server-1": b""})
    holders.look({"program": A})
    clock.now += START_TIME
    assert holders.look({"program": A, "server-1": b""}) == ["server-1"]
    assert [level for level, _ in said(log)] == ["INFO"]
