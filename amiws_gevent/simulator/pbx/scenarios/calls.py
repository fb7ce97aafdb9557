"""Two phones and more: how calls begin, ring, are picked up, forwarded, held and end."""

from __future__ import annotations

from collections.abc import Callable

from amiws_gevent.simulator.pbx.company import CONTEXT_INSIDE
from amiws_gevent.simulator.pbx.ending import cancel_dials, end_call
from amiws_gevent.simulator.pbx.masquerade import masquerade
from amiws_gevent.simulator.pbx.model import (
    Call,
    ChannelState,
    Script,
)
from amiws_gevent.simulator.pbx.originate import Order, originate, response_event
from amiws_gevent.simulator.pbx.stage import Stage


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
    if switch.style.stasis:
        switch.execute(picker, "AppDial", "(Outgoing Line)", at=(caller.context, stage.b.number))
    else:
        masquerade(switch, rang, picker)
    dial.target = picker
    switch.hangup(rang, 26)
    stage.answer(caller, dial)
    yield stage.wait(6)
    stage.end(by=picker)


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


def forward(stage: Stage) -> Script:
    """The phone answers 302: app_dial.c ``do_forward``, core_local.c ``local_call``, bridge.c
    ``try_swap_optimize_out``; testsuite tests/redirecting/forwardername."""
    switch = stage.switch
    caller = stage.lift(stage.a, stage.b.number)
    dial = yield from stage.ring(caller, stage.b)
    yield stage.wait(1)
    pair = stage.local(caller, stage.c.number)
    switch.set_variable(pair[0], "FORWARDERNAME", dial.target.name)
    stage.local_runs(pair, optimises=switch.style.stasis)
    switch.dial_ended(dial, "CANCEL", forward=stage.c.number)
    outer = switch.dial_begun(caller, pair[0], f"{stage.c.number}@{CONTEXT_INSIDE}")
    switch.hangup(dial.target, 16)
    inner = yield from stage.ring(pair[1], stage.c)
    switch.dial_ringing(outer)
    yield stage.wait(3)
    goes = stage.answer(pair[1], inner)
    stays = stage.answer(caller, outer)
    yield stage.wait(0.1)
    if switch.style.stasis:
        stage.optimise(pair, stays, goes)
    yield stage.wait(6)
    stage.end(by=caller)


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
