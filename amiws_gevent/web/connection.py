"""What HTTP requests and WebSockets share: reading from a connection, and closing it cleanly.

One reader reads the request heads, bodies and frames of a connection, since the bytes after
a head may already be the first frames. Unlike ``socket.makefile`` it can go on after a
timeout, records when bytes last came, and holds no buffer while it waits, which matters
with ten thousand idle clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from gevent import socket, ssl

from amiws_gevent.web.problem import PROBLEM_TYPE, problem_bytes

RETRY_LATER = ("Retry-After", "5")  # seconds; for clients refused because there are too many

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a write that never waits raises when nothing is taken."""

_TLS_SLICE = 1 << 16  # bytes given to SSL_write at a time, which tells of no part of them
_CHUNK = 64 * 1024  # bytes asked for at a time; the kernel gives what has come

_LINGER_TIME = 2.0  # seconds in which a client may read a refusal
_LINGER_BYTES = 256 * 1024  # read and discarded meanwhile

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LONGEST_HEAD_END = 4  # bytes of it that an earlier read may already have brought, and one more


class HeadTooLarge(Exception):
    """A request head has no end within the bytes it may have; ``begin`` is all of these."""

    def __init__(self, begin: bytes) -> None:
        super().__init__()
        self.begin = begin


def raw_socket(sock: socket.socket) -> Any:
    """The non-blocking socket beneath gevent's: its ``send`` and ``shutdown`` never wait."""
    return sock._sock  # type: ignore[attr-defined]  # gevent's own name, used by its pywsgi too


def tls_object(sock: socket.socket) -> Any:
    """The TLS of a gevent socket, whose ``read`` and ``write`` never wait; None without."""
    return sock._sslobj if isinstance(sock, ssl.SSLSocket) else None  # type: ignore[attr-defined]


def writer_of(sock: socket.socket) -> Callable[[Any], int]:
    """A function that sends what it can and returns how much, or raises WOULD_BLOCK."""
    tls = tls_object(sock)
    if tls is None:
        return raw_socket(sock).send  # type: ignore[no-any-return]
    return partial(_write_tls, tls)


def _write_tls(tls: Any, data: bytes | memoryview) -> int:
    """As a socket's ``send``, for TLS.

    SSL_write takes a whole buffer or must be called with it again. With slices, partial
    progress through a large buffer is known too.
    """
    size = len(data)
    if size <= _TLS_SLICE:
        return tls.write(data)  # type: ignore[no-any-return]
    view = memoryview(data)
    sent = 0
    try:
        while sent < size:
            sent += tls.write(view[sent : sent + _TLS_SLICE])
    except WOULD_BLOCK:
        if not sent:
            raise
    return sent


def resent(sock: socket.socket) -> int:
    """How many unwritten bytes must be passed to the writer again unchanged."""
    return 0 if tls_object(sock) is None else _TLS_SLICE


def hang_up(sock: socket.socket) -> None:
    """End the output, with TLS's notice first; never waits, and never raises."""
    tls = tls_object(sock)
    with suppress(OSError):
        if tls is not None:
            with suppress(OSError):  # raised because the client has not sent its own notice
                tls.shutdown()
        raw_socket(sock).shutdown(socket.SHUT_WR)


def answer_and_close(sock: socket.socket, reader: Reader, answer: bytes) -> None:
    """Send the last answer and end the output; the caller closes the socket.

    What the client still sends is discarded for a while: closing a socket with unread bytes
    resets the connection, and the answer would be lost.
    """
    with suppress(OSError):
        sock.settimeout(_LINGER_TIME)
        sock.sendall(answer)
        hang_up(sock)
        reader.discard(_LINGER_BYTES, _LINGER_TIME)


