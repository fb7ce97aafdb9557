"""What a soak finds wrong with what a client was told."""

from __future__ import annotations

from typing import Any

import pytest

from soak.follower import judge
from soak.ledger import LASTING, Ledger, needless
from tests.support.clock import Clock


def event(mark: str, **more: Any) -> dict[str, Any]:
    return {"op": "event", "message": {"data": {"Mark": mark}}, **more}


def gap(*server: int, stream: str = "events") -> dict[str, Any]:
    told: dict[str, Any] = {"op": "gap", "stream": stream, "reason": "history"}
    return {**told, "server": server[0]} if server else told


def state(*, put: Any = (), unset: Any = ()) -> dict[str, Any]:
    return {"op": "state", "set": list(put), "unset": list(unset)}


def channel(key: str, server: int = 1, **fields: Any) -> dict[str, Any]:
    return {"server": server, "kind": "channel", "id": key, **fields}


def told(*messages: dict[str, Any]) -> list[str]:
    ledger = Ledger("client")
    for message in messages:
        ledger.take(message)
    return ledger.faults


@pytest.mark.parametrize(
    "messages",
    [
        (event("1/0/7"), event("1/0/8"), event("2/3/0"), event("1/0/9")),
        (event("1/0/7"), gap(1), event("1/0/9")),
        (event("1/0/7"), gap(), event("1/2/0"), event("1/2/1")),
        ({"op": "event", "message": {"data": {"Event": "Hangup"}}},),
    ],
)
def test_in_order_or_told_as_a_gap(messages: tuple[dict[str, Any], ...]) -> None:
    assert told(*messages) == []


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ((event("1/0/7"), event("1/0/9")), "no gap was told"),
        ((event("1/0/7"), gap(2), event("1/0/9")), "no gap was told"),
        ((event("1/0/7"), gap(1, stream="state"), event("1/0/9")), "no gap was told"),
        ((event("1/0/7"), gap(1), event("1/0/8"), event("1/1/0")), "no gap was told"),
        ((event("1/0/7"), event("1/0/7")), "twice, or out of order"),
        ((event("1/0/7"), gap(1), event("1/0/7")), "twice, or out of order"),
        ((event("1/1/7"), gap(1), event("1/0/99")), "two have published"),
    ],
)
def test_what_is_a_fault(messages: tuple[dict[str, Any], ...], fault: str) -> None:
    (found,) = told(*messages)
    assert fault in found


def test_who_comes_back_stands_at_the_last_position() -> None:
    ledger = Ledger("client")
    for message in (event("1/0/0"), event("1/0/1", position="p"), event("1/0/2"), gap(1)):
        ledger.take(message)
    ledger.lost()
    assert ledger.position == "p"
    ledger.take(event("1/0/2", position="q"))
    assert ledger.faults == []
    ledger.lost()
    ledger.take(event("1/0/4"))
    assert len(ledger.faults) == 1


def test_who_has_no_position_may_have_missed_anything() -> None:
    ledger = Ledger("client")
    ledger.take(event("1/0/0"))
    ledger.lost()
    ledger.begins_anew()
    ledger.take(event("1/0/5"))
    assert ledger.faults == []


def test_the_state_is_kept_and_what_is_there_must_not_be_taken_away() -> None:
    ledger = Ledger("client")
    ledger.take(state(put=[channel("1.1", state="ring"), channel(f"{LASTING}1")]))
    ledger.take(state(put=[channel("1.1", caller="2")], unset=[channel(f"{LASTING}1")]))
    assert ledger.entities == {(1, "channel", "1.1"): channel("1.1", state="ring", caller="2")}
    assert "taken away" in ledger.faults[0]
    for page, items in ((1, [channel("a")]), (2, [channel("b", server=0)])):
        ledger.take({"op": "snapshot", "page": page, "pages": 2, "items": items})
    assert ledger.channels(1) == {"a"}
    assert ledger.of_servers() == {(1, "channel", "a"): channel("a")}


def test_how_long_nothing_came() -> None:
    clock = Clock()
    ledger = Ledger("client", clock)
    ledger.take(event("1/0/0"))
    clock.now += 5
    ledger.take(event("2/0/0"))
    clock.now += 2
    ledger.take(event("1/0/1"))
    assert ledger.longest_silence == 7


@pytest.mark.parametrize(
    ("outcome", "done", "wrong"),
    [
        ("answered", 1, False),
        ("answered", 0, True),
        ("answered", 2, True),
        ("unreachable", 0, False),
        ("unreachable", 1, True),
        ("too_many_actions", 1, True),
        ("unknown", 0, False),
        ("unknown", 1, False),
        ("unknown", 2, True),
        (None, 1, False),
        (None, 2, True),
    ],
)
def test_what_became_of_an_action(outcome: str | None, done: int, wrong: bool) -> None:
    assert bool(judge(outcome, done)) is wrong


def test_a_gap_is_for_each_move() -> None:
    twice = {("events", 1, "history"): 2}
    assert list(needless(twice, {1: 2, 2: 1})) == []
    assert list(needless({}, {1: 2})) == []
    for told, moves in (
        (twice, {1: 1, 2: 1}),
        (twice, {}),
        ({("state", 1, "future"): 1}, {1: 1}),
        ({("events", -1, "unknown"): 1}, {1: 1}),
    ):
        assert len(list(needless(told, moves))) == 1
