"""What the page makes of events: calls, who talks to whom, and lists of channels."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.browser import scenes
from tests.browser.fakes import Data
from tests.browser.steps import (
    Play,
    channel_list,
    only_call,
    only_server,
    receive,
)

CAPTURES = Path(__file__).parent.parent / "captures"


def test_a_call_rings_is_answered_and_ends(play: Play) -> None:
    ringing = only_call(play(receive(*scenes.rings())))
    assert (ringing["kind"], ringing["label"]) == ("ringing", "Ringing")
    assert ringing["from"] == {"name": "Jürgen", "number": "+4930123456789", "line": "trunk"}
    assert ringing["to"] == {"name": "Anna Weber", "number": "201", "more": 0}

    talking = only_call(play(receive(*scenes.rings(), *scenes.answers())))
    assert talking["kind"] == "talking"

    ended = play(receive(*scenes.rings(), *scenes.answers(), *scenes.ends()))
    assert only_server(ended)["active"] == 0
    assert only_server(ended)["started"] == 1
    assert only_server(ended)["bridges"] == 0
    assert only_call(ended)["label"] == "Ended"
    assert only_call(ended)["to"]["name"] == "Anna Weber"  # though she hung up first

    later = play([*receive(*scenes.rings(), *scenes.ends()), (5001, "due", None)])
    assert only_server(later)["calls"] == []


@pytest.mark.parametrize(("cause", "label"), [("17", "Busy"), ("19", "Not answered")])
def test_a_call_that_nobody_takes_says_why(play: Play, cause: str, label: str) -> None:
    assert only_call(play(receive(*scenes.rings(), *scenes.ends(cause))))["label"] == label


def test_answered_but_not_yet_connected(play: Play) -> None:
    answered = [*scenes.rings(), *scenes.answers()[:3]]  # up, and in no bridge so far
    assert only_call(play(receive(*answered)))["kind"] == "answered"


def test_dialling_before_any_phone_rings(play: Play) -> None:
    call = only_call(play(receive(scenes.rings()[0])))
    assert call["kind"] == "dialling"
    assert call["to"] == {"name": "", "number": "201", "more": 0}


def test_hold_and_back(play: Play) -> None:
    talking = [*scenes.rings(), *scenes.answers()]
    hold = {"Event": "Hold", **scenes.CALLEE}
    assert only_call(play(receive(*talking, hold)))["kind"] == "hold"
    unhold = {"Event": "Unhold", **scenes.CALLEE}
    assert only_call(play(receive(*talking, hold, unhold)))["kind"] == "talking"


def test_a_queue_and_its_agent(play: Play) -> None:
    caller = scenes.channel("1.1", "SIP/trunk-1", scenes.UP, "+390612345678", Exten="600")
    agent = scenes.channel("1.2", "SIP/301-2", scenes.DOWN, "600", Linkedid="1.1")
    waiting = [
        {"Event": "Newchannel", **caller},
        {"Event": "QueueCallerJoin", **caller, "Queue": "support", "Position": "1"},
    ]
    called = {"Interface": "SIP/301", "MemberName": "Alice", "Queue": "support"}
    ringing = [
        {"Event": "Newchannel", **agent},
        {"Event": "AgentCalled", **caller, **scenes.destination(agent), **called},
    ]
    taken = [
        {"Event": "QueueCallerLeave", **caller, "Queue": "support"},
        {"Event": "BridgeEnter", "BridgeUniqueid": "b", **agent, "ChannelState": scenes.UP},
        {"Event": "BridgeEnter", "BridgeUniqueid": "b", **caller},
    ]
    queued = only_call(play(receive(*waiting)))
    assert (queued["kind"], queued["detail"]) == ("queue", "support")
    assert queued["to"]["number"] == "600"
    called_call = only_call(play(receive(*waiting, *ringing)))
    assert called_call["kind"] == "queue"
    assert called_call["to"] == {"name": "Alice", "number": "301", "more": 0}
    assert only_call(play(receive(*waiting, *ringing, *taken)))["kind"] == "talking"


@pytest.mark.parametrize("by_local", [False, True], ids=["phone", "Local"])
@pytest.mark.parametrize("first", ["caller", "agent"])
def test_a_queue_call_ends_as_what_it_was(play: Play, by_local: bool, first: str) -> None:
    caller = scenes.channel("1.1", "SIP/trunk-1", scenes.UP, "+390612345678", Exten="600")
    agent = scenes.channel("1.4", "SIP/301-4", scenes.UP, "301", Linkedid="1.1")
    halves = [
        scenes.channel(f"1.{n}", f"Local/301@sim-01;{n - 1}", scenes.UP, "600", Linkedid="1.1")
        for n in (2, 3)
    ]
    called = {"Interface": "Local/301@sim/n", "MemberName": "Alice", "Queue": "support"}
    rung = halves[0] if by_local else agent
    channels = [caller, *(halves if by_local else ()), agent]
    events: list[Data] = [{"Event": "Newchannel", **channel} for channel in channels]
    events.append({"Event": "AgentCalled", **caller, **scenes.destination(rung), **called})
    bridges = [("a", caller), ("a", rung)]
    if by_local:
        events.append({"Event": "DialBegin", **halves[1], **scenes.destination(agent)})
        bridges += [("b", halves[1]), ("b", agent)]
    events += [{"Event": "BridgeEnter", "BridgeUniqueid": b, **c} for b, c in bridges]
    talking = only_call(play(receive(*events)))
    assert talking["from"]["number"] == "+390612345678"
    assert talking["to"]["number"] == "301"

    for channel in channels if first == "caller" else reversed(channels):
        events += [{"Event": "BridgeLeave", **channel}, {"Event": "Hangup", **channel}]
        call = only_call(play(receive(*events)))
        if first == "caller" or channel is caller:
            assert (call["from"], call["to"]) == (talking["from"], talking["to"])


def test_a_queue_call_that_is_given_up_while_two_agents_ring(play: Play) -> None:
    caller = scenes.channel("1.1", "SIP/trunk-1", scenes.UP, "+390612345678", Exten="600")
    events: list[Data] = [{"Event": "Newchannel", **caller}]
    agents = []
    for n in (2, 3):
        agent = scenes.channel(f"1.{n}", f"SIP/30{n}-{n}", scenes.RINGING, "600", Linkedid="1.1")
        called = {"Interface": f"SIP/30{n}", "MemberName": f"Agent {n}", "Queue": "support"}
        events += [
            {"Event": "Newchannel", **agent},
            {"Event": "AgentCalled", **caller, **scenes.destination(agent), **called},
        ]
        agents.append(agent)
    events += [{"Event": "Hangup", **channel} for channel in (caller, *agents)]
    call = only_call(play(receive(*events)))
    assert (call["from"]["number"], call["to"]["name"]) == ("+390612345678", "Agent 2")


def test_several_phones_ring_and_one_answers(play: Play) -> None:
    others = [
        scenes.channel(f"1.{n}", f"PJSIP/20{n}-{n}", scenes.RINGING, f"20{n}", Linkedid="1.1")
        for n in (3, 4)
    ]
    group = [*scenes.rings()]
    for other in others:
        group += [
            {"Event": "Newchannel", **other},
            {"Event": "DialBegin", **scenes.CALLER, **scenes.destination(other)},
        ]
    assert only_call(play(receive(*group)))["to"]["more"] == 2
    hung_up = [{"Event": "Hangup", **other} for other in others]
    call = only_call(play(receive(*group, *scenes.answers(), *hung_up)))
    assert call["to"] == {"name": "Anna Weber", "number": "201", "more": 0}


def test_a_conference(play: Play) -> None:
    one = scenes.channel("1.1", "PJSIP/201-1", scenes.UP, "201", Exten="300")
    joins = {"Event": "ConfbridgeJoin", **one, "Conference": "board"}
    call = only_call(play(receive({"Event": "Newchannel", **one}, joins)))
    assert (call["label"], call["detail"]) == ("In conference", "board")


def test_an_announcement_is_answered_but_no_talk(play: Play) -> None:
    one = scenes.channel("1.1", "PJSIP/201-1", scenes.UP, "201", Exten="500")
    plays = {"Event": "Newexten", **one, "Application": "Playback", "AppData": "welcome"}
    call = only_call(play(receive({"Event": "Newchannel", **one}, plays)))
    assert (call["kind"], call["detail"]) == ("answered", "Playback")


def test_local_channels_are_no_callers(play: Play) -> None:
    halves = [
        scenes.channel(f"1.{n}", f"Local/201@x-01;{n - 2}", scenes.RING, "+1", Linkedid="1.1")
        for n in (3, 4)
    ]
    call = only_call(
        play(receive(*({"Event": "Newchannel", **half} for half in halves), *scenes.rings()))
    )
    assert call["from"]["name"] == "Jürgen"
    assert call["to"]["name"] == "Anna Weber"


def test_a_blind_transfer(play: Play) -> None:
    third = scenes.channel("1.3", "PJSIP/205-3", scenes.RINGING, "205", "Max", Linkedid="1.1")
    transfer = {
        "Event": "BlindTransfer",
        "Result": "Success",
        "TransfererUniqueid": "1.2",
        "TransfereeUniqueid": "1.1",
        "Extension": "205",
    }
    left = [
        {"Event": "BridgeLeave", "BridgeUniqueid": "b-1", **scenes.CALLER},
        {"Event": "BridgeLeave", "BridgeUniqueid": "b-1", **scenes.CALLEE},
        {"Event": "Hangup", **scenes.CALLEE},
    ]
    dialled = [
        {"Event": "Newchannel", **third},
        {"Event": "DialBegin", **scenes.CALLER, **scenes.destination(third)},
    ]
    moved = [*scenes.rings(), *scenes.answers(), transfer, *left]
    call = only_call(play(receive(*moved)))
    assert call["transferred"]
    assert call["to"]["number"] == "205"
    call = only_call(play(receive(*moved, *dialled)))
    assert (call["kind"], call["to"]["name"]) == ("ringing", "Max")


def test_two_calls_that_are_joined_become_one(play: Play) -> None:
    """Attended transfer: Asterisk gives the elder's Linkedid to the channels of the younger."""
    consulting = scenes.channel("2.1", "PJSIP/201-5", scenes.UP, "201", Exten="205")
    target = scenes.channel("2.2", "PJSIP/205-6", scenes.UP, "205", "Max", Linkedid="2.1")
    second = [
        {"Event": "Newchannel", **consulting},
        {"Event": "Newchannel", **target},
        {"Event": "DialBegin", **consulting, **scenes.destination(target)},
    ]
    joined = [
        {
            "Event": "AttendedTransfer",
            "Result": "Success",
            "TransfereeUniqueid": "1.1",
            "TransferTargetUniqueid": "2.2",
            "TransferTargetLinkedid": "1.1",
        },
        {"Event": "BridgeEnter", "BridgeUniqueid": "b-1", **target, "Linkedid": "1.1"},
        {"Event": "BridgeLeave", "BridgeUniqueid": "b-1", **scenes.CALLEE},
        {"Event": "Hangup", **scenes.CALLEE},
        {"Event": "Hangup", **consulting},
    ]
    both = [*scenes.rings(), *scenes.answers(), *second]
    assert only_server(play(receive(*both)))["active"] == 2
    result = play(receive(*both, *joined))
    assert only_server(result)["active"] == 1
    (call,) = [call for call in only_server(result)["calls"] if call["kind"] != "ended"]
    assert (call["kind"], call["from"]["name"], call["to"]["name"]) == ("talking", "Jürgen", "Max")


