"""Groups of records in a thread; what happens while nothing can be written, and after."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.audit import records, writer
from amiws_gevent.audit.chain import Head
from amiws_gevent.audit.ledger import Ledger, Written
from amiws_gevent.audit.writer import Ticket, Writer
from tests.support.audit import NOW
from tests.support.audit_place import Place
from tests.support.greenlets import until
from tests.support.patience import WAIT


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY", 0.01)


class Made:
    """A writer over a place, and the lines that it told."""

    def __init__(self, place: Place, **more: Any) -> None:
        settings = place.settings(**more)
        self.lines: list[bytes] = []
        self.place = place
        self.ledger = place.ledger(**more)
        self.writer = Writer(self.ledger, settings, written=self.lines.extend)
        self.writer.start()

    def put(self, user: str, *, must: bool = False) -> Ticket | None:
        return self.writer.put(records.record("login", NOW, {"user": user}), must=must)

    def must(self, user: str = "a") -> str:
        ticket = self.put(user, must=True)
        return ticket.wait() if ticket is not None else "no ticket"

    def end(self) -> None:
        self.writer.stop(20)


@pytest.fixture
def made(place: Place) -> Iterator[Made]:
    one = Made(place)
    yield one
    one.end()


def test_what_waits_is_on_the_disk_when_it_goes_on(made: Made) -> None:
    assert made.must("a") == ""
    assert made.place.users() == ["a"]
    assert made.place.synced == 2  # the file and its name
    assert len(made.lines) == 1


def test_many_at_once_are_one_group(made: Made) -> None:
    until(lambda: made.must() == "")
    before = made.place.synced
    waiting = [gevent.spawn(made.must, f"u{number}") for number in range(500)]
    gevent.joinall(waiting)
    assert {one.value for one in waiting} == {""}
    assert made.place.synced - before < 50
    assert made.place.users()[1:] == [f"u{number}" for number in range(500)]
    made.end()
    assert made.place.verify(made.ledger.head).sound
    assert made.writer.count == 501


def test_without_fsync_the_action_waits_for_the_write_and_the_disk_gets_it_soon(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SYNC_TIME", 0.01)
    made = Made(place, fsync=False)
    assert made.must() == ""
    assert place.users() == ["a"]
    until(lambda: place.synced > 0)
    made.end()


def test_the_disk_gets_it_also_if_more_comes_all_the_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SYNC_TIME", 0.05)
    made = Made(place, fsync=False)

    def more() -> bool:
        made.put("a")
        return place.synced >= 3

    until(more)
    made.end()


def test_more_than_one_group_needs_no_further_record(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_AT_ONCE", 10)
    made = Made(place)
    for number in range(35):
        made.put(f"u{number}")
    until(lambda: len(place.users()) == 35)
    made.end()


def test_all_that_waits_is_written_at_the_end(place: Place) -> None:
    made = Made(place)
    for number in range(3000):
        made.put(f"u{number}")
    made.end()
    assert len(place.users()) == 3000
    assert place.verify(made.ledger.head).sound


class TestOutage:
    def test_actions_are_refused_until_it_is_over(
        self, made: Made, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert made.must("before") == ""
        made.place.room = 0
        assert made.must("a") == "No space left on device"
        assert made.writer.refusing
        assert made.must("b") == "No space left on device"
        assert made.put("kept") is None
        gevent.sleep(0.05)
        assert made.writer.outage
        made.place.room = 1 << 40
        until(lambda: not made.writer.outage)
        assert made.must("after") == ""
        made.end()
        assert made.place.users() == ["before", "kept", "after"]
        outage = made.place.of("outage")[0]
        assert (outage["refused"], outage["lost"]) == (2, 0)
        assert outage["reason"] == "No space left on device"
        assert made.place.verify(made.ledger.head).sound
        text = caplog.text
        assert text.count("cannot write the audit") == 1
        assert "actions are refused" in text
        assert "2 actions were refused, 0 records lost" in text

    def test_or_they_go_on_and_are_written_later(self, place: Place) -> None:
        made = Made(place, on_failure="allow")
        place.room = 0
        assert made.must("a") == "No space left on device"  # the trail goes on all the same
        assert not made.writer.refusing
        assert made.put("b", must=True) is None  # nothing to wait for
        place.room = 1 << 40
        until(lambda: not made.writer.outage)
        made.end()
        assert place.users() == ["a", "b"]
        assert place.verify(made.ledger.head).sound

    def test_what_waits_is_bounded_and_what_is_lost_is_told(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "MOST", 10)
        made = Made(place, on_failure="allow")
        place.room = 0
        made.put("first")
        until(lambda: made.writer.outage)
        for number in range(30):
            made.put(f"u{number}")
        assert made.writer.waiting <= 10
        place.room = 1 << 40
        until(lambda: not made.writer.outage)
        made.end()
        assert made.writer.lost >= 20
        assert place.of("outage")[0]["lost"] == made.writer.lost
        assert len(place.users()) + made.writer.lost == 31

    def test_too_many_at_once_are_refused(
        self, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "MOST", 2)
        made.put("a")
        made.put("b")
        ticket = made.put("c", must=True)
        assert ticket is not None
        assert "too many records wait" in ticket.wait()
        assert made.writer.refused == 1

    def test_a_disk_that_loses_what_it_was_given(self, made: Made) -> None:
        made.place.sync_error = OSError(errno.EIO, "Input/output error")
        assert made.must("a") == "Input/output error"
        made.place.sync_error = None
        until(lambda: not made.writer.outage)
        assert made.must("b") == ""
        assert made.place.users() == ["a", "b"]  # it is in the file, though the action was refused

    def test_a_disk_that_hangs_holds_nobody_up(
        self, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(writer, "ANSWER_TIME", 0.05)
        go_on = threading.Event()
        append = Ledger.append

        def hang(ledger: Ledger, given: Sequence[bytes], *, sync: bool) -> Written:
            go_on.wait(WAIT)
            return append(ledger, given, sync=sync)

        monkeypatch.setattr(Ledger, "append", hang)
        made = Made(place)
        assert "does not answer within" in made.must("a")
        assert made.writer.refusing
        assert "does not answer" in made.must("b")
        monkeypatch.setattr(writer, "ANSWER_TIME", 60.0)
        go_on.set()
        until(lambda: not made.writer.outage)
        assert made.must("c") == ""
        made.end()
        assert place.users() == ["a", "c"]
        assert len(place.of("outage")) == 1
        assert caplog.text.count("cannot write the audit") == 1

    def test_a_fault_of_ours_is_an_outage(
        self, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: object, **__: object) -> Written:
            raise ZeroDivisionError

        made = Made(place)
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "append", fail)
            assert made.must() == "internal error: ZeroDivisionError"
        until(lambda: not made.writer.outage)
        assert made.must() == ""
        made.end()
        assert "internal error in writing the audit" in caplog.text

    def test_the_end_does_not_wait_for_a_disk_that_hangs(
        self, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        go_on = threading.Event()

        def hang(*_: object, **__: object) -> Written:
            go_on.wait(WAIT)
            return Written(())

        monkeypatch.setattr(Ledger, "append", hang)
        made = Made(place)
        made.put("a")
        until(lambda: not made.writer.waiting)
        made.put("b")
        made.writer.stop(0.05)
        assert caplog.messages == [
            "the disk does not answer at the end: up to 2 records of the audit are lost"
        ]
        go_on.set()


class TestLog:
    def heads(self, caplog: pytest.LogCaptureFixture) -> list[Head]:
        lines = [line for line in caplog.messages if line.startswith("head ")]
        return [Head.of(line.split()[1]) for line in lines]

    def test_the_head_is_told_at_the_first_record_at_each_end_of_a_file_and_at_the_end(
        self, place: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        made = Made(place, max_size=1000)
        for number in range(20):
            made.must(f"u{number}")
        made.end()
        heads = self.heads(caplog)
        assert len(heads) >= made.ledger.finished > 2
        assert heads[-1] == made.ledger.head
        assert place.verify(*heads).sound

    def test_at_the_end_it_is_told_of_what_is_in_the_file_also_if_the_disk_is_slow(
        self, place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write takes no time, but that the disk keeps it may take seconds."""
        caplog.set_level(logging.INFO)
        made = Made(place)
        made.must("a")
        until(lambda: len(self.heads(caplog)) == 1)
        go_on, fsync = threading.Event(), place.fsync
        monkeypatch.setattr(place, "fsync", lambda fd: [go_on.wait(WAIT), fsync(fd)])
        monkeypatch.setattr(made.ledger, "_fsync", place.fsync)
        made.put("b")
        until(lambda: place.users() == ["a", "b"])
        made.writer.stop(0.05)
        assert self.heads(caplog)[-1] == made.ledger.head
        assert place.verify(*self.heads(caplog)).sound
        assert "up to 1 records" in caplog.text
        go_on.set()

    def test_now_and_then(
        self, place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.INFO)
        made = Made(place)
        made.must("a")
        until(lambda: len(self.heads(caplog)) == 1)
        made.must("b")
        gevent.sleep(0.02)
        assert len(self.heads(caplog)) == 1
        monkeypatch.setattr(writer, "HEAD_TIME", 0.01)
        made.must("c")
        until(lambda: len(self.heads(caplog)) == 2)
        made.end()

    def test_records_go_there_if_they_are_to(
        self, place: Place, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        made = Made(place, syslog=True)
        made.must("anna")
        made.end()
        (line,) = [line for line in caplog.messages if line.startswith("record ")]
        word, mac, rest = line.split(" ", 2)
        assert (word, mac) == ("record", made.ledger.head.mac.hex())
        assert rest.startswith('{"seq":2,')
        assert rest.endswith('"user":"anna"}')
