"""Lists tell the same calls as events do."""

from __future__ import annotations

import pytest

from amiws_gevent.ami import Kind, Message, is_answer
from amiws_gevent.state.calls import Ended
from tests.support.state import SCENARIOS, World, label, line, messages_of, replay


class Early(World):
    """A world with another that comes late: it knows the lists, and all that came since."""

    def __init__(self) -> None:
        super().__init__()
        self.late = World()

    def feed(self, *messages: Message) -> None:
        super().feed(*messages)
        self.late.feed(*messages)


@pytest.mark.parametrize("name", SCENARIOS)
def test_who_comes_in_the_midst_of_calls_is_told_the_same_by_lists(name: str) -> None:
    world = Early()
    for asked in replay(world, messages_of(f"scenarios/{name}")):
        if asked.action == "CoreShowChannels":
            world.late = World()
        world.late.listed(asked.action, asked.items)
        if asked.action == "ParkedCalls":  # the last of a round
            calls = world.calls()
            if any(call["callee"] and len(call["legs"]) == 1 for call in calls):
                continue  # one is hung up on: no list tells with whom he was
            # Nor what was run before.
            lines = [line(call).replace(" PlayTones", "") for call in calls]
            assert sorted(line(call) for call in world.late.calls()) == sorted(lines)
    assert world.late.calls() == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_lists_change_nothing_where_no_event_was_lost(name: str) -> None:
    world = World()
    for _ in replay(world, messages_of(f"scenarios/{name}")):
        pass
    again = World()
    for asked in replay(again, messages_of(f"scenarios/{name}")):
        lines = [line(call) for call in again.calls()]
        again.listed(asked.action, asked.items)
        assert [line(call) for call in again.calls()] == lines
    assert [story_of(end) for end in again.ended] == [story_of(end) for end in world.ended]


def story_of(ended: Ended) -> tuple[list[str], list[str]]:
    return ended.fields["legs"], [step["what"] for step in ended.fields["way"]]


def told_without(lost: str) -> World:
    """201 calls 203, whose phone rings, and an event of that name does not come."""
    world = World()
    for message in messages_of("scenarios/basic.raw"):
        if message.name == lost and not is_answer(message):
            lost = ""
        elif message.kind is Kind.EVENT and not is_answer(message):
            world.feed(message)
        if message.get("ChannelStateDesc") == "Ringing":
            break
    return world


def list_in_the_midst(world: World) -> None:
    (asked,) = (
        asked
        for asked in replay(World(), messages_of("scenarios/basic.raw"))
        if asked.action == "CoreShowChannels"
        and {item.get("ChannelStateDesc") for item in asked.items} == {"Ring", "Ringing"}
    )
    world.listed(asked.action, asked.items)


def test_who_rings_for_whom_is_told_by_a_list_if_no_event_did() -> None:
    world = told_without("DialBegin")
    assert [line(call) for call in world.calls()] == ["201 -> None dialling"]
    list_in_the_midst(world)
    assert [line(call) for call in world.calls()] == ["201 -> 203 ringing"]


def test_who_calls_is_the_one_who_came_first_and_not_the_one_of_whom_events_told() -> None:
    world = told_without("Newchannel")
    list_in_the_midst(world)
    (call,) = world.calls()
    assert line(call) == "201 -> 203 ringing"
    assert (label(call["called"]), call["dialled"]) == ("203", "203")
    assert [world.get("channel", key)["name"][:8] for key in call["legs"]] == [
        "IAX2/201",
        "IAX2/203",
    ]
    list_in_the_midst(world)
    assert [line(call) for call in world.calls()] == ["201 -> 203 ringing"]
