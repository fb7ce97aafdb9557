"""Appends records to the file of an audit, and begins new files. It blocks: for a thread.

Nothing of the file is ever cut or written over. What a killed program or a full disk has left of a
line is ended with a line feed, and the next record tells of it. A file that was moved, or does not
end as it should, is left as it is: a new one is begun that says so, and goes on with the chain.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from amiws_gevent.audit import files, records
from amiws_gevent.audit.chain import Head, Key, Line, seal
from amiws_gevent.audit.files import Ends, Unfit
from amiws_gevent.config import Audit

_OURS = b'{"seq":'
_ROOM = 100  # bytes of a line that are not in its record

KEY_MISSING = (
    "there is no such file, though the audit exists: without the key that it was made with it "
    "cannot be gone on with; put the key back, or move the files of the audit away"
)


class Written(NamedTuple):
    """What has become of records: the first are in the file, each as one of ``lines``."""

    lines: Sequence[bytes]
    error: OSError | None = None
    """Why the others are not, or why it is not known whether the disk has them."""


class Ledger:
    """One file and what it is followed by. ``settings`` may be changed, but for its paths.

    ``wall`` gives seconds since 1970; ``write`` and ``fsync`` are those of ``os``. One call at a
    time.
    """

    def __init__(
        self,
        settings: Audit,
        *,
        wall: Callable[[], float] = time.time,
        write: Callable[[int, memoryview], int] = os.write,
        fsync: Callable[[int], None] = os.fsync,
    ) -> None:
        self.settings = settings
        self.head = Head()
        """Of the last record in the file."""
        self.notes: list[str] = []
        """What the log is to be told; whoever reads them empties the list."""
        self.finished = 0
        """Files that were finished."""
        self._path: Path = settings.file
        self._key: Key | None = None
        self._wall = wall
        self._write = write
        self._fsync = fsync
        self._descriptor: int | None = None
        self._known = False  # whether `head` is where the chain stands, also without a file
        self._why, self._before = "", ""  # why the next file is begun, the name of the one before
        self._first = 0  # number of the first record in the file; 0: it has none
        self._begun = 0.0  # when the file was begun
        self._size = 0
        self._fragment = 0  # bytes at the end of the file that are no record
        self._unsynced = False
        self._made = False  # the file is new, and the disk may not have its name

    def open(self) -> None:
        """Open the file, or make it, and find out where it ends.

        Raises Unfit for what an operator has to put right, and OSError for what may pass.
        """
        if self._key is None:
            self._key = self._find_key()
        if self._descriptor is None:
            descriptor = files.open_file(self._path)
            try:
                self._go_on_with(descriptor)
            except BaseException:
                os.close(descriptor)
                raise

    def append(self, given: Sequence[bytes], *, sync: bool) -> Written:
        """Write records, and with ``sync`` have the disk keep them. Never raises OSError."""
        lines: list[bytes] = []
        try:
            self.open()
            self._stay_in_place()
            self._tidy()
            for record in given:
                self._make_room(len(record))
                lines.append(self._append(record))
            if sync:
                self.sync()
        except OSError as error:
            self._close()
            return Written(lines, error)
        return Written(lines)

    def sync(self) -> None:
        """Have the disk keep what was written; raises OSError."""
        if self._unsynced and self._descriptor is not None:
            self._unsynced = False
            self._fsync(self._descriptor)
            if self._made:
                files.sync_folder(self._path, self._fsync)
                self._made = False

    def close(self) -> None:
        """Let go of the file; one that was made for nothing is removed."""
        made_for_nothing = self._descriptor is not None and not self._size and not self._first
        self._close()
        if made_for_nothing:
            with contextlib.suppress(OSError):
                self._path.unlink()

    # -- the key -----------------------------------------------------------------------

    def _find_key(self) -> Key:
        path = self.settings.key_file
        try:
            return files.read_key(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Unfit(f"key_file {path}: {error.strerror}") from error
        if _has_something(self._path) or files.finished_files(self._path):
            raise Unfit(f"key_file {path}: {KEY_MISSING}")
        try:
            made = files.make_key(path)
        except OSError as error:
            text = f"key_file {path} cannot be made: {error.strerror}"
            raise Unfit(text) from error
        self.notes.append(f"made the key of the audit: {path}; keep a copy in a safe place")
        return made

    # -- the file ----------------------------------------------------------------------

    def _go_on_with(self, descriptor: int) -> None:
        """Take the open file, or put it aside and begin another in its place."""
        ends = files.ends_of(descriptor)
        why = self._why_not(ends)
        if why is not None:
            self._put_aside(descriptor, ends, why)
            return
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._fragment = ends.fragment
        if ends.last is None or ends.first is None:
            self._begin_in(descriptor)
            return
        self.head, self._known = ends.last.head, True
        self._first, self._begun = ends.first.seq, _time_of(ends.first, self._wall())

    def _begin_in(self, descriptor: int) -> None:
        """Take a file that has no record: it is new, or a full disk has let nothing in."""
        if self._size:
            if not _OURS.startswith(os.pread(descriptor, len(_OURS), 0)):
                raise Unfit("it is another file, not an audit")
            os.ftruncate(descriptor, 0)
        self._size = self._first = self._fragment = 0
        self._made = True
        if not self._known:
            self._find_end()
        if self.head.seq:
            self._why, self._before = self._why or records.MOVED, self._before or self._path.name

    def _why_not(self, ends: Ends) -> str | None:
        """Why a new file has to be begun; None: this one is gone on with."""
        first, last = ends.first, ends.last
        if first is None or last is None:
            return None if first is None else records.CHANGED
        begin = first.fields()
        if begin.get("what") != records.BEGIN:
            return records.CHANGED
        assert self._key is not None
        if begin.get("key") != self._key.name:
            return records.NEW_KEY
        if self._known and last.head != self.head:
            return records.CHANGED
        before = ends.before_last
        if before is not None and not last.follows(before.head, self._key):
            return records.CHANGED
        return None

    def _put_aside(self, descriptor: int, ends: Ends, why: str) -> None:
        """Give the file the name of a finished one, and make another."""
        name = files.finished_name(self._path, ends.first.seq if ends.first else 0)
        self._path.rename(name)
        os.close(descriptor)
        if not self._known and ends.last is not None:
            self.head, self._known = ends.last.head, True
        self._before = name.name
        self._why = why
        reason = "was made with another key" if why == records.NEW_KEY else "was changed"
        self.notes.append(f"{self._path} {reason}: it is {name.name} now, and a new file is begun")
        self._take_new()

    def _take_new(self) -> None:
        self._descriptor = files.open_file(self._path)
        self._size = self._first = self._fragment = 0
        self._made = True

    def _find_end(self) -> None:
        """Where the newest finished file ends: the program ended before it began another."""
        self._known = True
        finished = files.finished_files(self._path)
        if not finished:
            return
        descriptor = os.open(finished[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            last = files.ends_of(descriptor).last
        finally:
            os.close(descriptor)
        self._before = finished[-1].name
        if last is not None:
            self.head = last.head

    def _stay_in_place(self) -> None:
        """Begin a new file if the one that is open was moved, removed, or cut."""
        assert self._descriptor is not None
        if not files.is_in_place(self._descriptor, self._path):
            self.notes.append(f"{self._path} was moved or removed: a new file is begun")
            self._close()
            self.open()
        elif os.fstat(self._descriptor).st_size != self._size:
            self._close()
            self.open()  # which sees how it ends

    def _tidy(self) -> None:
        """End what is left of a line, and tell of it; in a new file, tell where it begins."""
        if self._fragment:
            fragment = self._fragment
            self._put(b"\n")
            self._fragment = 0
            self.notes.append(
                f"{self._path} ended in an incomplete line of {fragment} bytes; it is left there"
            )
            if self._first:
                self._append(records.torn(self._wall(), fragment))
        if not self._first:
            self._begin()

    def _begin(self) -> None:
        assert self._key is not None
        before = (self._before, self.head) if self.head.seq else None
        self._begun = self._wall()
        why = self._why or records.FIRST
        self._append(records.begin(self._begun, why=why, key=self._key.name, before=before))
        self._first = self.head.seq
        self._why = self._before = ""

    def _make_room(self, size: int) -> None:
        """Finish the file if it is full or old."""
        if self.head.seq == self._first:
            return  # a file has one record at least, besides its first
        now = self._wall()
        if self._size + size + _ROOM > self.settings.max_size:
            why = records.SIZE
        elif now - self._begun >= self.settings.max_age:
            why = records.AGE
        else:
            return
        self.sync()
        name = files.finished_name(self._path, self._first)
        self._path.rename(name)
        self._close()
        self._why, self._before = why, name.name
        self.finished += 1
        self._take_new()
        self._begin()
        if self.settings.keep is not None:
            gone = files.remove_old(self._path, now - self.settings.keep)
            if gone:
                self._append(records.removed(now, gone))

    def _append(self, record: bytes) -> bytes:
        """Write one record; its line. What the disk takes of it alone is a fragment."""
        assert self._key is not None
        line, head = seal(record, self.head, self._key)
        self._put(line)
        self.head = head
        return line

    def _put(self, data: bytes) -> None:
        assert self._descriptor is not None
        done = 0
        while done < len(data):
            done += self._write(self._descriptor, memoryview(data)[done:])
        self._size += len(data)
        self._unsynced = True

    def _close(self) -> None:
        """Let go of the file; where it ends is found out when it is opened again."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._unsynced = False
            with contextlib.suppress(OSError):  # of no use: what counts was synced before
                os.close(descriptor)


def _has_something(path: Path) -> bool:
    """Whether there is more than the empty file that an installation may have made."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def _time_of(begin: Line, else_: float) -> float:
    """When a file was begun."""
    try:
        return datetime.fromisoformat(str(begin.fields().get("time"))).timestamp()
    except ValueError:
        return else_
