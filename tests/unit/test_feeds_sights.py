"""What clients are shown who see less than all."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

import amiws_gevent.feeds.sights as sights_module
from amiws_gevent.ami import Message
from amiws_gevent.feeds.encoding import HISTORY, RIGHTS
from amiws_gevent.feeds.feeds import Showing
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.sights import KEPT_TIME, MOST_KEPT, Seen, batch_seen, sight_of
from amiws_gevent.policy import Rights, Sight
from tests.support.feeds import BOTH, EVENTS, STATE, Client, Lines, World
from tests.support.policy import sight

NUMBER, MASKED = "0301234567", "******4567"
SUPPORT = {"queues": ["support"]}
HIDING = {"numbers": "masked", "names": "masked"}


@pytest.fixture
def world() -> World:
    return World(1, 2)


def waits(world: World, key: str, queue: str = "support", **fields: Any) -> None:
    fields = {"number": NUMBER, "name": "Alice", "position": 1} | fields
    world.servers[1].put("queue_caller", key, queue=queue, **fields)


def subscribed(
    world: World, given: Sight | None, streams: frozenset[str] = STATE, **filters: Any
) -> Client:
    client = world.client(sight=given)
    client.subscribe(streams, **filters)
    client.read()
    return client


def ids(client: Client) -> list[str]:
    (collection,) = client.collections.values()
    return sorted(key for _, _, key in collection)


def told(client: Client) -> str:
    return json.dumps(client.messages)


def test_who_sees_all_is_asked_nothing() -> None:
    assert sight_of(None) is None
    assert sight_of(Rights.everything.sight) is None
    assert sight_of(sight({}, SUPPORT)) is None
    assert sight_of(sight({}, HIDING)) is not None, "ids have pseudonyms"
    assert sight_of(sight(SUPPORT)) is not None


def test_a_snapshot_and_its_pages_have_what_is_seen(world: World) -> None:
    for number in range(250):
        waits(world, str(number), "sales" if number % 50 else "support")
    world.flush()
    client = subscribed(world, sight(SUPPORT))
    assert ids(client) == ["0", "100", "150", "200", "50"]
    assert client.messages[0]["pages"] == 1


def test_many_clients_of_five_roles_cost_what_five_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sees: list[dict[str, Any]] = [{}, HIDING, SUPPORT, {**SUPPORT, **HIDING}, {"events": "Queue*"}]
    clients = [subscribed(world, sight(see), BOTH) for _ in range(10) for see in sees]
    made: Counter[str] = Counter()

    def counting(owner: type, name: str) -> None:
        method = getattr(owner, name)

        def counted(*given: Any) -> Any:
            made[name] += 1
            return method(*given)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in ((Lines, "encode"), (Sight, "message"), (Sight, "entity")):
        counting(owner, name)
    world.says("QueueCallerJoin", Queue="support", CallerIDNum=NUMBER)
    world.pass_on()
    waits(world, "a")
    world.flush()
    # Who sees all is not asked about. An item of events and one of state for each role.
    assert made == {"encode": 2 * len(sees), "message": len(sees) - 1, "entity": len(sees) - 1}
    for client in clients:
        assert client.events() == ["QueueCallerJoin"]
        assert ids(client) == ["a"]


def test_what_a_flush_has_for_a_sight_that_was_filled_amid_it_is_a_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sights_module, "STEP", 1)
    waits(world, "a")
    waits(world, "b")
    world.flush()
    base = world.feeds.shown[1]
    seen = Seen(sight(SUPPORT), base)
    assert not seen.prepare()
    waits(world, "a", position=2)
    waits(world, "c")
    flush = base.flush()
    assert flush is not None
    steps = seen.feed(flush)
    next(steps)
    while not seen.prepare():
        pass
    begins = seen.offset
    assert set(seen.store.keys("queue_caller")) == {"a", "b"}  # as who comes now is told
    for _ in steps:
        pass
    told = seen.flush()
    assert told is not None
    assert told.names == [("queue_caller", "c")]
    assert told.position.offset == begins + 1
    assert seen.store.changed_at("queue_caller", "c") == begins + 1


def test_what_a_sight_was_filled_with_ahead_of_a_flush_goes_with_it(world: World) -> None:
    waits(world, "1")
    world.flush()
    waits(world, "2")
    client = subscribed(world, sight(SUPPORT))
    assert ids(client) == ["1", "2"]
    world.servers[1].remove("queue_caller", "2")
    world.flush()
    client.read()
    assert ids(client) == ["1"]


def test_what_leaves_the_sight_is_unset_and_comes_again_whole(world: World) -> None:
    waits(world, "a")
    waits(world, "b", "sales")
    world.flush()
    client = subscribed(world, sight(SUPPORT))
    assert ids(client) == ["a"]
    client.take()
    waits(world, "a", "sales")
    waits(world, "b")
    world.flush()
    (message,) = client.take()
    assert [one["id"] for one in message["set"]] == ["b"]
    assert message["set"][0]["number"] == NUMBER
    assert message["unset"] == [{"server": 1, "kind": "queue_caller", "id": "a"}]


def test_what_is_not_seen_moves_nothing(world: World) -> None:
    client = subscribed(world, sight(SUPPORT))
    client.beat()
    before = dict(client.positions)
    client.take()
    waits(world, "b", "sales")
    world.servers[1].remove("queue_caller", "b", cause=16)
    world.flush()
    client.beat()
    assert client.take() == []
    assert client.positions == before


def test_callers_are_masked_in_fields_ids_and_last_words(world: World) -> None:
    key = f"Local/{NUMBER}@x"
    waits(world, key)
    world.flush()
    client = subscribed(world, sight(HIDING))
    ((known, entity),) = next(iter(client.collections.values())).items()
    assert entity["number"] == MASKED
    waits(world, key, position=2)
    world.flush()
    world.servers[1].remove("queue_caller", key, cause=16, note=f"called {NUMBER}")
    world.flush()
    changed, gone = client.messages[-2:]
    assert changed["set"] == [{"server": 1, "kind": "queue_caller", "id": known[2], "position": 2}]
    assert gone["unset"] == [
        {"server": 1, "kind": "queue_caller", "id": known[2], "last": {"cause": 16}}
    ]
    assert NUMBER not in told(client)
    assert "Alice" not in told(client)


def test_filters_see_the_masked_value(world: World) -> None:
    waits(world, "a")
    world.flush()
    assert ids(subscribed(world, sight(HIDING), extension=NUMBER)) == []
    assert ids(subscribed(world, sight(HIDING), extension=MASKED)) == ["a"]
    page = world.feeds.page(Filters.parse({"extension": NUMBER}), "queue_caller", 9)
    assert page is not None
    assert len(page.items) == 1
    page = world.feeds.page(
        Filters.parse({"extension": NUMBER}), "queue_caller", 9, sight=sight(HIDING)
    )
    assert page is not None
    assert page.items == []


def test_a_page_has_as_many_as_were_asked_for_of_what_is_seen(world: World) -> None:
    for number in range(10):
        waits(world, str(number), "sales" if number % 2 else "support")
    world.flush()
    given = sight(SUPPORT)
    page = world.feeds.page(Filters(), "queue_caller", 3, sight=given)
    assert page is not None
    assert [item["id"] for item in page.items] == ["0", "2", "4"]
    assert world.feeds.page(Filters(), "queue_caller", 3, page.next) is None
    assert world.feeds.page(Filters(), "queue_caller", 3, page.next, sight({})) is None
    rest = world.feeds.page(Filters(), "queue_caller", 3, page.next, sight(SUPPORT))
    assert rest is not None
    assert [item["id"] for item in rest.items] == ["6", "8"]
    assert rest.next is None


def test_a_list_leads_to_a_subscription(world: World) -> None:
    waits(world, "a")
    world.flush()
    page = world.feeds.page(Filters(), "queue_caller", 3, sight=sight(SUPPORT))
    assert page is not None
    waits(world, "b")
    world.flush()
    client = world.client(sight=sight(SUPPORT))
    made = client.subscribe(STATE, page.position, kind="queue_caller")
    client.read()
    assert made.resumed
    assert ids(client) == ["b"]


def test_equal_sights_share_their_bytes(world: World) -> None:
    clients = [subscribed(world, sight(SUPPORT), BOTH) for _ in range(3)]
    other = subscribed(world, sight(HIDING), BOTH)
    assert len(world.feeds._views._groups) == 2
    assert len({id(one.feed.subscribers[0].group) for one in clients}) == 1
    assert other.feed.subscribers[0].group is not clients[0].feed.subscribers[0].group


def test_a_batch_is_masked_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = world.servers[1].says("Newchannel", CallerIDNum=NUMBER, Whatever=NUMBER)
    given = sight(HIDING)
    made = batch_seen(given, batch)
    monkeypatch.setattr(Sight, "message", None)
    assert batch_seen(sight(HIDING), batch) is made
    assert batch_seen(None, batch) is batch
    envelope = json.loads(made.json[0])
    assert (envelope["server_id"], envelope["data"]["CallerIDNum"]) == (1, MASKED)
    assert NUMBER.encode() not in made.json[0]
    assert NUMBER.encode() in batch.json[0]


def test_events_that_are_seen_are_told_masked_and_counted(world: World) -> None:
    client = subscribed(world, sight({**SUPPORT, **HIDING}), EVENTS)
    client.transport.blocked = True
    client.transport.room = 700
    for number in range(20):
        queue = "support" if number % 4 == 0 else "sales"
        world.says("QueueCallerJoin", Queue=queue, CallerIDNum=NUMBER, Count=str(number))
        world.pass_on()
    client.transport.blocked = False
    client.read()
    (gap,) = client.gaps()
    assert gap[:2] == ("events", "slow")
    assert gap[2] == 5 - len(client.events())
    assert client.events()
    assert NUMBER not in told(client)


def test_servers_that_are_not_seen_are_nowhere(world: World) -> None:
    client = subscribed(world, sight({"servers": ["2"]}), BOTH)
    client.beat()
    before = dict(client.positions)
    client.take()
    world.says("Newchannel")
    world.pass_on()
    waits(world, "a")
    world.flush()
    client.beat()
    assert client.take() == []
    assert client.positions == before
    world.live.servers[1] = World(1).servers[1]  # it begins anew
    world.flush()
    client.read()
    assert client.take() == []
    world.says("Newchannel", server=2)
    world.pass_on()
    assert client.events() == ["Newchannel"]


def test_what_the_program_dropped_is_told_to_those_who_see_the_server(world: World) -> None:
    there = subscribed(world, sight({"servers": ["1"]}), EVENTS)
    elsewhere = subscribed(world, sight({"servers": ["2"]}), EVENTS)
    world.hub.passes.limit = 100
    for _ in range(3):
        world.says("Newchannel", server=1)
    world.pass_on()
    for client in (there, elsewhere):
        client.read()
    assert there.gaps() == [("events", "busy", None)]
    assert elsewhere.ops() == []
    world.says("Newchannel", server=2)
    world.pass_on()
    assert elsewhere.events() == ["Newchannel"]


def test_what_the_program_dropped_is_told_to_those_who_would_have_seen_it(world: World) -> None:
    some = subscribed(world, sight({**SUPPORT, **HIDING}), EVENTS)
    nothing = subscribed(world, sight({"events": ["Newchannel"]}), EVENTS)
    whole = subscribed(world, None, EVENTS)
    world.hub.passes.limit = 100
    for _ in range(3):
        world.says("QueueCallerJoin", "Hangup", Queue="sales")
    for client in (some, nothing, whole):
        client.read()
    assert whole.gaps() == [("events", "busy", None)]
    assert some.ops() == nothing.ops() == []
    for queue in ("support", "sales"):
        world.says("QueueCallerJoin", Queue=queue)
    world.pass_on()
    for client in (some, nothing):
        client.read()
    assert some.ops() == ["gap"]
    assert nothing.ops() == []
    world.says("QueueCallerJoin", Queue="support")
    world.pass_on()
    assert some.events() == ["QueueCallerJoin"]


def test_what_was_missed_is_told_by_the_sight_of_now(world: World) -> None:
    before = subscribed(world, sight({}), EVENTS)
    before.beat()
    (position,) = before.positions.values()
    world.says("QueueCallerJoin", Queue="sales", CallerIDNum=NUMBER)
    world.says("QueueCallerJoin", Queue="support", CallerIDNum=NUMBER)
    client = world.client(sight=sight({**SUPPORT, **HIDING}))
    client.subscribe(EVENTS, position)
    client.read()
    (event,) = [one for one in client.messages if one["op"] == "event"]
    assert event["message"]["data"]["Queue"] == "support"
    assert NUMBER not in told(client)


def test_the_history_keeps_what_was_made_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = subscribed(world, sight(HIDING), EVENTS)
    first.beat()
    (position,) = first.positions.values()
    world.says("Newchannel", CallerIDNum=NUMBER)
    world.pass_on()

    def again() -> list[str]:
        client = world.client(sight=sight(HIDING))
        client.subscribe(EVENTS, position)
        client.read()
        return client.events()

    assert again() == ["Newchannel"]
    asked: list[Message] = []
    monkeypatch.setattr(Sight, "message", lambda _self, _server, message: asked.append(message))
    assert again() == ["Newchannel"]
    assert asked == []
    monkeypatch.setattr("amiws_gevent.feeds.history.MOST_SEEN", 0)
    world.says("Newchannel")
    again()
    assert len(asked) == 1
    assert world.feeds.history._seen_size == 0


def test_another_sight_begins_all_anew(world: World) -> None:
    waits(world, "a")
    waits(world, "b", "sales")
    world.flush()
    client = subscribed(world, sight({}), BOTH)
    client.transport.blocked = True
    world.says("QueueCallerJoin", Queue="sales", CallerIDNum=NUMBER)
    world.pass_on()
    client.take()
    client.feed.use_sight(sight({**SUPPORT, **HIDING}))
    client.transport.blocked = False
    client.read()
    assert client.gaps() == [("events", RIGHTS, None), ("state", RIGHTS, None)]
    assert client.ops() == ["gap", "gap", "snapshot"]
    assert ids(client) == ["a"]
    assert NUMBER not in told(client)
    client.take()
    client.feed.use_sight(sight({**SUPPORT, **HIDING}))
    client.read()
    assert client.take() == []
    client.feed.use_sight(None)
    client.read()
    assert ids(client) == ["a", "b"]


def test_a_position_of_another_sight_is_of_no_use_to_the_state(world: World) -> None:
    client = subscribed(world, sight({}))
    client.beat()
    (position,) = client.positions.values()
    other = world.client(sight=sight(SUPPORT))
    made = other.subscribe(STATE, position)
    other.read()
    assert not made.resumed
    assert other.gaps() == [("state", "filters", None)]
    assert other.ops() == ["gap", "snapshot"]


def test_who_sees_nothing_gets_an_empty_snapshot(world: World) -> None:
    waits(world, "a")
    world.flush()
    client = subscribed(world, sight(), BOTH)
    world.says("Newchannel")
    world.pass_on()
    assert client.ops() == ["snapshot"]
    assert ids(client) == []


def test_a_sight_is_kept_for_a_while(world: World) -> None:
    waits(world, "a")
    world.flush()
    client = subscribed(world, sight(SUPPORT), kind="queue_caller")
    client.beat()
    (position,) = client.positions.values()
    client.close()
    waits(world, "b")
    world.flush()
    world.now += KEPT_TIME - 1
    client = world.client(sight=sight(SUPPORT))
    assert client.subscribe(STATE, position, kind="queue_caller").resumed
    client.read()
    assert ids(client) == ["b"]
    client.close()
    world.now += KEPT_TIME + 1
    world.flush()
    assert len(world.feeds._sights) == 0
    client = world.client(sight=sight(SUPPORT))
    assert not client.subscribe(STATE, position, kind="queue_caller").resumed
    client.read()
    assert ids(client) == ["a", "b"]


def test_so_many_sights_are_kept(world: World) -> None:
    used = subscribed(world, sight({"queues": ["used"]}))
    for number in range(MOST_KEPT + 5):
        world.now += 0.01
        subscribed(world, sight({"queues": [str(number)]})).close()
    world.now += 0.01
    world.flush()
    assert len(world.feeds._sights) == MOST_KEPT + 1
    waits(world, "a", "used")
    world.flush()
    assert ids(used) == ["a"]


def test_what_cannot_be_decided_about_is_not_seen(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits(world, "a")
    waits(world, "b")
    world.flush()
    client = subscribed(world, sight(SUPPORT), BOTH)
    assert ids(client) == ["a", "b"]

    def broken(*_: Any) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr(Sight, "entity", broken)
    monkeypatch.setattr(Sight, "message", broken)
    monkeypatch.setattr(Sight, "sees", broken)
    waits(world, "a", position=2)
    world.flush()
    world.says("QueueCallerJoin", Queue="support")
    world.pass_on()
    assert ids(client) == ["b"]
    assert client.events() == []
    world.hub.passes.limit = 100
    for _ in range(2):
        world.says("QueueCallerJoin", Queue="support")
    client.read()
    assert client.gaps() == []
    assert "some of it is kept from clients" in caplog.text


def test_what_plugins_make_of_the_state_is_what_is_seen(world: World) -> None:
    waits(world, "a")
    client = subscribed(world, sight(SUPPORT))
    world.feeds.use(
        Showing(lambda _, entities: [{**one, "queue": "sales"} for one in entities], ("plugin",))
    )
    world.flush()
    shown = world.feeds.shown[1].changed
    assert shown is not None
    shown.take()
    world.flush()
    client.read()
    assert ids(client) == []
    assert HISTORY not in told(client)
