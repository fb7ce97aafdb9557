"""Headers of channels and bridges, states of devices, figures of queues."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.model import (
    Bridge,
    Call,
    Channel,
    ChannelState,
    Device,
    DeviceState,
    Member,
    Queue,
    escape_c,
)
from tests.support.simulator import SNAPSHOT


def channel_of(device: Device, state: ChannelState = ChannelState.UP) -> Channel:
    channel = Channel(
        name=f"{device.name}-00000001",
        uniqueid="1700000000.1",
        linkedid="1700000000.0",
        device=device,
        call=Call(1),
        created=1_700_000_000.0,
        state=state,
        context="default",
        exten="201",
    )
    device.channels.append(channel)
    return channel


def phone() -> Device:
    return Device("SIP/201", "201", "Alice", "sales")


def names(text: str) -> tuple[str, ...]:
    return tuple(line.partition(": ")[0] for line in text.split("\r\n")[:-1])


def test_a_channel_writes_its_fourteen_headers() -> None:
    channel = channel_of(phone())
    assert names(channel.headers()) == SNAPSHOT
    assert names(channel.prefixed("Dest")) == tuple(f"Dest{name}" for name in SNAPSHOT)
    assert "CallerIDNum: <unknown>\r\nCallerIDName: <unknown>\r\n" in channel.headers()
    assert "ChannelState: 6\r\nChannelStateDesc: Up\r\n" in channel.headers()


def test_a_change_is_seen_once_it_is_told() -> None:
    channel = channel_of(phone())
    before = channel.headers()
    channel.caller_number = "442079460000"
    assert channel.headers() == before
    channel.changed()
    assert "CallerIDNum: 442079460000\r\n" in channel.headers()


def test_a_bridge_writes_its_headers() -> None:
    channel = channel_of(phone())
    bridge = Bridge("b", channel, 0.0, 0.0, [channel])
    assert "BridgeNumChannels: 1\r\n" in bridge.headers()
    assert bridge.headers("Orig").startswith("OrigBridgeUniqueid: b\r\nOrigBridgeType: basic\r\n")


@pytest.mark.parametrize(
    ("states", "held", "expected"),
    [
        ([], False, DeviceState.NOT_INUSE),
        ([ChannelState.DOWN], False, DeviceState.NOT_INUSE),
        ([ChannelState.RINGING], False, DeviceState.RINGING),
        ([ChannelState.RING], False, DeviceState.INUSE),
        ([ChannelState.UP], False, DeviceState.INUSE),
        ([ChannelState.UP], True, DeviceState.ONHOLD),
        ([ChannelState.UP, ChannelState.RINGING], False, DeviceState.RINGINUSE),
        ([ChannelState.UP, ChannelState.RINGING], True, DeviceState.RINGINUSE),
    ],
)
def test_a_device_is_what_its_channels_are(
    states: list[ChannelState], held: bool, expected: DeviceState
) -> None:
    device = phone()
    for state in states:
        channel_of(device, state).held = held and state is ChannelState.UP
    assert device.current_state() is expected


def test_a_held_and_a_talking_line_are_in_use() -> None:
    device = phone()
    channel_of(device).held = True
    channel_of(device)
    assert device.current_state() is DeviceState.INUSE


def test_a_trunk_is_always_free_and_a_busy_phone_is_not() -> None:
    device, trunk = phone(), Device("SIP/carrier", "", "carrier", "", trunk=True)
    assert device.free
    channel_of(device)
    channel_of(trunk)
    assert (device.free, trunk.free) == (False, True)


def test_an_agent_who_talks_or_rests_is_not_available() -> None:
    queue, device = Queue("sales", "601", "ringall"), phone()
    member = Member(queue, device, 0)
    assert member.available
    member.paused = True
    assert not member.available
    member.paused = False
    channel_of(device)
    assert not member.available


def test_service_levels_of_a_queue() -> None:
    queue = Queue("sales", "601", "ringall")
    assert (queue.perf(), queue.perf2()) == (0.0, 0.0)
    queue.completed, queue.completed_in_level = 4, 3
    queue.abandoned, queue.abandoned_in_level = 6, 1
    assert (queue.perf(), queue.perf2()) == (75.0, 40.0)


def test_signs_that_c_escapes() -> None:
    assert escape_c("Åsa Lindström <x>") == "Åsa Lindström <x>"
    assert escape_c("a\\b'c\"d?e\tf") == "a\\\\b\\'c\\\"d\\?e\\tf"
