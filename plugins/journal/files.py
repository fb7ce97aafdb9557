"""The folder of a journal and the files in it: their names, their order, their last lines.

    PREFIX-2026-11-22-0001.jsonl        the file that is written to, and such as wait for packing
    PREFIX-2026-11-22-0001.jsonl.gz     finished, packed
    PREFIX-2026-11-22-0001.jsonl.gz.tmp being packed; of no use once the program has ended

Other files in the folder are not touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path
from typing import NamedTuple

FILE_MODE = 0o640
FOLDER_MODE = 0o750

_BLOCK = 64 * 1024


class FolderTaken(Exception):
    """Another journal writes to the folder."""


class JournalFile(NamedTuple):
    """One file; ordered as they were begun."""

    day: str  # 2026-11-22
    number: int
    path: Path

    @property
    def packed(self) -> Path:
        """Where it is once it is packed."""
        return self.path.with_name(f"{self.path.name}.gz")


class Folder:
    """The folder, locked while it is in use. All methods raise OSError."""

    def __init__(self, path: Path, prefix: str) -> None:
        self.path = path
        self._prefix = prefix
        self._name = re.compile(
            rf"{re.escape(prefix)}-([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})-([0-9]{{4,9}})\.jsonl(\.gz)?"
        )
        self._lock: int | None = None

    def enter(self) -> None:
        """Make the folder if need be, and lock it; again if it is no longer the same.

        Raises FolderTaken as well. The lock ends with the program, however that ends.
        """
        if self._lock is not None:
            if self._is_same(self._lock):
                return
            self.leave()
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(FOLDER_MODE)
        lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise FolderTaken(
                f"another journal writes to {self.path}: each journal needs a folder of its own"
            ) from None
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def leave(self) -> None:
        """Unlock it; nothing happens if it is not locked."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            # gevent's close() may be put off, and a successor wants it at once.
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def _is_same(self, lock: int) -> bool:
        try:
            return os.path.samestat(os.fstat(lock), self.path.stat())
        except FileNotFoundError:
            return False

    def tidy(self) -> None:
        """Undo what a program that was killed has left half done."""
        for path in self.path.glob(f"{self._prefix}-*.jsonl.gz.tmp"):
            if self._name.fullmatch(path.name.removesuffix(".tmp")):
                path.unlink()
        for file in self.plain():
            if not file.packed.exists():
                continue
            # Packed for good, but not yet removed; the name of a packed file is only
            # given to a whole one, but somebody may have put another there.
            if _unpacked_size(file.packed) == file.path.stat().st_size:
                file.path.unlink()
            else:
                file.packed.unlink()

    def plain(self) -> list[JournalFile]:
        """The files that are not packed, oldest first."""
        return [file for file, packed in self._listed() if not packed]

    def sizes(self) -> list[tuple[Path, int]]:
        """All files with their sizes in bytes, oldest first."""
        found = []
        for file, packed in self._listed():
            path = file.packed if packed else file.path
            with contextlib.suppress(FileNotFoundError):  # somebody has just taken it away
                found.append((path, path.lstat().st_size))
        return found

    def next(self, day: str) -> JournalFile:
        """The file of that day that comes next."""
        numbers = [file.number for file, _ in self._listed() if file.day == day]
        number = max(numbers, default=0) + 1
        return JournalFile(day, number, self.path / f"{self._prefix}-{day}-{number:04d}.jsonl")

    def _listed(self) -> list[tuple[JournalFile, bool]]:
        found = []
        for path in self.path.iterdir():
            if match := self._name.fullmatch(path.name):
                path = path.with_name(path.name.removesuffix(".gz"))
                found.append((JournalFile(match[1], int(match[2]), path), match[3] is not None))
        return sorted(found)


def open_file(path: Path) -> int:
    """A file descriptor to append with; the file is made if need be, a link refused."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask is
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def mend(descriptor: int) -> int:
    """Cut off what stands behind the last whole line; returns how many bytes that were.

    A program that was killed, a full disk or a power cut leaves such a fragment.
    """
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return size - end


def _unpacked_size(path: Path) -> int:
    """What the end of a gzip file says (RFC 1952: ISIZE, modulo 2^32); -1 for no such file."""
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) < 18:
            return -1
        stream.seek(-4, os.SEEK_END)
        return int.from_bytes(stream.read(4), "little")
