"""Applies a configuration completely or not at all; the start applies the first one.

    prepare    everything that can fail: removed plugins are stopped and new ones started,
               the gate and the application are built, certificates are read, and new
               ports are opened while the old ones still listen
    commit     every part takes the new settings; nothing can fail here
    roll back  instead of a commit: what was prepared is undone, in reverse order

Meanwhile no message goes to plugins: messages wait in the pipeline. State that outlives a
configuration (counters, wrong and former passwords, unchanged links and plugins) is kept in
the parts, not in what is built here.
"""

from __future__ import annotations

import abc
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import gevent
from flask import Flask

from amiws_gevent.access import Access
from amiws_gevent.actions import ActionService
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.api.blueprint import Api
from amiws_gevent.audit.trail import Change, Trail
from amiws_gevent.clients import Clients
from amiws_gevent.config import (
    Limits,
    LoadResult,
    Settings,
    changed_keys,
    security_warnings,
)
from amiws_gevent.errors import StartError
from amiws_gevent.feeds.feeds import Feeds, Showing
from amiws_gevent.hub import Hub
from amiws_gevent.pipeline import Pipeline
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.plugins.ofprocess import entries_of
from amiws_gevent.plugins.roster import Roster
from amiws_gevent.policy import Policy
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.runtime.notify import notify
from amiws_gevent.web.app import create_app
from amiws_gevent.web.endpoint import Move
from amiws_gevent.web.gate import Gate
from amiws_gevent.web.logins import LoginMemory
from amiws_gevent.web.loginwatch import LoginWatch
from amiws_gevent.web.monitor import MonitorListener
from amiws_gevent.web.plugins import PluginGate, add_blueprints
from amiws_gevent.web.rightsgate import RightsGate
from amiws_gevent.web.server import WebServer

END_TIME = 0.2  # seconds for a reload to end when the program stops

_log = logging.getLogger("amiws_gevent.reload")


class Configured(Protocol):
    """A part that settings reach."""

    def configure(self, settings: Settings) -> None: ...


@dataclass(frozen=True)
class ServerParts:
    """What has to do with the Asterisk servers."""

    pipeline: Pipeline
    followed: Sequence[Configured]
    """The live state, and the links; in this order."""


@dataclass(frozen=True)
class ClientParts:
    """What has to do with clients."""

    clients: Clients
    actions: ActionService
    logins: LoginMemory
    watch: LoginWatch
    web: WebServer
    api: Api


@dataclass(frozen=True)
class Parts:
    """What settings reach; a process has ``servers``, ``clients``, or both."""

    access: Access
    plugins: Roster
    hub: Hub
    audit: Trail
    action_limits: ActionLimits
    feeds: Feeds
    monitor: MonitorListener
    servers: ServerParts | None = None
    clients: ClientParts | None = None
    log: LogControl | None = None
    private_files: Sequence[Path] = ()
    """Never served, besides what the settings name."""


@dataclass
class LastReload:
    """What became of the last reload; the start counts as one."""

    applied: bool = False
    applied_at: float = 0.0
    """Of the last that was applied, in seconds since 1970."""


@dataclass(frozen=True)
class _ForClients:
    """What is ready for clients."""

    app: Flask
    gate: Gate
    upgrades: RightsGate
    web: Move


@dataclass(frozen=True)
class _Ready:
    """What is ready to be used with ``settings``."""

    settings: Settings
    policy: Policy
    audit: Change
    monitor: Move
    clients: _ForClients | None


