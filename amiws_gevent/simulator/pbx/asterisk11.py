"""What an Asterisk 11 says of what happens: other events, with fewer headers, and no Linkedid.

The moves of ``switch`` tell what 12 and later do. Here each of their packets becomes those of 11,
whose names and headers are those of branch 11: ``main/channel.c``, ``main/pbx.c``,
``main/features.c``, ``channels/chan_sip.c``, ``channels/chan_local.c``, ``channels/chan_agent.c``
and ``apps/``. 11 tells of no bridges but that two are linked, and of no device states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from amiws_gevent.simulator.pbx.model import unescape_c

Headers = dict[str, str]


class Form(NamedTuple):
    """An event of 11: its name, the class that it is sent under, and its headers in order.

    A header is the one of that name, or ``name in 11<name since 12``; one with ``=`` is always so,
    and one with ``?`` is left out where it has no value. ``unknown`` is how callers are written
    who have no name or number.
    """

    name: str
    privilege: str
    headers: tuple[str, ...]
    unknown: str = ""


def _form(name: str, privilege: str, headers: str, unknown: str = "") -> Form:
    return Form(name, privilege, tuple(headers.split()), unknown)


_PEOPLE: Final = "CallerIDNum CallerIDName ConnectedLineNum ConnectedLineName"
_UNKNOWN: Final = "<unknown>"
_PARKEE: Final = (
    "Exten<ParkingSpace Channel<ParkeeChannel Parkinglot ?From<RetrieverChannel "
    "CallerIDNum<ParkeeCallerIDNum CallerIDName<ParkeeCallerIDName "
    "ConnectedLineNum<ParkeeConnectedLineNum ConnectedLineName<ParkeeConnectedLineName "
    "Uniqueid<ParkeeUniqueid"
)
_SEAT: Final = "Channel Uniqueid Conference CallerIDnum<CallerIDNum CallerIDname<CallerIDName"
_MEETME: Final = "Channel Uniqueid Meetme Usernum"
_AGENT: Final = "Queue Uniqueid Channel Member<Interface MemberName"
_MEMBER: Final = (
    "Location<Interface MemberName StateInterface Membership Penalty CallsTaken LastCall "
    "Status Paused"
)

_FORMS: Final[Mapping[str, Form]] = {
    "Newchannel": _form(
        "Newchannel",
        "call",
        "Channel ChannelState ChannelStateDesc CallerIDNum CallerIDName AccountCode Exten Context "
        "Uniqueid",
    ),
    "Newstate": _form(
        "Newstate", "call", f"Channel ChannelState ChannelStateDesc {_PEOPLE} Uniqueid"
    ),
    "Newexten": _form(
        "Newexten",
        "dialplan",
        "Channel Context Extension Priority Application AppData Uniqueid",
    ),
    "NewCallerid": _form(
        "NewCallerid", "call", "Channel CallerIDNum CallerIDName Uniqueid CID-CallingPres"
    ),
    "VarSet": _form("VarSet", "dialplan", "Channel Variable Value Uniqueid"),
    "Hangup": _form(
        "Hangup", "call", f"Channel Uniqueid {_PEOPLE} AccountCode Cause Cause-txt", _UNKNOWN
    ),
    "HangupRequest": _form("HangupRequest", "call", "Channel Uniqueid Cause"),
    "SoftHangupRequest": _form("SoftHangupRequest", "call", "Channel Uniqueid Cause"),
    "DialBegin": _form(
        "Dial",
        "call",
        f"=SubEvent:Begin Channel Destination<DestChannel {_PEOPLE} UniqueID<Uniqueid "
        "DestUniqueID<DestUniqueid Dialstring<DialString",
        _UNKNOWN,
    ),
    "Hold": _form("Hold", "call", "=Status:On Channel Uniqueid"),
    "Unhold": _form("Hold", "call", "=Status:Off Channel Uniqueid"),
    "LocalBridge": _form(
        "LocalBridge",
        "call",
        "Channel1<LocalOneChannel Channel2<LocalTwoChannel Uniqueid1<LocalOneUniqueid "
        "Uniqueid2<LocalTwoUniqueid Context Exten LocalOptimization",
    ),
    "BlindTransfer": _form(
        "Transfer",
        "call",
        "=TransferMethod:SIP =TransferType:Blind Channel<TransfererChannel "
        "Uniqueid<TransfererUniqueid TargetChannel<TransfereeChannel "
        "TargetUniqueid<TransfereeUniqueid TransferExten<Extension TransferContext<Context",
    ),
    "AttendedTransfer": _form(
        "Transfer",
        "call",
        "=TransferMethod:SIP =TransferType:Attended Channel<OrigTransfererChannel "
        "Uniqueid<OrigTransfererUniqueid TargetChannel<SecondTransfererChannel "
        "TargetUniqueid<SecondTransfererUniqueid",
    ),
    "Pickup": _form("Pickup", "call", "Channel TargetChannel"),
    "OriginateResponse": _form(
        "OriginateResponse",
        "call",
        "?ActionID Response Channel ?Context ?Exten ?Application ?Data Reason Uniqueid CallerIDNum "
        "CallerIDName",
        _UNKNOWN,
    ),
    "QueueCallerJoin": _form(
        "Join", "call", f"Channel {_PEOPLE} Queue Position Count Uniqueid", "unknown"
    ),
    "QueueCallerLeave": _form("Leave", "call", "Channel Queue Count Position Uniqueid"),
    "QueueCallerAbandon": _form(
        "QueueCallerAbandon", "agent", "Queue Uniqueid Position OriginalPosition HoldTime"
    ),
    "AgentCalled": _form(
        "AgentCalled",
        "agent",
        "Queue AgentCalled<Interface AgentName<MemberName ChannelCalling<Channel "
        f"DestinationChannel<DestChannel {_PEOPLE} Context Extension<Exten Priority Uniqueid",
        "unknown",
    ),
    "AgentConnect": _form(
        "AgentConnect",
        "agent",
        f"{_AGENT} Holdtime<HoldTime BridgedChannel<DestUniqueid Ringtime<RingTime",
    ),
    "AgentComplete": _form("AgentComplete", "agent", f"{_AGENT} HoldTime TalkTime Reason"),
    "AgentRingNoAnswer": _form("AgentRingNoAnswer", "agent", f"{_AGENT} Ringtime<RingTime"),
    "QueueMemberStatus": _form("QueueMemberStatus", "agent", f"Queue {_MEMBER}"),
    "QueueMemberAdded": _form("QueueMemberAdded", "agent", f"Queue {_MEMBER}"),
    "QueueMemberRemoved": _form(
        "QueueMemberRemoved", "agent", "Queue Location<Interface MemberName"
    ),
    "QueueMemberPause": _form(
        "QueueMemberPaused", "agent", "Queue Location<Interface MemberName Paused ?Reason"
    ),
    "ExtensionStatus": _form("ExtensionStatus", "call", "Exten Context Hint Status"),
    "AgentLogin": _form("Agentlogin", "agent", "Agent Channel Uniqueid"),
    "AgentLogoff": _form("Agentlogoff", "agent", "Agent Logintime Uniqueid"),
    "ParkedCall": _form(
        "ParkedCall",
        "call",
        _PARKEE.replace("?From<RetrieverChannel", "From<ParkerDialString Timeout<ParkingTimeout"),
        _UNKNOWN,
    ),
    "UnParkedCall": _form("UnParkedCall", "call", _PARKEE, _UNKNOWN),
    "ParkedCallTimeOut": _form("ParkedCallTimeOut", "call", _PARKEE, _UNKNOWN),
    "ParkedCallGiveUp": _form("ParkedCallGiveUp", "call", _PARKEE, _UNKNOWN),
    "ConfbridgeStart": _form("ConfbridgeStart", "call", "Conference"),
    "ConfbridgeJoin": _form("ConfbridgeJoin", "call", _SEAT),
    "ConfbridgeLeave": _form("ConfbridgeLeave", "call", _SEAT),
    "ConfbridgeTalking": _form(
        "ConfbridgeTalking", "call", "Channel Uniqueid Conference TalkingStatus"
    ),
    "ConfbridgeEnd": _form("ConfbridgeEnd", "call", "Conference"),
    "MeetmeJoin": _form(
        "MeetmeJoin",
        "call",
        f"{_MEETME} CallerIDnum<CallerIDNum CallerIDname<CallerIDName ConnectedLineNum "
        "ConnectedLineName",
    ),
    "MeetmeLeave": _form(
        "MeetmeLeave",
        "call",
        f"{_MEETME} CallerIDNum CallerIDName ConnectedLineNum ConnectedLineName Duration",
    ),
    "MeetmeTalking": _form("MeetmeTalking", "call", f"{_MEETME} Status"),
    "MeetmeMute": _form("MeetmeMute", "call", f"{_MEETME} Status"),
    "ChanSpyStart": _form("ChanSpyStart", "call", "SpyerChannel SpyeeChannel"),
    "ChanSpyStop": _form("ChanSpyStop", "call", "SpyerChannel"),
}

_ITEMS: Final[Mapping[str, Form]] = {
    "QueueMember": _form(
        "QueueMember",
        "",
        "Queue Name Location StateInterface Membership Penalty CallsTaken LastCall "
        "IsInCall<InCall Status Paused ?ActionID",
    ),
    "ParkedCall": _form(
        "ParkedCall",
        "",
        "?ActionID Exten<ParkingSpace Channel<ParkeeChannel From<ParkerDialString "
        "Timeout<ParkingTimeout Duration<ParkingDuration Parkinglot "
        "CallerIDNum<ParkeeCallerIDNum CallerIDName<ParkeeCallerIDName "
        "ConnectedLineNum<ParkeeConnectedLineNum ConnectedLineName<ParkeeConnectedLineName",
        _UNKNOWN,
    ),
    "ConfbridgeList": _form(
        "ConfbridgeList",
        "",
        "?ActionID Conference CallerIDNum CallerIDName Channel Admin MarkedUser",
        "<no name>",
    ),
    "ConfbridgeListRooms": _form(
        "ConfbridgeListRooms", "", "?ActionID Conference Parties Marked Locked"
    ),
    "Agents": _form(
        "Agents", "", "?ActionID Agent Name Status ?LoggedInChan<Channel ?LoggedInTime"
    ),
}
"""What lists have in other words than their later ones."""

BARE: Final = frozenset(
    {
        *("QueueStatusComplete", "QueueSummaryComplete", "StatusComplete", "AgentsComplete"),
        *("ParkedCallsComplete", "VoicemailUserEntryComplete"),
    }
)
"""The ends of lists that say nothing of ``EventList`` (``astman_send_ack`` began them)."""

_SAME: Final = frozenset(
    {
        *("Masquerade", "Rename", "MeetmeEnd", "MessageWaiting", "PeerStatus", "Registry"),
        *("PresenceStatus", "FullyBooted", "Shutdown", "UserEvent", "DNDState"),
        *("RTCPSent", "RTCPReceived"),
    }
)
"""Events that are told as they are."""

_OF_CALLERS: Final = ("CallerIDNum", "CallerIDName", "ConnectedLineNum", "ConnectedLineName")


class Elder:
    """Tells what a PBX says as an 11 would. It follows who is in a bridge with whom."""

    def __init__(self) -> None:
        self._bridges: dict[str, list[Headers]] = {}
        self._dialled: dict[str, tuple[str, str]] = {}
        """The dials that have been decided, whose end is told with that of the application."""
        self._in_queues: set[str] = set()
        """Those for whom a queue dials, which it tells by AgentCalled alone (``ring_entry``)."""

    def told(self, packets: Iterable[str]) -> list[str]:
        """Events of 11, for events of 12 and later."""
        return [told for packet in packets for told in self._told(packet)]

    def _told(self, packet: str) -> Iterator[str]:
        name = packet.partition("\r\n")[0].removeprefix("Event: ")
        if name in _SAME:
            yield packet
            return
        if name in ("BridgeEnter", "BridgeLeave"):
            yield from self._bridged(name == "BridgeEnter", headers_of(packet))
        elif name == "DialEnd":
            self._decided(headers_of(packet))
        elif name in _FORMS:
            headers = headers_of(packet)
            if name in ("Hangup", "Newexten"):
                yield from self._end_dial(headers["Uniqueid"])
                self._in_queues.discard(headers["Uniqueid"])
                if headers.get("Application") == "Queue":
                    self._in_queues.add(headers["Uniqueid"])
            if name != "DialBegin" or self._tells_of(headers):
                yield _written(_FORMS[name], headers)

    def _tells_of(self, dial: Headers) -> bool:
        """Of an Originate nobody dials."""
        return "Channel" in dial and dial["Uniqueid"] not in self._in_queues

    def _bridged(self, comes: bool, headers: Headers) -> Iterator[str]:
        """Two in a bridge are linked (``manager_bridge_event``)."""
        if headers["BridgeType"] != "basic":
            return
        members = self._bridges.setdefault(headers["BridgeUniqueid"], [])
        if not comes and len(members) == 2:
            yield _link("Unlink", *members)
        members[:] = [one for one in members if one["Uniqueid"] != headers["Uniqueid"]]
        if comes:
            members.append(headers)
            if len(members) == 2:
                yield _link("Link", *members)
        elif not members:
            del self._bridges[headers["BridgeUniqueid"]]

    def _decided(self, headers: Headers) -> None:
        if "Uniqueid" in headers and headers["Uniqueid"] not in self._in_queues:
            self._dialled[headers["Uniqueid"]] = headers["Channel"], headers["DialStatus"]

    def _end_dial(self, uniqueid: str) -> Iterator[str]:
        """``senddialendevent``: when the application is left."""
        if (dialled := self._dialled.pop(uniqueid, None)) is not None:
            channel, status = dialled
            yield (
                f"Event: Dial\r\nPrivilege: call,all\r\nSubEvent: End\r\nChannel: {channel}\r\n"
                f"UniqueID: {uniqueid}\r\nDialStatus: {status}\r\n\r\n"
            )


def listed(item: str) -> str:
    """An item of a list as 11 has it; neither has its blank line yet."""
    form = _ITEMS.get(item.partition("\r\n")[0].removeprefix("Event: "))
    return item if form is None else _written(form, headers_of(item)).removesuffix("\r\n")


def headers_of(packet: str) -> Headers:
    lines = (line.partition(": ") for line in packet.split("\r\n") if line)
    return {name: value for name, _, value in lines}


def _link(state: str, one: Headers, other: Headers) -> str:
    return (
        f"Event: Bridge\r\nPrivilege: call,all\r\nBridgestate: {state}\r\nBridgetype: core\r\n"
        f"Channel1: {one['Channel']}\r\nChannel2: {other['Channel']}\r\n"
        f"Uniqueid1: {one['Uniqueid']}\r\nUniqueid2: {other['Uniqueid']}\r\n"
        f"CallerID1: {_known(one)}\r\n"
        f"CallerID2: {_known(other)}\r\n\r\n"
    )


def _known(channel: Headers) -> str:
    return _person("CallerIDNum", channel["CallerIDNum"], "")


def _written(form: Form, headers: Headers) -> str:
    text = f"Event: {form.name}\r\n"
    if form.privilege:
        text += f"Privilege: {form.privilege},all\r\n"
    for header in form.headers:
        if header.startswith("="):
            text += header[1:].replace(":", ": ", 1) + "\r\n"
            continue
        new, _, old = header.removeprefix("?").partition("<")
        value = headers.get(old or new, "")
        if header.startswith("?") and not value:
            continue
        if (old or new).endswith(_OF_CALLERS):
            value = _person(old or new, value, form.unknown)
        text += f"{new}: {value}\r\n"
    return text + "\r\n"


def _person(header: str, value: str, unknown: str) -> str:
    """Names are escaped from 12 on alone."""
    if value in ("", _UNKNOWN):
        return unknown
    return unescape_c(value) if header.endswith("Name") else value
