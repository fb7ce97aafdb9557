"""Metrics of several processes as one: each number once, and counters that never go back.

A process tells what it counts from its own start on. What one had counted that has ended is
kept, and added to what its successor counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import Metric

from amiws_gevent.config.fields import COLLECTOR

LABEL = "process"
SUPERVISOR = "supervisor"
FIRST_EDGE = "edge-1"

_PER_PROCESS = frozenset(
    {
        "amiws_reader_pause_seconds",
        "amiws_reader_pause_longest_seconds",
        "amiws_reader_long_pauses",
        "amiws_loop_busy_seconds",
        "amiws_loop_turns",
    }
)
"""Of these, and of those of ``process_``, each process has its own, with a label that names it."""

_OF_ONE = frozenset({"amiws_messages_published"})
"""Counted at each process once more, as a part of the way. If the collector is elsewhere, the
first edge tells it."""

_OF_COLLECTOR = frozenset({"amiws_actions_sent"})
"""Counted at edges once more, if the collector is here."""

_OF_SUPERVISOR = frozenset(
    {
        "amiws_config_last_reload_successful",
        "amiws_config_last_reload_success_timestamp_seconds",
    }
)
"""It is the supervisor that reads the file."""

_OF_EDGES = frozenset({"amiws_actions_refused", "amiws_action_replies", "amiws_actions_pending"})
"""Counted at the collector once more, which does them for edges."""

_OF_DAY = frozenset(
    {
        "amiws_queue_entered",
        "amiws_queue_answered",
        "amiws_queue_answered_in_level",
        "amiws_queue_abandoned",
    }
)
"""Counters that are part of the live state: they begin anew each day, and with a state_file the
next process goes on with them. So nothing is kept of a process that has ended."""

_SUMS = frozenset(
    {
        "amiws_server_pending_bytes",
        "amiws_hub_pending_bytes",
        "amiws_clients",
        "amiws_clients_compressed",
        "amiws_api_streams",
        "amiws_subscriptions",
        "amiws_subscriptions_behind",
        "amiws_client_pending_bytes",
        "amiws_connections",
        "amiws_actions_pending",
        "amiws_audit_pending_records",
    }
)
"""Gauges that are added. Of others the largest counts: those with a limit, which each process has
for itself, and those that are 1 or 0."""

_LEAST = frozenset({"amiws_bus_up"})
"""Gauges of which the smallest counts: all is well only if it is so everywhere."""

_COUNTER = "counter"

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, str, Labels]
"""Family, sample, labels."""


Family = tuple[str, str, str, list[tuple[str, dict[str, str], float]]]
"""A metric as a process tells it: name, help, type; of each sample its name, labels and value."""


def told(metrics: Iterable[Metric]) -> list[Family]:
    """Metrics as plain data, for the channel."""
    return [
        (
            metric.name,
            metric.documentation,
            metric.type,
            [(sample.name, sample.labels, sample.value) for sample in metric.samples],
        )
        for metric in metrics
    ]


class Totals:
    """Keeps what processes have counted, by their names; ``collector``: whether one is here."""

    def __init__(self, *, collector: bool = True) -> None:
        self._collector = collector
        self._counted: dict[str, dict[Key, float]] = {}
        self._before: dict[str, dict[Key, float]] = {}
        self._families: dict[str, tuple[str, str]] = {}

    def heard(self, process: str, families: Iterable[Any]) -> None:
        """What a running one counts now."""
        counted: dict[Key, float] = {}
        for name, help_text, kind, samples in families:
            self._families.setdefault(name, (help_text, kind))
            if _is_kept(name, kind) and self._is_counted(name, process):
                for sample, labels, value in samples:
                    counted[name, sample, _labels(name, process, labels)] = value
        self._counted[process] = counted

    def ended(self, process: str) -> None:
        """It has ended; the next one of this name begins with 0."""
        kept = self._before.setdefault(process, {})
        for key, value in self._counted.pop(process, {}).items():
            kept[key] = kept.get(key, 0) + value

    def metrics(self, gauges: Mapping[str, Iterable[Any]]) -> list[Metric]:
        """All that is kept, and the rest of what processes that answered have said just now."""
        made: dict[str, Metric] = {}
        for (name, sample, labels), value in self._sums().items():
            self._metric(made, name).add_sample(sample, dict(labels), value)
        for (name, sample, labels), value in self._gauges(gauges).items():
            self._metric(made, name).add_sample(sample, dict(labels), value)
        return [made[name] for name in sorted(made)]

    def _is_counted(self, name: str, process: str) -> bool:
        """Whether a process tells this for the whole."""
        if name in _OF_SUPERVISOR:
            return process == SUPERVISOR
        if name in _OF_ONE:
            return process == (COLLECTOR if self._collector else FIRST_EDGE)
        if name in _OF_COLLECTOR and self._collector:
            return process == COLLECTOR
        return process != COLLECTOR or name not in _OF_EDGES

    def _metric(self, made: dict[str, Metric], name: str) -> Metric:
        if name not in made:
            made[name] = Metric(name, *self._families[name])
        return made[name]

    def _sums(self) -> dict[Key, float]:
        sums: dict[Key, float] = {}
        for part in (*self._before.values(), *self._counted.values()):
            for key, value in part.items():
                sums[key] = sums.get(key, 0) + value
        return sums

    def _gauges(self, told: Mapping[str, Iterable[Any]]) -> dict[Key, float]:
        found: dict[Key, float] = {}
        for process, families in told.items():
            for name, help_text, kind, samples in families:
                self._families.setdefault(name, (help_text, kind))
                if _is_kept(name, kind) or not self._is_counted(name, process):
                    continue
                join = _join(name)
                for sample, labels, value in samples:
                    key = name, sample, _labels(name, process, labels)
                    found[key] = join(found[key], value) if key in found else value
        return found


def _is_kept(name: str, kind: str) -> bool:
    """Whether what a process has counted still counts when it has ended."""
    return kind == _COUNTER and name not in _OF_DAY


def _labels(name: str, process: str, labels: Mapping[str, str]) -> Labels:
    own = name in _PER_PROCESS or name.startswith("process_")
    return tuple(sorted(({**labels, LABEL: process} if own else labels).items()))


def _join(name: str) -> Callable[[float, float], float]:
    if name in _SUMS:
        return _sum
    return min if name in _LEAST else max


def _sum(one: float, other: float) -> float:
    return one + other
