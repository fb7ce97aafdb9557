"""What of an entity, and of an event, is its queue, its extension and its context.

For the filters of clients, and for what roles may see. What has none of them does not match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from amiws_gevent.state.words import number_of

QUEUE, EXTENSION, CONTEXT = "queue", "extension", "context"

BY_FIELD = (QUEUE, EXTENSION, CONTEXT)
"""Dimensions that test what may change while an entity is there."""

ATTRIBUTES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "server": {},
    "channel": {
        EXTENSION: ("caller_number", "connected_number", "exten"),
        CONTEXT: ("context",),
    },
    "bridge": {},
    "call": {
        QUEUE: ("queue",),
        EXTENSION: (
            "caller.number",
            "callee.number",
            "called.number",
            "dialled",
            "ringing.number",
            "held.number",
        ),
    },
    "queue": {QUEUE: ("name",)},
    "queue_member": {QUEUE: ("queue",), EXTENSION: ("interface", "state_interface")},
    "queue_caller": {QUEUE: ("queue",), EXTENSION: ("number",)},
    "hint": {EXTENSION: ("exten",), CONTEXT: ("context",)},
    "device": {EXTENSION: ("device",)},
    "presence": {},
    "do_not_disturb": {EXTENSION: ("number",)},
    "peer": {EXTENSION: ("name",)},
    "endpoint": {EXTENSION: ("name",)},
    "contact": {EXTENSION: ("aor",)},
    "registration": {},
    "conference": {},
    "participant": {EXTENSION: ("number",)},
    "parking_lot": {},
    "parked_call": {EXTENSION: ("number",)},
    "mailbox": {EXTENSION: ("mailbox",), CONTEXT: ("mailbox",)},
    "agent": {},
}
"""By kind of entity and dimension, the fields of which one must be among the values.

``a.b`` is the member ``b`` of the mapping, or of each mapping of the list, in the field ``a``.
Of some fields a part counts: see PARTS.
"""

PARTS: Mapping[tuple[str, str], Callable[[str], str | None]] = {
    ("device", EXTENSION): number_of,
    ("queue_member", EXTENSION): number_of,
    ("mailbox", EXTENSION): lambda mailbox: mailbox.partition("@")[0],
    ("mailbox", CONTEXT): lambda mailbox: mailbox.partition("@")[2],
}
"""By kind and dimension, what of the text of a field counts; None: nothing."""

HEADERS: Mapping[str, Sequence[str]] = {
    QUEUE: ("Queue",),
    EXTENSION: (
        "Exten",
        "Extension",
        "CallerIDNum",
        "ConnectedLineNum",
        "DestExten",
        "DestCallerIDNum",
        "DestConnectedLineNum",
    ),
    CONTEXT: ("Context", "DestContext"),
}
"""By dimension, the headers of an event of which one must be among the values."""


def found(dimension: str, kind: str, given: Mapping[str, Any]) -> Iterator[str]:
    """The values that an entity has of a dimension; none if its kind does not have it."""
    part = PARTS.get((kind, dimension))
    for path in ATTRIBUTES.get(kind, {}).get(dimension, ()):
        name, dot, member = path.partition(".")
        value = given.get(name)
        if dot:
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, dict) and isinstance(one.get(member), str):
                    yield one[member]
        elif isinstance(value, str):
            found = value if part is None else part(value)
            if found is not None:
                yield found
