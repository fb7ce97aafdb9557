"""The file in which the queues' figures of the day survive a restart of the program.

Small, written whole into a new file that takes the old one's place, in a thread of gevent's
pool: a disk that is slow, or a network's, does not stop the program. A file that cannot be
read or written costs the figures: they begin anew, and say that they are ``incomplete``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent

from amiws_gevent.config import AmiHost
from amiws_gevent.runtime.log import LogLimiter

FORM = 1
"""Of the file; one of another form is not read."""

LARGEST = 64 * 1024 * 1024
"""Bytes that are read at most; a hundred queues of fifty servers are 20 MiB at most."""

WRITE_TIME = 30.0  # seconds that a write is waited for

Figures = Mapping[str, Any]
"""What ``QueueFigures.export`` gives."""

_log = logging.getLogger("amiws_gevent.live")


def name_of(host: AmiHost) -> str:
    """Which server's figures they are: those of another address are another's."""
    return f"{host.id} {host.host}:{host.port}"


class FiguresFile:
    """Reads and writes the figures of all servers, by ``name_of``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = b""
        self._writing: Any = None  # gevent's AsyncResult
        self._limiter = LogLimiter()

    def read(self) -> dict[str, Figures]:
        """What the file has; nothing if there is none, or none that can be read."""
        try:
            with os.fdopen(_open(self.path), "rb") as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                raise ValueError(f"more than {LARGEST} bytes")
            found = json.loads(data)
            if found["form"] != FORM:
                raise ValueError("of another version of the program")
            servers: dict[str, Figures] = dict(found["servers"])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            _log.error(
                "state_file %s cannot be read (%s): the queues' figures begin anew",
                self.path,
                error,
            )
            return {}
        self._written = data
        return servers

    def write(self, servers: Mapping[str, Figures], timeout: float = WRITE_TIME) -> None:
        """Write them if they are other than in the file; waits up to ``timeout`` seconds.

        They must not be changed after. A write that takes longer goes on, and until it is done
        there is no other.
        """
        end = time.monotonic() + timeout
        if self._writing is not None:
            self._writing.wait(timeout)
            if not self._writing.ready():
                self._complain("the write before has not ended")
                return
        self._writing = gevent.get_hub().threadpool.spawn(self._save, servers)
        try:
            error = self._writing.get(timeout=max(0.0, end - time.monotonic()))
        except gevent.Timeout:
            self._complain(f"no end within {timeout:g} s")
            return
        if error is not None:
            self._complain(error.strerror or str(error))

    def _save(self, servers: Mapping[str, Figures]) -> OSError | None:
        """In a thread, and one at a time. What a thread raises would end the program with 70."""
        data = json.dumps({"form": FORM, "servers": servers}).encode()
        if data != self._written:
            try:
                _replace(self.path, data)
            except OSError as error:
                return error
            self._written = data
        return None

    def _complain(self, why: str) -> None:
        self._limiter.log(
            _log,
            logging.ERROR,
            "write",
            "state_file %s cannot be written (%s): a restart would lose the queues' figures",
            self.path,
            why,
        )


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
