"""The composition root: builds the measured, starts and stops them in order.

Data goes link → pipeline → hub → WebSocket clients; actions go WebSocket
client → dispatcher → link. Everything that a reload may change is changed
here, and only what the new settings change is touched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import gevent
from flask import Flask
from gevent.queue import Queue

from amiws_gevent.ami import Message
from amiws_gevent.clients import Clients
from amiws_gevent.config import AmiHost, LastReload, LoadResult, Settings, security_warnings
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.errors import StartError
from amiws_gevent.hub import Hub
from amiws_gevent.link import Link, LinkState
from amiws_gevent.metrics import Measured, Metrics
from amiws_gevent.pipeline import Pipeline, Source
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.change import Change
from amiws_gevent.plugins.manager import Plugins, RunningPlugin, plugin_of
from amiws_gevent.runtime.daemon import drop_pid_file
from amiws_gevent.runtime.descriptors import raise_limit
from amiws_gevent.runtime.log import LogControl, LogLimiter
from amiws_gevent.runtime.loop import PauseMeter, yield_to_loop
from amiws_gevent.runtime.notify import notify
from amiws_gevent.runtime.watchdog import Place, Watchdog
from amiws_gevent.simulator.pbx.server import SimulatedPbx
from amiws_gevent.web.app import create_app
from amiws_gevent.web.backlog import Losses
from amiws_gevent.web.blueprints import add_blueprints
from amiws_gevent.web.counts import Counts
from amiws_gevent.web.former import FormerPasswords
from amiws_gevent.web.gate import Gate
from amiws_gevent.web.login_throttle import LoginThrottle
from amiws_gevent.web.monitor import MonitorListener, monitor_app, monitor_blueprint, readiness
from amiws_gevent.web.plugingate import PluginGate
from amiws_gevent.web.server import WebServer

# Seconds; systemd and COMPATIBILITY give the whole 5.
STOP_TIME = 2.5  # that clients and servers get to say goodbye
ANSWER_TIME = 0.5  # that servers have for the answers which clients wait for
ANSWER_LANES_TIME = 0.2  # that plugins have for these
LANES_TIME = 0.5  # that plugins have for the messages which came before the end
RELOAD_END_TIME = 0.2  # that a reload has which the end of the program interrupts
STOP_ALL_TIME = 4.7  # after which plugins are left to themselves

# What plugins are told of a connection's states.
_TOLD_STATES = {
    LinkState.CONNECTED: "connected",
    LinkState.WAITING: "disconnected",
    LinkState.REFUSED: "refused",
}

EXIT_SOFTWARE = 70  # sysexits.h EX_SOFTWARE: a part of the program died by surprise

_log = logging.getLogger("amiws_gevent.server")


class Server:
    """The whole program behind the command line.

    ``load`` reads the configuration anew for SIGHUP and raises ConfigError.
    ``demo`` adds simulated PBXs on loopback ports in the place of ``amihosts``.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        load: Callable[[], LoadResult] | None = None,
        demo: bool = False,
        log: LogControl | None = None,
        pid_file: Path | None = None,
    ) -> None:
        self.settings = settings
        self._load = load
        self._demo = demo
        self._log_control = log
        self._pid_file = pid_file
        self._pbxs: list[SimulatedPbx] = []
        self._links: dict[int, Link] = {}
        self._sources: dict[int, Source] = {}
        self._dispatcher = Dispatcher(self._links)
        self._hub = Hub(limit=settings.limits.hub_buffer)
        self._pipeline = Pipeline(self._hub.publish, limit=settings.limits.plugin_messages)
        self._clients = Clients(self._hub, self._dispatcher)
        self._limiter = LogLimiter()
        self._told_states: dict[int, str] = {}
        self._commands: Queue[Callable[[], int | None]] = Queue()
        self._reloading: gevent.Greenlet[..., None] | None = None
        self._last_reload = LastReload(applied=True, applied_at=time.time())
        self._change: Change | None = None
        self._web: WebServer | None = None
        self._stopping = False
        self._pauses = PauseMeter()
        self._failed_logins = LoginThrottle()
        self._former_passwords = FormerPasswords()
        self._monitoring = monitor_blueprint(
            Metrics(self._measured()).render,
            lambda: readiness(not self._stopping, self._links.values()),
        )
        self._monitor = MonitorListener(monitor_app(self._monitoring), settings.limits)

    def _measured(self) -> Measured:
        return Measured(
            hub=self._hub,
            pipeline=self._pipeline,
            pages=self._clients,
            dispatcher=self._dispatcher,
            links=self._links,
            sources=self._sources,
            pauses=self._pauses,
            clients=lambda: self._web.clients if self._web else (),
            connections=lambda: self._web.connections if self._web else 0,
            counts=lambda: self._web.counts if self._web else Counts(),
            losses=lambda: self._web.losses if self._web else Losses(),
            failed_logins=self._failed_logins,
            log_lines_lost=lambda: self._log_control.lost if self._log_control else 0,
            last_reload=self._last_reload,
        )

    @property
    def port(self) -> int:
        """The port that clients use, once started."""
        assert self._web is not None
        return self._web.port

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the clients, once started."""
        scheme = "https" if self.settings.ssl_cert else "http"
        host = self.settings.ws_host or "127.0.0.1"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def start(self) -> None:
        """Listen and begin to connect; raises ListenError with nothing left open."""
        before, descriptors = raise_limit()
        if descriptors > before:
            _log.info("may have %d descriptors, %d without asking", descriptors, before)
        for warning in security_warnings(self.settings):
            _log.warning("%s", warning)
        change = self._change_plugins(self.settings)
        try:
            gate, app = self._build_web(self.settings, change.plugins)
            self._web = WebServer(self.settings, app=app, gate=gate, sessions=self._clients)
            with self._monitor.moving_to(self.settings.metrics_listen):
                self._web.start()
        except StartError:
            change.undo()
            raise
        self._use_plugins(change.plugins)
        self._pauses.start()
        self._hub.start().link_exception(self._died)
        if self._demo:
            self._start_demo()
        for host in self.settings.amihosts:
            self._start_link(host)
        scheme = "https" if self.settings.ssl_cert else "http"
        _log.info(
            "listening on %s://%s:%d/, %d AMI servers",
            scheme,
            self.settings.ws_host or "*",
            self.port,
            len(self._links),
        )

    def run(self) -> int:
        """Serve until `request_stop`; returns the exit status."""
        with Watchdog(self._tell_stall, EXIT_SOFTWARE):
            notify("READY=1")
            try:
                while True:
                    status = self._commands.get()()
                    if status is not None:
                        return status
            finally:
                notify("STOPPING=1")
                self.stop()

    def request_stop(self) -> None:
        """Ask ``run`` to end with status 0."""
        self._commands.put(lambda: 0)

    def request_reload(self) -> None:
        """Ask ``run`` to read the configuration anew."""
        self._commands.put(self._begin_reload)

    def stop(self) -> None:
        """Close clients with 1001, log off from servers, end; takes STOP_ALL_TIME at most."""
        _log.info("stopping")
        self._stopping = True
        end = time.monotonic() + STOP_ALL_TIME
        if self._reloading is not None:
            self._reloading.kill(timeout=RELOAD_END_TIME)
        parting = self._part()
        if self._web is not None:
            self._web.stop(STOP_TIME)
        gevent.joinall(parting, timeout=1.5)
        self._pipeline.drain(LANES_TIME)
        self._stop_plugins(end - time.monotonic())
        self._hub.stop()
        for pbx in self._pbxs:
            pbx.stop()
        self._monitor.stop()
        self._pauses.stop()
        _log.info("stopped")

    def _part(self) -> list[gevent.Greenlet[..., None]]:
        """Log off from all servers; clients that wait for answers get them, or an error."""
        busy = [
            gevent.spawn(link.stop, ANSWER_TIME) for link in self._links.values() if link.under_way
        ]
        idle = [gevent.spawn(link.stop, 1.0) for link in self._links.values() if not link.under_way]
        if busy:
            gevent.joinall(busy, timeout=2 * ANSWER_TIME)
            self._pipeline.drain(ANSWER_LANES_TIME)
            yield_to_loop()  # the hub sends them, before clients are closed
        return busy + idle

    def _stop_plugins(self, timeout: float) -> None:
        Plugins(self._begun_plugins()).stop(timeout)

    def _begun_plugins(self) -> tuple[RunningPlugin, ...]:
        """Those that run, and those that a reload which did not come to its end has begun."""
        begun = self._change.plugins.running if self._change else ()
        return tuple(dict.fromkeys((*self._pipeline.plugins.running, *begun)))

    def blame(self, files: Iterable[str], what: str, error: BaseException) -> bool:
        """Count an error as a fault of the plugin that one of ``files`` is of, if one is."""
        found = plugin_of(self._begun_plugins(), files)
        if found is not None:
            found.state.failed(what, error)
        return found is not None

    def _tell_stall(self, places: Sequence[Place]) -> None:
        """Say who keeps the program from its end, and remove the pid file.

        In the watchdog's thread, while the main one stands wherever it does: so no lock.
        """
        where = "nothing that is known"
        if places:
            where = f"{places[0].file}:{places[0].line}"
        plugin = plugin_of(self._begun_plugins(), (place.file for place in places))
        if plugin is not None:
            own = [place for place in places if plugin.has_file(place.file)]
            where = f"plugin {plugin.name}: {own[-1].function}: {own[0].file}:{own[0].line}"
        if self._log_control is not None:
            self._log_control.tell_now(
                _log, logging.CRITICAL, f"does not end, kept by {where}; ended by force"
            )
        if self._pid_file is not None:
            drop_pid_file(self._pid_file)

    def _start_demo(self) -> None:
        """One PBX in the style of Asterisk 13 and one of 22, in the place of ``amihosts``."""
        self._pbxs = [
            SimulatedPbx(style="13", name="pbx-berlin (Asterisk 13)", seed=13),
            SimulatedPbx(style="22", name="pbx-lisbon (Asterisk 22)", seed=22),
        ]
        hosts = []
        for number, pbx in enumerate(self._pbxs, 1):
            pbx.start()
            account = {"host": "127.0.0.1", "port": pbx.port, "username": "demo", "secret": "demo"}
            hosts.append(AmiHost.model_validate({"id": number, "name": pbx.name, **account}))
        self.settings = self.settings.model_copy(update={"amihosts": tuple(hosts)})

    # AMI links

    def _start_link(self, host: AmiHost) -> None:
        source = Source(host)
        link = Link(
            host,
            self.settings.limits,
            on_messages=self._on_messages,
            # Also of a link that a reload has replaced: it has clients who wait.
            on_unanswered=lambda _link, answers: self._pipeline.pass_on(source, answers),
            on_state=self._on_state,
        )
        self._sources[host.id] = source
        self._links[host.id] = link
        link.start()

    def _on_messages(self, link: Link, messages: list[Message]) -> None:
        """Pass on what a link hears, unless a reload has put another in its place.

        While it logs off, its successor may hear the same, and under another name.
        """
        if self._links.get(link.host.id) is link:
            self._pipeline.process(self._sources[link.host.id], messages)

    def _on_state(self, link: Link, state: LinkState, reason: str) -> None:
        """Tell plugins of what is news: not of each attempt that failed like the one before."""
        told = _TOLD_STATES.get(state)
        if told is not None and self._links.get(link.host.id) is link:
            self._tell_state(link.host, told, reason)

    def _tell_state(self, host: AmiHost, state: str, reason: str) -> None:
        if self._told_states.get(host.id) != state:
            self._told_states[host.id] = state
            server = ServerInfo(host.id, host.name, host.ssl)
            self._pipeline.plugins.server_changed(server, state, reason)

    def _end_link(self, link: Link, reason: str) -> None:
        del self._links[link.host.id]
        del self._sources[link.host.id]
        if self._told_states.get(link.host.id) == "connected":
            self._tell_state(link.host, "disconnected", reason)
        self._told_states.pop(link.host.id, None)
        gevent.spawn(link.stop, 1.0)

    def _apply_hosts(self, hosts: tuple[AmiHost, ...]) -> None:
        """Stop, start and order the links as ``hosts`` says; equal ones stay connected."""
        wanted = {host.id: host for host in hosts}
        for server_id, link in list(self._links.items()):
            if server_id not in wanted:
                self._end_link(link, "no longer in the configuration")
            elif wanted[server_id] != link.host:
                self._end_link(link, "its configuration has changed")
        for link in self._links.values():
            link.configure(self.settings.limits)
        for host in hosts:
            if host.id not in self._links:
                self._start_link(host)
        ordered = {host.id: self._links[host.id] for host in hosts}
        self._links.clear()
        self._links.update(ordered)

    # Reload

    def _begin_reload(self) -> None:
        """Reload beside ``run``, since a plugin may hang in it, and SIGTERM must not wait."""
        if self._reloading is not None and not self._reloading.dead:
            self._reloading.link(lambda _: self.request_reload())
        else:
            self._reloading = gevent.spawn(self._reload)

    def _reload(self) -> None:
        """Apply the configuration as it is now; a bad one is refused whole."""
        if self._load is None:
            _log.warning("reload asked for, but there is no configuration file to read")
            return
        notify("RELOADING=1")
        self._last_reload.applied = False
        try:
            result = self._load()
            for warning in (*result.warnings, *security_warnings(result.settings)):
                _log.warning("%s", warning)
            self._apply(result.settings)
        except StartError as error:
            for line in str(error).splitlines():
                _log.error("%s", line)
            _log.error("configuration not applied; the one before stays in force")
            status = "reload refused at %H:%M:%S; the log and amiws-gevent --check say why"
        else:
            _log.info("configuration applied")
            self._last_reload.applied = True
            self._last_reload.applied_at = time.time()
            status = "configuration applied at %H:%M:%S"
        notify("READY=1", f"STATUS={time.strftime(status)}")

    def _apply(self, settings: Settings) -> None:
        assert self._web is not None
        with self._pipeline.holding():  # since plugins that are stopped must not be asked
            change = self._change_plugins(settings)
            try:
                gate, app = self._build_web(settings, change.plugins)
                with self._monitor.moving_to(settings.metrics_listen):
                    self._web.reload(settings, app=app, gate=gate)
            except StartError:
                change.undo()
                raise
            # From here on nothing can fail.
            self._use_plugins(change.plugins)
        change.finish()
        if self._log_control is not None:
            self._log_control.reconfigure(settings.log_facility, settings.log_level)
        self._monitor.use(settings.limits)
        self._hub.limit = settings.limits.hub_buffer
        self._pipeline.limit = settings.limits.plugin_messages
        if self._demo:
            settings = settings.model_copy(update={"amihosts": self.settings.amihosts})
        self.settings = settings
        self._apply_hosts(settings.amihosts)

    def _change_plugins(self, settings: Settings) -> Change:
        """Start the plugins that are new; raises PluginError with nothing changed."""
        self._change = Change(
            self._pipeline.plugins,
            settings.plugins,
            limiter=self._limiter,
            queue_limit=settings.limits.plugin_queue,
        )
        self._change.start()
        return self._change

    def _use_plugins(self, plugins: Plugins) -> None:
        self._pipeline.plugins = plugins
        self._clients.plugins = plugins

    def _build_web(self, settings: Settings, plugins: Plugins) -> tuple[PluginGate, Flask]:
        gate = Gate(
            settings,
            failed_logins=self._failed_logins,
            former_passwords=self._former_passwords,
        )
        private = [self._pid_file] if self._pid_file else []
        monitoring = [self._monitoring] if settings.metrics_listen is None else []
        app = create_app(settings, gate, blueprints=monitoring, private_files=private)
        add_blueprints(app, plugins.blueprints())
        return PluginGate(gate, plugins), app

    def _died(self, greenlet: gevent.Greenlet[..., None]) -> None:
        _log.critical("%r died: %s; ending", greenlet, greenlet.exception)
        self._commands.put(lambda: EXIT_SOFTWARE)
