"""Errors that no greenlet caught."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator, Sequence

import gevent
import pytest
from gevent.hub import Hub

from amiws_gevent.runtime.greenlets import GreenletWatch


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


def raising(error: type[BaseException]) -> None:
    raise error(3)


@pytest.fixture
def no_interrupts() -> Iterator[None]:
    """As in the program that runs: no signal raises KeyboardInterrupt."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, BaseException])
def test_no_error_of_a_greenlet_ends_the_program(
    watch: GreenletWatch,
    error: type[BaseException],
    caplog: pytest.LogCaptureFixture,
    no_interrupts: None,
) -> None:
    gevent.spawn(raising, error).join()
    assert watch.deaths == 1
    (record,) = caplog.records
    assert "raising" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is error


def test_an_interrupt_that_may_be_a_signal_ends_it(watch: GreenletWatch) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            gevent.spawn(raising, KeyboardInterrupt).join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert watch.deaths == 0


class TestBlame:
    @pytest.fixture
    def blamed(self, watch: GreenletWatch) -> list[tuple[list[str], BaseException]]:
        seen: list[tuple[list[str], BaseException]] = []

        def blame(files: Sequence[str], what: str, error: BaseException) -> bool:
            seen.append((list(files), error))
            return True

        watch.blame = blame
        return seen

    def test_whoever_takes_the_blame_is_told_in_the_place_of_the_program(
        self,
        watch: GreenletWatch,
        blamed: list[tuple[list[str], BaseException]],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        gevent.spawn(dying).join()
        ((files, error),) = blamed
        assert files[0] == __file__
        assert str(error) == "seven"
        assert watch.deaths == 0
        assert caplog.records == []

    def test_by_who_spawned_it_if_no_code_of_his_was_run(
        self, watch: GreenletWatch, blamed: list[tuple[list[str], BaseException]]
    ) -> None:
        gevent.spawn(sys.exit, 3).join()
        ((files, error),) = blamed
        assert __file__ in files
        assert isinstance(error, SystemExit)
