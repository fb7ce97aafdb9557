"""Names and order of a journal's files, the lock of its folder, torn lines."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from amiws_plugins.journal.files import Folder, FolderTaken, JournalFile, mend, open_file

from tests.support.journal import names
from tests.support.leaks import open_descriptors


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "journal", "amiws")


def touch(folder: Folder, *file_names: str) -> None:
    for name in file_names:
        (folder.path / name).write_bytes(b"x\n")


def test_the_folder_is_made_for_the_program_and_its_group(folder: Folder) -> None:
    old = os.umask(0o022)
    try:
        folder.enter()
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o750


def test_a_folder_without_a_parent_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Folder(tmp_path / "a" / "b", "amiws").enter()


def test_a_second_journal_is_refused_until_the_first_has_left(folder: Folder) -> None:
    folder.enter()
    folder.enter()
    second = Folder(folder.path, "other")
    with pytest.raises(FolderTaken, match=r"another journal writes to .*/journal"):
        second.enter()
    folder.leave()
    second.enter()
    second.leave()
    second.leave()


def test_the_folder_is_free_at_once_though_the_close_is_put_off(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_off: list[int] = []
    monkeypatch.setattr(os, "close", put_off.append)
    folder.enter()
    folder.leave()
    Folder(folder.path, "amiws").enter()
    monkeypatch.undo()
    for descriptor in put_off:
        os.close(descriptor)


def test_another_program_is_refused(folder: Folder) -> None:
    folder.enter()
    code = (
        "import sys; from pathlib import Path; from amiws_plugins.journal.files import *\n"
        "try: Folder(Path(sys.argv[1]), 'amiws').enter()\n"
        "except FolderTaken: sys.exit(7)"
    )
    ended = subprocess.run([sys.executable, "-c", code, folder.path], check=False)
    assert ended.returncode == 7


def test_a_refused_folder_leaves_no_descriptor_open(folder: Folder) -> None:
    folder.enter()
    before = open_descriptors()
    for _ in range(5):
        with pytest.raises(FolderTaken):
            Folder(folder.path, "amiws").enter()
    assert open_descriptors() <= before


def test_a_folder_that_was_removed_is_made_and_locked_again(folder: Folder) -> None:
    folder.enter()
    folder.path.rmdir()
    folder.enter()
    with pytest.raises(FolderTaken):
        Folder(folder.path, "amiws").enter()


def test_files_are_in_the_order_in_which_they_were_begun(folder: Folder) -> None:
    folder.enter()
    wanted = ["2026-11-22-0002", "2026-11-22-9999", "2026-11-22-10000", "2026-11-23-0001"]
    touch(folder, *(f"amiws-{name}.jsonl" for name in reversed(wanted)))
    assert [file.path.name for file in folder.plain()] == [f"amiws-{name}.jsonl" for name in wanted]


def test_other_files_are_not_ours(folder: Folder) -> None:
    folder.enter()
    others = [
        "amiws-2026-11-22-0001.jsonl.bak",
        "amiws-x-2026-11-22-0001.jsonl",
        "amiws-2026-11-22-0001.jsonl.gz.tmp.old",
        "amiws-2026-11-22-1.jsonl",
        "notes.txt",
    ]
    touch(folder, *others)
    folder.tidy()
    assert folder.plain() == []
    assert folder.sizes() == []
    assert names(folder.path) == sorted(others)


def test_the_next_number_counts_packed_files_too(folder: Folder) -> None:
    folder.enter()
    assert folder.next("2026-11-22").path.name == "amiws-2026-11-22-0001.jsonl"
    touch(folder, "amiws-2026-11-22-0007.jsonl.gz", "amiws-2026-11-22-0003.jsonl")
    assert folder.next("2026-11-22").number == 8
    assert folder.next("2026-11-23").number == 1


def test_sizes_are_of_all_files_oldest_first(folder: Folder) -> None:
    folder.enter()
    (folder.path / "amiws-2026-11-22-0002.jsonl").write_bytes(b"12")
    (folder.path / "amiws-2026-11-22-0001.jsonl.gz").write_bytes(b"1")
    assert [(path.name, size) for path, size in folder.sizes()] == [
        ("amiws-2026-11-22-0001.jsonl.gz", 1),
        ("amiws-2026-11-22-0002.jsonl", 2),
    ]


def test_half_packed_files_are_removed(folder: Folder) -> None:
    folder.enter()
    touch(folder, "amiws-2026-11-22-0001.jsonl", "amiws-2026-11-22-0001.jsonl.gz.tmp")
    folder.tidy()
    assert names(folder.path) == ["amiws-2026-11-22-0001.jsonl"]


def test_a_file_that_is_packed_already_is_removed(folder: Folder) -> None:
    folder.enter()
    touch(folder, "amiws-2026-11-22-0001.jsonl")
    packed = folder.path / "amiws-2026-11-22-0001.jsonl.gz"
    packed.write_bytes(gzip.compress(b"x\n"))
    folder.tidy()
    assert names(folder.path) == [packed.name]


@pytest.mark.parametrize("other", [b"", b"short", gzip.compress(b"something else\n", mtime=0)])
def test_a_packed_file_of_something_else_does_not_cost_the_plain_one(
    folder: Folder, other: bytes
) -> None:
    folder.enter()
    touch(folder, "amiws-2026-11-22-0001.jsonl")
    (folder.path / "amiws-2026-11-22-0001.jsonl.gz").write_bytes(other)
    folder.tidy()
    assert names(folder.path) == ["amiws-2026-11-22-0001.jsonl"]


def test_files_are_for_the_program_and_its_group(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        os.close(open_file(tmp_path / "a"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="Too many levels"):
        open_file(tmp_path / "a")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"whole\n", b"whole\n"),
        (b"whole\ntorn", b"whole\n"),
        (b"torn", b""),
        (b"whole\n" + b"\0" * 5000, b"whole\n"),
        (b"whole\n" + b"x" * 200_000, b"whole\n"),
        (b"x" * 200_000, b""),
        (b"x" * 65535 + b"\n" + b"y" * 65536, b"x" * 65535 + b"\n"),
        (b"x" * 65535 + b"\n" + b"y" * 65535, b"x" * 65535 + b"\n"),
    ],
)
def test_a_torn_line_is_cut_off(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(before)
    descriptor = open_file(path)
    assert mend(descriptor) == len(before) - len(after)
    os.write(descriptor, b"next\n")
    os.close(descriptor)
    assert path.read_bytes() == after + b"next\n"


def test_the_packed_name(tmp_path: Path) -> None:
    file = JournalFile("2026-11-22", 1, tmp_path / "amiws-2026-11-22-0001.jsonl")
    assert file.packed == tmp_path / "amiws-2026-11-22-0001.jsonl.gz"
