"""A step of a list takes as long for a long list as for a short one: others may run in between."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from amiws_gevent.ami import Message
from amiws_gevent.state.part import Steps
from tests.support.listed import LISTS
from tests.support.state import World

FEW = 500
"""Lines of Python that a step may take: some 50 µs."""


def longest(steps: Steps) -> int:
    """The lines that the longest step takes; each turn of a loop counts."""
    lines = 0

    def count(frame: FrameType, what: str, arg: Any) -> Callable[..., Any]:
        nonlocal lines
        lines += what == "line"
        return count

    found = []
    before = sys.gettrace()  # of a measurement of coverage
    sys.settrace(count)
    try:
        for _ in steps:
            found.append(lines)
            lines = 0
    finally:
        sys.settrace(before)
    return max([*found, lines])


def fed(world: World, count: int, *, without: str = "") -> World:
    """A world that all lists have told of so many things."""
    for action, items in LISTS.items():
        if action != without:
            world.listed(action, items(count))
    return world


def take(world: World, action: str, items: list[Message]) -> int:
    world.offset += 1
    world.model.begin(world.offset, world.now)
    return longest(world.model.receive_list(action, items, world.offset - 1))


def longest_of(action: str, count: int) -> list[int]:
    """Of lists of which all is new, nothing is, most is gone, some is new, all is gone."""
    world, items = World(), LISTS[action](count)
    fed(world, count, without=action)
    return [take(world, action, given) for given in (items, items, items[:5], items, [])]


@pytest.mark.parametrize("action", LISTS)
def test_a_step_of_a_list_is_short_however_long_the_list(action: str) -> None:
    few, many = longest_of(action, 30), longest_of(action, 300)
    assert max(many) < FEW
    for short, long in zip(few, many, strict=True):
        assert long <= short + 30


def test_all_is_forgotten_in_short_steps() -> None:
    world = World()
    fed(world, 300)
    for part in world.model.parts:
        assert longest(part.reset()) < 200
    kinds = {"channel", "bridge", "call", "queue_member", "hint", "device", "peer", "contact"}
    assert all(world.store.of(kind) == {} for kind in kinds)
