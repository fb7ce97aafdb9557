"""Make contrib/monitoring/grafana-dashboard.json: ``python scripts/grafana_dashboard.py``.

The library grafana-foundation-sdk, which Grafana makes, knows the form of a dashboard. Only what
is ours stands here: the panels and their queries. tests/unit/test_monitoring.py holds the file to
this.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

FILE = Path(__file__).parent.parent / "contrib" / "monitoring" / "grafana-dashboard.json"

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH, HEIGHT = 24, 8  # of Grafana's grid, and of a graph on it

I = '{instance=~"$instance"}'  # noqa: E741 - as short as what it stands for is often
S = '{instance=~"$instance",server=~"$server"}'
Q = '{instance=~"$instance",server=~"$server",queue=~"$queue"}'
RATE = "[$__rate_interval]"


class Query(NamedTuple):
    """PromQL, and how Grafana calls each series of it."""

    expr: str
    legend: str


class Panel(NamedTuple):
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    is_stat: bool = False
    stacked: bool = False
    """Whether the series are parts of one sum."""


class Row(NamedTuple):
    title: str
    panels: tuple[Panel, ...]


def _graph(title: str, description: str, unit: str, *queries: Query) -> Panel:
    return Panel(title, description, unit, queries)


def _figure(title: str, description: str, unit: str, expr: str) -> Panel:
    return Panel(title, description, unit, (Query(expr, ""),), is_stat=True)


ROWS = (
    Row(
        "Now",
        (
            _figure(
                "Servers not connected",
                "Asterisk servers to which amiws-gevent is not logged in.",
                "short",
                f"sum(1 - amiws_server_connected{S})",
            ),
            _figure(
                "Callers who wait",
                "In all queues that are chosen.",
                "short",
                f"sum(amiws_queue_waiting_callers{Q})",
            ),
            _figure(
                "Longest wait now",
                "Of the caller who waits longest.",
                "s",
                f"max(amiws_queue_longest_wait_seconds{Q})",
            ),
            _figure(
                "Members who are free",
                "They could take a call: idle and not paused.",
                "short",
                f"sum(amiws_queue_members_free{Q})",
            ),
            _figure(
                "Trunks that are down",
                "The server cannot reach them, or does not know that it can.",
                "short",
                f"sum(amiws_trunk_down{S})",
            ),
            _figure("Clients", "Connected now, by WebSocket.", "short", f"sum(amiws_clients{I})"),
        ),
    ),
    Row(
        "Queues",
        (
            _graph(
                "Callers who wait",
                "By queue.",
                "short",
                Query(f"amiws_queue_waiting_callers{Q}", "{{server}} {{queue}}"),
            ),
            _graph(
                "Longest wait",
                "How long the one has waited who waits longest, by queue.",
                "s",
                Query(f"amiws_queue_longest_wait_seconds{Q}", "{{server}} {{queue}}"),
            ),
            Panel(
                "Members by state",
                "Of all queues that are chosen, by the state of their device. A member of two "
                "queues counts twice.",
                "short",
                (Query(f"sum by (state) (amiws_queue_members{Q})", "{{state}}"),),
                stacked=True,
            ),
            _graph(
                "Members who are paused or free",
                "Of all queues that are chosen.",
                "short",
                Query(f"sum(amiws_queue_members_paused{Q})", "paused"),
                Query(f"sum(amiws_queue_members_free{Q})", "free"),
            ),
            _graph(
                "Callers by hour",
                "Who came, was answered, and hung up while waiting, in the hour before.",
                "short",
                Query(f"sum(amiws:queue_entered:increase1h{Q})", "entered"),
                Query(f"sum(amiws:queue_answered:increase1h{Q})", "answered"),
                Query(f"sum(amiws:queue_abandoned:increase1h{Q})", "abandoned"),
            ),
            _graph(
                "Answered in time",
                "Of today's answered callers those who had waited for queue_service_level at most.",
                "percentunit",
                Query(f"amiws:queue_service_level:ratio{Q}", "{{server}} {{queue}}"),
            ),
        ),
    ),
    Row(
        "Trunks",
        (
            _graph(
                "Calls",
                "That came or went through the trunk, and are not over.",
                "short",
                Query(f"amiws_trunk_calls{S}", "{{server}} {{trunk}}"),
            ),
            _graph(
                "Down",
                "1 for a trunk that the server cannot reach, and for a registration that failed.",
                "short",
                Query(f"amiws_trunk_down{S}", "{{server}} {{trunk}}"),
                Query(f"amiws_registration_down{S}", "{{server}} registration {{registration}}"),
            ),
            _graph(
                "Latency",
                "How long the trunk took to answer the server (qualify).",
                "s",
                Query(f"amiws_trunk_latency_seconds{S}", "{{server}} {{trunk}}"),
            ),
        ),
    ),
    Row(
        "Servers",
        (
            _graph(
                "Connected, and the state up to date",
                "1 for yes.",
                "short",
                Query(f"amiws_server_connected{S}", "{{server}} connected"),
                Query(f"amiws_state_synchronised{S}", "{{server}} up to date"),
            ),
            _graph(
                "Messages received",
                "From each server, a second.",
                "short",
                Query(
                    f"sum by (server) (rate(amiws_messages_received_total{S}{RATE}))", "{{server}}"
                ),
            ),
            _graph(
                "Put right by lists",
                "Differences between lists and events in the last hour: events were lost, or the "
                "AMI user lacks a class in read.",
                "short",
                Query(
                    f"sum by (server) (increase(amiws_state_healed_total{S}[1h])) "
                    f"or 0 * sum by (server) (amiws_state_synchronised{S})",
                    "{{server}}",
                ),
            ),
        ),
    ),
    Row(
        "Clients",
        (
            _graph(
                "Clients",
                "By what they get.",
                "short",
                Query(f"sum by (view) (amiws_clients{I})", "{{view}}"),
                Query(f"sum by (stream) (amiws_api_streams{I})", "stream of {{stream}}"),
            ),
            _graph(
                "Deliveries",
                "Messages given to clients, a second.",
                "short",
                Query(f"sum(rate(amiws_deliveries_total{I}{RATE}))", "deliveries"),
            ),
            _graph(
                "Messages lost by user",
                "Because the user's clients read too slowly.",
                "short",
                Query(
                    f"sum by (user) (increase(amiws_user_lost_messages_total{I}{RATE})) "
                    f"or 0 * sum(amiws_clients{I})",
                    "{{user}}",
                ),
            ),
            _graph(
                "Logins and connections refused",
                "By reason.",
                "short",
                Query(
                    f"sum by (reason) (increase(amiws_logins_refused_total{I}{RATE}))",
                    "login: {{reason}}",
                ),
                Query(
                    f"sum by (limit) (increase(amiws_connections_refused_total{I}{RATE}))",
                    "connection: {{limit}}",
                ),
            ),
            _graph(
                "Actions",
                "Sent to servers, and refused, a second.",
                "short",
                Query(f"sum(rate(amiws_actions_sent_total{I}{RATE}))", "sent"),
                Query(f"sum(rate(amiws_actions_refused_total{I}{RATE}))", "refused"),
            ),
        ),
    ),
    Row(
        "The program",
        (
            _graph(
                "Load of the event loop",
                "Share of one core; near 1 the program is at its limit.",
                "percentunit",
                Query(f"amiws:loop_busy:rate5m{I}", "{{instance}}"),
            ),
            _graph(
                "Longest pause",
                "In which no server was read, of the last minute. Asterisk drops a session that is "
                "not read for 0.1 s.",
                "s",
                Query(f"amiws_reader_pause_seconds{I}", "{{instance}}"),
            ),
            _graph(
                "Memory",
                "Resident.",
                "bytes",
                Query(
                    f"process_resident_memory_bytes{I} and on (instance) amiws_build_info{I}",
                    "{{instance}}",
                ),
            ),
            _graph(
                "Messages dropped",
                "Before any client got them: plugins or the sending were too slow.",
                "short",
                Query(
                    f"sum by (stage) (increase(amiws_messages_dropped_total{I}{RATE}))",
                    "{{stage}}",
                ),
            ),
            _graph(
                "Plugins: faults and losses",
                "Calls of hooks that failed or were dropped, and messages that a plugin lost.",
                "short",
                Query(
                    f"sum by (plugin) (increase(amiws_plugin_faults_total{I}{RATE}))",
                    "{{plugin}} faults",
                ),
                Query(
                    f"sum by (plugin) (increase(amiws_plugin_dropped_calls_total{I}{RATE}))",
                    "{{plugin}} dropped",
                ),
                Query(
                    f"sum by (plugin) (increase(amiws_plugin_lost_messages_total{I}{RATE}))",
                    "{{plugin}} lost",
                ),
            ),
        ),
    ),
)


def _targets(panel: Panel) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend)
        .ref_id("ABCDEF"[number])
        .datasource(DATASOURCE)
        for number, query in enumerate(panel.queries)
    ]


def _stat(panel: Panel, span: int) -> stat.Panel:
    steps = [
        models.Threshold(value=None, color="green"),
    ]
    return (
        stat.Panel()
        .title(panel.title)
        .description(panel.description)
        .datasource(DATASOURCE)
        .unit(panel.unit)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .height(HEIGHT // 2)
        .span(span)
        .targets([target.instant() for target in _targets(panel)])
    )


def _timeseries(panel: Panel, span: int) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.description)
        .datasource(DATASOURCE)
        .unit(panel.unit)
        .min(0)
        .height(HEIGHT)
        .span(span)
        .targets(list(_targets(panel)))
    )
    if panel.stacked:
        stacking = common.StackingConfig().mode(common_models.StackingMode.NORMAL)
        made = made.stacking(stacking).fill_opacity(30)
    return made


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .all_value(".*")
        .multi(True)
        .current(models.VariableOption(text="All", value="$__all"))
    )


def made() -> str:
    """The dashboard as its file has it."""
    board = (
        dashboard.Dashboard("amiws-gevent")
        .uid("amiws-gevent")
        .description("Queues, trunks and clients of Asterisk servers, by amiws-gevent.")
        .tags(["asterisk", "amiws-gevent"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data").type("prometheus"))
        .with_variable(_variable("instance", "Program", "label_values(amiws_build_info, instance)"))
        .with_variable(
            _variable("server", "Server", f"label_values(amiws_server_connected{I}, server)")
        )
        .with_variable(
            _variable("queue", "Queue", f"label_values(amiws_queue_waiting_callers{S}, queue)")
        )
    )
    for row in ROWS:
        board = board.with_row(dashboard.Row(row.title))
        in_line = len(row.panels) if row.panels[0].is_stat else 3 if len(row.panels) % 3 == 0 else 2
        make: Callable[[Panel, int], stat.Panel | timeseries.Panel]
        for panel in row.panels:
            make = _stat if panel.is_stat else _timeseries
            board = board.with_panel(make(panel, WIDTH // in_line))
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(made(), encoding="utf-8")
