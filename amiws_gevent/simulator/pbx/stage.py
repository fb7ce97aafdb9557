"""What a scenario is played with: a call, a troupe of phones, and the moves that calls are made of.

Scenarios say who does what, and when; here it is told what that is on a switch. Each name in
brackets is the place of Asterisk's source, branch 22, whose events come here in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from amiws_gevent.simulator.pbx.company import CONTEXT_INSIDE, Troupe
from amiws_gevent.simulator.pbx.ending import end_call
from amiws_gevent.simulator.pbx.model import (
    Bridge,
    Call,
    Channel,
    ChannelState,
    Device,
    Dial,
    Script,
)
from amiws_gevent.simulator.pbx.scripts import Scripts
from amiws_gevent.simulator.pbx.switch import DIAL_CAUSES

Pair = tuple[Channel, Channel]
Ringing = Generator[float, None, Dial]
Talking = Generator[float, None, tuple[Channel, Channel, Bridge]]
Start = Callable[[Call, Script], None]


class Stage:
    """One performance. ``a`` to ``e`` are its phones; ``call`` is the one that it begins with."""

    def __init__(self, scripts: Scripts, start: Start, call: Call, troupe: Troupe) -> None:
        self.scripts = scripts
        self.switch = scripts.switch
        self.call = call
        self.troupe = troupe
        self.a, self.b, self.c, self.d, self.e = troupe.phones
        self.start = start
        self.calls = [call]

    def wait(self, seconds: float) -> float:
        return self.scripts.wait(seconds * 0.9, seconds * 1.1)

    # Calls

    def other_call(self, play: Callable[[Call], Script]) -> Call:
        """A further call that lives by itself, and ends when its script does."""
        call = self.switch.new_call()
        self.calls.append(call)
        self.start(call, play(call))
        return call

    def lift(self, phone: Device, exten: str, call: Call | None = None) -> Channel:
        """A phone calls a number: a line of its own, with a Linkedid of its own."""
        return self.scripts.from_phone(call or self.call, phone, exten)

    def end(self, by: Channel | None = None, cause: int = 16) -> None:
        end_call(self.switch, self.call if by is None else by.call, cause, by=by)

    def hang_up(self, channel: Channel, cause: int = 16) -> None:
        """One channel goes, and its call lives on."""
        self.switch.leave(channel)
        self.switch.hangup_requested(channel, cause, soft=False)
        self.switch.hangup(channel, cause)

    # Dialling

    def dial(self, caller: Channel, phone: Device, data: str = "") -> Dial:
        """The dialplan's Dial, up to the phone that does not ring yet (``dial_exec_full``)."""
        text = phone.name.partition("/")[2]
        self.switch.execute(caller, "Dial", data or f"{phone.name},20,tTkK")
        return self._try(caller, phone, text)

    def _try(self, caller: Channel, phone: Device, text: str) -> Dial:
        switch = self.switch
        target = switch.new_channel(
            caller.call,
            phone,
            state=ChannelState.DOWN,
            context=CONTEXT_INSIDE,
            exten="",
            linkedid=caller.linkedid,
        )
        switch.execute(target, "AppDial", "(Outgoing Line)", at=(caller.context, caller.exten))
        switch.set_caller_id(target, phone.number, phone.label)
        switch.set_connected_line(target, caller.caller_number, caller.caller_name)
        return switch.dial_begun(caller, target, text)

    def ring(self, caller: Channel, phone: Device) -> Ringing:
        """The phone rings after a moment: the dialling."""
        dial = self.dial(caller, phone)
        yield self.wait(0.3)
        self.switch.dial_ringing(dial)
        return dial

    def ring_all(self, caller: Channel, phones: list[Device]) -> list[Dial]:
        names = "&".join(phone.name for phone in phones)
        self.switch.execute(caller, "Dial", f"{names},20,tTkK")
        dials = [self._try(caller, phone, phone.name.partition("/")[2]) for phone in phones]
        for dial in dials:
            self.switch.dial_ringing(dial)
        return dials

    def refuse(self, dial: Dial, status: str) -> None:
        """The phone says no, or nobody picks up: its channel goes."""
        self.switch.dial_ended(dial, status)
        self.switch.hangup(dial.target, DIAL_CAUSES[status])

    def answer(self, caller: Channel, dial: Dial) -> Bridge:
        """Both talk (``wait_for_answer``, ``ast_bridge_call``)."""
        switch, target = self.switch, dial.target
        switch.set_state(target, ChannelState.UP)
        if dial in target.call.dials:
            switch.dial_ended(dial, "ANSWER")
        switch.set_state(caller, ChannelState.UP)
        switch.set_connected_line(caller, target.caller_number, target.caller_name)
        bridge = switch.new_bridge(caller, dial.begun)
        switch.execute(target, "AppDial", "(Outgoing Line)", at=(target.context, ""))
        switch.connect(bridge, target, caller)
        return bridge

    def talk(self, first: Device, second: Device) -> Talking:
        """One phone calls another, which answers after it has rung: the two, and their bridge."""
        caller = self.lift(first, second.number)
        dial = yield from self.ring(caller, second)
        yield self.wait(2)
        return caller, dial.target, self.answer(caller, dial)

    # Local channels

    def local(self, caller: Channel, exten: str, context: str = CONTEXT_INSIDE) -> Pair:
        """Two halves, of which the second runs the dialplan (core_local.c, ``local_call``)."""
        switch = self.switch
        name = f"Local/{exten}@{context}"
        device = switch.local_device(name, exten)
        stem = f"{name}-{self.switch.calls_begun:08x}{len(caller.call.channels):x}"
        first = self._half(caller, device, f"{stem};1", ChannelState.DOWN, context)
        second = self._half(caller, device, f"{stem};2", ChannelState.RING, context)
        second.caller_number, second.caller_name = caller.caller_number, caller.caller_name
        second.changed()
        switch.execute(first, "AppDial", "(Outgoing Line)", at=(context, exten))
        return first, second

    def _half(
        self, caller: Channel, device: Device, name: str, state: ChannelState, context: str
    ) -> Channel:
        return self.switch.new_channel(
            caller.call,
            device,
            state=state,
            context=context,
            exten=device.number,
            channel_name=name,
            linkedid=caller.linkedid,
        )

    def local_runs(self, pair: Pair, *, optimises: bool) -> None:
        first, second = pair
        optimisation = "Yes" if optimises else "No"
        self.switch.out.append(
            "Event: LocalBridge\r\nPrivilege: call,all\r\n"
            f"{first.prefixed('LocalOne')}{second.prefixed('LocalTwo')}"
            f"Context: {second.context}\r\nExten: {second.exten}\r\n"
            f"LocalOptimization: {optimisation}\r\n\r\n"
        )

    def optimise(self, pair: Pair, stays: Bridge, goes: Bridge) -> None:
        """The halves are taken out of the middle (bridge.c, ``try_swap_optimize_out``).

        ``stays`` has the first half and who called, ``goes`` the second and who was called.
        """
        switch, (first, second) = self.switch, pair
        other = next(channel for channel in goes.channels if channel is not second)
        halves = f"{first.prefixed('LocalOne')}{second.prefixed('LocalTwo')}"
        begin = f"{other.prefixed('Source')}DestUniqueId: {second.uniqueid}\r\nId: 0\r\n"
        switch.out.append(
            f"Event: LocalOptimizationBegin\r\nPrivilege: call,all\r\n{halves}{begin}\r\n"
        )
        switch.move(other, stays, swap=first)
        switch.out.append(
            "Event: LocalOptimizationEnd\r\nPrivilege: call,all\r\n"
            f"{halves}Success: Yes\r\nId: 0\r\n\r\n"
        )
        switch.leave(second)
        switch.destroy_bridge(goes)
        for half in pair:
            switch.hangup(half, 16)
