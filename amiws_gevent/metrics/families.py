"""All metrics, and where in the program each number comes from.

Names and units follow Prometheus's conventions. Labels have few values: names that the
configuration gives, and words of the program, never anything that a client or a server
sends. docs/operations.md has a row for each metric.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol

import gevent
from prometheus_client.core import Metric

from amiws_gevent import __version__
from amiws_gevent.actions import OUTCOMES, ActionService
from amiws_gevent.actions.limits import ADDRESS as OF_ADDRESS
from amiws_gevent.actions.limits import AT_WORK, RATE, USER, ActionLimits
from amiws_gevent.ami import Counters, Kind
from amiws_gevent.api.streams import Streams
from amiws_gevent.audit.trail import Trail
from amiws_gevent.clients import VIEW_NAMES, Clients
from amiws_gevent.config import AmiHost
from amiws_gevent.config.fields import COLLECTOR
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.feeds.encoding import STREAMS
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.hub import Hub
from amiws_gevent.link import Link, LinkState
from amiws_gevent.link.pool import Pool
from amiws_gevent.live import FollowedServer, LiveState
from amiws_gevent.live.synchroniser import LIVE
from amiws_gevent.pipeline import Pipeline
from amiws_gevent.plugins.manager import RunningPlugin
from amiws_gevent.reload import LastReload
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.runtime.loop import PauseMeter
from amiws_gevent.v2.codes import CODES
from amiws_gevent.web.admission import ADDRESS, CONNECTIONS, DESCRIPTORS, HANDSHAKES
from amiws_gevent.web.counts import BY_CLIENT, LOST, SILENT, SLOW
from amiws_gevent.web.frames import ABNORMAL, GOING_AWAY, NORMAL, TRY_AGAIN_LATER
from amiws_gevent.web.login_throttle import LIMIT, PASSWORD, LoginThrottle
from amiws_gevent.web.server import WebServer

# Labels of counters that alerts use exist from the start, with 0; others once they occur.
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


class OnBus(Protocol):
    """What a collector or an edge has of the bus."""

    @property
    def process(self) -> str: ...

    @property
    def up(self) -> bool:
        """Whether it does its part: publishes, or hears a collector."""

    @property
    def lost(self) -> int:
        """How often events were lost on the way here."""

    @property
    def held(self) -> Mapping[str, int]:
        """By lease, the term of each that this process holds."""

    @property
    def refusals(self) -> int:
        """How often Redis refused something, since another collector has a newer term."""

    @property
    def dropped(self) -> int:
        """Entries and snapshots that never reached Redis."""

    @property
    def waiting(self) -> int:
        """Bytes that wait for Redis."""

    @property
    def unshared(self) -> int:
        """How often what edges share could not be asked."""

    def lag(self) -> Mapping[str, int]:
        """By stream, the entries that have not been taken yet."""


@dataclass(frozen=True)
class Measured:
    """The parts that have the numbers; they are only read."""

    hub: Hub
    pipeline: Pipeline
    clients: Clients
    dispatcher: Dispatcher
    audit: Trail
    action_limits: ActionLimits
    actions: ActionService
    pool: Pool
    live: LiveState
    streams: Streams
    feeds: Feeds
    web: WebServer
    pauses: PauseMeter
    login_throttle: LoginThrottle
    last_reload: LastReload
    log: LogControl | None
    bus: OnBus | None = None
    """None in a process that is alone."""


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


# Readers for metrics with labels. Each copies what may change while other greenlets run.


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
    for view, count in (dict.fromkeys(VIEW_NAMES, 0) | measured.clients.counts()).items():
        yield (view,), count


def _opened(measured: Measured) -> Iterator[Values]:
    for view, count in (dict.fromkeys(VIEW_NAMES, 0) | measured.clients.opened_clients).items():
        yield (view,), count


def _streams(measured: Measured) -> Iterator[Values]:
    for stream, count in (dict.fromkeys(sorted(STREAMS), 0) | measured.streams.counts()).items():
        yield (stream,), count


def _opened_streams(measured: Measured) -> Iterator[Values]:
    for stream, count in (dict.fromkeys(sorted(STREAMS), 0) | measured.streams.opened).items():
        yield (stream,), count


def _bus_up(measured: Measured) -> Iterator[Values]:
    if measured.bus is not None:
        yield (measured.bus.process,), measured.bus.up


def _bus_lost(measured: Measured) -> Iterator[Values]:
    if measured.bus is not None:
        yield (measured.bus.process,), measured.bus.lost


def _bus_lag(measured: Measured) -> Iterator[Values]:
    if measured.bus is not None:
        for stream, entries in list(measured.bus.lag().items()):
            yield (stream,), entries


def _bus_leases(measured: Measured) -> Iterator[Values]:
    if measured.bus is not None:
        for lease, term in list(measured.bus.held.items()):
            yield (lease,), term


def _of_collector(read: Callable[[OnBus], float]) -> Callable[[Measured], Iterator[Values]]:
    """A value of collectors alone, with their ``process``."""

    def values(measured: Measured) -> Iterator[Values]:
        if measured.bus is not None and measured.bus.process == COLLECTOR:
            yield (measured.bus.process,), read(measured.bus)

    return values


def _bus_unshared(measured: Measured) -> Iterator[Values]:
    if measured.bus is not None:
        yield (measured.bus.process,), measured.bus.unshared


def _limited_actions(measured: Measured) -> Iterator[Values]:
    for limit in (RATE, AT_WORK):
        for by in (USER, OF_ADDRESS):
            yield (limit, by), measured.action_limits.refused[limit, by]


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


def _request_errors(measured: Measured) -> Iterator[Values]:
    for code in CODES:
        yield (code,), measured.clients.v2.errors[code]


def _refused_logins(measured: Measured) -> Iterator[Values]:
    for reason in (PASSWORD, LIMIT):
        yield (reason,), measured.login_throttle.refused[reason]


def _accept_pauses(measured: Measured) -> Iterator[Values]:
    for reason, count in list(measured.web.counts.pauses.items()):
        yield (reason,), count


def _compressed(measured: Measured) -> float:
    return sum([client.compressed for client in measured.web.clients])


def _pending(measured: Measured) -> float:
    return sum([client.pending_bytes for client in measured.web.clients])


def _most_pending(measured: Measured) -> float:
    return max([client.pending_bytes for client in measured.web.clients], default=0)


def _replies(measured: Measured) -> Iterator[Values]:
    for outcome in OUTCOMES:
        yield (outcome,), measured.actions.outcomes[outcome]


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


def _by_model(read: Callable[[FollowedServer], float]) -> Callable[[Measured], Iterator[Values]]:
    def values(measured: Measured) -> Iterator[Values]:
        for live in measured.live.followed:
            yield _server(live.source.host), read(live)

    return values


def _healed(measured: Measured) -> Iterator[Values]:
    for live in measured.live.followed:
        for (kind, change), count in live.healed().items():
            yield (*_server(live.source.host), kind, change), count


def _by_plugin(read: Callable[[RunningPlugin], float]) -> Callable[[Measured], Iterator[Values]]:
    def values(measured: Measured) -> Iterator[Values]:
        for plugin in measured.pipeline.plugins.running:
            yield (plugin.name,), read(plugin)

    return values


def _plugin_seconds(measured: Measured) -> Iterator[Values]:
    for plugin in measured.pipeline.plugins.running:
        yield (plugin.name, "messages"), plugin.state.seconds
        yield (plugin.name, "log"), plugin.state.log_seconds


def own_counters(measured: Measured) -> list[Metric]:
    """Counters that plugins have made. Their names begin with ``amiws_own_``, as no other's do."""
    found: dict[str, Metric] = {}
    for plugin in measured.pipeline.plugins.running:
        for counter in plugin.desk.counters.values():
            metric = found.get(counter.name)
            if metric is None:
                metric = Metric(counter.name.removesuffix("_total"), counter.help, "counter")
                found[counter.name] = metric
            metric.add_sample(counter.name, {"plugin": plugin.name}, counter.value)
    return list(found.values())


