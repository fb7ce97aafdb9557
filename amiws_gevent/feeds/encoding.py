"""The messages of a feed as JSON: ``event``, ``state``, ``snapshot`` and ``gap``.

Each is put together from pieces of JSON that are made once and used for all clients: an event's
is that of the classic socket, an entity's is made once a flush or page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

EVENTS, STATE = "events", "state"
STREAMS = frozenset({EVENTS, STATE})

SLOW = "slow"
"""Reason of a gap: the client read too slowly, and events were left out."""
BUSY = "busy"
"""Reason of a gap: the program itself could not keep up (``limits.hub_buffer``)."""
HISTORY = "history"
"""Reason of a gap: what was missed is no longer known."""
UNKNOWN = "unknown"
"""Reason of a gap: the position is not one that this process can tell anything of."""
FUTURE = "future"
"""Reason of a gap: the position is ahead of what was sent."""
RESTART = "restart"
"""Reason of a gap: a server's stream began anew since."""
FILTERS = "filters"
"""Reason of a gap: the position is of other filters, so what has changed cannot be told."""

RIGHTS = "rights"
"""Reason of a gap: what the client may see has become another."""

REASONS = (SLOW, BUSY, HISTORY, UNKNOWN, FUTURE, RESTART, FILTERS, RIGHTS)

_MOST_INT = 2**63


def to_json(value: Any) -> bytes:
    """JSON in valid UTF-8, whatever text there is in ``value``."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(_clean(value))


def _clean(value: Any) -> Any:
    """A value that JSON can hold: no lone surrogate, no number that is too large."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, Mapping):
        return {_clean(str(name)): _clean(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(member) for member in value]
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int) and -_MOST_INT <= value < _MOST_INT:
        return value
    return _clean(str(value))


def entity(server: int, kind: str, key: str, fields: Mapping[str, Any]) -> bytes:
    """An entity, or some fields of it, as clients get it."""
    return to_json({"server": server, "kind": kind, "id": key, **fields})


def gone(server: int, kind: str, key: str, last: Mapping[str, Any] | None) -> bytes:
    """An entity that is no more, or no longer in the view."""
    name = {"server": server, "kind": kind, "id": key}
    return to_json({**name, "last": last} if last else name)


def events(subscription: str, texts: Sequence[bytes], position: str | None) -> list[bytes]:
    """A message for each of ``texts``; the last one has the position."""
    head = b'{"op":"event","subscription":"%b","message":' % subscription.encode()
    messages = [head + text + b"}" for text in texts]
    if messages:
        messages[-1] = with_position(messages[-1], position)
    return messages


def state(
    subscription: str, made: Iterable[bytes], gone: Iterable[bytes], position: str | None
) -> bytes:
    """What has changed."""
    message = b'{"op":"state","subscription":"%b","set":[%b],"unset":[%b]}' % (
        subscription.encode(),
        b",".join(made),
        b",".join(gone),
    )
    return with_position(message, position)


def snapshot(
    subscription: str, page: int, pages: int, items: Iterable[bytes], position: str | None
) -> bytes:
    """One page, from 1."""
    message = b'{"op":"snapshot","subscription":"%b","page":%d,"pages":%d,"items":[%b]}' % (
        subscription.encode(),
        page,
        pages,
        b",".join(items),
    )
    return with_position(message, position)


def gap(
    subscription: str,
    stream: str,
    reason: str,
    *,
    lost: int | None = None,
    server: int | None = None,
) -> bytes:
    """Something is missing; ``lost`` messages, None if nobody knows how many."""
    message: dict[str, Any] = {
        "op": "gap",
        "subscription": subscription,
        "stream": stream,
        "reason": reason,
        "lost": lost,
    }
    if server is not None:
        message["server"] = server
    return to_json(message)


def with_position(message: bytes, position: str | None) -> bytes:
    """A message with one member more: where who has had it stands."""
    if position is None:
        return message
    return b'%b,"position":"%b"}' % (message[:-1], position.encode())
