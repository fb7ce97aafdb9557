"""The web server: HTTP, HTTPS and WebSockets on one port, from start over reloads to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from wsgiref.types import WSGIApplication

import gevent
from gevent import socket, ssl

from amiws_gevent.config import ListenAddress, Settings
from amiws_gevent.runtime.descriptors import limit, limit_for_clients
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.web.acceptor import Acceptor
from amiws_gevent.web.admission import Population
from amiws_gevent.web.backlog import Losses
from amiws_gevent.web.connection import host_of
from amiws_gevent.web.counts import Counts, Laggards, LossReport
from amiws_gevent.web.endpoint import Endpoint, Move
from amiws_gevent.web.frames import GOING_AWAY
from amiws_gevent.web.handler import Site, Upgrades
from amiws_gevent.web.listener import tls_context
from amiws_gevent.web.pacing import Pacer
from amiws_gevent.web.websocket import Sessions, WebSocketClient

_SWEEPS_PER_PING = 10
_CLIENTS_PER_TURN = 256  # of a sweep, before others have their turn
_AFTERMATH = 0.5  # seconds for connections that are cut off to end

_GOING = "server going away"

_log = logging.getLogger("amiws_gevent.web")


class WebServer:
    """Gives the clients that its gate lets in to ``sessions``, and all else to its application.

    It listens once it has both: ``prepare``, then ``configure``, at the start and for each
    reload. ``listener`` is listened on in place of what the first settings say.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        listener: socket.socket | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = Counts()
        """Who was refused, and why clients went."""
        self.losses = Losses()
        """What slow clients have lost."""
        self._sessions = sessions
        self._clock = clock
        self._site: Site | None = None
        self._endpoint = Endpoint(self._accept, listener=listener)
        self._population = Population()
        self._laggards = Laggards()
        self._loss_report = LossReport()
        self._own_descriptors = 0
        self._clients_pacer = Pacer()  # another than for who comes: a storm of those is long
        self._sweeper: gevent.Greenlet[..., None] | None = None

    @property
    def port(self) -> int:
        """The TCP port that is listened on, once configured."""
        port = self._endpoint.port
        assert port is not None
        return port

    @property
    def clients(self) -> Collection[WebSocketClient]:
        """The clients that are connected, those that are closing among them."""
        return self._population.clients

    @property
    def connections(self) -> int:
        """How many connections there are, HTTP and WebSocket."""
        return self._population.total

    def prepare(self, settings: Settings) -> Move:
        """Read the certificates anew and open what is to be listened on, for `configure`.

        A changed address or port, or TLS or not, moves the listening without a gap. Raises
        ListenError with all as it was.
        """
        address = ListenAddress(settings.ws_host, settings.ws_port)
        return self._endpoint.move(address, tls_context(settings))

    def configure(
        self, settings: Settings, move: Move, *, app: WSGIApplication, gate: Upgrades
    ) -> None:
        """Apply to new requests and connections; who is connected stays so. Cannot fail."""
        site = self._site
        if site is None:
            site = self._site = Site(
                app, gate, settings.limits, self._clock, counts=self.counts, losses=self.losses
            )
            self._sweeper = gevent.spawn(self._sweep, site)
        site.app, site.gate = app, gate
        site.limits, site.slow_clients = settings.limits, settings.slow_clients
        move.finish()
        self._share_descriptors(site, settings)

    def stop(self, timeout: float = 3.0) -> None:
        """Accept no more, close all clients with 1001, and cut off who is left at the end.

        Requests under way may finish. Takes ``timeout`` seconds and a moment at most.
        """
        if self._site is None:
            return
        population = self._population
        self._site.stopping = True
        self._endpoint.close()
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

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> Acceptor:
        assert self._site is not None
        if not self._own_descriptors:
            # The kernel gives the lowest number that is free: those below are taken, and stay so.
            self._own_descriptors = listener.fileno() + 1
        acceptor = Acceptor(
            listener,
            self._site,
            self._population,
            tls=tls,
            adopt=self._adopt,
            descriptors=limit_for_clients(),
        )
        acceptor.start()
        return acceptor

    def _share_descriptors(self, site: Site, settings: Settings) -> None:
        """Keep one for each server, so that all can come back while clients take what they get."""
        servers = len(settings.amihosts)
        site.room = max(0, limit_for_clients() - self._own_descriptors - servers)
        if settings.limits.connections > site.room:
            _log.warning(
                "limits.connections is %d, but the process may have %d descriptors, enough for "
                "%d connections: raise LimitNOFILE (systemd) or `ulimit -n`, or lower the limit",
                settings.limits.connections,
                limit(),
                site.room,
            )

    def _adopt(self, client: WebSocketClient) -> None:
        self._population.clients.add(client)
        gevent.spawn_raw(self._serve, client)

    def _serve(self, client: WebSocketClient) -> None:
        if self._site is not None and self._site.stopping:
            client.close(GOING_AWAY, _GOING)
        try:
            client.run(self._sessions, self._clients_pacer.wait)
        finally:
            self._population.clients.discard(client)
            self._population.left(host_of(client.address))
            self.counts.closed(client)
            self._laggards.closed(client)

    def _sweep(self, site: Site) -> None:
        """Ping the clients, and end those that fell silent; tell of what slow ones have lost."""
        while True:
            limits = site.limits
            gevent.sleep(limits.ping_interval / _SWEEPS_PER_PING)
            now = self._clock()
            for number, client in enumerate(list(self._population.clients), 1):
                client.tend(now, limits.ping_interval, limits.idle_time)
                if not number % _CLIENTS_PER_TURN:
                    yield_to_loop()
            self._loss_report.look(self.losses.messages, list(self._population.clients), now)
