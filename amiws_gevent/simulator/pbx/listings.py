"""The events that lists are made of: one channel, one queue, one member, one caller.

Each is an event without the blank line that ends it; ``identity`` is the ActionID line.
"""

from __future__ import annotations

from amiws_gevent.simulator.pbx.model import Channel, Conference, DeviceState, Queue, Seat
from amiws_gevent.simulator.pbx.places import (
    FIRST_SPACE,
    LAST_SPACE,
    LOT,
    PARKING_TIME,
    yes,
)
from amiws_gevent.simulator.pbx.style import Style
from amiws_gevent.simulator.pbx.switch import member_headers


def duration(seconds: float) -> str:
    """``HH:MM:SS``, as CoreShowChannel has it."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def core_show_channel(channel: Channel, identity: str, now: float) -> str:
    return (
        f"Event: CoreShowChannel\r\n{identity}{channel.headers()}"
        f"Application: {channel.application}\r\nApplicationData: {channel.data}\r\n"
        f"Duration: {duration(now - channel.created)}\r\n"
        f"BridgeId: {channel.bridge.uniqueid if channel.bridge else ''}\r\n"
    )


def status(
    channel: Channel, style: Style, variables: dict[str, str], identity: str, now: float
) -> str:
    headers = channel.headers()
    if not style.language_in_status:
        headers = headers.replace(f"Language: {channel.language}\r\n", "")
        headers = headers.replace("AccountCode:", "Accountcode:")
    extra = "".join(f"Variable: {name}={value}\r\n" for name, value in variables.items())
    return (
        f"Event: Status\r\nPrivilege: Call\r\n{headers}"
        f"Type: {channel.name.partition('/')[0]}\r\nDNID: {channel.dialled}\r\n"
        f"EffectiveConnectedLineNum: {channel.connected_number or '<unknown>'}\r\n"
        f"EffectiveConnectedLineName: {channel.connected_name or '<unknown>'}\r\n"
        "TimeToHangup: 0\r\n"
        f"BridgeID: {channel.bridge.uniqueid if channel.bridge else ''}\r\n"
        f"Application: {channel.application or '(null)'}\r\n"
        f"Data: {channel.data if channel.application else '(null)'}\r\n"
        "Nativeformats: (ulaw)\r\nReadformat: ulaw\r\nReadtrans: \r\n"
        "Writeformat: ulaw\r\nWritetrans: \r\nCallgroup: 0\r\nPickupgroup: 0\r\n"
        f"Seconds: {int(now - channel.created)}\r\n{extra}{identity}"
    )


def core_show_channel_11(channel: Channel, identity: str, now: float) -> str:
    """manager.c of branch 11, ``action_coreshowchannels``."""
    return (
        f"Event: CoreShowChannel\r\n{identity}Channel: {channel.name}\r\n"
        f"UniqueID: {channel.uniqueid}\r\nContext: {channel.context}\r\n"
        f"Extension: {channel.exten}\r\nPriority: {channel.priority}\r\n"
        f"ChannelState: {channel.state:d}\r\nChannelStateDesc: {channel.state_name}\r\n"
        f"Application: {channel.application}\r\nApplicationData: {channel.data}\r\n"
        f"CallerIDnum: {channel.caller_number}\r\nCallerIDname: {channel.caller_name}\r\n"
        f"ConnectedLineNum: {channel.connected_number}\r\n"
        f"ConnectedLineName: {channel.connected_name}\r\n"
        f"Duration: {duration(now - channel.created)}\r\nAccountCode: {channel.account}\r\n"
        f"BridgedChannel: {_name(channel.linked)}\r\nBridgedUniqueID: {_id(channel.linked)}\r\n"
    )


def status_11(channel: Channel, identity: str, now: float) -> str:
    """manager.c of branch 11, ``action_status``; one that is not up has no times."""
    linked = channel.linked
    bridged = f"BridgedChannel: {_name(linked)}\r\nBridgedUniqueid: {_id(linked)}\r\n"
    place = (
        f"Context: {channel.context}\r\nExtension: {channel.exten}\r\n"
        f"Priority: {channel.priority}\r\nSeconds: {int(now - channel.created)}\r\n"
    )
    return (
        f"Event: Status\r\nPrivilege: Call\r\nChannel: {channel.name}\r\n"
        f"CallerIDNum: {channel.caller_number or '<unknown>'}\r\n"
        f"CallerIDName: {channel.caller_name or '<unknown>'}\r\n"
        f"ConnectedLineNum: {channel.connected_number or '<unknown>'}\r\n"
        f"ConnectedLineName: {channel.connected_name or '<unknown>'}\r\n"
        f"Accountcode: {channel.account}\r\nChannelState: {channel.state:d}\r\n"
        f"ChannelStateDesc: {channel.state_name}\r\n{place if channel.answered else ''}"
        f"{bridged if linked else ''}Uniqueid: {channel.uniqueid}\r\n{identity}"
    )


def _name(channel: Channel | None) -> str:
    return "" if channel is None else channel.name


def _id(channel: Channel | None) -> str:
    return "" if channel is None else channel.uniqueid


def queue_status(
    queue: Queue, style: Style, member_filter: str, identity: str, now: float
) -> list[str]:
    """QueueParams, a QueueMember for each that fits the filter, a QueueEntry for each caller."""
    second = f"ServicelevelPerf2: {queue.perf2():2.1f}\r\n" if style.second_service_level else ""
    params = (
        f"Event: QueueParams\r\nQueue: {queue.name}\r\nMax: 0\r\nStrategy: {queue.strategy}\r\n"
        f"Calls: {len(queue.entries)}\r\nHoldtime: {queue.hold_time}\r\n"
        f"TalkTime: {queue.talk_time}\r\nCompleted: {queue.completed}\r\n"
        f"Abandoned: {queue.abandoned}\r\nServiceLevel: {queue.service_level}\r\n"
        f"ServicelevelPerf: {queue.perf():2.1f}\r\n{second}Weight: {queue.weight}\r\n{identity}"
    )
    items = [params]
    for member in queue.members:
        device = member.device
        if member_filter in ("", member.interface, device.label):
            items.append(
                f"Event: QueueMember\r\nQueue: {queue.name}\r\nName: {device.label}\r\n"
                f"Location: {member.interface}\r\nStateInterface: {device.name}\r\n"
                f"{member_headers(member, style, False)}{identity}"
            )
    for entry in queue.entries:
        channel = entry.channel
        items.append(
            f"Event: QueueEntry\r\nQueue: {queue.name}\r\nPosition: {entry.position}\r\n"
            f"Channel: {channel.name}\r\nUniqueid: {channel.uniqueid}\r\n"
            f"CallerIDNum: {channel.caller_number or 'unknown'}\r\n"
            f"CallerIDName: {channel.caller_name or 'unknown'}\r\n"
            f"ConnectedLineNum: {channel.connected_number or 'unknown'}\r\n"
            f"ConnectedLineName: {channel.connected_name or 'unknown'}\r\n"
            f"Wait: {int(now - entry.joined)}\r\nPriority: 0\r\n{identity}"
        )
    return items


def queue_summary(queue: Queue, identity: str, now: float) -> str:
    available = sum(
        member.device.state is DeviceState.NOT_INUSE and not member.paused
        for member in queue.members
    )
    longest = max((int(now - entry.joined) for entry in queue.entries), default=0)
    return (
        f"Event: QueueSummary\r\nQueue: {queue.name}\r\nLoggedIn: {len(queue.members)}\r\n"
        f"Available: {available}\r\nCallers: {len(queue.entries)}\r\n"
        f"HoldTime: {queue.hold_time}\r\nTalkTime: {queue.talk_time}\r\n"
        f"LongestHoldTime: {longest}\r\n{identity}"
    )


def conference(conference: Conference) -> str:
    """One of ConfbridgeListRooms."""
    return (
        f"Conference: {conference.name}\r\nParties: {len(conference.seats)}\r\n"
        "Marked: 0\r\nLocked: No\r\nMuted: No\r\n"
    )


def seat(seat: Seat, now: float) -> str:
    """One of ConfbridgeList."""
    answered = seat.channel.answered or now
    return (
        f"Conference: {seat.conference.name}\r\nAdmin: {yes(seat.admin)}\r\n"
        "MarkedUser: No\r\nWaitMarked: No\r\nEndMarked: No\r\nWaiting: No\r\n"
        f"Muted: {yes(seat.muted)}\r\nTalking: {yes(seat.talking)}\r\n"
        f"AnsweredTime: {int(now - answered)}\r\n{seat.channel.headers()}"
    )


def meetme_room(conference: Conference) -> str:
    return (
        f"Conference: {conference.name}\r\nParties: {len(conference.seats):04d}\r\n"
        "Marked: N/A\r\nActivity: 00:00:10\r\nCreation: Dynamic\r\nLocked: No\r\n"
    )


def meetme_seat(seat: Seat) -> str:
    channel = seat.channel
    return (
        f"Conference: {seat.conference.name}\r\nUserNumber: {seat.number}\r\n"
        f"CallerIDNum: {channel.caller_number or '<unknown>'}\r\n"
        f"CallerIDName: {channel.caller_name or '<no name>'}\r\n"
        f"ConnectedLineNum: {channel.connected_number or '<unknown>'}\r\n"
        f"ConnectedLineName: {channel.connected_name or '<no name>'}\r\n"
        f"Channel: {channel.name}\r\nAdmin: {yes(seat.admin)}\r\nRole: Talk and listen\r\n"
        f"MarkedUser: No\r\nMuted: {'By admin' if seat.muted else 'No'}\r\n"
        f"Talking: {yes(seat.talking)}\r\n"
    )


def parking_lot() -> str:
    return (
        f"Name: {LOT}\r\nStartSpace: {FIRST_SPACE}\r\nStopSpace: {LAST_SPACE}\r\n"
        f"Timeout: {PARKING_TIME}\r\n"
    )


def readable_variables(channel: Channel) -> dict[str, str]:
    """A channel's variables and the functions that stand for its fields."""
    return channel.variables | {
        "CALLERID(num)": channel.caller_number,
        "CALLERID(name)": channel.caller_name,
        "CONNECTEDLINE(num)": channel.connected_number,
        "CONNECTEDLINE(name)": channel.connected_name,
        "CHANNEL": channel.name,
        "CONTEXT": channel.context,
        "EXTEN": channel.exten,
        "PRIORITY": str(channel.priority),
        "UNIQUEID": channel.uniqueid,
        "ACCOUNTCODE": channel.account,
    }
