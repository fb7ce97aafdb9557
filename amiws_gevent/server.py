"""The composition root: builds the parts, starts them, and stops them in order.

Data goes link → pipeline → hub → WebSocket clients, and on its way into the live state;
actions go WebSocket client → dispatcher → link. What a configuration changes in all this is
``reload``'s business, at the start as well.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import gevent
from gevent import socket
from gevent.queue import Queue
from prometheus_client.core import Metric

from amiws_gevent.access import Access
from amiws_gevent.actions import ActionService
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.api.blueprint import Api
from amiws_gevent.api.streams import Streams
from amiws_gevent.audit.trail import Trail
from amiws_gevent.clients import Clients
from amiws_gevent.config import LoadResult, Settings
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.facilities import ProgramFacilities
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.hub import Hub
from amiws_gevent.link.pool import Pool
from amiws_gevent.live import LiveState
from amiws_gevent.metrics import Measured, Metrics, OnBus
from amiws_gevent.pipeline import Pipeline
from amiws_gevent.plugins.facilities import Facilities
from amiws_gevent.plugins.roster import Roster
from amiws_gevent.reload import ClientParts, LastReload, Parts, Prepared, Reload, ServerParts
from amiws_gevent.runtime.alive import tell_alive
from amiws_gevent.runtime.descriptors import raise_limit
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.runtime.loop import PauseMeter
from amiws_gevent.runtime.notify import notify, watchdog_time
from amiws_gevent.v2.service import Service
from amiws_gevent.web.acceptor import Spread
from amiws_gevent.web.logins import LoginMemory
from amiws_gevent.web.loginwatch import LoginWatch
from amiws_gevent.web.monitor import MonitorListener, Readiness, monitor_blueprint, readiness
from amiws_gevent.web.server import WebServer

# Seconds. The whole stop may take 5: after that the watchdog ends the program by force.
STOP_TIME = 2.5  # for clients to close
LOG_OFF_TIME = 1.5  # for servers to answer the log-off, after the clients have gone
LANES_TIME = 0.5  # for plugins to process the messages received before the stop
AUDIT_TIME = 0.5  # for the last records to be written, at least
LAST_TIME = 1.0  # for what ends behind the audit: a collector gives its leases back
STOP_ALL_TIME = 4.7  # for all of it; plugins that take longer are not waited for

EXIT_SOFTWARE = 70  # sysexits.h EX_SOFTWARE: an internal error

_log = logging.getLogger("amiws_gevent.server")


class Whole(Protocol):
    """The program of which this process is one of several: what each tells of all."""

    alone: bool
    """Redis has no other collector: it is this machine's own."""
    listener: socket.socket | None
    """At which the web server listens first; None: it opens one."""
    spread: Spread | None
    """With which other processes it shares connections."""

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """See `Metrics.render`."""

    def readiness(self) -> Readiness: ...


