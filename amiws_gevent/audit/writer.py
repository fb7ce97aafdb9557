"""Gives records to a thread that writes them, many at once, and tells who waits for that.

The disk may take its time, or hang: the event loop never waits for it. While one group of records
is written (and synced), the next gathers, so that a hundred actions at once cost one fsync.

    well     records are written as they come
    outage   nothing can be written: actions are refused or not, as `on_failure` says; other
             records are kept up to a bound, then counted. Every RETRY seconds it is tried again.
             The first record then tells of the outage
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import gevent
from gevent.event import Event

from amiws_gevent.audit import records
from amiws_gevent.audit.chain import Head
from amiws_gevent.audit.ledger import Ledger, Written
from amiws_gevent.config import Audit
from amiws_gevent.runtime.log import NOTICE
from amiws_gevent.runtime.threads import in_thread

# Seconds
RETRY = 2.0
SYNC_TIME = 1.0  # until the disk has what nobody waits for
ANSWER_TIME = 10.0  # that a disk may take; after that it counts as an outage
HEAD_TIME = 600.0  # between two lines of the log that say where the chain stands

MOST = 10_000  # records that may wait
MOST_BYTES = 16 * 1024 * 1024
MOST_AT_ONCE = 1000

_log = logging.getLogger("amiws_gevent.audit")


class Ticket:
    """Who waits for a record to be written."""

    __slots__ = ("_done", "_reason", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._done = Event()
        self._reason = ""

    def settle(self, reason: str = "") -> None:
        """The record is written, or (with a reason) is not."""
        self._reason = reason
        self._done.set()

    def wait(self) -> str:
        """Wait until it is written; why it is not, empty if it is."""
        if not self._done.wait(ANSWER_TIME):
            self._reason = self._writer.hangs()
        return self._reason


class _Entry(NamedTuple):
    record: bytes
    ticket: Ticket | None


class Writer:
    """Writes to ``ledger`` from ``start`` to ``stop``; ``written`` gets the lines that are there.

    ``clock`` gives seconds, ``wall`` those since 1970.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Audit,
        *,
        written: Callable[[Sequence[bytes]], None] = lambda _lines: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.outage = ""
        """Why nothing can be written; empty: it can."""
        self.count = 0
        """Records written so far."""
        self.refused = 0
        """Actions that were refused because of outages."""
        self.lost = 0
        """Records that are lost."""
        self.ledger = ledger
        self._settings = settings
        self._written = written
        self._clock = clock
        self._wall = wall
        self._queue: deque[_Entry] = deque()
        self._bytes = 0
        self._at_disk = 0  # records that the thread has
        self._wake = Event()
        self._end = Event()
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._since = 0.0  # when the outage began: on the clock, and since 1970
        self._since_wall = 0.0
        self._refused_before = self._lost_before = 0
        self._to_sync_since: float | None = None  # when the disk was given what it must keep
        self._told_head = Head()
        self._told_at = clock()
        self._told_finished = 0

    @property
    def refusing(self) -> bool:
        """Whether no action may be sent now."""
        return bool(self.outage) and self._settings.on_failure == "refuse"

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return len(self._queue)

    def configure(self, settings: Audit) -> None:
        """Other settings of the same files."""
        self._settings = self.ledger.settings = settings

    def start(self) -> None:
        """Begin to write."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self, timeout: float) -> None:
        """Write what waits, and let go of the file; takes ``timeout`` seconds at most."""
        self._end.set()
        self._wake.set()
        if self._greenlet is None:
            self.ledger.close()
            return
        self._greenlet.join(timeout)
        if self._greenlet.dead:
            self.ledger.close()
            return
        self._greenlet.kill(block=False)  # its thread has the file
        self._tell_head(now=True)  # that of what is in the file, though the disk may not have it
        if number := self._at_disk + self.waiting:
            text = "the disk does not answer at the end: up to %d records of the audit are lost"
            _log.error(text, number)

    def put(self, record: bytes, *, must: bool = False) -> Ticket | None:
        """Take a record; with ``must`` an action waits for the ticket."""
        refuses = must and self._settings.on_failure == "refuse"
        if refuses and self.outage:
            return self._refusal(self.outage)
        if len(self._queue) >= MOST or self._bytes + len(record) > MOST_BYTES:
            if refuses:
                return self._refusal("too many records wait for the disk")
            self.lost += 1
            return None
        ticket = Ticket(self) if must and not self.outage else None
        self._queue.append(_Entry(record, ticket))
        self._bytes += len(record)
        self._wake.set()
        return ticket

    def fails(self, why: str) -> None:
        """Nothing can be written, as was found out elsewhere."""
        if self.outage:
            return
        self.outage = why
        self._since, self._since_wall = self._clock(), self._wall()
        self._refused_before, self._lost_before = self.refused, self.lost
        refuse = self._settings.on_failure == "refuse"
        _log.error(
            "cannot write the audit %s: %s; %s",
            self._settings.file,
            why,
            "actions are refused" if refuse else "actions go on without it",
        )

    def hangs(self) -> str:
        """Who waits for a record has no answer in time; returns why."""
        self.fails(f"the disk does not answer within {ANSWER_TIME:g} s")
        self.refused += self._settings.on_failure == "refuse"
        return self.outage

    def _refusal(self, why: str) -> Ticket:
        self.refused += 1
        ticket = Ticket(self)
        ticket.settle(why)
        return ticket

    # -- the greenlet ------------------------------------------------------------------

    def _run(self) -> None:
        while not self._end.is_set():
            self._wake.wait(self._pause())
            self._wake.clear()
            if self.outage:
                self._end.wait(RETRY)
            self._write()
            since = self._to_sync_since
            if since is not None and self._clock() >= since + SYNC_TIME:
                self._sync()
            self._tell_head()
        while self._queue and not self.outage:
            self._write()
        self._sync()
        self._tell_head(now=True)

    def _pause(self) -> float | None:
        """Seconds until something is due although no record comes."""
        if self.outage or self._queue:
            return 0.0
        if self._to_sync_since is not None:
            return max(0.0, self._to_sync_since + SYNC_TIME - self._clock())
        if self.ledger.head != self._told_head:
            return max(0.0, self._told_at + HEAD_TIME - self._clock())
        return None

    def _write(self) -> None:
        """Write a group of what waits; in an outage at least a record that tells of it."""
        if not self._queue and not self.outage:
            return
        group = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_AT_ONCE))]
        self._bytes -= sum(len(entry.record) for entry in group)
        self._at_disk = len(group)
        probe = [self._outage_record()] if self.outage else []
        written = self._append([*probe, *(entry.record for entry in group)])
        self._at_disk = 0
        self.count += len(written.lines)
        self._tell(written)
        if written.error is None:
            self._recover(told=bool(probe))
        else:
            self.fails(written.error.strerror or str(written.error))
        number = max(0, len(written.lines) - len(probe))
        kept = written.error is None or not self._settings.fsync  # those that are in the file
        for place, entry in enumerate(group):
            if entry.ticket is not None:
                entry.ticket.settle("" if place < number and kept else self.outage)
        self._keep(group[number:])

    def _append(self, given: Sequence[bytes]) -> Written:
        """In a thread of the pool."""
        sync = self._settings.fsync
        try:
            written = in_thread(lambda: self.ledger.append(given, sync=sync))
        except Exception as error:  # noqa: BLE001 - whatever it is, actions must hear of it
            _log.exception("internal error in writing the audit")
            return Written((), OSError(0, f"internal error: {type(error).__name__}"))
        if sync:
            self._to_sync_since = None
        elif self._to_sync_since is None:
            self._to_sync_since = self._clock()
        return written

    def _sync(self) -> None:
        """Have the disk keep what nobody waits for."""
        if self._to_sync_since is not None:
            self._to_sync_since = None
            try:
                in_thread(self.ledger.sync)
            except OSError as error:
                self.fails(error.strerror or str(error))

    def _keep(self, entries: Sequence[_Entry]) -> None:
        """Those that could not be written: back into the queue, but for refused actions."""
        refuse = self._settings.on_failure == "refuse"
        for entry in reversed(entries):
            if entry.ticket is not None and refuse:
                self.refused += 1
            elif len(self._queue) >= MOST:
                self.lost += 1
            else:
                self._queue.appendleft(_Entry(entry.record, None))
                self._bytes += len(entry.record)

    def _recover(self, *, told: bool) -> None:
        if not self.outage:
            return
        record = self._outage_record()
        why, self.outage = self.outage, ""
        if not told:  # it was only late
            self.put(record)
        _log.warning(
            "writing the audit again after %.0f s (%s): %d actions were refused, %d records lost",
            self._clock() - self._since,
            why,
            self.refused - self._refused_before,
            self.lost - self._lost_before,
        )

    def _outage_record(self) -> bytes:
        return records.outage(
            self._wall(),
            since=self._since_wall,
            reason=self.outage,
            refused=self.refused - self._refused_before,
            lost=self.lost - self._lost_before,
        )

    # -- what is told ------------------------------------------------------------------

    def _tell(self, written: Written) -> None:
        notes, self.ledger.notes = self.ledger.notes, []
        for note in notes:
            _log.warning("%s", note)
        self._written(written.lines)
        if self._settings.syslog:
            for line in written.lines:
                body, _, mac = line.decode().rpartition(',"mac":"')
                # the code first, since the log cuts long lines
                _log.log(NOTICE, "record %s %s}", mac[:64], body)

    def _tell_head(self, *, now: bool = False) -> None:
        head, finished = self.ledger.head, self.ledger.finished
        if head == self._told_head:
            return
        due = now or not self._told_head.seq or finished != self._told_finished
        if due or self._clock() - self._told_at >= HEAD_TIME:
            self._told_head, self._told_at, self._told_finished = head, self._clock(), finished
            _log.log(NOTICE, "head %s of %s", head, self._settings.file)
