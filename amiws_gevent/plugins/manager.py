"""All running plugins behind one typed method for each hook.

The rest of the program knows no plugin and no pluggy: it calls these methods,
which contain what plugins do. Only ``start`` and ``blueprints`` raise, so
that a plugin that cannot work refuses the start or the reload.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gevent

from amiws_gevent.ami import PageAction
from amiws_gevent.config import PluginEntry
from amiws_gevent.log import LogLimiter
from amiws_gevent.pluginapi import ClientInfo, PluginContext, ServerInfo
from amiws_gevent.pluginload import HookManager, PluginCode, PluginError, describe
from amiws_gevent.plugins.chain import FILTER, TRANSFORM, MessageChain, MessageHook
from amiws_gevent.plugins.guard import PluginState
from amiws_gevent.plugins.logqueue import Entry, LogQueue
from amiws_gevent.request import RequestInfo

if TYPE_CHECKING:
    from flask import Blueprint

LOG = "amiws_log_message"
SERVER_CHANGED = "amiws_server_changed"
DRAIN_TIME = 1.0  # seconds that a plugin which ends has for what is queued

_log = logging.getLogger("amiws_gevent.plugins")


class RunningPlugin:
    """One plugin with its settings, its greenlets and its queue."""

    def __init__(
        self, entry: PluginEntry, *, name: str, limiter: LogLimiter, queue_limit: int
    ) -> None:
        self.entry = entry
        self.name = name
        self.code = entry.code
        self.settings = entry.settings
        self.state = PluginState(entry, name=name, limiter=limiter)
        self.hooks = bind_hooks(entry.code)
        queued = {name: self.hooks[name] for name in (LOG, SERVER_CHANGED) if name in self.hooks}
        self.queue = LogQueue(self.state, queued, limit=queue_limit) if queued else None
        self._greenlets: list[gevent.Greenlet[..., Any]] = []

    def start(self) -> None:
        """Call ``amiws_startup``; raises PluginError, after an orderly shutdown."""
        log = logging.getLogger(f"amiws_gevent.plugin.{self.name}")
        context = PluginContext(self.name, self.settings, log, self._spawn)
        try:
            if "amiws_startup" in self.hooks:
                self.hooks["amiws_startup"](context)
        except Exception as error:
            self.stop()
            told = describe(error, self.code.origin)
            raise PluginError(f"plugin {self.name}: amiws_startup: {told}") from error
        if self.queue is not None:
            self.queue.start()

    def stop(self) -> None:
        """Give the queue a moment, call ``amiws_shutdown``, end its greenlets."""
        if self.queue is not None and self.queue.running and not self.queue.drain(DRAIN_TIME):
            _log.warning("plugin %s: stopped with messages still queued", self.name)
        if "amiws_shutdown" in self.hooks:
            self.state.call("amiws_shutdown", self.hooks["amiws_shutdown"])
        if self.queue is not None:
            self.queue.stop()
        gevent.killall(self._greenlets, block=False)

    def _spawn(self, function: Callable[..., Any], *arguments: Any) -> gevent.Greenlet[..., Any]:
        greenlet = gevent.spawn(self._run, function, *arguments)
        self._greenlets = [other for other in self._greenlets if not other.dead]
        self._greenlets.append(greenlet)
        return greenlet

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self.state.failed(getattr(function, "__name__", "greenlet"), error)


class Plugins:
    """The running plugins, in the order of the configuration."""

    def __init__(self, running: Sequence[RunningPlugin] = ()) -> None:
        self.running = tuple(running)
        self._filters = self._message_hooks(FILTER)
        self._transforms = self._message_hooks(TRANSFORM)
        self._log_queues = self._queues_with(LOG)
        self._server_queues = self._queues_with(SERVER_CHANGED)
        self.logs_messages = bool(self._log_queues)
        self.changes_messages = bool(self._filters or self._transforms)

    def _message_hooks(self, hook: str) -> list[MessageHook]:
        return [(p.state, p.hooks[hook]) for p in self.running if hook in p.hooks]

    def _queues_with(self, hook: str) -> list[LogQueue]:
        return [p.queue for p in self.running if p.queue is not None and hook in p.hooks]

    def chain(self) -> MessageChain:
        """Filters and transforms for one greenlet's messages."""
        return MessageChain(self._filters, self._transforms)

    def log(self, messages: Sequence[tuple[Any, ServerInfo, bytes]]) -> None:
        """Queue messages, each with its server and JSON, for all log hooks."""
        entries = [Entry(LOG, message, len(message[2])) for message in messages]
        for queue in self._log_queues:
            queue.put(entries)

    def server_changed(self, server: ServerInfo, state: str, reason: str) -> None:
        """Queue the news of a connection, in order with the messages around it."""
        for queue in self._server_queues:
            queue.put([Entry(SERVER_CHANGED, (server, state, reason), 0)])

    def authorize_client(self, request: RequestInfo, user: str | None) -> str | None:
        """None: may open a WebSocket; else why not."""
        return self._refusal("amiws_authorize_client", request, user)

    def authorize_action(self, action: PageAction, client: ClientInfo) -> str | None:
        """None: the action may be sent; else why not."""
        return self._refusal("amiws_authorize_action", action, client)

    def _refusal(self, hook: str, *arguments: Any) -> str | None:
        for plugin in self.running:
            if hook not in plugin.hooks:
                continue
            well, answer = plugin.state.call(hook, plugin.hooks[hook], *arguments)
            if well and (answer is True or answer is None):
                continue
            if isinstance(answer, str) and answer:
                return answer
            return f"refused by the plugin {plugin.name}"
        return None

    def client_connected(self, client: ClientInfo) -> None:
        """Tell all plugins of a page that came."""
        self._tell("amiws_client_connected", client)

    def client_disconnected(self, client: ClientInfo, code: int, reason: str) -> None:
        """Tell all plugins of a page that went."""
        self._tell("amiws_client_disconnected", client, code, reason)

    def reloaded(self) -> None:
        """Tell all plugins that stayed through a reload."""
        self._tell("amiws_reload")

    def _tell(self, hook: str, *arguments: Any) -> None:
        for plugin in self.running:
            if hook in plugin.hooks:
                plugin.state.call(hook, plugin.hooks[hook], *arguments)

    def blueprints(self) -> list[Blueprint]:
        """Flask blueprints of all plugins; raises PluginError."""
        found: list[Blueprint] = []
        for plugin in self.running:
            try:
                found += plugin.hooks.get("amiws_blueprints", list)()
            except Exception as error:
                told = describe(error, plugin.code.origin)
                raise PluginError(f"plugin {plugin.name}: amiws_blueprints: {told}") from error
        return found


