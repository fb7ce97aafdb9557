"""One POST to a receiver, bounded in time and in what is read, whatever it does.

urllib3 does HTTP; its retries and redirects are off. Its connections are made of
gevent's sockets, so that a receiver keeps only its own greenlet waiting, patched
program or not.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
import urllib3
from gevent import socket as gsocket
from gevent.ssl import SSLSocket
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from amiws_gevent.plugins import kit
from amiws_gevent.plugins.kit import ClientContext

from .answer import KEPT_BODY, Answer
from .endpoint import Endpoint

MAX_BODY = 64 * 1024
"""Bytes of an answer's body that are read; after a longer one the connection is closed."""

BODY_TIME = 2.0
"""Seconds for that, once the status is known: it decides, not the body."""


class NoAnswer(Exception):
    """No usable answer came; ``str()`` is why, in words fit for the log."""


class Unreachable(OSError):
    """No connection; ``str()`` is why. An OSError, as urllib3 knows what to do with those."""


class _Fair:
    """Lets others run after each read, which gevent does only when it has to wait.

    A receiver that sends without a pause would stop all greenlets, and the timer
    that is to stop it.
    """

    def recv_into(self, *arguments: Any) -> int:
        number: int = super().recv_into(*arguments)  # type: ignore[misc]
        gevent.sleep(0)
        return number


class _PlainSocket(_Fair, gsocket.socket):
    """What http.client reads from by ``recv_into``."""


class _TlsSocket(_Fair, SSLSocket):
    """The same under TLS."""


class _PlainConnection(HTTPConnection):
    """A connection of urllib3's over a gevent socket."""

    def _new_conn(self) -> socket.socket:
        return connect(self._dns_host, self.port, _seconds(self.timeout))


class _TlsConnection(HTTPSConnection):
    """The same under TLS, which urllib3 adds with the context it is given."""

    def _new_conn(self) -> socket.socket:
        return connect(self._dns_host, self.port, _seconds(self.timeout))


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _TlsContext(ClientContext):
    sslsocket_class = _TlsSocket


class Client:
    """POSTs to one endpoint, one at a time, over a connection that is kept while it lasts.

    ``timeout`` is for all of one POST, ``connect_timeout`` for its connection
    (name, TCP, TLS each), both in seconds. ``context`` is for an https endpoint.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connect_timeout: float,
        timeout: float,
        context: ClientContext | None = None,
    ) -> None:
        _silence_urllib3(unverified=context is not None and context.verify_mode == ssl.CERT_NONE)
        self._target = endpoint.target
        self._timeout = timeout
        self._timeouts = urllib3.Timeout(connect=connect_timeout, read=timeout)
        common: dict[str, Any] = {"host": endpoint.host, "port": endpoint.port, "maxsize": 1}
        self._pool = _TlsPool(**common, ssl_context=context) if context else _PlainPool(**common)

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send it and return the answer. Raises NoAnswer, and nothing else."""
        with gevent.Timeout(self._timeout) as timer:
            try:
                response = self._pool.urlopen(
                    "POST",
                    self._target,
                    body=body,
                    headers=headers,
                    timeout=self._timeouts,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
            except gevent.Timeout as expired:
                if expired is not timer:
                    raise
                raise NoAnswer(f"no answer within {self._timeout:g} s") from None
            except Exception as error:  # noqa: BLE001 - whatever a receiver made urllib3 raise
                raise NoAnswer(reason(error)) from None
        return Answer(
            response.status,
            response.headers.get("Retry-After", ""),
            response.headers.get("Location", ""),
            _read_rest(response),
        )

    def close(self) -> None:
        """Close the connection that is kept."""
        self._pool.close()


def tls_context(ca: Path | None, *, verify: bool) -> ClientContext:
    """As that of the kit, with sockets that are fair. Raises SettingError."""
    return kit.tls_context(ca=ca, verify=verify, kind=_TlsContext)


def connect(host: str, port: int, timeout: float) -> gsocket.socket:
    """A connected socket that is fair. Raises Unreachable.

    ``timeout`` bounds the look-up, and all attempts together.
    """
    try:
        sock = kit.connect(host, port, timeout, make=_PlainSocket)
    except kit.HostNotFound as error:
        raise Unreachable(f"cannot find {host}: {error}") from None
    except OSError as error:
        raise Unreachable(f"cannot connect: {kit.explain(error)}") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(timeout)  # now for the TLS handshake
    return sock


def reason(error: BaseException) -> str:
    """An error of urllib3 or below it in words without URL, header or body."""
    while inner := [part for part in error.args if isinstance(part, BaseException)]:
        error = inner[-1]
    if isinstance(error, Unreachable):
        return str(error)
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "it closed the connection without an answer"
    if isinstance(error, ssl.SSLError):
        return kit.explain(error)
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.HTTPException | HTTPError):
        return f"its answer is not HTTP ({type(error).__name__})"
    detail = f": {kit.explain(error)}" if isinstance(error, OSError) else ""
    return f"{type(error).__name__}{detail}"


def _seconds(timeout: Any) -> float:
    return float(timeout)


def _read_rest(response: urllib3.BaseHTTPResponse) -> bytes:
    """The first bytes of the body; the connection can be used again if that was all of it."""
    data = b""
    ended = False
    with gevent.Timeout(BODY_TIME) as timer:
        try:
            data = response.read(MAX_BODY + 1)
            ended = len(data) <= MAX_BODY
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
        except (HTTPError, http.client.HTTPException, OSError, ValueError):
            pass  # the status is known, which is what counts
    if not ended:  # at its end urllib3 itself puts the connection back
        response.close()
    return data[:KEPT_BODY]


def _silence_urllib3(*, unverified: bool) -> None:
    """Its warnings name the URL, of which a part may be secret; ours say what happened."""
    for name in ("urllib3.connection", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if unverified:  # told at the start
        urllib3.disable_warnings(InsecureRequestWarning)
