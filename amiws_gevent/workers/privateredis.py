"""The Redis of this machine: on a Unix socket that this user alone may open, and no disk.

It is started where no other is configured, and ends with this process.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import gevent
from gevent import socket, subprocess

from amiws_gevent.errors import AmiwsError, MissingLibraryError, StartError
from amiws_gevent.workers.process import Process

PROGRAMS = ("redis-server", "valkey-server")

BEGIN_TIME = 20.0
"""Seconds for it to answer."""

AGAIN = 0.02

LONGEST_PATH = 100
"""Bytes of a path of a Unix socket: 107 (unix(7)), less what Redis may add."""

LAST_LINES = 10
"""Of what it has printed, for the log if it ends."""

LEAST_MEMORY = 64 * 1024 * 1024

MISSING = (
    "workers needs redis-server (7.0 or newer) or valkey-server, and neither is installed: install "
    "one (Debian: apt install redis-server; Fedora: dnf install valkey), or give redis.url"
)

_PREFIX = "amiws-redis-"
_SOCKET = "redis.sock"

_CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
save ""
appendonly no
maxmemory {memory}
maxmemory-policy noeviction
daemonize no
supervised no
loglevel warning
"""

_log = logging.getLogger("amiws_gevent.workers")


class NotYet(AmiwsError):
    """It did not come to answer."""


class RedisFolder:
    """Where its socket is: below $RUNTIME_DIRECTORY of systemd, else a folder for temporary files.

    Mode 0700; gone after `remove`.
    """

    def __init__(self) -> None:
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        self.path = self._made(runtime or None)
        if len(bytes(self.socket)) > LONGEST_PATH:
            self.remove()
            self.path = self._made("/tmp")  # noqa: S108  # a folder of its own in it, mode 0700

    @staticmethod
    def _made(parent: str | None) -> Path:
        _remove_left(Path(parent or tempfile.gettempdir()))
        try:
            return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
        except OSError as error:
            raise StartError(
                f"cannot make a folder for the socket of Redis in {error.filename}: "
                f"{error.strerror}; set RUNTIME_DIRECTORY or TMPDIR to a folder of this user"
            ) from error

    @property
    def socket(self) -> Path:
        """Of Redis."""
        return self.path / _SOCKET

    @property
    def url(self) -> str:
        """As the configuration has it."""
        return f"unix://{self.socket}"

    def remove(self) -> None:
        """With all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_left(parent: Path) -> None:
    """Remove what programs of this user that were killed have left: the process that the name says
    is not there, and nobody listens."""
    for path in parent.glob(f"{_PREFIX}*-*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists() and _is_dead(path / _SOCKET):
            shutil.rmtree(path, ignore_errors=True)


def _is_dead(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:  # of somebody else, or not there
            return False
    return False


def redis_program() -> str:
    """The path of the program. Raises MissingLibraryError if none is installed."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise MissingLibraryError(MISSING)
    return found


class RedisProcess(Process):
    """Raises MissingLibraryError if there is no such program."""

    def __init__(self, folder: RedisFolder) -> None:
        found = redis_program()
        self._path = folder.socket
        self._path.unlink(missing_ok=True)
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        super().__init__(
            [found, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        text = _CONFIGURATION.format(
            socket=self._path, folder=folder.path, memory=max(LEAST_MEMORY, memory() // 2)
        )
        given, self._printed = self._process.stdin, self._process.stdout
        assert given is not None
        with suppress(BrokenPipeError), given:
            given.write(text.encode())
        self._reading = gevent.spawn(self._read)

    def begin(self) -> None:
        """Return once it answers."""
        end = time.monotonic() + BEGIN_TIME
        while not self.answers(BEGIN_TIME):
            if self.wait(AGAIN):
                raise StartError(f"redis-server: {self.ending()}")
            if time.monotonic() > end:
                raise NotYet(f"it does not answer within {BEGIN_TIME:g} s")
        self._lines.clear()  # what each prints that starts

    def answers(self, timeout: float) -> bool:
        """Whether it takes a connection and answers, within ``timeout`` seconds."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(timeout)
            try:
                asking.connect(str(self._path))
                asking.sendall(b"PING\r\n")
                return bool(asking.recv(16))
            except OSError:
                return False

    def ending(self) -> str:
        """With what it has printed last."""
        self._reading.join(1.0)
        lines = [line for line in self._lines if line]
        return f"{super().ending()}{': ' if lines else ''}{' | '.join(lines)}"

    def close(self) -> None:
        """It has ended."""
        self._reading.kill()
        if self._printed is not None:
            self._printed.close()

    def _read(self) -> None:
        for line in self._printed or ():
            text = line.decode(errors="replace").strip()
            self._lines.append(text)
            _log.debug("redis-server: %s", text)


def memory() -> int:
    """Bytes that this machine has, or the cgroup that this process is in."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        name = Path("/proc/self/cgroup").read_text().partition("0::/")[2].strip()
        limit = int((Path("/sys/fs/cgroup") / name / "memory.max").read_text())
        return min(machine, limit)
    return machine
