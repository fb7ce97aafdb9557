"""Metrics of several processes as one."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.metrics import FAMILIES
from amiws_gevent.metrics.telephony import TALLY_FAMILIES
from amiws_gevent.workers import totals
from amiws_gevent.workers.totals import Totals


def counter(name: str, value: float, **labels: str) -> Any:
    return name, "What it is.", "counter", [(f"{name}_total", labels, value)]


def gauge(name: str, value: float, **labels: str) -> Any:
    return name, "What it is.", "gauge", [(name, labels, value)]


def samples(made: Totals, gauges: dict[str, list[Any]] | None = None) -> dict[Any, float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in made.metrics(gauges or {})
        for sample in metric.samples
    }


def test_counters_are_added_also_those_of_processes_that_have_ended() -> None:
    made = Totals()
    seen = []
    for process, value in (("edge-1", 5), ("edge-2", 7), ("edge-1", 6)):
        made.heard(process, [counter("amiws_gaps", value)])
        seen.append(samples(made)["amiws_gaps_total",])
    made.ended("edge-1")
    seen.append(samples(made)["amiws_gaps_total",])
    made.heard("edge-1", [counter("amiws_gaps", 1)])
    seen.append(samples(made)["amiws_gaps_total",])
    made.ended("edge-1")
    made.ended("edge-1")
    seen.append(samples(made)["amiws_gaps_total",])
    assert seen == [5, 12, 13, 13, 14, 14]


def test_one_that_does_not_answer_still_has_counted() -> None:
    made = Totals()
    told = [counter("amiws_gaps", 5), gauge("amiws_subscriptions", 3)]
    made.heard("edge-1", told)
    assert samples(made, {"edge-1": told}) == {
        ("amiws_gaps_total",): 5,
        ("amiws_subscriptions",): 3,
    }
    assert samples(made, {}) == {("amiws_gaps_total",): 5}


def test_figures_of_the_day_are_those_of_the_process_that_runs() -> None:
    """The live state keeps them itself: over a restart with a file, and until the next day."""
    made = Totals()
    seen = []
    for value in (40, 41, 0):
        told = [counter("amiws_queue_entered", value, queue="sales")]
        made.heard("collector", told)
        seen.append(samples(made, {"collector": told}))
        made.ended("collector")
    key = "amiws_queue_entered_total", ("queue", "sales")
    assert seen == [{key: 40}, {key: 41}, {key: 0}]
    assert samples(made) == {}


def test_gauges_by_what_is_right_for_each() -> None:
    told = {
        f"edge-{number}": [
            gauge("amiws_clients", number, view="v2"),
            gauge("amiws_history_bytes", number),
            gauge("amiws_bus_up", number, process="edge"),
            gauge("process_open_fds", number),
        ]
        for number in (1, 2)
    }
    assert samples(Totals(), told) == {
        ("amiws_clients", ("view", "v2")): 3,
        ("amiws_history_bytes",): 2,
        ("amiws_bus_up", ("process", "edge")): 1,
        ("process_open_fds", ("process", "edge-1")): 1,
        ("process_open_fds", ("process", "edge-2")): 2,
    }


def test_what_is_counted_on_two_sides_counts_once() -> None:
    made = Totals()
    for process, value in (("collector", 5), ("edge-1", 7), ("edge-2", 8)):
        made.heard(
            process,
            [
                counter("amiws_messages_published", value),
                counter("amiws_actions_sent", value),
                counter("amiws_action_replies", value),
                counter("amiws_loop_turns", value),
            ],
        )
    gauges = {
        process: [gauge("amiws_config_last_reload_successful", value)]
        for process, value in (("edge-1", 1), ("supervisor", 0))
    }
    found = samples(made, gauges)
    assert found["amiws_messages_published_total",] == 5
    assert found["amiws_actions_sent_total",] == 5
    assert found["amiws_action_replies_total",] == 7 + 8
    assert found["amiws_loop_turns_total", ("process", "edge-1")] == 7
    assert found["amiws_config_last_reload_successful",] == 0


def test_edges_whose_collector_is_elsewhere() -> None:
    made = Totals(collector=False)
    for process, value in (("edge-1", 7), ("edge-2", 8)):
        names = ("amiws_messages_published", "amiws_actions_sent", "amiws_action_replies")
        made.heard(process, [counter(name, value) for name in names])
    assert samples(made) == {
        ("amiws_messages_published_total",): 7,
        ("amiws_actions_sent_total",): 15,
        ("amiws_action_replies_total",): 15,
    }


@pytest.mark.parametrize(
    "rule",
    [
        "_PER_PROCESS",
        "_OF_ONE",
        "_OF_COLLECTOR",
        "_OF_EDGES",
        "_OF_SUPERVISOR",
        "_OF_DAY",
        "_SUMS",
        "_LEAST",
    ],
)
def test_a_rule_is_for_what_there_is(rule: str) -> None:
    names = {family.name.removesuffix("_total") for family in FAMILIES}
    assert getattr(totals, rule) <= names


def test_all_counters_of_the_live_state_are_figures_of_the_day() -> None:
    names = {family.name for family in TALLY_FAMILIES if family.name.endswith("_total")}
    assert {f"{name}_total" for name in totals._OF_DAY} == names
