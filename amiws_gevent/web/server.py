"""The web server: HTTP, HTTPS and WebSockets on one port, from start over reloads to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from wsgiref.types import WSGIApplication

import gevent
from gevent import socket, ssl

from amiws_gevent.config import Settings
from amiws_gevent.errors import ListenError
from amiws_gevent.runtime.descriptors import limit, limit_for_clients
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.web.acceptor import Acceptor
from amiws_gevent.web.admission import Population
from amiws_gevent.web.backlog import Losses
from amiws_gevent.web.connection import host_of
from amiws_gevent.web.counts import Counts, Laggards, LossReport
from amiws_gevent.web.frames import GOING_AWAY
from amiws_gevent.web.handler import Site, Upgrades
from amiws_gevent.web.listener import open_listener, share_listener, tls_context
from amiws_gevent.web.pacing import Pacer
from amiws_gevent.web.websocket import Sessions, WebSocketClient

_SWEEPS_PER_PING = 10
_CLIENTS_PER_TURN = 256  # of a sweep, before others have their turn
_AFTERMATH = 0.5  # seconds for connections that are cut off to end

_GOING = "server going away"

_log = logging.getLogger("amiws_gevent.web")


class WebServer:
    """Serves ``app``, asks ``gate`` before an upgrade, and gives the clients to ``sessions``.

    ``listener`` is listened on in place of what the settings say, until those change.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        app: WSGIApplication,
        gate: Upgrades,
        sessions: Sessions,
        listener: socket.socket | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._site = Site(app, gate, settings.limits, clock, settings.slow_clients)
        self._sessions = sessions
        self._listener = listener
        self._population = Population()
        self._laggards = Laggards()
        self._loss_report = LossReport()
        self._own_descriptors = 0
        self._clients_pacer = Pacer()  # another than for who comes: a storm of those is long
        self._acceptor: Acceptor | None = None
        self._sweeper: gevent.Greenlet[..., None] | None = None

    @property
    def port(self) -> int:
        """The TCP port that is listened on, once started."""
        assert self._acceptor is not None
        return self._acceptor.port

    @property
    def clients(self) -> Collection[WebSocketClient]:
        """The clients that are connected, those that are closing among them."""
        return self._population.clients

    @property
    def connections(self) -> int:
        """How many connections there are, HTTP and WebSocket."""
        return self._population.total

    @property
    def counts(self) -> Counts:
        """Who was refused, and why clients went."""
        return self._site.counts

    @property
    def losses(self) -> Losses:
        """What slow clients have lost."""
        return self._site.losses

    def start(self) -> None:
        """Listen and accept; raises ListenError with nothing left open."""
        tls = tls_context(self._settings)
        listener = self._listener or open_listener(self._settings.ws_host, self._settings.ws_port)
        # The kernel gives the lowest number that is free: those below are taken, and stay so.
        self._own_descriptors = listener.fileno() + 1
        self._accept_on(listener, tls)
        self._share_descriptors()
        self._sweeper = gevent.spawn(self._sweep)

    def reload(
        self,
        settings: Settings,
        *,
        app: WSGIApplication | None = None,
        gate: Upgrades | None = None,
    ) -> None:
        """Apply to new requests and connections; who is connected stays so.

        Certificates are read anew. A changed address or port, or TLS or not, moves the
        listening without a gap. Raises ListenError with all as it was before.
        """
        acceptor = self._acceptor
        assert acceptor is not None
        tls = tls_context(settings)
        if _address(settings) != _address(self._settings):
            self._accept_on(self._open_beside(settings), tls)
        elif (tls is None) != (acceptor.tls is None):
            self._accept_on(share_listener(acceptor.listener), tls)
        else:
            acceptor.tls = tls
        self._settings = settings
        self._site.app = app or self._site.app
        self._site.gate = gate or self._site.gate
        self._site.limits = settings.limits
        self._site.slow_clients = settings.slow_clients
        self._share_descriptors()

    def stop(self, timeout: float = 3.0) -> None:
        """Accept no more, close all clients with 1001, and cut off who is left at the end.

        Requests under way may finish. Takes ``timeout`` seconds and a moment at most.
        """
        population = self._population
        self._site.stopping = True
        if self._acceptor is not None:
            self._acceptor.close()
        for client in list(population.clients):
            client.close(GOING_AWAY, _GOING)
        for request in list(population.requests):
            if request.idle:
                request.abort(_GOING)
        for handshake in list(population.handshakes):
            gevent.kill(handshake)
        population.wait_until_empty(timeout)
        for client in list(population.clients):
            client.abort(_GOING)
        for request in list(population.requests):
            request.abort(_GOING)
        population.wait_until_empty(_AFTERMATH)
        if self._sweeper is not None:
            self._sweeper.kill()
        self._laggards.stop()
        self._loss_report.stop(self.losses.messages)

    def _accept_on(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Take connections here from now on, and no longer where they came before."""
        acceptor = Acceptor(
            listener,
            self._site,
            self._population,
            tls=tls,
            adopt=self._adopt,
            descriptors=limit_for_clients(),
        )
        acceptor.start()
        if self._acceptor is not None:
            self._acceptor.close()
        self._acceptor = acceptor

    def _share_descriptors(self) -> None:
        """Keep one for each server, so that all can come back while clients take what they get."""
        servers = len(self._settings.amihosts)
        room = max(0, limit_for_clients() - self._own_descriptors - servers)
        self._site.room = room
        if self._settings.limits.connections > room:
            _log.warning(
                "limits.connections is %d, but the process may have %d descriptors, enough for "
                "%d connections: raise LimitNOFILE (systemd) or `ulimit -n`, or lower the limit",
                self._settings.limits.connections,
                limit(),
                room,
            )

    def _open_beside(self, settings: Settings) -> socket.socket:
        """A listener for new settings, while the one before still listens if it can."""
        try:
            return open_listener(settings.ws_host, settings.ws_port)
        except ListenError:
            if settings.ws_port != self._settings.ws_port:
                raise
        # The same port of another address: it is our own listener that is in the way.
        old = self._acceptor
        assert old is not None
        old.close()
        try:
            return open_listener(settings.ws_host, settings.ws_port)
        except ListenError:
            before = open_listener(self._settings.ws_host, self._settings.ws_port)
            self._accept_on(before, old.tls)
            raise

    def _adopt(self, client: WebSocketClient) -> None:
        self._population.clients.add(client)
        gevent.spawn_raw(self._serve, client)

    def _serve(self, client: WebSocketClient) -> None:
        if self._site.stopping:
            client.close(GOING_AWAY, _GOING)
        try:
            client.run(self._sessions, self._clients_pacer.wait)
        finally:
            self._population.clients.discard(client)
            self._population.left(host_of(client.address))
            self._site.counts.closed(client)
            self._laggards.closed(client)

    def _sweep(self) -> None:
        """Ping the clients, and end those that fell silent; tell of what slow ones have lost."""
        while True:
            limits = self._site.limits
            gevent.sleep(limits.ping_interval / _SWEEPS_PER_PING)
            now = self._site.clock()
            for number, client in enumerate(list(self._population.clients), 1):
                client.tend(now, limits.ping_interval, limits.idle_time)
                if not number % _CLIENTS_PER_TURN:
                    yield_to_loop()
            self._loss_report.look(self.losses.messages, list(self._population.clients), now)


def _address(settings: Settings) -> tuple[str, int]:
    return settings.ws_host, settings.ws_port
