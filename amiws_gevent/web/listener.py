"""The listening socket and the TLS context of the web server."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from gevent import socket, ssl

from amiws_gevent.config import Settings
from amiws_gevent.errors import ListenError

BACKLOG = 4096  # all clients of a large site reconnect at once; net.core.somaxconn caps it


def open_listener(
    host: str,
    port: int,
    *,
    host_key: str = "ws_host",
    port_key: str = "ws_port",
    shared: bool = False,
) -> socket.socket:
    """A socket that listens on ``host`` (name or address; empty: all interfaces).

    All interfaces means IPv6 and IPv4 on one socket, or IPv4 alone where there is no
    IPv6. A name stands for its first address, IPv4 before IPv6. ``shared``: other processes
    of this user may listen there too, each with a share of the connections. Raises
    ListenError, which names the keys of the configuration.
    """
    listener = _open(host, port, _share if shared else _take, host_key, port_key)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _listen_error(host, port, error, host_key, port_key) from error
    return listener


def reserve_port(
    host: str, port: int, *, host_key: str = "ws_host", port_key: str = "ws_port", own: bool = False
) -> socket.socket:
    """A socket that does not listen, and keeps the port for listeners that share it.

    Nobody else can take the port meanwhile; ``own``: this process has it already, at another
    address. Raises ListenError as `open_listener` does.
    """
    return _open(host, port, _share if own else _reserve, host_key, port_key)


Bind = Callable[[socket.socket, tuple[object, ...]], None]


def _open(host: str, port: int, bind: Bind, host_key: str, port_key: str) -> socket.socket:
    def told(error: OSError) -> ListenError:
        return _listen_error(host, port, error, host_key, port_key)

    if not host:
        try:
            return _bound(socket.AF_INET6, ("::", port), bind, dual_stack=True)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise told(error) from error
        host = "0.0.0.0"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ListenError(f"{host_key} {host}: no such name or address") from error
    family, *_, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    try:
        return _bound(family, address, bind, dual_stack=False)
    except OSError as error:
        raise told(error) from error


def share_listener(listener: socket.socket) -> socket.socket:
    """A second socket for the same queue of connections, so that the first can be closed."""
    return socket.socket(listener.family, listener.type, fileno=os.dup(listener.fileno()))


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context (1.2 and later) with the certificate of the settings; None without one.

    Raises ListenError for a file that cannot be read, or is not what it should be.
    """
    if settings.ssl_cert is None or settings.ssl_key is None:
        return None
    for key, path in (("ssl_cert", settings.ssl_cert), ("ssl_key", settings.ssl_key)):
        _check_readable(key, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation would make a write wait for bytes to read, and lets a client choose
    # when the server computes.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.ssl_cert, settings.ssl_key, _no_passphrase)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = getattr(error, "reason", None) or error
        raise ListenError(
            f"ssl_cert {settings.ssl_cert} and ssl_key {settings.ssl_key} "
            f"cannot be loaded as certificate and key (PEM): {reason}"
        ) from error
    return context


def _bound(
    family: int, address: tuple[object, ...], bind: Bind, *, dual_stack: bool
) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual_stack))
        bind(listener, address)
    except OSError:
        listener.close()
        raise
    return listener


def _take(listener: socket.socket, address: tuple[object, ...]) -> None:
    listener.bind(address)


def _share(listener: socket.socket, address: tuple[object, ...]) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(address)


def _reserve(listener: socket.socket, address: tuple[object, ...]) -> None:
    """Bind alone, so that a port that somebody shares with others is refused as well, and only
    then let others in: those that ask for SO_REUSEPORT and are of the same user (socket(7))."""
    listener.bind(address)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def _listen_error(
    host: str, port: int, error: OSError, host_key: str, port_key: str
) -> ListenError:
    where = f"port {port} of {host}" if host else f"port {port}"
    if error.errno == errno.EADDRINUSE:
        text = (
            f"{where} is in use; is another amiws or web server running? "
            f"`ss -ltnp 'sport = :{port}'` shows it. Stop it, or set another {port_key}"
        )
    elif error.errno == errno.EACCES:
        text = (
            f"{where}: this user may not open it; ports below 1024 need root or "
            f"CAP_NET_BIND_SERVICE (AmbientCapabilities= of systemd). Or set another {port_key}"
        )
    elif error.errno == errno.EADDRNOTAVAIL:
        text = f"{host_key} {host} is not an address of this machine; `ip addr` lists them"
    else:
        text = f"cannot listen on {where}: {error.strerror or error}"
    return ListenError(text)


def _check_readable(key: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ListenError(f"{key} {path} cannot be read: {error.strerror}") from error


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase, and a daemon cannot ask for it")
