"""What two servers say for the test of roles: each kind of entity and event, with secrets in it.

A `Subject` is one person's share of it: what names it (queue, extension, context) decides who may
see it, and all that is unique to it (`Subject.secrets`) must reach nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.ami_server import Connection, Packet, answer
from tests.support.listing import Lists

QUEUE, EXTENSION, CONTEXT = "support", "204", "internal"
"""What roles are for; all else is of a subject."""

CASES = ("queue", "extension", "context", "nothing")
"""What of these a subject has."""


@dataclass(frozen=True)
class Subject:
    """On one server, in one part of the story, in one of the cases."""

    server: int
    part: str
    case: str

    @property
    def tag(self) -> str:
        """In all that it has but the numbers; without digits, so that no mask touches it."""
        return f"z{'pq'[self.server - 1]}{self.part}{self.case[0]}"

    @property
    def number(self) -> str:
        """Of whoever calls; it fits no extension."""
        place = CASES.index(self.case) + 10 * ord(self.part) + 5000 * self.server
        return f"03017{place:06}"

    @property
    def other(self) -> str:
        """Of whoever is called, if that is not the extension."""
        return f"0451{self.number[4:]}"

    @property
    def name(self) -> str:
        return f"Name{self.tag}"

    @property
    def text(self) -> str:
        """Free text."""
        return f"note{self.tag}"

    @property
    def id(self) -> str:
        """What is in ids."""
        return f"id{self.tag}"

    @property
    def queue(self) -> str:
        return QUEUE if self.case == "queue" else f"queue{self.tag}"

    @property
    def extension(self) -> str:
        return EXTENSION if self.case == "extension" else self.other

    @property
    def context(self) -> str:
        return CONTEXT if self.case == "context" else f"context{self.tag}"

    @property
    def device(self) -> str:
        """The phone; of the role's extension it has that number."""
        return f"PJSIP/{self.extension}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that is unique to it."""
        words = (f"{what}{self.tag}" for what in ("queue", "context"))
        return (self.number, self.other, self.name, self.text, self.id, *words)


def packet(name: str, **headers: object) -> str:
    """An event as a server sends it; ``__`` stands for a hyphen."""
    lines = [f"{key.replace('__', '-')}: {value}" for key, value in headers.items()]
    return "\r\n".join([f"Event: {name}", "Privilege: call,all", *lines]) + "\r\n\r\n"


def channel(one: Subject) -> dict[str, str]:
    """The headers of its channel, as most events have them."""
    return {
        "Channel": f"PJSIP/{one.id}-00000001",
        "ChannelState": "6",
        "ChannelStateDesc": "Up",
        "CallerIDNum": one.number,
        "CallerIDName": one.name,
        "ConnectedLineNum": one.extension,
        "ConnectedLineName": one.name,
        "AccountCode": one.id,
        "Context": one.context,
        "Exten": one.extension,
        "Priority": "1",
        "Uniqueid": f"{one.id}.1",
        "Linkedid": f"{one.id}.1",
    }


def begins(one: Subject) -> Iterator[str]:
    """All kinds of entities come to be, and all that roles treat in their own way is said."""
    call, queue = channel(one), one.queue
    caller = {"Queue": queue, "Position": "1", "Count": "1"}
    yield packet("Newchannel", **call)
    yield packet("Newexten", **call, Application="Queue", AppData=one.text, Extension=one.extension)
    yield packet("VarSet", **call, Variable="SECRET", Value=one.text)
    yield packet("QueueCallerJoin", **call, **caller)
    member = {
        "Queue": queue,
        "MemberName": one.id,
        "Interface": one.device,
        "StateInterface": one.device,
        "Membership": "static",
        "Penalty": "0",
        "Status": "1",
        "Paused": "1",
        "PausedReason": one.text,
    }
    yield packet("QueueMemberAdded", **member)
    yield packet("BridgeCreate", BridgeUniqueid=f"b{one.id}", BridgeType="basic", BridgeName=one.id)
    yield packet("BridgeEnter", BridgeUniqueid=f"b{one.id}", BridgeType="basic", **call)
    place = {"Exten": one.extension, "Context": one.context}
    yield packet("ExtensionStatus", **place, Hint=one.id, Status="1", StatusText="InUse")
    yield packet("DeviceStateChange", Device=f"{one.device}", State="INUSE")
    yield packet("DeviceStateChange", Device=f"Custom:{one.id}", State="INUSE")
    yield packet("PresenceStateChange", Presentity=f"CustomPresence:{one.id}", Status="away",
                 Subtype="", Message=one.text)  # fmt: skip
    yield packet("DNDState", Channel=f"DAHDI/{one.extension}", Status="enabled")
    yield packet("PeerStatus", ChannelType="SIP", Peer=f"SIP/{one.id}", PeerStatus="Registered",
                 Address=f"{one.id}:5060")  # fmt: skip
    yield packet("PeerStatus", ChannelType="PJSIP", Peer=one.device, PeerStatus="Reachable")
    yield packet("ContactStatus", URI=f"sip:{one.id}@h", ContactStatus="Reachable",
                 AOR=one.extension, EndpointName=one.id, RoundtripUsec="1")  # fmt: skip
    yield packet("Registry", ChannelType="SIP", Username=one.id, Domain=f"{one.id}.example",
                 Status="Registered")  # fmt: skip
    yield packet("ConfbridgeStart", Conference=f"room{one.id}", BridgeUniqueid=f"c{one.id}")
    yield packet("ConfbridgeJoin", Conference=f"room{one.id}", **call, Admin="No", Muted="No")
    parkee = {f"Parkee{name}": value for name, value in call.items()}
    yield packet("ParkedCall", **parkee, ParkingLot=f"lot{one.id}", ParkingSpace="701",
                 ParkingTimeout="45", ParkerDialString=one.device)  # fmt: skip
    mailbox = f"{one.extension}@{one.context}"
    yield packet("MessageWaiting", Mailbox=mailbox, Waiting="1", New=int(one.number[5:]), Old="3")
    yield packet("AgentLogin", Agent=f"agent{one.id}", **call)
    yield packet("UserEvent", UserEvent=one.text, Note=one.text, Queue=queue)
    yield packet("RTCPReceived", **call, Report0FractionLost="25", Report0IAJitter="80",
                 RTT="0.1", ReportCount="1")  # fmt: skip
    yield packet("Invented", **call, Whatever=one.text)


