"""Originate: a real call, told by OriginateResponse or by a late answer."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.answers import Answers
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13
from tests.support.simulator import STARTED, answer, headers, name_of, request, simulation

PLACE = ("Context: default", "Exten: 602", "Priority: 1")
QUEUED = "Originate successfully queued"


def responses(pbx: Simulation, seconds: float = 60) -> list[dict[str, str]]:
    packets = pbx.advance(pbx.now + seconds)
    return [headers(p) for p in packets if name_of(p) == "OriginateResponse"]


def test_a_phone_answers_and_goes_to_the_queue() -> None:
    pbx = simulation(rate=0)
    lines = ("Channel: PJSIP/216", 'CallerID: "Zoë" <123>', "Variable: A=1,B=two", "Variable: C=3")
    text = answer(pbx, "Action: Originate", "ActionID: o1", *lines, *PLACE, "Async: true")
    assert headers(text) == {"Response": "Success", "ActionID": "o1", "Message": QUEUED}
    packets = [headers(packet) for packet in pbx.advance(STARTED + 60)]
    (told,) = [event for event in packets if event["Event"] == "OriginateResponse"]
    assert (told["ActionID"], told["Response"], told["Reason"]) == ("o1", "Success", "4")
    assert told["Channel"].startswith("PJSIP/216-")
    assert (told["CallerIDNum"], told["CallerIDName"]) == ("123", "Zoë")
    joined = next(event for event in packets if event["Event"] == "QueueCallerJoin")
    assert (joined["Uniqueid"], joined["Queue"]) == (told["Uniqueid"], "support")
    variables = {e["Variable"]: e["Value"] for e in packets if e["Event"] == "VarSet"}
    assert {"A": "1", "B": "two", "C": "3"}.items() <= variables.items()


def test_an_application_is_told_of_as_such() -> None:
    pbx = simulation(rate=0)
    goal = ("Application: Echo", "Data: x")
    answer(pbx, "Action: Originate", "Channel: PJSIP/216", *goal, "Async: 1")
    (told,) = responses(pbx)
    assert (told["Application"], told["Data"]) == ("Echo", "x")
    assert "Exten" not in told
    assert "ActionID" not in told


def test_a_busy_phone() -> None:
    pbx = simulation(rate=0)
    for _ in range(2):
        answer(pbx, "Action: Originate", "Channel: PJSIP/216", *PLACE, "Async: 1")
    failed, answered = responses(pbx)
    assert (failed["Response"], failed["Reason"], failed["Uniqueid"]) == (
        "Failure",
        "5",
        "<unknown>",
    )
    assert failed["Channel"] == "PJSIP/216"
    assert answered["Reason"] == "4"


@pytest.mark.parametrize(
    "channel", ["PJSIP/999", "SIP/216", "Local/999@default", "PJSIP/1@x", "x/"]
)
def test_what_cannot_be_dialled(channel: str) -> None:
    pbx = simulation(rate=0)
    answer(pbx, "Action: Originate", f"Channel: {channel}", *PLACE, "Async: 1")
    (told,) = responses(pbx)
    assert (told["Response"], told["Reason"], told["Channel"]) == ("Failure", "0", channel)
    assert pbx.switch.calls == {}


def test_a_phone_that_is_not_answered_in_time() -> None:
    pbx = simulation(rate=0)
    answer(pbx, "Action: Originate", "Channel: PJSIP/216", *PLACE, "Async: 1", "Timeout: 500")
    packets = [headers(packet) for packet in pbx.advance(STARTED + 60)]
    (told,) = [event for event in packets if event["Event"] == "OriginateResponse"]
    assert (told["Response"], told["Reason"]) == ("Failure", "3")
    (hangup,) = [event for event in packets if event["Event"] == "Hangup"]
    assert hangup["Cause"] == "19"


def test_a_phone_that_is_hung_up_before() -> None:
    pbx = simulation(rate=0)
    answer(pbx, "Action: Originate", "Channel: PJSIP/216", *PLACE, "Async: 1")
    pbx.advance(STARTED + 0.6)
    pbx.hang_up(next(iter(pbx.switch.channels.values())), 16)
    (told,) = responses(pbx)
    assert (told["Response"], told["Reason"]) == ("Failure", "1")


@pytest.mark.parametrize("channel", ["PJSIP/442079460000@trunk-europe", "SIP/carrier-west/1234567"])
def test_a_number_outside(channel: str) -> None:
    pbx = simulation(rate=0) if channel.startswith("PJ") else simulation(STYLE_13, rate=0)
    answer(pbx, "Action: Originate", f"Channel: {channel}", *PLACE, "Async: 1")
    (told,) = responses(pbx)
    assert told["Response"] == "Success"


def test_a_given_unique_id_is_used() -> None:
    pbx = simulation(rate=0)
    lines = ("Channel: PJSIP/216", "ChannelId: mine-1", "Account: acme")
    answer(pbx, "Action: Originate", *lines, *PLACE, "Async: 1")
    new = headers(pbx.drain()[0])
    assert (new["Uniqueid"], new["Linkedid"], new["AccountCode"]) == ("mine-1", "mine-1", "acme")


def test_a_local_channel_has_two_halves_that_live_and_die_together() -> None:
    pbx = simulation(rate=0)
    answer(pbx, "Action: Originate", "Channel: Local/205@default/n", *PLACE, "Async: 1")
    packets = [headers(packet) for packet in pbx.advance(STARTED + 8)]
    first, second = (e for e in packets if e["Event"] == "Newchannel" and "Local/" in e["Channel"])
    assert (first["Channel"][-2:], second["Channel"][-2:]) == (";1", ";2")
    assert first["Linkedid"] == second["Linkedid"] == first["Uniqueid"]
    (local,) = (e for e in packets if e["Event"] == "LocalBridge")
    assert (local["LocalOneChannel"], local["LocalTwoChannel"]) == (
        first["Channel"],
        second["Channel"],
    )
    (told,) = (e for e in packets if e["Event"] == "OriginateResponse")
    assert (told["Channel"], told["Reason"]) == (first["Channel"], "4")
    pbx.hang_up(pbx.switch.channels[second["Channel"]], 16)
    assert pbx.switch.channels == {}


def test_a_local_channel_that_nobody_answers() -> None:
    pbx = simulation(rate=0)
    lines = ("Channel: Local/205@default", "Timeout: 300")
    answer(pbx, "Action: Originate", *lines, *PLACE, "Async: 1")
    (told,) = responses(pbx)
    assert (told["Response"], told["Reason"]) == ("Failure", "3")
    assert pbx.switch.channels == {}


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("PJSIP/216", ("Success", QUEUED)),
        ("PJSIP/999", ("Error", "Originate failed")),
    ],
)
def test_without_async_the_answer_comes_when_the_call_is_decided(
    channel: str, expected: tuple[str, str]
) -> None:
    pbx = simulation(rate=0)
    late: list[str] = []
    order = request("Action: Originate", f"Channel: {channel}", *PLACE, "ActionID: 5")
    assert Answers(pbx, "test").answer(order, late.append) is None
    assert responses(pbx) == [], "only asynchronous ones are told of to all"
    (text,) = late
    got = headers(text)
    assert (got["Response"], got["Message"]) == expected
    assert got["ActionID"] == "5"
