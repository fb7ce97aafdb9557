"""What a panel does: each action, its answer, the events that it makes, and its errors."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from tests.support.simulator import (
    EVERY,
    STARTED,
    answer,
    answered_events,
    headers,
    name_of,
    simulation,
)

by_style = pytest.mark.parametrize("style", EVERY, ids=lambda style: style.name)


def ask(pbx: Simulation, *lines: str) -> str:
    """The message of the answer."""
    got = headers(answer(pbx, *lines))
    return got.get("Message", got["Response"])


def told(pbx: Simulation, name: str) -> list[dict[str, str]]:
    return [headers(packet) for packet in pbx.drain() if name_of(packet) == name]


@by_style
def test_somebody_is_added_to_a_queue_and_taken_out(style: Style) -> None:
    pbx = simulation(style, rate=0)
    phone = f"Interface: {style.technology}/216"
    add = ("Action: QueueAdd", "Queue: sales", phone, "Penalty: 3", "Paused: 1")
    assert ask(pbx, *add) == "Added interface to queue"
    (event,) = told(pbx, "QueueMemberAdded")
    assert (event["Membership"], event["Penalty"], event["Paused"]) == ("dynamic", "3", "1")
    assert ask(pbx, *add) == "Unable to add interface: Already there"
    remove = ("Action: QueueRemove", "Queue: sales", phone)
    assert ask(pbx, *remove) == "Removed interface from queue"
    (event,) = told(pbx, "QueueMemberRemoved")
    assert f"{style.technology}/216" in event.values()
    assert ask(pbx, *remove) == "Unable to remove interface: Not there"


def test_a_member_of_the_configuration_cannot_be_taken_out() -> None:
    pbx = simulation(rate=0)
    member = pbx.switch.queues["sales"].members[0]
    assert member.membership == "static"
    lines = ("Action: QueueRemove", "Queue: sales", f"Interface: {member.interface}")
    assert ask(pbx, *lines) == "Member not dynamic"
    assert any(m.membership == "dynamic" for q in pbx.switch.queues.values() for m in q.members)


def test_an_interface_that_there_is_not_is_added_and_cannot_be_reached() -> None:
    pbx = simulation(rate=0)
    ask(pbx, "Action: QueueAdd", "Queue: sales", "Interface: PJSIP/999", "MemberName: Nobody")
    (event,) = told(pbx, "QueueMemberAdded")
    assert (event["MemberName"], event["Status"]) == ("Nobody", "5")
    pbx.advance(STARTED + 60)


def test_a_local_interface_has_the_state_of_its_phone() -> None:
    pbx = simulation(rate=0)
    ask(pbx, "Action: QueueAdd", "Queue: sales", "Interface: Local/216@agents/n")
    (event,) = told(pbx, "QueueMemberAdded")
    assert (event["Interface"], event["StateInterface"]) == ("Local/216@agents/n", "PJSIP/216")


def conference(pbx: Simulation, application: str) -> tuple[str, str]:
    """The names of the channels of two who sit in the conference 800."""
    for number in (201, 202):
        phone = f"Channel: {pbx.style.technology}/{number}"
        lines = (phone, "Async: 1", f"Application: {application}", "Data: 800")
        ask(pbx, "Action: Originate", *lines)
    while len(getattr(pbx.switch.conferences.get("800"), "seats", ())) < 2:
        pbx.advance(pbx.now + 0.1)
    pbx.drain()
    first, second = (seat.channel.name for seat in pbx.switch.conferences["800"].seats)
    return first, second


@by_style
def test_a_conference_is_moderated(style: Style) -> None:
    pbx = simulation(style, rate=0)
    first, second = conference(pbx, "ConfBridge")
    where = ("Conference: 800", f"Channel: {second}")
    assert ask(pbx, "Action: ConfbridgeMute", *where) == "User muted"
    muted = told(pbx, "ConfbridgeMute")
    assert [event["Channel"] for event in muted] == ([second] if style.stasis else [])
    if style.stasis:
        items = answered_events(pbx, "Action: ConfbridgeList", "Conference: 800")
        assert {item["Channel"]: item["Muted"] for item in items} == {first: "No", second: "Yes"}
    assert ask(pbx, "Action: ConfbridgeUnmute", *where) == "User unmuted"
    pbx.drain()
    assert ask(pbx, "Action: ConfbridgeKick", *where) == "User kicked"
    assert [event["Channel"] for event in told(pbx, "ConfbridgeLeave")] == [second]


@pytest.mark.parametrize(
    "style", [style for style in EVERY if style.meetme], ids=lambda style: style.name
)
def test_a_conference_of_meetme_is_moderated(style: Style) -> None:
    pbx = simulation(style, rate=0)
    conference(pbx, "MeetMe")
    where = ("Meetme: 800", "Usernum: 2")
    assert ask(pbx, "Action: MeetmeMute", *where) == "User muted"
    assert [event["Status"] for event in told(pbx, "MeetmeMute")] == ["on"]
    items = answered_events(pbx, "Action: MeetmeList", "Conference: 800")
    assert [item["Muted"] for item in items] == ["No", "By admin"]
    (room,) = answered_events(pbx, "Action: MeetmeListRooms")
    assert int(room["Parties"]) == 2
    assert ask(pbx, "Action: MeetmeUnmute", *where) == "User unmuted"
    assert ask(pbx, "Action: ConfbridgeListRooms") == "No active conferences."


def test_sound_is_muted_and_no_event_tells_of_it() -> None:
    pbx = simulation()
    pbx.advance(STARTED + 30)
    name = next(iter(pbx.switch.channels))
    lines = (f"Channel: {name}", "Direction: in", "State: on")
    assert ask(pbx, "Action: MuteAudio", *lines) == "Success"
    assert pbx.drain() == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("Action: QueueAdd",), "'Queue' not specified."),
        (("Action: QueueAdd", "Queue: sales"), "'Interface' not specified."),
        (
            ("Action: QueueAdd", "Queue: x", "Interface: SIP/1"),
            "Unable to add interface to queue: No such queue",
        ),
        (("Action: QueueRemove", "Queue: x"), "Need 'Queue' and 'Interface' parameters."),
        (
            ("Action: QueueRemove", "Queue: x", "Interface: SIP/1"),
            "Unable to remove interface from queue: No such queue",
        ),
        (("Action: Bridge", "Channel1: a"), "Missing channel parameter in request"),
        (("Action: Bridge", "Channel1: a", "Channel2: b"), "Channel1 does not exists"),
        (("Action: Park",), "Channel not specified"),
        (("Action: Park", "Channel: x"), "Channel does not exist: x"),
        (("Action: MuteAudio",), "Channel not specified"),
        (("Action: MuteAudio", "Channel: x"), "State not specified"),
        (("Action: MuteAudio", "Channel: x", "State: on"), "Direction not specified"),
        (
            ("Action: MuteAudio", "Channel: x", "State: on", "Direction: all"),
            "Channel not found.",
        ),
        (("Action: ConfbridgeMute",), "No Conference name provided."),
        (("Action: ConfbridgeKick", "Conference: 1"), "No channel name provided."),
        (("Action: ConfbridgeMute", "Conference: 1", "Channel: x"), "No active conferences."),
        (("Action: MeetmeMute",), "Meetme conference not specified"),
        (("Action: MeetmeMute", "Meetme: 1"), "Meetme user number not specified"),
        (("Action: MeetmeMute", "Meetme: 1", "Usernum: 1"), "Meetme conference does not exist"),
    ],
)
def test_errors(lines: tuple[str, ...], message: str) -> None:
    pbx = simulation(STYLE_13, rate=0)
    got = headers(answer(pbx, *lines))
    assert got == {"Response": "Error", "Message": message}
    assert pbx.drain() == []


def test_a_channel_is_not_bridged_with_itself() -> None:
    pbx = simulation()
    pbx.advance(STARTED + 30)
    name = next(iter(pbx.switch.channels))
    lines = (f"Channel1: {name}", f"Channel2: {name.lower()}")
    assert ask(pbx, "Action: Bridge", *lines) == "Can't bridge a channel with itself"


def test_meetme_is_not_in_22() -> None:
    assert "MeetmeMute" not in headers(answer(simulation(STYLE_22), "Action: ListCommands"))
