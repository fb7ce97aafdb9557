"""What Prometheus is told, metric by metric, and where in the program each number is.

Names and units follow Prometheus's conventions. Labels have few values: names that the
configuration gives, and words of the program, never anything that a client or a server
sends. docs/operations.md has a row for each metric.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

import gevent

from amiws_gevent import __version__
from amiws_gevent.ami import Counters, Kind
from amiws_gevent.clients import VIEW_NAMES, Clients
from amiws_gevent.config import AmiHost
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.hub import Hub
from amiws_gevent.link import Link, LinkState
from amiws_gevent.link.pool import Pool
from amiws_gevent.pipeline import Pipeline
from amiws_gevent.plugins.manager import RunningPlugin
from amiws_gevent.reload import LastReload
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.runtime.loop import PauseMeter
from amiws_gevent.web.admission import ADDRESS, CONNECTIONS, DESCRIPTORS, HANDSHAKES
from amiws_gevent.web.counts import BY_CLIENT, LOST, SILENT, SLOW
from amiws_gevent.web.frames import ABNORMAL, GOING_AWAY, NORMAL, TRY_AGAIN_LATER
from amiws_gevent.web.login_throttle import LIMIT, PASSWORD, LoginThrottle
from amiws_gevent.web.server import WebServer

# What rates are asked of is there from the start, as 0; the rest once it happens.
EXPECTED_ENDS = (
    (NORMAL, BY_CLIENT),
    (GOING_AWAY, BY_CLIENT),
    (TRY_AGAIN_LATER, SLOW),
    (ABNORMAL, LOST),
    (ABNORMAL, SILENT),
)
EXPECTED_REFUSALS = (CONNECTIONS, ADDRESS, HANDSHAKES, DESCRIPTORS)
EXPECTED_STATUSES = (401, 403, 429, 503)

FAULTS = tuple(field.name for field in fields(Counters) if field.name != "notes")


@dataclass(frozen=True)
class Measured:
    """Where the numbers are; nothing here is changed."""

    hub: Hub
    pipeline: Pipeline
    clients: Clients
    dispatcher: Dispatcher
    pool: Pool
    web: WebServer
    pauses: PauseMeter
    login_throttle: LoginThrottle
    last_reload: LastReload
    log: LogControl | None


Values = tuple[tuple[str, ...], float]
"""The labels' values, and the sample's."""


class Family(NamedTuple):
    """One metric. Without labels ``read`` gives its value, with labels a value for each set.

    ``name`` is as Prometheus has it in the end, with the ``_total`` that makes it a counter.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Measured], float | Iterable[Values]]


# Readers of what has labels. Each takes a copy of what may change while others run.


def _server(host: AmiHost) -> tuple[str, str]:
    return host.name, str(host.id)


def _build(measured: Measured) -> Iterator[Values]:
    yield (__version__, platform.python_version(), gevent.__version__), 1


def _received(measured: Measured) -> Iterator[Values]:
    for source in list(measured.pool.sources.values()):
        for kind in Kind:
            yield (*_server(source.host), kind.name.lower()), source.received[kind]


def _dropped(measured: Measured) -> Iterator[Values]:
    yield ("plugins",), measured.pipeline.dropped_messages
    yield ("hub",), measured.hub.dropped_messages


def _clients(measured: Measured) -> Iterator[Values]:
    for view, count in (dict.fromkeys(VIEW_NAMES, 0) | measured.hub.counts()).items():
        yield (view,), count


def _opened(measured: Measured) -> Iterator[Values]:
    for view, count in (dict.fromkeys(VIEW_NAMES, 0) | measured.clients.opened_clients).items():
        yield (view,), count


def _closed(measured: Measured) -> Iterator[Values]:
    for (code, kind), count in (
        dict.fromkeys(EXPECTED_ENDS, 0) | measured.web.counts.closes
    ).items():
        yield (str(code), kind), count


def _refused(measured: Measured) -> Iterator[Values]:
    counted = dict.fromkeys(EXPECTED_REFUSALS, 0) | measured.web.counts.refused_connections
    for limit, count in counted.items():
        yield (limit,), count


def _refused_upgrades(measured: Measured) -> Iterator[Values]:
    counted = dict.fromkeys(EXPECTED_STATUSES, 0) | measured.web.counts.refused_upgrades
    for status, count in counted.items():
        yield (str(int(status)),), count


def _refused_logins(measured: Measured) -> Iterator[Values]:
    for reason in (PASSWORD, LIMIT):
        yield (reason,), measured.login_throttle.refused[reason]


