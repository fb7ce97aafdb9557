"""Records on the disk, whatever happens to it: what is there can always be verified."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from amiws_gevent.audit import files, records
from amiws_gevent.audit.files import Unfit
from amiws_gevent.audit.ledger import Ledger
from amiws_gevent.audit.verify import Report, Verifier
from tests.support.audit import NOW
from tests.support.audit_place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def some(number: int, first: int = 0) -> list[bytes]:
    return [records.record("login", NOW, {"user": f"u{n}"}) for n in range(first, first + number)]


def test_a_first_start_makes_file_and_key(place: Place) -> None:
    ledger = place.ledger()
    ledger.open()
    assert len(ledger.notes) == 1
    assert "made the key" in ledger.notes[0]
    written = ledger.append(some(3), sync=True)
    assert (len(written.lines), written.error) == (3, None)
    assert place.synced == 2  # the file, and its name
    ledger.append(some(1), sync=True)
    assert place.synced == 3
    ledger.append(some(1), sync=False)
    assert place.synced == 3
    ledger.close()
    report = place.verify(ledger.head)
    assert (report.sound, report.notices, report.records) == (True, [], 6)
    begin = place.told()[0]
    assert (begin["what"], begin["why"], begin["form"], begin["seq"]) == ("begin", "first", 1, 1)
    assert "before" not in begin


def test_what_was_made_for_nothing_is_removed_and_the_key_is_kept(place: Place) -> None:
    ledger = place.ledger()
    ledger.open()
    ledger.close()
    assert not place.file.exists()
    key = place.key.read_bytes()
    place.ledger().open()
    assert place.key.read_bytes() == key


def test_the_next_start_goes_on(place: Place) -> None:
    for number in range(3):
        ledger = place.ledger()
        ledger.append(some(2, number), sync=True)
        ledger.close()
    report = place.verify()
    assert (report.sound, report.notices, report.records) == (True, [], 7)
    assert place.whats() == ["begin"] + ["login"] * 6


def test_without_the_key_an_audit_is_not_gone_on_with(place: Place) -> None:
    ledger = place.ledger()
    ledger.append(some(1), sync=True)
    ledger.close()
    place.key.rename(place.folder / "lost")
    with pytest.raises(Unfit, match="put the key back"):
        place.ledger().open()
    assert not place.key.exists()
    place.file.rename(files.finished_name(place.file, 1))
    with pytest.raises(Unfit, match="put the key back"):
        place.ledger().open()


def test_a_key_that_cannot_be_made_is_told(place: Place) -> None:
    shutil.rmtree(place.key.parent)
    with pytest.raises(Unfit, match="cannot be made: No such file"):
        place.ledger().open()


def test_another_key_begins_another_file(place: Place) -> None:
    first = place.ledger()
    first.append(some(2), sync=True)
    first.close()
    old = files.read_key(place.key)
    place.key.unlink()
    new = files.make_key(place.key)
    ledger = place.ledger()
    ledger.append(some(1), sync=True)
    ledger.close()
    verifier = Verifier([old, new])
    for path in place.all_files():
        verifier.file(path.name, files.lines_of(path))
    report = verifier.finish()
    assert (report.sound, report.records) == (True, 5)
    assert place.told()[3]["why"] == "key"
    assert place.told()[3]["before"] == {
        "file": "audit-000000000001.jsonl",
        "seq": 3,
        "mac": first.head.mac.hex(),
    }


def test_files_are_finished_by_size(place: Place) -> None:
    ledger = place.ledger(max_size=2000)
    for number in range(40):
        ledger.append(some(1, number), sync=True)
    ledger.close()
    found = place.all_files()
    assert len(found) == ledger.finished + 1 > 3
    assert all(file.stat().st_size <= 2000 for file in found)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in found)
    assert (place.verify(ledger.head).problems, place.verify().notices) == ([], [])
    begins = [record for record in place.told() if record["what"] == "begin"]
    assert [begin.get("before", {}).get("file") for begin in begins[1:]] == [
        file.name for file in found[:-1]
    ]
    assert {begin["why"] for begin in begins[1:]} == {"size"}


def test_a_record_larger_than_a_file_has_one_of_its_own(place: Place) -> None:
    ledger = place.ledger(max_size=500)
    large = records.record("login", NOW, {"user": "x" * 2000})
    ledger.append([large, large, *some(1)], sync=True)
    assert place.verify(ledger.head).sound
    assert len(place.all_files()) == 3


def test_files_are_finished_by_age_also_over_a_restart(place: Place) -> None:
    ledger = place.ledger(max_age=100)
    ledger.append(some(1), sync=True)
    place.now += 99
    ledger.append(some(1), sync=True)
    assert len(place.all_files()) == 1
    ledger.close()
    place.now += 1
    ledger = place.ledger(max_age=100)
    ledger.append(some(1), sync=True)
    assert len(place.all_files()) == 2
    assert place.told()[3]["why"] == "age"
    assert place.verify().sound


def test_old_files_are_removed_and_that_is_told(place: Place) -> None:
    ledger = place.ledger(max_age=10, keep=1000)
    ledger.append(some(1), sync=True)
    for _ in range(3):
        place.now += 20
        ledger.append(some(1), sync=True)
    first, *others, _current = place.all_files()
    os.utime(first, (NOW - 2000, NOW - 2000))
    for other in others:
        os.utime(other, (place.now, place.now))
    place.now += 20
    ledger.append(some(1), sync=True)
    assert not first.exists()
    assert [record["files"] for record in place.told() if record["what"] == "removed"] == [
        [first.name]
    ]
    assert place.verify().sound
    assert any("old files were removed" in notice for notice in place.verify().notices)


def test_a_crash_between_two_files(place: Place) -> None:
    ledger = place.ledger()
    ledger.append(some(3), sync=True)
    ledger.close()
    place.file.rename(files.finished_name(place.file, 1))
    again = place.ledger()
    again.append(some(1), sync=True)
    assert place.verify(again.head).sound
    assert place.told()[4]["before"]["seq"] == 4


class TestTornLines:
    @pytest.mark.parametrize("left", [b"{", b'{"seq":9,"time":"2026', b"x" * 5000])
    def test_a_start_after_one_closes_over_it(self, place: Place, left: bytes) -> None:
        ledger = place.ledger()
        ledger.append(some(3), sync=True)
        ledger.close()
        with place.file.open("ab") as file:
            file.write(left)
        again = place.ledger()
        again.append(some(1), sync=True)
        assert any(f"an incomplete line of {len(left)} bytes" in note for note in again.notes)
        again.append(some(1), sync=True)
        assert left + b"\n" in place.file.read_bytes()
        report = place.verify(again.head)
        assert (report.problems, len(report.notices)) == ([], 1)
        assert place.whats() == ["begin", "login", "login", "login", "torn", "login", "login"]

    @pytest.mark.parametrize("room", [0, 1, 60, 150, 200, 300, 400, 500])
    def test_a_full_disk_at_any_byte(self, place: Place, room: int) -> None:
        ledger = place.ledger()
        place.room = room
        written = ledger.append(some(3), sync=True)
        assert written.error is not None
        assert written.error.errno == errno.ENOSPC
        assert len(written.lines) < 3
        again = ledger.append(some(1), sync=True)
        assert again.error is not None
        place.room = 1 << 40
        rest = ledger.append(some(3 - len(written.lines), len(written.lines)), sync=True)
        assert rest.error is None
        report = place.verify(ledger.head)
        assert report.problems == []
        logins = [record["user"] for record in place.told() if record["what"] == "login"]
        assert logins == ["u0", "u1", "u2"]


class TestWhatOthersDo:
    def after(self, place: Place, do: Callable[[], object]) -> tuple[Ledger, Report]:
        ledger = place.ledger()
        ledger.append(some(3), sync=True)
        do()
        written = ledger.append(some(2), sync=True)
        assert (len(written.lines), written.error) == (2, None)
        return ledger, place.verify(ledger.head)

    def test_the_file_is_moved(self, place: Place) -> None:
        name = files.finished_name(place.file, 1)
        _, report = self.after(place, lambda: place.file.rename(name))
        assert report.problems == []
        assert "begun because of the file before: moved" in report.notices[0]

    def test_the_file_is_removed(self, place: Place) -> None:
        ledger, report = self.after(place, place.file.unlink)
        assert "record 4: not given" in report.notices[0]
        assert (report.first, report.last) == (5, ledger.head)

    def test_the_file_is_emptied(self, place: Place) -> None:
        _, report = self.after(place, lambda: os.truncate(place.file, 0))
        assert report.first == 5

    def test_the_end_is_cut(self, place: Place) -> None:
        size = 0

        def cut() -> None:
            nonlocal size
            lines = place.file.read_bytes().splitlines(keepends=True)
            size = sum(map(len, lines[:-1]))
            os.truncate(place.file, size)

        ledger, report = self.after(place, cut)
        (problem,) = report.problems
        assert "records 4 to 4 are missing: the end of the file before" in problem
        assert any("was changed" in note for note in ledger.notes)

    def test_something_is_put_behind(self, place: Place) -> None:
        def put() -> None:
            with place.file.open("ab") as file:
                file.write(b"nothing of ours\n")

        _, report = self.after(place, put)
        assert any("is no record" in problem for problem in report.problems)

    def test_the_last_line_is_changed_while_the_program_does_not_run(self, place: Place) -> None:
        ledger = place.ledger()
        ledger.append(some(3), sync=True)
        ledger.close()
        place.file.write_bytes(place.file.read_bytes().replace(b'"u2"', b'"u3"'))
        again = place.ledger()
        again.append(some(1), sync=True)
        assert any("was changed" in note for note in again.notes)
        (problem,) = place.verify().problems
        assert "record 4 was changed" in problem
        assert place.told()[4]["why"] == "changed"

    def test_the_folder_is_removed_and_comes_back(self, place: Place) -> None:
        ledger = place.ledger()
        ledger.append(some(3), sync=True)
        shutil.rmtree(place.file.parent)
        written = ledger.append(some(1), sync=True)
        assert written.error is not None
        assert written.error.errno == errno.ENOENT
        place.file.parent.mkdir()
        assert ledger.append(some(1), sync=True).error is None
        assert place.verify().sound
        assert place.told()[0]["before"]["seq"] == 4

    def test_another_file_in_its_place_is_left_alone(self, place: Place) -> None:
        files.make_key(place.key)
        place.file.write_text("my diary\n")
        with pytest.raises(Unfit, match="another file"):
            place.ledger().open()
        assert place.file.read_text() == "my diary\n"


def test_a_disk_that_does_not_keep_what_it_was_given(place: Place) -> None:
    ledger = place.ledger()
    place.sync_error = OSError(errno.EIO, "Input/output error")
    written = ledger.append(some(2), sync=True)
    assert (len(written.lines), written.error) == (2, place.sync_error)
    place.sync_error = None
    assert ledger.append(some(1), sync=True).error is None
    assert place.verify(ledger.head).sound