def test_servers_before_asterisk_12(play: Play) -> None:
    """No Linkedid: Dial and Bridge say which channels are one call; a hold is Status: On."""
    one = {"Channel": "SIP/100-1", "Uniqueid": "9.1", "CallerIDNum": "100", "Exten": "200"}
    two = {"Channel": "SIP/200-2", "Uniqueid": "9.2", "CallerIDNum": "200"}
    events = [
        {"Event": "Newchannel", **one, "ChannelState": "4", "ChannelStateDesc": "Ring"},
        {"Event": "Newchannel", **two, "ChannelState": "0", "ChannelStateDesc": "Down"},
        {"Event": "Dial", "SubEvent": "Begin", "UniqueID": "9.1", "DestUniqueID": "9.2"},
        {"Event": "Newstate", **two, "ChannelStateDesc": "Ringing"},
    ]
    ringing = play(receive(*events))
    assert only_server(ringing)["started"] == 1
    assert only_call(ringing)["kind"] == "ringing"
    assert only_call(ringing)["to"]["number"] == "200"
    bridge = {"Event": "Bridge", "Uniqueid1": "9.1", "Uniqueid2": "9.2", "Bridgestate": "Link"}
    assert only_call(play(receive(*events, bridge)))["kind"] == "talking"
    unlink = {**bridge, "Bridgestate": "Unlink"}
    assert only_call(play(receive(*events, bridge, unlink)))["kind"] != "talking"
    hold = {"Event": "Hold", "Uniqueid": "9.1", "Status": "On"}
    assert only_call(play(receive(*events, bridge, hold)))["kind"] == "hold"
    off = {"Event": "Hold", "Uniqueid": "9.1", "Status": "Off"}
    assert only_call(play(receive(*events, bridge, hold, off)))["kind"] == "talking"


