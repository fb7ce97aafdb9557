"""Lists tell the same calls as events do."""

from __future__ import annotations

import pytest

from amiws_gevent.ami import Message
from amiws_gevent.state.calls import Ended
from tests.support.state import SCENARIOS, World, line, messages_of, replay


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
