"""Every event has exactly the headers, in the order, that real servers were recorded to send."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from amiws_gevent.simulator.pbx.company import Pace, furnish
from amiws_gevent.simulator.pbx.model import ChannelState, Device, DeviceState
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from amiws_gevent.simulator.pbx.switch import Switch
from tests.support.simulator import (
    SNAPSHOT,
    STARTED,
    STYLES,
    answer,
    headers,
    pairs,
    simulation,
    split,
)

CAPTURES = Path(__file__).parent.parent / "captures"
FILES = {"13": "asterisk-13.38.raw", "22": "asterisk-22.11.raw"}

BRIDGE = (
    "BridgeUniqueid",
    "BridgeType",
    "BridgeTechnology",
    "BridgeCreator",
    "BridgeName",
    "BridgeNumChannels",
    "BridgeVideoSourceMode",
)


def prefixed(prefix: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(prefix + name for name in names)


# Not in the recordings: as Asterisk's sources write them.
_REPORT = (
    *("RTT", "SSRC", "PT", "ReportCount", "SentNTP", "SentRTP", "SentPackets", "SentOctets"),
    *("Report0SourceSSRC", "Report0FractionLost", "Report0CumulativeLost"),
    *("Report0HighestSequence", "Report0SequenceNumberCycles", "Report0IAJitter"),
    *("Report0LSR", "Report0DLSR"),
)
UNRECORDED = {
    "RTCPSent": (*SNAPSHOT, "To", *_REPORT),
    "RTCPReceived": (*SNAPSHOT, "From", *_REPORT),
    "Hold": (*SNAPSHOT, "MusicClass"),
    "Unhold": SNAPSHOT,
    "ExtensionStatus": ("Exten", "Context", "Hint", "Status", "StatusText"),
    "DialState": (*SNAPSHOT, *prefixed("Dest", SNAPSHOT), "DialStatus"),
    "QueueCallerAbandon": (*SNAPSHOT, "Queue", "Position", "OriginalPosition", "HoldTime"),
    "AgentRingNoAnswer": (
        *SNAPSHOT,
        *prefixed("Dest", SNAPSHOT),
        "Queue",
        "Interface",
        "MemberName",
        "RingTime",
    ),
    "BlindTransfer": (
        "Result",
        *prefixed("Transferer", SNAPSHOT),
        *prefixed("Transferee", SNAPSHOT),
        *BRIDGE,
        "IsExternal",
        "Context",
        "Extension",
    ),
    "AttendedTransfer": (
        "Result",
        *prefixed("OrigTransferer", SNAPSHOT),
        *prefixed("Orig", BRIDGE),
        *prefixed("SecondTransferer", SNAPSHOT),
        *prefixed("Second", BRIDGE),
        *prefixed("Transferee", SNAPSHOT),
        *prefixed("TransferTarget", SNAPSHOT),
        "IsExternal",
        "DestType",
        "DestBridgeUniqueid",
    ),
}


def shape(packet: str) -> tuple[str, tuple[str, ...]]:
    """The event's name and its header names; repeats of ``Variable`` count once."""
    found = pairs(packet)
    names = [name for name, _ in found]
    kept = [n for i, n in enumerate(names) if n != "Variable" or names[i - 1] != n]
    return found[0][1], tuple(kept)


@cache
def recorded(style: str) -> dict[str, set[tuple[str, ...]]]:
    text = (CAPTURES / FILES[style]).read_bytes().decode()
    shapes: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for part in re.findall(r"Event: .*?\r\n\r\n", text, re.DOTALL):
        name, names = shape(part)
        shapes[name].add(names)
    return shapes


by_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


@by_style
@pytest.mark.slow
def test_events_have_the_recorded_headers(style: Style) -> None:
    pbx = simulation(style)
    packets = pbx.advance(STARTED + 1200)
    for reason in ("lunch", ""):
        pause = (f"Interface: {style.technology}/201", "Paused: 1", f"Reason: {reason or 'x'}")
        answer(pbx, "Action: QueuePause", *pause)
    order = ("Context: default", "Exten: 602", "Priority: 1", "Async: 1", "ActionID: o")
    answer(pbx, "Action: Originate", "Channel: Local/*43@default", "CallerID: A <1>", *order)
    packets += pbx.advance(STARTED + 1210)
    seen = set()
    for packet in packets:
        name, names = shape(packet)
        expected = recorded(style.name).get(name)
        if name in UNRECORDED:
            expected = {("Event", "Privilege", *UNRECORDED[name])}
        assert expected, f"{name} is neither recorded nor known"
        if (name, style.name) == ("QueueMemberPause", "13") and "Reason" not in names:
            names = (*names, "Reason")  # app_queue.c adds it if one was given
        assert names in expected
        seen.add(name)
    assert len(seen) >= 29


@by_style
@pytest.mark.parametrize(
    ("action", "items"),
    [
        ("CoreShowChannels", {"CoreShowChannel", "CoreShowChannelsComplete"}),
        ("Status", {"Status", "StatusComplete"}),
        ("QueueStatus", {"QueueParams", "QueueMember", "QueueStatusComplete"}),
        ("QueueSummary", {"QueueSummary", "QueueSummaryComplete"}),
        ("BridgeList", {"BridgeListItem", "BridgeListComplete"}),
        ("DeviceStateList", {"DeviceStateChange", "DeviceStateListComplete"}),
    ],
)
def test_lists_have_the_recorded_headers(style: Style, action: str, items: set[str]) -> None:
    pbx = simulation(style)
    pbx.advance(STARTED + 60)
    lines = [f"Action: {action}", "ActionID: 1"]
    if action == "Status" and style is STYLE_22:
        lines.append("AllVariables: true")
    packets = split(answer(pbx, *lines))[1:]
    shapes = [shape(packet) for packet in packets if "\r\nQueue: x" not in packet]
    shapes = [(name, names) for name, names in shapes if name != "QueueEntry"]
    assert {name for name, _ in shapes} == items
    for name, names in shapes:
        assert names in recorded(style.name)[name]


