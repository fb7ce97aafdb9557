"""How lines reach the receiver: datagrams (local socket, UDP) or a stream (TCP, TLS).

Sockets are non-blocking; the greenlet of `sender.Sender` calls `Transport.flush` when
there are lines, when the socket can be written again and when there is something to
read (which is how a closed connection shows). Whatever fails raises OSError.

**Never a line twice.** A datagram that the kernel refuses was not sent, and stays. Of a
stream that breaks nobody knows how much arrived, so a line of which any byte was handed
to the kernel is never sent again; those not begun are. Before each write the
stream is read: a receiver that was stopped has said so by then, so that what is lost
with a connection is what was under way when it ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gevent
from gevent import socket as gsocket

from amiws_gevent.plugins.kit import Outbox, connect

from .units import Target

CONNECT_TIME = 10.0
"""Seconds for the name, the connection and TLS together."""

SETTLE_TIME = 0.25
"""Seconds for a receiver that takes a connection and closes it at once (one that does not
like our certificate, or whose service is about to stop) to say so before lines are given to it."""

PROBE_TIME = 0.2
"""Seconds in which UDP's "port unreachable" comes back, after a refusal."""

LINES_A_TURN = 64
"""Datagrams sent before other greenlets run."""

PACE = 0.01
"""Seconds after each turn of UDP: a backlog sent at once would flood the receiver's buffer (Linux
has room for some 280 lines), and what does not fit there is lost without a word."""

CHUNK = 16384
"""Bytes handed to the kernel at once: one TLS record, the most that a break can tear."""

SEND_BUFFER = 65536
"""Bytes that the kernel may hold for a stream: what is in there is lost when it breaks."""

UNANSWERED_TIME = 120
"""Seconds after which a stream whose bytes nobody acknowledges counts as broken."""

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Transport(Protocol):
    """What a `Sender` uses."""

    blocked: bool
    """Whether the socket takes no more for now: it is to be called when it can be written."""

    def open(self) -> None:
        """Connect, waiting cooperatively."""

    def fileno(self) -> int:
        """The descriptor of the open socket."""

    def flush(self, outbox: Outbox[bytes]) -> bool:
        """Read, then write lines until none is left or the socket takes no more.

        True: it could go on, but others should run. False: nothing more to do now.
        """

    def give_up(self, outbox: Outbox[bytes]) -> int:
        """After an OSError: put back what was not begun; how many lines may be lost."""

    def finish(self) -> None:
        """End in an orderly way, once everything was handed over; may wait, never raises."""

    def close(self) -> None:
        """Let go of the socket; may be called at any time."""


