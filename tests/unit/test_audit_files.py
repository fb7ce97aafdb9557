"""The file and its key: what is refused, and what stands at the end."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from amiws_gevent.audit import files
from amiws_gevent.audit.chain import Key
from amiws_gevent.audit.files import Unfit
from tests.support.audit import a_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestOpening:
    def test_it_is_made_and_nobody_else_may_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        before = os.umask(0)
        try:
            os.close(files.open_file(path))
        finally:
            os.umask(before)
        assert mode(path) == 0o600
        path.chmod(0o644)
        os.close(files.open_file(path))
        assert mode(path) == 0o600

    def test_what_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = tmp_path / "plain"
        plain.write_text("")
        (tmp_path / "link").symlink_to(plain)
        (tmp_path / "dangling").symlink_to("nowhere")
        for name in ("link", "dangling"):
            with pytest.raises(Unfit, match="symbolic link"):
                files.open_file(tmp_path / name)
        assert not (tmp_path / "nowhere").exists()
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(Unfit, match="no regular file"):
            files.open_file(tmp_path / "fifo")
        os.link(plain, tmp_path / "second")
        with pytest.raises(Unfit, match="hard link"):
            files.open_file(plain)
        (tmp_path / "second").unlink()
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with pytest.raises(Unfit, match="another user"):
            files.open_file(plain)

    def test_another_writer_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        first = files.open_file(path)
        with pytest.raises(Unfit, match="another process"):
            files.open_file(path)
        os.close(first)
        os.close(files.open_file(path))

    def test_nothing_stays_open(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        with path.open("w") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            before = len(list(Path("/proc/self/fd").iterdir()))
            with pytest.raises(Unfit):
                files.open_file(path)
            assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_whether_it_is_in_place(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        descriptor = files.open_file(path)
        assert files.is_in_place(descriptor, path)
        path.rename(tmp_path / "b")
        assert not files.is_in_place(descriptor, path)
        path.symlink_to(tmp_path / "b")
        assert not files.is_in_place(descriptor, path)
        os.close(descriptor)


class TestEnds:
    def ends(self, path: Path, data: bytes) -> files.Ends:
        path.write_bytes(data)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return files.ends_of(descriptor)
        finally:
            os.close(descriptor)

    def test_of_a_file(self, tmp_path: Path) -> None:
        lines, head = a_file(None, 40)
        found = self.ends(tmp_path / "a", b"".join(lines) + b'{"seq"')
        assert found.first is not None
        assert found.before_last is not None
        assert found.last is not None
        assert (found.first.seq, found.before_last.seq, found.last.head) == (1, 40, head)
        assert found.fragment == 6

    def test_of_files_with_little_in_them(self, tmp_path: Path) -> None:
        lines, head = a_file(None, 0)
        found = self.ends(tmp_path / "a", lines[0])
        assert found.last is not None
        assert (found.last.head, found.before_last, found.fragment) == (head, None, 0)
        assert self.ends(tmp_path / "a", b"") == (None, None, None, 0)
        assert self.ends(tmp_path / "a", b"abc") == (None, None, None, 3)
        assert self.ends(tmp_path / "a", b"abc\n") == (None, None, None, 0)


class TestFinished:
    def test_names_are_in_order_and_never_taken_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.jsonl"
        made = []
        for first in (1, 12, 12, 12, 1_000_000_000_000):
            made.append(files.finished_name(path, first))
            made[-1].write_text("")
        assert [file.name for file in made[:3]] == [
            "audit-000000000001.jsonl",
            "audit-000000000012.jsonl",
            "audit-000000000012.2.jsonl",
        ]
        for other in ("audit-12.jsonl", "audit-000000000012.json", "xaudit-000000000012.jsonl"):
            (tmp_path / other).write_text("")
        assert files.finished_files(path) == made

    def test_the_old_ones_are_removed_from_the_oldest_on(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        for first, time in ((1, 100), (2, 200), (3, 900), (4, 150)):
            file = files.finished_name(path, first)
            file.write_text("")
            os.utime(file, (time, time))
        assert files.remove_old(path, 500) == ["a-000000000001.jsonl", "a-000000000002.jsonl"]
        assert len(files.finished_files(path)) == 2


class TestKey:
    def test_it_is_made_once_and_read(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        made = files.make_key(path)
        assert mode(path) == 0o600
        assert files.read_key(path).name == made.name
        with pytest.raises(FileExistsError):
            files.make_key(path)
        assert files.make_key(tmp_path / "other").name != made.name

    def test_an_operator_may_write_one(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("k" * 32 + "\nfrom the safe\n")
        path.chmod(0o600)
        assert files.read_key(path).name == Key(b"k" * 32).name

    def test_what_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("short\n" + "x" * 50)
        path.chmod(0o600)
        with pytest.raises(Unfit, match="less than 32"):
            files.read_key(path)
        files.make_key(tmp_path / "open")
        (tmp_path / "open").chmod(0o644)
        with pytest.raises(Unfit, match="others may read"):
            files.read_key(tmp_path / "open")
        with pytest.raises(Unfit, match="no regular file"):
            files.read_key(tmp_path)

    def test_one_of_root_may_be_read_by_a_group_and_one_of_others_by_nobody(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "key"
        files.make_key(path)
        path.chmod(0o640)
        real = os.fstat

        def owned_by(owner: int) -> None:
            def fstat(descriptor: int) -> os.stat_result:
                found = list(real(descriptor))
                found[4] = owner
                return os.stat_result(found)

            monkeypatch.setattr(os, "fstat", fstat)

        owned_by(0)
        for reader in (0, 4711):  # root verifies what the service has written
            monkeypatch.setattr(os, "geteuid", lambda reader=reader: reader)
            path.chmod(0o640)
            files.read_key(path)
            path.chmod(0o660)
            with pytest.raises(Unfit, match="others may"):
                files.read_key(path)
        path.chmod(0o640)
        owned_by(4711)
        with pytest.raises(Unfit, match="others may"):
            files.read_key(path)
        owned_by(4712)
        with pytest.raises(Unfit, match="another user"):
            files.read_key(path)


def test_lines_of_a_file_and_of_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n\n2")
    assert list(files.lines_of(tmp_path / "a")) == [b"1\n", b"\n", b"2"]
    with pytest.raises(OSError, match="regular file"):
        list(files.lines_of(tmp_path))
