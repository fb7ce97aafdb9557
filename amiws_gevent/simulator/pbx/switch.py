"""The PBX's moves: each changes the state of ``model`` and sends the events that tell of it.

Pure: time comes in as ``now``, randomness as a seeded generator, and events go out as text
into ``out``, one whole packet each. Order and headers of the events follow recordings of
Asterisk 13.38 and 22.11; RTP statistics follow Asterisk's rtp_engine.c.
"""

from __future__ import annotations

import math
import random
from typing import Final

from amiws_gevent.simulator.pbx.model import (
    HINT_STATES,
    Agent,
    Bridge,
    Call,
    Channel,
    ChannelState,
    Conference,
    Device,
    DeviceState,
    Dial,
    Member,
    Parked,
    Presence,
    Queue,
    Registration,
)
from amiws_gevent.simulator.pbx.style import Style

CAUSE_TEXTS: Final = {
    0: "Unknown",
    1: "Unallocated (unassigned) number",
    3: "No route to destination",
    16: "Normal Clearing",
    17: "User busy",
    18: "No user responding",
    19: "User alerting, no answer",
    20: "Subscriber absent",
    21: "Call Rejected",
    22: "Number changed",
    26: "Answered elsewhere",
    27: "Destination out of order",
    28: "Invalid number format",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    41: "Temporary failure",
    42: "Switching equipment congestion",
    127: "Interworking, unspecified",
}

DIAL_CAUSES: Final = {
    "BUSY": 17,
    "NOANSWER": 19,
    "CHANUNAVAIL": 20,
    "CONGESTION": 34,
    "CANCEL": 16,
}
"""The hangup cause of a channel whose dialling ended with that DialStatus."""

CONTEXT_HINTS: Final = "hints"

_PACKETS_A_SECOND: Final = 50  # RTP with 20 ms of sound in each packet


