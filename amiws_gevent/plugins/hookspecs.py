"""The hook specifications: what a plugin may implement, and nothing else.

A plugin is a Python file (or an installed module) with functions of these
names, or with a class ``Plugin`` that has them as methods: one instance is
made, without arguments, each time the plugin is loaded. A function may leave
out parameters that it does not need. Nothing has to be registered or marked.

What is common to all hooks:

- They run in greenlets of one process. A hook that computes for long keeps
  everything else waiting; one that waits (for a socket, in ``time.sleep``)
  keeps only those waiting who asked it. Reading and writing a file is
  computing.
- Plugins are asked in the order of the configuration.
- What a hook raises is contained, counted and logged with the plugin's name,
  once a minute for each hook.

There are three kinds:

- Message hooks (filter, transform) have the plugin's ``hook_timeout`` of 50 ms.
  One that waits longer is cut off: HookTimeout is raised where it waits,
  which ``except Exception`` does not catch. One that computes longer cannot be, and
  has overrun as well. A plugin that overruns five times
  within a minute is suspended: messages pass without it until the next reload.
  If it declares itself required (``REQUIRED = True``), it is not suspended, and
  each message that it failed on is dropped.
- Hooks that are only told of something (log, server changed, client connected
  and disconnected, reload) run one after the other in a greenlet of the
  plugin's own, fed by a bounded queue, so that they may wait: for a disk, for
  the network. When the queue is full (``limits.plugin_queue``) what comes is
  dropped for this plugin alone, counted and told.
- All others are waited for, each at most as long as it says.

Only the hook's own time counts: the CPU time that it computes, the time that it waits
while the event loop runs, and on Linux the time that it blocks the thread in C (a query
of a driver that gevent does not know). Time that a busy machine takes does not count.

The message hooks and the log hook get ``message``, an ``amiws_gevent.ami.Message``:
``message.kind``, ``message.name`` (of an event), ``message.get("Channel")`` without
regard to case, ``message.getall("Variable")``, ``message.headers`` (ordered pairs,
repeats kept); and ``server``, a ``ServerInfo``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from amiws_gevent.ami import ClientAction, Message
from amiws_gevent.plugins.api import ClientInfo, PluginContext, RequestInfo, ServerInfo

if TYPE_CHECKING:
    from flask import Blueprint
    from pydantic import BaseModel

PROJECT = "amiws_gevent"

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def amiws_settings() -> type[BaseModel]:  # type: ignore[empty-body]
    """Declare the plugin's settings: a pydantic model.

    Fires before the configuration is validated, at the start, at each reload
    and for ``--check`` and ``--plugins``. May rely on nothing: no settings, no
    server, no network. What stands under the plugin's name in ``plugins:`` is
    validated with the model; an unknown key, a wrong type or a missing key is an
    error of the configuration with its key path and line. A plugin without this
    hook takes no settings. Values reach the model as the text of the file, lists
    and mappings of text: pydantic makes ``int``, ``bool``, ``Path`` … of it. Derive
    from ``amiws_gevent.plugins.api.PluginSettings``, which refuses unknown keys. No
    setting can be named ``required`` or ``hook_timeout``: every plugin has these.
    Raising refuses the start (or the reload).
    """


@hookspec
def amiws_startup(context: PluginContext) -> None:
    """Prepare the plugin.

    Fires once for each load of the plugin, before any server is connected;
    after a reload only when the plugin is new, its file has changed or its
    settings have: then as a new instance, after the old one's
    ``amiws_shutdown``. If that reload is refused, it fires once more for the old
    one. May rely on ``context.settings`` (validated), ``context.spawn`` and
    ``context.log``. Raising, or taking more than 10 seconds, refuses the start
    (or the reload), so check here what a model cannot.
    """


@hookspec
def amiws_shutdown() -> None:
    """Close files and sockets.

    Fires when the program ends and when a reload drops or replaces the
    plugin; has 2 seconds, less if the whole program is late. What was queued
    has been worked off, or given up after a second. Greenlets of
    ``context.spawn`` still run, and are ended after it. Also fires after an
    ``amiws_startup`` that raised. Raising is logged.
    """


@hookspec
def amiws_reload() -> None:
    """The operator has sent SIGHUP and this plugin's file and settings are as they were.

    For what rotates or re-reads files. Fires in the plugin's own greenlet, behind
    what is queued. Raising is logged; the plugin stays.
    """


@hookspec
def amiws_server_changed(server: ServerInfo, state: str, reason: str) -> None:
    """An AMI connection has changed.

    ``state`` is ``"connected"`` (logged in), ``"disconnected"`` (lost, not to be made,
    or taken out of the configuration) or ``"refused"`` (the login was); ``reason`` is
    one line for people. Attempts that fail like the one before are not told, nor
    is a plugin that comes with a reload of how things stand. Fires in the
    plugin's own greenlet, in order for each server. Raising is logged.
    """


@hookspec
def amiws_filter_message(message: Message, server: ServerInfo) -> bool | None:
    """Decide whether a message goes on to clients and logs.

    Fires for each message of each server, after ``event_names``. The first
    answer that is not None wins: False drops the message for everybody, True
    keeps it and asks no further filter. Raising, being cut off or answering
    anything else counts as None; for a required plugin it drops the message.
    """


@hookspec
def amiws_transform_message(message: Message, server: ServerInfo) -> Message | None:
    """Change a message: return ``message.replace("CallerIDNum", "…")`` or another Message.

    Fires for each message that the filters let through; each plugin sees the
    result of the one before it. None leaves the message as it is. Messages
    are shared: build a new one, never change one. Raising, being cut off or
    returning anything else leaves the message as it is; for a required plugin
    it drops the message.
    """


@hookspec
def amiws_log_message(message: Message, server: ServerInfo, json: bytes) -> None:
    """See a message as clients get it, after filters and transforms.

    ``json`` is its five-key JSON text, as sent to clients. Fires in the plugin's own
    greenlet. Raising is logged; the message counts as done.
    """


@hookspec
def amiws_authorize_client(request: RequestInfo, user: str | None) -> bool | str | None:
    """Decide whether a WebSocket may be opened.

    Fires before the upgrade is answered, after Origin and login were found
    right; ``user`` is the login's name or None where none is needed. False
    refuses with 403, a text refuses with 403 and says why, True and None ask
    the next plugin; all must agree. Fails closed: raising, answering anything
    else or taking more than 5 seconds refuses.
    """


@hookspec
def amiws_authorize_action(action: ClientAction, client: ClientInfo) -> bool | str | None:
    """Decide whether a client's action is sent.

    Fires for each action after it was found well-formed, before any server
    gets it. False refuses, a text refuses and is the ``Message`` that the client
    gets; True and None ask the next plugin; all must agree. Fails closed:
    raising, answering anything else or taking more than 5 seconds refuses. The
    client's next action waits until this one is decided.
    """


@hookspec
def amiws_client_connected(client: ClientInfo) -> None:
    """A client has opened its WebSocket.

    Fires in the plugin's own greenlet, for each client before its
    ``amiws_client_disconnected``. Raising is logged.
    """


@hookspec
def amiws_client_disconnected(client: ClientInfo, code: int, reason: str) -> None:
    """A client's WebSocket has ended, with its close code.

    Fires in the plugin's own greenlet, once for each client that was told of as
    connected. Raising is logged.
    """


@hookspec
def amiws_blueprints() -> list[Blueprint]:  # type: ignore[empty-body]
    """Add Flask blueprints: pages and HTTP interfaces, behind the same login as all others.

    Fires when the web application is built, at the start and at each reload,
    after ``amiws_startup``: make new ones each time. Raising, taking more than 5
    seconds, or a route that is taken, refuses the start (or the reload).
    """
