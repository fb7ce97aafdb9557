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

# The series that are chosen at the top of the dashboard, for metrics of the program as a whole, of
# each server, and of each queue.
CHOSEN = '{instance=~"$instance"}'
OF_SERVERS = '{instance=~"$instance",server=~"$server"}'
OF_QUEUES = '{instance=~"$instance",server=~"$server",queue=~"$queue"}'

SERVER, QUEUE, TRUNK = "{{server}}", "{{server}} {{queue}}", "{{server}} {{trunk}}"  # legends
INTERVAL = "[$__rate_interval]"


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
    bad_from: float | None = None
    """From where on a figure is red."""


class Row(NamedTuple):
    title: str
    panels: tuple[Panel, ...]


def _graph(
    title: str, description: str, *queries: Query, unit: str = "short", stacked: bool = False
) -> Panel:
    return Panel(title, description, unit, queries, stacked=stacked)


def _figure(
    title: str, description: str, expr: str, *, unit: str = "short", bad_from: float | None = None
) -> Panel:
    queries = (Query(expr, ""),)
    return Panel(title, description, unit, queries, is_stat=True, bad_from=bad_from)


def _rate(counter: str) -> str:
    """How much of it there is a second."""
    return f"sum(rate({counter}{CHOSEN}{INTERVAL}))"


def _increase(counter: str, label: str) -> str:
    """How many have come, by a label."""
    return f"sum by ({label}) (increase({counter}{CHOSEN}{INTERVAL}))"


