"""Where one subscription stands, in the moments that are hard to come by."""

from __future__ import annotations

import pytest

from amiws_gevent.feeds.feeds import Showing
from amiws_gevent.feeds.history import Bounds
from tests.support.feeds import BOTH, EVENTS, World


@pytest.fixture
def world() -> World:
    return World()


def test_who_comes_while_batches_wait_stands_behind_them(world: World) -> None:
    early = world.client()
    early.subscribe(EVENTS)
    world.says("A")
    late = world.client()
    made = late.subscribe(EVENTS)
    late.read()
    late.beat()
    world.says("B")
    world.pass_on()
    assert late.events() == ["B"]
    again = world.client()
    assert again.subscribe(EVENTS, early.positions.get(made.id, late.positions[made.id])).resumed
    again.read()
    assert again.events() == []


def test_its_position_before_the_pass_is_not_that_of_those_who_were_there(world: World) -> None:
    world.client().subscribe(EVENTS)
    world.says("A")
    late = world.client()
    made = late.subscribe(EVENTS)
    late.read()
    late.beat()
    late.close()
    world.says("B")
    again = world.client()
    assert again.subscribe(EVENTS, late.positions[made.id]).resumed
    again.read()
    assert again.events() == ["B"], "not A, which was before it"


def test_events_begin_at_a_position_whatever_the_hub_is_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.client()
    first.subscribe(EVENTS)
    first.read()
    world.says("A")
    made = []

    def amid_the_pass(item: object, clients: object) -> None:
        made.append(world.client().subscribe(EVENTS))

    monkeypatch.setattr(world.hub, "_offer", amid_the_pass)
    world.pass_on()
    (subscription,) = made
    world.says("B")
    monkeypatch.undo()
    world.pass_on()
    back = world.client()
    assert back.subscribe(EVENTS, subscription.position).resumed
    back.read()
    assert back.events() == ["B"]


def test_with_state_the_snapshot_tells_where_it_begins(world: World) -> None:
    client = world.client()
    assert client.subscribe(BOTH).position is None
    client.read()
    (position,) = client.positions.values()
    assert client.subscribe(BOTH, position).position == position


def test_a_gap_tells_where_the_client_is_so_that_it_is_told_once(world: World) -> None:
    client = world.client(room=0)
    made = client.subscribe(EVENTS)
    client.read()
    client.transport.blocked = True
    world.says("A")
    world.pass_on()
    client.transport.blocked = False
    client.read()
    assert client.gaps() == [("events", "slow", 1)]
    client.close()
    back = world.client()
    assert back.subscribe(EVENTS, client.messages[-1]["position"]).resumed
    back.read()
    assert back.messages == []
    unknown = world.client()
    assert unknown.subscribe(EVENTS, "unknown").position is None
    unknown.read()
    assert unknown.messages[-1]["position"] == unknown.feed.positions()[made.id]


def test_a_gap_that_is_not_told_yet_has_no_position(world: World) -> None:
    client = world.client()
    made = client.subscribe(EVENTS, "unknown")
    assert client.feed.positions() == {}
    client.read()
    assert set(client.feed.positions()) == {made.id}


def test_what_was_left_out_and_not_told_may_still_be_had(world: World) -> None:
    """The history knows what a client was too slow for: it need not be lost."""
    client = world.client(room=0, user="anna")
    made = client.subscribe(EVENTS)
    client.read()
    client.transport.blocked = True
    world.says("A")
    world.pass_on()
    assert world.feeds.losses.by_user == {"anna": 1}
    client.beat()
    client.close()
    again = world.client()
    assert again.subscribe(EVENTS, client.positions[made.id]).resumed
    again.read()
    assert again.events() == ["A"]


def test_a_snapshot_amid_a_replay_comes_first(world: World) -> None:
    client = world.client()
    made = client.subscribe(BOTH)
    client.read()
    client.beat()
    client.close()
    for number in range(1000):
        world.says(f"E{number}")
    again = world.client()
    again.subscribe(BOTH, client.positions[made.id])
    again.transport.turn()
    world.feeds.use(Showing(of=("other plugins",)))
    world.flush()
    again.read()
    assert again.events() == [f"E{number}" for number in range(1000)]
    assert again.gaps() == [("state", "restart", None)]
    ops = again.ops()
    assert ops.index("snapshot") < len(ops) - 1 - ops[::-1].index("event")


def test_live_events_wait_for_the_end_of_a_replay() -> None:
    world = World(bounds=Bounds(10_000, 1 << 24, 300.0))
    client = world.client()
    made = client.subscribe(EVENTS)
    client.read()
    client.beat()
    client.close()
    for number in range(500):
        world.says(f"E{number}")
    again = world.client()
    again.subscribe(EVENTS, client.positions[made.id])
    for number in range(500, 510):
        again.transport.turn()
        world.says(f"E{number}")
        world.pass_on()
    again.read()
    assert again.events() == [f"E{number}" for number in range(510)]
