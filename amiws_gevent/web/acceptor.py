"""Accepts connections from a listening socket and serves each in a greenlet, within limits.

Only a few are accepted in one turn of the event loop. The site's pacer spreads the work that
follows (TLS, requests), so that many connections at once do not delay everyone else.

An upgraded connection goes on in a new greenlet, which keeps half as much memory as one
whose stack has served a request.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol

import gevent
from gevent import socket, ssl
from gevent.pywsgi import WSGIServer
from greenlet import getcurrent

from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.web.admission import (
    ADDRESS,
    CONNECTIONS,
    DESCRIPTORS,
    HANDSHAKES,
    RATE,
    Admission,
    Arrival,
    Pause,
    Population,
)
from amiws_gevent.web.connection import (
    RETRY_LATER,
    Reader,
    answer_and_close,
    peer_names,
    raw_socket,
    refusal_bytes,
    tls_object,
)
from amiws_gevent.web.handler import ConnectionHandler
from amiws_gevent.web.site import Site
from amiws_gevent.web.websocket import SILENT_PINGS, WebSocketClient

MOST_ACCEPTED = 16  # in one turn of the event loop
MOST_REFUSED = 256  # connections at once that are given time to read the refusal
MOST_REFUSED_LAST = 8  # the same for those that have one of the last descriptors
ACCEPT_PAUSE = 0.2  # seconds without accepting once no descriptors are left

_SEND_BUFFER = (
    64 * 1024
)  # bytes; Linux doubles it; its default keeps 4 MB for a client that does not read
_LOG_INTERVAL = 10.0  # seconds between two warnings of the same kind
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_GONE_BEFORE_ACCEPT = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM)  # accept(2)

_MORE_DESCRIPTORS = "raise LimitNOFILE (systemd) or `ulimit -n`"
_REFUSALS = {
    CONNECTIONS: "There are too many connections (limits.connections).",
    ADDRESS: "There are too many connections from your address (limits.connections_per_address).",
    DESCRIPTORS: "There are too many connections (no file descriptors are left).",
}

_log = logging.getLogger("amiws_gevent.web")


class Spread(Protocol):
    """Other processes that listen at the same port, and share its connections evenly."""

    def fileno(self) -> int:
        """A descriptor that can be read when one of them has handed over a connection."""

    def count(self, connections: int) -> None:
        """Tell them how many connections this process has."""

    def receive(self) -> tuple[socket.socket, Any] | None:
        """A connection that was handed over, and its address, or None. Never waits."""

    def hand_over(self, sock: socket.socket) -> bool:
        """Whether another process gets the connection, of which nothing was read. Never waits."""


class Acceptor(WSGIServer):
    """Serves connections to ``listener`` until it is closed; connections stay open then.

    ``adopt`` is called with each upgraded connection. ``tls`` may be replaced at any time,
    by another context, not by None. A connection whose descriptor is ``descriptors`` or
    higher is refused: the rest are reserved. What ``spread`` hands over is treated as what
    was accepted, except that it stays here.
    """

    max_accept = MOST_ACCEPTED

    _watcher: Any  # gevent's BaseServer sets it
    _do_read: Callable[[], None]  # gevent's
    _handed: Any = None  # the same for what is handed over
    _spread: Spread | None = None

    def __init__(
        self,
        listener: socket.socket,
        site: Site,
        population: Population,
        *,
        tls: ssl.SSLContext | None,
        adopt: Callable[[WebSocketClient], None],
        descriptors: int = sys.maxsize,
        spread: Spread | None = None,
    ) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(  # without TLS, which this class starts itself
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
        self.admission = Admission(population, site.pacer, clock=site.clock)
        self._population = population
        self._adopt = adopt
        self._descriptors = descriptors
        self._spread = spread
        self._refusals = 0
        self._limiter = LogLimiter(_LOG_INTERVAL, site.clock)

    # What gevent's server calls

    def start_accepting(self) -> None:
        """Accept, and take what is handed over."""
        super().start_accepting()
        if self._spread is not None and self._handed is None:
            self._handed = self.loop.io(self._spread.fileno(), 1)
            self._handed.start(self._do_read)

    def stop_accepting(self) -> None:
        """Neither, for now."""
        super().stop_accepting()
        if self._handed is not None:
            self._handed.stop()
            self._handed.close()
            self._handed = None

    def do_read(self) -> Any:
        """What `do_handle` is to do next, or None if there is nothing now."""
        if self._watcher is None:  # accepting is paused
            return None
        pause = self.admission.pause(self.site.limits)
        if pause is not None:
            self._pause(pause)
            return None
        try:
            handed = self._spread and self._spread.receive()
            return (*handed, True) if handed else super().do_read()
        except OSError as error:
            if error.errno in _GONE_BEFORE_ACCEPT:
                return None
            if error.errno not in _OUT_OF_RESOURCES:
                raise
            self._pause(Pause(ACCEPT_PAUSE, DESCRIPTORS), str(error.strerror))
            return None

    def do_handle(self, sock: socket.socket, address: Any, handed: bool = False) -> None:
        """Serve a connection in a greenlet, hand it over (not twice), or refuse it."""
        if self._spread is not None and not handed and self._spread.hand_over(sock):
            sock.close()
            return
        host, peer = peer_names(address)
        proxy = self.site.proxies.trusts(host)
        reason = self.admission.refusal(host, self.site.limits, proxy=proxy)
        last = sock.fileno() >= self._descriptors
        if reason is None and (last or self._population.total >= self.site.room):
            reason = DESCRIPTORS
            self._pause(Pause(ACCEPT_PAUSE, DESCRIPTORS), "too few file descriptors are left")
        if reason is None:
            self._population.add(host)
            gevent.spawn_raw(self._serve, sock, address, self.begin_arrival())
            return
        self.site.counts.refused_connections[reason] += 1
        self.warn_of_refusal(reason, host, peer)
        if self._refusals < (MOST_REFUSED_LAST if last else MOST_REFUSED):
            self._refusals += 1
            gevent.spawn_raw(self._refuse, sock, address, reason)
        else:
            self._refuse_at_once(sock, reason)

    def _pause(self, pause: Pause, trouble: str = "") -> None:
        self.site.counts.pauses[pause.reason] += 1
        if pause.reason == DESCRIPTORS:
            self._warn("cannot accept connections now: %s; %s", trouble, _MORE_DESCRIPTORS)
        elif pause.reason == RATE:
            self._warn(
                "new connections wait: more than %d arrive per second (limits.connection_rate)",
                self.site.limits.connection_rate,
            )
        self.stop_accepting()
        self._timer = self.loop.timer(pause.seconds)
        self._timer.start(self._resume)

    def _resume(self) -> None:
        if self.started:
            self.start_accepting()

    def warn_of_refusal(self, reason: str, host: str, peer: str) -> None:
        """Log that a connection from ``host`` is refused."""
        if reason == CONNECTIONS:
            self._warn(
                "connections refused: there are %d already (limits.connections); the last one "
                "was from %s",
                self.site.limits.connections,
                peer,
            )
        elif reason == ADDRESS:
            self._warn(
                "connections from %s refused: it has %d already (limits.connections_per_address)",
                host,
                self._population.connections_from(host),
            )

    def _warn(self, text: str, *arguments: object) -> None:
        self._limiter.log(_log, logging.WARNING, text, text, *arguments)

    # One connection

    def _serve(self, sock: socket.socket, address: Any, arrival: Arrival) -> None:
        client = None
        arrival.greenlet = getcurrent()
        try:
            self._tune(sock)
            sock = self._secure(sock, arrival)
            client = self._serve_requests(sock, address, arrival)
        except OSError as error:
            _log.debug("%s: %s", peer_names(address)[1], error)
        finally:
            self.admission.arrived(arrival)
            if client is None:
                sock.close()
                self._population.remove(peer_names(address)[0])
        if client is not None:
            self._adopt(client)

    def begin_arrival(self) -> Arrival:
        """Note that a handshake or request begins; evict the oldest if there are too many."""
        limits = self.site.limits
        arrival, evicted = self.admission.arrives(limits)
        if evicted:
            self.site.counts.refused_connections[HANDSHAKES] += evicted
            self._warn(
                "connections closed: more than %d have sent no complete request "
                "(limits.handshakes)",
                limits.handshakes,
            )
        return arrival

    def _serve_requests(
        self, sock: socket.socket, address: Any, arrival: Arrival
    ) -> WebSocketClient | None:
        handler = ConnectionHandler(sock, address, self)
        handler.arrival = arrival
        requests = self._population.requests
        requests.add(handler)
        try:
            handler.handle()
        finally:
            requests.discard(handler)
        return handler.client

    def _refuse(self, sock: socket.socket, address: Any, reason: str) -> None:
        handshakes = self._population.handshakes
        handshakes.add(getcurrent())  # so that a stop kills it
        try:
            sock = self._secure(sock, Arrival(self.site.clock()))
            answer_and_close(sock, Reader(sock, self.site.clock), _refusal(reason))
        except OSError as error:
            _log.debug("%s: %s", peer_names(address)[1], error)
        finally:
            handshakes.discard(getcurrent())
            sock.close()
            self._refusals -= 1

    def _refuse_at_once(self, sock: socket.socket, reason: str) -> None:
        """Send the refusal if there is no TLS, and close; never wait."""
        if self.tls is None:
            raw = raw_socket(sock)
            with suppress(OSError):  # nothing has arrived yet
                raw.recv(self.site.limits.header_size)  # unread bytes would reset the connection
            with suppress(OSError):  # gone already
                raw.send(_refusal(reason))
        sock.close()

    def _secure(self, sock: socket.socket, arrival: Arrival) -> socket.socket:
        """The socket with TLS if it is configured; on OSError the socket is closed."""
        if self.tls is None:
            return sock
        sock.getpeername()  # raises if the client has left; gevent's TLS would not close the socket
        handshakes = self._population.handshakes
        handshakes.add(getcurrent())
        secured = None
        try:
            secured = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self._shake_hands(secured, arrival)
        except BaseException as error:  # GreenletExit too: nobody else would close the socket
            if secured is not None:
                self._close_after_failure(secured, error)
            raise
        finally:
            handshakes.discard(getcurrent())
        return secured

    def _shake_hands(self, secured: ssl.SSLSocket, arrival: Arrival) -> None:
        """Do the TLS handshake; each step first waits its turn for the CPU.

        Raises TimeoutError if waiting for the client's bytes takes more than
        ``tls_handshake_time`` in all. Waiting for the CPU does not count.
        """
        tls, clock = tls_object(secured), self.site.clock
        seconds = left = self.site.limits.tls_handshake_time
        late = TimeoutError(f"the TLS handshake took more than {seconds:g} s")
        while True:
            self.admission.wait_for_turn(arrival)
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                wait = socket.wait_read
            except ssl.SSLWantWriteError:
                wait = socket.wait_write
            else:
                return
            begun = clock()
            wait(secured.fileno(), max(left, 0.001), late)
            left -= clock() - begun

    def _close_after_failure(self, secured: ssl.SSLSocket, error: BaseException) -> None:
        """Close after a failed handshake; a client that sent plain HTTP gets an answer first."""
        if isinstance(error, ssl.SSLError) and error.reason == "HTTP_REQUEST":
            plain = socket.socket(secured.family, secured.type, fileno=secured.detach())
            answer = refusal_bytes(
                HTTPStatus.BAD_REQUEST, "This port uses TLS: use https:// or wss://."
            )
            answer_and_close(plain, Reader(plain, self.site.clock), answer)
            plain.close()
        else:
            secured.close()

    def _tune(self, sock: socket.socket) -> None:
        """Send small messages at once, bound kernel memory, and detect dead peers."""
        lost = int(SILENT_PINGS * self.site.limits.ping_interval * 1000)
        with suppress(OSError):  # gone already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, lost)


def _refusal(reason: str) -> bytes:
    return refusal_bytes(HTTPStatus.SERVICE_UNAVAILABLE, _REFUSALS[reason], RETRY_LATER)
