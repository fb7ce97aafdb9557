"""What roles show, in a plain way: a filter to compare the policy with. It asks no table of it."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.state.dimensions import ATTRIBUTES
from tests.support.policy import SERVERS

LEVELS = ["whole", "masked", "none"]

KNOWN = ["QueueCallerJoin", "Newchannel", "Hangup"]
"""Events that are shown where callers are masked; all others of these tests are not."""

See = Mapping[str, Any]
Values = Mapping[str, Sequence[str]]

_OF_EVENT = {
    "queues": ["Queue"],
    "extensions": ["CallerIDNum", "DestExten"],
    "contexts": ["Context"],
}
_DIMENSION = {"queues": "queue", "extensions": "extension", "contexts": "context"}


def of_event(message: Message) -> Values:
    """What an event has of what may be limited."""
    return {
        name: [value for header in headers if (value := message.get(header))]
        for name, headers in _OF_EVENT.items()
    }


def of_entity(kind: str, fields: Mapping[str, Any]) -> Values:
    """What an entity has of it; only kinds that have such a thing at all."""
    people = [fields.get("caller"), *fields.get("ringing", ())]
    numbers = [person["number"] for person in people if person]
    device = fields.get("interface") or fields.get("device")
    if device is not None:
        numbers.append(device.partition("/")[2].partition("@")[0])
    numbers += map(fields.get, ("dialled", "caller_number", "exten", "number"))
    found = {
        "queues": [fields.get("queue")],
        "extensions": numbers,
        "contexts": [fields.get("context")],
    }
    return {
        name: [value for value in values if value] if _DIMENSION[name] in ATTRIBUTES[kind] else []
        for name, values in found.items()
    }


def showing_event(role: Sequence[See], user: See, server: int, message: Message) -> Sequence[See]:
    """The mappings of a role that show an event."""
    showing = [
        see
        for see in role
        if _any([message.name.lower()], [one.lower() for one in see.get("events", ["*"])])
        and _matches(see, user, server, of_event(message))
    ]
    return showing if is_whole(showing) or message.name in KNOWN else []


def showing_entity(
    role: Sequence[See], user: See, server: int, kind: str, fields: Mapping[str, Any]
) -> Sequence[See]:
    """The mappings that show an entity."""
    return [
        see
        for see in role
        if kind in see.get("kinds", [kind]) and _matches(see, user, server, of_entity(kind, fields))
    ]


def level(sees: Sequence[See], which: str) -> int:
    """The most that one of the mappings shows of numbers or names, as an index of LEVELS."""
    return min(LEVELS.index(see.get(which, "whole")) for see in sees)


def is_whole(sees: Sequence[See]) -> bool:
    """Whether the mappings together show something as it is."""
    return bool(sees) and not any(level(sees, which) for which in ("numbers", "names"))


def _matches(see: See, user: See, server: int, has: Values) -> bool:
    names = [str(server), SERVERS[server].lower()]
    if not _any(names, [wanted.lower() for wanted in see.get("servers", ["*"])]):
        return False
    for dimension, values in has.items():
        if dimension in see:
            wanted: list[str] = []
            for pattern in see[dimension]:
                attribute = pattern.removeprefix("{user.").removesuffix("}")
                wanted += user[attribute] if pattern.startswith("{user.") else [pattern]
            if not _any(values, wanted):
                return False
    return True


def _any(values: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(value, one) for value in values for one in patterns)
