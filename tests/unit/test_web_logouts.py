"""Logouts outlive the program: written before they are answered, read at the start."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.runtime import statefile
from amiws_gevent.web import logouts
from amiws_gevent.web.ended import EndedSessions
from amiws_gevent.web.logouts import Logouts
from tests.support.clock import Clock
from tests.support.greenlets import until


class Program:
    """One run of it; the clock of the machine goes on, its own begins somewhere."""

    def __init__(self, path: Path | None, wall: Clock, own: float = 5.0) -> None:
        self.clock = Clock(own)
        self.ended = EndedSessions(clock=self.clock)
        self.logouts = Logouts(self.ended, wall_clock=wall)
        self.logouts.configure(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json.logouts"


@pytest.fixture
def wall() -> Clock:
    return Clock(1_800_000_000.0)


def test_a_logout_outlives_the_program(path: Path, wall: Clock) -> None:
    first = Program(path, wall)
    first.ended.end("anna", [b"1"], 60)
    first.logouts.save()
    wall.now += 100
    second = Program(path, wall, own=77.0)
    assert second.ended.holds("anna", b"1", 0)
    assert not second.ended.holds("bob", b"1", 100)
    assert not second.ended.holds("anna", b"2", 100)
    second.ended.end("anna", [b"2"], 60)
    second.logouts.save()
    third = Program(path, wall)
    assert third.ended.holds("anna", b"1", 0)
    assert third.ended.holds("anna", b"2", 0)


def test_without_a_file_nothing_is_kept(wall: Clock, caplog: pytest.LogCaptureFixture) -> None:
    first = Program(None, wall)
    first.ended.end("anna", [b"1"], 60)
    first.logouts.save()
    first.logouts.stop()
    assert not Program(None, wall).ended.holds("anna", b"1", 0)
    assert caplog.records == []


def test_no_file_yet_is_a_first_start(
    path: Path, wall: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert not Program(path, wall).ended.holds("anna", b"1", 1e9)
    assert caplog.records == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"form": 2, "logouts": {"sessions": [], "before": null}}',
        '{"form": 1, "logouts": []}',
        '{"form": 1, "logouts": {"sessions": [["anna", "!", 1, 2]], "before": null}}',
        '{"form": 1, "logouts": {"sessions": [["anna", "MQ==", 1]], "before": null}}',
        '{"form": 1, "logouts": {"sessions": [["anna", "MQ==", "x", 2]], "before": null}}',
        '{"form": 1, "logouts": {"sessions": [], "before": "x"}}',
        '{"form": 1, "logouts": {"sessions": []}}',
        '{"form": 1, "logouts": {"sessions": [["anna", "MQ==", 1e999, 2]], "before": null}}',
    ],
)
def test_a_file_that_cannot_be_read_ends_all_that_was_before(
    path: Path, wall: Clock, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Which of the sessions were ended nobody knows: none of them is good any more."""
    path.write_text(content)
    made = Program(path, wall)
    assert made.ended.holds("anna", b"1", 1)
    made.clock.now += 2
    assert not made.ended.holds("anna", b"new", 1)
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"state_file {path} cannot be read" in line
    assert "all who were logged in have to log in again" in line
    made.logouts.save()
    assert Program(path, wall).ended.holds("anna", b"1", 10)  # the next start knows it too


def test_the_bound_is_kept_and_what_it_left_out(path: Path, wall: Clock) -> None:
    first = Program(path, wall)
    first.ended = EndedSessions(clock=first.clock, entries=2)
    first.logouts = Logouts(first.ended, wall_clock=wall)
    first.logouts.configure(path)
    for number in range(4):
        first.ended.end("anna", [b"%d" % number], 60)
        first.clock.now += 1
        wall.now += 1
    first.logouts.save()
    second = Program(path, wall)
    assert len(second.ended) == 2
    assert second.ended.holds("anna", b"3", 0)
    assert second.ended.holds("anna", b"0", 4)  # older than a logout that was forgotten
    assert not second.ended.holds("bob", b"x", 1)
    third = Program(path, wall)
    third.ended = EndedSessions(clock=third.clock, entries=1)
    third.logouts = Logouts(third.ended, wall_clock=wall)
    third.logouts.configure(path)
    assert len(third.ended) == 1


