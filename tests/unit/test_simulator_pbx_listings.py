"""The items of lists, field by field."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx import listings, queueing
from amiws_gevent.simulator.pbx.model import Channel, ChannelState
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22, Style
from tests.support.simulator import STARTED, headers, simulation


def channel_of(pbx: Simulation) -> Channel:
    name = f"{pbx.style.technology}/{pbx.style.trunks[0]}"
    channel = pbx.switch.new_channel(
        pbx.switch.new_call(),
        pbx.switch.devices[name],
        state=ChannelState.UP,
        context="default",
        exten="601",
        number="442079460000",
        name="Åsa",
    )
    pbx.switch.execute(channel, "Queue", "sales,t")
    return channel


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00:00"), (59.9, "00:00:59"), (3661, "01:01:01"), (360_000, "100:00:00")],
)
def test_durations(seconds: float, text: str) -> None:
    assert listings.duration(seconds) == text


def test_a_channel_of_core_show_channels() -> None:
    pbx = simulation(rate=0)
    channel = channel_of(pbx)
    got = headers(listings.core_show_channel(channel, "ActionID: 1\r\n", STARTED + 75) + "\r\n")
    assert got["Duration"] == "00:01:15"
    assert (got["Application"], got["ApplicationData"]) == ("Queue", "sales,t")
    assert (got["BridgeId"], got["CallerIDName"]) == ("", "Åsa")
    bridge = pbx.switch.new_bridge(channel, STARTED)
    pbx.switch.enter(bridge, channel)
    got = headers(listings.core_show_channel(channel, "", STARTED) + "\r\n")
    assert got["BridgeId"] == bridge.uniqueid


@pytest.mark.parametrize("style", [STYLE_13, STYLE_22])
def test_a_channel_of_status(style: Style) -> None:
    pbx = simulation(style, rate=0)
    channel = channel_of(pbx)
    got = headers(listings.status(channel, style, {}, "", STARTED + 9.9) + "\r\n")
    assert got["Type"] == style.technology
    assert got["Seconds"] == "9"
    assert ("Language" in got, "AccountCode" in got) == (style is STYLE_22,) * 2
    assert ("Accountcode" in got) is (style is STYLE_13)
    channel.application = ""
    got = headers(listings.status(channel, style, {}, "", STARTED) + "\r\n")
    assert (got["Application"], got["Data"]) == ("(null)", "(null)")


def test_a_caller_who_waits_is_a_queue_entry() -> None:
    pbx = simulation(rate=0)
    channel = channel_of(pbx)
    queue = pbx.switch.queues["sales"]
    queueing.join(pbx.switch, channel, queue)
    *_, entry = listings.queue_status(queue, STYLE_22, "nobody", "", STARTED + 61)
    got = headers(entry + "\r\n")
    assert (got["Event"], got["Position"], got["Wait"]) == ("QueueEntry", "1", "61")
    assert (got["CallerIDNum"], got["ConnectedLineNum"]) == ("442079460000", "unknown")
    summary = headers(listings.queue_summary(queue, "", STARTED + 61) + "\r\n")
    assert (summary["Callers"], summary["LongestHoldTime"]) == ("1", "61")


def test_only_the_free_are_available() -> None:
    pbx = simulation(rate=0)
    queue = pbx.switch.queues["sales"]
    queue.members[0].paused = True
    summary = headers(listings.queue_summary(queue, "", STARTED) + "\r\n")
    assert (summary["LoggedIn"], summary["Available"]) == ("4", "3")


def test_fields_can_be_read_as_functions() -> None:
    pbx = simulation(rate=0)
    channel = channel_of(pbx)
    channel.variables["A"] = "1"
    readable = listings.readable_variables(channel)
    assert readable["CALLERID(name)"] == "Åsa"
    assert (readable["EXTEN"], readable["A"]) == ("601", "1")
    assert "EXTEN" not in channel.variables
