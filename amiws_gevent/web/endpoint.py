"""A port that is listened on, and that moves without a gap, or not at all.

    move = endpoint.move(address, tls)    opened, and not in use; raises with all as it was
    move.finish()                         connections come in there, and no longer where they did
    move.undo()                           all is as it was

What has come in stays connected either way.
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
"""Begins to take connections from a listening socket."""


class Move(NamedTuple):
    """One of the two, once."""

    finish: Callable[[], None]
    """Cannot fail."""
    undo: Callable[[], None]
    """Raises ListenError if somebody has taken the port that had to be let go meanwhile."""


class Endpoint:
    """Listens nowhere until the first move. The keys are those that an error names.

    ``listener`` is what the first move listens on in place of its address.
    """

    def __init__(
        self,
        accept: Accept,
        *,
        host_key: str = "ws_host",
        port_key: str = "ws_port",
        listener: socket.socket | None = None,
    ) -> None:
        self._accept = accept
        self._open = partial(open_listener, host_key=host_key, port_key=port_key)
        self._given = listener
        self._acceptor: Acceptor | None = None
        self.address: ListenAddress | None = None
        """Where it listens, as it was asked to; None while it does not."""

    @property
    def port(self) -> int | None:
        """The TCP port that is listened on; None while there is none."""
        return self._acceptor.port if self._acceptor else None

    def move(self, address: ListenAddress | None, tls: ssl.SSLContext | None = None) -> Move:
        """Open what it takes to listen at ``address``, or nowhere, with TLS or without."""
        listener = self._listener(address, tls)
        return Move(partial(self._go, address, tls, listener), partial(self._stay, listener))

    def close(self) -> None:
        """Listen no more."""
        if self._acceptor is not None:
            self._acceptor.close()

    def _listener(
        self, address: ListenAddress | None, tls: ssl.SSLContext | None
    ) -> socket.socket | None:
        """A socket for ``address``; None if it takes no other than there is."""
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
        # The same port of another address: it is our own listener that is in the way.
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
