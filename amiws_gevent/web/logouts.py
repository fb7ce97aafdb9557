"""Keeps logouts over a restart, in a file beside ``state_file``.

Cookies outlive a restart, since they are signed with what the file of the users has. So a logout
must do so too: it is written before it is answered. If the file is there and cannot be read, nobody
knows which sessions were ended, and none of those of before is good any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent.lock import BoundedSemaphore

from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.statefile import StateFile, UnreadableError
from amiws_gevent.web.ended import EndedSessions

# Seconds
SAVE_TIME = 2.0  # that an answer to a logout waits for the disk
STOP_TIME = 0.3
AGAIN = 60.0  # until the next attempt

_NAME = "logouts"
_NOT_SAVED = -1

_log = logging.getLogger("amiws_gevent.web")


class Logouts:
    """Of ``ended``; ``wall_clock`` gives seconds since 1970."""

    def __init__(
        self, ended: EndedSessions, *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._ended = ended
        self._wall = wall_clock
        self._file: StateFile | None = None
        self._saved = ended.version
        self._turn = BoundedSemaphore()
        self._limiter = LogLimiter()
        self._again: gevent.Greenlet[..., None] | None = None

    def configure(self, path: Path | None) -> None:
        """Keep them in that file too, or (None) nowhere. Never yields."""
        before = None if self._file is None else self._file.path
        if path == before:
            return
        self._file = None if path is None else StateFile(path, _NAME)
        had_any = len(self._ended) > 0
        if self._file is not None and (not self._read(self._file) or had_any):
            self._saved = _NOT_SAVED
            gevent.spawn(self.save)

    def save(self, timeout: float = SAVE_TIME) -> None:
        """Return when the file has all logouts, or after ``timeout`` seconds; then try again."""
        if self._file is None or self._saved == self._ended.version:
            return
        if not self._turn.acquire(timeout=timeout):
            self._failed(self._file, "the write before has not ended")
            return
        try:
            file, version = self._file, self._ended.version
            if file is None or self._saved == version:  # who was before has written them
                return
            why = file.write(self._ended.export(self._wall()), timeout)
        finally:
            self._turn.release()
        if why:
            self._failed(file, why)
        elif file is self._file:
            self._saved = version

    def stop(self, timeout: float = STOP_TIME) -> None:
        """Write what could not be written yet, if that is possible by now."""
        if self._again is not None:
            self._again.kill(block=False)
        self.save(timeout)

    def _read(self, file: StateFile) -> bool:
        """Take what the file has; whether it could be read."""
        try:
            found = file.read()
            if found is not None:
                self._ended.restore(found, self._wall())
        except (UnreadableError, LookupError, TypeError, ValueError) as error:
            self._ended.end_all()
            _log.error(
                "state_file %s cannot be read (%s): all who were logged in have to log in again",
                file.path,
                error,
            )
            return False
        self._saved = self._ended.version
        return True

    def _failed(self, file: StateFile, why: str) -> None:
        text = "state_file %s cannot be written (%s): a restart would forget logouts"
        self._limiter.log(_log, logging.ERROR, "write", text, file.path, why)
        if self._again is None:
            self._again = gevent.spawn_later(AGAIN, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self.save()
