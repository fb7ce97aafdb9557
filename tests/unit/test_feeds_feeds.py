"""Clients, from subscribing to coming back: what each is told."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from amiws_gevent.feeds.feed import NoState
from amiws_gevent.feeds.feeds import Showing
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.stateview import StateView
from tests.support.feeds import BOTH, EVENTS, STATE, FakeServer, World, expected


@pytest.fixture
def world() -> World:
    return World()


def there(world: World, **filters: Any) -> dict[Any, Any]:
    return expected(world.live, Filters.parse(filters))


def test_a_snapshot_then_what_changes(world: World) -> None:
    world.server.put("call", "1", phase="ringing")
    world.flush()
    client = world.client()
    made = client.subscribe()
    assert client.messages == [], "the answer goes first"
    client.read()
    (snapshot,) = client.take()
    assert (snapshot["op"], snapshot["page"], snapshot["pages"]) == ("snapshot", 1, 1)
    assert snapshot["subscription"] == made.id
    assert client.collections[made.id] == there(world)
    world.server.put("call", "1", phase="talking")
    world.flush()
    (state,) = client.take()
    assert state["set"] == [{"server": 1, "kind": "call", "id": "1", "phase": "talking"}]
    assert client.positions == client.feed.positions() == {made.id: state["position"]}


def test_equal_views_share_the_bytes_and_the_id(world: World) -> None:
    clients = [world.client() for _ in range(3)]
    ids = {client.subscribe(kind=["call", "channel"]).id for client in clients}
    assert len(ids) == 1
    other = world.client().subscribe(BOTH, kind=["channel", "call"]).id
    assert other not in ids
    for client in clients:
        client.read()
    world.server.put("call", "1", phase="ringing")
    items = [(item, to) for item, to in world.feeds.deliveries()]
    assert [len(to) for item, to in items if item.data] == [3]


def test_events_with_a_position(world: World) -> None:
    client = world.client()
    made = client.subscribe(EVENTS, event=["a", "c"])
    client.read()
    world.says("A", "B", "C")
    world.pass_on()
    first, last = client.take()
    assert "position" not in first
    assert last["message"]["data"]["Event"] == "C"
    assert client.feed.positions() == {made.id: last["position"]}
    world.says("B")
    world.pass_on()
    assert client.messages == []
    assert client.feed.positions()[made.id] != last["position"], "it has passed that, too"


def test_an_answer_goes_nowhere_and_unsubscribing_ends_it(world: World) -> None:
    client = world.client()
    made = client.subscribe(BOTH)
    client.read()
    client.take()
    assert client.feed.unsubscribe(made.id)
    assert not client.feed.unsubscribe(made.id)
    world.says("A")
    world.server.put("call", "1", phase="up")
    world.pass_on()
    world.flush()
    client.read()
    assert client.messages == []
    assert (world.feeds.subscriptions, world.hub.counts()) == (0, {})


class TestSlow:
    def test_the_latest_of_each_entity(self, world: World) -> None:
        client = world.client()
        made = client.subscribe()
        client.read()
        client.take()
        client.transport.blocked = True
        for number in range(50):
            world.server.put("call", "1", n=number)
            world.server.put("call", str(number), n=number)
            world.flush()
        assert client.feed.pending_bytes == 0
        assert world.feeds.behind == 1
        client.transport.blocked = False
        client.read()
        assert client.ops() == ["state"]
        assert len(client.messages[0]["set"]) == 50
        assert client.collections[made.id] == there(world)
        assert world.feeds.behind == 0

    def test_events_that_are_left_out_are_counted(self, world: World) -> None:
        client = world.client(room=3000)
        client.subscribe(EVENTS)
        client.read()
        client.transport.blocked = True
        for number in range(100):
            world.says(f"E{number}", f"F{number}")
            world.pass_on()
        client.transport.blocked = False
        client.read()
        kept = client.events()
        assert client.gaps() == [("events", "slow", 200 - len(kept))]
        assert client.ops()[0] == "gap"
        assert kept == [f"{e}{n}" for n in range(100) for e in "EF"][-len(kept) :]
        assert world.feeds.losses.messages == 200 - len(kept)

    def test_the_largest_subscription_gives_way(self, world: World) -> None:
        client = world.client(room=4000)
        rare = client.subscribe(EVENTS, event="rare").id
        client.subscribe(EVENTS)
        client.read()
        client.transport.blocked = True
        world.says("rare")
        world.pass_on()
        for _ in range(100):
            world.says("often")
            world.pass_on()
        client.transport.blocked = False
        client.read()
        lossless = [m for m in client.messages if m["subscription"] == rare]
        assert [m["op"] for m in lossless] == ["event"]

    def test_no_event_says_more_than_the_client_has_of_the_state(self, world: World) -> None:
        """An event that waits tells a position in the state: that state must come first."""
        client = world.client()
        made = client.subscribe(BOTH)
        client.read()
        client.take()
        client.transport.blocked = True
        world.says("before")
        world.pass_on()
        world.server.put("call", "1", phase="up")
        world.flush()
        world.says("after")
        world.pass_on()
        client.transport.blocked = False
        places = []
        while client.transport.turn():
            for message in client.take():
                places.append((message["op"], message["position"]))
        assert [op for op, _ in places] == ["event", "state", "event"]
        for _, position in places:
            again = world.client()
            again.collections[made.id] = {}
            assert again.subscribe(BOTH, position).resumed
            again.read()
            if position == places[0][1]:
                assert again.collections[made.id] == there(world)
                assert again.events() == ["after"]
            if position == places[1][1]:
                assert again.events() == ["after"]

    def test_what_it_cannot_be_told_any_more_comes_as_a_snapshot(self) -> None:
        world = World(tombstones=2)
        client = world.client()
        made = client.subscribe()
        client.read()
        client.transport.blocked = True
        for number in range(5):
            world.server.put("call", str(number), n=number)
            world.flush()
            world.server.remove("call", str(number))
            world.flush()
        world.server.put("call", "last", n=1)
        world.flush()
        client.take()
        client.transport.blocked = False
        client.read()
        assert client.ops() == ["gap", "snapshot"]
        assert client.gaps() == [("state", "slow", None)]
        assert client.collections[made.id] == there(world)

    def test_a_snapshot_that_is_read_slowly_ends_right_however_much_goes_meanwhile(self) -> None:
        world = World(tombstones=2)
        for number in range(250):
            world.server.put("call", str(number), n=number)
        world.flush()
        client = world.client()
        made = client.subscribe()
        client.transport.turn()
        for number in range(100):
            world.server.remove("call", str(number))
            world.server.put("call", f"new{number}", n=number)
            world.flush()
        client.read()
        assert client.ops()[:3] == ["snapshot"] * 3
        assert "snapshot" not in client.ops()[3:]
        assert client.collections[made.id] == there(world)


class TestServers:
    def test_one_that_begins_anew_is_told_anew(self, world: World) -> None:
        world.server.put("call", "1", phase="up")
        world.flush()
        client = world.client()
        made = client.subscribe(server=1)
        beside = world.client()
        beside.subscribe(server=2)
        client.read()
        beside.read()
        client.take()
        beside.take()
        made_anew = world.servers[1] = world.live.servers[1] = FakeServer(1)
        made_anew.put("call", "2", phase="up")
        world.flush()
        client.read()
        beside.read()
        assert client.ops() == ["gap", "snapshot"]
        assert client.gaps() == [("state", "restart", None)]
        assert client.collections[made.id] == there(world)
        assert beside.messages == []

    def test_one_that_has_gone_is_gone(self, world: World) -> None:
        world.server.put("call", "1", phase="up")
        client = world.client()
        made = client.subscribe()
        client.read()
        del world.live.servers[1]
        world.flush()
        client.read()
        assert client.collections[made.id] == {}

    def test_other_plugins_show_it_anew(self, world: World) -> None:
        world.server.put("channel", "1", number="201", state="up")
        client = world.client()
        made = client.subscribe()
        client.read()
        position = client.positions[made.id]
        masks = Showing(lambda _server, all_: [{**one, "number": "***"} for one in all_], ("mask",))
        world.feeds.use(masks)
        world.flush()
        client.read()
        assert client.collections[made.id] == {}
        changed = world.feeds.shown[1].changed
        assert changed is not None
        changed.take()
        world.flush()
        client.read()
        ((entity),) = client.collections[made.id].values()
        assert entity["number"] == "***"
        again = world.client()
        assert not again.subscribe(STATE, position).resumed, "which it had of what is bare"
        again.read()
        assert b"201" not in repr(again.messages).encode()


class TestWithoutState:
    """``live_state: no``"""

    def test_events_have_positions_all_the_same(self, world: World) -> None:
        world.live.forget_state()
        client = world.client()
        made = client.subscribe(EVENTS)
        client.read()
        world.says("A")
        world.pass_on()
        client.close()
        world.says("B", "C")
        world.pass_on()
        back = world.client()
        assert back.subscribe(EVENTS, client.positions[made.id]).resumed
        back.read()
        assert back.events() == ["B", "C"]

    def test_state_is_refused_but_that_of_the_servers(self, world: World) -> None:
        world.live.forget_state()
        client = world.client()
        for streams in (STATE, BOTH):
            with pytest.raises(NoState, match="live_state"):
                client.subscribe(streams)
        with pytest.raises(NoState):
            client.subscribe(STATE, kind=["server", "call"])
        with pytest.raises(NoState):
            world.feeds.page(Filters(), "call", 1)
        assert world.feeds.subscriptions == 0

    def test_a_refusal_changes_nothing(self, world: World) -> None:
        client = world.client()
        made = client.subscribe(BOTH)
        client.read()
        world.live.forget_state()
        with pytest.raises(NoState):
            client.subscribe(BOTH)
        world.says("A")
        world.pass_on()
        client.read()
        assert client.events() == ["A"]
        assert client.feed.unsubscribe(made.id)

    def test_the_servers_themselves_stay(self, world: World) -> None:
        world.live.forget_state()
        client = world.client()
        client.subscribe(STATE, kind="server")
        client.read()
        assert client.ops() == ["snapshot"]
        assert world.feeds.page(Filters(), "server", 1) is not None


def test_a_fault_in_a_view_costs_that_view_a_snapshot(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = world.client(), world.client()
    made, whole = client.subscribe(queue="a"), other.subscribe()
    client.read()
    other.read()
    client.take()

    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(StateView, "_test", fail)
        world.server.put("queue_caller", "1", queue="a")
        with caplog.at_level(logging.ERROR):
            world.flush()
    assert "broken" in caplog.text
    client.read()
    assert client.ops() == ["gap", "snapshot"]
    assert client.collections[made.id] == there(world, queue="a")
    assert other.collections[whole.id] == there(world)


def test_what_the_hub_drops_is_told(world: World) -> None:
    client = world.client()
    client.subscribe(EVENTS)
    client.read()
    world.hub.passes.limit = 300
    for number in range(10):
        world.says(f"E{number}")
    world.pass_on()
    client.read()
    assert client.gaps() == [("events", "busy", None)]
    assert client.ops()[0] == "gap"
    assert client.events()[-1] == "E9"


def test_what_the_hub_drops_is_told_behind_what_came_before(world: World) -> None:
    client = world.client()
    client.subscribe(EVENTS)
    client.read()
    client.transport.blocked = True
    for name in "ADG":
        world.says(name)
        world.pass_on()
        limit, world.hub.passes.limit = world.hub.passes.limit, 1
        world.says("dropped")
        world.says("last")
        world.hub.passes.limit = limit
        world.pass_on()
    client.transport.blocked = False
    client.read()
    told = [
        one["message"]["data"]["Event"] if one["op"] == "event" else one["reason"]
        for one in client.messages
    ]
    assert told == ["A", "busy", "last", "D", "busy", "last", "G", "busy", "last"]
    # Where it stands, who goes on gets all that was dropped from the history.
    assert [one["op"] for one in client.messages if "position" not in one] == []


class TestPages:
    def test_all_of_one_moment(self, world: World) -> None:
        for number in range(5):
            world.server.put("call", str(number), n=1)
        world.server.put("channel", "1", n=1)
        world.flush()
        page = world.feeds.page(Filters(), "call", 2)
        assert page is not None
        found, position = list(page.items), page.position
        while page.next is not None:
            world.server.put("call", "9", n=2)
            world.flush()
            page = world.feeds.page(Filters(), "call", 2, page.next)
            assert page is not None
            assert page.position == position
            found += page.items
        assert found == [
            {"server": 1, "kind": "call", "id": str(number), "n": 1} for number in range(5)
        ]

    def test_a_subscription_goes_on_from_there(self, world: World) -> None:
        world.server.put("call", "1", n=1)
        world.flush()
        page = world.feeds.page(Filters(), "call", 10)
        assert page is not None
        world.server.put("call", "1", n=2)
        world.flush()
        client = world.client()
        assert client.subscribe(STATE, page.position, kind="call").resumed
        client.read()
        assert client.messages[0]["set"] == [{"server": 1, "kind": "call", "id": "1", "n": 2}]

    def test_nothing_is_known_of_a_wrong_next(self, world: World) -> None:
        assert world.feeds.page(Filters(), "call", 1, "x") is None

    def test_next_is_of_the_kind_and_the_filters_of_its_list(self, world: World) -> None:
        for key in "12":
            world.server.put("call", key)
            world.server.put("channel", key)
        world.flush()
        page = world.feeds.page(Filters(), "call", 1)
        assert page is not None
        assert world.feeds.page(Filters(), "channel", 1, page.next) is None
        assert world.feeds.page(Filters.parse({"server": 1}), "call", 1, page.next) is None
        assert world.feeds.page(Filters(), "call", 1, page.next) is not None


def test_views_that_nothing_concerns_give_others_their_turn(world: World) -> None:
    for number in range(5):
        world.client().subscribe(queue=str(number))
    world.server.put("queue_caller", "1", queue="none of them")
    assert len(list(world.feeds.deliveries())) >= 5


def test_the_views_of_a_thousand_clients_are_each_flushed_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    flush = StateView.flush

    def counted(self: StateView, flushes: Any) -> Any:
        calls.append(self)
        return flush(self, flushes)

    monkeypatch.setattr(StateView, "flush", counted)
    for number in range(30):
        world.client().subscribe(queue=str(number % 3))
    world.server.put("queue_caller", "1", queue="1")
    world.flush()
    assert len(calls) == 3
