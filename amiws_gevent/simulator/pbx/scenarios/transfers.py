"""Who sends whom to whom: blind, attended, by feature codes or by the phone; three in a call."""

from __future__ import annotations

from collections.abc import Generator

from amiws_gevent.simulator.pbx import places
from amiws_gevent.simulator.pbx.masquerade import take_over
from amiws_gevent.simulator.pbx.model import (
    Bridge,
    Channel,
    ChannelState,
    Script,
)
from amiws_gevent.simulator.pbx.stage import Stage

Consulting = Generator[float, None, tuple[Channel, Channel, Bridge, Bridge]]


def blind_transfer(stage: Stage) -> Script:
    caller, called, _ = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(4)
    yield from stage.scripts.blind_transfer(stage.call, called, caller, stage.c, sure=True)


def attended_transfer(stage: Stage) -> Script:
    """With the feature codes of the PBX (bridge_basic.c)."""
    switch = stage.switch
    parties = yield from _consult(stage)
    caller, called, talked, asked = parties
    yield stage.wait(4)
    switch.hangup_requested(caller, 16, soft=False)
    switch.leave(caller)
    told = attended_event(
        (caller, talked), (caller, asked), f"DestType: Bridge\r\n{dest_of(talked)}", False
    )
    switch.merge(talked, asked)
    switch.out.append(told)
    switch.hangup(caller, 16)
    yield stage.wait(6)
    stage.end(by=called)


def blonde(stage: Stage) -> Script:
    """REFER with Replaces while the target still rings: bridge.c ``ast_bridge_transfer_attended``
    (one of the two in no bridge), channel.c ``channel_do_masquerade``; testsuite
    tests/channels/pjsip/transfers/attended_transfer/nominal/callee_local_blonde."""
    switch = stage.switch
    caller, called, bridge = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(3)
    switch.hold(called, True)
    second = stage.lift(stage.b, stage.c.number)
    dial = yield from stage.ring(second, stage.c)
    yield stage.wait(2)
    switch.hold(called, False)
    app = "DestType: App\r\nDestApp: Dial\r\n"
    switch.out.append(attended_event((called, bridge), (second, None), app, True))
    if switch.style.stasis:
        switch.leave(called)
        switch.leave(caller)
        switch.destroy_bridge(bridge)
        # The caller goes on in the place of the second line, which gets its end.
        switch.execute(caller, "Dial", second.data, at=(second.context, second.exten))
        switch.hangup(second, 16)
    else:
        take_over(switch, (caller, called, bridge), (second, None))
    dial.caller = caller
    switch.hangup(called, 16)
    yield stage.wait(3)
    stage.answer(caller, dial)
    yield stage.wait(6)
    stage.end(by=caller)


def phone_transfer(stage: Stage) -> Script:
    """REFER with Replaces once the target has answered: bridge.c ``two_bridge_attended_transfer``,
    ``bridge_swap_attended_transfer``; testsuite
    tests/channels/pjsip/transfers/attended_transfer/nominal/callee_local."""
    switch = stage.switch
    caller, called, bridge = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(3)
    switch.hold(called, True)
    second = stage.lift(stage.b, stage.c.number)
    dial = yield from stage.ring(second, stage.c)
    yield stage.wait(2)
    asked = stage.answer(second, dial)
    yield stage.wait(3)
    switch.hold(called, False)
    target = dial.target
    told = attended_event(
        (called, bridge), (second, asked), f"DestType: Bridge\r\n{dest_of(bridge)}", True
    )
    leaves = [called]
    if switch.style.stasis:
        switch.move(target, bridge, swap=called)
        switch.leave(second)
        switch.destroy_bridge(asked)
        switch.out.append(told)
        leaves.insert(0, second)
    else:
        switch.out.append(told)
        take_over(switch, (caller, called, bridge), (second, asked))
    switch.set_connected_line(caller, target.caller_number, target.caller_name)
    switch.set_connected_line(target, caller.caller_number, caller.caller_name)
    for channel in leaves:
        switch.hangup_requested(channel, 16, soft=True)
        switch.hangup(channel, 16)
    yield stage.wait(6)
    stage.end(by=target)


def merge(stage: Stage) -> Script:
    """Who transfers makes three of it: bridge_basic.c ``threeway_enter``, bridge.c
    ``bridge_do_merge``; testsuite tests/bridge/atxfer_threeway_nominal."""
    switch = stage.switch
    caller, called, talked, asked = yield from _consult(stage)
    yield stage.wait(3)
    switch.hold(caller, False)
    told = attended_event(
        (caller, talked),
        (caller, asked),
        f"DestType: Threeway\r\n{dest_of(talked)}DestTransfererChannel: {caller.name}\r\n",
        False,
    )
    switch.merge(talked, asked)
    switch.out.append(told)
    yield stage.wait(6)
    switch.hangup_requested(caller, 16, soft=False)
    switch.leave(caller)
    switch.hangup(caller, 16)
    yield stage.wait(4)
    stage.end(by=called)


def _consult(stage: Stage) -> Consulting:
    """``a`` talks to ``b``, has it wait, and asks ``c`` through a Local channel."""
    switch = stage.switch
    caller, called, talked = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(4)
    switch.hold(caller, True)
    pair = stage.local(caller, stage.c.number)
    asked = switch.new_bridge(caller, switch.now)
    stage.local_runs(pair, optimises=True)
    switch.enter(asked, pair[0])
    dial = stage.dial(pair[1], stage.c)
    switch.move(caller, asked)
    yield stage.wait(0.3)
    switch.dial_ringing(dial)
    yield stage.wait(3)
    stage.answer(pair[1], dial)
    switch.set_state(pair[0], ChannelState.UP)
    return caller, called, talked, asked


def attended_event(
    first: tuple[Channel, Bridge | None],
    second: tuple[Channel, Bridge | None],
    rest: str,
    by_phone: bool,
) -> str:
    """``AttendedTransfer``: each line of who transfers, with its bridge (stasis_bridges.c,
    ``attended_transfer_to_ami``; one by a phone tells neither Transferee nor TransferTarget)."""
    orig, second_bridge = first[1], second[1]
    return (
        "Event: AttendedTransfer\r\nPrivilege: call,all\r\nResult: Success\r\n"
        f"{first[0].prefixed('OrigTransferer')}{orig.headers('Orig') if orig else ''}"
        f"{second[0].prefixed('SecondTransferer')}"
        f"{second_bridge.headers('Second') if second_bridge else ''}"
        f"{'' if by_phone else _parties(first, second)}"
        f"IsExternal: {places.yes(by_phone)}\r\n{rest}\r\n"
    )


def _parties(first: tuple[Channel, Bridge | None], second: tuple[Channel, Bridge | None]) -> str:
    """Who is transferred, and to whom, as far as a bridge has them."""
    text = ""
    for prefix, (transferer, bridge) in (("Transferee", first), ("TransferTarget", second)):
        others = [c for c in bridge.channels if c is not transferer] if bridge else []
        text += others[0].prefixed(prefix) if others else ""
    return text


def dest_of(bridge: Bridge) -> str:
    return f"DestBridgeUniqueid: {bridge.uniqueid}\r\n"
