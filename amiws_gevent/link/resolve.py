"""Looks up host names, so that a name server that does not answer delays one link only.

gevent looks names up in a pool of ten threads that the whole program shares; a few names
that hang would occupy them all. Here each link has at most one look-up at a time, in a
thread of its own that ends with the look-up.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from gevent.monkey import get_original

Address = tuple[int, Any]
"""Address family and what `socket.connect` takes for it."""

GetAddrInfo = Callable[..., list[tuple[Any, Any, Any, Any, Any]]]

# The patched getaddrinfo would go to gevent's pool; threads are raw ones too, since a
# patched "thread" is a greenlet.
_getaddrinfo: GetAddrInfo = get_original("socket", "getaddrinfo")
_start_thread: Callable[..., int] = get_original("_thread", "start_new_thread")


class _Lookup:
    """One call of getaddrinfo in a thread; it may take longer than its caller waits."""

    def __init__(self, key: tuple[str, int], getaddrinfo: GetAddrInfo) -> None:
        self.key = key
        self.done = Event()
        self.found: list[Address] = []
        self.error: OSError | None = None
        self._getaddrinfo = getaddrinfo
        name = key[0].encode("idna")  # in a thread its import could meet a held import lock
        _start_thread(self._work, (name, key[1], gevent.get_hub().loop))

    def _work(self, name: bytes, port: int, loop: Any) -> None:
        try:
            self.found = _addresses(self._getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except OSError as error:
            self.error = error
        finally:
            loop.run_callback_threadsafe(self.done.set)


class Resolver:
    """The look-ups of one link. ``getaddrinfo`` runs in a native thread."""

    def __init__(self, getaddrinfo: GetAddrInfo = _getaddrinfo) -> None:
        self._getaddrinfo = getaddrinfo
        self._pending: _Lookup | None = None

    def resolve(self, host: str, port: int, timeout: float) -> list[Address]:
        """Addresses of ``host`` in the order to try them (RFC 6724, by the system).

        Raises OSError (`socket.gaierror`) when there is none, TimeoutError after
        ``timeout`` seconds, and UnicodeError for what can be no host name. A look-up
        that took too long is taken up again by the next call.
        """
        numeric = _numeric(host, port)
        if numeric:
            return numeric
        lookup = self._pending
        if lookup is None or lookup.key != (host, port) or lookup.done.is_set():
            lookup = self._pending = _Lookup((host, port), self._getaddrinfo)
        if not lookup.done.wait(timeout):
            raise TimeoutError(f"looking up {host} takes too long")
        self._pending = None
        if lookup.error is not None:
            raise lookup.error
        return lookup.found


def _numeric(host: str, port: int) -> list[Address]:
    """The address that ``host`` spells, [] for a name: this never asks a name server."""
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        return _addresses(_getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
    except (OSError, UnicodeError):
        return []


def _addresses(infos: list[tuple[Any, Any, Any, Any, Any]]) -> list[Address]:
    return [(family, address) for family, _, _, _, address in infos]