class Reloads(abc.ABC):
    """Reads the configuration when it is asked to, has it applied, and says what became of that.

    ``load`` raises ConfigError; None: there is no file. ``last`` is kept up to date.
    """

    def __init__(self, load: Callable[[], LoadResult] | None, last: LastReload) -> None:
        self._load = load
        self._last = last
        self._asked = False
        self._greenlet: gevent.Greenlet[..., None] | None = None

    @abc.abstractmethod
    def _apply(self, result: LoadResult) -> None:
        """All of it or, with a StartError, nothing."""

    @abc.abstractmethod
    def _refused(self, reason: str) -> None:
        """It was not applied."""

    def applied(self) -> None:
        """A configuration is in force, that of the start or another."""
        self._last.applied, self._last.applied_at = True, time.time()

    def begin(self) -> None:
        """Reload in a greenlet, because a plugin may hang in it; reloads never overlap.

        Requests during a reload lead to one more reload after it.
        """
        self._asked = True
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End a reload that is under way: what it has begun stays, for `Roster.stop`."""
        if self._greenlet is not None:
            self._greenlet.kill(timeout=END_TIME)

    def _run(self) -> None:
        while self._asked:
            self._asked = False
            if self._load is None:
                _log.warning("SIGHUP ignored: there is no configuration file to reload")
            else:
                self._reload(self._load)

    def _reload(self, load: Callable[[], LoadResult]) -> None:
        """Apply the configuration as it is now; tell the log, the metrics and systemd."""
        notify("RELOADING=1")
        self._last.applied = False
        try:
            result = load()
            warn(result.settings, result.warnings)
            self._apply(result)
        except StartError as error:
            for line in str(error).splitlines():
                _log.error("%s", line)
            self._refused(str(error))
            _log.error("configuration not applied; the previous one stays in force")
            status = "reload refused at %H:%M:%S; the log and amiws-gevent --check say why"
        else:
            _log.info("configuration applied")
            status = "configuration applied at %H:%M:%S"
        notify("READY=1", f"STATUS={time.strftime(status)}")


def warn(settings: Settings, warnings: Sequence[str]) -> None:
    """Log what an operator should know of a configuration: what its file has, and the risks."""
    for warning in (*warnings, *security_warnings(settings)):
        _log.warning("%s", warning)


class Prepared:
    """A configuration that is ready to be used: call one of the two, once.

    Until then messages wait.
    """

    def __init__(self, held: ExitStack, undo: ExitStack, commit: Callable[[], None]) -> None:
        self._held = held
        self._undo = undo
        self._commit = commit

    def commit(self) -> None:
        """Use it; cannot fail."""
        with self._held:
            self._commit()

    def roll_back(self) -> None:
        """All is as it was."""
        with self._held:
            self._undo.close()


class Reload(Reloads):
    """Applies settings to ``parts``: those of the start, then what ``load`` reads for SIGHUP.

    ``settings`` are those in force. Of a process that is one of several, `prepare` is called
    instead of `begin`, and others log the warnings.
    """

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        *,
        load: Callable[[], LoadResult] | None,
        last: LastReload,
    ) -> None:
        super().__init__(load, last)
        self.settings = settings
        self._parts = parts

    def start(self) -> None:
        """Apply the settings of the start; raises StartError with nothing left open."""
        self._prepared(self.settings).commit()

    def prepare(self) -> Prepared:
        """Read a configuration and prepare it; raises StartError with all as it was."""
        assert self._load is not None
        return self._prepared(self._load().settings)

    def _apply(self, result: LoadResult) -> None:
        self._prepared(result.settings).commit()

    def _refused(self, reason: str) -> None:
        self._parts.audit.reload_refused(reason)

    def _prepared(self, settings: Settings) -> Prepared:
        held, undo = ExitStack(), ExitStack()
        held.enter_context(self._holding())  # since plugins that are stopped must not be asked
        try:
            ready = self._prepare(settings, undo)
        except Exception:  # not for the program's end, which stops whatever has begun
            with held:
                undo.close()
            raise
        except BaseException:
            held.close()
            raise
        return Prepared(held, undo, partial(self._commit, ready))

    def _holding(self) -> AbstractContextManager[None]:
        servers = self._parts.servers
        return nullcontext() if servers is None else servers.pipeline.holding()

    def _prepare(self, settings: Settings, undo: ExitStack) -> _Ready:
        """All that can fail; raises StartError with what is to be undone in ``undo``."""
        parts = self._parts
        audit = parts.audit.prepare(settings.audit)
        undo.callback(audit.undo)
        entries = entries_of(settings.plugins, settings.process)
        plugins = parts.plugins.prepare(entries, queue_limit=settings.limits.plugin_queue)
        undo.callback(parts.plugins.undo)
        monitor = parts.monitor.prepare(settings.metrics_listen)
        undo.callback(monitor.undo)
        clients = None
        if parts.clients is not None:
            clients = self._prepare_clients(parts.clients, settings, plugins, undo)
        return _Ready(settings, parts.access.prepare(settings), audit, monitor, clients)

    def _prepare_clients(
        self, parts: ClientParts, settings: Settings, plugins: Plugins, undo: ExitStack
    ) -> _ForClients:
        gate = Gate(settings, memory=parts.logins, told=self._parts.audit.login)
        app = self._build(parts, settings, gate, plugins)
        web = parts.web.prepare(settings)
        undo.callback(web.undo)
        upgrades = RightsGate(PluginGate(gate, plugins), self._parts.access.classic_refusal)
        return _ForClients(app, gate, upgrades, web)

    def _build(self, parts: ClientParts, settings: Settings, gate: Gate, plugins: Plugins) -> Flask:
        """The application behind a gate, with the blueprints of plugins."""
        routes = [
            parts.api.blueprint(
                plugins.authorize_client,
                partial(parts.watch.log_out, gate, settings.logout_url),
                stream_limit=settings.limits.client_buffer,
                compression=settings.compression,
            )
        ]
        if settings.metrics_listen is None:
            routes.append(self._parts.monitor.blueprint)
        private = self._parts.private_files
        app = create_app(settings, gate, blueprints=routes, private_files=private)
        add_blueprints(app, plugins.blueprints())
        return app

    @staticmethod
    def _showing(pipeline: Pipeline, plugins: Plugins) -> Showing:
        """What clients see of the state with these plugins."""
        keeper, of = plugins.keeps_state_back, plugins.of_entities
        withheld = f"the plugin {keeper} keeps the state back" if keeper is not None else ""
        transform = pipeline.shown_entities if of else None
        return Showing(transform, of, withheld, plugins)

    def _record(self, before: Settings, change: Change) -> None:
        """Go over to the new audit; both that ends and that begins say what has changed."""
        audit, now = self._parts.audit, self.settings
        changed = changed_keys(before, now)
        first = not self._last.applied_at
        if first:
            change.finish()
            audit.started()
        else:
            audit.reloaded(changed)
            if change.finish():
                audit.reloaded(changed)
        if first or change.is_new or any(key.startswith("plugins") for key in changed):
            audit.plugins([(entry.code.name, str(entry.code.origin)) for entry in now.plugins])

    def _commit(self, ready: _Ready) -> None:
        """Nothing here can fail, and no other greenlet runs meanwhile."""
        parts, settings = self._parts, ready.settings
        before, self.settings = self.settings, settings
        if parts.log is not None:
            parts.log.reconfigure(settings.log_facility, settings.log_level)
        plugins = parts.plugins.finish()
        parts.access.use(ready.policy, [host.id for host in settings.amihosts])
        servers, clients = parts.servers, parts.clients
        if servers is not None:
            servers.pipeline.plugins = plugins
            parts.feeds.use(self._showing(servers.pipeline, plugins))
        if clients is not None:
            clients.clients.plugins = clients.actions.plugins = plugins
            clients.api.streams.plugins = plugins
            clients.clients.check_rights()
            clients.api.use_rights()
        self._record(before, ready.audit)
        self._use_limits(settings.limits)
        parts.monitor.configure(settings.limits, ready.monitor)
        if clients is not None and ready.clients is not None:
            made = ready.clients
            clients.web.configure(settings, made.web, app=made.app, gate=made.upgrades)
            clients.watch.use(made.gate)
            clients.logins.configure(settings)
        if servers is not None:
            for part in servers.followed:
                part.configure(settings)
        self.applied()

    def _use_limits(self, limits: Limits) -> None:
        parts = self._parts
        parts.action_limits.configure(limits)
        parts.hub.configure(limits)
        parts.feeds.configure(limits)
        if parts.servers is not None:
            parts.servers.pipeline.configure(limits)
        if parts.clients is not None:
            parts.clients.clients.v2.configure(limits)