def _accept_pauses(measured: Measured) -> Iterator[Values]:
    for reason, count in list(measured.web.counts.pauses.items()):
        yield (reason,), count


def _pending(measured: Measured) -> float:
    return sum([client.pending_bytes for client in measured.web.clients])


def _most_pending(measured: Measured) -> float:
    return max([client.pending_bytes for client in measured.web.clients], default=0)


def _by_server(read: Callable[[Link], float]) -> Callable[[Measured], Iterator[Values]]:
    def values(measured: Measured) -> Iterator[Values]:
        for link in list(measured.pool.links.values()):
            yield _server(link.host), read(link)

    return values


def _states(measured: Measured) -> Iterator[Values]:
    for link in list(measured.pool.links.values()):
        for state in LinkState:
            yield (*_server(link.host), state.name.lower()), link.state is state


def _faults(measured: Measured) -> Iterator[Values]:
    for link in list(measured.pool.links.values()):
        counted = link.faults()
        for fault in FAULTS:
            yield (*_server(link.host), fault), counted.get(fault, 0)


def _by_plugin(read: Callable[[RunningPlugin], float]) -> Callable[[Measured], Iterator[Values]]:
    def values(measured: Measured) -> Iterator[Values]:
        for plugin in measured.pipeline.plugins.running:
            yield (plugin.name,), read(plugin)

    return values


def _plugin_seconds(measured: Measured) -> Iterator[Values]:
    for plugin in measured.pipeline.plugins.running:
        yield (plugin.name, "messages"), plugin.state.seconds
        yield (plugin.name, "log"), plugin.state.log_seconds


def _plugin_faults(measured: Measured) -> Iterator[Values]:
    for plugin in measured.pipeline.plugins.running:
        counted = dict.fromkeys(plugin.hooks, 0) | plugin.state.faults
        for hook, count in counted.items():
            yield (plugin.name, hook), count


_SERVER = ("server", "server_id")

