"""All running plugins behind one typed method for each hook.

The rest of the program knows no plugin and no pluggy: it calls these methods,
which contain plugins' faults. Only ``start`` and ``blueprints`` raise, so
that a plugin that cannot work refuses the start or the reload.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import gevent
from flask import Blueprint

from amiws_gevent.ami import ClientAction, Message
from amiws_gevent.plugins.api import ClientInfo, Entity, RequestInfo, ServerInfo
from amiws_gevent.plugins.chain import (
    FILTER,
    TRANSFORM,
    MessageChain,
    MessageHook,
    MessageSteps,
    watched,
)
from amiws_gevent.plugins.context import Desk, PluginContext
from amiws_gevent.plugins.entities import (
    TRANSFORM_ENTITY,
    EntityChain,
    EntitySteps,
    keeps_state_back,
)
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.guard import END_TIME, PluginState, attempt, outcome
from amiws_gevent.plugins.loading import PluginError, describe
from amiws_gevent.plugins.logqueue import Entry, LogQueue
from amiws_gevent.plugins.statenews import STATE_CHANGED, StateNews
from amiws_gevent.runtime.log import LogLimiter

LOG = "amiws_log_message"
SERVER_CHANGED = "amiws_server_changed"
CLIENT_CONNECTED = "amiws_client_connected"
CLIENT_DISCONNECTED = "amiws_client_disconnected"
RELOAD = "amiws_reload"
BLUEPRINTS = "amiws_blueprints"
QUEUED = (LOG, SERVER_CHANGED, CLIENT_CONNECTED, CLIENT_DISCONNECTED, STATE_CHANGED, RELOAD)

CALL_TIME = 5.0  # seconds for amiws_authorize_… and amiws_blueprints
STARTUP_TIME = 10.0  # seconds for amiws_startup
DRAIN_TIME = 1.0  # seconds that a plugin that is stopped has for its queue
SHUTDOWN_TIME = 2.0  # seconds for amiws_shutdown


class RunningPlugin:
    """One plugin with its settings, its greenlets, its queue, and what it can have (``desk``)."""

    def __init__(
        self,
        entry: PluginEntry,
        *,
        name: str,
        limiter: LogLimiter,
        queue_limit: int,
        desk: Desk | None = None,
    ) -> None:
        self.entry = entry
        self.name = name
        self.code = entry.code
        self.settings = entry.settings
        self.hooks = entry.code.hooks
        self.state = PluginState(entry, name=name, limiter=limiter)
        self.desk = desk or Desk(name)
        self.news: StateNews | None = None
        self.queue = LogQueue(self.state, self._queued(), limit=queue_limit, limiter=limiter)
        self._started = False
        self._greenlets: list[gevent.Greenlet[..., Any]] = []

    def _queued(self) -> dict[str, Callable[..., Any]]:
        """What the queue calls, by the name of the hook."""
        queued = {hook: self.hooks[hook] for hook in QUEUED if hook in self.hooks}
        if STATE_CHANGED in queued:
            self.news = StateNews(queued[STATE_CHANGED], self.desk.facilities.entities)
            queued[STATE_CHANGED] = self.news.call
        if RELOAD in queued and TRANSFORM_ENTITY in self.hooks:
            queued[RELOAD] = self._reloaded
        return queued

    def _reloaded(self) -> None:
        """It may make something else of entities from now on."""
        try:
            self.hooks[RELOAD]()
        finally:
            self.desk.facilities.show_anew()

    @property
    def keeps_state_back(self) -> bool:
        """Whether the state must not be shown, since the plugin has to change what is."""
        return self.state.required and keeps_state_back(self.hooks)

    def start(self) -> None:
        """Call ``amiws_startup``; raises PluginError, after an orderly shutdown."""
        self._started = True
        stem = Path(self.name).name.removesuffix(".py")
        log = logging.getLogger(f"amiws_gevent.plugin.{stem}")
        context = PluginContext(self.name, self.settings, log, self._spawn, self.desk)
        if self.news is not None:
            self.news.forget()
        if "amiws_startup" in self.hooks:
            error, _ = attempt(self.hooks["amiws_startup"], context, limit=STARTUP_TIME)
            if error is not None:
                self.stop()
                told = describe(error, self.code.origin)
                raise PluginError(f"plugin {self.name}: amiws_startup: {told}") from error
        self.queue.start()

    def stop(self) -> None:
        """Give the queue a moment, call ``amiws_shutdown``, end its greenlets; raises nothing.

        Of a plugin that does not run nothing is called.
        """
        if not self._started:
            return
        self._started = False
        self.queue.stop(DRAIN_TIME)
        if "amiws_shutdown" in self.hooks:
            self.state.call("amiws_shutdown", self.hooks["amiws_shutdown"], limit=SHUTDOWN_TIME)
        # They may hold what a successor wants to open.
        gevent.killall(self._greenlets, block=False)
        gevent.joinall(self._greenlets, timeout=END_TIME)

    def has_file(self, file: str) -> bool:
        """Whether a file is the plugin's: its own, or one of the package that it is."""
        origin = Path(self.code.origin)
        return file == self.code.origin or (
            origin.name == "__init__.py" and Path(file).is_relative_to(origin.parent)
        )

    def _spawn(self, function: Callable[..., Any], *arguments: Any) -> gevent.Greenlet[..., Any]:
        greenlet = gevent.spawn(self._run, function, arguments)
        self._greenlets = [other for other in self._greenlets if not other.dead]
        self._greenlets.append(greenlet)
        return greenlet

    def _run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        error, result = outcome(function, arguments)
        if error is not None and not isinstance(error, gevent.GreenletExit):
            self.state.failed(getattr(function, "__name__", "a greenlet"), error)
        return result


