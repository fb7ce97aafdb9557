"""How calls end or lose a channel, from whatever state they are in.

A call may be cut at any moment (a client hangs it up, an agent transfers it), so nothing
here asks how far its script has come: everything follows from what the call holds.
"""

from __future__ import annotations

from amiws_gevent.simulator.pbx import places, queueing
from amiws_gevent.simulator.pbx.model import Bridge, Call, Channel
from amiws_gevent.simulator.pbx.switch import DIAL_CAUSES, Switch


def end_call(
    switch: Switch, call: Call, cause: int = 16, *, by: Channel | None = None, soft: bool = False
) -> None:
    """Ends a call and all its channels with hangup cause ``cause``; a second time is nothing.

    ``by`` is the channel whose user or operator (``soft``) hung up first.
    """
    if call.ended:
        return
    call.ended = True
    call.script = None
    if by is not None:
        switch.hangup_requested(by, cause, soft=soft)
    cancel_dials(switch, call)
    if call.entry is not None:
        queueing.abandon(switch, call.entry)
    if call.service is not None:
        agent_hung_up = by is call.service.agent
        queueing.complete(switch, call, "agent" if agent_hung_up else "caller")
    for bridge in list(call.bridges):
        break_bridge(switch, bridge)
    places.leave_all(switch, call)
    for channel in list(reversed(call.channels)):
        if channel is not by and channel is call.channels[0]:
            switch.hangup_requested(channel, cause, soft=True)
        switch.hangup(channel, cause)
    del switch.calls[call.number]
    switch.generated_calls -= call.generated
    if call.on_end is not None:
        call.on_end()


def cancel_dials(switch: Switch, call: Call, *, keep: Channel | None = None) -> None:
    """Phones that still ring are told to stop; ``keep`` is one that has just answered.

    With one kept the others were answered elsewhere (cause 26), else the caller gave up.
    """
    cause = DIAL_CAUSES["CANCEL"] if keep is None else 26
    for dial in list(call.dials):
        if dial.target is not keep:
            switch.dial_ended(dial, "CANCEL")
            switch.hangup(dial.target, cause)


def break_bridge(switch: Switch, bridge: Bridge) -> None:
    """A bridge falls apart; the caller's channel gets the times of the dial that made it."""
    caller = bridge.caller
    switch.destroy_bridge(bridge)
    if caller is None or caller.name not in switch.channels:
        return
    if caller.application == "Dial" or switch.style.answer_times_on_queue:
        talked = switch.now - bridge.created
        dialled = switch.now - bridge.dialled
        for name, value in (("ANSWEREDTIME", talked), ("DIALEDTIME", dialled)):
            switch.set_variable(caller, name, str(int(value)))
            switch.set_variable(caller, f"{name}_MS", str(round(value * 1000)))
    if caller.application == "Dial":
        switch.set_variable(caller, "DIALSTATUS", "ANSWER")


def detach(switch: Switch, channels: list[Channel]) -> list[Call]:
    """Takes each channel out of its call into a call of its own, alive and in no bridge.

    What is left of the old calls ends with cause 16. The new calls have no script yet.
    """
    old = [channel.call for channel in channels]
    fresh = [_take_out(switch, channel) for channel in channels]
    for call in old:
        end_call(switch, call)
    return fresh


def adopt(switch: Switch, call: Call, channel: Channel) -> None:
    """A channel of another call is of ``call`` from now on; what is left of the other ends."""
    (fresh,) = detach(switch, [channel])
    fresh.ended = True
    fresh.channels.remove(channel)
    channel.call = call
    call.channels.append(channel)
    ends = [each for each in (call.on_end, fresh.on_end) if each is not None]

    def all_end() -> None:
        for end in ends:
            end()

    call.on_end = all_end
    switch.generated_calls -= fresh.generated
    del switch.calls[fresh.number]


def _take_out(switch: Switch, channel: Channel) -> Call:
    old = channel.call
    old.script = None
    if old.service is not None:
        queueing.complete(switch, old, "transfer")
    for bridge in list(old.bridges):
        break_bridge(switch, bridge)
    places.leave_all(switch, old, channel)
    if old.entry is not None and old.entry.channel is channel:
        queueing.abandon(switch, old.entry)
    for dial in list(old.dials):
        if dial.target is channel:
            switch.dial_ended(dial, "CANCEL")
    fresh = switch.new_call()
    fresh.generated, old.generated = old.generated, False
    if old.channels[0] is channel:
        fresh.on_end, old.on_end = old.on_end, None
    old.channels.remove(channel)
    channel.call = fresh
    fresh.channels.append(channel)
    return fresh
