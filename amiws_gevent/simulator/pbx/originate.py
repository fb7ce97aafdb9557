"""The action Originate: a call that the PBX makes by itself, for whoever asks by AMI.

Reasons are those of Asterisk's OriginateResponse: 4 answered, 3 rang in vain, 5 busy,
1 hung up, 0 could not be dialled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx.company import CONTEXT_INSIDE
from amiws_gevent.simulator.pbx.ending import end_call
from amiws_gevent.simulator.pbx.model import Call, Channel, ChannelState, Device, Script
from amiws_gevent.simulator.pbx.scripts import Scripts
from amiws_gevent.simulator.pbx.switch import DIAL_CAUSES, Switch

Start = Callable[[Call, Script], None]
"""Begins a call's script now."""

ANSWERED: Final = 4
_RANG: Final = 3
_BUSY: Final = 5
_HUNG_UP: Final = 1
_FAILED: Final = 0

_POLL: Final = 0.05  # seconds between looks at the other half of a Local channel


@dataclass(frozen=True)
class Order:
    """What an Originate asks for; ``timeout`` in seconds, empty texts if not given.

    ``report`` is called once with the reason and the channel, None if there is none.
    """

    channel: str
    context: str
    exten: str
    application: str
    data: str
    timeout: float
    number: str
    name: str
    account: str
    variables: tuple[tuple[str, str], ...]
    uniqueid: str
    report: Callable[[int, Channel | None], None]


def response_event(identity: str, order: Order, reason: int, channel: Channel | None) -> str:
    """The end of an asynchronous Originate, told to all; ``identity`` is its ActionID line."""
    uniqueid = channel.uniqueid if channel else "<unknown>"
    if order.application:
        goal = f"Application: {order.application}\r\nData: {order.data}\r\n"
    else:
        goal = f"Context: {order.context}\r\nExten: {order.exten}\r\n"
    return (
        f"Event: OriginateResponse\r\nPrivilege: call,all\r\n{identity}"
        f"Response: {'Success' if reason == ANSWERED else 'Failure'}\r\n"
        f"Channel: {channel.name if channel else order.channel}\r\n{goal}"
        f"Reason: {reason}\r\nUniqueid: {uniqueid}\r\n"
        f"CallerIDNum: {order.number or '<unknown>'}\r\n"
        f"CallerIDName: {order.name or '<unknown>'}\r\n\r\n"
    )


