"""Whole scenarios with their names: what a person would tell of each, and who does what when.

Those of the first part are the calls of recorded sessions of a real server, told in
``tests/captures/scenarios/README.md``. Those of the second part no capture has: each names the
place of Asterisk's source, branch 22, that its events are made of. The third part is what goes
on around calls.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx import phones, places, queueing
from amiws_gevent.simulator.pbx.company import CONTEXT_INSIDE
from amiws_gevent.simulator.pbx.ending import cancel_dials, end_call
from amiws_gevent.simulator.pbx.model import (
    Bridge,
    Call,
    Channel,
    ChannelState,
    Entry,
    Script,
    Seat,
)
from amiws_gevent.simulator.pbx.originate import Order, originate, response_event
from amiws_gevent.simulator.pbx.stage import Stage

Waiting = Generator[float, None, tuple[Channel, Entry]]
Consulting = Generator[float, None, tuple[Channel, Channel, Bridge, Bridge]]


@dataclass(frozen=True)
class Scenario:
    """``told`` is the story in a person's words."""

    name: str
    told: str
    play: Callable[[Stage], Script]


# What captures of a real server have


def basic(stage: Stage) -> Script:
    yield from stage.talk(stage.a, stage.b)
    yield stage.wait(6)
    stage.end()


def noanswer(stage: Stage) -> Script:
    caller = stage.lift(stage.a, stage.b.number)
    yield from stage.ring(caller, stage.b)
    yield stage.wait(8)
    stage.end(by=caller)


def busy(stage: Stage) -> Script:
    yield from _tone(stage, "Busy", 17)


def congestion(stage: Stage) -> Script:
    yield from _tone(stage, "Congestion", 34)


def _tone(stage: Stage, application: str, cause: int) -> Script:
    caller = stage.lift(stage.a, "9017")
    stage.switch.execute(caller, application, "4")
    yield stage.wait(4)
    stage.end(cause=cause)


def invalid(stage: Stage) -> Script:
    """The phone is told so before there is a channel."""
    yield stage.wait(1)


def ringall(stage: Stage) -> Script:
    caller = stage.lift(stage.a, "299")
    dials = stage.ring_all(caller, [stage.b, stage.c, stage.d])
    yield stage.wait(3)
    stage.switch.set_state(dials[1].target, ChannelState.UP)
    cancel_dials(stage.switch, stage.call, keep=dials[1].target)
    stage.answer(caller, dials[1])
    yield stage.wait(6)
    stage.end()


def queue_answered(stage: Stage) -> Script:
    caller, entry = yield from _into_queue(stage, stage.call, "Kunde Eins", "4930123456")
    queue = stage.troupe.queue
    members = [member for member in queue.members if member.available]
    rung = []
    for member in members:
        pair = stage.local(caller, member.device.number, "agents")
        dial = stage.switch.dial_begun(caller, pair[0], member.interface)
        queueing.called(stage.switch, caller, dial, member)
        stage.local_runs(pair, optimises=False)
        inner = stage.dial(pair[1], member.device)
        stage.switch.dial_ringing(inner)
        stage.switch.dial_ringing(dial)
        rung.append((member, pair, dial, inner))
    entry.being_served = True
    yield stage.wait(4)
    member, pair, dial, inner = rung[-1]
    stage.answer(pair[1], inner)
    stage.switch.set_state(pair[0], ChannelState.UP)
    stage.switch.dial_ended(dial, "ANSWER")
    for _, (first, second), other, other_inner in rung[:-1]:
        stage.refuse(other_inner, "CANCEL")
        stage.switch.hangup(second, 26)
        stage.switch.dial_ended(other, "CANCEL")
        stage.switch.hangup(first, 26)
    queueing.connect(stage.switch, entry, dial, member)
    bridge = stage.switch.new_bridge(caller, dial.begun)
    stage.switch.connect(bridge, pair[0], caller)
    yield stage.wait(8)
    stage.end()


def _into_queue(stage: Stage, call: Call, name: str, number: str) -> Waiting:
    switch = stage.switch
    caller = stage.scripts.from_outside(call, name, number)
    switch.execute(caller, "Answer")
    switch.set_state(caller, ChannelState.UP)
    yield stage.wait(0.5)
    queue = stage.troupe.queue
    switch.execute(caller, "Queue", f"{queue.name},t,,,300")
    return caller, queueing.join(switch, caller, queue)