class Switch:
    """State and moves of one PBX. ``now`` is set by whoever runs it, in seconds since 1970."""

    def __init__(self, style: Style, rng: random.Random, started: float) -> None:
        self.style = style
        self.rng = rng
        self.now = started
        self.started = started
        self.out: list[str] = []
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, Bridge] = {}
        self.devices: dict[str, Device] = {}
        self.queues: dict[str, Queue] = {}
        self.hints: dict[str, Device] = {}
        """By extension, in the context ``CONTEXT_HINTS``: the device whose state it shows."""
        self.calls: dict[int, Call] = {}
        self.conferences: dict[str, Conference] = {}
        self.parked: dict[int, Parked] = {}
        self.parking: Bridge | None = None
        """Where all who are parked hear music; made with the first of them."""
        self.agents: dict[str, Agent] = {}
        self.agent_room: Bridge | None = None
        self.registrations: list[Registration] = []
        self.presences: dict[str, Presence] = {}
        """By provider and presentity, such as ``CustomPresence:201``."""
        self.told_devices: dict[str, str] = {}
        """The last state of each device that was told, as ``DeviceStateList`` has it."""
        self.globals: dict[str, str] = {}
        self.calls_begun = 0
        self.generated_calls = 0
        self._channels_begun = 0

    @property
    def calls_up(self) -> int:
        """Those that have a channel: a break of an agent is none to anybody else."""
        return sum(1 for call in self.calls.values() if call.channels)

    def channel_named(self, name: str) -> Channel | None:
        """By its name in any case, or by its unique id, as ``ast_channel_get_by_name``."""
        found = self.channels.get(name)
        if found is None and name:
            lowered = name.lower()
            for channel in self.channels.values():
                if channel.name.lower() == lowered or channel.uniqueid == name:
                    return channel
        return found

    # Calls and channels

    def new_call(self, *, generated: bool = False) -> Call:
        self.calls_begun += 1
        self.generated_calls += generated
        call = Call(self.calls_begun, generated)
        self.calls[call.number] = call
        return call

    def new_channel(
        self,
        call: Call,
        device: Device,
        *,
        state: ChannelState,
        context: str,
        exten: str,
        number: str = "",
        name: str = "",
        account: str = "",
        uniqueid: str = "",
        linkedid: str = "",
        channel_name: str = "",
        begins: bool = False,
    ) -> Channel:
        """A channel of ``device`` with ``number`` and ``name`` as its caller id.

        What is not given follows from the device and from the call's first channel; one that
        ``begins`` has come by itself, so that it has a Linkedid of its own.
        """
        serial = self._channels_begun
        self._channels_begun += 1
        uniqueid = uniqueid or f"{int(self.now)}.{serial}"
        if not linkedid:
            follows = call.channels and not begins
            linkedid = call.channels[0].linkedid if follows else uniqueid
        channel = Channel(
            name=channel_name or f"{device.name}-{serial:08x}",
            uniqueid=uniqueid,
            linkedid=linkedid,
            device=device,
            call=call,
            created=self.now,
            state=state,
            context=context,
            exten=exten,
            account=account or device.account,
            caller_number=number,
            caller_name=name,
        )
        self.channels[channel.name] = channel
        call.channels.append(channel)
        device.channels.append(channel)
        self.out.append(f"Event: Newchannel\r\nPrivilege: call,all\r\n{channel.headers()}\r\n")
        self.device_changed(device)
        return channel

    def local_device(self, name: str, exten: str) -> Device:
        """All Local channels to one place are one device, as long as there are any."""
        others = (channel.device for channel in self.channels.values())
        found = next((device for device in others if device.name == name), None)
        return found or Device(name, exten, "", "")

    def set_state(self, channel: Channel, state: ChannelState) -> None:
        if channel.state is state:
            return
        channel.state = state
        if state is ChannelState.UP:
            channel.answered = self.now
        channel.changed()
        self.out.append(f"Event: Newstate\r\nPrivilege: call,all\r\n{channel.headers()}\r\n")
        self.device_changed(channel.device)

    def execute(
        self,
        channel: Channel,
        application: str,
        data: str = "",
        *,
        at: tuple[str, str] | None = None,
    ) -> None:
        """An application runs on the channel, at its next priority or at priority 1 of ``at``.

        ``at`` is a context and an extension; the channel's ``goes_to`` counts if it is None.
        """
        place = at or channel.goes_to
        if place is not None:
            channel.context, channel.exten = place
            channel.priority = 1
            channel.goes_to = None
        elif channel.application:
            channel.priority += 1
        channel.application = application
        channel.data = data
        channel.changed()
        self.out.append(
            f"Event: Newexten\r\nPrivilege: {self.style.newexten_class},all\r\n"
            f"{channel.headers()}"
            f"Extension: {channel.exten}\r\nApplication: {application}\r\nAppData: {data}\r\n\r\n"
        )

    def set_caller_id(self, channel: Channel, number: str, name: str) -> None:
        channel.caller_number = number
        channel.caller_name = name
        channel.changed()
        self.out.append(
            f"Event: NewCallerid\r\nPrivilege: call,all\r\n{channel.headers()}"
            "CID-CallingPres: 0 (Presentation Allowed, Not Screened)\r\n\r\n"
        )

    def set_connected_line(self, channel: Channel, number: str, name: str) -> None:
        if (channel.connected_number, channel.connected_name) == (number, name):
            return
        channel.connected_number = number
        channel.connected_name = name
        channel.changed()
        self.out.append(
            f"Event: NewConnectedLine\r\nPrivilege: call,all\r\n{channel.headers()}\r\n"
        )

    def set_variable(self, channel: Channel | None, name: str, value: str) -> None:
        """A variable of a channel, or a global one."""
        variables = self.globals if channel is None else channel.variables
        variables[name] = value
        headers = "Channel: none\r\nUniqueid: none\r\n" if channel is None else channel.headers()
        self.out.append(
            f"Event: VarSet\r\nPrivilege: dialplan,all\r\n{headers}"
            f"Variable: {name}\r\nValue: {value}\r\n\r\n"
        )

    def hold(self, channel: Channel, held: bool) -> None:
        channel.held = held
        if held:
            head, tail = "Hold", "MusicClass: default\r\n"
        else:
            head, tail = "Unhold", ""
        self.out.append(f"Event: {head}\r\nPrivilege: call,all\r\n{channel.headers()}{tail}\r\n")
        self.device_changed(channel.device)

    def hangup_requested(self, channel: Channel, cause: int, *, soft: bool) -> None:
        name = "SoftHangupRequest" if soft else "HangupRequest"
        self.out.append(
            f"Event: {name}\r\nPrivilege: call,all\r\n{channel.headers()}Cause: {cause}\r\n\r\n"
        )

    def hangup(self, channel: Channel, cause: int) -> None:
        """The end of a channel that is in no bridge any more."""
        if channel.answered is not None and not channel.name.startswith("Local/"):
            self.set_variable(channel, "RTPAUDIOQOS", self._rtp_statistics(channel))
        self.out.append(
            f"Event: Hangup\r\nPrivilege: call,all\r\n{channel.headers()}"
            f"Cause: {cause}\r\nCause-txt: {CAUSE_TEXTS.get(cause, 'Unknown')}\r\n\r\n"
        )
        del self.channels[channel.name]
        channel.call.channels.remove(channel)
        channel.device.channels.remove(channel)
        self.device_changed(channel.device)

    def _rtp_statistics(self, channel: Channel) -> str:
        """As ``ast_rtp_instance_get_quality`` writes it: jitter and round trip in seconds."""
        rng = self.rng
        sent = round((self.now - (channel.answered or self.now)) * _PACKETS_A_SECOND)
        # Most lines are good; every sixth is bad enough to be seen on a wallboard.
        bad = rng.random() < 1 / 6
        jitter = rng.uniform(0.004, 0.045) if bad else rng.uniform(0.0001, 0.003)
        loss = rng.uniform(0.01, 0.08) if bad else rng.choice((0.0, 0.0, 0.001))
        lost, far_lost = int(sent * loss), int(sent * loss * rng.random())
        text = (
            f"ssrc={rng.getrandbits(32)};themssrc={rng.getrandbits(32)};lp={lost};"
            f"rxjitter={jitter:f};rxcount={sent - lost};txjitter={jitter * rng.random():f};"
            f"txcount={sent};rlp={far_lost};rtt={rng.uniform(0.012, 0.32):f}"
        )
        if self.style.opinion_score:
            score = 88.0 - loss * 600 - jitter * 400
            text += f";rxmes={score:f};txmes={score + rng.random():f}"
        return text

    # Dialling

    def dial_begun(self, caller: Channel | None, target: Channel, text: str) -> Dial:
        dial = Dial(caller, target, self.now)
        target.call.dials.append(dial)
        self.out.append(
            f"Event: DialBegin\r\nPrivilege: call,all\r\n{self._dial_headers(dial)}"
            f"DialString: {text}\r\n\r\n"
        )
        return dial

    def dial_ringing(self, dial: Dial) -> None:
        self.set_state(dial.target, ChannelState.RINGING)
        if self.style.dial_state:
            self.out.append(
                f"Event: DialState\r\nPrivilege: call,all\r\n{self._dial_headers(dial)}"
                "DialStatus: RINGING\r\n\r\n"
            )

    def dial_ended(self, dial: Dial, status: str, *, forward: str = "") -> None:
        """The attempt is over; ``status`` is Asterisk's DIALSTATUS.

        ``forward`` is where the phone wants its calls to go.
        """
        dial.target.call.dials.remove(dial)
        forwarded = f"Forward: {forward}\r\n" if forward else ""
        self.out.append(
            f"Event: DialEnd\r\nPrivilege: call,all\r\n{self._dial_headers(dial)}"
            f"DialStatus: {status}\r\n{forwarded}\r\n"
        )

    @staticmethod
    def _dial_headers(dial: Dial) -> str:
        caller = "" if dial.caller is None else dial.caller.headers()
        return caller + dial.target.prefixed("Dest")

    # Bridges

    def new_bridge(self, caller: Channel, dialled: float) -> Bridge:
        bridge = Bridge(self._bridge_id(), caller, self.now, dialled)
        caller.call.bridges.append(bridge)
        return self._open_bridge(bridge)

    def new_room(self, type_: str, technology: str, creator: str, name: str) -> Bridge:
        """A bridge that belongs to no call: for a conference, or for those who wait."""
        bridge = Bridge(
            self._bridge_id(),
            None,
            self.now,
            self.now,
            type=type_,
            technology=technology,
            creator=creator,
            name=name,
        )
        return self._open_bridge(bridge)

    def _bridge_id(self) -> str:
        d = f"{self.rng.getrandbits(128):032x}"
        return f"{d[:8]}-{d[8:12]}-4{d[13:16]}-a{d[17:20]}-{d[20:]}"

    def _open_bridge(self, bridge: Bridge) -> Bridge:
        self.bridges[bridge.uniqueid] = bridge
        self._bridge_event("BridgeCreate", bridge)
        return bridge

    def enter(self, bridge: Bridge, channel: Channel, swap: Channel | None = None) -> None:
        """``channel`` comes, in the place of ``swap`` (``bridge_channel_internal_push_full``)."""
        if swap is not None:
            self.leave(swap)
        bridge.channels.append(channel)
        channel.bridge = bridge
        if bridge.type == "basic":
            self._share_linkedid(bridge)
        tail = "" if swap is None else f"SwapUniqueid: {swap.uniqueid}\r\n"
        self._bridge_event("BridgeEnter", bridge, channel, tail)

    @staticmethod
    def _share_linkedid(bridge: Bridge) -> None:
        """All take that of the channel that has been there longest (``linkedid_match`` and
        ``ast_channel_set_linkgroup``): no event tells it but the one of who enters."""
        oldest = min((c.linkedid for c in bridge.channels), key=_age_of)
        for channel in bridge.channels:
            channel.linkedid = oldest
            channel.changed()

    def leave(self, channel: Channel) -> None:
        bridge = channel.bridge
        if bridge is None:
            return
        bridge.channels.remove(channel)
        channel.bridge = None
        self._bridge_event("BridgeLeave", bridge, channel)

    def connect(self, bridge: Bridge, first: Channel, second: Channel) -> None:
        """Both channels enter; each learns the other's name in BRIDGEPEER."""
        self.enter(bridge, first)
        self.enter(bridge, second)
        self.set_variable(first, "BRIDGEPEER", second.name)
        self.set_variable(second, "BRIDGEPEER", first.name)

    def destroy_bridge(self, bridge: Bridge) -> None:
        """All leave, the bridge is gone; a call may have none or several."""
        for channel in list(bridge.channels):
            self.set_variable(channel, "BRIDGEPEER", "")
        for channel in list(bridge.channels):
            self.leave(channel)
        del self.bridges[bridge.uniqueid]
        if bridge.caller is not None:
            bridge.caller.call.bridges.remove(bridge)
        self._bridge_event("BridgeDestroy", bridge)

    def move(self, channel: Channel, into: Bridge, *, swap: Channel | None = None) -> None:
        """From one bridge to another (bridge.c, ``bridge_do_move``)."""
        self.leave(channel)
        self.enter(into, channel, swap)

    def merge(self, into: Bridge, source: Bridge) -> None:
        """All of ``source`` go into another bridge, which stays (bridge.c, ``bridge_do_merge``)."""
        self.out.append(
            "Event: BridgeMerge\r\nPrivilege: call,all\r\n"
            f"{into.headers('To')}{source.headers('From')}\r\n"
        )
        for channel in list(source.channels):
            self.move(channel, into)
        self.destroy_bridge(source)

    def _bridge_event(
        self, name: str, bridge: Bridge, channel: Channel | None = None, tail: str = ""
    ) -> None:
        who = "" if channel is None else channel.headers()
        self.out.append(
            f"Event: {name}\r\nPrivilege: call,all\r\n{bridge.headers()}{who}{tail}\r\n"
        )

    # Devices and queue members

    def device_changed(self, device: Device) -> None:
        """Tells of the device's state, and of its queues, if it is another than was told last."""
        state = device.current_state()
        if state is device.state:
            return
        device.state = state
        self.device_event(device.name, state.name)
        if self.hints.get(device.number) is device:
            self.out.append(
                f"Event: ExtensionStatus\r\nPrivilege: call,all\r\n{hint_headers(device)}\r\n"
            )
        for member in device.memberships:
            self.member_event("QueueMemberStatus", member)
            self.availability_changed(member.queue)

    def device_event(self, device: str, state: str) -> None:
        if not device.startswith("Local/"):  # not kept: AST_DEVSTATE_NOT_CACHABLE
            self.told_devices[device] = state
        self.out.append(
            "Event: DeviceStateChange\r\nPrivilege: call,all\r\n"
            f"Device: {device}\r\nState: {state}\r\n\r\n"
        )

    def availability_changed(self, queue: Queue) -> None:
        available = any(
            member.device.state is DeviceState.NOT_INUSE and not member.paused
            for member in queue.members
        )
        if available is not queue.had_available:
            queue.had_available = available
            self.device_event(f"Queue:{queue.name}_avail", "NOT_INUSE" if available else "INUSE")

    def member_event(self, name: str, member: Member, tail: str = "") -> None:
        self.out.append(
            f"Event: {name}\r\nPrivilege: agent,all\r\nQueue: {member.queue.name}\r\n"
            f"MemberName: {member.device.label}\r\nInterface: {member.interface}\r\n"
            f"StateInterface: {member.device.name}\r\n{member_headers(member, self.style, True)}"
            f"{tail}\r\n"
        )

    def pause(self, member: Member, paused: bool, reason: str) -> None:
        """An agent takes or ends a break; ``reason`` is kept while it lasts."""
        member.paused = paused
        member.paused_reason = reason if paused else ""
        if paused:
            member.last_pause = int(self.now)
        self.device_event(
            f"Queue:{member.queue.name}_pause_{member.interface}",
            "INUSE" if paused else "NOT_INUSE",
        )
        tail = f"Reason: {reason}\r\n" if self.style.pause_reason_twice and reason else ""
        self.member_event("QueueMemberPause", member, tail)
        self.availability_changed(member.queue)


