"""The moves of a scenario: a call of two phones, Local channels, and what goes meanwhile."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.model import Channel, Script
from amiws_gevent.simulator.pbx.repertoire import only
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.stage import Stage
from amiws_gevent.simulator.pbx.style import STYLE_22
from tests.support.simulator import STARTED, headers, name_of


@pytest.fixture
def stage() -> Stage:
    made = Simulation(STYLE_22, started=STARTED, rate=0, programme=only(["basic"]))
    call = made.switch.new_call()
    return Stage(made.scripts, made.start, call, made.scripts.troupes[0])


def finish(script: Script) -> None:
    for _ in script:
        pass


def told(stage: Stage) -> list[str]:
    packets = stage.switch.out[:]
    stage.switch.out.clear()
    return packets


def test_two_phones_talk_in_a_bridge_of_two(stage: Stage) -> None:
    finish(stage.talk(stage.a, stage.b))
    names = [name_of(packet) for packet in told(stage)]
    wanted = ["Newchannel", "DialBegin", "DialEnd", "BridgeCreate", "BridgeEnter"]
    assert [name for name in dict.fromkeys(names) if name in wanted] == wanted
    (bridge,) = stage.switch.bridges.values()
    assert [channel.device for channel in bridge.channels] == [stage.b, stage.a]


def test_who_enters_takes_the_oldest_linkedid(stage: Stage) -> None:
    first = stage.lift(stage.a, "1")
    second = stage.lift(stage.b, "2")
    assert first.linkedid != second.linkedid
    stage.switch.connect(stage.switch.new_bridge(second, STARTED), second, first)
    assert first.linkedid == second.linkedid == first.uniqueid


def optimised(stage: Stage) -> tuple[Channel, list[dict[str, str]]]:
    caller = stage.lift(stage.a, stage.c.number)
    pair = stage.local(caller, stage.c.number)
    outer = stage.switch.dial_begun(caller, pair[0], "x")
    inner = stage.dial(pair[1], stage.c)
    goes = stage.answer(pair[1], inner)
    stays = stage.answer(caller, outer)
    told(stage)
    stage.optimise(pair, stays, goes)
    return pair[1], [headers(packet) for packet in told(stage)]


def test_a_local_channel_is_taken_out_of_the_middle(stage: Stage) -> None:
    second, events = optimised(stage)
    begin, *_ = events
    assert (begin["Event"], begin["DestUniqueId"]) == ("LocalOptimizationBegin", second.uniqueid)
    (enter,) = [event for event in events if event["Event"] == "BridgeEnter"]
    assert enter["SwapUniqueid"] == begin["LocalOneUniqueid"]
    assert sum(event["Event"] == "Hangup" for event in events) == 2
    (bridge,) = stage.switch.bridges.values()
    assert {channel.device for channel in bridge.channels} == {stage.a, stage.c}


def test_a_refusal_ends_the_channel_with_its_cause(stage: Stage) -> None:
    dial = stage.dial(stage.lift(stage.a, "1"), stage.b)
    told(stage)
    stage.refuse(dial, "BUSY")
    ended, *_, hangup = [headers(p) for p in told(stage) if name_of(p) in ("DialEnd", "Hangup")]
    assert (ended["DialStatus"], hangup["Cause"]) == ("BUSY", "17")


def test_a_further_call_lives_by_itself(stage: Stage) -> None:
    def play(call: object) -> Script:
        yield 5.0

    other = stage.other_call(play)
    stage.end()
    assert not other.ended
    assert other in stage.calls