def plugin_of(running: Iterable[RunningPlugin], files: Iterable[str]) -> RunningPlugin | None:
    """The plugin of the first of ``files`` that belongs to one; None: none does."""
    among = tuple(running)
    for file in files:
        for plugin in among:
            if plugin.has_file(file):
                return plugin
    return None


class Plugins:
    """The running plugins, in the order of the configuration."""

    def __init__(self, running: Sequence[RunningPlugin] = ()) -> None:
        self.running = tuple(running)
        self._filters = self._message_hooks(FILTER)
        self._transforms = self._message_hooks(TRANSFORM)
        self._set_steps(self._filters, self._transforms)
        self._queues = {hook: [p.queue for p in self._with(hook)] for hook in QUEUED}
        self.changes_messages = bool(self._steps.all)
        self.logs_messages = bool(self._queues[LOG])
        self._entity_steps = EntitySteps(self._message_hooks(TRANSFORM_ENTITY))
        self.of_entities = tuple(self._with(TRANSFORM_ENTITY))
        """Those that change what clients see of the state."""
        self.watches_state = bool(self._queues[STATE_CHANGED])

    def _with(self, hook: str) -> list[RunningPlugin]:
        return [plugin for plugin in self.running if hook in plugin.hooks]

    def _message_hooks(self, hook: str) -> list[MessageHook]:
        return [MessageHook(plugin.state, plugin.hooks[hook]) for plugin in self._with(hook)]

    def _set_steps(self, filters: Sequence[MessageHook], transforms: Sequence[MessageHook]) -> None:
        self._steps = MessageSteps(filters, transforms)
        self._transform_steps = MessageSteps((), transforms)

    def chain(self) -> MessageChain:
        """Filters and transforms for one greenlet's messages."""
        return MessageChain(self._steps)

    def transforms(self) -> MessageChain:
        """Transforms alone, for one greenlet's messages."""
        return MessageChain(self._transform_steps)

    def transform_entities(self, server: ServerInfo, entities: Sequence[Entity]) -> list[Entity]:
        """What clients may see of entities; may wait. Of what is missing they may see nothing."""
        return EntityChain(self._entity_steps).run(entities, server)

    @property
    def keeps_state_back(self) -> str | None:
        """The plugin for which nothing of the state is shown; None: it is shown."""
        return next((plugin.name for plugin in self.running if plugin.keeps_state_back), None)

    def state_changed(
        self, server: ServerInfo, made: Sequence[Entity], gone: Sequence[Entity]
    ) -> None:
        """Tell plugins what has changed of a server's state, as clients see it."""
        for plugin in self.running:
            if plugin.news is not None:
                plugin.news.tell(plugin.queue, server, made, gone)

    def state_begins(self, server: ServerInfo) -> None:
        """Have plugins told all of a server's state."""
        for plugin in self.running:
            if plugin.news is not None:
                plugin.news.begin(plugin.queue, server)

    def state_is_there(self, server: ServerInfo) -> None:
        """Have those told all of a server's state that know nothing of it."""
        for plugin in self.running:
            if plugin.news is not None and not plugin.news.knows(server.id):
                plugin.news.begin(plugin.queue, server)

    def spoilt(self, error: Exception) -> str:
        """A message came out of the chain broken: some hook changed it in place.

        Returns the hooks that may have done it. From here on hooks are watched, so that
        the next time the hook is known and the message is restored.
        """
        self._set_steps([*map(watched, self._filters)], [*map(watched, self._transforms)])
        hooks = [(hook.state, FILTER) for hook in self._filters]
        hooks += [(hook.state, TRANSFORM) for hook in self._transforms]
        if len(hooks) == 1:
            state, name = hooks[0]
            state.failed(name, error)
        return " or ".join(f"plugin {state.name} in {name}" for state, name in hooks)

    def log(self, messages: Iterable[tuple[Message, ServerInfo, bytes]]) -> None:
        """Queue messages, each with its server and JSON, for all log hooks."""
        entries = [Entry(LOG, message, len(message[2]), True) for message in messages]
        for queue in self._queues[LOG]:
            queue.put(entries)

    def server_changed(self, server: ServerInfo, state: str, reason: str) -> None:
        """Queue a change of a link for all plugins."""
        self._tell(SERVER_CHANGED, server, state, reason)

    def client_connected(self, client: ClientInfo) -> None:
        """Queue a client's coming for all plugins."""
        self._tell(CLIENT_CONNECTED, client)

    def client_disconnected(self, client: ClientInfo, code: int, reason: str) -> None:
        """Queue a client's end for all plugins."""
        self._tell(CLIENT_DISCONNECTED, client, code, reason)

    def _tell(self, hook: str, *arguments: Any) -> None:
        for queue in self._queues[hook]:
            queue.put([Entry(hook, arguments)])

    def authorize_client(self, request: RequestInfo, user: str | None) -> str | None:
        """Why the request may not open a WebSocket; None: it may."""
        return self._refusal("amiws_authorize_client", request, user)

    def authorize_action(self, action: ClientAction, client: ClientInfo) -> str | None:
        """Why the action may not be sent; None: it may."""
        return self._refusal("amiws_authorize_action", action, client)

    def _refusal(self, hook: str, *arguments: Any) -> str | None:
        for plugin in self._with(hook):
            function = plugin.hooks[hook]
            well, answer = plugin.state.call(hook, function, *arguments, limit=CALL_TIME)
            if well and (answer is True or answer is None):
                continue
            if well and isinstance(answer, str) and answer:
                return answer.encode(errors="replace").decode()  # no half of a surrogate pair
            if well and answer is not False:
                plugin.state.answered(hook, answer, "True, False, a reason or None")
            return f"refused by the plugin {plugin.name}"
        return None

    def blueprints(self) -> list[tuple[str, Blueprint]]:
        """Flask blueprints of all plugins, each with its plugin's name; raises PluginError."""
        found: list[tuple[str, Blueprint]] = []
        for plugin in self._with(BLUEPRINTS):
            error, made = attempt(plugin.hooks[BLUEPRINTS], limit=CALL_TIME)
            if error is not None:
                told = describe(error, plugin.code.origin)
                raise PluginError(f"plugin {plugin.name}: {BLUEPRINTS}: {told}") from error
            if not isinstance(made, list) or not all(isinstance(one, Blueprint) for one in made):
                raise PluginError(
                    f"plugin {plugin.name}: {plugin.code.origin}: "
                    f"{BLUEPRINTS} must return a list of flask.Blueprint"
                )
            found += [(plugin.name, blueprint) for blueprint in made]
        return found

    def stop(self, timeout: float | None = None) -> None:
        """Stop all plugins at once; waits for them, at most ``timeout`` seconds."""
        gevent.joinall([gevent.spawn(plugin.stop) for plugin in self.running], timeout=timeout)
