"""The web server: HTTP, HTTPS and WebSockets on one port, from start over reloads to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from wsgiref.types import WSGIApplication

import gevent
from gevent import socket, ssl

from amiws_gevent.config import ListenAddress, Settings
from amiws_gevent.losses import Losses
from amiws_gevent.runtime.descriptors import limit, limit_for_clients
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.web.acceptor import Acceptor, Spread
from amiws_gevent.web.admission import Population
from amiws_gevent.web.counts import Counts, Laggards, LossReport
from amiws_gevent.web.endpoint import Endpoint, Move
from amiws_gevent.web.frames import GOING_AWAY, LOGIN_ENDED, LOGOUT
from amiws_gevent.web.listener import tls_context
from amiws_gevent.web.pacing import Pacer
from amiws_gevent.web.proxies import Proxies
from amiws_gevent.web.site import Site, Upgrades
from amiws_gevent.web.verdict import LOGGED_OUT, Grant
from amiws_gevent.web.websocket import Sessions, WebSocketClient

_SWEEPS_PER_PING = 10
_CLIENTS_PER_TURN = 256  # of a sweep, before others have their turn
_ABORT_TIME = 0.5  # seconds for aborted connections to end

_GOING = "server going away"

_log = logging.getLogger("amiws_gevent.web")


class WebServer:
    """Passes accepted WebSocket clients to ``sessions``, and other requests to the application.

    Call ``prepare``, then ``configure``, at the start and for each reload; it listens from
    the first ``configure`` on. ``listener``, if given, is used in place of the address in
    the first settings. ``shared``: other processes listen at the same port; by ``spread``
    each of them has its share of the connections.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        listener: socket.socket | None = None,
        shared: bool = False,
        spread: Spread | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = Counts()
        """Refusals, and why clients were closed."""
        self.losses = Losses()
        """Messages that slow clients have lost."""
        self.end_of: Callable[[Grant], str | None] = lambda _: None
        """Why the login of a client that has just been accepted has ended meanwhile; or None."""
        self._sessions = sessions
        self._clock = clock
        self._site: Site | None = None
        self._endpoint = Endpoint(self._accept, listener=listener, shared=shared)
        self._spread = spread
        self._population = Population(None if spread is None else spread.count)
        self._laggards = Laggards()
        self._loss_report = LossReport()
        self._own_descriptors = 0
        self._clients_pacer = (
            Pacer()
        )  # apart from the one for new connections, which may be busy for long
        self._sweeper: gevent.Greenlet[..., None] | None = None

    @property
    def port(self) -> int:
        """The TCP port, once configured."""
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
        """Read the certificates and open the port, for `configure`.

        A changed address, port or use of TLS takes effect without a gap. If it raises
        ListenError, nothing has changed.
        """
        address = ListenAddress(settings.ws_host, settings.ws_port)
        return self._endpoint.move(address, tls_context(settings))

    def configure(
        self, settings: Settings, move: Move, *, app: WSGIApplication, gate: Upgrades
    ) -> None:
        """Apply to new requests and connections; connections stay open. Cannot fail."""
        site = self._site
        if site is None:
            site = self._site = Site(
                app, gate, settings.limits, self._clock, counts=self.counts, losses=self.losses
            )
            self._sweeper = gevent.spawn(self._sweep, site)
        site.app, site.gate = app, gate
        site.limits, site.slow_clients = settings.limits, settings.slow_clients
        site.compression = settings.compression
        site.proxies = Proxies(
            settings.trusted_proxies, forwarded=settings.proxy_headers == "forwarded"
        )
        site.path_prefix = settings.path_prefix
        move.finish()
        self._share_descriptors(site, settings)

    def check(self, end_of: Callable[[Grant], str | None]) -> None:
        """Close those whose login has ended; ``end_of`` says why, or None."""
        for number, client in enumerate(list(self._population.clients), 1):
            _dismiss(client, end_of(client.grant))
            if not number % _CLIENTS_PER_TURN:
                yield_to_loop()

    def stop(self, timeout: float = 3.0) -> None:
        """Stop accepting, close all clients with 1001, and abort those left after ``timeout``.

        Requests in progress may finish. Takes at most ``timeout`` seconds and _ABORT_TIME.
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
        population.wait_until_empty(_ABORT_TIME)
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
            spread=self._spread,
        )
        acceptor.start()
        return acceptor

    def _share_descriptors(self, site: Site, settings: Settings) -> None:
        """Reserve one descriptor for each server, so that clients cannot block a reconnect."""
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
        _dismiss(client, self.end_of(client.grant))
        try:
            client.run(self._sessions, self._clients_pacer.wait)
        finally:
            self._population.clients.discard(client)
            self._population.remove(client.connection)
            self.counts.closed(client)
            self._laggards.closed(client)

    def _sweep(self, site: Site) -> None:
        """Ping the clients, close the silent ones, and log what slow ones have lost."""
        while True:
            limits = site.limits
            gevent.sleep(limits.ping_interval / _SWEEPS_PER_PING)
            now = self._clock()
            for number, client in enumerate(list(self._population.clients), 1):
                client.tend(now, limits.ping_interval, limits.idle_time)
                if not number % _CLIENTS_PER_TURN:
                    yield_to_loop()
            self._loss_report.look(self.losses.messages, list(self._population.clients), now)


def _dismiss(client: WebSocketClient, reason: str | None) -> None:
    if reason is not None:
        client.dismiss(LOGOUT if reason == LOGGED_OUT else LOGIN_ENDED, reason)
