"""What a PBX holds: channels, devices, bridges, queues with members and callers, calls.

Plain state and how it is written into headers; nothing here sends an event or decides
what happens next. ``switch`` changes the state and tells of it, ``scripts`` decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

Script = Generator[float, None, None]
"""The life of a call: yields the seconds until it goes on."""


class ChannelState(IntEnum):
    """Asterisk's ast_channel_state, as far as phone calls need it."""

    DOWN = 0
    RING = 4
    RINGING = 5
    UP = 6


STATE_NAMES: Final = {
    ChannelState.DOWN: "Down",
    ChannelState.RING: "Ring",
    ChannelState.RINGING: "Ringing",
    ChannelState.UP: "Up",
}


class DeviceState(IntEnum):
    """Asterisk's ast_device_state; the numbers are those of a queue member's ``Status``."""

    NOT_INUSE = 1
    INUSE = 2
    UNAVAILABLE = 5
    RINGING = 6
    RINGINUSE = 7
    ONHOLD = 8


DEVICE_STATE_TEXTS: Final = {
    DeviceState.NOT_INUSE: "Not in use",
    DeviceState.INUSE: "In use",
    DeviceState.UNAVAILABLE: "Unavailable",
    DeviceState.RINGING: "Ringing",
    DeviceState.RINGINUSE: "Ring+Inuse",
    DeviceState.ONHOLD: "On Hold",
}

HINT_STATES: Final = {
    DeviceState.NOT_INUSE: (0, "Idle"),
    DeviceState.INUSE: (1, "InUse"),
    DeviceState.UNAVAILABLE: (4, "Unavailable"),
    DeviceState.RINGING: (8, "Ringing"),
    DeviceState.RINGINUSE: (9, "InUse&Ringing"),
    DeviceState.ONHOLD: (16, "Hold"),
}
"""Status and StatusText of an extension whose hint is one device (``ast_devstate_to_extenstate``
and ``extension_states`` of pbx.c)."""

_ESCAPES: Final = str.maketrans(
    {
        "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
        "\v": "\\v", "\\": "\\\\", "'": "\\'", '"': '\\"', "?": "\\?",
    }
)  # fmt: skip
_TO_ESCAPE: Final = re.compile("[\a\b\f\n\r\t\v\\\\'\"?]")


def escape_c(text: str) -> str:
    """As Asterisk writes names and variables into events: C escapes for signs that need them."""
    return text.translate(_ESCAPES) if _TO_ESCAPE.search(text) else text


_UNESCAPES: Final = {escape: chr(sign) for sign, escape in _ESCAPES.items()}
_ESCAPED: Final = re.compile(r"\\.")


def unescape_c(text: str) -> str:
    """What ``escape_c`` was given."""
    return _ESCAPED.sub(lambda found: _UNESCAPES.get(found[0], found[0]), text)


@dataclass(slots=True, eq=False)
class Device:
    """A phone or a trunk. ``name`` is such as ``PJSIP/201``."""

    name: str
    number: str
    label: str
    account: str
    trunk: bool = False
    reachable: bool = True
    refuses: str = ""
    """The DIALSTATUS by which it refuses all calls, such as BUSY."""
    new_messages: int = 0
    old_messages: int = 0
    state: DeviceState = DeviceState.NOT_INUSE
    channels: list[Channel] = field(default_factory=list)
    memberships: list[Member] = field(default_factory=list)

    @property
    def free(self) -> bool:
        return self.trunk or (self.reachable and not self.channels)

    def current_state(self) -> DeviceState:
        """What its channels add up to, as Asterisk's ast_state_chan2dev and aggregation do."""
        if not self.reachable:
            return DeviceState.UNAVAILABLE
        ringing = used = held = 0
        for channel in self.channels:
            if channel.state is ChannelState.RINGING:
                ringing += 1
            elif channel.state is not ChannelState.DOWN:
                used += 1
                held += channel.held
        if used and held == used and not ringing:
            return DeviceState.ONHOLD
        if used:
            return DeviceState.RINGINUSE if ringing else DeviceState.INUSE
        return DeviceState.RINGING if ringing else DeviceState.NOT_INUSE


