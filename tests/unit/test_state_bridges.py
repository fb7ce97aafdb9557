"""Bridges equal what the server lists, and a bridge and its members agree."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.state.channels import MOST_LINKED
from tests.support.state import SCENARIOS, Asked, World, messages_of, replay

FILES = [f"scenarios/{name}" for name in SCENARIOS] + [
    "asterisk-13.38.raw",
    "asterisk-18.raw",
    "asterisk-22.11.raw",
]


def bridge(world: World, key: str = "b") -> dict[str, Any]:
    fields = world.store.get("bridge", key)
    assert fields is not None
    return dict(fields)


def new(world: World, *uniqueids: str) -> None:
    for uniqueid in uniqueids:
        name = f"SIP/{uniqueid}"
        world.event("Newchannel", Channel=name, Uniqueid=uniqueid, Linkedid=uniqueid)


def enter(world: World, uniqueid: str, key: str = "b", kind: str = "basic", **more: str) -> None:
    world.event("BridgeEnter", BridgeUniqueid=key, BridgeType=kind, Uniqueid=uniqueid, **more)


def check(world: World, asked: Asked) -> None:
    listed = {item.get("BridgeUniqueid"): item for item in asked.items}
    assert set(world.store.of("bridge")) == set(listed)
    for key, fields in world.store.of("bridge").items():
        item = listed[key]
        assert fields["type"] == item.get("BridgeType")
        assert fields["technology"] == item.get("BridgeTechnology")
        hidden = 1 if fields["creator"] == "ConfBridge" else 0  # the announcer
        assert len(fields["members"]) + hidden == int(item.get("BridgeNumChannels") or 0)
        for member in fields["members"]:
            channel = world.store.get("channel", member)
            assert channel is not None
            assert channel["bridge"] == key


@pytest.mark.parametrize("name", FILES)
def test_bridges_are_what_each_list_says(name: str) -> None:
    world = World()
    lists = 0
    for asked in replay(world, messages_of(name)):
        if asked.action == "BridgeList":
            if lists == 0:
                world.listed("BridgeList", asked.items)  # what was there before we came
            lists += 1
            check(world, asked)
    assert lists > 0
    left = world.store.of("bridge").values()
    assert [fields for fields in left if fields["type"] != "parking"] == []


def test_one_that_swaps_takes_the_place_of_another() -> None:
    world = World()
    new(world, "1.0", "1.1", "1.2")
    enter(world, "1.0")
    enter(world, "1.1")
    enter(world, "1.2", SwapUniqueid="1.1")
    assert bridge(world)["members"] == ["1.0", "1.2"]
    swapped = world.store.get("channel", "1.1")
    assert swapped is not None
    assert swapped["bridge"] is None
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.1")
    assert bridge(world)["members"] == ["1.0", "1.2"]


def test_a_leave_that_was_lost_is_made_up_for() -> None:
    world = World()
    new(world, "1.0", "1.1")
    enter(world, "1.0")
    enter(world, "1.1")
    enter(world, "1.0", "other")
    assert bridge(world)["members"] == ["1.1"]
    world.event("Hangup", Uniqueid="1.1")
    assert bridge(world)["members"] == []
    world.event("BridgeDestroy", BridgeUniqueid="other")
    left = world.store.get("channel", "1.0")
    assert left is not None
    assert left["bridge"] is None


def test_all_in_a_basic_bridge_have_the_oldest_linkedid() -> None:
    world = World()
    new(world, "pbx-100.9", "pbx-100.10")
    for uniqueid in ("pbx-100.10", "pbx-100.9"):
        enter(world, uniqueid)
    linkedids = {fields["linkedid"] for fields in world.store.of("channel").values()}
    assert linkedids == {"pbx-100.9"}


def test_a_large_bridge_gives_who_enters_the_oldest_linkedid_or_takes_it() -> None:
    world = World()
    count = MOST_LINKED + 20
    others = [f"2000.{number}" for number in range(count)]
    new(world, *others, "3000.1", "1000.1")
    for uniqueid in (*others, "3000.1"):
        enter(world, uniqueid)
    told = world.store.of("channel")
    assert len(bridge(world)["members"]) == count + 1
    assert {told[key]["linkedid"] for key in (*others, "3000.1")} == {"2000.0"}
    enter(world, "1000.1")
    assert {fields["linkedid"] for fields in world.store.of("channel").values()} == {"1000.1"}


def test_a_linkedid_of_one_s_own_is_as_old_as_its_channel() -> None:
    world = World()
    new(world, "mine", "2000000000.1")
    for uniqueid in ("2000000000.1", "mine"):
        enter(world, uniqueid)
    assert {fields["linkedid"] for fields in world.store.of("channel").values()} == {"mine"}


def test_a_conference_gives_no_linkedid() -> None:
    world = World()
    new(world, "1.0", "1.1")
    for uniqueid in ("1.0", "1.1"):
        enter(world, uniqueid, kind="base")
    assert {fields["linkedid"] for fields in world.store.of("channel").values()} == {"1.0", "1.1"}


def listed(key: str) -> Message:
    headers = {"Event": "BridgeListItem", "BridgeUniqueid": key, "BridgeType": "basic"}
    return Message(Kind.EVENT, {**headers, "BridgeTechnology": "simple_bridge"})


def test_a_list_heals_what_was_lost_but_does_not_undo_what_came_since() -> None:
    world = World()
    new(world, "1.0")
    for key in ("lost", "ended"):
        world.event("BridgeCreate", BridgeUniqueid=key, BridgeType="basic")
    enter(world, "1.0", "lost")
    asked = world.offset
    world.event("BridgeDestroy", BridgeUniqueid="ended")
    world.event("BridgeCreate", BridgeUniqueid="young", BridgeType="basic")
    world.listed("BridgeList", [listed("ended"), listed("new"), listed("young")], asked)
    assert set(world.store.of("bridge")) == {"new", "young"}
    assert world.store.of("channel")["1.0"]["bridge"] is None


def test_members_come_from_the_list_of_channels() -> None:
    world = World()
    world.listed("BridgeList", [listed("b")])
    item = {"Event": "CoreShowChannel", "Channel": "SIP/1-1", "Uniqueid": "1.0", "BridgeId": "b"}
    world.listed("CoreShowChannels", [Message(Kind.EVENT, item)])
    assert bridge(world)["members"] == ["1.0"]
