"""What an Asterisk 11 says: the events of its source, and none of what came later."""

from __future__ import annotations

from collections import Counter

import pytest

from amiws_gevent.simulator.pbx.asterisk11 import Elder, listed
from amiws_gevent.simulator.pbx.model import escape_c, unescape_c
from amiws_gevent.simulator.pbx.style import STYLE_11
from tests.support.simulator import STARTED, answer, headers, name_of, simulation, split

SINCE_12 = (
    "DialBegin",
    "DialEnd",
    "BridgeEnter",
    "NewConnectedLine",
    "DeviceStateChange",
    "Unhold",
)


@pytest.fixture(scope="module")
def packets() -> list[str]:
    return simulation(STYLE_11, rate=1.0).advance(STARTED + 400)


def test_it_has_the_events_of_11_and_no_linkedid(packets: list[str]) -> None:
    names = Counter(map(name_of, packets))
    assert not set(names) & set(SINCE_12)
    wanted = {"Dial", "Bridge", "Join", "Leave", "Transfer", "Masquerade", "Rename", "Hold"}
    assert wanted <= set(names)
    assert not any("Linkedid: " in packet for packet in packets)
    for packet in packets:
        assert headers(packet)["Event"] == name_of(packet)


def test_each_link_is_undone_and_each_dial_told_once(packets: list[str]) -> None:
    linked: set[frozenset[str]] = set()
    dials: Counter[str] = Counter()
    for packet in packets:
        event = headers(packet)
        if event["Event"] == "Bridge":
            pair = frozenset((event["Uniqueid1"], event["Uniqueid2"]))
            if event["Bridgestate"] == "Link":
                assert pair not in linked
                linked.add(pair)
            else:
                linked.remove(pair)
        elif event["Event"] == "Dial":
            dials[event["SubEvent"]] += 1
    assert dials["Begin"] >= dials["End"] > 20


def test_whom_a_queue_dials_is_told_by_its_own_event_alone(packets: list[str]) -> None:
    """Branch 11, ``apps/app_queue.c`` ring_entry; ``apps/app_dial.c`` senddialevent."""
    events = [headers(packet) for packet in packets]
    called = [event for event in events if event["Event"] == "AgentCalled"]
    dialled = {event.get("Destination") for event in events if event["Event"] == "Dial"}
    assert called
    assert dialled.isdisjoint(event["DestinationChannel"] for event in called)


def packet(event: str, **fields: str) -> str:
    lines = [f"Event: {event}", "Privilege: call,all", *(f"{k}: {v}" for k, v in fields.items())]
    return "\r\n".join(lines) + "\r\n\r\n"


def test_names_are_bare_and_unknown_ones_are_written_as_each_event_does() -> None:
    elder = Elder()
    escaped = escape_c('Ann "A" O\'Hara?')
    told = {"Channel": "SIP/1-1", "CallerIDNum": "<unknown>", "CallerIDName": escaped}
    (new,) = elder.told([packet("Newchannel", **told)])
    assert (headers(new)["CallerIDNum"], headers(new)["CallerIDName"]) == ("", 'Ann "A" O\'Hara?')
    (join,) = elder.told([packet("QueueCallerJoin", **told, Queue="q")])
    assert (headers(join)["Event"], headers(join)["CallerIDNum"]) == ("Join", "unknown")


def test_what_is_unescaped_is_what_was_escaped() -> None:
    for text in ("a", 'q"\\', "\t\n?", "\\n", "日本"):
        assert unescape_c(escape_c(text)) == text
    assert unescape_c("\\z") == "\\z"


def test_an_originate_has_no_dial() -> None:
    elder = Elder()
    assert elder.told([packet("DialBegin", DestChannel="SIP/1-1", DestUniqueid="1.1")]) == []


@pytest.mark.parametrize("action", ["QueueStatus", "QueueSummary", "Status", "Agents"])
def test_its_old_lists_say_nothing_of_a_list(action: str) -> None:
    made = simulation(STYLE_11)
    made.advance(STARTED + 30)
    first, *_, last = map(headers, split(answer(made, f"Action: {action}", "ActionID: a")))
    assert "EventList" not in first
    assert "EventList" not in last
    assert (last["Event"], last["ActionID"]) == (f"{action}Complete", "a")


def test_members_of_queues_have_no_reason_in_lists() -> None:
    made = simulation(STYLE_11)
    answer(made, "Action: QueuePause", "Interface: SIP/201", "Paused: 1", "Reason: tea")
    (event,) = (headers(p) for p in made.drain() if name_of(p) == "QueueMemberPaused")
    assert (event["Location"], event["Reason"]) == ("SIP/201", "tea")
    text = answer(made, "Action: QueueStatus")
    assert "tea" not in text
    assert "IsInCall: 0" in text


def test_an_item_that_is_the_same_stays_so() -> None:
    assert listed("Event: QueueParams\r\nQueue: a\r\n") == "Event: QueueParams\r\nQueue: a\r\n"


def test_actions_that_came_later_are_not_there() -> None:
    commands = headers(answer(simulation(STYLE_11), "Action: ListCommands"))
    assert not {"BridgeList", "DeviceStateList", "ExtensionStateList", "Parkinglots"} & set(
        commands
    )
    assert {"MeetmeList", "IAXpeers", "ParkedCalls", "Queues"} <= set(commands)
