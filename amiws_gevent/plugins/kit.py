"""Tools that plugins share with the program; take what helps, none has to be used.

`Backoff`
    How long to wait before the next attempt to reach something that is away.
`LogLimiter`
    A line in the log for what may come with every message: one in a while, and how many
    like it were left out.
`Outbox`
    What waits for a receiver, bounded; past the bounds the oldest go, and are counted.
`connect`
    A connected socket, in bounded time, whatever the name server and the addresses do.
`in_thread`
    The result of a function that waits in C; meanwhile everything else goes on.
`tls_context`, `Fingerprint`, `fingerprint`, `same_fingerprint`, `explain`
    TLS as a client: a context made of the settings that the program itself has (ssl_ca,
    ssl_verify, ssl_cert, ssl_key), the type of a setting such as ssl_fingerprint, what the
    other side presented, and an error of a socket or of TLS in words for the log.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Sequence, Sized
from pathlib import Path
from typing import Any, Generic, TypeVar

import gevent
from gevent import socket as gsocket

from amiws_gevent.plugins.api import SettingError
from amiws_gevent.runtime.backoff import Backoff
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.threads import in_thread
from amiws_gevent.runtime.tls import (
    ClientContext,
    TlsFileError,
    client_context,
    explain,
    fingerprint,
    same_fingerprint,
)
from amiws_gevent.values import Fingerprint

__all__ = [
    "Backoff",
    "ClientContext",
    "Fingerprint",
    "HostNotFound",
    "LogLimiter",
    "Outbox",
    "connect",
    "explain",
    "fingerprint",
    "in_thread",
    "same_fingerprint",
    "tls_context",
]

T = TypeVar("T", bound=Sized)


class HostNotFound(OSError):
    """A name has no address; ``str()`` is why."""


def connect(
    host: str,
    port: int,
    timeout: float,
    *,
    kind: socket.SocketKind = socket.SOCK_STREAM,
    make: type[gsocket.socket] = gsocket.socket,
) -> gsocket.socket:
    """A connected socket without a timeout; waits cooperatively.

    All addresses are tried in the system's order, each for an even share of what is left of
    ``timeout`` seconds, so that a dead one does not use up the time of the others. The
    look-up has as long. Raises HostNotFound, or the OSError of the last address.
    """
    failure = OSError("it has no address")
    found = _look_up(host, port, timeout, kind)
    deadline = time.monotonic() + timeout
    for index, (family, _, protocol, _, address) in enumerate(found):
        sock = make(family, kind, protocol)
        try:
            sock.settimeout(max(0.001, (deadline - time.monotonic()) / (len(found) - index)))
            sock.connect(address)
            sock.settimeout(None)
        except OSError as error:
            sock.close()
            silent = isinstance(error, TimeoutError) and not error.errno
            failure = TimeoutError("no answer in time") if silent else error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _look_up(host: str, port: int, timeout: float, kind: socket.SocketKind) -> list[Any]:
    try:
        with gevent.Timeout(timeout, TimeoutError("the name server does not answer")):
            return list(gsocket.getaddrinfo(host, port, type=kind))
    except UnicodeError:
        raise HostNotFound(f"{host} is not a host name") from None
    except OSError as error:
        raise HostNotFound(explain(error)) from None


def tls_context(
    *,
    verify: bool = True,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    kind: type[ClientContext] = ClientContext,
) -> ClientContext:
    """TLS 1.2 or later to somebody whose certificate and name are checked, with ``verify``.

    Authorities are those of the file ``ca`` (PEM), by default the system's; ``cert`` and its
    ``key`` are our own certificate. The files are read now. Raises SettingError for ssl_ca or
    ssl_cert where one is of no use. ``wrap_socket`` of the context does the handshake, and
    closes the socket where that fails.
    """
    try:
        return client_context(verify=verify, ca=ca, cert=cert, key=key, kind=kind)
    except TlsFileError as error:
        raise SettingError(error.setting, str(error)) from None


class Outbox(Generic[T]):
    """At most ``most`` items and ``most_bytes`` bytes; past either the oldest are dropped.

    ``size`` gives the bytes of an item. For a plugin with one greenlet that takes out.
    """

    def __init__(self, most: int, most_bytes: int, size: Callable[[T], int] = len) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.dropped = 0
        """Items dropped since the start, none of which was taken out."""
        self.bytes = 0
        self.held, self.held_bytes = 0, 0
        """Items that were taken out and not done with, which take up room as well: 0 unless set."""
        self._size = size
        self._items: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def has_room(self, size: int) -> bool:
        """Whether one more item of so many bytes can be put and nothing be dropped for it."""
        return self._fits(1, size)

    def put(self, item: T) -> int:
        """Take an item, in the place of the oldest ones if there is no room.

        How many were dropped for it; it is one of them if all room is held.
        """
        self._items.append(item)
        self.bytes += self._size(item)
        return self._hold_bounds()

    def put_first(self, item: T) -> None:
        """Take an item before all others, whatever the bounds: the next to be taken out."""
        self._items.appendleft(item)
        self.bytes += self._size(item)

    def put_back(self, items: Sequence[T]) -> None:
        """Items taken out and not begun go first again, in the order given."""
        for item in reversed(items):
            self.put_first(item)
        self._hold_bounds()

    def first(self) -> T:
        """The item that is next; IndexError without one."""
        return self._items[0]

    def pop(self) -> T:
        """Take the next item out; IndexError without one."""
        item = self._items.popleft()
        self.bytes -= self._size(item)
        return item

    def _hold_bounds(self) -> int:
        dropped = 0
        while self._items and not self._fits(0, 0):
            self.pop()
            dropped += 1
        self.dropped += dropped
        return dropped

    def _fits(self, more: int, size: int) -> bool:
        number = self.held + len(self) + more
        return number <= self.most and self.held_bytes + self.bytes + size <= self.most_bytes