ROWS = (
    Row(
        "Now",
        (
            _figure(
                "Servers not connected",
                "Asterisk servers to which amiws-gevent is not logged in.",
                f"sum(1 - amiws_server_connected{OF_SERVERS})",
                bad_from=1,
            ),
            _figure(
                "Callers who wait",
                "In all queues that are chosen.",
                f"sum(amiws_queue_waiting_callers{OF_QUEUES})",
            ),
            _figure(
                "Longest wait now",
                "Of the caller who waits longest.",
                f"max(amiws_queue_longest_wait_seconds{OF_QUEUES})",
                bad_from=300,
                unit="s",
            ),
            _figure(
                "Members who are free",
                "They could take a call: idle and not paused.",
                f"sum(amiws_queue_members_free{OF_QUEUES})",
            ),
            _figure(
                "Trunks that are down",
                "The server cannot reach them, or does not know that it can.",
                f"sum(amiws_trunk_down{OF_SERVERS})",
                bad_from=1,
            ),
            _figure("Clients", "Connected now, by WebSocket.", f"sum(amiws_clients{CHOSEN})"),
        ),
    ),
    Row(
        "Queues",
        (
            _graph(
                "Callers who wait",
                "By queue.",
                Query(f"amiws_queue_waiting_callers{OF_QUEUES}", QUEUE),
            ),
            _graph(
                "Longest wait",
                "How long the one has waited who waits longest, by queue.",
                Query(f"amiws_queue_longest_wait_seconds{OF_QUEUES}", QUEUE),
                unit="s",
            ),
            _graph(
                "Members by state",
                "Of all queues that are chosen, by the state of their device. A member of two "
                "queues counts twice.",
                Query(f"sum by (state) (amiws_queue_members{OF_QUEUES})", "{{state}}"),
                stacked=True,
            ),
            _graph(
                "Members who are paused or free",
                "Of all queues that are chosen.",
                Query(f"sum(amiws_queue_members_paused{OF_QUEUES})", "paused"),
                Query(f"sum(amiws_queue_members_free{OF_QUEUES})", "free"),
            ),
            _graph(
                "Callers by hour",
                "Who came, was answered, and hung up while waiting, in the hour before.",
                Query(f"sum(amiws:queue_entered:increase1h{OF_QUEUES})", "entered"),
                Query(f"sum(amiws:queue_answered:increase1h{OF_QUEUES})", "answered"),
                Query(f"sum(amiws:queue_abandoned:increase1h{OF_QUEUES})", "abandoned"),
            ),
            _graph(
                "Answered in time",
                "Of today's answered callers those who had waited for queue_service_level at most.",
                Query(f"amiws:queue_service_level:ratio{OF_QUEUES}", QUEUE),
                unit="percentunit",
            ),
        ),
    ),
    Row(
        "Trunks",
        (
            _graph(
                "Calls",
                "That came or went through the trunk, and are not over.",
                Query(f"amiws_trunk_calls{OF_SERVERS}", TRUNK),
            ),
            _graph(
                "Down",
                "1 for a trunk that the server cannot reach, and for a registration that failed.",
                Query(f"amiws_trunk_down{OF_SERVERS}", TRUNK),
                Query(
                    f"amiws_registration_down{OF_SERVERS}",
                    "{{server}} registration {{registration}}",
                ),
            ),
            _graph(
                "Latency",
                "How long the trunk took to answer the server (qualify).",
                Query(f"amiws_trunk_latency_seconds{OF_SERVERS}", TRUNK),
                unit="s",
            ),
        ),
    ),
    Row(
        "Servers",
        (
            _graph(
                "Connected, and the state up to date",
                "1 for yes.",
                Query(f"amiws_server_connected{OF_SERVERS}", "{{server}} connected"),
                Query(f"amiws_state_synchronised{OF_SERVERS}", "{{server}} up to date"),
            ),
            _graph(
                "Messages received",
                "From each server, a second.",
                Query(
                    f"sum by (server) (rate(amiws_messages_received_total{OF_SERVERS}{INTERVAL}))",
                    SERVER,
                ),
            ),
            _graph(
                "Put right by lists",
                "Differences between lists and events in the last hour: events were lost, or the "
                "AMI user lacks a class in read.",
                Query(
                    f"sum by (server) (increase(amiws_state_healed_total{OF_SERVERS}[1h])) "
                    f"or 0 * sum by (server) (amiws_state_synchronised{OF_SERVERS})",
                    SERVER,
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
                Query(f"sum by (view) (amiws_clients{CHOSEN})", "{{view}}"),
                Query(f"sum by (stream) (amiws_api_streams{CHOSEN})", "stream of {{stream}}"),
            ),
            _graph(
                "Deliveries",
                "Messages given to clients, a second.",
                Query(_rate("amiws_deliveries_total"), "deliveries"),
            ),
            _graph(
                "Messages lost by user",
                "Because the user's clients read too slowly.",
                Query(
                    f"sum by (user) (increase(amiws_user_lost_messages_total{CHOSEN}{INTERVAL})) "
                    f"or 0 * sum(amiws_clients{CHOSEN})",
                    "{{user}}",
                ),
            ),
            _graph(
                "Logins and connections refused",
                "By reason.",
                Query(
                    _increase("amiws_logins_refused_total", "reason"),
                    "login: {{reason}}",
                ),
                Query(
                    _increase("amiws_connections_refused_total", "limit"),
                    "connection: {{limit}}",
                ),
            ),
            _graph(
                "Actions",
                "Sent to servers, and refused, a second.",
                Query(_rate("amiws_actions_sent_total"), "sent"),
                Query(_rate("amiws_actions_refused_total"), "refused"),
            ),
        ),
    ),
    Row(
        "The program",
        (
            _graph(
                "Load of the event loop",
                "Share of one core; near 1 the program is at its limit.",
                Query(f"amiws:loop_busy:rate5m{CHOSEN}", "{{instance}}"),
                unit="percentunit",
            ),
            _graph(
                "Longest pause",
                "In which no server was read, of the last minute. Asterisk drops a session that is "
                "not read for 0.1 s.",
                Query(f"amiws_reader_pause_seconds{CHOSEN}", "{{instance}}"),
                unit="s",
            ),
            _graph(
                "Memory",
                "Resident.",
                Query(
                    f"process_resident_memory_bytes{CHOSEN} "
                    f"and on (instance) amiws_build_info{CHOSEN}",
                    "{{instance}}",
                ),
                unit="bytes",
            ),
            _graph(
                "Messages dropped",
                "Before any client got them: plugins or the sending were too slow.",
                Query(
                    _increase("amiws_messages_dropped_total", "stage"),
                    "{{stage}}",
                ),
            ),
            _graph(
                "Plugins: faults and losses",
                "Calls of hooks that failed or were dropped, and messages that a plugin lost.",
                Query(
                    _increase("amiws_plugin_faults_total", "plugin"),
                    "{{plugin}} faults",
                ),
                Query(
                    _increase("amiws_plugin_dropped_calls_total", "plugin"),
                    "{{plugin}} dropped",
                ),
                Query(
                    _increase("amiws_plugin_lost_messages_total", "plugin"),
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
    steps = [models.Threshold(value=None, color="green")]
    if panel.bad_from is not None:
        steps.append(models.Threshold(value=panel.bad_from, color="red"))
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
            _variable("server", "Server", f"label_values(amiws_server_connected{CHOSEN}, server)")
        )
        .with_variable(
            _variable(
                "queue", "Queue", f"label_values(amiws_queue_waiting_callers{OF_SERVERS}, queue)"
            )
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