@dataclass(slots=True, eq=False)
class Channel:
    """One leg. Whoever changes a field that the headers show calls ``changed()`` after."""

    name: str
    uniqueid: str
    linkedid: str
    device: Device
    call: Call
    created: float
    state: ChannelState
    context: str
    exten: str
    language: str = "en"
    account: str = ""
    caller_number: str = ""
    caller_name: str = ""
    connected_number: str = ""
    connected_name: str = ""
    priority: int = 1
    goes_to: tuple[str, str] | None = None
    """Context and extension of its next application; nobody has been told of them yet."""
    application: str = ""
    data: str = ""
    dialled: str = ""
    bridge: Bridge | None = None
    held: bool = False
    answered: float | None = None
    hangup_cause: int = 16
    variables: dict[str, str] = field(default_factory=dict)
    _headers: str | None = None

    def changed(self) -> None:
        self._headers = None

    @property
    def linked(self) -> Channel | None:
        """Whom it talks to alone; None in a conference, or with nobody."""
        bridge = self.bridge
        if bridge is None or bridge.type != "basic" or len(bridge.channels) != 2:
            return None
        return next(channel for channel in bridge.channels if channel is not self)

    @property
    def state_name(self) -> str:
        return STATE_NAMES[self.state]

    def headers(self) -> str:
        """The fourteen headers that every event of a channel begins with."""
        text = self._headers
        if text is None:
            text = self._headers = self.prefixed("")
        return text

    def prefixed(self, p: str) -> str:
        """The fourteen headers, each name with the prefix ``p`` (``Dest``, ``Transferer``)."""
        return (
            f"{p}Channel: {self.name}\r\n"
            f"{p}ChannelState: {self.state:d}\r\n"
            f"{p}ChannelStateDesc: {STATE_NAMES[self.state]}\r\n"
            f"{p}CallerIDNum: {self.caller_number or '<unknown>'}\r\n"
            f"{p}CallerIDName: {escape_c(self.caller_name) or '<unknown>'}\r\n"
            f"{p}ConnectedLineNum: {self.connected_number or '<unknown>'}\r\n"
            f"{p}ConnectedLineName: {escape_c(self.connected_name) or '<unknown>'}\r\n"
            f"{p}Language: {self.language}\r\n"
            f"{p}AccountCode: {self.account}\r\n"
            f"{p}Context: {self.context}\r\n"
            f"{p}Exten: {self.exten}\r\n"
            f"{p}Priority: {self.priority}\r\n"
            f"{p}Uniqueid: {self.uniqueid}\r\n"
            f"{p}Linkedid: {self.linkedid}\r\n"
        )


@dataclass(slots=True, eq=False)
class Bridge:
    """Where channels talk. ``created`` and ``dialled`` are seconds since 1970.

    ``caller`` is whose call it ends with; one of a conference or of parked calls has none.
    """

    uniqueid: str
    caller: Channel | None
    created: float
    dialled: float
    channels: list[Channel] = field(default_factory=list)
    type: str = "basic"
    technology: str = "simple_bridge"
    creator: str = "<unknown>"
    name: str = "<unknown>"

    def headers(self, prefix: str = "") -> str:
        return (
            f"{prefix}BridgeUniqueid: {self.uniqueid}\r\n"
            f"{prefix}BridgeType: {self.type}\r\n"
            f"{prefix}BridgeTechnology: {self.technology}\r\n"
            f"{prefix}BridgeCreator: {self.creator}\r\n"
            f"{prefix}BridgeName: {self.name}\r\n"
            f"{prefix}BridgeNumChannels: {len(self.channels)}\r\n"
            f"{prefix}BridgeVideoSourceMode: none\r\n"
        )


