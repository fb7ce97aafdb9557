"""The hook specifications: what a plugin may implement, and nothing else.

A plugin is a Python file (or an installed module) with functions of these
names, or with a class ``Plugin`` that has them as methods: one instance is
made, without arguments, each time the plugin is loaded. A function may leave
out parameters that it does not need. Nothing has to be registered or marked.

What is common to all hooks:

- They run in greenlets of one process. A hook that computes for long delays
  everything else; one that waits (for a socket, in ``time.sleep``) delays only
  what waits for its answer. Reading and writing a file is computing.
- Plugins are asked in the order of the configuration.
- What a hook raises is contained, counted and logged with the plugin's name,
  once a minute for each hook.

There are three kinds:

- Message hooks (filter, transform, and the transform of entities) have the plugin's
  ``hook_timeout`` of 50 ms. One that waits longer is cut off: HookTimeout is raised where it waits,
  which ``except Exception`` does not catch. One that computes longer cannot be
  cut off, and has overrun as well. A plugin that overruns five times
  within a minute is suspended: messages pass without it until the next reload.
  If it declares itself required (``REQUIRED = True``), it is not suspended, and
  each message that it failed on is dropped, and each entity kept from clients.
- Hooks that are only told of something (log, server changed, client connected
  and disconnected, state changed, reload) run one after the other in a greenlet of the
  plugin's own, fed by a bounded queue, so that they may wait: for a disk, for
  the network. When the queue is full (``limits.plugin_queue``), what comes is
  dropped for this plugin alone, counted and logged.
- The program waits for all others, each at most as long as its text says.

Only the hook's own time counts: the CPU time that it computes, the time that it waits
while the event loop runs, and on Linux the time that it blocks the thread in C (a query
of a driver that gevent does not know). Time that a busy machine takes does not count.

The message hooks and the log hook get ``message``, an ``amiws_gevent.plugins.Message``:
``message.kind``, ``message.name`` (of an event), ``message.get("Channel")`` without
regard to case, ``message.getall("Variable")``, ``message.headers`` (ordered pairs,
repeats kept); and ``server``, a ``ServerInfo``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from amiws_gevent.ami import ClientAction, Message
from amiws_gevent.plugins.api import ClientInfo, RequestInfo, ServerInfo, StateChanges
from amiws_gevent.plugins.context import PluginContext

if TYPE_CHECKING:
    from flask import Blueprint
    from pydantic import BaseModel

PROJECT = "amiws_gevent"

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def amiws_settings() -> type[BaseModel]:  # type: ignore[empty-body]
    """Declare the plugin's settings: a pydantic model.

    Called before the configuration is validated: at the start, at each reload, and for
    ``--check`` and ``--plugins``. There are no settings, no server and no network yet.
    What is under the plugin's name in ``plugins:`` is validated with the model. An
    unknown key, a wrong type or a missing key is an error of the configuration, with
    key path and line. A plugin without this hook takes no settings. The model gets
    values as the text of the file, lists and mappings of text, and pydantic makes
    ``int``, ``bool``, ``Path`` … of it. Derive the model from
    ``amiws_gevent.plugins.PluginSettings``, which refuses unknown keys. No setting may be
    named ``required`` or ``hook_timeout``: every plugin has these. Raising refuses the
    start (or the reload).
    """


@hookspec
def amiws_startup(context: PluginContext) -> None:
    """Prepare the plugin.

    Called once for each load of the plugin, before any server is connected. After a
    reload it is called only if the plugin is new, or its file or its settings changed:
    on a new instance, after the ``amiws_shutdown`` of the old one. If that reload is
    refused, it is called once more for the old one. ``context.settings`` (validated),
    ``context.spawn`` and ``context.log`` can be used. Raising, or taking more than 10
    seconds, refuses the start (or the reload), so check here what a model cannot.
    """


@hookspec
def amiws_shutdown() -> None:
    """Close files and sockets.

    Called when the program ends, and when a reload drops or replaces the plugin. It has
    2 seconds, less if the program itself is late. Before it, the queue of the log hooks
    is worked off, for a second at most. Greenlets of ``context.spawn`` still run, and are
    ended after it. It is also called after an ``amiws_startup`` that raised. Raising is
    logged.
    """


@hookspec
def amiws_reload() -> None:
    """The operator has sent SIGHUP, and the plugin's file and settings are as they were.

    For plugins that rotate files or read them again. Called in the plugin's own greenlet,
    after what is queued. Raising is logged; the plugin stays.
    """


@hookspec
def amiws_server_changed(server: ServerInfo, state: str, reason: str) -> None:
    """The link to a server has changed.

    ``state`` is ``"connected"`` (logged in), ``"disconnected"`` (lost, not possible, or
    removed from the configuration) or ``"refused"`` (the server refused the login).
    ``reason`` is one line for people. An attempt that fails like the one before is not
    reported. A plugin that a reload adds is not told the present state. Called in the
    plugin's own greenlet, in order for each server. Raising is logged.
    """


@hookspec
def amiws_filter_message(message: Message, server: ServerInfo) -> bool | None:
    """Decide whether a message goes on to clients and logs.

    Called for each message of each server, after ``event_names``. The first
    answer that is not None decides: False drops the message for everybody, True
    keeps it and asks no further filter. Raising, being cut off or answering
    anything else counts as None; for a required plugin it drops the message.
    """


@hookspec
def amiws_transform_message(message: Message, server: ServerInfo) -> Message | None:
    """Change a message: return ``message.replace("CallerIDNum", "…")`` or another Message.

    Called for each message that the filters let pass, and for each that answers an
    action of one client alone, for which filters are not asked; each plugin sees the
    result of the one before it. None leaves the message as it is. Messages
    are shared: build a new one, never change one. Raising, being cut off or
    returning anything else leaves the message as it is; for a required plugin
    it drops the message.
    """


@hookspec
def amiws_transform_entity(entity: dict[str, Any], server: ServerInfo) -> dict[str, Any] | None:
    """Change what clients see of an entity of the live state: a call, a channel, a queue …

    Called for each entity that is new or has changed, before clients see it; each plugin sees
    the result of the one before it. Not called for the kind ``server``. ``entity`` is a dict as
    clients get it: ``server``, ``kind``, ``id``, and its fields. Return a dict with all that
    clients are to see of it: ``{**entity, "caller_name": None}``. Its name (server, kind, id)
    stays, whatever you return. None leaves it as it is. Called also for the last words of an
    entity that is gone; then those are its only fields.

    Raising, being cut off or returning anything else leaves it as it is, as does a change in
    place that is not returned; for a required plugin it keeps the entity from clients. A required
    plugin that has ``amiws_transform_message`` and not this hook keeps the whole state from
    clients, because what it hides in messages would be bare there.
    """


@hookspec
def amiws_log_message(message: Message, server: ServerInfo, json: bytes) -> None:
    """See a message as clients get it, after filters and transforms.

    ``json`` is its JSON text with five keys, as clients get it. Called in the plugin's
    own greenlet. Raising is logged; the message counts as done.
    """


@hookspec
def amiws_state_changed(changes: StateChanges, server: ServerInfo) -> None:
    """Something of a server's live state has changed, as clients see it.

    Called in the plugin's own greenlet, at most ten times a second for each server, with what
    has changed since the last call: ``changes.set`` is a list of entities (``server``, ``kind``,
    ``id``, and all fields of a new one, of others those that changed), ``changes.unset`` a list
    of those that are gone, with ``last`` words where there are any. If ``changes.whole``, ``set``
    is all that there is of that server: at the first call, when the server's state began anew,
    and when the hook was too slow for more than 10,000 changes. While the hook is at work,
    changes are joined, the latest of each entity. Server 0 is this program, with the kind
    ``server``. Raising is logged; the changes count as told.
    """


@hookspec
def amiws_authorize_client(request: RequestInfo, user: str | None) -> bool | str | None:
    """Decide whether a WebSocket may be opened, or a request of the HTTP API be done.

    Called before the upgrade is answered, and for each request under ``/api/v1/`` for state,
    events or an action (``request.target`` says which), when Origin and login have passed
    their checks. ``user`` is the login's name, ``token:NAME`` of a program with a token, or
    None if no login is needed. False
    refuses with 403, a text refuses with 403 and gives the reason, True and None ask
    the next plugin; all must agree. Fails closed: raising, answering anything
    else or taking more than 5 seconds refuses.
    """


@hookspec
def amiws_authorize_action(action: ClientAction, client: ClientInfo) -> bool | str | None:
    """Decide whether a client's action is sent.

    Called for each well-formed action, before any server gets it; ``action.server_id`` None
    means all servers. For an action that names a list of servers it is called once for each.
    False refuses, a text refuses and is the ``Message`` that the client gets; True and None
    ask the next plugin; all must agree. Fails closed: raising, answering anything else or
    taking more than 5 seconds refuses. The client's next action waits for this decision.
    """


@hookspec
def amiws_client_connected(client: ClientInfo) -> None:
    """A client has opened its WebSocket, or a stream of the HTTP API.

    ``client.view`` is ``classic``, ``v2``, or ``state`` or ``events`` of a stream. Requests
    that are no stream are not told of.
    Called in the plugin's own greenlet, for each client before its
    ``amiws_client_disconnected``. Raising is logged.
    """


@hookspec
def amiws_client_disconnected(client: ClientInfo, code: int, reason: str) -> None:
    """A client's WebSocket has ended, with its close code; or a stream.

    A stream has no close code and gets one: 1006 if the client left, 1001 if the program stops,
    1008 if its login is not valid any more, 1013 if it reads too slowly. ``reason`` tells why.
    Called in the plugin's own greenlet, once for each client that was reported as
    connected. Raising is logged.
    """


@hookspec
def amiws_blueprints() -> list[Blueprint]:  # type: ignore[empty-body]
    """Add Flask blueprints: pages and HTTP interfaces, behind the same login as all pages.

    Called when the web application is built, at the start and at each reload,
    after ``amiws_startup``: make new ones each time. Raising, taking more than 5
    seconds, or a route that another plugin or the program has, refuses the start (or
    the reload).
    """
