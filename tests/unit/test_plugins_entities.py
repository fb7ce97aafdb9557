"""Entities through `amiws_transform_entity`, whatever the hook does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.plugins.chain import MessageHook
from amiws_gevent.plugins.entities import (
    TRANSFORM_ENTITY,
    EntityChain,
    EntitySteps,
    copied,
    keeps_state_back,
)
from amiws_gevent.plugins.guard import OVERRUNS_TO_SUSPEND, PluginState
from amiws_gevent.runtime.log import LogLimiter
from tests.support.patience import WAIT
from tests.support.plugins import SERVER, entry

Hook = Callable[[Entity, ServerInfo], Any]


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hooks: list[MessageHook] = []

    def add(self, hook: Hook, *, required: bool = False, timeout: float = 30.0) -> PluginState:
        made = entry(
            self.folder, "def amiws_reload(): pass", required=required, hook_timeout=timeout
        )
        state = PluginState(made, name=f"p{len(self.hooks)}", limiter=LogLimiter())
        self.hooks.append(MessageHook(state, hook))
        return state

    def run(self, *entities: Entity) -> list[Entity]:
        with gevent.Timeout(WAIT):
            return EntityChain(EntitySteps(self.hooks)).run(entities, SERVER)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def call(key: str = "1.1", **fields: Any) -> Entity:
    ringing = [{"number": "201", "name": "Anna"}]
    return {"server": 1, "kind": "call", "id": key, "ringing": ringing, **fields}


def test_without_a_hook_all_is_shown(site: Site) -> None:
    assert site.run(call(), call("2.2")) == [call(), call("2.2")]


def test_each_hook_sees_what_the_one_before_made(site: Site) -> None:
    site.add(lambda entity, server: {**entity, "tag": server.name})
    site.add(lambda entity, server: None)
    site.add(lambda entity, server: {**entity, "tag": entity["tag"] + "2"})
    assert site.run(call()) == [call(tag="pbx2")]


def test_what_names_an_entity_stays(site: Site) -> None:
    site.add(lambda entity, server: {"server": 9, "kind": "x", "id": "y", "phase": "talking"})
    assert site.run(call()) == [{"server": 1, "kind": "call", "id": "1.1", "phase": "talking"}]


def test_a_hook_gets_a_copy_that_it_cannot_reach_the_state_through(site: Site) -> None:
    kept: list[Entity] = []

    def keep(entity: Entity, server: ServerInfo) -> Entity:
        kept.append(entity)
        entity["ringing"][0]["number"] = "***"
        return entity

    site.add(keep)
    given = call()
    (shown,) = site.run(given)
    assert given == call()
    assert shown["ringing"][0]["number"] == "***"
    kept[0]["ringing"][0]["number"] = "bare"
    assert shown["ringing"][0]["number"] == "***"


def in_place(entity: Entity, server: ServerInfo) -> None:
    entity["ringing"][0]["number"] = "***"


def deep(entity: Entity, server: ServerInfo) -> Entity:
    mine: list[Any] = []
    mine.append(mine)
    return {"mine": mine}


def raising(entity: Entity, server: ServerInfo) -> Entity:
    raise SystemExit


class Odd(dict[str, Any]):
    def items(self) -> Any:
        raise OSError


FAULTS: dict[str, Hook] = {
    "raises": raising,
    "changes in place": in_place,
    "a text": lambda entity, server: "x",
    "a list": lambda entity, server: [entity],
    "true": lambda entity, server: True,
    "false": lambda entity, server: False,
    "an object within": lambda entity, server: {"a": [object()]},
    "a name that is no text": lambda entity, server: {5: "x"},
    "a name that is no text, within": lambda entity, server: {"a": {5: "x"}},
    "itself within": deep,
    "a dict of its own": lambda entity, server: Odd(entity),
    "bytes": lambda entity, server: {"a": b"x"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_an_entity_as_it_is(site: Site, fault: str) -> None:
    state = site.add(FAULTS[fault])
    site.add(lambda entity, server: {**entity, "seen": True})
    assert site.run(call()) == [call(seen=True)]
    assert state.faults == {TRANSFORM_ENTITY: 1}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_required_plugin_keeps_an_entity_back(site: Site, fault: str) -> None:
    asked: list[str] = []
    hook = FAULTS[fault]
    site.add(lambda e, s: hook(e, s) if e["id"] == "bad" else None, required=True)
    site.add(lambda entity, server: asked.append(entity["id"]))
    assert [entity["id"] for entity in site.run(call("a"), call("bad"), call("b"))] == ["a", "b"]
    assert asked == ["a", "b"]


def test_a_hook_that_waits_is_cut_off_and_suspended(site: Site) -> None:
    state = site.add(lambda entity, server: gevent.sleep(100), timeout=0.01)
    entities = [call(str(number)) for number in range(OVERRUNS_TO_SUSPEND + 3)]
    assert site.run(*entities) == entities
    assert state.faults == {TRANSFORM_ENTITY: OVERRUNS_TO_SUSPEND}
    assert state.suspended


def test_what_a_required_plugin_waits_with_is_not_shown(site: Site) -> None:
    state = site.add(lambda entity, server: gevent.sleep(100), required=True, timeout=0.01)
    assert site.run(call(), call("2.2")) == []
    assert not state.suspended


def test_a_copy_shares_nothing_that_can_be_changed() -> None:
    given = {"way": [{"what": "rang", "who": ["1"]}], "n": 1}
    made = copied(given)
    made["way"][0]["who"].append("2")
    assert given == {"way": [{"what": "rang", "who": ["1"]}], "n": 1}


@pytest.mark.parametrize(
    ("hooks", "keeps"),
    [
        (["amiws_transform_message"], True),
        (["amiws_transform_message", "amiws_transform_entity"], False),
        (["amiws_filter_message"], False),
        (["amiws_transform_entity"], False),
    ],
)
def test_who_hides_in_messages_alone_keeps_the_state_back(hooks: list[str], keeps: bool) -> None:
    assert keeps_state_back(hooks) is keeps
