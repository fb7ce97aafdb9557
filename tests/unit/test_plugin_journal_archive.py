"""Finished files of a journal: packed, and the oldest removed past the bound."""

from __future__ import annotations

import errno
import gzip
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from amiws_plugins.journal.archive import Archive
from amiws_plugins.journal.files import Folder, JournalFile

from tests.support.journal import names, settings

LINE = b'{"time":"2026-11-22T12:00:00.000Z","message":{}}\n'
KIB = 1024


class Bench:
    """An archive of a folder whose newest file is being written to; threads are calls."""

    def __init__(self, path: Path, **more: object) -> None:
        path.mkdir()
        self.path = path
        self.settings = settings(path, **more)
        self.folder = Folder(path, "amiws")
        self.current: JournalFile | None = None
        self.in_thread: Callable[..., object] = lambda function, *arguments: function(*arguments)
        self.archive = Archive(
            self.settings,
            self.folder,
            current=lambda: self.current,
            in_thread=lambda *call: self.in_thread(*call),
            log=logging.getLogger("amiws_gevent.plugin.journal"),
        )

    def write(self, number: int, data: bytes) -> JournalFile:
        path = self.path / f"amiws-2026-11-22-{number:04d}.jsonl"
        path.write_bytes(data)
        return JournalFile("2026-11-22", number, path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "journal", max_file_size="64k", max_total="256k")


@pytest.fixture
def plain(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "journal", max_file_size="64k", max_total="256k", compress="no")


def test_finished_files_are_packed_and_the_present_one_is_not(bench: Bench) -> None:
    data = LINE * 20_000  # several chunks
    first, second = bench.write(1, data), bench.write(2, LINE)
    bench.current = second
    bench.settings = bench.settings.model_copy(update={"max_total": 1 << 30})
    bench.archive = Archive(
        bench.settings,
        bench.folder,
        current=lambda: bench.current,
        in_thread=lambda function, *arguments: function(*arguments),
        log=logging.getLogger("x"),
    )
    assert bench.archive.work()
    assert names(bench.path) == [f"{first.path.name}.gz", second.path.name]
    assert gzip.decompress(first.packed.read_bytes()) == data
    assert stat.S_IMODE(first.packed.stat().st_mode) == 0o640


def test_files_stay_plain_if_so_set(plain: Bench) -> None:
    plain.write(1, LINE)
    assert plain.archive.work()
    assert names(plain.path) == ["amiws-2026-11-22-0001.jsonl"]


@pytest.mark.parametrize("name", ["bench", "plain"])
def test_a_torn_line_is_cut_off_before(name: str, request: pytest.FixtureRequest) -> None:
    bench: Bench = request.getfixturevalue(name)
    file = bench.write(1, LINE + b'{"time"')
    assert bench.archive.work()
    packed = file.packed.exists()
    assert packed == bench.settings.compress
    found = gzip.decompress(file.packed.read_bytes()) if packed else file.path.read_bytes()
    assert found == LINE


def test_an_empty_file_is_removed(bench: Bench) -> None:
    bench.write(1, b"")
    bench.write(2, b"torn")
    assert bench.archive.work()
    assert names(bench.path) == []


def test_the_oldest_are_removed_past_the_bound(
    plain: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    data = LINE * (60 * KIB // len(LINE))
    for number in range(1, 7):
        plain.write(number, data)
    plain.current = plain.write(7, LINE)
    assert plain.archive.work()
    # 256 KiB without the 64 KiB that the present file may come to
    assert names(plain.path) == [f"amiws-2026-11-22-000{number}.jsonl" for number in (4, 5, 6, 7)]
    assert caplog.text.count("the files together exceeded max_total") == 3


def test_all_files_never_come_over_the_bound(bench: Bench) -> None:
    highest = 0

    def in_thread(function: Callable[..., object], *arguments: object) -> object:
        nonlocal highest
        before = sum(path.stat().st_size for path in bench.path.iterdir())
        # While a file is packed there is both; noise does not get smaller.
        room_for_the_rest = 64 * KIB if function == bench.archive._pack else 0
        highest = max(highest, before + room_for_the_rest)
        return function(*arguments)

    bench.in_thread = in_thread
    for number in range(1, 30):
        bench.write(number, os.urandom(64 * KIB).replace(b"\n", b"x")[:-1] + b"\n")
        bench.current = bench.write(number + 1, b"")
        assert bench.archive.work()
    assert 100 * KIB < highest <= 256 * KIB


def test_a_single_file_over_the_bound_is_removed(bench: Bench) -> None:
    bench.write(1, b"x" * 300 * KIB + b"\n")
    assert bench.archive.work()
    assert names(bench.path) == []


def test_a_full_disk_keeps_the_plain_file_and_is_told_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = bench.write(1, LINE)

    def full(descriptor: int) -> None:
        if not Path(f"/proc/self/fd/{descriptor}").readlink().name.endswith(".jsonl"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not bench.archive.work()
    assert not bench.archive.work()
    assert names(bench.path) == [file.path.name]
    assert caplog.text.count("No space left on device") == 1
    monkeypatch.undo()
    assert bench.archive.work()
    assert names(bench.path) == [file.packed.name]
    bench.write(2, LINE)
    monkeypatch.setattr(os, "fsync", full)
    assert not bench.archive.work()
    assert caplog.text.count("No space left on device") == 2


def test_a_folder_that_is_gone_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.path.rmdir()
    assert not bench.archive.work()
    assert "No such file or directory" in caplog.text


def test_a_stop_gives_up_what_is_being_packed(bench: Bench) -> None:
    file = bench.write(1, LINE)
    bench.archive.stop()
    assert bench.archive.work()
    assert names(bench.path) == [file.path.name]


def test_a_file_that_is_begun_meanwhile_is_left_alone(bench: Bench) -> None:
    bench.write(1, LINE)
    second = bench.write(2, LINE)

    def in_thread(function: Callable[..., object], *arguments: object) -> object:
        bench.current = second
        return function(*arguments)

    bench.in_thread = in_thread
    assert bench.archive.work()
    assert names(bench.path) == ["amiws-2026-11-22-0001.jsonl.gz", second.path.name]


def test_without_fsync_only_packed_files_are_synced(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", fsync_interval="no")
    calls: list[object] = []

    def in_thread(function: Callable[..., object], *arguments: object) -> object:
        calls.append(function)
        return function(*arguments)

    bench.in_thread = in_thread
    bench.write(1, LINE)
    assert bench.archive.work()
    assert calls == [bench.archive._pack]
