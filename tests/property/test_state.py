"""Whatever of a server's events is lost, comes twice or in another order, a list heals it."""

from __future__ import annotations

import functools
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import Kind, Message, is_answer
from amiws_gevent.state.store import Change
from tests.support.state import SCENARIOS, Asked, World, channels_of, label, messages_of, replay

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


def told_of_people(world: World) -> list[tuple[str | None, str | None, str]]:
    """Who calls whom, and what they do; no list says whether one is on hold."""
    told = [
        (label(call["caller"]), label(call["callee"]), call["phase"].replace("held", "talking"))
        for call in world.calls()
    ]
    return sorted(told, key=str)


@functools.cache
def undisturbed(name: str) -> list[list[tuple[str | None, str | None, str]]]:
    """What is told at the end of each round of lists if nothing is lost."""
    world = World()
    return [
        told_of_people(world)
        for asked in replay(world, messages(f"scenarios/{name}"))
        if asked.action == "ParkedCalls"
    ]


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
    stories = iter(undisturbed(name))
    for asked in replay(world, disturbed(name, faults)):
        if asked.action == "CoreShowChannels":
            rounds, at = {}, world.offset
        rounds[asked.action] = asked
        if asked.action == "ParkedCalls":
            story = next(stories)
            if world.offset == at:
                for healing in rounds.values():  # a quiet server: all tell of the same moment
                    world.listed(healing.action, healing.items)
                check(world, rounds)
                assert told_of_people(world) == story
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


def history_of(stream: list[Message]) -> list[list[Change | None]]:
    """What each event of a stream changes."""
    world, changes = World(), []
    for message in stream:
        if message.kind is Kind.EVENT and not is_answer(message):
            since = world.store.offset
            world.feed(message)
            changes.append([world.store.change(*name, since) for name in world.store.drain()])
    return changes


@given(name=st.sampled_from(SCENARIOS), faults=faults_of)
def test_to_pass_over_the_state_of_who_is_behind_changes_nothing(
    name: str, faults: list[tuple[int, str, int]]
) -> None:
    stream = disturbed(name, faults)
    with patch("amiws_gevent.state.calls.is_behind", lambda _: False):
        looked_at = history_of(stream)
    assert history_of(stream) == looked_at


KEYS = st.sampled_from(["1.0", "1.1", "1.2", "x", ""])
NAMES = ["SIP/201-1", "SIP/gw-2", "Local/203@a-0;1", "Local/203@a-0;2", "SIP/201-1<ZOMBIE>", ""]
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            (
                "Uniqueid",
                "UniqueID",
                "Linkedid",
                "DestUniqueid",
                "TransfererUniqueid",
                "TransfereeUniqueid",
                "OrigTransfererUniqueid",
                "SecondTransfererUniqueid",
                "TargetUniqueid",
                "ParkeeUniqueid",
                "RetrieverUniqueid",
                "SpyerUniqueid",
                "SpyeeUniqueid",
                "SwapUniqueid",
                "Uniqueid1",
                "Uniqueid2",
                "BridgedChannel",
                "BridgedUniqueID",
            ),
            KEYS,
        ),
        **dict.fromkeys(("Channel", "Newname", "TargetChannel"), st.sampled_from(NAMES)),
        "ChannelStateDesc": st.sampled_from(["Down", "Ring", "Ringing", "Up"]),
        "CallerIDNum": st.sampled_from(["201", "<unknown>", "+493012345"]),
        "BridgeUniqueid": st.sampled_from(["b", "d", ""]),
        "BridgeId": st.sampled_from(["b", "d", ""]),
        "BridgeType": st.sampled_from(["basic", "base", "parking"]),
        "BridgeCreator": st.sampled_from(["ConfBridge", "<unknown>"]),
        "Bridgestate": st.sampled_from(["Link", "Unlink"]),
        "SubEvent": st.sampled_from(["Begin", "End"]),
        "DialStatus": st.sampled_from(["ANSWER", "BUSY"]),
        "TransferType": st.sampled_from(["Attended", "Blind"]),
        "Queue": st.just("support"),
        "ParkingSpace": st.just("701"),
        "Conference": st.just("801"),
        "MemberName": st.just("Anna"),
        "Application": st.sampled_from(["Dial", "Playback", "AppDial", "Wait"]),
        "Cause": st.sampled_from(["16", "", "x"]),
        "Status": st.sampled_from(["On", "Off"]),
    },
)
EVENTS = sorted({name for part in World().model.parts for name in part.events})
ACTIONS = ["CoreShowChannels", "Status", "BridgeList", "QueueStatus", "ParkedCalls"]
ITEMS = {
    "CoreShowChannels": "CoreShowChannel",
    "Status": "Status",
    "BridgeList": "BridgeListItem",
    "QueueStatus": "QueueEntry",
    "ParkedCalls": "ParkedCall",
}
HAPPENINGS = st.one_of(
    st.tuples(st.sampled_from(["newchannel", "bridgeenter", "dialbegin", *EVENTS]), HEADERS),
    st.tuples(st.sampled_from(ACTIONS), st.lists(HEADERS, max_size=3)),
)


@settings(max_examples=300)
@given(happenings=st.lists(HAPPENINGS, max_size=40))
def test_nothing_that_a_server_says_breaks_the_model(happenings: list[tuple[str, Any]]) -> None:
    world = World()
    for name, said in happenings:
        if isinstance(said, dict):
            world.feed(Message(Kind.EVENT, {"Event": name, **said}))
        else:
            items = [Message(Kind.EVENT, {"Event": ITEMS[name], **item}) for item in said]
            world.listed(name, items)
        channels, calls = world.store.of("channel"), world.store.of("call")
        legs = [leg for call in calls.values() for leg in call["legs"]]
        assert sorted(legs) == sorted(channels)
    for action in ("CoreShowChannels", "BridgeList"):
        world.listed(action, [])
    assert [world.store.of(kind) for kind in ("channel", "bridge", "call")] == [{}, {}, {}]