def _plugin_events(measured: Measured) -> Iterator[Values]:
    for plugin in measured.pipeline.plugins.running:
        for outcome, count in plugin.desk.events.items():
            yield (plugin.name, outcome), count


def _plugin_faults(measured: Measured) -> Iterator[Values]:
    for plugin in measured.pipeline.plugins.running:
        counted = dict.fromkeys(plugin.hooks, 0) | plugin.state.faults
        for hook, count in counted.items():
            yield (plugin.name, hook), count


_SERVER = ("server", "server_id")

FAMILIES = (
    Family(
        "amiws_build_info",
        "The running version, in the labels; always 1.",
        ("version", "python", "gevent"),
        _build,
    ),
    # Servers
    Family(
        "amiws_server_connected",
        "1 if the program is logged in to the server, else 0.",
        _SERVER,
        _by_server(lambda link: link.connected),
    ),
    Family(
        "amiws_server_state",
        "1 for the current state of the link, 0 for all others.",
        (*_SERVER, "state"),
        _states,
    ),
    Family(
        "amiws_server_reconnects_total",
        "Logins to the server after the first.",
        _SERVER,
        _by_server(lambda link: max(0, link.logins - 1)),
    ),
    Family(
        "amiws_server_failed_attempts_total",
        "Attempts to connect that failed, including refused logins.",
        _SERVER,
        _by_server(lambda link: link.failed_attempts),
    ),
    Family(
        "amiws_messages_received_total",
        "Messages received from the server, before event_names and plugins.",
        (*_SERVER, "type"),
        _received,
    ),
    Family(
        "amiws_server_faults_total",
        "Irregularities in what the server sent, including packets that were dropped.",
        (*_SERVER, "fault"),
        _faults,
    ),
    Family(
        "amiws_server_pending_bytes",
        "Bytes of actions that the server has not read yet.",
        _SERVER,
        _by_server(lambda link: link.pending_bytes),
    ),
    # The live state
    Family(
        "amiws_state_synchronised",
        "1 if the live state of the server is up to date, as far as it can be asked for, else 0.",
        _SERVER,
        _by_model(lambda live: live.sync == LIVE),
    ),
    Family(
        "amiws_state_healed_total",
        "Differences between lists and events that were put right: events were lost, or are not "
        "sent to this AMI user.",
        (*_SERVER, "kind", "change"),
        _healed,
    ),
    Family(
        "amiws_state_errors_total",
        "Internal errors of the live state; what they spoil is right after the next list.",
        _SERVER,
        _by_model(lambda live: live.errors),
    ),
    # The configuration
    Family(
        "amiws_config_last_reload_successful",
        "1 if the last reload was applied, else 0; the start counts as a reload.",
        (),
        lambda measured: measured.last_reload.applied,
    ),
    Family(
        "amiws_config_last_reload_success_timestamp_seconds",
        "Unix time at which the current configuration was applied.",
        (),
        lambda measured: measured.last_reload.applied_at,
    ),
    # From servers to clients
    Family(
        "amiws_messages_published_total",
        "Messages meant for clients, after event_names and plugins.",
        (),
        lambda measured: measured.hub.published_messages,
    ),
    Family(
        "amiws_messages_dropped_total",
        "Messages that no client got, because plugins or the hub (which sends to clients) were too "
        "slow.",
        ("stage",),
        _dropped,
    ),
    Family(
        "amiws_hub_pending_bytes",
        "Bytes of messages that wait in the hub.",
        (),
        lambda measured: measured.hub.pending_bytes,
    ),
    Family(
        "amiws_deliveries_total",
        "Messages given to clients, counted once for each client, even while a slow one has not "
        "read them.",
        (),
        lambda measured: measured.hub.deliveries,
    ),
    Family(
        "amiws_delivered_bytes_total",
        "Bytes of these messages as WebSocket frames, counted once for each client.",
        (),
        lambda measured: measured.hub.delivered_bytes,
    ),
    # Clients
    Family("amiws_clients", "Clients that are connected now.", ("view",), _clients),
    Family(
        "amiws_clients_compressed",
        "Clients among them that have agreed on compressed messages (permessage-deflate).",
        (),
        _compressed,
    ),
    Family(
        "amiws_clients_opened_total",
        "Clients that have connected.",
        ("view",),
        _opened,
    ),
    Family(
        "amiws_api_streams",
        "Streams of the HTTP API (Server-Sent Events) that are open now.",
        ("stream",),
        _streams,
    ),
    Family(
        "amiws_api_streams_opened_total",
        "Streams of the HTTP API that were opened.",
        ("stream",),
        _opened_streams,
    ),
    Family(
        "amiws_clients_closed_total",
        "Clients that have left, by close code and reason; 3000 stands for 3000 to 3999, 4000 for "
        "4000 to 4999.",
        ("code", "reason"),
        _closed,
    ),
    Family(
        "amiws_client_lost_messages_total",
        "Messages that slow clients lost (slow_clients: drop), counted once for each client.",
        (),
        lambda measured: measured.web.losses.messages,
    ),
    Family(
        "amiws_subscriptions",
        "Subscriptions of clients.",
        (),
        lambda measured: measured.feeds.subscriptions,
    ),
    Family(
        "amiws_subscriptions_behind",
        "Subscriptions whose clients have not got the newest state yet.",
        (),
        lambda measured: measured.feeds.behind,
    ),
    Family(
        "amiws_snapshots_total",
        "Snapshots of the state that clients were sent.",
        (),
        lambda measured: measured.feeds.counts["snapshots"],
    ),
    Family(
        "amiws_gaps_total",
        "Gaps that clients were told of, because they read too slowly or came back too late.",
        (),
        lambda measured: measured.feeds.counts["gaps"],
    ),
    Family(
        "amiws_subscription_lost_messages_total",
        "Messages that were left out of subscriptions because their clients read too slowly.",
        (),
        lambda measured: measured.feeds.counts["left_out"],
    ),
    Family(
        "amiws_history_messages",
        "Messages that are kept for clients that come back (limits.history_messages is the limit).",
        (),
        lambda measured: measured.feeds.history.messages,
    ),
    Family(
        "amiws_history_bytes",
        "Bytes that these take (limits.history_bytes is the limit).",
        (),
        lambda measured: measured.feeds.history.size,
    ),
    Family(
        "amiws_client_pending_bytes",
        "Bytes that wait for slow clients, summed up; clients share them, so less memory is used.",
        (),
        _pending,
    ),
    Family(
        "amiws_client_pending_bytes_max",
        "Bytes that wait for the slowest client (limits.client_buffer is the limit).",
        (),
        _most_pending,
    ),
    Family(
        "amiws_connections",
        "HTTP and WebSocket connections to ws_port (limits.connections is the limit).",
        (),
        lambda measured: measured.web.connections,
    ),
    Family(
        "amiws_connections_refused_total",
        "Connections that were refused, by the limit that was reached.",
        ("limit",),
        _refused,
    ),
    Family(
        "amiws_accept_pauses_total",
        "How often new connections had to wait for a moment, by reason.",
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
        "Logins that were refused, by reason.",
        ("reason",),
        _refused_logins,
    ),
    Family(
        "amiws_request_errors_total",
        "Requests of clients on amiws.v2 that were answered with an error, by its code.",
        ("code",),
        _request_errors,
    ),
    Family(
        "amiws_actions_sent_total",
        "Actions of clients that were sent, counted once for each server.",
        (),
        lambda measured: measured.dispatcher.sent + measured.actions.sent,
    ),
    Family(
        "amiws_actions_refused_total",
        "Actions of clients that were answered with an error instead of being sent.",
        (),
        lambda measured: measured.dispatcher.refused + measured.actions.not_sent,
    ),
    Family(
        "amiws_actions_limited_total",
        "Actions that were refused because a user or an address sent too many.",
        ("limit", "by"),
        _limited_actions,
    ),
    Family(
        "amiws_action_replies_total",
        "Replies to actions of clients that wait for one, one for each server, by outcome.",
        ("outcome",),
        _replies,
    ),
    Family(
        "amiws_actions_pending",
        "Actions of these clients that a server has not answered yet.",
        (),
        lambda measured: measured.actions.at_work,
    ),
    # The audit trail
    Family(
        "amiws_audit_records_total",
        "Records that were written to the audit trail.",
        (),
        lambda measured: measured.audit.counts[0],
    ),
    Family(
        "amiws_audit_failing",
        "Whether the audit trail cannot be written now (1 or 0).",
        (),
        lambda measured: bool(measured.audit.outage),
    ),
    Family(
        "amiws_audit_pending_records",
        "Records that are not written yet.",
        (),
        lambda measured: measured.audit.waiting,
    ),
    Family(
        "amiws_audit_refused_actions_total",
        "Actions that were not sent because their records could not be written.",
        (),
        lambda measured: measured.audit.counts[1],
    ),
    Family(
        "amiws_audit_lost_records_total",
        "Records that the audit trail does not have, because it could not be written for long.",
        (),
        lambda measured: measured.audit.counts[2],
    ),
    # Collector and edges
    Family(
        "amiws_bus_up",
        "1 if this collector holds a lease, or this edge hears a collector, else 0.",
        ("process",),
        _bus_up,
    ),
    Family(
        "amiws_bus_losses_total",
        "How often events of a server were lost between the collector and this edge; clients are "
        "told of a gap.",
        ("process",),
        _bus_lost,
    ),
    Family(
        "amiws_bus_lag_entries",
        "Entries of a stream that this edge has not taken yet.",
        ("stream",),
        _bus_lag,
    ),
    Family(
        "amiws_bus_lease_term",
        "The term of each lease that this collector holds: of a server (`server-1`), or of the "
        "list of servers (`program`). A lease that it does not hold is missing.",
        ("lease",),
        _bus_leases,
    ),
    Family(
        "amiws_bus_refusals_total",
        "How often Redis refused what this collector wrote, since another has a newer lease.",
        ("process",),
        _of_collector(lambda bus: bus.refusals),
    ),
    Family(
        "amiws_bus_dropped_entries_total",
        "Entries and snapshots of this collector that never reached Redis: it held no lease, or "
        "Redis was away too long.",
        ("process",),
        _of_collector(lambda bus: bus.dropped),
    ),
    Family(
        "amiws_bus_waiting_bytes",
        "Bytes of this collector that wait for Redis.",
        ("process",),
        _of_collector(lambda bus: bus.waiting),
    ),
    Family(
        "amiws_bus_unshared_total",
        "How often this edge went by what it knows alone, since Redis did not answer for all.",
        ("process",),
        _bus_unshared,
    ),
    # The event loop
    Family(
        "amiws_reader_pause_seconds",
        "The longest pause of the last 60 seconds in which no link was read.",
        (),
        lambda measured: measured.pauses.recent(),
    ),
    Family(
        "amiws_reader_pause_longest_seconds",
        "The longest such pause since the start.",
        (),
        lambda measured: measured.pauses.longest,
    ),
    Family(
        "amiws_reader_long_pauses_total",
        "Such pauses of more than 50 ms.",
        (),
        lambda measured: measured.pauses.long_pauses,
    ),
    Family(
        "amiws_loop_busy_seconds_total",
        "All such pauses together: the time in which the event loop was busy.",
        (),
        lambda measured: measured.pauses.seconds,
    ),
    Family(
        "amiws_loop_turns_total",
        "How often the event loop has polled its sockets.",
        (),
        lambda measured: measured.pauses.turns,
    ),
    # Plugins and the log
    Family(
        "amiws_plugin_seconds_total",
        "Time that the plugin's hooks took. Messages wait for filters and transforms, not for log "
        "hooks.",
        ("plugin", "hooks"),
        _plugin_seconds,
    ),
    Family(
        "amiws_plugin_faults_total",
        "Calls of hooks that raised, exceeded their time limit or returned a wrong type.",
        ("plugin", "hook"),
        _plugin_faults,
    ),
    Family(
        "amiws_plugin_dropped_messages_total",
        "Messages that the plugin's filter dropped or, if the plugin is required, its faults.",
        ("plugin",),
        _by_plugin(lambda plugin: plugin.state.dropped),
    ),
    Family(
        "amiws_plugin_dropped_calls_total",
        "Calls of the plugin's log and news hooks that were dropped because the plugin was too "
        "slow.",
        ("plugin",),
        _by_plugin(lambda plugin: plugin.queue.dropped),
    ),
    Family(
        "amiws_plugin_events_total",
        "Events of the plugin's own: published, and dropped because they were too many.",
        ("plugin", "outcome"),
        _plugin_events,
    ),
    Family(
        "amiws_plugin_suspended",
        "1 if the plugin's message hooks are suspended after faults, else 0.",
        ("plugin",),
        _by_plugin(lambda plugin: plugin.state.suspended),
    ),
    Family(
        "amiws_log_lines_lost_total",
        "Log lines that syslog did not accept.",
        (),
        lambda measured: measured.log.lost if measured.log else 0,
    ),
)
