"""Answers to actions of the classic socket."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.audit.awaited import Awaited
from amiws_gevent.plugins.api import ClientInfo
from tests.support.audited import MemoryTrail

ANN = ClientInfo("192.0.2.7:1", "ann", "classic")


def said(action_id: str, response: str = "Success", **more: str) -> Message:
    return Message(Kind.RESPONSE, {"Response": response, "ActionID": action_id, **more})


@pytest.fixture
def trail() -> MemoryTrail:
    return MemoryTrail()


def results(trail: MemoryTrail) -> list[tuple[Any, ...]]:
    return [(one["server"], one["outcome"], one.get("reason")) for one in trail.told("reply")]


def test_each_has_its_own(trail: MemoryTrail) -> None:
    awaited = Awaited()
    for server in (1, 2):
        awaited.add(server, "a", trail.action(ANN, "Ping", [], [server]))
    event = Message(Kind.EVENT, {"Event": "X", "ActionID": "a"})
    awaited.heard(2, [event, said("other"), said("a", "Error", Message="No such queue")])
    assert results(trail) == [(2, "refused", "No such queue")]
    awaited.heard(1, [said("a")])
    awaited.heard(1, [said("a")])
    assert results(trail)[1:] == [(1, "answered", None)]
    assert len(awaited) == 0


def test_the_same_id_again_is_answered_in_order(trail: MemoryTrail) -> None:
    awaited = Awaited()
    refs = []
    for _ in range(2):
        awaited.add(1, "a", trail.action(ANN, "Ping", [], [1]))
        refs.append(trail.told("action")[-1]["ref"])
    awaited.heard(1, [said("a"), said("a", "Error")])
    assert [one["ref"] for one in trail.told("reply")] == refs
    assert [one["outcome"] for one in trail.told("reply")] == ["answered", "refused"]


def test_memory_is_bounded(trail: MemoryTrail) -> None:
    awaited = Awaited(most=10)
    for number in range(50):
        awaited.add(1, str(number), trail.action(ANN, "Ping", [], [1]))
    assert len(awaited) == 10
    awaited.heard(1, [said("0"), said("49")])
    assert len(trail.told("reply")) == 1
    for _ in range(50):
        awaited.add(1, "same", trail.action(ANN, "Ping", [], [1]))
    assert len(awaited) <= 10
