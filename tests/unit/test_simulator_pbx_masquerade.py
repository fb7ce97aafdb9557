"""A masquerade: who is whom afterwards, and what an Asterisk 11 tells of it."""

from __future__ import annotations

from amiws_gevent.simulator.pbx.masquerade import go_to, masquerade, take_over
from amiws_gevent.simulator.pbx.model import Channel, ChannelState
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_11
from tests.support.simulator import headers, simulation


def up(pbx: Simulation, number: int, state: ChannelState = ChannelState.UP) -> Channel:
    call = next(iter(pbx.switch.calls.values()), None) or pbx.switch.new_call()
    device = pbx.switch.devices[f"SIP/{number}"]
    made = pbx.switch.new_channel(call, device, state=state, context="c", exten=str(number))
    pbx.drain()
    return made


def test_the_clone_goes_on_with_the_id_of_the_original() -> None:
    pbx = simulation(STYLE_11, rate=0)
    original, clone = up(pbx, 201, ChannelState.RINGING), up(pbx, 202)
    ids = original.uniqueid, clone.uniqueid
    names = original.name, clone.name
    original.application = "AppDial"
    masquerade(pbx.switch, original, clone)
    assert (original.uniqueid, clone.uniqueid) == (ids[1], ids[0])
    assert (original.name, clone.name) == (f"{names[0]}<ZOMBIE>", names[1])
    assert (clone.state, clone.exten, clone.application) == (ChannelState.UP, "201", "AppDial")
    told = [headers(packet) for packet in pbx.drain()]
    assert [(e["Event"], e.get("Newname")) for e in told[:4]] == [
        ("Masquerade", None),
        ("Rename", f"{names[1]}<MASQ>"),
        ("Rename", names[1]),
        ("Rename", f"{names[0]}<ZOMBIE>"),
    ]
    assert (told[4]["Event"], told[4]["Uniqueid"]) == ("Newstate", ids[0]), "which rang"


def test_who_is_transferred_talks_in_the_place_of_the_other_line() -> None:
    pbx = simulation(STYLE_11, rate=0)
    switch = pbx.switch
    stays, leaves, second, target = (up(pbx, 201 + n) for n in range(4))
    bridge, asking = switch.new_bridge(stays, 0), switch.new_bridge(second, 0)
    switch.connect(bridge, stays, leaves)
    switch.connect(asking, second, target)
    pbx.drain()
    place = second.uniqueid
    take_over(switch, (stays, leaves, bridge), (second, asking))
    assert (stays.uniqueid, stays.linked) == (place, target)
    assert leaves.bridge is None
    told = [headers(packet) for packet in pbx.drain()]
    links = [(e["Bridgestate"], e["Uniqueid2"]) for e in told if e["Event"] == "Bridge"]
    assert links[-1] == ("Link", place)
    assert [e["Channel"] for e in told if e["Event"] == "Hangup"] == [second.name]


def test_who_was_called_goes_on_in_a_channel_of_its_own() -> None:
    pbx = simulation(STYLE_11, rate=0)
    called = up(pbx, 201)
    before = called.uniqueid, called.name
    go_to(pbx.switch, called)
    assert called.name == before[1]
    assert called.uniqueid != before[0]
    told = [headers(packet) for packet in pbx.drain()]
    assert (told[0]["Event"], told[0]["Channel"]) == ("Newchannel", f"AsyncGoto/{before[1]}")
    (gone,) = (event for event in told if event["Event"] == "Hangup")
    assert (gone["Uniqueid"], gone["Channel"]) == (before[0], f"AsyncGoto/{before[1]}<ZOMBIE>")