class Server:
    """The whole program behind the command line.

    ``load`` reads the configuration anew for SIGHUP and raises ConfigError. ``private_files``
    are not served. ``whole``: this process is one of several, which share its ports.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        load: Callable[[], LoadResult] | None = None,
        log: LogControl | None = None,
        private_files: Sequence[Path] = (),
        whole: Whole | None = None,
    ) -> None:
        self._log = log
        self._private_files = private_files
        self._whole = whole
        self._hub = Hub(limit=settings.limits.hub_buffer)
        self._live = LiveState()
        self._make_shared(settings)
        self._pipeline = Pipeline(self._feeds.publish)
        self._pool = Pool(self._pipeline, self._live)
        self.plugins = Roster(self._facilities())
        self._action_limits = self._make_limits(settings)
        self._make_actions()
        self._streams = Streams(self._feeds)
        self._api = Api(
            self._feeds, self._actions, self._streams, self._audit, self._access.rights_of
        )
        self._v2 = self._make_v2(settings)
        self._clients = Clients(self._hub, self._dispatcher, self._v2, self._access)
        self._web = self._make_web()
        self._pauses = PauseMeter()
        self._logins = self._make_logins()
        self._watch = LoginWatch(
            self._web,
            self._streams,
            told=self._audit.logout,
            save=self._logins.save,
            tell=self._logins.proxy_logout,
        )
        self._last_reload = LastReload()
        self._metrics = Metrics(self._measured())
        self._monitor = self._make_monitor()
        self._reload = Reload(self._parts(), settings, load=load, last=self._last_reload)
        self._commands: Queue[Callable[[], int | None]] = Queue()
        self._stopping = False

    def _make_web(self) -> WebServer:
        if self._whole is None:
            return WebServer(self._clients)
        whole = self._whole
        return WebServer(self._clients, listener=whole.listener, shared=True, spread=whole.spread)

    def _make_monitor(self) -> MonitorListener:
        render, ready = self._metrics.render, self._readiness
        if self._whole is not None:
            render, ready = self._whole.metrics, self._whole.readiness
        blueprint = monitor_blueprint(render, ready, self._access.sees_all)
        return MonitorListener(blueprint, shared=self._whole is not None)

    def _make_v2(self, settings: Settings) -> Service:
        return Service(
            self._feeds,
            self._actions,
            settings.limits,
            rights_of=self._access.rights_of,
            has_audit=lambda: self._audit.on,
        )

    # What a collector and an edge make otherwise

    def _make_shared(self, settings: Settings) -> None:
        """The feeds, who may see what of them, and who is told of what was done."""
        self._access = Access()
        self._feeds = Feeds(self._hub, self._live, Bounds.of(settings.limits))
        self._live.on_change = self._hub.stir
        self._audit = self._trail(Trail())

    def _trail(self, trail: Trail) -> Trail:
        trail.servers = self._server_names
        trail.roles_of = self._access.roles_of
        trail.may_read = self._access.may_read_audit
        return trail

    def _facilities(self) -> Facilities:
        """What plugins have of the program."""
        return ProgramFacilities(
            self._pool.links, self._feeds, self._live.proxy, self._pipeline.shown
        )

    def _make_logins(self) -> LoginMemory:
        """What is remembered of logins."""
        return LoginMemory()

    def _make_limits(self, settings: Settings) -> ActionLimits:
        """How many actions clients may send."""
        return ActionLimits(settings.limits)

    def _make_actions(self) -> None:
        """Who does the actions of clients."""
        links = self._pool.links
        rights_of = self._access.rights_of
        self._dispatcher = Dispatcher(
            links, rights_of=rights_of, audit=self._audit, limits=self._action_limits
        )
        self._pipeline.on_read = self._dispatcher.heard
        self._actions = ActionService(
            links,
            self._pipeline.shown,
            rights_of=rights_of,
            audit=self._audit,
            action_limits=self._action_limits,
            call_of=self._live.call_of,
        )

    def _measured(self) -> Measured:
        return Measured(
            hub=self._hub,
            pipeline=self._pipeline,
            clients=self._clients,
            dispatcher=self._dispatcher,
            audit=self._audit,
            action_limits=self._action_limits,
            actions=self._actions,
            pool=self._pool,
            live=self._live,
            feeds=self._feeds,
            streams=self._streams,
            web=self._web,
            pauses=self._pauses,
            login_throttle=self._logins.throttle,
            last_reload=self._last_reload,
            log=self._log,
            bus=self._on_bus(),
        )

    def _on_bus(self) -> OnBus | None:
        return None

    def _parts(self) -> Parts:
        return Parts(
            access=self._access,
            plugins=self.plugins,
            hub=self._hub,
            audit=self._audit,
            action_limits=self._action_limits,
            feeds=self._feeds,
            monitor=self._monitor,
            servers=self._server_parts(),
            clients=self._client_parts(),
            log=self._log,
            private_files=self._private_files,
        )

    def _server_parts(self) -> ServerParts | None:
        return ServerParts(self._pipeline, [self._live, self._pool])

    def _client_parts(self) -> ClientParts | None:
        return ClientParts(
            self._clients, self._actions, self._logins, self._watch, self._web, self._api
        )

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._reload.settings

    @property
    def port(self) -> int:
        """The port that clients use, once started."""
        return self._web.port

    @property
    def url(self) -> str | None:
        """Where a browser on this machine finds the pages, once started; None: there are none."""
        return url_of(self.settings, self.port)

    def start(self) -> None:
        """Listen and begin to connect; raises StartError with nothing left open."""
        before, descriptors = raise_limit()
        if descriptors > before:
            _log.info("raised the limit on file descriptors from %d to %d", before, descriptors)
        self._reload.start()
        self._live.start()
        self._pauses.start()
        self._hub.start().link_exception(self._died)
        self._start_clients()

    def _start_clients(self) -> None:
        self._v2.start().link_exception(self._died)
        self._watch.start().link_exception(self._died)
        url = url_of(self.settings, self.port, everywhere="*")
        _log.info("listening on %s, AMI servers: %d", url, len(self._server_names()))

    def run(self) -> int:
        """Serve until `request_stop`; returns the exit status."""
        notify("READY=1")
        alive = gevent.spawn(tell_alive, watchdog_time())
        try:
            while True:
                status = self._commands.get()()
                if status is not None:
                    return status
        finally:
            notify("STOPPING=1")
            alive.kill()
            self.stop()

    # Of a process that is one of several

    def prepare_reload(self) -> Prepared:
        """Read the configuration anew and prepare it; raises StartError with all as it was."""
        return self._reload.prepare()

    def reload_refused(self, reason: str) -> None:
        """The configuration that came was not applied; for the audit."""
        self._audit.reload_refused(reason)

    def readiness(self) -> Readiness:
        """That of this process alone."""
        return self._readiness()

    def measure(self) -> Iterable[Metric]:
        """The metrics of this process alone; they are made as they are gone through."""
        return self._metrics.registry.collect()

    def request_stop(self) -> None:
        """Ask ``run`` to end with status 0."""
        self._commands.put(lambda: 0)

    def request_reload(self) -> None:
        """Ask ``run`` to read the configuration anew."""
        if self._whole is not None:
            _log.warning("SIGHUP ignored: send it to the supervisor, which tells all")
            return
        self._commands.put(self._reload.begin)

    def stop(self) -> None:
        """Close clients with 1001, log off from servers, end; takes STOP_ALL_TIME at most."""
        _log.info("stopping")
        self._stopping = True
        end = time.monotonic() + STOP_ALL_TIME
        self._reload.stop()
        self._pool.log_off()
        self._watch.stop()
        self._streams.stop()
        self._web.stop(STOP_TIME)
        self._logins.stop()
        self._pool.join(LOG_OFF_TIME)
        self._live.stop()
        self._pipeline.drain(LANES_TIME)
        self.plugins.stop(end - time.monotonic() - AUDIT_TIME)
        self._audit.stop(max(AUDIT_TIME, end - LAST_TIME - time.monotonic()))
        self._v2.stop()
        self._hub.stop()
        self._monitor.stop()
        self._pauses.stop()
        _log.info("stopped")

    def _readiness(self) -> Readiness:
        links = self._pool.links.values()
        return readiness(not self._stopping, links, audit=self._audit.state)

    def _server_names(self) -> dict[int, str]:
        return {server: link.host.name for server, link in self._pool.links.items()}

    def _died(self, greenlet: gevent.Greenlet[..., None]) -> None:
        _log.critical("internal error in %r: %s; the program ends", greenlet, greenlet.exception)
        self._commands.put(lambda: EXIT_SOFTWARE)


def url_of(settings: Settings, port: int, *, everywhere: str = "127.0.0.1") -> str:
    """Where a browser on this machine finds the pages that are at ``port``.

    ``everywhere`` is the host where the program listens on all addresses.
    """
    scheme = "https" if settings.ssl_cert else "http"
    host = settings.ws_host or everywhere
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
