"""The greenlet that brings lines from the outbox to the receiver, for as long as it takes."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from amiws_gevent.plugins.kit import Backoff, Outbox, explain

from .transports import Transport

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds before a new attempt, of which chance may take a half; each failure doubles them."""

STEADY_TIME = 10.0
"""Seconds after which a connection counts as sound, and delays begin anew."""

BLOCKED_TIME = 0.5
"""Seconds after which a socket that took no more is tried anyway: ``ENOBUFS`` wakes nobody."""

_READ, _WRITE = 1, 2  # events of libev


class Sender:
    """Takes lines at once, sends them in order, and none of them twice.

    ``tell_loss(dropped, uncertain)`` makes the line that tells the receiver of lines which
    were dropped here and of such that may have got lost on the way, since the last such line.
    ``count_lost`` is called with the numbers of both together.
    """

    def __init__(
        self,
        transport: Transport,
        outbox: Outbox[bytes],
        *,
        where: object,
        tell_loss: Callable[[int, int], bytes],
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
        retry: Backoff | None = None,
        count_lost: Callable[[float], object] = lambda _lines: None,
    ) -> None:
        self.connected = False
        self.uncertain = 0
        """Lines that may have got lost on the way, since the start."""
        self._transport = transport
        self._outbox = outbox
        self._where = where
        self._tell_loss = tell_loss
        self._log = log
        self._clock = clock
        self._count_lost = count_lost
        self._counted = 0  # of the lines that were dropped or may have got lost
        self._retry = retry or Backoff(FIRST_DELAY / 2, LONGEST_DELAY, spread=0.5)
        self._failing = False
        self._again = False  # whether to end this connection for a new one
        self._proven = False  # whether this connection has taken lines without a fault
        self._told = (0, 0)  # the losses that the receiver knows of: dropped, uncertain
        self._telling: tuple[bytes, tuple[int, int]] | None = None
        self._wake = Event()
        self._idle = Event()
        self._stopping = Event()
        self._ended = Event()

    def put(self, line: bytes) -> None:
        """Take a line; never waits."""
        self._outbox.put(line)
        self._look_for_losses()
        self._idle.clear()
        self._wake.set()

    def run(self) -> None:
        """Send until `stop`; the body of one greenlet."""
        try:
            while not self._stopping.is_set():
                self._again = False
                self._connection()
                if not self._ending:
                    self._stopping.wait(self._retry.next())
        finally:
            self._transport.close()
            self._ended.set()

    def stop(self, timeout: float) -> None:
        """Send what waits, if it goes within ``timeout`` seconds, and end."""
        if self.connected:
            self._idle.wait(timeout)
        self._stopping.set()
        self._wake.set()
        self._ended.wait(timeout)
        if len(self._outbox):
            self._count_lost(len(self._outbox))
            self._log.warning("%s: stopped with %d lines not sent", self._where, len(self._outbox))

    def reconnect(self) -> None:
        """Begin a new connection, to the host's address as it is now, once all lines are sent."""
        self._again = True
        self._wake.set()

    @property
    def _ending(self) -> bool:
        return self._again or self._stopping.is_set()

    def _connection(self) -> None:
        """One connection, from its beginning to its end."""
        try:
            self._transport.open()
        except OSError as error:
            self._transport.close()
            self._unreachable(error)
            return
        began = self._clock()
        self.connected = True
        self._proven = False
        try:
            self._tell(first=True)
            self._serve()
            self._transport.finish()
        except OSError as error:
            self._broke(error)
        finally:
            self.connected = False
            self._transport.close()
        if self._clock() - began >= STEADY_TIME:
            self._retry.reset()

    def _unreachable(self, error: OSError) -> None:
        self._log_failure("%s: cannot be reached: %s; lines are kept", self._where, explain(error))

    def _broke(self, error: OSError) -> None:
        lost = self._transport.give_up(self._outbox)
        if not self._proven:
            lost -= self._take_back(lost)
        self.uncertain += lost
        self._look_for_losses()
        self._log_failure(
            "%s: connection lost: %s; %d lines may be lost, %d are kept",
            self._where,
            explain(error),
            lost,
            len(self._outbox),
        )

    def _look_for_losses(self) -> None:
        lost = self._outbox.dropped + self.uncertain
        if lost != self._counted:
            self._count_lost(lost - self._counted)
            self._counted = lost

    def _log_failure(self, message: str, *arguments: object) -> None:
        self._log.log(logging.DEBUG if self._failing else logging.WARNING, message, *arguments)
        self._failing = True

    def _prove(self) -> None:
        """A first turn went well: the receiver is there."""
        self._proven = True
        if self._telling is not None:
            self._log_dropped(self._told[0] - self._telling[1][0])
            self._telling = None
        level = logging.WARNING if self._failing else logging.INFO
        self._failing = False
        self._log.log(level, "%s: lines are being sent", self._where)

    def _tell(self, *, first: bool) -> None:
        """Put in a line about losses that the receiver does not know of, if there are such."""
        losses = (self._outbox.dropped, self.uncertain)
        if losses == self._told:
            return
        line = self._tell_loss(losses[0] - self._told[0], losses[1] - self._told[1])
        if first:
            self._telling = (line, self._told)
            self._outbox.put_first(line)
        else:
            self._outbox.put(line)
            self._log_dropped(losses[0] - self._told[0])
        self._told = losses

    def _log_dropped(self, count: int) -> None:
        if count:
            self._log.warning("%s: the queue was full, %d lines were dropped", self._where, count)

    def _take_back(self, lost: int) -> int:
        """The line about losses did not arrive either: they are still to be told.

        How many of the ``lost`` lines it accounts for.
        """
        if self._telling is None:
            return 0
        line, self._told = self._telling
        self._telling = None
        if len(self._outbox) and self._outbox.first() is line:
            self._outbox.pop()
            return 0
        return min(lost, 1)

    def _serve(self) -> None:
        loop = gevent.get_hub().loop
        readable = loop.io(self._transport.fileno(), _READ)
        writable = loop.io(self._transport.fileno(), _WRITE)
        readable.start(self._wake.set)
        try:
            while not (self._ending and self._idle.is_set()):
                self._turn(writable)
        finally:
            for watcher in (readable, writable):
                watcher.stop()
                watcher.close()

    def _turn(self, writable: Any) -> None:
        """Send what goes, then wait for a reason to go on."""
        self._wake.clear()
        more = self._transport.flush(self._outbox)
        self._look_for_losses()
        if not self._proven:
            self._prove()
        if more:
            gevent.sleep(0)
        elif self._transport.blocked:
            if self._stopping.is_set():
                raise TimeoutError(errno.ETIMEDOUT, "it accepted no more lines")
            writable.start(self._wake.set)
            self._wake.wait(BLOCKED_TIME)
            writable.stop()
        else:
            self._tell(first=False)
            if not len(self._outbox):
                self._idle.set()
                if not self._ending:
                    self._wake.wait()