def bind_hooks(code: PluginCode) -> dict[str, Callable[..., Any]]:
    """The plugin's hooks, each taking all arguments of its specification by position."""
    manager = HookManager()
    manager.register(code.plugin, code.name)
    hooks = {}
    for caller in manager.get_hookcallers(code.plugin) or ():
        (implementation,) = caller.get_hookimpls()
        assert caller.spec is not None
        hooks[caller.name] = _by_position(
            implementation.function, caller.spec.argnames, implementation.argnames
        )
    return hooks


def _by_position(
    function: Callable[..., Any], offered: Sequence[str], wanted: Sequence[str]
) -> Callable[..., Any]:
    if tuple(wanted) == tuple(offered):
        return function
    places = [offered.index(name) for name in wanted]

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return function(*[arguments[place] for place in places])

    return call


def make_running(
    entries: Sequence[PluginEntry], *, limiter: LogLimiter, queue_limit: int
) -> list[RunningPlugin]:
    """One RunningPlugin for each entry, not yet started; a name that repeats gets a number."""
    seen: Counter[str] = Counter()
    running = []
    for entry in entries:
        name = entry.code.name
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name}#{seen[name]}"
        running.append(RunningPlugin(entry, name=name, limiter=limiter, queue_limit=queue_limit))
    return running
