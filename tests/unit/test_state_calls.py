"""What the calls say: of each scenario what its story in captures/scenarios/README.md tells."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.state import calls
from tests.support.state import Asked, World, label, line, messages_of, replay

# At each CoreShowChannels of a scenario, what a person would say of the calls.
STORIES: dict[str, list[list[str]]] = {
    "applications": [
        [],
        ["201 -> None application PlayTones", "202 -> None dialling", "203 -> None application"],
        ["201 -> None application PlayTones", "202 -> None application", "203 -> None application"],
        [],
    ],
    "attended_transfer": [
        [],
        ["201 -> 202 talking"],
        ["201 -> 203 ringing"],
        ["201 -> 203 talking"],
        ["202 -> 203 talking"],
        [],
    ],
    "basic": [[], ["201 -> 203 ringing"], ["201 -> 203 talking"], []],
    "blind_transfer": [
        [],
        ["201 -> 202 talking"],
        ["202 -> 203 ringing"],
        ["202 -> 203 talking"],
        [],
    ],
    "busy": [[], [], []],
    "click_to_call": [
        [],
        ["201 -> None ringing"],
        ["201 -> 203 ringing"],
        ["201 -> 203 talking"],
        [],
    ],
    "conference": [
        [],
        [f"{number} -> None conference 801" for number in (201, 202, 204)],
        [],
    ],
    "congestion": [[], [], []],
    "invalid": [[], [], []],
    "local_channel": [[], ["204 -> 201 ringing"], ["204 -> 201 talking"], []],
    "noanswer": [[], ["202 -> 205 ringing"], [], []],
    "park_and_pick_up": [
        [],
        ["201 -> 202 talking"],
        ["202 -> None parked 701"],
        ["202 -> 204 talking"],
        [],
    ],
    "pickup": [[], ["201 -> 204 talking"], ["201 -> 204 talking"], []],
    "queue_abandoned": [
        [],
        ["+4930888888 -> None queued support", "+4930999999 -> None queued support"],
        [],
        [],
    ],
    "queue_answered": [
        [],
        ["+4930123456789 -> None queued support"],
        ["+4930123456789 -> 202 talking"],
        [],
        [],
    ],
    "ringall": [[], ["204 -> None ringing"], ["204 -> 203 talking"], []],
    "spy": [[], ["201 -> 203 talking", "204 -> None application ChanSpy"], []],
}

# By scenario, of each call that ended the way it took: what happened, and to whom.
WAYS: dict[str, list[list[str]]] = {
    "applications": [
        ["dialled 203 970", "ended 0"],
        ["dialled 202 913", "ended 0"],
        ["dialled 201 900", "application 201 PlayTones", "ended 0"],
    ],
    "attended_transfer": [
        [
            "dialled 201 202",
            "rang 202",
            "answered 202",
            "held 202",
            "rang 203",
            "answered 203",
            "transferred 201 202 203 attended",
            "ended 16",
        ]
    ],
    "basic": [["dialled 201 203", "rang 203", "answered 203", "ended 16"]],
    "blind_transfer": [
        [
            "dialled 201 202",
            "rang 202",
            "answered 202",
            "held 202",
            "resumed",
            "transferred 201 202 203 blind",
            "rang 203",
            "answered 203",
            "ended 16",
        ]
    ],
    "busy": [["dialled 201 910", "ended 17"]],
    "click_to_call": [
        [
            "rang 201",
            "answered 201",
            "dialled 201 203",
            "rang 203",
            "answered 203",
            "ended 16",
        ]
    ],
    "conference": [
        [f"dialled {number} 801", f"joined {number} 801", "ended 16"] for number in (202, 201, 204)
    ],
    "congestion": [["dialled 201 911", "ended 34"]],
    "invalid": [],
    "local_channel": [["dialled 204 940", "rang 201", "answered 201", "ended 16"]],
    "noanswer": [["dialled 202 205", "rang 205", "ended 0"]],
    "park_and_pick_up": [
        ["dialled 204 701"],  # merged
        [
            "dialled 201 202",
            "rang 202",
            "answered 202",
            "parked 202 201 701",
            "retrieved 202 204",
            "ended 16",
        ],
    ],
    "pickup": [
        ["dialled 204 961"],  # merged
        ["dialled 201 203", "rang 203", "picked_up 204 203", "ended 16"],
    ],
    "queue_abandoned": [
        [f"dialled {who} 600", f"queued {who} support", f"abandoned {who} support", "ended 0"]
        for who in ("+4930999999", "+4930888888")
    ],
    "queue_answered": [
        [
            "dialled +4930123456789 600",
            "queued +4930123456789 support",
            "rang 201",
            "rang 202",
            "answered 202",
            "ended 16",
        ]
    ],
    "ringall": [
        ["dialled 204 299", "rang 201", "rang 202", "rang 203", "answered 203", "ended 16"]
    ],
    "spy": [
        ["dialled 201 203", "rang 203", "answered 203", "ended 16"],
        ["dialled 204 962", "application 204 ChanSpy", "listens 204 203", "ended 0"],
    ],
}


def way_of(call: Any) -> list[str]:
    """The steps in short: what, and its details in the order in which they were told."""
    left_out = ("what", "at", "server_at", "text")
    return [
        " ".join([step["what"], *(str(step[name]) for name in step if name not in left_out)])
        for step in call["way"]
    ]


def seen_at_lists(world: World, name: str) -> list[tuple[Asked, list[dict[str, Any]]]]:
    return [(asked, world.calls()) for asked in replay(world, messages_of(f"scenarios/{name}.raw"))]


@pytest.mark.parametrize("name", STORIES)
def test_a_scenario_is_told_as_a_person_would(name: str) -> None:
    world = World()
    told = [
        [line(call) for call in calls]
        for asked, calls in seen_at_lists(world, name)
        if asked.action == "CoreShowChannels"
    ]
    assert told == STORIES[name]
    assert [way_of(ended.fields) for ended in world.ended] == WAYS[name]
    assert world.store.of("call") == {}


def call_at(name: str, index: int) -> dict[str, Any]:
    """The one call of a scenario at its CoreShowChannels of that index."""
    lists = [
        calls for asked, calls in seen_at_lists(World(), name) if asked.action == "CoreShowChannels"
    ]
    (call,) = lists[index]
    return call


def test_all_who_ring_together_are_told() -> None:
    call = call_at("ringall", 1)
    assert {label(person) for person in call["ringing"]} == {"201", "202", "203"}
    assert call["dialled"] == "299"
    call = call_at("ringall", 2)
    assert (call["ringing"], label(call["called"])) == ([], "203")


def test_a_queue_s_caller_comes_by_a_trunk_and_gets_a_member_by_name() -> None:
    waiting = call_at("queue_answered", 1)
    assert waiting["caller"]["name"] == "Kunde Eins"
    assert (waiting["trunk"], waiting["dialled"], waiting["answered"]) == ("trunk", "600", None)
    assert {label(person) for person in waiting["ringing"]} == {"201", "202"}
    talking = call_at("queue_answered", 2)
    assert (talking["callee"]["name"], talking["queue"]) == ("Ben Agent", None)
    assert talking["since"] == talking["answered"]


def test_who_was_called_stays_told_when_he_is_transferred_away() -> None:
    for index in (1, 2, 3):
        assert label(call_at("blind_transfer", index)["called"]) == "202"
        assert label(call_at("attended_transfer", index)["called"]) == "202"


def test_who_waits_while_somebody_consults_is_held() -> None:
    for index in (2, 3):
        assert [label(person) for person in call_at("attended_transfer", index)["held"]] == ["202"]
    assert call_at("attended_transfer", 4)["held"] == []


def test_a_pickup_makes_one_call_of_two() -> None:
    world = World()
    seen_at_lists(world, "pickup")
    merged, call = world.ended
    assert merged.merged_into == call.key
    assert call.fields["merged"] == [merged.key]
    assert label(call.fields["called"]) == "203"
    changes = list(world.store.changes(0) or ())
    gone = {change.key: change.last for change in changes if change.kind == "call"}
    assert gone[merged.key] is not None
    assert gone[merged.key]["merged_into"] == call.key


def test_an_id_stays_through_a_transfer() -> None:
    world = World()
    keys = set()
    for _ in replay(world, messages_of("scenarios/attended_transfer.raw")):
        keys |= set(world.store.of("call"))
    assert len(keys) == 1


def test_names_are_as_they_were_written() -> None:
    world = World()
    names = {
        call["caller"]["name"]
        for _, calls in seen_at_lists(world, "applications")
        for call in calls
    }
    assert 'Straße "A&B" <b>x</b>' in names
    assert not {name for name in names if "\\" in name}


@pytest.mark.parametrize(
    "name",
    ["asterisk-13.38.raw", "asterisk-18.raw", "asterisk-22.11.raw", "asterisk-22.11-busy.raw.gz"],
)
def test_a_capture_leaves_no_call_behind(name: str) -> None:
    world = World()
    for _ in replay(world, messages_of(name)):
        pass
    assert world.calls() == []
    assert len(world.ended) == (1500 if "busy" in name else 4)


def test_how_reads_are_cut_makes_no_difference_to_what_is_told() -> None:
    messages = messages_of("scenarios/queue_answered.raw")
    one, all_at_once = World(), World()
    for message in messages:
        one.feed(message)
    all_at_once.feed(*messages)
    assert [way_of(end.fields) for end in one.ended] == [
        way_of(end.fields) for end in all_at_once.ended
    ]


def test_a_call_has_a_bounded_number_of_legs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MOST_LEGS", 3)
    world = World()

    def say(name: str, number: int, **headers: str) -> None:
        key = f"1.{number}"
        told = {"Uniqueid": key, "Channel": f"SIP/{number}-1", "ChannelStateDesc": "Up"}
        world.event(name, **{**told, "Linkedid": "1.0", **headers})

    def legs() -> dict[str, list[str]]:
        return {call["legs"][0]: call["legs"] for call in world.calls()}

    for number in range(5):
        say("Newchannel", number)
    assert legs() == {"1.0": ["1.0", "1.1", "1.2"], "1.3": ["1.3"], "1.4": ["1.4"]}
    for number in range(5):
        say("BridgeEnter", number, BridgeUniqueid="b", BridgeType="basic")
    assert legs() == {"1.0": ["1.0", "1.1", "1.2"], "1.3": ["1.3"], "1.4": ["1.4"]}
    say("Hangup", 1)
    say("Hangup", 3)
    say("NewCallerid", 4, CallerIDNum="7")
    assert legs() == {"1.0": ["1.0", "1.2", "1.4"]}, "there is room again"
    for number in (0, 2, 4):
        say("Hangup", number)
    assert world.calls() == []


@pytest.mark.pure
def test_a_step_of_a_large_call_looks_at_each_leg_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    looked: list[str] = []
    for number in range(50):
        key = f"1.{number}"
        told = {"Uniqueid": key, "Channel": f"SIP/{number}-1", "ChannelStateDesc": "Up"}
        world.event("Newchannel", Linkedid="1.0", **told)
        world.event("BridgeEnter", BridgeUniqueid="b", BridgeType="basic", **told)
    get = world.store.get

    def counted(kind: str, key: str) -> Any:
        looked.append(kind)
        return get(kind, key)

    monkeypatch.setattr(world.store, "get", counted)
    world.event("Hold", Uniqueid="1.7")
    assert world.calls()[0]["phase"] == "held"
    assert looked.count("bridge") < 5


def test_fifty_thousand_channels_with_their_calls_fit_in_a_hundred_mebibytes() -> None:
    pairs = 1_000

    def both(number: int) -> list[list[Message]]:
        caller = {"Uniqueid": f"pbxA-17959131.{2 * number}", "CallerIDNum": f"2{number:05}"}
        callee = {"Uniqueid": f"pbxA-17959131.{2 * number + 1}", "CallerIDNum": "<unknown>"}
        linked = {"Linkedid": caller["Uniqueid"], "Context": "phones", "Exten": f"3{number:05}"}
        names = f"PJSIP/2{number:05}-{number:08x}", f"PJSIP/3{number:05}-{number:08x}"
        source = {"Channel": names[0], **linked, **caller, "CallerIDName": f"Anna {number}"}
        target = {"Channel": names[1], **linked, **callee, "ConnectedLineName": f"Anna {number}"}
        ends = {"Uniqueid": caller["Uniqueid"], "DestUniqueid": callee["Uniqueid"]}

        def event(name: str, headers: dict[str, str], state: str = "") -> Message:
            return Message(Kind.EVENT, {"Event": name, "ChannelStateDesc": state, **headers})

        return [
            [event("Newchannel", source, "Ring"), event("Newchannel", target, "Down")],
            [event("Newstate", target, "Ringing"), event("DialBegin", {**ends, "DialString": "x"})],
            [event("Newstate", target, "Up"), event("Newstate", source, "Up")],
        ]

    def fill() -> World:
        world = World()
        for number in range(pairs):
            for read in both(number):
                world.feed(*read)
                world.store.drain()
        return world

    tracemalloc.start()
    try:
        world = fill()
        traces = tracemalloc.take_snapshot().traces
        # Without the table of all interned texts, which grows by jumps: 4 MiB at the most.
        size = sum(trace.size for trace in traces if trace.size < 2**19)
    finally:
        tracemalloc.stop()
    assert {call["phase"] for call in world.calls()} == {"talking"}
    assert size / (2 * pairs) <= 96 * 2**20 / 50_000