class _Report:
    """Sees to it that an order's ``report`` is called exactly once."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._done = False

    def __call__(self, reason: int, channel: Channel | None = None) -> None:
        if not self._done:
            self._done = True
            self._order.report(reason, channel)


def originate(scripts: Scripts, start: Start, order: Order) -> None:
    """Begins the call of ``order``; an order that cannot be dialled is reported at once."""
    report = _Report(order)
    technology, _, rest = order.channel.partition("/")
    switch = scripts.switch
    device = _device(switch, order.channel)
    if technology == "Local" and "@" in rest:
        _through_local(scripts, start, order, report, rest)
    elif device is None:
        report(_FAILED)
    elif not device.free:
        report(_BUSY)
    else:
        call = switch.new_call()
        call.on_end = lambda: report(_HUNG_UP)
        start(call, _to_phone(scripts, order, report, call, device))


def _device(switch: Switch, channel: str) -> Device | None:
    """A phone by its name, or the trunk of ``PJSIP/number@trunk`` or ``SIP/trunk/number``."""
    devices = switch.devices
    technology, _, rest = channel.partition("/")
    if channel in devices:
        return devices[channel]
    number, _, trunk = rest.rpartition("@")
    if technology == "SIP" and not number:
        trunk, _, number = rest.partition("/")
    device = devices.get(f"{technology}/{trunk}")
    return device if device is not None and device.trunk and number else None


def _announce(switch: Switch, order: Order, channels: list[Channel]) -> None:
    """What comes before the dialling: the outgoing line, variables, the caller id to show."""
    first = channels[0]
    switch.execute(first, "AppDial2", "(Outgoing Line)")
    for channel in channels:
        for name, value in order.variables:
            switch.set_variable(channel, name, value)
        if order.number or order.name:
            switch.set_caller_id(channel, order.number, order.name)
            switch.set_connected_line(channel, order.number, order.name)


def _to_phone(
    scripts: Scripts, order: Order, report: _Report, call: Call, device: Device
) -> Script:
    switch, rng = scripts.switch, scripts.switch.rng
    channel = switch.new_channel(
        call,
        device,
        state=ChannelState.DOWN,
        context=order.context or CONTEXT_INSIDE,
        exten=order.exten,
        uniqueid=order.uniqueid,
        account=order.account,
    )
    _announce(switch, order, [channel])
    dial = switch.dial_begun(None, channel, order.channel.partition("/")[2])
    yield rng.uniform(0.1, 0.3)
    if device.refuses:
        report(_BUSY)
        switch.dial_ended(dial, device.refuses)
        end_call(switch, call, DIAL_CAUSES[device.refuses])
        return
    switch.dial_ringing(dial)
    rings = rng.uniform(1.0, 2.5)
    yield min(rings, order.timeout)
    if rings > order.timeout:
        report(_RANG)
        switch.dial_ended(dial, "NOANSWER")
        end_call(switch, call, 19)
        return
    switch.set_state(channel, ChannelState.UP)
    switch.dial_ended(dial, "ANSWER")
    report(ANSWERED, channel)
    yield from _go_on(scripts, order, call, channel)


def _through_local(
    scripts: Scripts, start: Start, order: Order, report: _Report, rest: str
) -> None:
    """Local/EXTEN@CONTEXT: the first half is the call's leg, the second runs the dialplan."""
    switch = scripts.switch
    exten, _, context = rest.partition("/")[0].partition("@")
    if not scripts.exists(context, exten):
        report(_FAILED)
        return
    near, far = switch.new_call(), switch.new_call()
    device = switch.local_device(f"Local/{exten}@{context}", exten)
    stem = f"{device.name}-{near.number:08x}"
    first = switch.new_channel(
        near,
        device,
        state=ChannelState.DOWN,
        context=context,
        exten=exten,
        uniqueid=order.uniqueid,
        channel_name=f"{stem};1",
        account=order.account,
    )
    second = switch.new_channel(
        far,
        device,
        state=ChannelState.RING,
        context=context,
        exten=exten,
        channel_name=f"{stem};2",
        linkedid=first.linkedid,
        account=order.account,
    )

    def near_ended() -> None:
        report(_HUNG_UP)
        end_call(switch, second.call)

    near.on_end = near_ended
    far.on_end = lambda: end_call(switch, first.call)
    _announce(switch, order, [first, second])
    switch.out.append(
        "Event: LocalBridge\r\nPrivilege: call,all\r\n"
        f"{first.prefixed('LocalOne')}{second.prefixed('LocalTwo')}"
        f"Context: {context}\r\nExten: {exten}\r\nLocalOptimization: No\r\n\r\n"
    )
    start(near, _near_half(scripts, order, report, first, second))
    start(far, scripts.run_extension(far, second, context, exten))


def _near_half(
    scripts: Scripts, order: Order, report: _Report, first: Channel, second: Channel
) -> Script:
    switch, call = scripts.switch, first.call
    dial = switch.dial_begun(None, first, order.channel.partition("/")[2])
    gives_up = switch.now + order.timeout
    while second.state is not ChannelState.UP:
        if switch.now >= gives_up:
            report(_RANG)
            switch.dial_ended(dial, "NOANSWER")
            end_call(switch, call, 19)
            return
        yield _POLL
    switch.set_state(first, ChannelState.UP)
    switch.dial_ended(dial, "ANSWER")
    report(ANSWERED, first)
    yield from _go_on(scripts, order, call, first)


def _go_on(scripts: Scripts, order: Order, call: Call, channel: Channel) -> Script:
    """What the order wants of an answered channel: an application, or an extension."""
    if order.application:
        return scripts.run_application(call, channel, order.application, order.data)
    return scripts.run_extension(call, channel, order.context, order.exten)
