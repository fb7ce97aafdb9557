"""Conferences, parking, agents and listeners: their events, and that who is gone is in none."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx import places
from amiws_gevent.simulator.pbx.ending import detach, end_call
from amiws_gevent.simulator.pbx.model import Agent, Channel, ChannelState
from amiws_gevent.simulator.pbx.simulation import Simulation
from tests.support.simulator import headers, name_of, simulation


@pytest.fixture
def pbx() -> Simulation:
    return simulation(rate=0)


def up(pbx: Simulation, number: int) -> Channel:
    """A channel of a phone in a call of its own."""
    device = pbx.switch.devices[f"PJSIP/{number}"]
    call = pbx.switch.new_call()
    channel = pbx.switch.new_channel(call, device, state=ChannelState.UP, context="a", exten="1")
    pbx.drain()
    return channel


def names(pbx: Simulation) -> list[str]:
    return [name_of(packet) for packet in pbx.drain() if name_of(packet) != "DeviceStateChange"]


def test_the_first_opens_a_conference_and_the_last_closes_it(pbx: Simulation) -> None:
    first, second = up(pbx, 201), up(pbx, 202)
    places.join(pbx.switch, first, "800", admin=True)
    assert names(pbx) == ["BridgeCreate", "ConfbridgeStart", "BridgeEnter", "ConfbridgeJoin"]
    places.join(pbx.switch, second, "800")
    assert names(pbx) == ["BridgeEnter", "ConfbridgeJoin"]
    assert first.linkedid != second.linkedid, "a conference makes no call of many"
    end_call(pbx.switch, first.call)
    assert names(pbx)[:2] == ["ConfbridgeLeave", "BridgeLeave"]
    end_call(pbx.switch, second.call)
    assert {"ConfbridgeEnd", "BridgeDestroy"} <= set(names(pbx))
    assert (pbx.switch.conferences, pbx.switch.bridges) == ({}, {})


def test_who_talks_and_who_is_muted_is_told(pbx: Simulation) -> None:
    seat = places.join(pbx.switch, up(pbx, 201), "800")
    pbx.drain()
    places.talk(pbx.switch, seat, True)
    places.mute(pbx.switch, seat, True)
    places.mute(pbx.switch, seat, False)
    talking, muted, unmuted = map(headers, pbx.drain())
    assert (talking["Event"], talking["TalkingStatus"]) == ("ConfbridgeTalking", "on")
    assert (muted["Event"], unmuted["Event"]) == ("ConfbridgeMute", "ConfbridgeUnmute")


def test_a_space_is_taken_until_its_channel_is_picked_up(pbx: Simulation) -> None:
    waiting, picker = up(pbx, 201), up(pbx, 202)
    parked = places.park(pbx.switch, waiting, "PJSIP/203")
    assert parked is not None
    assert parked.space == 701
    assert names(pbx) == ["BridgeCreate", "ParkedCall", "BridgeEnter"]
    places.unpark(pbx.switch, parked, "UnParkedCall", picker)
    assert names(pbx) == ["UnParkedCall", "BridgeLeave", "BridgeDestroy"]
    assert (pbx.switch.parked, pbx.switch.parking) == ({}, None)


def test_who_hangs_up_or_is_redirected_is_parked_no_more(pbx: Simulation) -> None:
    first, second = up(pbx, 201), up(pbx, 202)
    for channel in (first, second):
        places.park(pbx.switch, channel, "PJSIP/203")
    pbx.drain()
    end_call(pbx.switch, first.call)
    detach(pbx.switch, [second])
    assert names(pbx).count("ParkedCallGiveUp") == 2
    assert (pbx.switch.parked, pbx.switch.bridges) == ({}, {})


def test_a_full_lot_takes_nobody(pbx: Simulation) -> None:
    spaces = places.LAST_SPACE - places.FIRST_SPACE + 1
    for _ in range(spaces):
        assert places.park(pbx.switch, up(pbx, 201), "PJSIP/203") is not None
    assert places.park(pbx.switch, up(pbx, 201), "PJSIP/203") is None


def test_an_agent_is_logged_in_as_long_as_the_channel_is_there(pbx: Simulation) -> None:
    agent = pbx.switch.agents["201"] = Agent("201", "Alice")
    channel = up(pbx, 201)
    places.log_in(pbx.switch, agent, channel)
    assert names(pbx) == ["BridgeCreate", "BridgeEnter", "AgentLogin"]
    end_call(pbx.switch, channel.call)
    assert agent.channel is None
    assert "AgentLogoff" in names(pbx)


def test_who_listens_tells_no_more_of_one_who_is_gone(pbx: Simulation) -> None:
    spyer, spyee = up(pbx, 201), up(pbx, 202)
    places.listen(pbx.switch, spyer, spyee)
    (start,) = map(headers, pbx.drain())
    assert start["SpyeeChannel"] == spyee.name
    end_call(pbx.switch, spyee.call)
    pbx.drain()
    end_call(pbx.switch, spyer.call)
    stop = next(headers(p) for p in pbx.drain() if name_of(p) == "ChanSpyStop")
    assert "SpyeeChannel" not in stop
