"""A listening port that can move to another address without a gap.

    move = endpoint.move(address, tls)    opens the new port; nothing changes if it raises
    move.finish()                         accepts on the new port and closes the old one
    move.undo()                           keeps the old port and closes the new one

Connections stay open either way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from gevent import socket, ssl

from amiws_gevent.config import ListenAddress
from amiws_gevent.errors import ListenError
from amiws_gevent.web.acceptor import Acceptor
from amiws_gevent.web.listener import open_listener, share_listener

Accept = Callable[[socket.socket, ssl.SSLContext | None], Acceptor]
"""Starts accepting connections from a listening socket."""


class Move(NamedTuple):
    """A prepared move: call one of the two, once."""

    finish: Callable[[], None]
    """Cannot fail."""
    undo: Callable[[], None]
    """Raises ListenError if the old port had to be closed and is in use by another program now."""


class Endpoint:
    """Does not listen until the first move. Errors name the configuration keys given here.

    The first move uses ``listener``, if given, instead of opening its address. ``shared``:
    other processes listen at the same address.
    """

    def __init__(
        self,
        accept: Accept,
        *,
        host_key: str = "ws_host",
        port_key: str = "ws_port",
        listener: socket.socket | None = None,
        shared: bool = False,
    ) -> None:
        self._accept = accept
        self._open = partial(open_listener, host_key=host_key, port_key=port_key, shared=shared)
        self._given = listener
        self._acceptor: Acceptor | None = None
        self.address: ListenAddress | None = None
        """The address as configured; None while it does not listen."""

    @property
    def port(self) -> int | None:
        """The TCP port; None while it does not listen."""
        return self._acceptor.port if self._acceptor else None

    def move(self, address: ListenAddress | None, tls: ssl.SSLContext | None = None) -> Move:
        """Prepare to listen at ``address`` (None: nowhere), with TLS or without."""
        listener = self._listener(address, tls)
        return Move(partial(self._go, address, tls, listener), partial(self._stay, listener))

    def close(self) -> None:
        """Stop listening."""
        if self._acceptor is not None:
            self._acceptor.close()

    def _listener(
        self, address: ListenAddress | None, tls: ssl.SSLContext | None
    ) -> socket.socket | None:
        """A new socket for ``address``; None if no new one is needed."""
        old = self._acceptor
        if address is None:
            return None
        if old is None:
            given, self._given = self._given, None
            return given or self._open(*address)
        if address != self.address:
            return self._open_beside(old, address)
        if (tls is None) != (old.tls is None):
            return share_listener(old.listener)
        return None

    def _open_beside(self, old: Acceptor, address: ListenAddress) -> socket.socket:
        """A socket for ``address``, while the old one still listens if it can."""
        try:
            return self._open(*address)
        except ListenError:
            if address.port != old.port:
                raise
        # The same port at another address: our own listener blocks it.
        old.close()
        try:
            return self._open(*address)
        except ListenError:
            self._reopen(old)
            raise

    def _go(
        self,
        address: ListenAddress | None,
        tls: ssl.SSLContext | None,
        listener: socket.socket | None,
    ) -> None:
        old = self._acceptor
        if listener is not None:
            self._acceptor = self._accept(listener, tls)
        elif address is None:
            self._acceptor = None
        elif old is not None:
            old.tls = tls
        if old is not None and old is not self._acceptor:
            old.close()
        self.address = address

    def _stay(self, listener: socket.socket | None) -> None:
        if listener is not None:
            listener.close()
        if self._acceptor is not None and self._acceptor.closed:
            self._reopen(self._acceptor)

    def _reopen(self, old: Acceptor) -> None:
        assert self.address is not None
        listener = self._open(self.address.host, old.port)
        self._acceptor = self._accept(listener, old.tls)
