"""Whatever of a server's events is lost, comes twice or in another order, a list heals it."""

from __future__ import annotations

import functools

from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.ami import Kind, Message, is_answer
from tests.support.state import SCENARIOS, Asked, World, channels_of, messages_of, replay

messages = functools.cache(messages_of)


def disturbed(name: str, faults: list[tuple[int, str, int]]) -> list[Message]:
    """The messages of a scenario, with some events lost, repeated or late; lists stay whole."""
    stream = list(messages(f"scenarios/{name}"))
    for at, fault, distance in faults:
        place = at % len(stream)
        message = stream[place]
        if message.kind is not Kind.EVENT or is_answer(message):
            continue
        if fault == "late":
            del stream[place]
        if fault == "lost":
            stream[place] = Message(Kind.EVENT, {"Event": "Lost"})
        else:
            stream.insert(_between_lists(stream, place + distance), message)
    return stream


def _between_lists(stream: list[Message], place: int) -> int:
    """The next place that is not amid the items of a list."""
    place = min(place, len(stream))
    while place < len(stream) and is_answer(stream[place]):
        place += 1
    return place


def check(world: World, rounds: dict[str, Asked]) -> None:
    """The model is what a whole round of lists says."""
    channels = channels_of(rounds["Status"])
    assert set(world.store.of("channel")) == set(channels)
    for key, item in channels.items():
        fields = world.store.of("channel")[key]
        assert fields["name"] == item.get("Channel")
        assert fields["state"] == (item.get("ChannelStateDesc") or "").lower()
        assert fields["linkedid"] == item.get("Linkedid")
        assert fields["bridge"] == (item.get("BridgeID") or None)
    bridges = {item.get("BridgeUniqueid") for item in rounds["BridgeList"].items}
    assert set(world.store.of("bridge")) == bridges
    legs = [leg for call in world.calls() for leg in call["legs"]]
    assert sorted(legs) == sorted(channels)


faults_of = st.lists(
    st.tuples(
        st.integers(0, 10_000), st.sampled_from(["lost", "twice", "late"]), st.integers(1, 12)
    ),
    max_size=60,
)


@given(name=st.sampled_from(SCENARIOS), faults=faults_of)
def test_a_round_of_lists_heals_what_was_lost(
    name: str, faults: list[tuple[int, str, int]]
) -> None:
    world = World()
    rounds: dict[str, Asked] = {}
    at = 0
    for asked in replay(world, disturbed(name, faults)):
        if asked.action == "CoreShowChannels":
            rounds, at = {}, world.offset
        rounds[asked.action] = asked
        if asked.action == "ParkedCalls" and world.offset == at:
            for healing in rounds.values():  # a quiet server: they all tell of the same moment
                world.listed(healing.action, healing.items)
            check(world, rounds)
    for ended in world.ended:
        assert len(ended.fields["way"]) <= 40


@given(name=st.sampled_from(SCENARIOS), cuts=st.lists(st.integers(1, 300), max_size=20))
def test_how_reads_are_cut_makes_no_difference(name: str, cuts: list[int]) -> None:
    news = [
        message
        for message in messages(f"scenarios/{name}")
        if message.kind is Kind.EVENT and not is_answer(message)
    ]
    whole, cut = World(), World()
    whole.feed(*news)
    start = 0
    for size in [*cuts, len(news)]:
        cut.feed(*news[start : start + size])
        start += size

    def told(world: World) -> list[tuple[str, list[str], list[str]]]:
        return [
            (end.key, end.fields["legs"], [step["what"] for step in end.fields["way"]])
            for end in world.ended
        ]

    assert told(cut) == told(whole)
    assert cut.store.of("channel") == whole.store.of("channel")
