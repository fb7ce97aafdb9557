"""The file of an audit and its key: opened with care, and read from its end.

    audit.jsonl                 the file that is written to
    audit-000000000012.jsonl    a finished one; its first record has that number

Nobody but the program may change what it writes to: a link, a file of another user, or one with a
second name is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from amiws_gevent.audit.chain import SHORTEST_KEY, Key, Line, line_of

MODE = 0o600

_BLOCK = 64 * 1024
_LONGEST_LINE = 1024 * 1024  # bytes; 128 headers of 1,024 bytes, each six in JSON, are 0.8 MiB
_LONGEST_KEY = 4096
_OPEN = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Unfit(OSError):
    """A file that must not be used; ``strerror`` says why. Waiting does not help."""

    def __init__(self, why: str) -> None:
        super().__init__(0, why)

    def __str__(self) -> str:
        return str(self.strerror)


def open_file(path: Path) -> int:
    """A descriptor to append with, locked for this process; the file is made if need be.

    Raises Unfit and OSError.
    """
    try:
        descriptor = os.open(path, _OPEN | os.O_CREAT, MODE)
    except OSError as error:
        if path.is_symlink():
            raise Unfit("it is a symbolic link") from error
        raise
    try:
        _check(os.fstat(descriptor))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unfit("another process writes to it") from error
        os.fchmod(descriptor, MODE)  # whatever the umask is, and whoever has changed it
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Unfit("it is no regular file")
    if found.st_uid != os.geteuid():
        raise Unfit("it belongs to another user")
    if found.st_nlink > 1:
        raise Unfit("it has another name besides (a hard link)")


def is_in_place(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


class Ends(NamedTuple):
    """Of a file: its first line, its last two whole lines, and the bytes behind them."""

    first: Line | None
    before_last: Line | None
    last: Line | None
    fragment: int


def ends_of(descriptor: int) -> Ends:
    """What stands at the beginning and at the end of a file; raises OSError."""
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, _BLOCK, 0)
    tail = os.pread(descriptor, 2 * _LONGEST_LINE, max(0, size - 2 * _LONGEST_LINE))
    whole = tail.rfind(b"\n") + 1
    lines = tail[:whole].splitlines()[-2:]
    last = line_of(lines[-1]) if lines else None
    before = line_of(lines[-2]) if len(lines) > 1 else None
    return Ends(line_of(head.partition(b"\n")[0]), before, last, len(tail) - whole)


def sync_folder(path: Path, fsync: Callable[[int], None] = os.fsync) -> None:
    """Have the disk keep the name of a new file; raises OSError."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


# -- finished files --------------------------------------------------------------------


def finished_name(path: Path, first: int) -> Path:
    """What a file is called once it is finished; ``first`` is the number of its first record."""
    plain = path.with_name(f"{path.stem}-{first:012d}{path.suffix}")
    name, number = plain, 1
    while os.path.lexists(name):  # put there by somebody
        number += 1
        name = plain.with_name(f"{plain.stem}.{number}{plain.suffix}")
    return name


def finished_files(path: Path) -> list[Path]:
    """The finished files, the oldest first; raises OSError."""
    name = re.compile(
        rf"{re.escape(path.stem)}-([0-9]{{12,18}})(?:\.([0-9]+))?{re.escape(path.suffix)}"
    )
    found = []
    for file in path.parent.iterdir():
        match = name.fullmatch(file.name)
        if match is not None:
            found.append((int(match[1]), int(match[2] or 0), file))
    return [file for _, _, file in sorted(found)]


def remove_old(path: Path, before: float) -> list[str]:
    """Remove the finished files last written before a time; the names of those that are gone.

    What can be told is what is left: it is from the oldest on without a hole.
    """
    gone = []
    for file in finished_files(path):
        with contextlib.suppress(FileNotFoundError):
            if file.lstat().st_mtime >= before:
                break
            file.unlink()
            gone.append(file.name)
    return gone


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file to verify, with their line feeds; raises OSError."""
    with os.fdopen(_open_to_read(path), "rb") as file:
        yield from iter(lambda: file.readline(_LONGEST_LINE), b"")


def _open_to_read(path: Path) -> int:
    """A descriptor of a regular file. To open a FIFO or a device could take for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise Unfit("it is no regular file")


# -- the key ---------------------------------------------------------------------------


def read_key(path: Path) -> Key:
    """The key in a file: its first line, of at least 32 bytes. Raises OSError, Unfit.

    It may belong to this user or to root, and nobody else may read it, but for the group of a
    file of root's.
    """
    with os.fdopen(_open_to_read(path), "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_uid not in (os.geteuid(), 0):
            raise Unfit("it belongs to another user")
        if found.st_mode & (0o037 if found.st_uid == 0 else 0o077):
            raise Unfit("others may read or change it; run chmod go-rwx on it")
        secret = file.read(_LONGEST_KEY).partition(b"\n")[0].strip()
    if len(secret) < SHORTEST_KEY:
        raise Unfit(f"its first line has less than {SHORTEST_KEY} characters")
    return Key(secret)


def make_key(path: Path) -> Key:
    """A new key in a new file; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(SHORTEST_KEY).encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return read_key(path)