def test_header_names_in_any_case_and_repeated_headers(play: Play) -> None:
    headers = {"event": "NEWCHANNEL", "CHANNEL": "SIP/1-1", "uniqueid": "1", "LINKEDID": "1"}
    call = only_call(play(receive({**headers, "CallerIDNum": ["100", "200"]})))
    assert call["from"]["number"] == "100"


def test_what_asterisk_makes_for_itself_is_no_call(play: Play) -> None:
    names = ["CBAnn/1-0;1", "Message/ast_msg_queue", "Announcer/ARI-1;1", "DAHDI/pseudo-12"]
    made = [scenes.channel(f"1.{n}", name, scenes.UP, "") for n, name in enumerate(names)]
    result = play(receive(*({"Event": "Newchannel", **headers} for headers in made)))
    assert only_server(result)["calls"] == []


def test_a_server_whose_newchannel_events_are_filtered_away(play: Play) -> None:
    call = only_call(play(receive(*scenes.rings()[2:])))
    assert (call["kind"], call["from"]["name"]) == ("ringing", "Jürgen")
    dial_alone = only_call(play(receive(scenes.rings()[2])))
    assert (dial_alone["kind"], dial_alone["to"]["name"]) == ("ringing", "Anna Weber")


def test_late_events_do_not_raise_the_dead(play: Play) -> None:
    late = [
        {"Event": "DialEnd", **scenes.CALLER, **scenes.destination(scenes.CALLEE)},
        {"Event": "NewConnectedLine", **scenes.CALLER},
        {"Event": "QueueCallerLeave", **scenes.CALLER, "Queue": "q"},
        {"Event": "BridgeLeave", "BridgeUniqueid": "b-1", **scenes.CALLER},
    ]
    result = play(receive(*scenes.rings(), *scenes.ends(), *late))
    assert only_server(result)["channels"] == 0