def test_what_nothing_can_show_any_more_is_not_kept(path: Path, wall: Clock) -> None:
    first = Program(path, wall)
    first.ended.end("anna", [b"1"], 2 * 86400)
    first.ended.end("anna", [b"2"], 60)
    first.logouts.save()
    wall.now += 86400 + 1
    second = Program(path, wall)
    assert second.ended.holds("anna", b"1", 0)
    assert not second.ended.holds("anna", b"2", 0)
    second.ended.end("bob", [b"3"], 60)
    second.logouts.save()
    kept = json.loads(path.read_text())["logouts"]["sessions"]
    assert [user for user, *_ in kept] == ["anna", "bob"]


def test_a_clock_that_was_set_back_or_forth(path: Path, wall: Clock) -> None:
    first = Program(path, wall)
    first.ended.end("anna", [b"1"], 60)
    first.logouts.save()
    wall.now -= 1_000_000
    second = Program(path, wall)
    assert second.ended.holds("anna", b"1", 0)
    second.clock.now += 86400 + 2
    second.ended.end("bob", [b"2"], 60)
    assert not second.ended.holds("anna", b"1", 0)  # not for a million seconds


def test_another_file_after_a_reload(path: Path, wall: Clock) -> None:
    made = Program(path, wall)
    made.ended.end("anna", [b"1"], 60)
    other = path.with_name("other")
    made.logouts.configure(other)
    until(other.exists)
    assert Program(other, wall).ended.holds("anna", b"1", 0)
    made.logouts.configure(None)
    made.ended.end("anna", [b"2"], 60)
    made.logouts.save()
    assert not Program(other, wall).ended.holds("anna", b"2", 0)


def test_a_file_that_a_reload_names_keeps_what_it_had(path: Path, wall: Clock) -> None:
    """It may be of an earlier run, whose cookies are still good."""
    first = Program(path, wall)
    first.ended.end("anna", [b"1"], 60)
    first.logouts.save()
    second = Program(None, wall)
    second.ended.end("anna", [b"2"], 60)
    second.logouts.configure(path)
    assert second.ended.holds("anna", b"1", 0)
    second.logouts.save()
    third = Program(path, wall)
    assert third.ended.holds("anna", b"1", 0)
    assert third.ended.holds("anna", b"2", 0)


def test_many_at_once_are_all_written(path: Path, wall: Clock) -> None:
    made = Program(path, wall)

    def log_out(number: int) -> None:
        made.ended.end("anna", [b"%d" % number], 60)
        made.logouts.save()
        assert Program(path, wall).ended.holds("anna", b"%d" % number, 0)

    gevent.joinall([gevent.spawn(log_out, number) for number in range(20)], raise_error=True)


def test_a_disk_that_fails_is_told_and_tried_again(
    path: Path, wall: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logouts, "AGAIN", 0.01)
    made = Program(path.parent / "later" / "x", wall)
    made.ended.end("anna", [b"1"], 60)
    for _ in range(3):
        made.logouts.save()
    gevent.sleep(0.03)  # and by itself
    (line,) = [record.getMessage() for record in caplog.records]
    assert "cannot be written (No such file or directory)" in line
    assert "a restart would forget logouts" in line
    (path.parent / "later").mkdir()
    until((path.parent / "later" / "x").exists)
    made.logouts.stop()
    assert Program(path.parent / "later" / "x", wall).ended.holds("anna", b"1", 0)


def test_the_end_of_the_program_tries_once_more(path: Path, wall: Clock) -> None:
    made = Program(path.parent / "later" / "x", wall)
    made.ended.end("anna", [b"1"], 60)
    made.logouts.save()
    (path.parent / "later").mkdir()
    made.logouts.stop()
    assert Program(path.parent / "later" / "x", wall).ended.holds("anna", b"1", 0)


def test_a_disk_that_hangs_delays_no_logout_for_long(
    path: Path, wall: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    calls: list[Any] = []

    def hang(*given: Any) -> None:
        calls.append(given)
        release.wait(60)

    monkeypatch.setattr(statefile, "_replace", hang)
    made = Program(path, wall)
    made.ended.end("anna", [b"1"], 60)
    try:
        gevent.joinall([gevent.spawn(made.logouts.save, 0.05) for _ in range(3)], raise_error=True)
        assert len(calls) == 1
        made.logouts.stop(0.05)
    finally:
        release.set()