class Datagrams:
    """UDP, or the local socket of the syslog daemon: a line is a datagram."""

    def __init__(self, target: Target) -> None:
        self.blocked = False
        self._target = target
        self._socket: gsocket.socket | None = None
        self._lost = 0
        self._careful = False

    def open(self) -> None:
        self._socket = self._connect()
        self._socket.setblocking(False)
        self.blocked = False

    def _connect(self) -> gsocket.socket:
        if self._target.kind == "local":
            return _to_file(self._target.path)
        with _time_limit():
            return _to_host(self._target, socket.SOCK_DGRAM)

    def fileno(self) -> int:
        assert self._socket is not None
        return self._socket.fileno()

    def flush(self, outbox: Outbox[bytes]) -> bool:
        assert self._socket is not None
        self.blocked = False
        for _ in range(LINES_A_TURN):
            self._listen()
            if not len(outbox):
                return False
            if not self._send(outbox):
                self.blocked = True
                return False
            if self._careful:
                self._careful = False
                gevent.sleep(PROBE_TIME)
        if self._target.kind == "udp":
            gevent.sleep(PACE)
        return True

    def _listen(self) -> None:
        """Learn of datagrams that were refused (ICMP); what a receiver says is of no interest."""
        assert self._socket is not None
        try:
            with contextlib.suppress(*_WOULD_BLOCK):
                self._socket.recv(1)
        except ConnectionRefusedError:
            self._refused()
            raise

    def _send(self, outbox: Outbox[bytes]) -> bool:
        assert self._socket is not None
        try:
            self._socket.send(outbox.first())
        except ConnectionRefusedError:  # this one was not sent; one before it was not taken
            self._refused()
            raise
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                return False
            if error.errno != errno.EMSGSIZE:
                raise
            outbox.dropped += 1  # no datagram can hold it
        outbox.pop()
        return True

    def _refused(self) -> None:
        if self._target.kind == "udp":
            self._lost += 1
            self._careful = True

    def give_up(self, outbox: Outbox[bytes]) -> int:
        lost, self._lost = self._lost, 0
        return lost

    def finish(self) -> None:
        """Datagrams are on their way or not: there is nothing to end."""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Stream:
    """A connection over TCP; with ``secure`` over TLS, which that makes of a connected socket.

    ``frame`` makes of a line what goes on the wire (`octet_counted` or `line_feed`).
    """

    def __init__(
        self,
        target: Target,
        frame: Callable[[bytes], bytes],
        secure: Callable[[gsocket.socket], Any] | None = None,
    ) -> None:
        self.blocked = False
        self._target = target
        self._frame = frame
        self._secure = secure
        self._socket: Any = None
        self._lines: list[bytes] = []  # taken out, not yet all handed over
        self._data = memoryview(b"")  # these lines, framed
        self._sent = 0  # bytes of it that the kernel has
        self._begun = False  # TLS: whether it may have some that it does not tell of
        self._unanswered = 0  # lines handed over that the other side may not have

    def open(self) -> None:
        with _time_limit():
            self._socket = _to_host(self._target, socket.SOCK_STREAM)
            _prepare(self._socket)
            if self._secure is not None:
                self._socket = self._secure(self._socket)
            self._socket.setblocking(False)
            self._settle()
        self.blocked = False

    def _settle(self) -> None:
        with contextlib.suppress(TimeoutError):
            gsocket.wait_read(self.fileno(), SETTLE_TIME, TimeoutError())
        self._listen()

    def fileno(self) -> int:
        descriptor: int = self._socket.fileno()
        return descriptor

    def flush(self, outbox: Outbox[bytes]) -> bool:
        self.blocked = False
        self._note_answers()  # first: TLS answers an end, which nobody acknowledges any more
        self._listen()
        if not self._lines:
            self._take(outbox)
        if not self._lines:
            return False
        if not self._write():
            self.blocked = True
            return False
        return True

    def _listen(self) -> None:
        """Notice that the receiver has closed; what it says is of no interest."""
        for _ in range(16):
            try:
                said = self._socket.recv(4096)
            except _WOULD_BLOCK:
                return
            if not said:
                raise ConnectionAbortedError(errno.ECONNABORTED, "it closed the connection")

    def _note_answers(self) -> None:
        """Count as arrived what the other system acknowledged (SIOCOUTQ of tcp(7))."""
        waiting = fcntl.ioctl(self.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        if not struct.unpack("i", waiting)[0]:
            self._unanswered = 0

    def _take(self, outbox: Outbox[bytes]) -> None:
        frames: list[bytes] = []
        room = CHUNK
        while len(outbox):
            frame = self._frame(outbox.first())
            room -= len(frame)
            if frames and room < 0:
                break
            frames.append(frame)
            self._lines.append(outbox.pop())
        self._data = memoryview(b"".join(frames))
        self._sent = 0
        self._begun = False

    def _write(self) -> bool:
        """Hand over what is in hand; False: only a part of it."""
        while self._sent < len(self._data):
            self._begun = self._secure is not None
            try:
                sent = self._socket.send(self._data[self._sent :])
            except _WOULD_BLOCK:
                sent = 0
            if not sent:
                return False
            self._sent += sent
        self._unanswered += len(self._lines)
        self._lines = []
        return True

    def give_up(self, outbox: Outbox[bytes]) -> int:
        begun = len(self._lines) if self._begun else self._lines_begun()
        outbox.put_back(self._lines[begun:])
        self._lines = []
        with contextlib.suppress(OSError):
            self._note_answers()
        lost = self._unanswered + begun
        self._unanswered = 0
        return lost

    def _lines_begun(self) -> int:
        begun, position = 0, 0
        for line in self._lines:
            if position >= self._sent:
                break
            position += len(self._frame(line))
            begun += 1
        return begun

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._secure is not None:
                with contextlib.suppress(*_WOULD_BLOCK):
                    self._socket.unwrap()
            self._socket.shutdown(socket.SHUT_WR)
            while True:  # closing with something unread would take back what was written
                gsocket.wait_read(self.fileno(), SETTLE_TIME, TimeoutError())
                self._listen()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def octet_counted(line: bytes) -> bytes:
    """RFC 6587, section 3.4.1, and RFC 5425, section 4.3: the length, a blank, the line."""
    return b"%d %b" % (len(line), line)


def line_feed(line: bytes) -> bytes:
    """RFC 6587, section 3.4.2: a line feed at its end; there is none inside."""
    return line + b"\n"


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    with gevent.Timeout(CONNECT_TIME) as limit:
        try:
            yield
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            text = f"no connection within {CONNECT_TIME:g} s"
            raise TimeoutError(errno.ETIMEDOUT, text) from None


def _to_host(target: Target, kind: socket.SocketKind) -> gsocket.socket:
    return connect(target.host, target.port, CONNECT_TIME, kind=kind)


def _to_file(path: str) -> gsocket.socket:
    made = gsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        made.connect(path)
    except BaseException:
        made.close()
        raise
    return made


def _prepare(sock: gsocket.socket) -> None:
    options = (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_TIME * 1000),
        (socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    )
    for level, option, value in options:
        sock.setsockopt(level, option, value)
