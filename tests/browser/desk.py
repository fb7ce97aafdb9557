"""A scripted server with queues, agents and callers, which tells of them in lists and events."""

from __future__ import annotations

import time
from typing import Any

from tests.support.ami_server import AmiServer, Connection, Packet, answer

ALLOWED = (
    "QueueStatus",
    "QueuePause",
    "QueueAdd",
    "QueueRemove",
    "Originate",
    "Hangup",
    "Redirect",
    "CoreShowChannels",
    "DeviceStateList",
)

Headers = dict[str, Any]


def event(name: str, **headers: object) -> bytes:
    lines = [f"Event: {name}", "Privilege: agent,all"]
    lines += [f"{header}: {value}" for header, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Desk:
    """Queues by name. What is put into it before the program connects is in its lists."""

    def __init__(self, *queues: str) -> None:
        self.callers: dict[str, list[Headers]] = {queue: [] for queue in queues}
        self.members: dict[str, list[Headers]] = {queue: [] for queue in queues}
        self.channels: list[Headers] = []
        self.asked: list[Packet] = []
        """What clients have asked for, apart from lists."""
        self.server = AmiServer(on_action=self._answer)

    # -- what is there before -----------------------------------------------------------

    def member(self, queue: str, interface: str, name: str, status: int = 1, **more: Any) -> None:
        """An agent; ``status`` is the number of its device's state."""
        fresh: Headers = {"Queue": queue, "Location": interface, "Name": name, "Status": status}
        fresh |= {"StateInterface": interface, "Paused": 0, "CallsTaken": 0, "LastCall": 0}
        self.members[queue].append(fresh | {"InCall": 0, "Membership": "static"} | more)

    def caller(self, queue: str, uniqueid: str, number: str, name: str, wait: int = 0) -> None:
        """Somebody who waits since ``wait`` seconds when the list is asked for."""
        self.callers[queue].append(_who(queue, uniqueid, number, name) | {"Wait": wait})

    def channel(self, name: str, uniqueid: str) -> None:
        """A channel that is up, with somebody called Ida."""
        who = {"CallerIDNum": "201", "ConnectedLineNum": "555", "ConnectedLineName": "Ida"}
        ids = {"Uniqueid": uniqueid, "Linkedid": uniqueid, "BridgeId": "b-1"}
        self.channels.append({"Channel": name, "ChannelStateDesc": "Up", **who, **ids})

    # -- what happens --------------------------------------------------------------------

    def join(self, queue: str, uniqueid: str, number: str, name: str) -> None:
        """A caller comes to the end of a queue."""
        who = _who(queue, uniqueid, number, name)
        self.callers[queue].append(who | {"Wait": 0})
        place = len(self.callers[queue])
        self.server.send(event("QueueCallerJoin", **who, Position=place, Count=place))

    def leave(self, queue: str, uniqueid: str) -> None:
        place, who = self._place(queue, uniqueid)
        del self.callers[queue][place]
        self.server.send(event("QueueCallerLeave", **who, Position=place + 1))

    def abandon(self, queue: str, uniqueid: str, waited: int) -> None:
        """A caller gives up after so many seconds."""
        place, who = self._place(queue, uniqueid)
        self.server.send(event("QueueCallerAbandon", **who, Position=place + 1, HoldTime=waited))
        self.leave(queue, uniqueid)

    def connect(self, queue: str, uniqueid: str, interface: str, waited: int) -> None:
        """An agent takes a caller who has waited for so many seconds."""
        _, who = self._place(queue, uniqueid)
        self.leave(queue, uniqueid)
        self.server.send(event("AgentConnect", **who, Interface=interface, HoldTime=waited))

    def _place(self, queue: str, uniqueid: str) -> tuple[int, Headers]:
        callers = self.callers[queue]
        place = next(n for n, one in enumerate(callers) if one["Uniqueid"] == uniqueid)
        return place, {key: value for key, value in callers[place].items() if key != "Wait"}

    # -- what is asked --------------------------------------------------------------------

    def wait_for(self, action: str) -> Packet:
        """The last one of that name, once it has come."""
        self.server.wait_for(lambda _: any(one.action == action for one in self.asked))
        return next(one for one in reversed(self.asked) if one.action == action)

    def _answer(self, connection: Connection, packet: Packet) -> bytes | None:
        if packet.action == "ListCommands":
            return answer(packet, *(f"{name}: x" for name in ALLOWED))
        if packet.action == "QueueStatus":
            return self._list(packet, "QueueStatusComplete", self._queue_items())
        if packet.action == "CoreShowChannels":
            items = [("CoreShowChannel", channel) for channel in self.channels]
            return self._list(packet, "CoreShowChannelsComplete", items)
        if packet.action == "DeviceStateList":
            return self._list(packet, "DeviceStateListComplete", [])
        if packet.action in ALLOWED:
            self.asked.append(packet)
        if packet.action == "QueuePause":
            self._pause(packet)
        if packet.action == "Originate":
            connection.send(answer(packet, "Message: Originate successfully queued"))
            own = {"ActionID": packet.get("ActionID"), "Response": "Success", "Reason": 4}
            return event("OriginateResponse", **own, Channel=packet.get("Channel"), Uniqueid="9.9")
        return answer(packet, f"Message: {packet.action} done")

    def _queue_items(self) -> list[tuple[str, Headers]]:
        items: list[tuple[str, Headers]] = []
        for queue, callers in self.callers.items():
            items.append(("QueueParams", {"Queue": queue, "Max": 0, "Strategy": "ringall"}))
            items += [("QueueMember", member) for member in self.members[queue]]
            for place, caller in enumerate(callers, 1):
                items.append(("QueueEntry", caller | {"Position": place}))
        return items

    def _list(self, packet: Packet, end: str, items: list[tuple[str, Headers]]) -> bytes:
        own = {"ActionID": packet.get("ActionID")}
        head = answer(packet, "EventList: start", "Message: a list will follow")
        told = b"".join(event(name, **item, **own) for name, item in items)
        return head + told + event(end, **own, EventList="Complete", ListItems=len(items))

    def _pause(self, packet: Packet) -> None:
        paused = packet.get("Paused") == "true"
        for members in self.members.values():
            for member in members:
                if member["Location"] == packet.get("Interface"):
                    reason = packet.get("Reason") if paused else ""
                    times = {"LastPause": int(time.time())} if paused else {}
                    member |= {"Paused": int(paused), "PausedReason": reason, **times}
                    told = {**member, "Interface": member["Location"], "MemberName": member["Name"]}
                    self.server.send(event("QueueMemberPause", **told))


def _who(queue: str, uniqueid: str, number: str, name: str) -> Headers:
    return {
        "Queue": queue,
        "Uniqueid": uniqueid,
        "Channel": f"PJSIP/trunk-{uniqueid.replace('.', '')}",
        "CallerIDNum": number,
        "CallerIDName": name,
    }
