"""Captures as a live model takes them: what happened, and the lists that were asked for amid it.

The parts under test are fed with both; that lists are known by the actions' ActionIDs is what
the captures' own READMEs tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from amiws_gevent.ami import Kind, Message
from amiws_gevent.ami.lists import begins_list, ends_list, list_form
from tests.support.state import CAPTURES, messages_of

SCENARIOS = sorted((CAPTURES / "scenarios").glob("*.raw"))
SESSIONS = [CAPTURES / f"asterisk-{version}.raw" for version in ("13.38", "18", "22.11")]

_OF_SESSION = {
    "cs": "CoreStatus",
    "cset": "CoreSettings",
    "q1": "QueueStatus",
    "q3": "QueueStatus",
    "csc": "CoreShowChannels",
    "st": "Status",
    "cb": "ConfbridgeListRooms",
    "dsl": "DeviceStateList",
    "bl": "BridgeList",
}
_IN_TURN = (
    *("CoreShowChannels", "Status", "QueueStatus", "BridgeList", "ParkedCalls"),
    *("ConfbridgeListRooms", "ExtensionStateList", "DeviceStateList"),
)
_OF_SCENARIO = {f"q{number + 2}": _IN_TURN[number % 8] for number in range(80)}


class Step(NamedTuple):
    """One event, or one whole list with the action that it answers."""

    event: Message | None
    action: str = ""
    items: tuple[Message, ...] = ()


def steps(file: Path) -> Iterator[Step]:
    """What a capture has, in its order; each list stands where it was complete."""
    asked = _OF_SCENARIO if file.parent.name == "scenarios" else _OF_SESSION
    under_way: dict[str, list[Message]] = {}
    for message in messages_of(str(file)):
        action_id = message.get("ActionID") or ""
        action = asked.get(action_id, "")
        form = list_form(action)
        if message.kind is Kind.RESPONSE and action:
            if begins_list(form, message):
                under_way[action_id] = []
            else:
                single = (message,) if action.startswith("Core") else ()
                yield Step(None, action, single)
        elif message.kind is Kind.EVENT and action_id in under_way:
            if ends_list(form, message):
                yield Step(None, action, tuple(under_way.pop(action_id)))
            else:
                under_way[action_id].append(message)
        elif message.kind is Kind.EVENT:
            yield Step(message)