def test_memory_is_bounded(play: Play) -> None:
    """A server whose Hangup events are filtered away, or one gone mad."""
    made = [scenes.channel(f"1.{n}", f"SIP/x-{n}", scenes.UP, "1") for n in range(4100)]
    created = [{"Event": "Newchannel", **headers} for headers in made]
    result = only_server(play(receive(*created)))
    assert (result["channels"], result["isFull"]) == (4000, True)
    ended = [{"Event": "Hangup", **headers} for headers in made]
    result = only_server(play([*receive(*created, *ended), (1, "due", None)]))
    assert result["channels"] == 0
    assert len(result["calls"]) == 20


# Lists of channels


def test_a_list_shows_calls_that_were_up_before(play: Play) -> None:
    result = play(channel_list("page-test-list-all-3", *scenes.list_of_a_call(), at=1_000_000))
    call = only_call(result)
    assert (call["kind"], call["to"]["name"]) == ("talking", "Anna Weber")
    assert call["startedAt"] == 1_000_000 - 751_000
    assert only_server(result)["started"] == 1  # 12:31 ago is after the page was opened
    assert only_server(play(channel_list("x", *scenes.list_of_a_call())))["started"] == 0


def test_a_list_shows_who_waits_in_a_queue_or_confers(play: Play) -> None:
    up = scenes.channel("1.1", "SIP/t-1", scenes.UP, "+39", Exten="600")
    queued = only_call(play(channel_list("x", scenes.listed(up, "Queue", "sales,t", "00:00:10"))))
    assert (queued["kind"], queued["detail"]) == ("queue", "sales")
    in_room = scenes.listed(up, "ConfBridge", "board,u", "00:00:10", "b")
    assert only_call(play(channel_list("x", in_room)))["detail"] == "board"