@dataclass(slots=True, eq=False)
class Member:
    """An agent in one queue; ``login``, ``last_pause``, ``last_call`` in whole seconds."""

    queue: Queue
    device: Device
    login: int
    penalty: int = 0
    calls_taken: int = 0
    last_call: int = 0
    last_pause: int = 0
    in_call: bool = False
    paused: bool = False
    paused_reason: str = ""
    membership: str = "static"
    """``dynamic`` is one that QueueAdd has made and QueueRemove may end."""
    through: str = ""
    """The interface that is dialled, if it is not the phone itself but leads to it."""

    @property
    def interface(self) -> str:
        return self.through or self.device.name

    @property
    def available(self) -> bool:
        return not self.paused and self.device.free


@dataclass(slots=True, eq=False)
class Entry:
    """A caller who waits. ``position`` counts from 1 and is as it was told last."""

    queue: Queue
    channel: Channel
    joined: float
    position: int
    original_position: int
    being_served: bool = False
    """Agents are ringing for this caller: the next in the line may be served too."""


@dataclass(slots=True, eq=False)
class Queue:
    """A queue. Times are seconds, smoothed as app_queue does (three parts old, one new)."""

    name: str
    number: str
    strategy: str
    service_level: int = 6
    weight: int = 0
    members: list[Member] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    completed: int = 0
    abandoned: int = 0
    completed_in_level: int = 0
    abandoned_in_level: int = 0
    hold_time: int = 0
    talk_time: int = 0
    last_served: int = -1
    had_available: bool = True

    def perf(self) -> float:
        """Share of completed calls answered within the service level, in percent."""
        return 100 * self.completed_in_level / self.completed if self.completed else 0.0

    def perf2(self) -> float:
        """The same with the abandoned calls counted in, in percent."""
        calls = self.completed + self.abandoned
        good = self.completed_in_level + self.abandoned_in_level
        return 100 * good / calls if calls else 0.0


@dataclass(slots=True, eq=False)
class Dial:
    """An attempt to reach a channel, by the dialplan of ``caller`` or by the PBX itself."""

    caller: Channel | None
    target: Channel
    begun: float


@dataclass(slots=True, eq=False)
class Service:
    """An agent who talks to a caller of a queue."""

    member: Member
    caller: Channel
    agent: Channel
    hold_time: int
    connected: float


@dataclass(slots=True, eq=False)
class Seat:
    """A place in a conference."""

    conference: Conference
    channel: Channel
    admin: bool = False
    muted: bool = False
    talking: bool = False
    number: int = 1
    joined: float = 0.0


@dataclass(slots=True, eq=False)
class Conference:
    """It is there as long as somebody sits in it. One of MeetMe has no ``bridge``."""

    name: str
    bridge: Bridge | None
    seats: list[Seat] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Parked:
    """A channel that waits in a space of the parking lot, until ``until`` (seconds since 1970)."""

    space: int
    channel: Channel
    parker: str
    since: float
    until: float


@dataclass(slots=True, eq=False)
class Agent:
    """Somebody of app_agent_pool; ``channel`` is the one that is logged in."""

    number: str
    name: str
    channel: Channel | None = None
    login: int = 0


@dataclass(slots=True, eq=False)
class Presence:
    """What somebody says of himself; ``state`` is a word of Asterisk's, such as ``away``."""

    state: str = "available"
    subtype: str = ""
    message: str = ""


@dataclass(slots=True, eq=False)
class Registration:
    """The server's own registration with a carrier; ``at`` is when it came to be so."""

    name: str
    username: str
    domain: str
    at: int
    registered: bool = True


@dataclass(slots=True, eq=False)
class Call:
    """What belongs together: the first channel is the one that began it."""

    number: int
    generated: bool = False
    script: Script | None = None
    channels: list[Channel] = field(default_factory=list)
    dials: list[Dial] = field(default_factory=list)
    bridges: list[Bridge] = field(default_factory=list)
    entry: Entry | None = None
    service: Service | None = None
    seat: Seat | None = None
    parked: Parked | None = None
    agent: Agent | None = None
    listens_to: Channel | None = None
    """Whom its first channel hears with ChanSpy."""
    on_end: Callable[[], None] | None = None
    """Called once when the call is over; an Originate waits for it."""
    ended: bool = False