def member_headers(member: Member, style: Style, event: bool) -> str:
    """What events and ``QueueMember`` say of a member; only events have Ringinuse."""
    times = wrapup = ""
    if style.member_times:
        times = f"LastPause: {member.last_pause}\r\nLoginTime: {member.login}\r\n"
        wrapup = "Wrapuptime: 0\r\n"
    ringinuse = "Ringinuse: 0\r\n" if event else ""
    return (
        f"Membership: {member.membership}\r\nPenalty: {member.penalty}\r\n"
        f"CallsTaken: {member.calls_taken}\r\nLastCall: {member.last_call}\r\n{times}"
        f"InCall: {member.in_call:d}\r\n"
        f"Status: {member.device.state:d}\r\nPaused: {member.paused:d}\r\n"
        f"PausedReason: {member.paused_reason}\r\n{ringinuse}{wrapup}"
    )


def hint_headers(device: Device) -> str:
    """What ``ExtensionStatus`` says of the extension of a phone."""
    status, words = HINT_STATES[device.state]
    return (
        f"Exten: {device.number}\r\nContext: {CONTEXT_HINTS}\r\nHint: {device.name}\r\n"
        f"Status: {status}\r\nStatusText: {words}\r\n"
    )


def _age_of(linkedid: str) -> tuple[float, int]:
    """What orders Uniqueids by age: seconds and a serial number. One that a client chose for its
    Originate is younger than any."""
    seconds, _, serial = linkedid.rpartition(".")
    ours = seconds.isdigit() and serial.isdigit()
    return (float(seconds), int(serial)) if ours else (math.inf, 0)