def queue_abandoned(stage: Stage) -> Script:
    queue = stage.troupe.queue
    for member in queue.members:
        stage.switch.pause(member, True, "Lunch")
    yield stage.wait(1)

    def gives_up(name: str, number: str, patience: float) -> Callable[[Call], Script]:
        def play(call: Call) -> Script:
            caller, _ = yield from _into_queue(stage, call, name, number)
            yield stage.wait(patience)
            end_call(stage.switch, call, by=caller)

        return play

    stage.other_call(gives_up("Kunde Zwei", "4930888888", 7))
    yield stage.wait(2)
    stage.other_call(gives_up("Kunde Drei", "4930999999", 4))
    yield stage.wait(10)
    for member in queue.members:
        stage.switch.pause(member, False, "")


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


def park_and_pick_up(stage: Stage) -> Script:
    caller, called, bridge = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(3)
    parked = places.park(stage.switch, called, stage.a.name)
    if parked is None:
        stage.end()
        return
    yield stage.wait(2)
    _gone(stage, caller, bridge)
    yield stage.wait(4)
    picker = stage.lift(stage.d, str(parked.space))
    stage.switch.execute(picker, "ParkedCall", f"{places.LOT},{parked.space}")
    stage.switch.set_state(picker, ChannelState.UP)
    talk = stage.switch.new_bridge(picker, stage.switch.now)
    places.unpark(stage.switch, parked, "UnParkedCall", picker)
    stage.switch.connect(talk, called, picker)
    yield stage.wait(6)
    stage.end(by=picker)


def _gone(stage: Stage, channel: Channel, bridge: Bridge) -> None:
    """One who was left alone in a bridge hangs up."""
    stage.switch.destroy_bridge(bridge)
    stage.hang_up(channel)


def conference(stage: Stage) -> Script:
    name = f"8{stage.a.number[-2:]}"

    def takes_part(place: int) -> Callable[[Call], Script]:
        def play(call: Call) -> Script:
            seat = _sit_down(stage, call, place, name)
            for talking in (True, False, True, False):
                yield stage.wait(2 + place)
                places.talk(stage.switch, seat, talking)
            end_call(stage.switch, call, by=seat.channel)

        return play

    for place in range(3):
        stage.other_call(takes_part(place))
        yield stage.wait(1)


def _sit_down(stage: Stage, call: Call, place: int, name: str) -> Seat:
    channel = stage.lift(stage.troupe.phones[place], name, call)
    stage.switch.execute(channel, "Answer")
    stage.switch.set_state(channel, ChannelState.UP)
    stage.switch.execute(channel, "ConfBridge", name)
    return places.join(stage.switch, channel, name, admin=place == 0)


def local_channel(stage: Stage) -> Script:
    caller = stage.lift(stage.d, "940")
    stage.switch.execute(caller, "Dial", f"Local/{stage.a.number}@{CONTEXT_INSIDE}/n")
    pair = stage.local(caller, stage.a.number)
    dial = stage.switch.dial_begun(caller, pair[0], f"{stage.a.number}@{CONTEXT_INSIDE}/n")
    stage.local_runs(pair, optimises=False)
    inner = yield from stage.ring(pair[1], stage.a)
    stage.switch.dial_ringing(dial)
    yield stage.wait(3)
    stage.answer(pair[1], inner)
    stage.answer(caller, dial)
    yield stage.wait(6)
    stage.end(by=caller)


def click_to_call(stage: Stage) -> Script:
    yield from _ordered(stage)


def _ordered(stage: Stage) -> Script:
    """Originate: the server calls ``a`` and, when it answers, dials ``b``."""
    switch = stage.switch
    order = Order(
        channel=stage.a.name,
        context=CONTEXT_INSIDE,
        exten=stage.b.number,
        application="",
        data="",
        timeout=20,
        number=stage.b.number,
        name="Click",
        account="",
        variables=(),
        uniqueid="",
        report=lambda reason, channel: switch.out.append(
            response_event("ActionID: click\r\n", order, reason, channel)
        ),
    )
    originate(stage.scripts, stage.start, order)
    yield stage.wait(1)


def applications(stage: Stage) -> Script:
    def hears(place: int, application: str, data: str) -> Callable[[Call], Script]:
        def play(call: Call) -> Script:
            channel = stage.lift(stage.troupe.phones[place], "900", call)
            yield stage.wait(1)
            stage.switch.execute(channel, "Answer")
            stage.switch.set_state(channel, ChannelState.UP)
            stage.switch.execute(channel, application, data)
            yield stage.wait(8)
            end_call(stage.switch, call, by=channel)

        return play

    stage.other_call(hears(0, "Milliwatt", ""))
    stage.other_call(hears(1, "Playback", "demo-congrats"))
    stage.other_call(hears(2, "VoiceMail", f"{stage.d.number}@default,u"))
    yield stage.wait(1)