FAMILIES = (
    Family(
        "amiws_build_info",
        "What runs; always 1.",
        ("version", "python", "gevent"),
        _build,
    ),
    # Servers
    Family(
        "amiws_server_connected",
        "Whether the server is logged in to: 1 or 0.",
        _SERVER,
        _by_server(lambda link: link.connected),
    ),
    Family(
        "amiws_server_state",
        "1 for the state that the connection is in, 0 for the others.",
        (*_SERVER, "state"),
        _states,
    ),
    Family(
        "amiws_server_reconnects_total",
        "Logins after the first one.",
        _SERVER,
        _by_server(lambda link: max(0, link.logins - 1)),
    ),
    Family(
        "amiws_server_failed_attempts_total",
        "Attempts to connect that came to nothing, refused logins among them.",
        _SERVER,
        _by_server(lambda link: link.failed_attempts),
    ),
    Family(
        "amiws_messages_received_total",
        "Messages that the server sent, before event_names and plugins.",
        (*_SERVER, "type"),
        _received,
    ),
    Family(
        "amiws_server_faults_total",
        "What was odd in what the server sent, up to packets that were dropped.",
        (*_SERVER, "fault"),
        _faults,
    ),
    Family(
        "amiws_server_pending_bytes",
        "Actions that the server has not taken yet.",
        _SERVER,
        _by_server(lambda link: link.pending_bytes),
    ),
    # The configuration
    Family(
        "amiws_config_last_reload_successful",
        "Whether the last reload was applied: 1 or 0; the start counts as one.",
        (),
        lambda measured: measured.last_reload.applied,
    ),
    Family(
        "amiws_config_last_reload_success_timestamp_seconds",
        "When the configuration that is in force was applied.",
        (),
        lambda measured: measured.last_reload.applied_at,
    ),
    # From servers to clients
    Family(
        "amiws_messages_published_total",
        "Messages that were for clients, behind event_names and plugins.",
        (),
        lambda measured: measured.hub.published_messages,
    ),
    Family(
        "amiws_messages_dropped_total",
        "Messages that all clients lost, since the plugins or the hub, which sends to clients, "
        "took them slower than they came.",
        ("stage",),
        _dropped,
    ),
    Family(
        "amiws_hub_pending_bytes",
        "Messages that wait to be given to clients.",
        (),
        lambda measured: measured.hub.pending_bytes,
    ),
    Family(
        "amiws_deliveries_total",
        "Messages given to clients, once for each client; what waits for a slow one counts.",
        (),
        lambda measured: measured.hub.deliveries,
    ),
    Family(
        "amiws_delivered_bytes_total",
        "Bytes of these messages as WebSocket frames, for each client.",
        (),
        lambda measured: measured.hub.delivered_bytes,
    ),
    # Clients
    Family("amiws_clients", "Clients that are connected.", ("view",), _clients),
    Family(
        "amiws_clients_opened_total",
        "Clients that connected.",
        ("view",),
        _opened,
    ),
    Family(
        "amiws_clients_closed_total",
        "Clients that left, by close code and reason; 3000 and 4000 stand for all codes above.",
        ("code", "reason"),
        _closed,
    ),
    Family(
        "amiws_client_lost_messages_total",
        "Messages that slow clients lost in place of their connection (slow_clients: drop), by "
        "client.",
        (),
        lambda measured: measured.web.losses.messages,
    ),
    Family(
        "amiws_client_pending_bytes",
        "What waits for clients that read slowly, the sum; they share it, so it takes less memory.",
        (),
        _pending,
    ),
    Family(
        "amiws_client_pending_bytes_max",
        "What waits for the slowest client (limits.client_buffer bounds it).",
        (),
        _most_pending,
    ),
    Family(
        "amiws_connections",
        "HTTP and WebSocket connections of ws_port (limits.connections bounds them).",
        (),
        lambda measured: measured.web.connections,
    ),
    Family(
        "amiws_connections_refused_total",
        "Connections that were refused, by the limit that they would have passed.",
        ("limit",),
        _refused,
    ),
    Family(
        "amiws_accept_pauses_total",
        "How often new connections were left waiting for a moment, by what for.",
        ("reason",),
        _accept_pauses,
    ),
    Family(
        "amiws_upgrades_refused_total",
        "WebSockets that were refused, by HTTP status.",
        ("status",),
        _refused_upgrades,
    ),
    Family(
        "amiws_logins_refused_total",
        "Logins that were refused, for a wrong name or password or for too many of them.",
        ("reason",),
        _refused_logins,
    ),
    Family(
        "amiws_actions_sent_total",
        "Actions of clients that were sent, each once for each server.",
        (),
        lambda measured: measured.dispatcher.sent,
    ),
    Family(
        "amiws_actions_refused_total",
        "Actions of clients that were answered with an error instead.",
        (),
        lambda measured: measured.dispatcher.refused,
    ),
    # The event loop
    Family(
        "amiws_reader_pause_seconds",
        "The longest time of the last 60 seconds in which no socket of a server was looked at.",
        (),
        lambda measured: measured.pauses.recent(),
    ),
    Family(
        "amiws_reader_pause_longest_seconds",
        "The longest such time since the start.",
        (),
        lambda measured: measured.pauses.longest,
    ),
    Family(
        "amiws_reader_long_pauses_total",
        "Such times of more than 50 ms.",
        (),
        lambda measured: measured.pauses.long_pauses,
    ),
    Family(
        "amiws_loop_busy_seconds_total",
        "All such times: how long the event loop has not been waiting.",
        (),
        lambda measured: measured.pauses.seconds,
    ),
    Family(
        "amiws_loop_turns_total",
        "How often the event loop has looked at the sockets.",
        (),
        lambda measured: measured.pauses.turns,
    ),
    # Plugins and the log
    Family(
        "amiws_plugin_seconds_total",
        "What the plugin's hooks took: messages waited for those of filters and transforms, "
        "nothing for those that log.",
        ("plugin", "hooks"),
        _plugin_seconds,
    ),
    Family(
        "amiws_plugin_faults_total",
        "Hooks that raised, overran their time, or gave no proper answer.",
        ("plugin", "hook"),
        _plugin_faults,
    ),
    Family(
        "amiws_plugin_dropped_messages_total",
        "Messages that the plugin dropped, as its filter said or, if required, by a fault.",
        ("plugin",),
        _by_plugin(lambda plugin: plugin.state.dropped),
    ),
    Family(
        "amiws_plugin_dropped_calls_total",
        "Messages and other news that the plugin's log hooks were not told, since they took them "
        "slower than they came.",
        ("plugin",),
        _by_plugin(lambda plugin: plugin.queue.dropped),
    ),
    Family(
        "amiws_plugin_suspended",
        "Whether the plugin's message hooks are left out for their faults: 1 or 0.",
        ("plugin",),
        _by_plugin(lambda plugin: plugin.state.suspended),
    ),
    Family(
        "amiws_log_lines_lost_total",
        "Lines that syslog did not take.",
        (),
        lambda measured: measured.log.lost if measured.log else 0,
    ),
)
