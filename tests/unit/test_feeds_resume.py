"""Who comes back with a position: what he has missed, or what cannot be told of it."""

from __future__ import annotations

import pytest

from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.hub import Hub
from tests.support.feeds import BOTH, EVENTS, FakeLive, FakeServer, World
from tests.support.policy import sight


@pytest.fixture
def world() -> World:
    return World()


def test_what_was_missed_and_then_live(world: World) -> None:
    world.server.put("call", "1", phase="ringing", n=1)
    world.flush()
    first = world.client()
    made = first.subscribe(BOTH)
    first.read()
    world.says("A")
    world.pass_on()
    first.close()
    world.says("B")
    world.server.put("call", "1", phase="up")
    world.server.put("call", "2", phase="ringing")
    world.pass_on()
    world.flush()
    again = world.client()
    resumed = again.subscribe(BOTH, first.positions[made.id])
    world.says("C")
    world.pass_on()
    again.read()
    assert resumed.resumed
    assert again.events() == ["B", "C"]
    assert again.gaps() == []
    (state,) = [m for m in again.messages if m["op"] == "state"]
    call = {"server": 1, "kind": "call"}
    assert state["set"] == [
        {**call, "id": "1", "phase": "up"},
        {**call, "id": "2", "phase": "ringing"},
    ]


def test_a_quiet_client_does_not_fall_out_of_the_history() -> None:
    world = World(bounds=Bounds(5, 1 << 20, 300.0))
    client = world.client()
    made = client.subscribe(EVENTS, event="rare")
    client.read()
    for _ in range(50):
        world.says("often")
        world.pass_on()
        client.beat()
    again = world.client()
    assert again.subscribe(EVENTS, client.positions[made.id], event="rare").resumed


@pytest.mark.parametrize("text", ["", "x", "A" * 40, "é", "\ud800", "A" * 100_000])
def test_an_unknown_position_is_a_gap(world: World, text: str) -> None:
    client = world.client()
    assert not client.subscribe(BOTH, text).resumed
    client.read()
    assert client.gaps() == [("events", "unknown", None), ("state", "unknown", None)]
    assert client.ops() == ["gap", "gap", "snapshot"]


def test_a_restart_of_the_program_is_a_gap(world: World) -> None:
    client = world.client()
    made = client.subscribe(BOTH)
    client.read()
    client.beat()
    world.hub = Hub(limit=1 << 20)
    live = FakeLive(FakeServer(1))
    world.feeds = Feeds(world.hub, live, Bounds(9, 9999, 9.0), clock=lambda: 0.0)
    again = world.client()
    assert not again.subscribe(BOTH, client.positions[made.id]).resumed
    again.read()
    assert again.ops() == ["gap", "gap", "snapshot"]


def test_past_the_history_there_is_a_gap_and_then_what_is_left() -> None:
    world = World(bounds=Bounds(3, 1 << 20, 300.0))
    client = world.client()
    made = client.subscribe(EVENTS)
    client.read()
    world.says("A")
    world.pass_on()
    client.close()
    for name in "BCDEF":
        world.says(name)
    again = world.client()
    assert not again.subscribe(EVENTS, client.positions[made.id]).resumed
    again.read()
    assert again.gaps() == [("events", "history", None)]
    assert again.messages[0]["server"] == 1
    assert again.events() == ["D", "E", "F"]


def test_of_other_filters_the_state_comes_anew_and_events_go_on(world: World) -> None:
    client = world.client()
    made = client.subscribe(BOTH, queue="a")
    client.read()
    client.beat()
    client.close()
    world.says("A")
    world.pass_on()
    again = world.client()
    assert not again.subscribe(BOTH, client.positions[made.id]).resumed
    again.read()
    assert again.gaps() == [("state", "filters", None)]
    assert again.events() == ["A"]


def test_a_server_that_came_since_is_told_from_its_beginning(world: World) -> None:
    client = world.client()
    made = client.subscribe(EVENTS)
    client.read()
    client.beat()
    client.close()
    world.servers[2] = world.live.servers[2] = FakeServer(2)
    world.says("A", server=2)
    again = world.client()
    assert again.subscribe(EVENTS, client.positions[made.id]).resumed
    again.read()
    assert again.events() == ["A"]


def test_who_sees_less_has_missed_nothing_of_what_it_is_not_shown() -> None:
    """Neither a gap nor its absence tells how much there is of the rest."""
    world = World(bounds=Bounds(5, 1 << 20, 300.0))
    seen = sight({"queues": ["sales"]})
    for missed in ([], ["sales"]):
        client = world.client(sight=seen)
        made = client.subscribe(EVENTS)
        world.says("QueueCallerJoin", Queue="sales")
        world.pass_on()
        client.read()
        client.beat()
        client.close()
        for queue in [*missed, *["support"] * 20]:
            world.says("QueueCallerJoin", Queue=queue)
            world.pass_on()
        again = world.client(sight=seen)
        resumed = again.subscribe(EVENTS, client.positions[made.id]).resumed
        again.read()
        assert resumed == (not missed)
        assert again.gaps() == [("events", "history", None)] * len(missed)
        again.close()
