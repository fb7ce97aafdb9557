"""Answers and errors in the words of Asterisk, and what actions do."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.simulator.pbx.answers import Answers
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from tests.support.simulator import (
    STARTED,
    STYLES,
    answer,
    answered_events,
    headers,
    name_of,
    pairs,
    request,
    simulation,
    split,
)

CAPTURES = Path(__file__).parent.parent / "captures"

by_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


@pytest.fixture
def pbx() -> Simulation:
    made = simulation()
    made.advance(STARTED + 60)
    return made


def first_channel(pbx: Simulation) -> str:
    return next(iter(pbx.switch.channels))


def recorded(style: Style, action_id: str) -> list[str]:
    """The header names of the recorded answer to an action."""
    file = "asterisk-13.38.raw" if style is STYLE_13 else "asterisk-22.11.raw"
    text = (CAPTURES / file).read_bytes().decode()
    (part,) = [p for p in text.split("\r\n\r\n") if f"\r\nActionID: {action_id}\r\n" in p][:1]
    return [line.partition(":")[0] for line in part.split("\r\n")]


@by_style
@pytest.mark.parametrize(("action", "action_id"), [("CoreStatus", "cs"), ("CoreSettings", "cset")])
def test_status_and_settings_have_the_recorded_headers(
    style: Style, action: str, action_id: str
) -> None:
    text = answer(simulation(style), f"Action: {action}", "ActionID: 1")
    assert [name for name, _ in pairs(text)] == recorded(style, action_id)


def test_core_status_counts_calls(pbx: Simulation) -> None:
    got = headers(answer(pbx, "Action: CoreStatus"))
    assert got["CoreCurrentCalls"] == str(pbx.switch.calls_up)
    assert got["CoreProcessedCalls"] == str(pbx.switch.calls_begun)
    assert (got["CoreStartupDate"], got["CoreStartupTime"]) == ("2023-11-14", "22:13:20")


def test_core_settings_name_the_server(pbx: Simulation) -> None:
    got = headers(answer(pbx, "Action: CoreSettings"))
    assert (got["AMIversion"], got["SystemName"]) == ("11.0.0", "test")
    assert got["AsteriskVersion"].startswith("22.11")


# The servers that were recorded had neither chan_sip nor res_pjsip, and one no app_voicemail.
UNRECORDED = {
    "SIP": {
        *("IAXpeerlist", "IAXpeers", "MeetmeList", "MeetmeListRooms", "MeetmeMute"),
        *("MeetmeUnmute", "SIPpeers", "SIPshowregistry", "VoicemailUsersList"),
    },
    "PJSIP": {"PJSIPShowContacts", "PJSIPShowEndpoints", "PJSIPShowRegistrationsOutbound"},
}


@by_style
def test_all_that_is_listed_is_known_and_only_that(style: Style) -> None:
    made = simulation(style)
    answers = Answers(made, "test")
    commands = headers(answer(made, "Action: ListCommands"))
    assert commands.pop("Response") == "Success"
    assert commands["Ping"] == " (Priv: <none>)"
    assert commands["Originate"] == " (Priv: originate,all)"
    assert list(commands) == sorted(commands, key=str.lower)
    assert ("Queues" in commands) is (style is STYLE_13)
    recorded_names = set(recorded(style, "lc")) | UNRECORDED[style.technology]
    for action in commands:
        in_session = action in ("Login", "Logoff", "Challenge", "Events", "Ping")
        assert answers.knows(request(f"Action: {action}")) is not in_session
        assert action in recorded_names
    assert not answers.knows(request("Action: NoSuch"))


# Commands


def test_command_output_in_13_is_bare_text() -> None:
    text = answer(simulation(STYLE_13), "Action: Command", "Command: core show uptime")
    assert text == (
        "Response: Follows\r\nPrivilege: Command\r\nSystem uptime: 0 seconds\n"
        "Last reload: 0 seconds\n--END COMMAND--\r\n\r\n"
    )


def test_command_output_in_22_is_a_header_a_line() -> None:
    text = answer(simulation(), "Action: Command", "ActionID: c", "Command: core show uptime")
    assert text == (
        "Response: Success\r\nActionID: c\r\nMessage: Command output follows\r\n"
        "Output: System uptime: 0 seconds\r\nOutput: Last reload: 0 seconds\r\n\r\n"
    )


def test_an_unknown_command_is_an_error_from_14_on() -> None:
    text = answer(simulation(STYLE_13), "Action: Command", "Command: nosuch")
    assert text.startswith("Response: Follows\r\nPrivilege: Command\r\nNo such command 'nosuch' (")
    got = headers(answer(simulation(STYLE_22), "Action: Command", "Command: nosuch"))
    assert got["Response"] == "Error"
    assert got["Output"].startswith("No such command 'nosuch' (type 'core show help nosuch'")


# Lists


def test_queue_status_honours_its_filters(pbx: Simulation) -> None:
    everything = answered_events(pbx, "Action: QueueStatus")
    assert {item["Queue"] for item in everything} == {"sales", "support", "billing"}
    sales = answered_events(pbx, "Action: QueueStatus", "Queue: SALES", "Member: PJSIP/202")
    members = [item for item in sales if item["Event"] == "QueueMember"]
    assert {item["Queue"] for item in sales} == {"sales"}
    assert [(m["Location"], m["Name"]) for m in members] == [("PJSIP/202", "Bob Berg")]
    named = answered_events(pbx, "Action: QueueStatus", "Queue: sales", "Member: Bob Berg")
    assert members[0] in named
    assert answered_events(pbx, "Action: QueueStatus", "Queue: none") == []


def test_queue_summary_honours_its_filter(pbx: Simulation) -> None:
    (item,) = answered_events(pbx, "Action: QueueSummary", "Queue: support", "ActionID: 3")
    assert (item["Event"], item["Queue"], item["LoggedIn"]) == ("QueueSummary", "support", "6")
    assert item["ActionID"] == "3"


def test_status_of_one_channel(pbx: Simulation) -> None:
    name = first_channel(pbx)
    text = answer(pbx, "Action: Status", f"Channel: {name}", "ActionID: 1")
    start, item, end = split(text)
    assert headers(item)["Channel"] == name
    assert headers(end)["Items"] == "1"
    assert headers(start)["Message"] == "Channel status will follow"
    none = headers(answer(pbx, "Action: Status", "Channel: none"))
    assert (none["Response"], none["Message"]) == ("Error", "No such channel")


def test_status_with_variables(pbx: Simulation) -> None:
    name = first_channel(pbx)
    pbx.switch.set_variable(pbx.switch.channels[name], "A", "x=y")
    text = answer(pbx, "Action: Status", f"Channel: {name}", "Variables: A,NONE")
    found = [value for key, value in pairs(split(text)[1]) if key == "Variable"]
    assert found == ["A=x=y", "NONE="]
    text = answer(pbx, "Action: Status", f"Channel: {name}", "AllVariables: true")
    assert "\r\nVariable: A=x=y\r\n" in text


def test_the_queues_text_of_13() -> None:
    made = simulation(STYLE_13)
    text = answer(made, "Action: Queues", "ActionID: lost")
    assert text.startswith("billing has 0 calls (max unlimited) in 'leastrecent' strategy (")
    assert text.endswith("\r\n\r\n\r\n\r\n"), "two blank lines more than each queue's own"
    assert text.count("\n") == text.count("\r\n")
    assert "ActionID" not in text
    assert answer(made, "Action: Queues", "Queue: sales").startswith("sales has 0 calls")


# Channels


def test_hangup_ends_the_call(pbx: Simulation) -> None:
    name = first_channel(pbx)
    call = pbx.switch.channels[name].call
    got = headers(answer(pbx, "Action: Hangup", f"Channel: {name.lower()}", "Cause: 21"))
    assert (got["Response"], got["Message"]) == ("Success", "Channel Hungup")
    events = [headers(packet) for packet in pbx.drain()]
    assert (events[0]["Event"], events[0]["Channel"]) == ("SoftHangupRequest", name)
    hangups = [event for event in events if event["Event"] == "Hangup"]
    assert {event["Cause"] for event in hangups} == {"21"}
    assert call.ended
    assert name not in pbx.switch.channels


@pytest.mark.parametrize("cause", ["", "128", "-1", "x", "٣"])
def test_hangup_with_a_cause_that_is_none_is_a_normal_one(pbx: Simulation, cause: str) -> None:
    answer(pbx, "Action: Hangup", f"Channel: {first_channel(pbx)}", f"Cause: {cause}")
    assert "\r\nCause: 16\r\n" in "".join(pbx.drain())


def test_redirect_moves_a_channel(pbx: Simulation) -> None:
    channel = pbx.switch.channels[first_channel(pbx)]
    goal = ("Context: default", "Exten: 602", "Priority: 1")
    got = headers(answer(pbx, "Action: Redirect", f"Channel: {channel.uniqueid}", *goal))
    assert got["Message"] == "Redirect successful"
    assert (channel.exten, channel.context, channel.application) == ("602", "default", "Answer")
    assert channel.call.channels == [channel]


def test_redirect_of_two(pbx: Simulation) -> None:
    call = next(call for call in pbx.switch.calls.values() if call.bridges)
    first, second = call.bridges[0].channels
    goal = ("Context: default", "Exten: *43", "Priority: 1")
    extra = (f"ExtraChannel: {second.name}", "ExtraContext: from-internal", "ExtraExten: 602")
    got = headers(answer(pbx, "Action: Redirect", f"Channel: {first.name}", *goal, *extra))
    assert got["Message"] == "Dual Redirect successful"
    assert (first.application, first.exten) == ("Echo", "*43")
    assert (second.application, second.exten, second.context) == ("Answer", "602", "from-internal")
    assert first.bridge is second.bridge is None


def test_variables(pbx: Simulation) -> None:
    channel = pbx.switch.channels[first_channel(pbx)]
    where = f"Channel: {channel.name}"
    got = headers(answer(pbx, "Action: Setvar", where, "Variable: A", "Value: ä"))
    assert got["Message"] == "Variable Set"
    assert headers(pbx.drain()[-1])["Value"] == "ä"
    assert headers(answer(pbx, "Action: Getvar", where, "Variable: A"))["Value"] == "ä"
    assert headers(answer(pbx, "Action: Getvar", "Variable: A"))["Value"] == ""
    answer(pbx, "Action: Setvar", "Variable: A", "Value: all")
    told = headers(pbx.drain()[-1])
    assert (told["Channel"], told["Uniqueid"], told["Value"]) == ("none", "none", "all")
    assert headers(answer(pbx, "Action: Getvar", "Variable: A"))["Value"] == "all"
    number = answer(pbx, "Action: Getvar", where, "Variable: CALLERID(num)")
    assert headers(number)["Value"] == channel.caller_number


# Queues


def test_pause_in_all_queues_and_in_one(pbx: Simulation) -> None:
    lines = ("Interface: PJSIP/205", "Paused: true", "Reason: lunch")
    got = headers(answer(pbx, "Action: QueuePause", *lines))
    assert got["Message"] == "Interface paused successfully"
    told = [headers(p) for p in pbx.drain() if name_of(p) == "QueueMemberPause"]
    assert [(e["Queue"], e["Paused"], e["PausedReason"]) for e in told] == [
        ("support", "1", "lunch"),
        ("billing", "1", "lunch"),
    ]
    back = ("Interface: PJSIP/205", "Paused: 0", "Queue: billing")
    got = headers(answer(pbx, "Action: QueuePause", *back))
    assert got["Message"] == "Interface unpaused successfully"
    items = answered_events(pbx, "Action: QueueStatus", "Member: PJSIP/205")
    paused = {item["Queue"]: item["Paused"] for item in items if item["Event"] == "QueueMember"}
    assert paused == {"support": "1", "billing": "0"}


def test_an_agent_on_a_break_is_not_called() -> None:
    made = simulation()
    for number in range(201, 204):
        answer(made, "Action: QueuePause", f"Interface: PJSIP/{number}", "Paused: 1")
    called = {
        headers(packet)["Interface"]
        for packet in made.advance(STARTED + 300)
        if name_of(packet) == "AgentCalled"
    }
    assert "PJSIP/204" in called
    assert not called & {"PJSIP/201", "PJSIP/202", "PJSIP/203"}


PLACE = ("Context: default", "Exten: 602", "Priority: 1")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("Action: Command",), "No command provided"),
        (("Action: Hangup",), "No channel specified"),
        (("Action: Hangup", "Channel: SIP/none"), "No such channel"),
        (("Action: Redirect",), "Channel not specified"),
        (("Action: Redirect", "Channel: x"), "Context not specified"),
        (("Action: Redirect", "Channel: x", "Context: y"), "Exten not specified"),
        (("Action: Redirect", "Channel: x", *PLACE[:2]), "Priority not specified"),
        (("Action: Redirect", "Channel: x", *PLACE[:2], "Priority: p"), "Priority is invalid"),
        (("Action: Redirect", "Channel: x", *PLACE), "Channel does not exist: x"),
        (("Action: Getvar",), "No variable specified"),
        (("Action: Getvar", "Variable: A", "Channel: x"), "No such channel"),
        (("Action: Setvar",), "No variable specified"),
        (("Action: Setvar", "Variable: A", "Channel: x"), "No such channel"),
        (("Action: QueuePause",), "Need 'Interface' and 'Paused' parameters."),
        (("Action: QueuePause", "Interface: x", "Paused: 1"), "Interface not found"),
        (("Action: Originate",), "Channel not specified"),
        (("Action: Originate", "Channel: x"), "Invalid channel"),
        (("Action: Originate", "Channel: a/b", "Timeout: x"), "Invalid timeout"),
        (("Action: Originate", "Channel: a/b", "Priority: x"), "Invalid priority"),
        (
            ("Action: Originate", "Channel: a/b", "Context: c", "Exten: 9", "Priority: 1"),
            "Extension does not exist.",
        ),
        (
            ("Action: Originate", "Channel: a/b", "Exten: 602"),
            "Originate with 'Exten' requires 'Context' and 'Priority'",
        ),
    ],
)
def test_errors(pbx: Simulation, lines: tuple[str, ...], message: str) -> None:
    before = pbx.drain()
    got = headers(answer(pbx, *lines, "ActionID: e"))
    assert got == {"Response": "Error", "ActionID": "e", "Message": message}
    assert before == pbx.drain() == [], "an action that is refused does nothing"


def test_the_extra_channel_must_be_another_one_that_exists(pbx: Simulation) -> None:
    name = first_channel(pbx)
    for extra in ("x", name):
        lines = (f"Channel: {name}", *PLACE, f"ExtraChannel: {extra}")
        got = headers(answer(pbx, "Action: Redirect", *lines))
        assert got["Message"] == f"ExtraChannel does not exist: {extra}"
