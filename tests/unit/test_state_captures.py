"""The live model fed with events alone equals each list that the real servers were asked for.

Only the first list of each kind is given to the model; all later ones are what it must have
come to by itself. A list may be newer than events that come after it (one is, in
queue_abandoned): what it has and the model has not must then come by an event before the next
list of the kind.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.captured import SCENARIOS, SESSIONS, steps
from tests.support.fed import Fed
from tests.support.kinds import KINDS, Fact, facts, model, unlike
from tests.support.state import CAPTURES

PASSING = ("queue_caller", "parked_call", "conference", "participant")


class Played(NamedTuple):
    fed: Fed
    """The model after all events."""
    compared: Counter[str]
    """How many lists of each action."""
    late: list[str]
    """Which of them were newer than the model."""
    wrong: list[str]
    """What was never equal."""


def play(file: Path) -> Played:
    fed, compared, late, wrong = model(), Counter[str](), list[str](), list[str]()
    known: set[str] = set()
    open_: dict[str, list[Fact]] = {}  # by action, what events have still to bring
    for step in steps(file):
        if step.event is not None:
            fed.receive(step.event, after=0.1)
        elif step.action not in known:
            known.add(step.action)
            fed.list(step.action, *step.items, after=0)
        elif step.action in KINDS:
            compared[step.action] += 1
            wrong += [f"{step.action}: {wanted}" for wanted in open_.pop(step.action, [])]
            listed = model()
            listed.list(step.action, *step.items)
            open_[step.action] = facts(listed, KINDS[step.action])
        for action, wanted in list(open_.items()):
            if not unlike(fed, wanted, KINDS[action]):
                del open_[action]
            elif action == step.action:
                late.append(action)
    return Played(fed, compared, late, wrong + [f"at the end: {fact}" for fact in open_.values()])


@pytest.mark.parametrize("file", [*SCENARIOS, *SESSIONS], ids=lambda file: file.stem)
def test_the_model_equals_each_list(file: Path) -> None:
    played = play(file)
    assert played.wrong == []
    assert played.late == (["QueueStatus"] if file.stem == "queue_abandoned" else [])
    assert played.compared.total() >= 1
    assert [kind for kind in PASSING if played.fed.store.keys(kind)] == []


def test_all_scenarios_and_all_kinds_of_lists_are_compared() -> None:
    assert len(SCENARIOS) == 17
    compared = sum((play(file).compared for file in SCENARIOS), Counter[str]())
    assert compared.keys() == KINDS.keys()


def test_two_who_gave_up_are_counted_once_each() -> None:
    fed = play(CAPTURES / "scenarios" / "queue_abandoned.raw").fed
    support = fed.get("queue", "support")
    assert (support["entered"], support["abandoned"], support["answered"]) == (2, 2, 0)
    assert [(caller["name"], caller["number"]) for caller in support["last_abandoned"]] == [
        ("Kunde Drei", "+4930888888"),
        ("Kunde Zwei", "+4930999999"),
    ]


def test_one_who_was_answered_is_counted_once() -> None:
    fed = play(CAPTURES / "scenarios" / "queue_answered.raw").fed
    support = fed.get("queue", "support")
    counts = (support["entered"], support["answered"], support["abandoned"])
    assert (counts, support["longest_wait"]) == ((1, 1, 0), 3)


@pytest.mark.parametrize("name", ["queue_abandoned", "queue_answered"])
def test_the_figures_agree_with_the_servers_own(name: str) -> None:
    file = CAPTURES / "scenarios" / f"{name}.raw"
    own = [
        {key: int(item.get(key) or 0) for key in ("Completed", "Abandoned")}
        for step in steps(file)
        if step.action == "QueueStatus"
        for item in step.items
        if item.name == "QueueParams" and item.get("Queue") == "support"
    ]
    grown = [own[-1][key] - own[0][key] for key in ("Completed", "Abandoned")]
    support = play(file).fed.get("queue", "support")
    assert [support["answered"], support["abandoned"]] == grown


def test_a_conference_is_told_while_it_is() -> None:
    fed, most = model(), 0
    for step in steps(CAPTURES / "scenarios" / "conference.raw"):
        if step.event is not None:
            fed.receive(step.event)
            rooms = fed.store.of("conference").values()
            most = max([most, *(room["parties"] for room in rooms)])
            assert sum(room["parties"] for room in rooms) == len(fed.store.keys("participant"))
    assert most == 3
