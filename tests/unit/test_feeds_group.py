"""Equal subscriptions: their id, and the items that all of them get."""

from __future__ import annotations

import pytest

import amiws_gevent.hub as hub_module
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.group import subscription_id
from tests.support.feeds import BOTH, EVENTS, STATE, FakeServer, World


def test_the_id_is_of_streams_and_filters() -> None:
    one = Filters.parse({"queue": ["a", "b"]})
    same = Filters.parse({"queue": ["b", "a"]})
    assert subscription_id(BOTH, one) == subscription_id(["state", "events"], same)
    ids = {
        subscription_id(streams, filters)
        for streams in (BOTH, STATE, EVENTS)
        for filters in (one, Filters(), Filters.parse({"queue": "a"}))
    }
    assert len(ids) == 9
    assert all(len(known) == 12 for known in ids)


def test_a_server_that_has_said_nothing_is_at_its_beginning() -> None:
    world = World(1, 2)
    client = world.client()
    made = client.subscribe(EVENTS)
    client.read()
    text = client.feed.positions()[made.id]
    place = world.feeds._positions.decode(text, b"{}")
    assert place is not None
    assert {server: position.offset for server, position in place.events.items()} == {
        0: 0,
        1: 0,
        2: 0,
    }
    assert place.state == {}


def test_of_a_new_epoch_nothing_was_had() -> None:
    world = World()
    client = world.client()
    made = client.subscribe(EVENTS)
    client.read()
    world.says("A")
    world.pass_on()
    world.servers[1] = world.live.servers[1] = FakeServer(1, epoch="new")
    place = world.feeds._positions.decode(client.feed.positions()[made.id], b"{}")
    assert place is not None
    assert place.events[1] == ("new", 0)


def test_only_servers_of_the_filters_are_in_a_position() -> None:
    world = World(1, 2)
    client = world.client()
    made = client.subscribe(BOTH, server=2)
    client.read()
    place = world.feeds._positions.decode(client.feed.positions()[made.id], b'{"server":[2]}')
    assert place is not None
    assert (set(place.events), set(place.state)) == ({2}, {2})


def test_a_change_of_the_state_tells_no_place_in_the_events_that_is_not_that_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "TURN", 1e9)  # what waits stays ahead of the pass
    world = World()
    early, late = world.client(), world.client()
    made = early.subscribe(BOTH)
    early.read()
    world.says("A")
    late.subscribe(BOTH)
    late.read()
    for client in (early, late):
        client.take()
        client.positions.clear()
    world.server.put("call", "1", n=1)
    world.flush()
    assert early.ops() == late.ops() == ["state"]
    assert early.positions == late.positions == {}
    for client, missed in ((early, ["A"]), (late, [])):
        client.beat()
        again = world.client()
        assert again.subscribe(BOTH, client.positions[made.id]).resumed
        again.read()
        assert again.events() == missed
    world.pass_on()
    world.server.put("call", "1", n=2)
    world.flush()
    assert early.positions == late.positions != {}
    assert early.messages[-1]["position"] == early.positions[made.id]
