"""An entry of a stream, as Redis tells it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Entry(NamedTuple):
    """What `scripts.APPEND` has added."""

    id: bytes
    number: int
    payload: bytes


def entry_of(found: Any) -> Entry:
    """What Redis says of an entry; one that was removed while it was read has the number -1."""
    identity, fields = found
    if fields is None:
        return Entry(identity, -1, b"")
    return Entry(identity, number_of(identity), fields[1])


def number_of(identity: bytes) -> int:
    """The number in the id of an entry."""
    return int(identity.rpartition(b"-")[2])
