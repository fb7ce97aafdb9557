"""Metrics of what goes to clients, of the clients, and of who was not let in."""

from __future__ import annotations

from collections.abc import Iterator

from amiws_gevent.clients import VIEW_NAMES
from amiws_gevent.feeds.encoding import STREAMS
from amiws_gevent.metrics.measured import Family, Measured, Values
from amiws_gevent.v2.codes import CODES
from amiws_gevent.web.admission import ADDRESS, CONNECTIONS, DESCRIPTORS, HANDSHAKES
from amiws_gevent.web.counts import BY_CLIENT, LOST, SILENT, SLOW
from amiws_gevent.web.frames import ABNORMAL, GOING_AWAY, NORMAL, TRY_AGAIN_LATER
from amiws_gevent.web.login_throttle import LIMIT, PASSWORD

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


# Readers for metrics with labels. Each copies what may change while other greenlets run.


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


def _lost_by_user(measured: Measured) -> Iterator[Values]:
    for user, count in (measured.web.losses.by_user + measured.feeds.losses.by_user).items():
        yield (user,), count


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


FAMILIES = (
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
        lambda measured: measured.feeds.losses.messages,
    ),
    Family(
        "amiws_user_lost_messages_total",
        "Messages that clients of the user lost in either way; an empty name stands for all who "
        "did not have to log in.",
        ("user",),
        _lost_by_user,
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
)
