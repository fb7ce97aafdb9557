"""Errors that no greenlet caught."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import gevent
import pytest
from gevent.hub import Hub

from amiws_gevent.greenlets import GreenletWatch


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = gevent.get_hub()
    yield hub
    hub.__dict__.pop("handle_error", None)


@pytest.fixture
def watch(hub: Hub) -> GreenletWatch:
    watch = GreenletWatch()
    watch.install(hub)
    return watch


def dying() -> None:
    raise ValueError("seven")


def test_a_death_is_logged_with_its_cause_and_counted(
    watch: GreenletWatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    gevent.spawn(dying).join()
    assert watch.deaths == 1
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert "dying" in record.getMessage()
    assert "seven" in record.getMessage()
    assert record.exc_info is not None
    assert capsys.readouterr().err == ""


def test_a_thousand_deaths_of_one_kind_are_one_line(
    watch: GreenletWatch, caplog: pytest.LogCaptureFixture
) -> None:
    gevent.joinall([gevent.spawn(dying) for _ in range(1000)])
    assert watch.deaths == 1000
    assert len(caplog.records) == 1


def test_a_killed_greenlet_is_no_surprise(
    watch: GreenletWatch, caplog: pytest.LogCaptureFixture
) -> None:
    greenlet = gevent.spawn(gevent.sleep, 60)
    gevent.sleep(0)
    greenlet.kill()
    assert watch.deaths == 0
    assert caplog.records == []


def test_a_failed_timer_counts(watch: GreenletWatch, hub: Hub) -> None:
    timer = hub.loop.timer(0)
    timer.start(dying)
    gevent.sleep(0.01)
    timer.close()
    assert watch.deaths == 1


def test_a_failed_request_is_logged_but_kills_nothing(
    watch: GreenletWatch, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.handle_error({"PATH_INFO": "/"}, ValueError, ValueError("seven"), None)
    assert watch.deaths == 0
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_an_exit_still_ends_the_program(watch: GreenletWatch) -> None:
    def leaving() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        gevent.spawn(leaving).join()
    assert watch.deaths == 0
