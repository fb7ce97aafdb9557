"""Calls end from whatever state they are in, and leave nothing behind."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.ending import break_bridge, detach, end_call
from amiws_gevent.simulator.pbx.model import Call, Channel
from amiws_gevent.simulator.pbx.simulation import Simulation
from tests.support.simulator import answer, headers, name_of, simulation

PLACE = ("Context: default", "Priority: 1", "Async: 1")


def call_to(exten: str, seconds: float) -> tuple[Simulation, Call]:
    """A call from PJSIP/216 that goes to ``exten``, some seconds after it was answered."""
    pbx = simulation(rate=0)
    answer(pbx, "Action: Originate", "Channel: PJSIP/216", f"Exten: {exten}", *PLACE)
    while not any(name_of(packet) == "OriginateResponse" for packet in pbx.advance(pbx.now + 0.1)):
        assert pbx.next_due is not None
    pbx.advance(pbx.now + seconds)
    (call,) = pbx.switch.calls.values()
    return pbx, call


def causes(pbx: Simulation) -> dict[str, tuple[str, str]]:
    events = [headers(packet) for packet in pbx.drain() if name_of(packet) == "Hangup"]
    return {e["Channel"].partition("-")[0]: (e["Cause"], e["Cause-txt"]) for e in events}


@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.0, 2.0, 6.0, 7.0])
@pytest.mark.parametrize("exten", ["205", "601", "602", "442079460001", "*43"])
def test_a_call_ends_at_any_time(exten: str, seconds: float) -> None:
    pbx, call = call_to(exten, seconds)
    ended = []
    call.on_end = lambda: ended.append(True)
    end_call(pbx.switch, call)
    end_call(pbx.switch, call)
    assert ended == [True]
    assert (pbx.switch.channels, pbx.switch.bridges, pbx.switch.calls) == ({}, {}, {})
    assert not any(queue.entries for queue in pbx.switch.queues.values())
    before = len(pbx.drain())
    assert before
    assert pbx.advance(pbx.now + 60) == [], "its script is over too"


def test_who_hung_up_is_told_and_the_cause_is_that_of_all() -> None:
    pbx, call = call_to("205", 7)
    end_call(pbx.switch, call, 17, by=call.channels[1])
    packets = pbx.switch.out
    first = headers(packets[0])
    assert (first["Event"], first["Channel"][:9]) == ("HangupRequest", "PJSIP/205")
    assert set(causes(pbx).values()) == {("17", "User busy")}


def test_an_operator_hangs_up_softly() -> None:
    pbx, call = call_to("205", 7)
    end_call(pbx.switch, call, by=call.channels[0], soft=True)
    assert [name_of(p) for p in pbx.drain() if "HangupRequest" in p] == ["SoftHangupRequest"]


@pytest.mark.parametrize(("index", "reason"), [(0, "caller"), (1, "agent")])
def test_the_queue_hears_who_ended_the_talk(index: int, reason: str) -> None:
    pbx, call = call_to("601", 0)
    while call.service is None:
        pbx.advance(pbx.now + 0.1)
    pbx.advance(pbx.now + 1)
    service = call.service
    end_call(pbx.switch, call, by=(service.caller, service.agent)[index])
    (event,) = [headers(p) for p in pbx.drain() if name_of(p) == "AgentComplete"]
    assert (event["Reason"], event["TalkTime"]) == (reason, "1")


def test_phones_that_ring_stop() -> None:
    pbx, call = call_to("601", 1.5)
    assert len(call.dials) == 4
    end_call(pbx.switch, call, by=call.channels[0])
    packets = [headers(packet) for packet in pbx.drain()]
    statuses = [e["DialStatus"] for e in packets if e["Event"] == "DialEnd"]
    assert statuses == ["CANCEL"] * 4
    names = [event["Event"] for event in packets]
    assert names.index("QueueCallerAbandon") < names.index("QueueCallerLeave")


def test_those_not_quick_enough_were_answered_elsewhere() -> None:
    pbx, call = call_to("601", 0)
    found: dict[str, str] = {}
    while call.service is None:
        for packet in pbx.advance(pbx.now + 0.1):
            event = headers(packet)
            if event["Event"] == "Hangup":
                found[event["Channel"]] = event["Cause-txt"]
    assert list(found.values()) == ["Answered elsewhere"] * 3


def test_the_caller_gets_the_times_of_its_call() -> None:
    pbx, call = call_to("205", 7)
    (bridge,) = call.bridges
    caller = bridge.caller
    pbx.switch.now = bridge.created + 12.5
    break_bridge(pbx.switch, bridge)
    assert caller.variables["ANSWEREDTIME"] == "12"
    assert caller.variables["ANSWEREDTIME_MS"] == "12500"
    assert int(caller.variables["DIALEDTIME_MS"]) > 12500
    assert caller.variables["DIALSTATUS"] == "ANSWER"
    assert call.bridges == []


def states(*channels: Channel) -> list[bool]:
    return [channel.call.ended for channel in channels]


def test_a_detached_channel_lives_on_alone() -> None:
    pbx, call = call_to("205", 7)
    caller, callee = call.channels
    (fresh,) = detach(pbx.switch, [caller])
    assert (caller.call, fresh.channels, caller.bridge) == (fresh, [caller], None)
    assert call.ended
    assert list(pbx.switch.channels.values()) == [caller]
    assert callee.device.channels == []


def test_both_can_be_detached_at_once() -> None:
    pbx, call = call_to("205", 7)
    caller, callee = call.channels
    detach(pbx.switch, [caller, callee])
    assert caller.call is not callee.call
    assert states(caller, callee) == [False, False]
    assert call.ended


def test_a_caller_taken_from_a_queue_has_abandoned_it() -> None:
    pbx, call = call_to("602", 1.5)
    assert call.entry is not None
    pbx.drain()
    detach(pbx.switch, [call.channels[0]])
    names = [name_of(packet) for packet in pbx.drain()]
    assert names.count("QueueCallerAbandon") == names.count("QueueCallerLeave") == 1
    assert pbx.switch.queues["support"].abandoned == 1


def test_a_ringing_phone_can_be_taken_too() -> None:
    pbx, call = call_to("602", 1.5)
    (dial,) = call.dials
    (fresh,) = detach(pbx.switch, [dial.target])
    assert list(pbx.switch.channels.values()) == [dial.target]
    assert not fresh.ended
    assert call.ended
