"""Long lists as servers answer them: by action, the items for so many things."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from amiws_gevent.ami import Message
from tests.support.fed import event


def channels(count: int) -> list[Message]:
    """In calls of two, who talk with each other in a bridge."""
    return [
        event(
            "CoreShowChannel",
            Channel=f"PJSIP/{200 + number}-{number:08x}",
            ChannelStateDesc="Up",
            CallerIDNum=200 + number,
            CallerIDName=f"Anna {number}",
            ConnectedLineNum=200 + (number ^ 1),
            ConnectedLineName="<unknown>",
            AccountCode="",
            Context="phones",
            Exten=200 + (number | 1),
            Uniqueid=f"17000000.{number}",
            Linkedid=f"17000000.{number // 2 * 2}",
            Application="AppDial" if number % 2 else "Dial",
            Duration="00:01:02",
            BridgeId=f"b{number // 2}",
        )
        for number in range(count)
    ]


def old_channels(count: int) -> list[Message]:
    """The same of Asterisk 11, without calls that belong together."""
    return [
        event(
            "Status",
            Channel=f"SIP/{200 + number}-{number:08x}",
            ChannelStateDesc="Up",
            CallerIDNum=200 + number,
            Uniqueid=f"17000000.{number}",
            BridgedUniqueID=f"17000000.{number ^ 1}",
            Seconds="62",
        )
        for number in range(count)
    ]


def bridges(count: int) -> list[Message]:
    return [
        event(
            "BridgeListItem",
            BridgeUniqueid=f"b{number}",
            BridgeType="basic",
            BridgeTechnology="simple_bridge",
        )
        for number in range(count // 2)
    ]


def queues(count: int) -> list[Message]:
    """One with so many members, of whom each is in a queue of his own too, and a few callers."""
    items = []
    for number in range(count):
        own = f"q{number}"
        items.append(event("QueueParams", Queue=own, Strategy="ringall", Max="0", Weight="0"))
        for queue in ("all", own):
            member = {"Queue": queue, "Location": f"PJSIP/{200 + number}", "Paused": number % 2}
            items.append(event("QueueMember", Name=f"Anna {number}", Status="1", **member))
    for number in range(3):
        caller = {"Uniqueid": f"17000000.{number}", "Position": number + 1, "Wait": "5"}
        items.append(event("QueueEntry", Queue="all", **caller))
    return items


def hints(count: int) -> list[Message]:
    return [
        event("ExtensionStatus", Exten=number, Context="phones", Hint=f"SIP/{number}", Status="1")
        for number in range(count)
    ]


def devices(count: int) -> list[Message]:
    return [event("DeviceStateChange", Device=f"SIP/{n}", State="INUSE") for n in range(count)]


def do_not_disturb(count: int) -> list[Message]:
    return [
        event("DeviceStateChange", Device=f"Custom:DND{n}", State="INUSE") for n in range(count)
    ]


def presences(count: int) -> list[Message]:
    states = [{"Presentity": f"CustomPresence:{n}", "Status": "away"} for n in range(count)]
    return [event("PresenceStateChange", **state) for state in states]


def dahdi_channels(count: int) -> list[Message]:
    return [event("DAHDIShowChannels", DAHDIChannel=n, DND="Enabled") for n in range(count)]


def peers(count: int) -> list[Message]:
    return [
        event("PeerEntry", ObjectName=n, Dynamic="yes", Status="OK (5 ms)") for n in range(count)
    ]


def endpoints(count: int) -> list[Message]:
    return [event("EndpointList", ObjectName=n, DeviceState="In use") for n in range(count)]


def contacts(count: int) -> list[Message]:
    return [
        event("ContactList", ObjectName=f"{n};@x", Uri="a", Status="NonQual") for n in range(count)
    ]


def mailboxes(count: int) -> list[Message]:
    boxes = [
        {"VoiceMailbox": n, "VMContext": "default", "NewMessageCount": n % 3} for n in range(count)
    ]
    return [event("VoicemailUserEntry", **box) for box in boxes]


def agents(count: int) -> list[Message]:
    return [event("Agents", Agent=n, Status="AGENT_IDLE", Name=f"Anna {n}") for n in range(count)]


def parking_lots(count: int) -> list[Message]:
    return [event("Parkinglot", Name=f"lot{n}", StartSpace=1, StopSpace=9) for n in range(count)]


def parked_calls(count: int) -> list[Message]:
    spaces = [{"Parkinglot": f"lot{n}", "ParkingSpace": 1} for n in range(count)]
    return [
        event("ParkedCall", ParkeeUniqueid=f"17000000.{n}", ParkeeChannel=f"SIP/{n}-1", **space)
        for n, space in enumerate(spaces)
    ]


def rooms(count: int) -> list[Message]:
    return [event("ConfbridgeListRooms", Conference=n, Parties=1) for n in range(count)]


LISTS: Mapping[str, Callable[[int], list[Message]]] = {
    "CoreShowChannels": channels,
    "Status": old_channels,
    "BridgeList": bridges,
    "QueueStatus": queues,
    "ExtensionStateList": hints,
    "DeviceStateList": devices,
    "PresenceStateList": presences,
    "DAHDIShowChannels": dahdi_channels,
    "SIPpeers": peers,
    "PJSIPShowEndpoints": endpoints,
    "PJSIPShowContacts": contacts,
    "VoicemailUsersList": mailboxes,
    "Agents": agents,
    "Parkinglots": parking_lots,
    "ParkedCalls": parked_calls,
    "ConfbridgeListRooms": rooms,
}
