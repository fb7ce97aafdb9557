"""Takes connections from a listening socket and serves each, within limits, in its greenlet.

An upgraded connection is handed over: it goes on in a fresh greenlet, which keeps half
as much memory as one whose stack has been through a request.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import gevent
from gevent import socket, ssl
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from greenlet import getcurrent, greenlet

from amiws_gevent.web.connection import (
    Reader,
    answer_and_part,
    peer_names,
    refusal_bytes,
)
from amiws_gevent.web.handler import PageHandler, Site
from amiws_gevent.web.websocket import SILENT_PINGS, WebSocketClient

MOST_TURNED_AWAY = 64  # connections at once that are told why; more are only closed
RETRY_AFTER = 5  # seconds, as those are told
ACCEPT_PAUSE = 0.2  # seconds without accepting once the descriptors are gone

_SEND_BUFFER = 64 * 1024  # bytes; Linux doubles it, and else keeps 4 MB for a page that stalls
_TOLD_AGAIN = 10.0  # seconds between two log lines of the same kind
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_GONE_BEFORE_ACCEPT = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM)  # accept(2)

_log = logging.getLogger("amiws_gevent.web")


class Population:
    """Who is connected: ``total`` of all, from the accept on, and each in what it is at."""

    def __init__(self) -> None:
        self.total = 0
        self.handshakes: set[greenlet] = set()
        self.requests: set[PageHandler] = set()
        self.clients: set[WebSocketClient] = set()
        self._empty = Event()

    def came(self) -> None:
        """One more."""
        self.total += 1

    def left(self) -> None:
        """One less."""
        self.total -= 1
        if not self.total:
            self._empty.set()

    def wait_until_empty(self, timeout: float) -> None:
        """Wait until nobody is connected, ``timeout`` seconds at most."""
        if self.total:
            self._empty.clear()
            self._empty.wait(timeout)


class Acceptor(WSGIServer):
    """Serves what comes in at ``listener``, until it is closed; who is in stays in.

    ``adopt`` gets each upgraded connection. ``tls`` may be replaced at any time, by
    another context, not by None.
    """

    def __init__(
        self,
        listener: socket.socket,
        site: Site,
        population: Population,
        *,
        tls: ssl.SSLContext | None,
        adopt: Callable[[WebSocketClient], None],
    ) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(  # plain: TLS is begun here
            listener,
            log=None,
            error_log=_log,
            environ={
                "SERVER_NAME": host,  # pywsgi would ask the DNS
                "SERVER_PORT": str(port),
                "wsgi.url_scheme": "https" if tls else "http",
            },
        )
        self.site = site
        self.listener = listener
        self.port = int(port)
        self.tls = tls
        self._population = population
        self._adopt = adopt
        self._turned_away = 0
        self._tell_at: dict[str, float] = {}

    # What gevent's server asks for

    def do_read(self) -> Any:
        """The next connection and its address; None for now, or for a while without descriptors."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno in _GONE_BEFORE_ACCEPT:
                return None
            if error.errno not in _OUT_OF_RESOURCES:
                raise
            self._tell(
                "no new connections for now: %s; a higher LimitNOFILE (systemd) or `ulimit -n` "
                "lets more in",
                error.strerror,
            )
            self.stop_accepting()
            self._timer = self.loop.timer(ACCEPT_PAUSE)
            self._timer.start(self._resume)
            return None

    def _resume(self) -> None:
        if self.started:
            self.start_accepting()

    def do_handle(self, sock: socket.socket, address: Any) -> None:
        """Give a connection a greenlet, or turn it away."""
        if self._admits(address):
            self._population.came()
            gevent.spawn_raw(self._serve, sock, address)
        elif self._turned_away < MOST_TURNED_AWAY:
            self._turned_away += 1
            gevent.spawn_raw(self._turn_away, sock, address)
        else:
            sock.close()

    def _admits(self, address: Any) -> bool:
        """Whether one more may come in; what limits addresses or rates belongs here."""
        limit = self.site.limits.connections
        if self._population.total < limit:
            return True
        self._tell(
            "connections are refused: all %d of limits.connections are taken (%s was the last)",
            limit,
            peer_names(address)[1],
        )
        return False

    def _tell(self, text: str, *arguments: object) -> None:
        """A warning, unless it was given a moment ago."""
        now = self.site.clock()
        if now >= self._tell_at.get(text, now):
            self._tell_at[text] = now + _TOLD_AGAIN
            _log.warning(text, *arguments)

    # One connection

    def _serve(self, sock: socket.socket, address: Any) -> None:
        client = None
        try:
            self._tune(sock)
            sock = self._secure(sock)
            client = self._serve_requests(sock, address)
        except OSError as error:
            _log.debug("%s: %s", peer_names(address)[1], error)
        finally:
            if client is None:
                sock.close()
                self._population.left()
        if client is not None:
            self._adopt(client)

    def _serve_requests(self, sock: socket.socket, address: Any) -> WebSocketClient | None:
        handler = PageHandler(sock, address, self)
        requests = self._population.requests
        requests.add(handler)
        try:
            handler.handle()
        finally:
            requests.discard(handler)
        return handler.client

    def _turn_away(self, sock: socket.socket, address: Any) -> None:
        handshakes = self._population.handshakes
        handshakes.add(getcurrent())  # so that a stop ends it
        try:
            sock = self._secure(sock)
            answer = refusal_bytes(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The server has as many connections as it may have (limits.connections).",
                ("Retry-After", str(RETRY_AFTER)),
            )
            answer_and_part(sock, Reader(sock, self.site.clock), answer)
        except OSError as error:
            _log.debug("%s: %s", peer_names(address)[1], error)
        finally:
            handshakes.discard(getcurrent())
            sock.close()
            self._turned_away -= 1

    def _secure(self, sock: socket.socket) -> socket.socket:
        """The same with TLS, if there is any; raises OSError, with the socket closed."""
        if self.tls is None:
            return sock
        sock.getpeername()  # raises for one who is gone, whose socket gevent's TLS would leave open
        handshakes = self._population.handshakes
        handshakes.add(getcurrent())
        secured = None
        try:
            secured = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            seconds = self.site.limits.tls_handshake_time
            late = TimeoutError(f"the TLS handshake took more than {seconds:g} s")
            with gevent.Timeout(seconds, late):
                secured.do_handshake()
        except BaseException as error:  # GreenletExit too: nobody else knows of the socket
            if secured is not None:
                self._part_insecurely(secured, error)
            raise
        finally:
            handshakes.discard(getcurrent())
        return secured

    def _part_insecurely(self, secured: ssl.SSLSocket, error: BaseException) -> None:
        """Close what did not come to speak TLS, with a word to those who spoke HTTP."""
        if isinstance(error, ssl.SSLError) and error.reason == "HTTP_REQUEST":
            plain = socket.socket(secured.family, secured.type, fileno=secured.detach())
            answer = refusal_bytes(
                HTTPStatus.BAD_REQUEST, "HTTP was spoken to a port with TLS: use https:// or wss://"
            )
            answer_and_part(plain, Reader(plain, self.site.clock), answer)
            plain.close()
        else:
            secured.close()

    def _tune(self, sock: socket.socket) -> None:
        """Small messages at once, little memory in the kernel, and an end for dead peers."""
        lost = int(SILENT_PINGS * self.site.limits.ping_interval * 1000)
        with suppress(OSError):  # gone already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, lost)
