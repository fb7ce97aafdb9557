"""What happens in calls: generators that move a ``Switch`` and yield the seconds between.

A script may be dropped at any yield (the call was ended or taken over), so none holds
anything that needs giving back; ``ending`` ends whatever a call is made of.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final

from amiws_gevent.simulator.pbx import quality, queueing
from amiws_gevent.simulator.pbx.company import (
    CONTEXT_INSIDE,
    CONTEXT_OUTSIDE,
    Pace,
    Troupe,
)
from amiws_gevent.simulator.pbx.ending import break_bridge, cancel_dials, end_call
from amiws_gevent.simulator.pbx.masquerade import take_over
from amiws_gevent.simulator.pbx.model import (
    Bridge,
    Call,
    Channel,
    ChannelState,
    Device,
    Dial,
    Entry,
    Member,
    Queue,
    Script,
)
from amiws_gevent.simulator.pbx.switch import DIAL_CAUSES, Switch

_DIAL_VARIABLES: Final = (
    "DIALSTATUS",
    "DIALEDPEERNUMBER",
    "DIALEDPEERNAME",
    "ANSWEREDTIME",
    "ANSWEREDTIME_MS",
    "DIALEDTIME",
    "DIALEDTIME_MS",
    "RINGTIME",
    "RINGTIME_MS",
    "PROGRESSTIME",
    "PROGRESSTIME_MS",
)
_RING_LIMIT: Final = 12.0  # seconds a phone rings before the dialplan gives up
_AGENT_RING_LIMIT: Final = 8.0
_PATIENCE: Final = (4.0, 22.0)  # seconds callers stay in a queue


@dataclass(frozen=True)
class Leg:
    """One phone to dial: ``outcome`` is its DIALSTATUS after ``rings`` seconds of ringing.

    CANCEL: the caller gives up first.
    """

    device: Device
    number: str
    name: str
    outcome: str
    rings: float
    data: str

    @property
    def asked(self) -> str:
        """What its channel driver is asked for: ``201``, or the number and the trunk."""
        return self.data.partition(",")[0].partition("/")[2]


class Talks:
    """What calls are made of once it is known who is called: dialling, queues, talking.

    Waits come from ``rng``, scaled by the pace.
    """

    def __init__(
        self,
        switch: Switch,
        rng: random.Random,
        pace: Pace,
        troupes: Sequence[Troupe],
    ) -> None:
        performers = {phone for troupe in troupes for phone in troupe.phones}
        self.troupes = troupes
        self.queues = [
            queue for queue in switch.queues.values() if queue not in [t.queue for t in troupes]
        ]
        self.switch = switch
        self.rng = rng
        self._scale = pace.scale
        self.staff = [
            device
            for device in switch.devices.values()
            if not device.trunk and device not in performers
        ]
        self.desks = [device for device in self.staff if not device.memberships]
        self._trunks = [device for device in switch.devices.values() if device.trunk]

    def wait(self, low: float, high: float) -> float:
        return self.rng.uniform(low, high) * self._scale

    @property
    def trunks(self) -> list[Device]:
        """Those that can be reached."""
        return [device for device in self._trunks if device.reachable]

    # Phones

    def free_or_none(self, devices: list[Device]) -> Device | None:
        for _ in range(4):
            device = self.rng.choice(devices)
            if device.free:
                return device
        return None

    def free_or_any(self, devices: list[Device]) -> Device:
        return self.free_or_none(devices) or self.rng.choice(devices)

    def from_phone(self, call: Call, device: Device, exten: str) -> Channel:
        switch = self.switch
        channel = switch.new_channel(
            call,
            device,
            state=ChannelState.RING if switch.style.incoming_ring else ChannelState.DOWN,
            context=CONTEXT_INSIDE,
            exten=exten,
            number=device.number,
            name=device.label,
            begins=True,
        )
        channel.dialled = exten
        switch.set_state(channel, ChannelState.RING)
        return channel

    def from_outside(self, call: Call, name: str, number: str) -> Channel:
        """A channel of a trunk, with somebody outside who calls one of the company's numbers."""
        switch, style = self.switch, self.switch.style
        plus = "+" if style.plus and number else ""
        channel = switch.new_channel(
            call,
            self.rng.choice(self.trunks),
            state=ChannelState.RING if style.incoming_ring else ChannelState.DOWN,
            context=CONTEXT_OUTSIDE,
            exten=self.rng.choice(style.own_numbers),
            number=plus + number,
            name=name,
        )
        channel.dialled = channel.exten
        switch.set_state(channel, ChannelState.RING)
        return channel

    # One phone rings

    def dial(self, call: Call, channel: Channel, leg: Leg) -> Script:
        """The dialplan's Dial on ``channel``, to the end of the call."""
        switch = self.switch
        switch.execute(channel, "Dial", leg.data)
        for name in _DIAL_VARIABLES:
            switch.set_variable(channel, name, "")
        begun = switch.now
        answered, status = yield from self._ring(call, channel, leg)
        if answered is None:
            end_call(switch, call, DIAL_CAUSES[status])
            return
        switch.set_state(channel, ChannelState.UP)
        switch.set_connected_line(channel, leg.number, leg.name)
        bridge = switch.new_bridge(channel, begun)
        switch.execute(answered, "AppDial", "(Outgoing Line)", at=(answered.context, ""))
        switch.connect(bridge, answered, channel)
        yield from self.talk(call, channel, answered)

    def _ring(
        self, call: Call, channel: Channel, leg: Leg
    ) -> Generator[float, None, tuple[Channel | None, str]]:
        """Rings one phone: its channel if it is answered, and the DIALSTATUS."""
        switch = self.switch
        if not leg.device.free:
            status = "BUSY" if leg.device.reachable else "CHANUNAVAIL"
            switch.set_variable(channel, "DIALSTATUS", status)
            yield self.wait(0.3, 1.0)
            return None, status
        target = self._outgoing(call, channel, leg, "AppDial")
        dial = switch.dial_begun(channel, target, leg.asked)
        yield self.wait(0.1, 0.6)
        if leg.outcome not in ("BUSY", "CONGESTION"):
            switch.dial_ringing(dial)
            yield leg.rings * self._scale
        if leg.outcome == "CANCEL":
            end_call(switch, call, by=channel)
            return None, "CANCEL"
        if leg.outcome == "ANSWER":
            switch.set_state(target, ChannelState.UP)
            switch.set_variable(channel, "DIALSTATUS", "ANSWER")
            switch.set_variable(channel, "DIALEDPEERNAME", target.name)
            switch.set_variable(channel, "DIALEDPEERNUMBER", leg.number)
            switch.dial_ended(dial, "ANSWER")
            return target, "ANSWER"
        switch.dial_ended(dial, leg.outcome)
        switch.hangup(target, DIAL_CAUSES[leg.outcome])
        switch.set_variable(channel, "DIALSTATUS", leg.outcome)
        return None, leg.outcome

    def _outgoing(self, call: Call, channel: Channel, leg: Leg, application: str) -> Channel:
        """The new channel towards a phone, before it rings."""
        switch = self.switch
        target = switch.new_channel(
            call, leg.device, state=ChannelState.DOWN, context=CONTEXT_INSIDE, exten=""
        )
        switch.set_variable(target, "DIALEDPEERNUMBER", leg.number)
        switch.execute(target, application, "(Outgoing Line)", at=(channel.context, channel.exten))
        switch.set_caller_id(target, leg.number, leg.name)
        switch.set_connected_line(target, channel.caller_number, channel.caller_name)
        return target

    def leg(self, device: Device, *, sure: bool = False) -> Leg:
        outcome, rings = ("ANSWER", self.rng.uniform(1.5, 4)) if sure else self._outcome()
        data = f"{device.name},{_RING_LIMIT:.0f},tT"
        if device.refuses or not device.free:
            outcome = device.refuses or "BUSY"
        return Leg(device, device.number, device.label, outcome, rings, data)

    def trunk_leg(self, number: str, name: str, *, sure: bool = False) -> Leg:
        device = self.rng.choice(self.trunks)
        outcome, rings = ("ANSWER", self.rng.uniform(1.5, 4)) if sure else self._outcome()
        technology, _, trunk = device.name.partition("/")
        where = f"{number}@{trunk}" if technology == "PJSIP" else f"{trunk}/{number}"
        return Leg(device, number, name, outcome, rings, f"{technology}/{where},60,T")

    def _outcome(self) -> tuple[str, float]:
        """The DIALSTATUS to come and how long it rings before, in seconds."""
        rng = self.rng
        choice = rng.random()
        if choice < 0.76:
            return "ANSWER", rng.uniform(1.5, 6.0)
        if choice < 0.84:
            return "BUSY", 0.0
        if choice < 0.92:
            return "NOANSWER", _RING_LIMIT
        if choice < 0.97:
            return "CANCEL", rng.uniform(2.0, 9.0)
        return "CONGESTION", 0.0

    # Talking

    def talk(self, call: Call, first: Channel, second: Channel) -> Script:
        """Two in a bridge until one hangs up; now and then hold or a transfer in between."""
        rng, switch = self.rng, self.switch
        yield self.wait(2, 9)
        for channel in (first, second):
            quality.report(switch, channel)
        choice = rng.random()
        if choice < 0.15:
            switch.hold(second, True)
            yield self.wait(2, 5)
            switch.hold(second, False)
            yield self.wait(1, 4)
        elif choice < 0.35 and not second.device.trunk:
            target = self.free_or_none(self.desks)
            if target is not None and choice < 0.27:
                yield from self.blind_transfer(call, first, second, target)
                return
            if target is not None:
                yield from self._attended_transfer(call, first, second, target)
        yield self.wait(1, 7)
        quality.report(switch, first)
        by = rng.choice(list(call.channels))
        end_call(switch, call, by=by)

    def blind_transfer(
        self,
        call: Call,
        stays: Channel,
        leaves: Channel,
        target: Device,
        *,
        sure: bool = False,
    ) -> Script:
        """``leaves`` sends ``stays`` to another phone, which is ``sure`` to answer, and is gone."""
        switch = self.switch
        bridge = call.bridges[0]
        switch.out.append(
            "Event: BlindTransfer\r\nPrivilege: call,all\r\nResult: Success\r\n"
            f"{leaves.prefixed('Transferer')}{stays.prefixed('Transferee')}{bridge.headers()}"
            f"IsExternal: Yes\r\nContext: {CONTEXT_INSIDE}\r\nExtension: {target.number}\r\n\r\n"
        )
        switch.set_variable(stays, "BLINDTRANSFER", leaves.name)
        queueing.complete(switch, call, "transfer")
        break_bridge(switch, bridge)
        switch.hangup_requested(leaves, 16, soft=False)
        switch.hangup(leaves, 16)
        stays.goes_to = (CONTEXT_INSIDE, target.number)
        yield self.wait(0.1, 0.3)
        yield from self.dial(call, stays, self.leg(target, sure=sure))

    def _attended_transfer(
        self, call: Call, stays: Channel, leaves: Channel, target: Device
    ) -> Script:
        """``leaves`` asks another phone first on a second line, then joins the two."""
        switch = self.switch
        switch.hold(leaves, True)
        yield self.wait(0.5, 1.5)
        second = self.from_phone(call, leaves.device, target.number)
        leg = self.leg(target, sure=True)
        switch.execute(second, "Dial", leg.data)
        begun = switch.now
        answered, _ = yield from self._ring(call, second, leg)
        if answered is None:
            switch.hangup(second, 17)
            switch.hold(leaves, False)
            return
        switch.set_state(second, ChannelState.UP)
        asking = switch.new_bridge(second, begun)
        switch.execute(answered, "AppDial", "(Outgoing Line)", at=(answered.context, ""))
        switch.connect(asking, answered, second)
        yield self.wait(2, 5)
        self._join_transfer(call, (stays, leaves, call.bridges[0]), (answered, second, asking))

    def _join_transfer(
        self,
        call: Call,
        old: tuple[Channel, Channel, Bridge],
        new: tuple[Channel, Channel, Bridge],
    ) -> None:
        """Each tuple: who stays, the transferer's channel to them, the bridge of the two."""
        switch = self.switch
        stays, leaves, bridge = old
        target, second, asking = new
        switch.out.append(
            "Event: AttendedTransfer\r\nPrivilege: call,all\r\nResult: Success\r\n"
            f"{leaves.prefixed('OrigTransferer')}{bridge.headers('Orig')}"
            f"{second.prefixed('SecondTransferer')}{asking.headers('Second')}"
            f"{stays.prefixed('Transferee')}{target.prefixed('TransferTarget')}"
            f"IsExternal: Yes\r\nDestType: Bridge\r\nDestBridgeUniqueid: {bridge.uniqueid}\r\n\r\n"
        )
        queueing.complete(switch, call, "transfer")
        if not switch.style.stasis:
            take_over(switch, old, (second, asking))
            switch.hangup_requested(leaves, 16, soft=False)
            switch.hangup(leaves, 16)
            return
        switch.leave(leaves)
        switch.leave(target)
        switch.enter(bridge, target)
        switch.set_variable(target, "BRIDGEPEER", stays.name)
        switch.set_variable(stays, "BRIDGEPEER", target.name)
        break_bridge(switch, asking)
        switch.set_connected_line(stays, target.caller_number, target.caller_name)
        switch.set_connected_line(target, stays.caller_number, stays.caller_name)
        for channel in (second, leaves):
            switch.hangup_requested(channel, 16, soft=False)
            switch.hangup(channel, 16)

    # Queues

    def queue(self, call: Call, channel: Channel, queue: Queue) -> Script:
        """The dialplan's Queue on ``channel``, to the end of the call."""
        switch = self.switch
        switch.execute(channel, "Answer")
        switch.set_state(channel, ChannelState.UP)
        yield self.wait(0.2, 0.8)
        switch.execute(channel, "Queue", f"{queue.name},t,,,300")
        entry = queueing.join(switch, channel, queue)
        gives_up = switch.now + self.wait(*_PATIENCE)
        while switch.now < gives_up:
            members = queueing.next_members(queue) if queueing.first_in_line(entry) else []
            if not members:
                yield self.wait(0.4, 0.8)
                continue
            entry.being_served = True
            rung = self._ring_agents(call, channel, members)
            yield self.wait(0.2, 0.5)
            for dial, _ in rung:
                switch.dial_ringing(dial)
            if self.rng.random() < 0.12:
                yield _AGENT_RING_LIMIT * self._scale
                self._agents_did_not_answer(channel, rung)
                entry.being_served = False
                continue
            yield self.wait(1, 5)
            yield from self._agent_answers(entry, *self.rng.choice(rung))
            return
        end_call(switch, call, by=channel)

    def _ring_agents(
        self, call: Call, channel: Channel, members: list[Member]
    ) -> list[tuple[Dial, Member]]:
        switch = self.switch
        rung = []
        for member in members:
            device = member.device
            leg = Leg(device, device.number, device.label, "ANSWER", 0.0, "")
            target = self._outgoing(call, channel, leg, "AppQueue")
            dial = switch.dial_begun(channel, target, device.name)
            queueing.called(switch, channel, dial, member)
            rung.append((dial, member))
        return rung

    def _agents_did_not_answer(self, channel: Channel, rung: list[tuple[Dial, Member]]) -> None:
        switch = self.switch
        for dial, member in rung:
            switch.dial_ended(dial, "NOANSWER")
            queueing.ring_no_answer(switch, channel, dial, member)
            switch.hangup(dial.target, DIAL_CAUSES["NOANSWER"])

    def _agent_answers(self, entry: Entry, dial: Dial, member: Member) -> Script:
        switch, channel, agent = self.switch, entry.channel, dial.target
        call = channel.call
        switch.set_state(agent, ChannelState.UP)
        switch.set_connected_line(channel, agent.caller_number, agent.caller_name)
        switch.dial_ended(dial, "ANSWER")
        cancel_dials(switch, call, keep=agent)
        queueing.connect(switch, entry, dial, member)
        bridge = switch.new_bridge(channel, dial.begun)
        switch.connect(bridge, agent, channel)
        yield from self.talk(call, channel, agent)
        self.has_talked(member)

    def has_talked(self, member: Member) -> None:
        """An agent is free again."""
