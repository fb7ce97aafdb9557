"""A link that answers from a script, for what the program asks by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gevent

from amiws_gevent.ami import Kind, Message
from amiws_gevent.link import Answer

ALL = (
    *("BridgeList", "Command", "ConfbridgeList", "ConfbridgeListRooms", "CoreSettings"),
    *("CoreShowChannels", "CoreStatus", "ExtensionStateList", "Getvar", "ListCommands"),
    *("ModuleLoad", "QueuePause", "QueueStatus", "Setvar", "Status"),
)
"""What a server has that is allowed everything."""

Said = Answer | Exception | Callable[[Mapping[str, str]], Any]


def response(*headers: tuple[str, str], kind: str = "Success") -> Message:
    return Message(Kind.RESPONSE, [("Response", kind), *headers])


def listed(*items: Message) -> Answer:
    """A whole list."""
    end = Message(Kind.EVENT, [("Event", "Complete"), ("EventList", "Complete")])
    return Answer(response(("EventList", "start")), items, end, True, "", "")


def item(name: str, **headers: str) -> Message:
    return Message(Kind.EVENT, [("Event", name), *headers.items()])


def single(*headers: tuple[str, str]) -> Answer:
    return Answer(response(*headers), (), None, True, "", "")


def commands(*names: str) -> Answer:
    return single(*((name, f"What it does.  (Priv: {name})") for name in names))


def refusal(message: str) -> Answer:
    return Answer(response(("Message", message), kind="Error"), (), None, True, "", message)


def cut_off(*items: Message) -> Answer:
    reason = "no whole answer within 60 s"
    return Answer(response(("EventList", "start")), items, None, False, reason, "")


class ScriptedLink:
    """Answers each action as ``says`` has it by its name: an answer, an error that is raised, or
    a function of the headers that gives one; else with an empty list."""

    connected = False
    reason = ""

    def __init__(self, **says: Said) -> None:
        self.says: dict[str, Said] = {"ListCommands": commands(*ALL), **says}
        self.asked: list[str] = []
        self.under_way = 0
        self.at_once = 0
        self.most_at_once = 0

    def ask(
        self,
        action: Mapping[str, str],
        *,
        timeout: float,
        max_messages: int,
        max_bytes: int,
    ) -> Answer:
        headers = dict(action)
        name = headers.pop("Action")
        self.asked.append(" ".join((name, *headers.values())))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        gevent.sleep(0)
        self.at_once -= 1
        said = self.says.get(name, listed())
        if callable(said):
            said = said(headers)
        if isinstance(said, Exception):
            raise said
        return said