def refusal_bytes(
    status: HTTPStatus, text: str, *headers: tuple[str, str], api: bool = False
) -> bytes:
    """A whole HTTP answer that ends the connection; ``text`` says why.

    ``api``: it is a problem document.
    """
    body = problem_bytes(status, text) if api else f"{status:d} {text}\n".encode()
    lines = [
        f"HTTP/1.1 {status:d} {status.phrase}",
        "Connection: close",
        f"Content-Type: {PROBLEM_TYPE if api else 'text/plain; charset=utf-8'}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
        "\r\n",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


def peer_names(address: Any) -> tuple[str, str]:
    """A peer's address without and with its port; IPv4 over a dual-stack socket is IPv4."""
    if not isinstance(address, tuple):  # a Unix socket's
        return "unix", "unix"
    host, port = address[0], address[1]
    if "." in host:
        host = host.removeprefix("::ffff:")
    return host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Reader:
    """Reads from a gevent socket, plain or TLS; only the greenlet that serves it may.

    ``deadline`` (on the clock) bounds every wait for bytes: past it TimeoutError.
    None waits for as long as it takes. ``heard`` is when bytes last came. ``closed``
    says that an error has made the input unusable, which pywsgi asks for. ``pace``, if
    there is one, is called once bytes have come and before they are taken: it may wait
    until there is time for what they ask.
    """

    __slots__ = (
        "_buffer",
        "_clock",
        "_position",
        "_socket",
        "_tls",
        "closed",
        "deadline",
        "heard",
        "pace",
    )

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self._socket = sock
        self._tls = tls_object(sock)
        self._clock = clock
        self._buffer = b""
        self._position = 0
        self.closed = False
        self.deadline: float | None = None
        self.heard = clock()
        self.pace: Callable[[], None] | None = None

    def wait(self) -> int:
        """Wait until there are bytes to read; the first one's value, -1 at the end of the input."""
        if self._position == len(self._buffer):
            self._buffer, self._position = self._receive(), 0
        return self._buffer[self._position] if self._buffer else -1

    def read(self, size: int = -1, /) -> bytes:
        """``size`` bytes; fewer only at the end of the input. Negative: all to the end."""
        chunks = []
        while size:
            chunk = self._take(size)
            if not chunk:
                break
            chunks.append(chunk)
            size -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def readline(self, size: int = -1, /) -> bytes:
        """Up to and with the next LF, at most ``size`` bytes; as WSGI's input needs it."""
        chunks = []
        while size and self.wait() >= 0:
            end = self._buffer.find(b"\n", self._position) + 1
            room = end - self._position if end else -1
            chunk = self._take(min(room, size) if room > 0 and size > 0 else max(room, size))
            chunks.append(chunk)
            size -= len(chunk)
            if chunk.endswith(b"\n"):
                break
        return b"".join(chunks)

    def read_head(self, limit: int) -> bytes:
        """Everything through the first empty line; shorter only at the end of the input.

        Empty lines before it are left out (RFC 9112, section 2.2). Raises
        HeadTooLarge once ``limit`` bytes have come without an end.
        """
        head = bytearray()
        searched = 0
        room = limit
        while (found := _HEAD_END.search(head, searched)) is None:
            if not room:
                raise HeadTooLarge(bytes(head))
            chunk = self._take(room)
            if not chunk:
                return bytes(head)
            room -= len(chunk)
            searched = max(0, len(head) - _LONGEST_HEAD_END)
            head += chunk
            if not searched:
                head = head.lstrip(b"\r\n")
        self._put_back(bytes(head[found.end() :]))
        return bytes(head[: found.end()])

    def discard(self, limit: int, seconds: float | None = None) -> bool:
        """Read and discard up to ``limit`` bytes; whether the input ended before.

        ``seconds`` bounds it as a whole; past it TimeoutError.
        """
        self._buffer, self._position = b"", 0
        if seconds is not None:
            self.deadline = self._clock() + seconds
        while limit > 0:
            size = len(self._receive())
            if not size:
                return True
            limit -= size
        return False

    def close(self) -> None:
        """Stop reading; the caller closes the socket."""
        self.closed = True
        self._buffer, self._position = b"", 0

    def _take(self, size: int) -> bytes:
        """Up to ``size`` bytes (negative: any number), waiting for the first."""
        self.wait()
        start, end = self._position, self._position + size
        if start <= end < len(self._buffer):
            self._position = end
            return self._buffer[start:end]
        data = self._buffer[start:] if start else self._buffer
        self._buffer, self._position = b"", 0
        return data

    def _put_back(self, data: bytes) -> None:
        self._buffer, self._position = data + self._buffer[self._position :], 0

    def _receive(self) -> bytes:
        if self.closed:
            return b""
        try:
            if self.deadline is not None:
                self._socket.settimeout(max(self.deadline - self._clock(), 0.001))
            if self.pace is not None:
                self._await_bytes()
                self.pace()
            data = self._socket.recv(_CHUNK)
        except OSError:
            self.closed = True
            raise
        if data:
            self.heard = self._clock()
        return data

    def _await_bytes(self) -> None:
        """Wait until there are bytes, but leave them in the kernel until it is their turn.

        gevent waits only after a read has failed, and would keep that exception for each
        waiting client.
        """
        if self._tls is None or not self._tls.pending():
            event = self._socket._read_event  # type: ignore[attr-defined]  # what recv waits on
            socket.wait(event, self._socket.gettimeout())
