"""What a scripted AMI server answers when it is asked for lists."""

from __future__ import annotations

from collections.abc import Callable

from amiws_gevent.ami.lists import list_form
from tests.support.ami_server import Connection, Packet, answer

MAY = (
    *("BridgeList", "CoreSettings", "CoreShowChannels", "CoreStatus", "DeviceStateList"),
    *("ExtensionStateList", "Getvar", "ListCommands", "ModuleLoad", "QueuePause", "QueueStatus"),
    *("Setvar", "ConfbridgeList", "ConfbridgeListRooms"),
)

ITEMS = {"CoreShowChannels": "CoreShowChannel", "DeviceStateList": "DeviceStateChange"}
"""How items are called, where it is otherwise than their action."""

Items = list[dict[str, str]]
Special = Callable[[Connection, Packet], "bytes | None"]


def event(name: str, **headers: str) -> bytes:
    given = {"Event": name, "Privilege": "call,all", **headers}
    return ("".join(f"{key}: {value}\r\n" for key, value in given.items()) + "\r\n").encode()


def channel(number: int, **more: str) -> dict[str, str]:
    """As an item of CoreShowChannels, or of Newchannel."""
    return {
        "Channel": f"PJSIP/{number}-1",
        "ChannelState": "6",
        "ChannelStateDesc": "Up",
        "Uniqueid": f"{number}.1",
        "Linkedid": f"{number}.1",
        **more,
    }


class Lists:
    """An ``on_action`` that answers lists; ``special`` has what one action does otherwise."""

    def __init__(self, may: tuple[str, ...] = MAY) -> None:
        self.may = may
        self.items: dict[str, Items] = {}
        self.special: dict[str, Special] = {}

    def __call__(self, connection: Connection, packet: Packet) -> bytes | None:
        action = packet.action
        if action in self.special:
            return self.special[action](connection, packet)
        if action == "ListCommands":
            return answer(packet, *(f"{name}: It does.  (Priv: x)" for name in self.may))
        form = list_form(action)
        if action not in self.may or not form.end:
            return answer(packet, "Message: done")
        return self.begin(packet) + self.listed(packet) + self.end(packet)

    def begin(self, packet: Packet) -> bytes:
        return answer(packet, "EventList: start", "Message: will follow")

    def listed(self, packet: Packet) -> bytes:
        """All items of a list."""
        name = ITEMS.get(packet.action, packet.action)
        found = []
        for headers in self.items.get(packet.action, ()):
            lines = {"Event": name, "ActionID": packet.get("ActionID"), **headers}
            found.append("".join(f"{key}: {value}\r\n" for key, value in lines.items()) + "\r\n")
        return "".join(found).encode()

    def end(self, packet: Packet) -> bytes:
        name, action_id = list_form(packet.action).end, packet.get("ActionID")
        return f"Event: {name}\r\nActionID: {action_id}\r\nEventList: Complete\r\n\r\n".encode()


def refuse(message: str) -> Special:
    return lambda connection, packet: answer(packet, f"Message: {message}", response="Error")


def silent(connection: Connection, packet: Packet) -> None:
    """No answer at all."""