def pickup(stage: Stage) -> Script:
    switch = stage.switch
    caller = stage.lift(stage.a, stage.b.number)
    dial = yield from stage.ring(caller, stage.b)
    yield stage.wait(2)
    picker = stage.lift(stage.d, "*8")
    switch.execute(picker, "PickupChan", stage.b.name)
    switch.set_state(picker, ChannelState.UP)
    rang = dial.target
    switch.out.append(
        f"Event: Pickup\r\nPrivilege: call,all\r\n{picker.headers()}{rang.prefixed('Target')}\r\n"
    )
    switch.execute(picker, "AppDial", "(Outgoing Line)", at=(caller.context, stage.b.number))
    dial.target = picker
    switch.hangup(rang, 26)
    stage.answer(caller, dial)
    yield stage.wait(6)
    stage.end(by=picker)


def spy(stage: Stage) -> Script:
    _, called, _ = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(1)

    def listens(call: Call) -> Script:
        spyer = stage.lift(stage.d, "962", call)
        stage.switch.execute(spyer, "Answer")
        stage.switch.set_state(spyer, ChannelState.UP)
        stage.switch.execute(spyer, "ChanSpy", f"{stage.b.name},q")
        places.listen(stage.switch, spyer, called)
        yield stage.wait(12)
        end_call(stage.switch, call, by=spyer)

    stage.other_call(listens)
    yield stage.wait(7)
    stage.end(by=called)


# What no capture has


def hold(stage: Stage) -> Script:
    """A re-INVITE with ``sendonly``: chan_pjsip.c ``chan_pjsip_indicate``, res_pjsip_sdp_rtp.c
    ``apply_negotiated_sdp_stream``; testsuite tests/channels/pjsip/hold."""
    _, called, _ = yield from stage.talk(stage.a, stage.b)
    for _ in range(2):
        yield stage.wait(3)
        stage.switch.hold(called, True)
        yield stage.wait(4)
        stage.switch.hold(called, False)
    yield stage.wait(3)
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
    switch.leave(called)
    switch.leave(caller)
    switch.destroy_bridge(bridge)
    # The caller goes on in the place of the second line, which gets its end.
    switch.execute(caller, "Dial", second.data, at=(second.context, second.exten))
    dial.caller = caller
    switch.hangup(second, 16)
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
    switch.move(target, bridge, swap=called)
    switch.leave(second)
    switch.destroy_bridge(asked)
    switch.out.append(told)
    switch.set_connected_line(caller, target.caller_number, target.caller_name)
    switch.set_connected_line(target, caller.caller_number, caller.caller_name)
    for channel in (second, called):
        switch.hangup_requested(channel, 16, soft=True)
        switch.hangup(channel, 16)
    yield stage.wait(6)
    stage.end(by=target)


def forward(stage: Stage) -> Script:
    """The phone answers 302: app_dial.c ``do_forward``, core_local.c ``local_call``, bridge.c
    ``try_swap_optimize_out``; testsuite tests/redirecting/forwardername."""
    switch = stage.switch
    caller = stage.lift(stage.a, stage.b.number)
    dial = yield from stage.ring(caller, stage.b)
    yield stage.wait(1)
    pair = stage.local(caller, stage.c.number)
    switch.set_variable(pair[0], "FORWARDERNAME", dial.target.name)
    stage.local_runs(pair, optimises=True)
    switch.dial_ended(dial, "CANCEL", forward=stage.c.number)
    outer = switch.dial_begun(caller, pair[0], f"{stage.c.number}@{CONTEXT_INSIDE}")
    switch.hangup(dial.target, 16)
    inner = yield from stage.ring(pair[1], stage.c)
    switch.dial_ringing(outer)
    yield stage.wait(3)
    goes = stage.answer(pair[1], inner)
    stays = stage.answer(caller, outer)
    yield stage.wait(0.1)
    stage.optimise(pair, stays, goes)
    yield stage.wait(6)
    stage.end(by=caller)


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


def originate_busy(stage: Stage) -> Script:
    """The first side refuses: manager.c ``fast_originate``, dial.c ``handle_frame``; testsuite
    tests/manager/originate."""
    stage.a.refuses = "BUSY"
    yield from _ordered(stage)


def originate_refused(stage: Stage) -> Script:
    """The second side refuses, once the first has answered: pbx.c ``pbx_outgoing_exec``,
    app_dial.c ``wait_for_answer``."""
    stage.b.refuses = "BUSY"
    yield from _ordered(stage)


def parking_timeout(stage: Stage) -> Script:
    """Nobody picks up what is parked, and it goes back to who parked it: res/parking
    ``parking_timeout`` (ParkedCallTimeOut), ``parking_park_bridge_timeout``."""
    switch = stage.switch
    caller, called, bridge = yield from stage.talk(stage.a, stage.b)
    yield stage.wait(3)
    parked = places.park(switch, called, stage.a.name)
    if parked is None:
        stage.end()
        return
    _gone(stage, caller, bridge)
    yield parked.until - switch.now
    places.unpark(switch, parked, "ParkedCallTimeOut")
    called.goes_to = ("park-dial", stage.a.name.replace("/", "_"))
    dial = yield from stage.ring(called, stage.a)
    yield stage.wait(3)
    stage.answer(called, dial)
    yield stage.wait(5)
    stage.end(by=called)


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