def ends(one: Subject) -> Iterator[str]:
    """Most of them are no more."""
    call, queue = channel(one), one.queue
    yield packet("QueueCallerLeave", **call, Queue=queue, Position="1", Count="0")
    yield packet("QueueMemberRemoved", Queue=queue, MemberName=one.id, Interface=one.device)
    yield packet("ConfbridgeLeave", Conference=f"room{one.id}", **call)
    yield packet("ConfbridgeEnd", Conference=f"room{one.id}")
    parkee = {f"Parkee{name}": value for name, value in call.items()}
    yield packet("UnParkedCall", **parkee, ParkingLot=f"lot{one.id}", ParkingSpace="701")
    yield packet("BridgeLeave", BridgeUniqueid=f"b{one.id}", **call)
    yield packet("BridgeDestroy", BridgeUniqueid=f"b{one.id}")
    yield packet("AgentLogoff", Agent=f"agent{one.id}", **call, Logintime="9")
    yield packet("Hangup", **call, Cause="16", Cause__txt="Normal Clearing")


def last(server: int, word: str) -> str:
    """What each role sees that sees anything of the server: an event, an entity each."""
    caller = {"Channel": f"PJSIP/{word}-1", "Uniqueid": f"{word}.{server}", "Position": "9"}
    joins = packet("QueueCallerJoin", **caller, Queue=QUEUE, Context=CONTEXT, Count="9",
                   CallerIDNum=EXTENSION, Linkedid=f"{word}.{server}")  # fmt: skip
    hint = packet("ExtensionStatus", Exten=f"*{word}", Context=CONTEXT, Hint=word, Status="0")
    return joins + hint


class Story:
    """The servers' ``on_action``: lists of queues, whatever is asked for, and command output."""

    def __init__(self, server: int, subjects: list[Subject]) -> None:
        self.subjects = [one for one in subjects if one.server == server]
        self.lists = Lists(("ListCommands", "QueueStatus", "CoreStatus"))
        self.lists.special["QueueStatus"] = self._queue_status
        self.lists.special["Command"] = self._command
        self.lists.special["Getvar"] = self._getvar

    def __call__(self, connection: Connection, asked: Packet) -> bytes | None:
        return self.lists(connection, asked)

    def _queue_status(self, connection: Connection, asked: Packet) -> bytes:
        """All queues, also if it is asked for one: what is seen is not the server's business."""
        own = {"ActionID": asked.get("ActionID")}
        items = []
        for queue in dict.fromkeys(one.queue for one in self.subjects):
            items.append(packet("QueueParams", Queue=queue, Strategy="ringall", Max="0", **own))
        for one in self.subjects:
            if asked.get("Queue"):  # of clients
                items.append(packet("QueueEntry", **channel(one), Queue=one.queue, Position="1",
                                    Wait="1", **own))  # fmt: skip
        end = packet("QueueStatusComplete", **own, EventList="Complete", ListItems=len(items))
        head = answer(asked, "EventList: start", "Message: Queue status will follow")
        return head + ("".join(items) + end).encode()

    def _command(self, connection: Connection, asked: Packet) -> bytes:
        return answer(asked, *(f"Output: {one.text} {one.number}" for one in self.subjects))

    def _getvar(self, connection: Connection, asked: Packet) -> bytes:
        return answer(asked, *(f"Value: {one.text}" for one in self.subjects))