def test_any_list_that_was_seen_whole_ends_what_it_does_not_name(play: Play) -> None:
    before = receive(*scenes.rings())
    assert only_server(play([*before, *channel_list("other-page-7")]))["active"] == 0
    without_start = channel_list("other-page-7")[1:]
    assert only_server(play([*before, *without_start]))["active"] == 1
    cut_short = channel_list("other-page-7", count=2)
    assert only_server(play([*before, *cut_short]))["active"] == 1


def test_a_call_that_begins_while_a_list_comes_is_kept(play: Play) -> None:
    start, complete = channel_list("x")
    result = play([start, *receive(*scenes.rings()), complete])
    assert only_server(result)["active"] == 1


# Captures


def packets(capture: bytes) -> list[Data]:
    """The events of a capture, by a parser that shares nothing with the program."""
    events = []
    for packet in capture.decode(errors="replace").split("\r\n\r\n"):
        pairs = [line.partition(": ")[::2] for line in packet.split("\r\n") if ": " in line]
        if pairs and pairs[0][0] == "Event":
            events.append(dict(pairs))
    return events


def calls_up(events: list[Data]) -> list[int]:
    """How many calls are up after each event: Linkedids of channels that have not hung up."""
    linkedids: dict[str, str] = {}
    counts = []
    for event in events:
        is_known = event.get("Uniqueid") in linkedids
        if event["Event"] == "Newchannel" or (is_known and "Linkedid" in event):
            linkedids[event["Uniqueid"]] = event["Linkedid"]
        if event["Event"] == "Hangup":
            del linkedids[event["Uniqueid"]]
        counts.append(len(set(linkedids.values())))
    return counts


@pytest.mark.parametrize("name", ["asterisk-13.38.raw", "asterisk-18.raw", "asterisk-22.11.raw"])
def test_sessions_of_real_servers(play: Play, name: str) -> None:
    events = packets((CAPTURES / name).read_bytes())
    expected = calls_up(events)
    result = play(receive(*events))
    assert result["active"] == expected
    assert max(expected) == 4
    assert only_server(result)["started"] == 4
    assert only_server(result)["channels"] == 0


def test_a_busy_server(play: Play) -> None:
    capture = gzip.decompress((CAPTURES / "asterisk-22.11-busy.raw.gz").read_bytes())
    events = packets(capture)[:9000]
    expected = calls_up(events)
    result = play(receive(*events))
    assert result["active"] == expected
    assert expected[-1] > 50
    calls = {event["Linkedid"] for event in events if event["Event"] == "Newchannel"}
    assert only_server(result)["started"] == len(calls)
