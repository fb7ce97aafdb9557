"""Conditions that begin to hold, hold for long enough, end, and begin again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gevent
import pytest
from amiws_plugins._matching import ServerSet
from amiws_plugins.webhook.condition import Condition, parse_condition
from amiws_plugins.webhook.watch import Watch

from amiws_gevent.plugins import ServerInfo, StateChanges
from tests.support.clock import Clock
from tests.support.greenlets import until

PBX = ServerInfo(1, "pbx", False)
OTHER = ServerInfo(2, "branch", False)


class Site:
    def __init__(self, *conditions: str, pause: float = 60.0, servers: str = "") -> None:
        self.clock = Clock()
        self.told: list[tuple[str, str, Any]] = []
        self.watch = Watch(
            [parse_condition(text) for text in conditions],
            ServerSet([servers] if servers else []),
            self.tell,
            pause=pause,
            clock=self.clock,
        )

    def tell(self, condition: Condition, server: ServerInfo, entity: Mapping[str, Any]) -> None:
        self.told.append((server.name, entity["id"], entity.get("waiting")))

    def waiting(self, key: str, number: int | None, server: ServerInfo = PBX) -> None:
        """So many wait in a queue; None: there is no such queue any more."""
        entity = {"server": server.id, "kind": "queue", "id": key}
        if number is None:
            self.watch.changed(StateChanges([], [entity]), server)
        else:
            self.watch.changed(StateChanges([{**entity, "waiting": number}], []), server)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.watch.tell_due()

    def take(self) -> list[tuple[str, str, Any]]:
        told, self.told = self.told, []
        return told


def test_what_holds_is_told_at_once_and_once() -> None:
    site = Site("queue waiting >= 5")
    site.waiting("support", 4)
    assert site.take() == []
    site.waiting("support", 5)
    site.waiting("support", 6)
    site.pass_time(1000)
    site.waiting("support", 7)
    assert site.take() == [("pbx", "support", 5)]


def test_what_has_to_hold_for_a_time_is_told_when_it_has() -> None:
    site = Site("queue waiting >= 5 for 60 s")
    site.waiting("support", 5)
    assert site.watch.due_in() == 60
    site.pass_time(59)
    assert site.take() == []
    site.waiting("support", 9)
    site.pass_time(1)
    assert site.take() == [("pbx", "support", 9)]
    assert site.watch.due_in() is None


@pytest.mark.parametrize("end", [4, None])
def test_what_ends_before_is_not_told(end: int | None) -> None:
    site = Site("queue waiting >= 5 for 60 s")
    site.waiting("support", 5)
    site.pass_time(59)
    site.waiting("support", end)
    site.waiting("support", 5)
    site.pass_time(59)
    assert site.take() == []
    site.pass_time(1)
    assert len(site.take()) == 1


def test_what_begins_again_is_told_again_after_the_pause() -> None:
    site = Site("queue waiting >= 5", pause=600)
    for _ in range(20):
        site.waiting("support", 5)
        site.waiting("support", 4)
    assert len(site.take()) == 1
    site.waiting("support", 5)
    site.waiting("sales", 8)
    assert site.take() == [("pbx", "sales", 8)]
    site.pass_time(599)
    assert site.take() == []
    site.pass_time(1)
    assert site.take() == [("pbx", "support", 5)]


def test_each_entity_condition_and_server_is_for_itself() -> None:
    site = Site("queue s* waiting >= 5", "queue waiting > 8", servers="pbx")
    site.waiting("support", 9)
    site.waiting("sales", 5)
    site.waiting("desk", 8)
    site.waiting("support", 9, OTHER)
    assert site.take() == [("pbx", "support", 9)] * 2 + [("pbx", "sales", 5)]


def test_fields_that_did_not_change_count() -> None:
    site = Site('queue strategy = "ringall"', "queue waiting > 1")
    entity = {"server": 1, "kind": "queue", "id": "support"}
    other = {"server": 1, "kind": "call", "id": "1.1", "waiting": 5}
    site.watch.changed(StateChanges([{**entity, "strategy": "x", "waiting": 5}, other], []), PBX)
    site.watch.changed(StateChanges([{**entity, "strategy": "ringall"}], []), PBX)
    assert site.take() == [("pbx", "support", 5)] * 2


def test_a_server_that_is_told_as_a_whole_loses_what_is_not_there() -> None:
    site = Site("queue waiting >= 5 for 60 s")
    site.waiting("support", 5)
    site.waiting("sales", 5)
    site.waiting("support", 5, OTHER)
    whole = [{"server": 1, "kind": "queue", "id": "sales", "waiting": 6}]
    site.pass_time(30)
    site.watch.changed(StateChanges(whole, [], whole=True), PBX)
    site.pass_time(30)
    assert site.take() == [("pbx", "sales", 6), ("branch", "support", 5)]


def test_its_greenlet_tells_what_comes_due() -> None:
    site = Site("queue waiting >= 5 for 60 s")
    running = gevent.spawn(site.watch.run)
    try:
        gevent.sleep(0)
        site.waiting("support", 5)
        site.clock.now += 60
        site.waiting("desk", 1)
        site.waiting("desk", 5)
        until(lambda: site.told)
        assert site.take() == [("pbx", "support", 5)]
        site.clock.now += 60
        site.watch._wake.set()
        until(lambda: site.told)
    finally:
        running.kill()
