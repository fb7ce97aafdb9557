"""Questions and answers over a socket pair, between the supervisor and one of its processes.

Both ends are alike: each asks, and has ``methods`` for what it is asked. A message is four bytes
of length and JSON: its kind, the number of the question, and what is asked or answered.
"""

from __future__ import annotations

import itertools
import logging
import struct
from collections.abc import Callable, Mapping
from typing import Any

import gevent
import orjson
from gevent import socket
from gevent.event import AsyncResult, Event
from gevent.pool import Group
from gevent.queue import Full, Queue

from amiws_gevent.errors import AmiwsError, StartError

LARGEST = 64 * 1024 * 1024
"""Bytes of a message at most."""

MOST_WAITING = 1000
"""Messages that wait to be sent."""

EXIT_SOFTWARE = 70  # sysexits.h EX_SOFTWARE: an internal error

_QUESTION, _ANSWER, _REFUSAL = range(3)
_LENGTH = struct.Struct(">I")

_log = logging.getLogger("amiws_gevent.workers")

Method = Callable[[Any], Any]
"""Is called in a greenlet of its own with what was asked, and returns the answer. A StartError
is a refusal."""


class ChannelLost(AmiwsError):
    """The other end is gone, or does not read."""


class NoAnswer(AmiwsError):
    """No answer came in time; it may still be done."""


class Refusal(StartError):
    """The other end has refused; ``status`` is the exit status of its StartError."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.exit_status = status


class Channel:
    """One end. It reads and writes from `start` on, until the other end is gone."""

    def __init__(self, sock: socket.socket, methods: Mapping[str, Method]) -> None:
        self.received = 0
        """Messages that have come."""
        self.lost = Event()
        """Set once the other end is gone."""
        self._socket = sock
        self._methods = methods
        self._numbers = itertools.count()
        self._asked: dict[int, AsyncResult[Any]] = {}
        self._waiting: Queue[bytes | None] = Queue(MOST_WAITING)
        self._answering = Group()
        self._writer: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Read and write in greenlets of its own."""
        self._writer = gevent.spawn(self._write)
        gevent.spawn(self._read)

    def ask(self, method: str, data: Any = None, *, timeout: float) -> Any:
        """The answer. Raises Refusal, ChannelLost, or NoAnswer after ``timeout`` seconds."""
        number = next(self._numbers)
        answer = self._asked[number] = AsyncResult()
        try:
            self._send(_QUESTION, number, [method, data])
            return answer.get(timeout=timeout)
        except gevent.Timeout:
            raise NoAnswer(f"no answer within {timeout:g} s") from None
        finally:
            self._asked.pop(number, None)

    def close(self, timeout: float = 0.0) -> None:
        """Hang up; before that let answers go out, each for ``timeout`` seconds at most."""
        if self._writer is not None and timeout:
            self._answering.join(timeout)
            self._waiting.put(None)
            self._writer.join(timeout)
        self._hang_up()

    def _send(self, kind: int, number: int, data: Any) -> None:
        if self.lost.is_set():
            raise ChannelLost("the process has ended")
        packed = orjson.dumps([kind, number, data])
        try:
            self._waiting.put_nowait(_LENGTH.pack(len(packed)) + packed)
        except Full:
            raise ChannelLost("the process does not read what it is told") from None

    def _write(self) -> None:
        try:
            for message in iter(self._waiting.get, None):
                self._socket.sendall(message)
        except OSError:
            self._hang_up()

    def _read(self) -> None:
        try:
            while True:
                (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
                if length > LARGEST:
                    raise ConnectionError("a message that is too long")
                self._take(*orjson.loads(self._exactly(length)))
        except OSError:
            self._hang_up()

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._socket.recv(min(size - len(data), 1 << 20))
            if not piece:
                raise ConnectionError("the end")
            data += piece
        return bytes(data)

    def _take(self, kind: int, number: int, data: Any) -> None:
        self.received += 1
        if kind == _QUESTION:
            self._answering.spawn(self._answer, number, *data)
            return
        answer = self._asked.pop(number, None)
        if answer is None:  # nobody waits any more
            return
        if kind == _ANSWER:
            answer.set(data)
        else:
            answer.set_exception(Refusal(*data))

    def _answer(self, number: int, method: str, data: Any) -> None:
        try:
            self._send(_ANSWER, number, self._methods[method](data))
        except StartError as error:
            self._refuse(number, str(error), error.exit_status)
        except ChannelLost:
            return
        except Exception as error:  # noqa: BLE001 - who asked is told
            _log.exception("internal error in the answer to %s", method)
            self._refuse(number, f"internal error: {error}", EXIT_SOFTWARE)

    def _refuse(self, number: int, text: str, status: int) -> None:
        try:
            self._send(_REFUSAL, number, [text, status])
        except ChannelLost:
            return

    def _hang_up(self) -> None:
        if self.lost.is_set():
            return
        self.lost.set()
        self._socket.close()
        for answer in list(self._asked.values()):
            answer.set_exception(ChannelLost("the process has ended"))
