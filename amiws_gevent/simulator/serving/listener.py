"""The sockets of an AMI server: one that listens, and for each client a reader and a writer.

Nothing a client does holds up another. What waits for one is bounded.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import gevent
from gevent import socket as gsocket
from gevent.event import Event
from gevent.server import StreamServer

from amiws_gevent.simulator.serving.requests import encode
from amiws_gevent.simulator.serving.session import Session

_BACKLOG: Final = 128
_READ_SIZE: Final = 65536
_WRITE_SIZE: Final = 262144

SessionT = TypeVar("SessionT", bound=Session)


def port(text: str) -> int:
    """The value of ``--port``, a number up to 65535. Raises ValueError, ArgumentTypeError."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return number


class Listener(Generic[SessionT]):
    """Serves AMI on ``host`` and ``port`` (0: a free one); ``open_session`` for each connection.

    A client is dropped for which more than ``limit`` bytes wait, or which takes nothing for
    ``patience`` seconds; ``dropped`` is told, and why. A client that was said goodbye to has
    as long to take the rest and to close. ``changed`` is called when a connection has gone or
    taken something.
    """

    def __init__(
        self,
        host: str,
        port: int,
        open_session: Callable[[Connection[SessionT]], SessionT],
        *,
        limit: int,
        patience: float,
        dropped: Callable[[Connection[SessionT], str], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.host = host
        self.port = port
        """Once started the port that was taken."""
        self.connections: set[Connection[SessionT]] = set()
        self.limit = limit
        self.patience = patience
        self.dropped = dropped
        self.changed = changed
        self._open_session = open_session
        self._server: StreamServer | None = None

    @property
    def active(self) -> list[Connection[SessionT]]:
        """Those that are logged in."""
        return [each for each in self.connections if each.session.active]

    def start(self) -> None:
        """Listens. Raises OSError."""
        server = StreamServer(_listening(self.host, self.port), self._serve)
        server.start()
        self._server = server
        self.port = int(server.socket.getsockname()[1])

    def stop(self, grace: float = 0.0) -> None:
        """Closes everything; what waits has ``grace`` seconds to be sent. Twice is nothing."""
        server, self._server = self._server, None
        if server is None:
            return
        server.stop(timeout=0)
        connections = list(self.connections)
        for connection in connections:
            connection.finish()
        gevent.wait([connection.sent for connection in connections], timeout=grace)
        for connection in connections:
            connection.abort()

    def _serve(self, sock: gsocket.socket, address: tuple[str, int]) -> None:
        if self._server is None:
            sock.close()  # accepted, but not begun when it was stopped
            return
        connection = Connection(self, sock, address)
        connection.session = self._open_session(connection)
        self.connections.add(connection)
        try:
            connection.serve()
        finally:
            self.connections.discard(connection)
            self.changed()


class Connection(Generic[SessionT]):
    """A client's socket: a reader (the greenlet that serves it) and a writer."""

    session: SessionT

    def __init__(
        self, listener: Listener[SessionT], sock: gsocket.socket, address: tuple[str, int]
    ) -> None:
        sock.setsockopt(gsocket.IPPROTO_TCP, gsocket.TCP_NODELAY, 1)
        self.local: tuple[str, int] = sock.getsockname()[:2]
        self.remote: tuple[str, int] = address[:2]
        self.sent = Event()
        """Set when no more will be sent."""
        self._listener = listener
        self._socket = sock
        self._pending = bytearray()
        self._ready = Event()
        self._finishing = False
        self._writer = gevent.spawn(self._write_all)

    def __str__(self) -> str:
        return f"{self.remote[0]}:{self.remote[1]}"

    @property
    def pending_bytes(self) -> int:
        return len(self._pending)

    def say(self, text: str) -> None:
        self.offer(encode(text))

    def offer(self, data: bytes) -> None:
        """Queues bytes; never blocks. Past the limit the client is dropped."""
        if self._finishing or not data:
            return
        if self.pending_bytes + len(data) > self._listener.limit:
            self._drop(f"it does not read, and {self.pending_bytes} bytes wait for it")
        else:
            self._pending += data
            self._ready.set()

    def finish(self) -> None:
        """The end from our side: takes no more, and closes once all is sent."""
        self.session.over = True
        self._finishing = True
        self._ready.set()

    def abort(self) -> None:
        """Ends the connection, whatever is left to send; the reader wakes up and closes."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(gsocket.SHUT_RDWR)

    def serve(self) -> None:
        """Feeds the session until the client has closed; then what is queued is sent, and closes.

        A client that is sent away closes first: what it sends meanwhile would make our closing
        a reset, and cost it what it has not read yet.
        """
        try:
            while data := self._read():
                if not self.session.over:
                    self.session.receive_data(data)
                if self.session.over:
                    self.finish()
            if not self.session.over:
                self.session.on_gone()
            self.finish()
            self.sent.wait(self._listener.patience)
        finally:
            self._writer.kill()
            self._socket.close()

    def _read(self) -> bytes:
        try:
            return self._socket.recv(_READ_SIZE)
        except OSError:
            return b""

    def _drop(self, why: str) -> None:
        self._pending.clear()
        self.finish()
        self._listener.dropped(self, why)
        self.abort()

    def _write_all(self) -> None:
        try:
            while self._pending or not self._finishing:
                if self._pending:
                    self._write()
                else:
                    self._ready.clear()
                    self._ready.wait()
            self._socket.shutdown(gsocket.SHUT_WR)
        except OSError:
            self.abort()
        finally:
            self.sent.set()
        gevent.sleep(self._listener.patience)
        self.abort()

    def _write(self) -> None:
        """Sends what the client takes now. Raises OSError when it is gone."""
        patience = self._listener.patience
        chunk = self._pending[:_WRITE_SIZE]
        sent = gevent.with_timeout(patience, self._socket.send, chunk, timeout_value=0)
        if not sent:
            self._drop(f"it read nothing for {patience:g} s")
        del self._pending[:sent]
        self._listener.changed()


def _listening(host: str, port: int) -> gsocket.socket:
    """A listening socket; gevent's own way leaves one open that cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    return gsocket.socket(fileno=listener.detach())
