"""What is told of all processes together: metrics and readiness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder

from amiws_gevent.config.fields import COLLECTOR
from amiws_gevent.reload import LastReload
from amiws_gevent.workers.keeper import Keeper
from amiws_gevent.workers.team import AllKeepers, Answer, Team, ask_one
from amiws_gevent.workers.totals import SUPERVISOR, Family, Totals, told

ASK_TIME = 2.0
"""Seconds in which a process has to say what it counts."""

KEEP_ROUNDS = 3
"""Every so many pings a process is asked what it has counted, for the case that it dies."""


class Metrics:
    """Of a team, with a ``collector`` or without, and of what belongs to it, such as Redis."""

    def __init__(self, last: LastReload, *, collector: bool) -> None:
        self._last = last
        self._totals = Totals(collector=collector)
        self._rounds: dict[str, int] = {}

    def look(self, keeper: AllKeepers) -> None:
        """Now and then, ask a process what it has counted; for `Keeper.on_look`."""
        rounds = self._rounds[keeper.name] = self._rounds.get(keeper.name, 0) + 1
        if rounds % KEEP_ROUNDS == 0:
            self._take([ask_one(keeper, "metrics", timeout=ASK_TIME)])

    def ended(self, name: str) -> None:
        """A process has ended; for `Keeper.on_ended`."""
        self._totals.ended(name)

    def render(self, team: Team, others: Sequence[Keeper[Any]], accept: str) -> tuple[str, str]:
        """All metrics and their content type, by the ``Accept`` header of the request."""
        gauges = self._take(team.ask("metrics", timeout=ASK_TIME))
        own = self._own([*team.keepers, *others])
        self._totals.heard(SUPERVISOR, own)
        gauges[SUPERVISOR] = own
        for keeper in others:
            if keeper.process is not None:
                gauges[keeper.name] = told(_process_metrics(keeper.process.pid))
                self._totals.heard(keeper.name, gauges[keeper.name])
        encode, content_type = choose_encoder(accept)
        return encode(_Made(self._totals.metrics(gauges))).decode(), content_type

    def _take(self, answers: Iterable[Answer]) -> dict[str, Iterable[Any]]:
        """Note what has come of processes that still run."""
        found: dict[str, Iterable[Any]] = {}
        for answer in answers:
            if answer.error is None and answer.is_current:
                self._totals.heard(answer.keeper.name, answer.data)
                found[answer.keeper.name] = answer.data
        return found

    def _own(self, keepers: Sequence[Keeper[Any]]) -> list[Family]:
        """What the supervisor knows."""
        last = self._last
        return [
            (
                "amiws_config_last_reload_successful",
                "1 if the last reload was applied, else 0; the start counts as a reload.",
                "gauge",
                [("amiws_config_last_reload_successful", {}, float(last.applied))],
            ),
            (
                "amiws_config_last_reload_success_timestamp_seconds",
                "Unix time at which the current configuration was applied.",
                "gauge",
                [("amiws_config_last_reload_success_timestamp_seconds", {}, last.applied_at)],
            ),
            (
                "amiws_worker_up",
                "1 while the process serves and answers, else 0.",
                "gauge",
                [
                    ("amiws_worker_up", {"process": keeper.name}, float(keeper.heard.is_set()))
                    for keeper in keepers
                ],
            ),
            (
                "amiws_worker_restarts",
                "How often the process was started again.",
                "counter",
                [
                    ("amiws_worker_restarts_total", {"process": keeper.name}, keeper.restarts)
                    for keeper in keepers
                ],
            ),
            *told(_process_metrics("self")),
        ]


class _Made:
    """Metrics that are made, as an encoder wants them."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _process_metrics(pid: int | str) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def readiness_of_all(team: Team, answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Of what processes have said, by name: the fields of one `Readiness`.

    All is ready if the collector is and at least one edge.
    """
    edges = {name: data for name, data in answers.items() if name != COLLECTOR}
    collector = answers.get(COLLECTOR)
    truth = collector or next(iter(edges.values()), {})
    up = any(data["bus"]["up"] for data in edges.values())
    if team.collector is not None:
        up = up and collector is not None and collector["bus"]["up"]
    reasons = {
        keeper.name: answers[keeper.name]["bus"]["reason"]
        if keeper.name in answers
        else "it is not there, or does not answer"
        for keeper in team.keepers
    }
    return {
        "listening": any(data["listening"] for data in edges.values()),
        "servers": truth.get("servers", ()),
        "audit": truth.get("audit"),
        "bus": {
            "process": SUPERVISOR,
            "up": up,
            "reason": "; ".join(f"{name}: {why}" for name, why in reasons.items() if why),
            "lag": max((data["bus"].get("lag", 0) for data in edges.values()), default=0),
            "restarts": sum(keeper.restarts for keeper in team.keepers),
        },
    }
