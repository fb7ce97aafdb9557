"""A scripted HTTP receiver on a loopback port, in plain threads (never gevent).

It records every request and answers it by script::

    with Receiver(answer(500), reset, default=answer(204)) as receiver:
        post_something_to(receiver.url)
        receiver.wait_for(3)                 # three whole requests came
        receiver.requests[0].body

Each request takes the next step of the script, then ``default``. A step is a
function that is called with the `Exchange`, in the thread of its connection; it
returns True if the connection can carry another request. ``refuse`` and
``restart`` take the listening socket away and bring it back on the same port.

The waits poll with ``sleep``: a test that runs gevent code in its own process
passes ``sleep=gevent.sleep``, so that the code under test goes on meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.support.patience import WAIT
from tests.support.ports import hold

POLL = 0.02
"""Seconds after which a thread that waits for its socket looks whether it is to end."""


@dataclass(frozen=True)
class Request:
    """One whole request as it came. ``connection`` counts connections from 0."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    time: float
    """Of the day, as its last byte came."""

    def get(self, name: str) -> str:
        """The value of a header that must be there once, in any case."""
        (value,) = [value for key, value in self.headers if key.lower() == name.lower()]
        return value

    def has(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key, _ in self.headers)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request and the connection that it came on."""

    def __init__(self, receiver: Receiver, sock: socket.socket, request: Request | None) -> None:
        self.receiver = receiver
        self.socket = sock
        self.request = request

    def send(self, data: bytes) -> bool:
        """Send all of it; False once the peer has gone or the receiver ends."""
        rest = memoryview(data)
        while rest:
            if self.receiver.ending:
                return False
            try:
                rest = rest[self.socket.send(rest) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([], [self.socket], [], POLL)
            except OSError:
                return False
        return True

    def hang(self) -> None:
        """Do nothing until the peer closes or the receiver ends."""
        while not self.receiver.ending:
            readable, _, _ = select.select([self.socket], [], [], POLL)
            try:
                if readable and not self.socket.recv(65536):
                    return
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError:
                return


Step = Callable[[Exchange], bool]


def answer(status: int, body: bytes = b"", *headers: str, reason: str = "Scripted") -> Step:
    """A whole answer; the connection is kept."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers]
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return lambda exchange: exchange.send(head.encode("latin-1") + body)


def raw(data: bytes) -> Step:
    """These bytes, and then the connection is closed."""

    def step(exchange: Exchange) -> bool:
        exchange.send(data)
        return False

    return step


def hang(exchange: Exchange) -> bool:
    """No answer, ever."""
    exchange.hang()
    return False


def close(exchange: Exchange) -> bool:
    """The end of the connection in place of an answer."""
    return False


def reset(exchange: Exchange) -> bool:
    """A TCP RST in place of an answer."""
    exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def then_hang(data: bytes) -> Step:
    """These bytes, and then nothing."""

    def step(exchange: Exchange) -> bool:
        exchange.send(data)
        return hang(exchange)

    return step


def trickle(data: bytes, pause: float) -> Step:
    """These bytes one by one, ``pause`` seconds apart, again and again."""

    def step(exchange: Exchange) -> bool:
        for byte in itertools.cycle(data):
            if not exchange.send(bytes([byte])):
                return False
            time.sleep(pause)
        return False

    return step


def endless(head: bytes, chunk: bytes) -> Step:
    """``head``, and then ``chunk`` until the peer has gone."""

    def step(exchange: Exchange) -> bool:
        going = exchange.send(head)
        while going:
            exchange.receiver.sent += len(chunk)
            going = exchange.send(chunk)
        return False

    return step


class Receiver:
    """The receiver; see the module's text. Use it as a context manager."""

    def __init__(
        self,
        *script: Step,
        default: Step | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.script = deque(script)
        self.default = default or answer(204)
        self.tls = tls
        self.host = host
        self.port = 0
        self.requests: list[Request] = []
        self.connections = 0
        self.open_connections = 0
        self.handshake_errors: list[str] = []
        self.sent = 0
        """Bytes that `endless` has begun to send."""
        self.ending = False
        self._sleep = sleep
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._place: socket.socket | None = None  # the port stays ours while nobody listens

    def __enter__(self) -> Self:
        self.restart()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ending = True
        self.refuse()
        for thread in self._threads:
            thread.join(WAIT)
            assert not thread.is_alive(), "a thread of the receiver did not end"
        if self._place is not None:
            self._place.close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:12345``, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def restart(self) -> None:
        """Listen, on the same port as before."""
        if self._place is None:
            self._place = hold(self.host, self.port)
            self.port = self._place.getsockname()[1]
        self._listener = listener = hold(self.host, self.port)
        listener.listen(64)
        self._accepting = self._run(self._accept, listener)

    def refuse(self) -> None:
        """Stop listening: further connections are refused; those that stand go on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
            self._accepting.join(WAIT)
            listener.close()

    def wait_for(self, count: int, timeout: float = WAIT) -> list[Request]:
        """Wait until so many requests came since the start; all of them."""
        deadline = time.monotonic() + timeout
        while len(self.requests) < count:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{len(self.requests)} of {count} requests within {timeout:g} s: "
                    f"{self.requests!r:.2000}"
                )
            self._sleep(0.005)
        return list(self.requests)

    def messages(self) -> list[Any]:
        """The messages of all requests in order."""
        return [message for request in list(self.requests) for message in request.json["messages"]]

    def _run(self, function: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while not self.ending:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                number = self.connections
                self.connections += 1
                self.open_connections += 1
            self._run(self._serve, sock, number)

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self.tls is not None:
                sock.settimeout(WAIT)
                try:
                    sock = self.tls.wrap_socket(sock, server_side=True)
                except OSError as error:
                    self.handshake_errors.append(str(error))
                    return
            sock.setblocking(False)
            reader = _Reader(Exchange(self, sock, None))
            while (request := reader.request(number)) is not None:
                with self._lock:
                    step = self.script.popleft() if self.script else self.default
                    self.requests.append(request)
                if not step(Exchange(self, sock, request)):
                    return
        finally:
            sock.close()
            with self._lock:
                self.open_connections -= 1


class _Reader:
    """Cuts requests out of what a connection brings."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._data = bytearray()

    def request(self, connection: int) -> Request | None:
        """The next whole one; None at the end of the connection."""
        while (end := self._data.find(b"\r\n\r\n")) < 0:
            if not self._read():
                return None
        line, *rest = bytes(self._data[:end]).decode("latin-1").split("\r\n")
        headers = tuple(
            (name, value.strip()) for name, _, value in (h.partition(":") for h in rest)
        )
        del self._data[: end + 4]
        (length,) = [int(value) for name, value in headers if name.lower() == "content-length"]
        while len(self._data) < length:
            if not self._read():
                return None
        body = bytes(self._data[:length])
        del self._data[:length]
        return Request(line, headers, body, connection, time.time())

    def _read(self) -> bool:
        while not self._exchange.receiver.ending:
            try:
                data = self._exchange.socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                select.select([self._exchange.socket], [], [], POLL)
                continue
            except OSError:
                return False
            self._data += data
            return bool(data)
        return False
