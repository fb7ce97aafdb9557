"""Metrics of the event loop, of plugins and of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric

from amiws_gevent.metrics.measured import Family, Measured, Values
from amiws_gevent.plugins.manager import RunningPlugin


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


FAMILIES = (
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
        "amiws_plugin_lost_messages_total",
        "Messages that the plugin took and then lost: its disk was full, or its receiver was away "
        "or refused them.",
        ("plugin",),
        _by_plugin(lambda plugin: plugin.desk.losses.value),
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
        "Log lines that syslog did not accept; 0 where there is none, and standard error has them.",
        (),
        lambda measured: measured.log.lost if measured.log else 0,
    ),
)
