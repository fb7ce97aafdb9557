"""The writer of a journal: lines, rotation, and every way in which a disk fails."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import shutil
from pathlib import Path

import pytest
from amiws_plugins.journal.files import FolderTaken
from amiws_plugins.journal.writer import BATCH, RETRY_LONGEST

from tests.support.journal import (
    NOON,
    PREFIX_OF_LINE,
    Bench,
    message_lines,
    messages,
    names,
)
from tests.support.leaks import open_descriptors

FIRST = "amiws-2026-11-22-0001.jsonl"
SECOND = "amiws-2026-11-22-0002.jsonl"
MIDNIGHT = NOON + 12 * 3600
SMALL = {"max_file_size": "64k", "max_total": "1M"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def started(folder: Path, **more: object) -> Bench:
    bench = Bench(folder, **more)
    bench.writer.start()
    return bench


# -- lines ---------------------------------------------------------------------------


def test_a_line_holds_the_bytes_as_they_came(folder: Path) -> None:
    bench = started(folder)
    bench.clock.now = NOON + 0.0274
    json_bytes = '{"type":3,"data":{"a":"ü\\u0000 \\"}{"}}'.encode()
    bench.writer.append(json_bytes)
    bench.writer.flush()
    (line,) = message_lines(folder / FIRST)
    assert line.startswith(b'{"time":"2026-11-22T12:00:00.027Z","message":')
    assert line[PREFIX_OF_LINE:-2] == json_bytes
    assert line.endswith(b"}\n")


def test_lines_wait_for_the_flush_but_not_past_a_batch(folder: Path) -> None:
    bench = started(folder)
    bench.append("a")
    assert messages(folder) == []
    bench.append("b" * BATCH)
    assert len(messages(folder)) == 2


def test_the_time_is_that_of_each_message(folder: Path) -> None:
    bench = started(folder)
    for seconds in (0.0, 0.9995, 1.0, 59.5, 3600.25):
        bench.clock.now = NOON + seconds
        bench.append("x")
    bench.writer.flush()
    times = [json.loads(line)["time"][11:] for line in message_lines(folder / FIRST)]
    assert times == [
        *("12:00:00.000Z", "12:00:00.999Z", "12:00:01.000Z", "12:00:59.500Z", "13:00:00.250Z")
    ]


# -- rotation ------------------------------------------------------------------------


def test_a_full_file_is_finished_at_a_line(folder: Path) -> None:
    bench = started(folder, **SMALL)
    for number in range(200):
        bench.append(f"{number:03d}" + "x" * 1000)
    bench.writer.flush()
    sizes = [path.stat().st_size for path in sorted(folder.iterdir())]
    assert len(sizes) == 4
    assert max(sizes) <= 64 * 1024 < max(sizes) + 1100
    assert bench.finished == 3
    assert [text[:3] for text in messages(folder)] == [f"{number:03d}" for number in range(200)]


def test_a_message_larger_than_a_file_gets_one_of_its_own(folder: Path) -> None:
    bench = started(folder, **SMALL)
    bench.append("a", "b" * 100_000, "c")
    bench.writer.flush()
    assert [len(message_lines(path)) for path in sorted(folder.iterdir())] == [1, 1, 1]


def test_midnight_begins_a_new_file(folder: Path) -> None:
    bench = started(folder)
    bench.clock.now = MIDNIGHT - 0.001
    bench.append("before")
    bench.clock.now = MIDNIGHT
    bench.append("after")
    bench.writer.flush()
    assert names(folder) == [FIRST, "amiws-2026-11-23-0001.jsonl"]
    assert b'23:59:59.999Z","message":"before"' in (folder / FIRST).read_bytes()
    assert messages(folder) == ["before", "after"]


def test_midnight_finishes_the_file_though_nothing_comes(folder: Path) -> None:
    bench = started(folder)
    bench.append("before")
    bench.writer.flush()
    bench.clock.now = MIDNIGHT + 1
    bench.writer.flush()
    assert (bench.finished, bench.writer.current) == (1, None)
    assert names(folder) == [FIRST], "no file is begun without a message"


def test_midnight_is_local_if_so_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-02:00")  # two hours ahead of UTC
    import time

    time.tzset()
    try:
        bench = started(folder, daily="local")
        bench.clock.now = MIDNIGHT - 7200 - 1
        bench.append("before")
        bench.clock.now += 1
        bench.append("after")
        bench.writer.flush()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert names(folder) == [FIRST, "amiws-2026-11-23-0001.jsonl"]
    assert messages(folder) == ["before", "after"]


def test_midnight_means_nothing_if_so_set(folder: Path) -> None:
    bench = started(folder, daily="no")
    bench.append("before")
    bench.clock.now = MIDNIGHT
    bench.append("after")
    bench.writer.stop()
    bench.writer = bench.make()
    bench.writer.start()
    bench.append("more")
    bench.writer.flush()
    assert names(folder) == [FIRST]
    assert messages(folder) == ["before", "after", "more"]


def test_rotate_begins_a_new_file_unless_this_one_is_empty(folder: Path) -> None:
    bench = started(folder)
    bench.writer.rotate()
    assert bench.finished == 0
    bench.append("a")
    bench.writer.rotate()
    assert bench.finished == 1
    bench.append("b")
    bench.writer.flush()
    assert names(folder) == [FIRST, SECOND]


# -- starting again ------------------------------------------------------------------


def test_a_new_start_goes_on_with_the_file(folder: Path) -> None:
    bench = started(folder)
    bench.append("a")
    bench.writer.stop()
    bench.writer = bench.make()
    bench.writer.start()
    bench.append("b")
    bench.writer.flush()
    assert names(folder) == [FIRST]
    assert messages(folder) == ["a", "b"]


def test_a_new_start_cuts_off_a_torn_line_and_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = started(folder)
    bench.append("a")
    bench.writer.stop()
    with (folder / FIRST).open("ab") as stream:
        stream.write(b'{"time":"2026-11-22T12')
    bench.writer = bench.make()
    bench.writer.start()
    bench.append("b")
    bench.writer.flush()
    assert messages(folder) == ["a", "b"]
    assert f"{FIRST} ended in an incomplete line: removed its 22 bytes" in caplog.text


def test_a_new_start_leaves_a_file_of_yesterday_or_a_full_one(folder: Path) -> None:
    folder.mkdir()
    (folder / "amiws-2026-11-21-0001.jsonl").write_bytes(b'{"time":"x","message":1}\n')
    (folder / FIRST).write_bytes(b'{"time":"x","message":1}\n' * 4000)
    started(folder, **SMALL)
    assert names(folder)[-1] == SECOND


def test_a_plain_file_before_a_packed_one_is_not_gone_on_with(folder: Path) -> None:
    folder.mkdir()
    (folder / FIRST).write_bytes(b"x\n")
    (folder / f"{SECOND}.gz").write_bytes(b"x")
    bench = started(folder)
    assert bench.writer.current is not None
    assert bench.writer.current.number == 3


def test_a_folder_in_use_refuses_the_start(folder: Path) -> None:
    started(folder)
    with pytest.raises(FolderTaken):
        started(folder, prefix="other")


@pytest.mark.parametrize("fault", ["file", "parent", "loop"])
def test_a_folder_that_cannot_be_used_refuses_the_start(folder: Path, fault: str) -> None:
    folder.mkdir()
    bench = Bench(folder / "deeper")  # settings whose folder was fit to be made
    if fault == "file":
        (folder / "deeper").write_bytes(b"")
    elif fault == "parent":
        folder.rmdir()
    else:
        (folder / "deeper").symlink_to("deeper")
    with pytest.raises(OSError, match=r"File exists|No such file|Not a directory|symbolic links"):
        bench.writer.start()


def test_a_refused_start_leaves_the_folder_unlocked(folder: Path) -> None:
    folder.mkdir()
    (folder / FIRST).symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        started(folder)
    (folder / FIRST).unlink()
    started(folder)


# -- faults of the disk --------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1, 60, 61, 62, 150, 183, 184])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG])
def test_a_full_disk_loses_nothing_that_fits_in_memory(
    folder: Path, room: int, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench = started(folder)
    bench.append("before")
    bench.writer.flush()
    bench.disk.room, bench.disk.error = room, number
    bench.append("one", "two", "three")
    bench.writer.flush()
    assert messages(folder) == ["before", "one", "two", "three"][: 1 + room // 52]
    bench.append("four")
    bench.writer.flush()
    bench.disk.room = None
    bench.clock.now += 2
    bench.writer.flush()
    assert messages(folder) == ["before", "one", "two", "three", "four"]
    (error, again) = [record.getMessage() for record in caplog.records]
    assert error.startswith(f"cannot write to {folder / FIRST}: {os.strerror(number)}")
    assert again.endswith("again after 2 s; 0 messages were lost")
    assert bench.writer.lost == 0


def test_what_does_not_fit_in_memory_is_lost_and_counted_where_it_is_missing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = started(folder, buffer="64k")
    bench.disk.room = 0
    bench.append("y")
    bench.writer.flush()
    bench.append(*("y" * 1000 for _ in range(100)))
    bench.disk.room = None
    bench.clock.now += 2
    bench.writer.flush()
    bench.append("z")
    bench.writer.flush()
    kept = (64 * 1024) // len(f'{{"time":"2026-11-22T12:00:00.000Z","message":"{"y" * 1000}"}}\n')
    assert messages(folder) == ["y", *["y" * 1000] * kept, 100 - kept, "z"]
    assert bench.writer.lost == 100 - kept
    assert caplog.records[-1].getMessage().endswith(f"{100 - kept} messages were lost")


def test_what_is_written_takes_no_room_in_memory(folder: Path) -> None:
    bench = started(folder, buffer="64k")
    for _ in range(10):
        bench.append("x" * 30_000)
        bench.writer.flush()
    bench.append("y")
    assert len(messages(folder)) == 10, "the batch is not full"
    bench.disk.room = 0
    bench.writer.flush()
    bench.append("x" * 60_000)
    bench.disk.room = None
    bench.clock.now += 2
    bench.writer.flush()
    assert bench.writer.lost == 0
    assert len(messages(folder)) == 12


def test_once_one_is_lost_all_are_until_the_disk_is_back(folder: Path) -> None:
    bench = started(folder, buffer="64k")
    bench.disk.room = 0
    bench.append("first")
    bench.writer.flush()
    bench.append("x" * 70_000, "small", "small")
    bench.disk.room = None
    bench.clock.now += 2
    bench.writer.flush()
    assert messages(folder) == ["first", 3]


def test_a_disk_that_is_full_again_while_it_says_what_was_lost(folder: Path) -> None:
    bench = started(folder, buffer="64k")
    bench.disk.room = 0
    bench.append("first")
    bench.writer.flush()
    bench.append("x" * 70_000)
    for room in (30, 70, 0, 85):
        bench.disk.room = room
        bench.clock.now += 100
        bench.writer.flush()
        bench.append("y" * 70_000)
    bench.disk.room = None
    bench.clock.now += 100
    bench.writer.flush()
    found = messages(folder)
    assert found[0] == "first"
    assert sum(found[1:]) == 5
    assert bench.writer.lost == 5


def test_retries_back_off_and_are_not_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = started(folder)
    attempts: list[float] = []

    def write(descriptor: int, data: memoryview) -> int:
        attempts.append(bench.clock.now - NOON)
        raise OSError(errno.ENOSPC, "full")

    bench.writer._write = write
    bench.append("a")
    for _ in range(4000):
        bench.writer.flush()
        bench.clock.now += 0.1
    waits = [round(b - a) for a, b in itertools.pairwise(attempts)]
    assert waits[:7] == [1, 2, 4, 8, 16, 32, RETRY_LONGEST]
    assert set(waits[6:]) == {RETRY_LONGEST}
    assert len(caplog.records) == 1


def test_an_outage_after_a_recovery_is_told_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = started(folder)
    for _ in range(2):
        bench.disk.room = 0
        bench.append("a")
        bench.writer.flush()
        bench.disk.room = None
        bench.clock.now += 1.5
        bench.writer.flush()
    assert len(caplog.records) == 4
    assert messages(folder) == ["a", "a"]


def test_the_kernels_own_full_disk(folder: Path) -> None:
    bench = started(folder)
    with Path("/dev/full").open("wb", buffering=0) as full:
        bench.writer._write = lambda _, data: os.write(full.fileno(), data)
        bench.append("a")
        bench.writer.flush()
    bench.writer._write = os.write
    bench.clock.now += 2
    bench.writer.flush()
    assert messages(folder) == ["a"]


def test_a_disk_that_is_full_at_the_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(folder)
    real = os.open

    def full(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    bench.writer.start()
    bench.append("a")
    bench.writer.flush()
    assert "No space left on device" in caplog.text
    monkeypatch.undo()
    bench.clock.now += 2
    bench.writer.flush()
    assert messages(folder) == ["a"]


def test_a_rotation_on_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = started(folder, **SMALL)
    bench.append("a" * 60_000)
    bench.writer.flush()
    real = os.open

    def full(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    bench.append("b" * 60_000)
    bench.writer.flush()
    assert names(folder) == [FIRST]
    monkeypatch.undo()
    bench.clock.now += 2
    bench.writer.flush()
    assert [text[0] for text in messages(folder)] == ["a", "b"]
    assert names(folder) == [FIRST, SECOND]


def test_a_write_that_takes_part_is_gone_on_with(folder: Path) -> None:
    bench = started(folder)
    bench.writer._write = lambda descriptor, data: os.write(descriptor, data[:7])
    bench.append("a", "b", "c")
    bench.writer.flush()
    assert messages(folder) == ["a", "b", "c"]


def test_a_torn_line_that_cannot_be_cut_off_at_once_is_before_more_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = started(folder)
    bench.disk.room = 70

    def broken(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", broken)
    bench.append("a", "b")
    bench.writer.flush()
    assert not (folder / FIRST).read_bytes().endswith(b"\n")
    bench.disk.room = None
    bench.clock.now += 2
    bench.writer.flush()
    assert not (folder / FIRST).read_bytes().endswith(b"\n"), "nothing is written behind it"
    monkeypatch.undo()
    bench.clock.now += 3
    bench.writer.flush()
    assert messages(folder) == ["a", "b"]


# -- what others do to the files -----------------------------------------------------


def test_a_file_that_was_removed_is_begun_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = started(folder)
    bench.append("a")
    bench.writer.flush()
    (folder / FIRST).rename(folder / "taken")
    bench.append("b")
    bench.writer.flush()
    assert messages(folder) == ["b"]
    assert "was moved or removed" in caplog.text


def test_a_folder_that_was_removed_is_made_again(folder: Path) -> None:
    bench = started(folder)
    bench.append("a")
    bench.writer.flush()
    shutil.rmtree(folder)
    bench.append("b")
    bench.writer.flush()
    assert messages(folder) == ["b"]
    with pytest.raises(FolderTaken):
        started(folder)


def test_a_folder_whose_parent_is_gone_is_an_outage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    bench = started(mount / "journal")
    shutil.rmtree(mount)
    bench.append("a")
    bench.writer.flush()
    assert "No such file or directory" in caplog.text
    mount.mkdir()
    bench.clock.now += 2
    bench.writer.flush()
    assert messages(mount / "journal") == ["a"]


def test_a_folder_that_another_took_meanwhile_is_an_outage(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = started(folder)
    shutil.rmtree(folder)
    other = started(folder)
    bench.append("a")
    bench.writer.flush()
    assert "another journal writes to" in caplog.text
    other.append("b")
    other.writer.stop()
    bench.clock.now += 2
    bench.writer.flush()
    assert messages(folder) == ["b", "a"]


# -- the end -------------------------------------------------------------------------


def test_stop_writes_what_is_left_though_the_retry_is_not_due(folder: Path) -> None:
    bench = started(folder)
    bench.disk.room = 0
    bench.append("a")
    bench.writer.flush()
    bench.disk.room = None
    bench.writer.stop()
    assert messages(folder) == ["a"]


def test_stop_in_an_outage_says_what_is_lost(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = started(folder)
    bench.disk.room = 0
    bench.append("a", "b")
    bench.writer.stop()
    assert caplog.records[-1].getMessage().startswith("2 messages are lost")
    assert caplog.records[-1].levelno == logging.ERROR
    assert bench.lost == 2
    started(folder)


def test_what_the_buffer_does_not_hold_is_counted_at_once(folder: Path) -> None:
    bench = started(folder, buffer="64k")
    bench.disk.room = 0
    bench.append("x")
    bench.writer.flush()
    bench.append("x" * 100_000, "y", "z")
    assert bench.lost == 3
    bench.disk.room = None
    bench.clock.now += RETRY_LONGEST
    bench.writer.flush()
    assert messages(folder)[0] == "x"
    assert (bench.lost, bench.writer.lost) == (3, 3)


def test_no_descriptor_stays_open(folder: Path) -> None:
    before = open_descriptors()
    bench = started(folder, **SMALL)
    for number in range(300):
        bench.append("x" * 1000)
        bench.disk.room = 500 if number == 150 else None
        bench.clock.now += 1
        bench.writer.flush()
    bench.writer.stop()
    assert open_descriptors() <= before


def test_what_is_to_be_synced(folder: Path) -> None:
    bench = started(folder)
    assert bench.writer.take_unsynced() is None
    bench.append("a")
    bench.writer.flush()
    descriptor = bench.writer.take_unsynced()
    assert descriptor is not None
    assert os.path.samestat(os.fstat(descriptor), (folder / FIRST).stat())
    os.close(descriptor)
    assert bench.writer.take_unsynced() is None
    bench.append("b")
    bench.writer.rotate()
    assert bench.writer.take_unsynced() is None, "a finished file is synced by the archive"
