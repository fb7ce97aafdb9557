"""Masks entities of the live state: each field as the header that it comes from.

So the same rules and presets are for both, and a number that is masked in events is masked in the
same way in the state. What names an entity (its id, and the ids of others in its fields) stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from amiws_gevent.plugins import Entity, ServerInfo

IDS = frozenset(
    {
        *("server", "kind", "id", "uniqueid", "linkedid", "bridge", "members", "legs", "merged"),
        *("merged_into", "what"),
    }
)
"""Fields, in any depth, that hold what names entities, or a word of the program."""

_PERSON = {"number": "CallerIDNum", "name": "CallerIDName"}
_CALLER = {**_PERSON, "channel": "Channel", "queue": "Queue"}

HEADERS: Mapping[str, Mapping[str, str]] = {
    "channel": {
        "name": "Channel",
        "caller_number": "CallerIDNum",
        "caller_name": "CallerIDName",
        "connected_number": "ConnectedLineNum",
        "connected_name": "ConnectedLineName",
        "exten": "Exten",
        "context": "Context",
        "application": "Application",
        "account": "AccountCode",
    },
    "call": {
        **{f"{who}.number": "CallerIDNum" for who in ("caller", "callee", "called")},
        **{f"{who}.name": "CallerIDName" for who in ("caller", "callee", "called")},
        **{f"{who}.number": "CallerIDNum" for who in ("ringing", "held")},
        **{f"{who}.name": "CallerIDName" for who in ("ringing", "held")},
        "dialled": "Exten",
        "listens_to": "CallerIDNum",
        "application": "Application",
        "queue": "Queue",
        "conference": "Conference",
        "parking": "ParkingSpace",
        **{f"way.{who}": "CallerIDNum" for who in ("who", "by", "of", "to")},
        "way.queue": "Queue",
        "way.conference": "Conference",
        "way.application": "Application",
    },
    "queue": {
        "name": "Queue",
        "last_abandoned.number": "CallerIDNum",
        "last_abandoned.name": "CallerIDName",
    },
    "queue_member": {"queue": "Queue", "name": "MemberName", "interface": "Interface"},
    "queue_caller": _CALLER,
    "participant": {**_PERSON, "channel": "Channel"},
    "parked_call": {
        **_PERSON,
        "channel": "ParkeeChannel",
        "lot": "Parkinglot",
        "space": "ParkingSpace",
        "parker": "ParkerDialString",
    },
    "hint": {"exten": "Exten", "context": "Context", "presence_message": "Message"},
    "presence": {"message": "Message"},
    "agent": {"name": "AgentName", "channel": "Channel", "talking_to": "TalkingToChan"},
}
"""By kind and field (``a.b`` is ``b`` of the mapping, or of each in the list, in ``a``), the header
that it comes from. A field that is in none of these is a header of its own name, in which numbers
are found as in any text."""

_DIALLED = "Exten"


class Masks(Protocol):
    """What masks headers (`plans.Masker`)."""

    def values(
        self, headers: list[tuple[str, str]], server: ServerInfo
    ) -> list[str | None] | None: ...


def masked_entity(masks: Masks, entity: Entity, server: ServerInfo) -> Entity | None:
    """The entity with all that is to be masked; None where that is nothing."""
    headers = HEADERS.get(entity["kind"], {})
    found = [(_header(headers, path), text) for path, text in _texts("", entity)]
    values = masks.values(found, server)
    if values is None:
        return None
    made: Entity = _rebuilt("", entity, iter(values))
    return made


def _header(headers: Mapping[str, str], path: str) -> str:
    return headers.get(path) or path.rpartition(".")[2]


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """All texts in a value, each with the path of its field."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(path, one)
    elif isinstance(value, dict):
        dials = value.get("what") == "dialled"
        for name, one in value.items():
            if not _is_id(name, path):
                below = f"{path}.{name}" if path else name
                yield from _texts(_DIALLED if dials and name == "to" else below, one)


def _rebuilt(path: str, value: Any, values: Iterator[str | None]) -> Any:
    """The value with others in place of its texts, which come in the order of `_texts`."""
    if isinstance(value, str):
        return next(values)
    if isinstance(value, list):
        return [_rebuilt(path, one, values) for one in value]
    if isinstance(value, dict):
        return {
            name: one if _is_id(name, path) else _rebuilt(name, one, values)
            for name, one in value.items()
        }
    return value


def _is_id(name: str, path: str) -> bool:
    """Whether a field of what is at ``path`` holds an id: a person's channel is one."""
    return name in IDS or (name == "channel" and path != "")