def test_privileges_are_the_recorded_ones() -> None:
    for style in STYLES:
        text = (CAPTURES / FILES[style.name]).read_bytes().decode()
        told = dict(re.findall(r"Event: (\w+)\r\nPrivilege: ([^\r]*)\r\n", text))
        for packet in simulation(style).advance(STARTED + 300):
            event = headers(packet)
            if event["Event"] in told:
                assert event["Privilege"] == told[event["Event"]], event["Event"]


def furnished(style: Style = STYLE_22) -> Switch:
    switch = Switch(style, random.Random(1), STARTED)
    furnish(switch, Pace.for_rate(0.5))
    return switch


def ringing(switch: Switch, device: Device) -> None:
    call = switch.new_call()
    channel = switch.new_channel(
        call, device, state=ChannelState.DOWN, context="default", exten="1"
    )
    switch.set_state(channel, ChannelState.RINGING)


def test_a_phone_tells_its_states_and_its_queues() -> None:
    switch = furnished()
    device = switch.queues["sales"].members[0].device
    ringing(switch, device)
    states = [headers(p) for p in switch.out if "DeviceStateChange" in p]
    assert [(e["Device"], e["State"]) for e in states] == [("PJSIP/201", "RINGING")]
    member = headers(switch.out[-1])
    assert (member["Event"], member["Status"]) == ("QueueMemberStatus", "6")
    switch.set_state(device.channels[0], ChannelState.UP)
    assert device.state is DeviceState.INUSE
    switch.hold(device.channels[0], True)
    assert device.state is DeviceState.ONHOLD
    switch.hangup(device.channels[0], 16)
    assert device.state is DeviceState.NOT_INUSE
    assert not device.channels


def test_a_queue_without_a_free_agent_says_so() -> None:
    switch = furnished()
    for member in switch.queues["sales"].members[1:]:
        switch.pause(member, True, "")
    switch.out.clear()
    ringing(switch, switch.queues["sales"].members[0].device)
    last = headers(switch.out[-1])
    assert (last["Device"], last["State"]) == ("Queue:sales_avail", "INUSE")


def test_names_are_escaped_as_asterisk_does() -> None:
    switch = furnished()
    device = switch.devices["PJSIP/201"]
    channel = switch.new_channel(
        switch.new_call(), device, state=ChannelState.UP, context="a", exten="1", name="O'Hara"
    )
    assert headers(switch.out[0])["CallerIDName"] == "O\\'Hara"
    assert channel.caller_name == "O'Hara"


RTP = re.compile(
    r"ssrc=\d+;themssrc=\d+;lp=(\d+);rxjitter=(\d+\.\d{6});rxcount=(\d+);txjitter=\d+\.\d{6};"
    r"txcount=(\d+);rlp=\d+;rtt=(\d+\.\d{6})(;rxmes=\d+\.\d{6};txmes=\d+\.\d{6})?"
)


@by_style
def test_rtp_statistics_come_at_the_end_of_what_was_answered(style: Style) -> None:
    answered: set[str] = set()
    told: dict[str, str] = {}
    for packet in simulation(style, rate=2).advance(STARTED + 300):
        event = headers(packet)
        if event.get("ChannelState") == "6" and event["Event"] == "Newstate":
            answered.add(event["Uniqueid"])
        elif event.get("Variable") == "RTPAUDIOQOS":
            assert event["Uniqueid"] not in told
            told[event["Uniqueid"]] = event["Value"]
        elif event["Event"] == "Hangup":
            assert (event["Uniqueid"] in told) is (event["Uniqueid"] in answered)
    jitters = []
    for value in told.values():
        match = RTP.fullmatch(value)
        assert match, value
        lost, jitter, received, sent, rtt, scores = match.groups()
        assert int(lost) + int(received) == int(sent)
        assert 0 < float(rtt) < 0.5
        assert (scores is not None) is (style is STYLE_22)
        jitters.append(float(jitter))
    assert min(jitters) < 0.003 < 0.02 < max(jitters) < 0.1


def test_a_pause_is_told_in_each_style() -> None:
    for style in STYLES:
        switch = furnished(style)
        switch.now += 60
        switch.pause(switch.queues["sales"].members[0], True, "lunch")
        state, event = (headers(packet) for packet in switch.out)
        device = f"Queue:sales_pause_{style.technology}/201"
        assert (state["Device"], state["State"]) == (device, "INUSE")
        assert (event["Paused"], event["PausedReason"]) == ("1", "lunch")
        assert event.get("Reason") == ("lunch" if style is STYLE_13 else None)
        last_pause = None if style is STYLE_13 else str(int(STARTED) + 60)
        assert event.get("LastPause") == last_pause
        switch.pause(switch.queues["sales"].members[0], False, "back")
        assert headers(switch.out[-1])["PausedReason"] == ""