# What goes on around calls


def pause(stage: Stage) -> Script:
    """app_queue.c ``set_member_paused``."""
    member = stage.troupe.queue.members[0]
    stage.switch.pause(member, True, "Coffee")
    yield stage.wait(12)
    stage.switch.pause(member, False, "")


def unreachable(stage: Stage) -> Script:
    """chan_sip.c ``sip_poke_noanswer``; pjsip_options.c ``sip_options_contact_status_update``."""
    phones.reach(stage.switch, stage.e, False)
    yield stage.wait(12)
    phones.reach(stage.switch, stage.e, True)


def registration(stage: Stage) -> Script:
    """The carrier rejects, then accepts again: stasis_system.c ``system_registry_to_ami``."""
    mine = stage.switch.registrations[0]
    if mine.registered:
        phones.register(stage.switch, mine, False)
        yield stage.wait(9)
        phones.register(stage.switch, mine, True)


def messages(stage: Stage) -> Script:
    """Somebody speaks to a mailbox, and its owner listens: app_voicemail.c, manager_mwi.c."""
    caller = stage.scripts.from_outside(stage.call, "Kunde Vier", "4930777777")
    stage.switch.execute(caller, "VoiceMail", f"{stage.d.number}@default,u")
    stage.switch.set_state(caller, ChannelState.UP)
    yield stage.wait(6)
    phones.messages(stage.switch, stage.d, stage.d.new_messages + 1, stage.d.old_messages)
    stage.hang_up(caller)
    yield stage.wait(6)
    owner = stage.lift(stage.d, "*97")
    stage.switch.execute(owner, "VoiceMailMain", f"{stage.d.number}@default")
    stage.switch.set_state(owner, ChannelState.UP)
    yield stage.wait(6)
    phones.messages(stage.switch, stage.d, 0, 0)
    stage.end(by=owner)


def agent(stage: Stage) -> Script:
    """Somebody logs in as an agent, waits, and hangs up: app_agent_pool.c ``agent_login_exec``."""
    channel = stage.lift(stage.e, "*45")
    yield stage.wait(1)
    stage.switch.execute(channel, "AgentLogin", stage.e.number)
    stage.switch.set_state(channel, ChannelState.UP)
    places.log_in(stage.switch, stage.switch.agents[stage.e.number], channel)
    yield stage.wait(12)
    stage.end(by=channel)


_ALL: Final = (
    (basic, "one phone calls another: it rings, both talk, the call ends"),
    (noanswer, "a phone rings until the caller gives up"),
    (busy, "the dialplan plays busy"),
    (congestion, "the dialplan plays congestion"),
    (invalid, "a number that there is not: no channel at all"),
    (ringall, "three phones ring together, one answers, the others stop"),
    (queue_answered, "a caller waits in a queue, two agents ring, one answers"),
    (queue_abandoned, "both agents have a break, two callers give up"),
    (blind_transfer, "the caller sends whom he called to a third phone, and is out"),
    (attended_transfer, "the caller asks a third first, then connects the two by hanging up"),
    (park_and_pick_up, "somebody is parked, and another phone picks him up"),
    (conference, "three phones meet in a conference, and talk in turns"),
    (local_channel, "a Local channel stays in the middle of a call"),
    (click_to_call, "the server calls one phone and, when it answers, another"),
    (applications, "three phones hear a tone, an announcement and a mailbox"),
    (pickup, "another phone picks up what rings"),
    (spy, "somebody listens to two who talk"),
    (hold, "who was called puts the caller on hold, twice"),
    (blonde, "a phone transfers a caller to another that still rings"),
    (phone_transfer, "a phone transfers a caller to another that it talks to"),
    (forward, "a phone forwards its call to another"),
    (merge, "who asks a third makes three of it, and leaves the two later"),
    (originate_busy, "the server calls a phone that refuses"),
    (originate_refused, "the phone that the server calls answers, whom it wants refuses"),
    (parking_timeout, "nobody picks up who is parked: he comes back to who parked him"),
    (pause, "a member of a queue has a break, with a reason"),
    (unreachable, "a phone cannot be reached for a while"),
    (registration, "a carrier rejects the server's registration for a while"),
    (messages, "a caller leaves a message, and its owner listens to it"),
    (agent, "an agent logs in, waits and logs off"),
)

SCENARIOS: Final = {play.__name__: Scenario(play.__name__, told, play) for play, told in _ALL}
"""By name, in the order in which they are listed."""
