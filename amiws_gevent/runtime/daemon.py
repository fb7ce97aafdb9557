"""Makes the program a daemon: it leaves the terminal and keeps a pid file.

The parent waits until the child serves, at a pipe whose writing end only the child holds.
A byte means "started". The end of the pipe without a byte means that the child ended; the
parent then exits with the child's status. Until the child serves it keeps the parent's
stderr, so that errors of the start appear where it was started.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import pwd
import signal
import stat
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gevent.monkey import get_original
from gevent.os import fork_gevent
from gevent.socket import wait_read

from amiws_gevent.errors import PidFileError, StartError, UsageError
from amiws_gevent.runtime.signals import EndAsked, Signals

UMASK = 0o022  # amiws sets 0: whatever it creates could be written by anybody
PID_FILE_MODE = 0o644  # an init script that is not root's may read it

# A struct flock of fcntl(2): a lock for writing, which only who can write may hold.
_WHOLE_FILE = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)

_STARTED = b"\0"
_STDIN, _STDOUT, _STDERR = range(3)

_log = logging.getLogger("amiws_gevent.daemon")


@dataclass(frozen=True)
class Child:
    """The daemon's side of ``daemonise``."""

    started_pipe: int

    def started(self) -> None:
        """Let the parent leave with status 0, and let go of its standard streams."""
        _to_null(_STDOUT, _STDERR)
        # A parent that was killed meanwhile is no reason to end.
        with contextlib.suppress(BrokenPipeError):
            os.write(self.started_pipe, _STARTED)
        os.close(self.started_pipe)


def daemonise(wdir: Path, signals: Signals) -> Child | int:
    """Fork, and go on as a daemon in a session of its own, in the folder ``wdir``.

    Returns twice: in the parent, once the daemon has started or ended, the
    status to exit with; in the daemon its ``Child``. The daemon raises
    UsageError when it cannot change to ``wdir``.

    One fork, as in amiws: the daemon leads its session, but opens no terminal
    that could become its controlling one. ``fork_gevent`` gives the daemon an
    event loop of its own, whether or not the process is monkey-patched.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    pid = fork_gevent()
    if pid:
        os.close(writing)
        return _outcome(pid, reading, signals)
    os.close(reading)
    os.setsid()
    os.umask(UMASK)
    try:
        os.chdir(wdir)
    except OSError as error:
        raise UsageError(
            f"cannot change to the working directory {wdir} (-D): {error.strerror}"
        ) from error
    _to_null(_STDIN)
    return Child(writing)


def _outcome(pid: int, reading: int, signals: Signals) -> int:
    """The status for the daemon's parent, as soon as it is known."""
    answer = b""
    try:
        with signals.may_end():
            # The event loop looks for signals now and then; a read would miss one just ahead of it.
            wait_read(reading)
            answer = os.read(reading, 1)
    except EndAsked:  # of the parent alone: the child left the terminal's session
        os.kill(pid, signal.SIGTERM)
    finally:
        os.close(reading)
    if answer:
        return 0
    # gevent's waitpid would wait for a watcher that fork_gevent did not start.
    waitpid = get_original("os", "waitpid")
    status = os.waitstatus_to_exitcode(waitpid(pid, 0)[1])
    if status < 0:
        name = signal.Signals(-status).name
        print(f"amiws-gevent: {name} killed the daemon before it had started", file=sys.stderr)
        return 128 - status
    if status == 0:
        print("amiws-gevent: the daemon was told to end before it had started", file=sys.stderr)
    return status or StartError.exit_status


def _to_null(*descriptors: int) -> None:
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


class PidFile:
    """A file with this process's id, locked while the process lives.

    A context manager. The lock, not the file, says that a program runs: a
    file that a killed one left behind is taken over. The default place,
    /tmp, may be written by anybody, so nothing that another user could have
    put there is followed, written to, or taken for a lock. Such a file is not
    removed either: it may be the one of that user's own amiws-gevent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Lock and write the file; raises PidFileError."""
        try:
            self._descriptor = self._locked()
            os.fchmod(self._descriptor, PID_FILE_MODE)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, b"%d\n" % os.getpid())
        except OSError as error:
            raise PidFileError(
                f"cannot write the pid file {self.path} (-p): {_why(error)}"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the file, unless somebody put another one in its place."""
        try:
            if self._is_in_place(self._descriptor):
                self.path.unlink()
        except OSError as failure:
            _log.warning("cannot remove the pid file %s: %s", self.path, failure.strerror)
        os.close(self._descriptor)

    def _locked(self) -> int:
        """A descriptor of the locked file at the path."""
        while True:
            descriptor = self._opened()
            try:
                self._lock(descriptor)
                if self._is_in_place(descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            # A program that was ending removed it between the open and the lock.
            os.close(descriptor)

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self.path, flags, PID_FILE_MODE)
        except PermissionError:
            # In /tmp the kernel keeps root, too, from others' files (fs.protected_regular).
            with contextlib.suppress(FileNotFoundError):
                self._check(os.lstat(self.path))
            raise

    def _check(self, found: os.stat_result) -> None:
        """Raise PidFileError for what another user could have put there."""
        if not stat.S_ISREG(found.st_mode):
            raise PidFileError(f"the pid file {self.path} (-p) is not a regular file")
        if found.st_uid != os.geteuid():
            raise PidFileError(
                f"the pid file {self.path} (-p) belongs to {_user(found.st_uid)}, not to "
                f"{_user(os.geteuid())}. Remove it, or name one in a folder "
                f"that only this user can write to, such as -p /run/{self.path.name}"
            )
        if found.st_nlink > 1:
            raise PidFileError(
                f"the pid file {self.path} (-p) has {found.st_nlink} hard links; remove it"
            )

    def _lock(self, descriptor: int) -> None:
        """Take the lock; raises PidFileError for a file that is not ours alone."""
        found = os.fstat(descriptor)
        self._check(found)
        try:
            # Not flock(2): whoever can read the file could hold that one.
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except BlockingIOError as error:
            pid = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            told = f"already running as process {pid}, which holds the pid file {self.path} (-p)"
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                told += "; if no such process exists, another user locks the file: remove it"
            raise PidFileError(told) from error

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self.path))
        except FileNotFoundError:
            return False


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (user id {uid})"
    except KeyError:
        return f"user id {uid}"


def drop_pid_file(path: Path) -> None:
    """Remove the pid file if it names this process, for an end that does not unwind."""
    with contextlib.suppress(OSError):
        if path.read_text("ascii", "replace").strip() == str(os.getpid()):
            path.unlink()


def _why(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link"
    return error.strerror or str(error)
