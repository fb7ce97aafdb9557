"""Reports of sound: what a live model makes of them, in each version."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx import quality
from amiws_gevent.simulator.pbx.model import ChannelState
from amiws_gevent.simulator.pbx.style import Style
from tests.support.agreement import Listener
from tests.support.simulator import EVERY, STARTED, headers, name_of, simulation


@pytest.mark.parametrize("style", EVERY, ids=lambda style: style.name)
def test_the_model_has_the_quality_of_both_directions(style: Style) -> None:
    made = simulation(style)
    listener = Listener(made)
    listener.learn()
    listener.hear(made.advance(STARTED + 60))
    listener.fed.tick(after=61)
    (server,) = listener.fed.store.of("server").values()
    for way in ("rtp_incoming", "rtp_outgoing"):
        assert server[way]["reports"] > 5, way
        assert 0 < server[way]["jitter_ms"] < 100, way


def test_what_has_no_rtp_reports_nothing() -> None:
    made = simulation(rate=0)
    device = made.switch.local_device("Local/1@x", "1")
    call = made.switch.new_call()
    channel = made.switch.new_channel(
        call, device, state=ChannelState.UP, context="x", exten="1", channel_name="Local/1@x-0;1"
    )
    made.drain()
    quality.report(made.switch, channel)
    assert made.drain() == []


def test_a_bad_line_stays_bad() -> None:
    made = simulation(rate=0)
    losses: dict[str, list[int]] = {}
    call = made.switch.new_call()
    for number in range(201, 213):
        device = made.switch.devices[f"PJSIP/{number}"]
        channel = made.switch.new_channel(
            call, device, state=ChannelState.UP, context="x", exten="1"
        )
        made.drain()
        for _ in range(3):
            quality.report(made.switch, channel)
        told = [headers(p) for p in made.drain() if name_of(p) == "RTCPReceived"]
        losses[channel.name] = [int(event["Report0FractionLost"]) for event in told]
    assert all(max(lost) <= 1 or min(lost) >= 6 for lost in losses.values())
    assert any(min(lost) >= 6 for lost in losses.values())
