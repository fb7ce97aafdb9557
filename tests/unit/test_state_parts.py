"""The whole model of a server, made of its parts."""

from __future__ import annotations

import pytest

from amiws_gevent.state.parts import make_model
from amiws_gevent.state.servers import ServersPart
from amiws_gevent.state.store import Store
from tests.support.captured import SCENARIOS, SESSIONS, steps
from tests.support.fed import START, event
from tests.support.state import World, messages_of

CALL = {"Uniqueid": "1.1", "Linkedid": "1.1", "Channel": "SIP/201-1", "ChannelStateDesc": "Ring"}


@pytest.mark.parametrize("file", [*SCENARIOS, *SESSIONS], ids=lambda file: file.stem)
def test_no_field_has_a_name_that_clients_get_beside_the_fields(file: object) -> None:
    """An entity is sent as one object, with server, kind and id."""
    world = World()
    kinds = set()
    for step in steps(file):  # type: ignore[arg-type]
        if step.event is None:
            world.listed(step.action, step.items)
        else:
            world.feed(step.event)
        for kind, key in world.store.drain():
            kinds.add(kind)
            assert not {"server", "kind", "id"} & (world.store.get(kind, key) or {}).keys()
    assert len(kinds) > 3


def test_each_part_takes_what_is_said_after_those_it_builds_on() -> None:
    """A call is of channels, a queue's caller is one of a call's legs."""
    world = World()
    world.event("Newchannel", **CALL)
    world.event("QueueCallerJoin", Queue="q", Position="1", **CALL)
    assert (world.calls()[0]["phase"], world.calls()[0]["queue"]) == ("queued", "q")
    assert world.store.keys("queue_caller") == ["1.1"]
    world.event("Hangup", Cause="16", **CALL)
    assert [call.key for call in world.ended] == ["1.1"]


def test_the_server_may_be_kept_in_another_store() -> None:
    proxy, store = Store(), Store()
    model = make_model(store, day_of=lambda _: "", server_part=ServersPart(proxy, "7"))
    proxy.begin(1)
    model.receive([event("FullyBooted", Uptime=1)], 1, START)
    model.server.greeted("Asterisk Call Manager/11.0.0")
    model.tick(2, START)
    assert store.keys("server") == []
    assert proxy.keys("server") == ["7"]
    assert (proxy.get("server", "7") or {})["booted"]


def test_calls_are_counted_when_they_begin() -> None:
    """One call has several channels, and one who picks up has begun none."""
    world = World()
    messages = list(messages_of("scenarios/pickup.raw"))
    world.feed(*messages)
    world.tick(after=10)
    assert world.get("server", "server")["calls_by_minute"][0] == len(
        [call for call in world.ended if call.merged_into is None]
    )


def test_what_is_said_to_a_part_directly_is_of_the_time_that_begin_tells() -> None:
    world = World()
    world.model.begin(5, START + 7)
    world.model.queues.interrupted(START + 7)
    world.model.devices.hint_answered(
        event("x", Exten="201", Context="hints", Hint="SIP/201", Status="0"), 5
    )
    assert world.store.born("hint", "201@hints") == 5
    assert world.model.queues.now == START + 7
