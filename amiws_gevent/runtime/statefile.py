"""A file in which something survives a restart of the program: a JSON object, small.

It is written whole into a new file that takes the old one's place, in a thread of gevent's pool: a
disk that is slow, or a network's, does not stop the program.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import gevent

FORM = 1
"""Of the files; one of another form is not read."""

LARGEST = 64 * 1024 * 1024
"""Bytes that are read at most."""


class UnreadableError(Exception):
    """There is a file, and what it has cannot be used; the text says why."""


class StateFile:
    """Has one value, under a name of its own. One call at a time."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name
        self._written = b""
        self._writing: Any = None  # gevent's AsyncResult

    def read(self) -> Any:
        """The value; None if there is no file. Raises UnreadableError."""
        try:
            with os.fdopen(_open(self.path), "rb") as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                raise ValueError(f"more than {LARGEST} bytes")
            found = json.loads(data)
            if found["form"] != FORM:
                raise ValueError("of another version of the program")
            value = found[self._name]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise UnreadableError(str(error)) from error
        self._written = data
        return value

    def write(self, value: Any, timeout: float) -> str:
        """Write a value that is other than in the file; why that failed, or "".

        It waits up to ``timeout`` seconds. A write that takes longer goes on, and until it is done
        there is no other. The value must not be changed after.
        """
        end = time.monotonic() + timeout
        if self._writing is not None:
            self._writing.wait(timeout)
            if not self._writing.ready():
                return "the write before has not ended"
        self._writing = gevent.get_hub().threadpool.spawn(self._save, value)
        try:
            error: OSError | None = self._writing.get(timeout=max(0.0, end - time.monotonic()))
        except gevent.Timeout:
            return f"no end within {timeout:g} s"
        return "" if error is None else error.strerror or str(error)

    def _save(self, value: Any) -> OSError | None:
        """In a thread, and one at a time. An error is returned: one that is raised in a thread of
        the pool passes for a fault of the program, which ends with another status for it."""
        data = json.dumps({"form": FORM, self._name: value}).encode()
        if data != self._written:
            try:
                _replace(self.path, data)
            except OSError as error:
                return error
            self._written = data
        return None


def _open(path: Path) -> int:
    """A descriptor to read from. To open or read a FIFO or a device could take for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError("it is no file")


def _replace(path: Path, data: bytes) -> None:
    """In a thread. Readers see the old file or the new one."""
    new = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
