"""Groups and views of the state: what is shared, and how long it is there."""

from __future__ import annotations

import pytest

from amiws_gevent.feeds.views import KEPT_TIME, MOST_KEPT
from tests.support.feeds import BOTH, STATE, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_view_is_kept_for_who_comes_back(world: World) -> None:
    world.server.put("queue_caller", "1", queue="a")
    world.flush()
    client = world.client()
    made = client.subscribe(queue="a")
    client.read()
    client.close()
    world.server.put("queue_caller", "1", queue="b")
    world.flush()
    world.now += KEPT_TIME - 1
    world.flush()
    again = world.client()
    again.collections[made.id] = dict(client.collections[made.id])
    assert again.subscribe(STATE, client.positions[made.id], queue="a").resumed
    again.read()
    assert again.ops() == ["state"]
    assert again.collections[made.id] == {}


def test_but_not_forever_nor_all(world: World) -> None:
    for number in range(MOST_KEPT + 5):
        client = world.client()
        client.subscribe(queue=str(number))
        client.close()
    assert len(world.feeds._views.states()) == MOST_KEPT
    world.now += KEPT_TIME + 1
    world.flush()
    assert world.feeds._views.states() == []
    assert world.feeds._feeds == {}


def test_equal_subscriptions_have_one_group_and_equal_filters_one_view(world: World) -> None:
    views = world.feeds._views
    clients = [world.client() for _ in range(4)]
    for client in clients:
        for number in range(3):
            client.subscribe(queue=str(number))
    assert views.subscriptions == 12
    assert len(views.states()) == 3
    clients[0].subscribe(BOTH, queue="0")
    assert len(views.states()) == 3
    assert [len(list(views.in_step(view))) for view in views.states()] == [0, 0, 0]
    for client in clients:
        client.read()
    assert [len(list(views.in_step(view))) for view in views.states()] == [2, 1, 1]
    for client in clients:
        client.close()
    assert views.subscriptions == views.behind == 0


def test_a_view_that_is_made_again_as_it_was_is_not_kept(world: World) -> None:
    client = world.client()
    client.subscribe(kind="call")
    client.close()
    assert world.feeds._views.states() == []


def test_one_that_is_taken_again_is_not_forgotten(world: World) -> None:
    client = world.client()
    client.subscribe(queue="a")
    client.close()
    again = world.client()
    again.subscribe(queue="a")
    world.now += 2 * KEPT_TIME
    world.flush()
    assert len(world.feeds._views.states()) == 1
