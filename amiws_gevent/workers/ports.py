"""The ports that all edges listen at: the supervisor keeps them, and lets no other program in."""

from __future__ import annotations

from typing import Any

from gevent import socket

from amiws_gevent.config import ListenAddress, Settings
from amiws_gevent.errors import ListenError
from amiws_gevent.web.listener import reserve_port

_METRICS = "metrics_listen"


class Port:
    """A port that is kept, also if it is not listened at."""

    def __init__(self, address: ListenAddress, kept: socket.socket) -> None:
        self.address = address
        self.number = int(kept.getsockname()[1])
        """Which one was taken, where 0 is configured."""
        self._kept = kept

    def close(self) -> None:
        """Let others have it."""
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
