"""All subscriptions of one client: their number, their turns, and what waits."""

from __future__ import annotations

import pytest

from amiws_gevent.feeds.feed import MOST_SUBSCRIPTIONS, TooMany
from amiws_gevent.feeds.subscriber import LATER
from tests.support.feeds import BOTH, EVENTS, World


@pytest.fixture
def world() -> World:
    return World()


def test_so_many_and_no_more(world: World) -> None:
    client = world.client()
    made = [client.subscribe(queue=str(number)) for number in range(MOST_SUBSCRIPTIONS)]
    with pytest.raises(TooMany, match="16 subscriptions"):
        client.subscribe(queue="another")
    client.subscribe(queue="3")  # one that it has begins anew
    client.feed.unsubscribe(made[0].id)
    client.subscribe(queue="another")
    assert world.feeds.subscriptions == MOST_SUBSCRIPTIONS


def test_one_that_is_equal_begins_anew(world: World) -> None:
    client = world.client()
    made = client.subscribe(BOTH)
    client.read()
    client.take()
    assert client.subscribe(BOTH).id == made.id
    client.read()
    assert client.ops() == ["snapshot"]
    world.says("A")
    world.pass_on()
    assert client.events() == ["A"], "once"


def test_each_has_its_turn(world: World) -> None:
    for number in range(500):
        world.server.put("call", str(number), n=number)
    world.flush()
    client = world.client()
    large = client.subscribe(kind="call").id
    small = client.subscribe(kind="bridge").id
    client.read()
    order = [message["subscription"] for message in client.messages]
    assert order.index(small) == 1
    assert order.count(large) == 5


def test_what_is_offered_of_one_that_has_ended_is_nothing(world: World) -> None:
    client = world.client()
    made = client.subscribe(EVENTS)
    client.transport.blocked = True
    world.says("A")
    world.pass_on()
    assert client.feed.pending_bytes > 0
    client.feed.unsubscribe(made.id)
    assert client.feed.pending_bytes == 0
    client.transport.blocked = False
    client.read()
    assert client.messages == []


def test_no_room_at_all_is_a_gap_and_no_fault(world: World) -> None:
    client = world.client(room=0)
    client.subscribe(EVENTS)
    client.transport.blocked = True
    world.says("A", "B")
    world.pass_on()
    client.transport.blocked = False
    client.read()
    assert client.gaps() == [("events", "slow", 2)]


def test_amid_a_flush_it_waits(world: World) -> None:
    world.server.put("call", "1", n=1)
    world.flush()
    client, other = world.client(), world.client()
    other.subscribe()
    other.read()
    before = other.feed.positions()
    world.server.put("call", "1", n=2)
    deliveries = iter(world.feeds.deliveries())
    next(clients for _, clients in deliveries if clients)
    made = client.subscribe()
    assert client.feed.pull() == LATER
    assert client.feed.positions() == {}
    assert other.feed.positions() == before, "not all of them have had it"
    assert not any(clients for _, clients in deliveries)
    assert other.feed.positions() != before
    client.read()
    assert client.collections[made.id][1, "call", "1"]["n"] == 2
    again = world.client()
    assert again.subscribe(position=before[made.id]).resumed
    again.read()
    assert [message["set"][0]["n"] for message in again.messages] == [2]


def test_closing_leaves_nothing(world: World) -> None:
    client = world.client()
    client.subscribe(BOTH)
    client.subscribe(EVENTS)
    client.close()
    assert (world.feeds.subscriptions, world.hub.counts()) == (0, {})
    assert client.feed.pull() is None
