"""The Redis of this machine: on a Unix socket that this user alone may open, and no disk.

It is started where no other is configured, and ends with this process.
"""

from __future__ import annotations

import fcntl
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

    Mode 0700; gone after `remove`. While this process runs it has a lock on it: if it is killed,
    the next start removes what has none.
    """

    def __init__(self) -> None:
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        self.path, self._lock = _made(runtime or None)
        if len(bytes(self.socket)) > LONGEST_PATH:
            self.remove()
            # A folder of its own in it, mode 0700.
            self.path, self._lock = _made("/tmp")  # noqa: S108

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
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _made(parent: str | None) -> tuple[Path, int | None]:
    """A new folder, and its lock; None: there are no locks there."""
    _remove_left(Path(parent or tempfile.gettempdir()))
    while True:
        try:
            path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
        except OSError as error:
            raise StartError(
                f"cannot make a folder for the socket of Redis in {error.filename}: "
                f"{error.strerror}; set RUNTIME_DIRECTORY or TMPDIR to a folder of this user"
            ) from error
        try:
            return path, _locked(path)
        except (BlockingIOError, FileNotFoundError):  # another start took it for one that was left
            continue
        except OSError:  # then nobody can lock it, and so nobody removes it
            return path, None


def _locked(path: Path) -> int:
    """A descriptor that has the lock of the folder. Raises OSError.

    A lock, not the process id: that is the same for all in containers, and may be of another
    process by now.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.lstat()  # it may have been removed meanwhile
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove_left(parent: Path) -> None:
    """Remove what programs of this user that were killed have left: nobody has its lock."""
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is in use, of another user, or no folder
            lock = _locked(path)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


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
