"""Connects to a server by its settings: names, addresses, TLS, time limits."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent import socket as gsocket
from gevent.ssl import SSLSocket

from amiws_gevent.config import AmiHost
from amiws_gevent.errors import AmiwsError
from amiws_gevent.link.resolve import Address, Resolver
from amiws_gevent.link.tls import TlsClient, TlsFailed, setting_for

_PROBES = 5  # of TCP's keep-alive, at even distances
_LONGEST_IDLE = 32767  # seconds, MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL of Linux
_LONGEST_USER_TIMEOUT = 2**31 - 1  # milliseconds


class DialFailed(AmiwsError):
    """Connecting failed; ``str()`` is the reason, ``advice`` says what an operator can do."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.advice = advice


@dataclass(frozen=True)
class Dialled:
    """A connected socket; ``fingerprint`` is that of the server's certificate, with TLS."""

    sock: gsocket.socket | SSLSocket
    address: str
    fingerprint: str | None = None


class Dialler:
    """Connects to one server. One call at a time."""

    def __init__(
        self, host: AmiHost, clock: Callable[[], float], resolver: Resolver | None = None
    ) -> None:
        self._host = host
        self._clock = clock
        self._resolver = resolver or Resolver()
        self._tls = TlsClient(host) if host.ssl else None

    @property
    def unverified(self) -> bool:
        """Whether TLS is used and accepts any certificate."""
        return self._tls is not None and self._tls.unverified

    def dial(self, deadline: float) -> Dialled:
        """Connect until ``deadline`` (by the clock), with TLS if the settings say so.

        All addresses are tried in the system's order; each gets an equal share of
        the time left, so that a dead one does not use up the time of the others. Raises
        DialFailed.
        """
        host = self._host
        try:
            addresses = self._resolver.resolve(host.host, host.port, self._left(deadline))
        except TimeoutError as error:
            raise DialFailed(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise DialFailed(f"cannot find {host.host}: {_text(error)}") from error
        address, sock = self._connect_any(addresses, deadline)
        if self._tls is None:
            return Dialled(sock, shown(address))
        return self._secure(self._tls, sock, address, deadline)

    def _connect_any(
        self, addresses: list[Address], deadline: float
    ) -> tuple[Address, gsocket.socket]:
        failures = []
        for index, address in enumerate(addresses):
            share = self._left(deadline) / (len(addresses) - index)
            try:
                return address, connect(address, share, self._host.keepalive)
            except OSError as error:
                failures.append(f"{shown(address)}: {_text(error)}")
        raise DialFailed("; ".join(failures) or f"{self._host.host} has no address")

    def _secure(
        self, tls: TlsClient, sock: gsocket.socket, address: Address, deadline: float
    ) -> Dialled:
        limit = gevent.Timeout.start_new(self._left(deadline))
        try:
            wrapped, presented = tls.handshake(sock)
        except gevent.Timeout as timeout:
            if timeout is not limit:
                raise
            raise DialFailed("no answer to the TLS handshake in time") from None
        except TlsFailed as failure:
            advice = ""
            if failure.unverified:
                found = failure.fingerprint or self._peek(tls, address, deadline)
                advice = self._advice(found)
            raise DialFailed(str(failure), advice) from failure
        finally:
            limit.close()
        return Dialled(wrapped, shown(address), presented)

    def _peek(self, tls: TlsClient, address: Address, deadline: float) -> str | None:
        limit = gevent.Timeout.start_new(self._left(deadline))
        try:
            return tls.peek(connect(address, self._left(deadline), self._host.keepalive))
        except gevent.Timeout as timeout:
            if timeout is not limit:
                raise
            return None
        except (OSError, TlsFailed):
            return None
        finally:
            limit.close()

    def _advice(self, presented: str | None) -> str:
        if presented is None:
            return "set ssl_fingerprint, or ssl_ca to the file of the CA that signed it"
        advice = f"if that server is the right one, set {setting_for(presented)}"
        if self._host.ssl_fingerprint is None:
            advice += ", or ssl_ca to the file of the CA that signed its certificate"
        return advice

    def _left(self, deadline: float) -> float:
        return max(0.001, deadline - self._clock())


def connect(address: Address, timeout: float, keepalive: float) -> gsocket.socket:
    """A TCP connection within ``timeout`` seconds; raises OSError.

    Its kernel gives up a peer that acknowledges nothing for twice ``keepalive`` seconds,
    whether or not there is something to send.
    """
    family, place = address
    sock = gsocket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _dead_peer_options(keepalive).items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        sock.settimeout(timeout)
        sock.connect(place)
        sock.settimeout(None)
    except BaseException:
        sock.close()
        raise
    return sock


def _dead_peer_options(keepalive: float) -> dict[str, int]:
    """TCP's options by which the kernel finds a dead peer, as tcp(7) has them.

    The first probe goes out after ``keepalive`` seconds of silence. TCP_USER_TIMEOUT (RFC
    5482), where there is one, decides alone when it is too late for an answer.
    """
    interval = max(1, round(keepalive / _PROBES))
    return {
        "TCP_KEEPIDLE": min(max(1, round(keepalive)), _LONGEST_IDLE),
        "TCP_KEEPINTVL": min(interval, _LONGEST_IDLE),
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": min(round(2000 * keepalive), _LONGEST_USER_TIMEOUT),
    }


def shown(address: Address) -> str:
    """``192.0.2.1:5038``, ``[2001:db8::1]:5038``."""
    return endpoint(address[1][0], address[1][1])


def endpoint(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _text(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        hint = " (raise LimitNOFILE or `ulimit -n`)" if error.errno == errno.EMFILE else ""
        return os.strerror(error.errno) + hint
    return getattr(error, "strerror", None) or str(error)
