"""Writes the lines of a journal: in batches, into files that rotate, whatever the disk does.

Nothing here switches greenlets, so that the greenlet of the log hook and that of
the timer may both call. Writes are of bounded size and go to the page cache.

    state    the file is    messages
    =======  =============  ==========================================================
    well     open           are in the file after `flush_interval`
    outage   closed         are kept in memory up to `buffer`, then lost and counted;
                            with back-off it is tried again: the file is mended, what
                            was kept is written, then a line that says what was lost
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from amiws_gevent.plugins.kit import Backoff

from .files import Folder, FolderTaken, JournalFile, mend, open_file
from .settings import Settings

BATCH = 256 * 1024
"""Bytes after which lines are written without waiting for the interval."""

RETRY_LONGEST = 60.0  # seconds; the first is 1

# What may pass by itself, so that it does not refuse the start.
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Writer:
    """Appends lines to the newest file of a folder.

    ``finished`` is called when a file is complete, ``count_lost`` with a number of messages that
    will not be in any. ``wall`` is the time of day in
    seconds since the epoch, ``clock`` one that is never set; ``write`` is `os.write`.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Folder,
        *,
        log: logging.Logger,
        finished: Callable[[], None] = lambda: None,
        count_lost: Callable[[float], object] = lambda _messages: None,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[int, memoryview], int] = os.write,
    ) -> None:
        self.current: JournalFile | None = None
        """The file that lines go to, also while it is closed in an outage."""
        self.lost = 0
        """Messages that the journal says it lost."""
        self._settings = settings
        self._folder = folder
        self._log = log
        self._finished = finished
        self._count_lost = count_lost
        self._wall = wall
        self._clock = clock
        self._write = write
        self._descriptor: int | None = None
        self._size = 0  # of the whole lines in the file
        self._unsynced = False  # written to since the last fsync
        self._lines: deque[bytes] = deque()
        self._pending = 0  # bytes in them
        self._untold = 0  # lost since the last line that says so
        self._outage = ""  # why the disk cannot be written to
        self._outage_since = 0.0
        self._lost_in_outage = 0
        self._retry_at = 0.0
        self._retry = Backoff(0.5, RETRY_LONGEST, spread=0.0)
        self._second = -1
        self._stamp = b""
        self._day = ""

    # -- what the plugin calls -------------------------------------------------------

    def start(self) -> None:
        """Lock the folder, undo what a killed program left, open the file to go on with.

        Raises FolderTaken, and OSError for what an operator has to put right; a full
        disk is an outage like a later one.
        """
        try:
            self._folder.enter()
            self._folder.tidy()
            self._pass_time(int(self._wall()))
            self.current = self._to_go_on_with() or self._folder.next(self._day)
            self._open(self.current)
        except OSError as error:
            if error.errno not in _PASSING:
                self._folder.leave()
                raise
            self._fail(error)

    def append(self, json: bytes) -> None:
        """Take one message; never raises for what the disk does."""
        line = self._line(b'"message":%b' % json)
        if self._outage and (self._untold or self._pending + len(line) > self._settings.buffer):
            self._untold += 1
            self._count_lost(1)
            return
        self._lines.append(line)
        self._pending += len(line)
        if self._pending >= BATCH:
            self._attempt()

    def flush(self) -> None:
        """Write what is there; also ends the file of a day that is over."""
        self._pass_time(int(self._wall()))
        self._attempt()

    def rotate(self) -> None:
        """Write what is there and finish the file."""
        self.flush()
        if self._size and not self._outage:
            self._finish()

    def stop(self) -> None:
        """Write what is left and let go of file and folder."""
        self._retry_at = 0.0
        self.flush()
        left = len(self._lines) + self._untold
        if left:
            self._count_lost(len(self._lines))
            self._log.error(
                "%d messages are lost: the program stops, and the disk still cannot be written to",
                left,
            )
        self._close()
        self._folder.leave()

    def take_unsynced(self) -> int | None:
        """A descriptor of the file, to fsync and close; None if nothing was written since."""
        if not self._unsynced or self._descriptor is None:
            return None
        self._unsynced = False
        return os.dup(self._descriptor)

    # -- lines -----------------------------------------------------------------------

    def _line(self, rest: bytes) -> bytes:
        now = self._wall()
        second = int(now)
        if second != self._second:
            self._pass_time(second)
        return b'{"time":"%b.%03dZ",%b}\n' % (self._stamp, int((now - second) * 1000), rest)

    def _pass_time(self, second: int) -> None:
        """Make what depends on the second, once for each."""
        if second == self._second:
            return
        self._second = second
        utc = time.gmtime(second)
        self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", utc).encode()
        here = time.localtime(second) if self._settings.daily == "local" else utc
        day = time.strftime("%Y-%m-%d", here)
        if day != self._day:
            if self._lines:  # they came before midnight
                self._attempt()
            self._day = day

    # -- the file --------------------------------------------------------------------

    def _attempt(self) -> None:
        if self._outage and self._clock() < self._retry_at:
            return
        try:
            self._folder.enter()
            self._check_file()
            self._write_lines()
        except (OSError, FolderTaken) as error:
            self._fail(error)
        else:
            self._recover()

    def _to_go_on_with(self) -> JournalFile | None:
        """The last file, if it is not finished."""
        plain, sizes = self._folder.plain(), self._folder.sizes()
        if not plain or sizes[-1][0] != plain[-1].path:
            return None
        is_over = self._is_over(plain[-1]) or sizes[-1][1] >= self._settings.max_file_size
        return None if is_over else plain[-1]

    def _is_over(self, file: JournalFile) -> bool:
        return self._settings.daily != "no" and file.day != self._day

    def _check_file(self) -> None:
        if self._descriptor is not None and not self._is_in_place():
            self._log.warning("%s was moved or removed: a new file is begun", self._path)
            self._close()
        if self.current is not None and self._is_over(self.current):
            self._finish()

    def _is_in_place(self) -> bool:
        assert self._descriptor is not None
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self._path))
        except FileNotFoundError:
            return False

    @property
    def _path(self) -> Path:
        return self.current.path if self.current else self._folder.path

    def _open(self, file: JournalFile) -> int:
        descriptor = open_file(file.path)
        try:
            cut = mend(descriptor)
            self._size = os.fstat(descriptor).st_size
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        if cut:
            self._log.warning(
                "%s ended in an incomplete line: removed its %d bytes", file.path, cut
            )
        return descriptor

    def _opened(self) -> int:
        if self._descriptor is not None:
            return self._descriptor
        if self.current is None:
            self.current = self._folder.next(self._day)
        return self._open(self.current)

    def _write_lines(self) -> None:
        if self._outage:
            self._opened()  # whether it can be is what is to be found out
        while self._lines or self._untold:
            if not self._lines:
                self._tell_lost()
            descriptor = self._opened()
            count = self._fitting()
            if count:
                self._write_out(descriptor, b"".join(itertools.islice(self._lines, count)))
            else:
                self._finish()

    def _tell_lost(self) -> None:
        line = self._line(b'"lost":%d' % self._untold)
        self.lost += self._untold
        self._lost_in_outage += self._untold
        self._untold = 0
        self._lines.append(line)
        self._pending += len(line)

    def _fitting(self) -> int:
        """How many lines go into the file with the next write; a file takes at least one."""
        room = self._settings.max_file_size - self._size
        count = size = 0
        for line in self._lines:
            size += len(line)
            if size > room and (count or self._size):
                break
            count += 1
            if size >= BATCH:
                break
        return count

    def _write_out(self, descriptor: int, data: bytes) -> None:
        """Write whole lines, the first ones that wait. What the disk took of them is done with."""
        done = 0
        try:
            while done < len(data):
                done += self._write(descriptor, memoryview(data)[done:])
        finally:
            whole = data.rfind(b"\n", 0, done) + 1
            for _ in range(data.count(b"\n", 0, whole)):
                self._lines.popleft()
            self._pending -= whole
            self._size += whole
            self._unsynced = True

    def _finish(self) -> None:
        self._close()
        self.current = None
        self._finished()

    def _close(self) -> None:
        self._size = 0
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            # A failed close loses no more than a failed fsync would have told.
            with contextlib.suppress(OSError):
                os.close(descriptor)

    # -- outages ---------------------------------------------------------------------

    def _fail(self, error: OSError | FolderTaken) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # it is mended again before it is gone on with
                mend(self._descriptor)
        now = self._clock()
        self._retry_at = now + self._retry.next()
        if not self._outage:
            self._outage_since = now
            self._lost_in_outage = 0
            reason = error.strerror if isinstance(error, OSError) else None
            self._outage = reason or str(error)
            self._log.error(
                "cannot write to %s: %s; messages are kept in memory up to %d bytes",
                self._path,
                self._outage,
                self._settings.buffer,
            )
        self._close()

    def _recover(self) -> None:
        if self._outage:
            self._outage = ""
            self._retry.reset()
            self._log.warning(
                "writing to %s again after %.0f s; %d messages were lost",
                self._path,
                self._clock() - self._outage_since,
                self._lost_in_outage,
            )
