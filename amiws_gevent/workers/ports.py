"""The ports that all edges listen at: the supervisor keeps them, and lets no other program in.

At the port of clients each edge has a listening socket that is kept here too. The kernel gives
each connection to one of these sockets. So while an edge is started again its share of the
clients waits, instead of going to the others and staying there.
"""

from __future__ import annotations

from typing import Any

from gevent import socket

from amiws_gevent.config import ListenAddress, Settings
from amiws_gevent.errors import ListenError
from amiws_gevent.web.listener import open_listener, reserve_port

_METRICS = "metrics_listen"


class Port:
    """A port that is kept, also if it is not listened at."""

    def __init__(self, address: ListenAddress, kept: socket.socket) -> None:
        self.address = address
        self.number = int(kept.getsockname()[1])
        """Which one was taken, where 0 is configured."""
        self._kept = kept
        self._listeners: dict[str, socket.socket] = {}

    def listener_of(self, edge: str) -> socket.socket:
        """The socket at which an edge listens, and the next one of its name. Raises ListenError."""
        listener = self._listeners.get(edge)
        if listener is None:
            listener = open_listener(self.address.host, self.number, shared=True)
            self._listeners[edge] = listener
        return listener

    def release(self, edge: str) -> None:
        """Nobody listens at it any more: clients that wait there are to come again."""
        listener = self._listeners.pop(edge, None)
        if listener is not None:
            listener.close()

    def release_all(self) -> None:
        """The same for each edge."""
        for edge in list(self._listeners):
            self.release(edge)

    def close(self) -> None:
        """Let others have it."""
        self.release_all()
        self._kept.close()


class Ports:
    """Those of a configuration. Opened beside those ``before``: of an address that stays, the port
    is the same. Raises ListenError with nothing kept that was not before."""

    def __init__(self, settings: Settings, before: Ports | None = None) -> None:
        web = ListenAddress(settings.ws_host, settings.ws_port)
        had = before.web if before is not None else None
        self.web: Port = _port(web, had, {})
        self.metrics: Port | None = None
        if settings.metrics_listen is not None:
            had = before.metrics if before is not None else None
            keys = {"host_key": _METRICS, "port_key": _METRICS}
            try:
                self.metrics = _port(settings.metrics_listen, had, keys)
            except ListenError:
                self.close(before)
                raise

    def replaced(self) -> dict[str, Any]:
        """For edges, the keys of the configuration with the ports that were taken."""
        metrics = None
        if self.metrics is not None:
            host = self.metrics.address.host
            metrics = f"{f'[{host}]' if ':' in host else host}:{self.metrics.number}"
        return {"ws_port": self.web.number, _METRICS: metrics}

    def close(self, keep: Ports | None = None) -> None:
        """Give up all that ``keep`` does not have."""
        kept = (keep.web, keep.metrics) if keep is not None else ()
        for port in (self.web, self.metrics):
            if port is not None and port not in kept:
                port.close()


def _port(address: ListenAddress, before: Port | None, keys: dict[str, str]) -> Port:
    if before is not None and before.address == address:
        return before
    own = before is not None and before.number == address.port
    return Port(address, reserve_port(address.host, address.port, own=own, **keys))
