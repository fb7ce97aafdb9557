"""Metrics of the servers: their links, the live state, and the configuration that names them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import fields

import gevent

from amiws_gevent import __version__
from amiws_gevent.ami import Counters, Kind
from amiws_gevent.link import Link, LinkState
from amiws_gevent.live import FollowedServer
from amiws_gevent.live.synchroniser import LIVE
from amiws_gevent.metrics.measured import SERVER_LABELS, Family, Measured, Values, server_values

FAULTS = tuple(field.name for field in fields(Counters) if field.name != "notes")


# Readers for metrics with labels. Each copies what may change while other greenlets run.


def _build(measured: Measured) -> Iterator[Values]:
    yield (__version__, platform.python_version(), gevent.__version__), 1


def _received(measured: Measured) -> Iterator[Values]:
    for source in list(measured.pool.sources.values()):
        for kind in Kind:
            yield (*server_values(source.host), kind.name.lower()), source.received[kind]


def _by_server(read: Callable[[Link], float]) -> Callable[[Measured], Iterator[Values]]:
    def values(measured: Measured) -> Iterator[Values]:
        for link in list(measured.pool.links.values()):
            yield server_values(link.host), read(link)

    return values


def _states(measured: Measured) -> Iterator[Values]:
    for link in list(measured.pool.links.values()):
        for state in LinkState:
            yield (*server_values(link.host), state.name.lower()), link.state is state


def _faults(measured: Measured) -> Iterator[Values]:
    for link in list(measured.pool.links.values()):
        counted = link.faults()
        for fault in FAULTS:
            yield (*server_values(link.host), fault), counted.get(fault, 0)


def _by_model(read: Callable[[FollowedServer], float]) -> Callable[[Measured], Iterator[Values]]:
    def values(measured: Measured) -> Iterator[Values]:
        for live in measured.live.followed:
            yield server_values(live.source.host), read(live)

    return values


def _healed(measured: Measured) -> Iterator[Values]:
    for live in measured.live.followed:
        for (kind, change), count in live.healed().items():
            yield (*server_values(live.source.host), kind, change), count


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
        SERVER_LABELS,
        _by_server(lambda link: link.connected),
    ),
    Family(
        "amiws_server_state",
        "1 for the current state of the link, 0 for all others.",
        (*SERVER_LABELS, "state"),
        _states,
    ),
    Family(
        "amiws_server_reconnects_total",
        "Logins to the server after the first.",
        SERVER_LABELS,
        _by_server(lambda link: max(0, link.logins - 1)),
    ),
    Family(
        "amiws_server_failed_attempts_total",
        "Attempts to connect that failed, including refused logins.",
        SERVER_LABELS,
        _by_server(lambda link: link.failed_attempts),
    ),
    Family(
        "amiws_messages_received_total",
        "Messages received from the server, before event_names and plugins.",
        (*SERVER_LABELS, "type"),
        _received,
    ),
    Family(
        "amiws_server_faults_total",
        "Irregularities in what the server sent, including packets that were dropped.",
        (*SERVER_LABELS, "fault"),
        _faults,
    ),
    Family(
        "amiws_server_pending_bytes",
        "Bytes of actions that the server has not read yet.",
        SERVER_LABELS,
        _by_server(lambda link: link.pending_bytes),
    ),
    # The live state
    Family(
        "amiws_state_synchronised",
        "1 if the live state of the server is up to date, as far as it can be asked for, else 0.",
        SERVER_LABELS,
        _by_model(lambda live: live.sync == LIVE),
    ),
    Family(
        "amiws_state_healed_total",
        "Differences between lists and events that were put right: events were lost, or are not "
        "sent to this AMI user.",
        (*SERVER_LABELS, "kind", "change"),
        _healed,
    ),
    Family(
        "amiws_state_errors_total",
        "Internal errors of the live state; what they spoil is right after the next list.",
        SERVER_LABELS,
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
)
