"""Where a stream stands, for the collector that goes on with it.

What is read is the newest snapshot and the entries behind it, as the bus keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amiws_gevent.batch import Position
from amiws_gevent.crossing.codec import (
    Changes,
    Entry,
    Head,
    Told,
    Whole,
    decode,
    ends_of_snapshot,
    read_snapshot,
)


@dataclass(frozen=True)
class Tail:
    """The last that edges were told of a server."""

    events: Position
    """Of the last batch, or of where the stream began."""
    state: Position | None
    """Of the last that was told of the state; None: nothing was."""

    @property
    def offset(self) -> int:
        """The highest offset of the stream that anybody was told."""
        state = self.state
        if state is None or state.epoch != self.events.epoch:
            return self.events.offset
        return max(self.events.offset, state.offset)


def read_tail(snapshot: bytes | None, entries: Sequence[bytes]) -> Tail | None:
    """Where a server's stream stands; None if there is none. Raises FormatError.

    Positions only grow, so the newest of each kind is all that is read.
    """
    events = state = None
    for entry in _newest_first(snapshot, entries):
        if events is None and isinstance(entry, Head | Told):
            events = entry.events if isinstance(entry, Head) else entry.batch.position
        elif state is None and isinstance(entry, Whole | Changes):
            state = entry.position
        if events is not None and state is not None:
            break
    return None if events is None else Tail(events, state)


def _newest_first(snapshot: bytes | None, entries: Sequence[bytes]) -> Iterator[Entry]:
    yield from map(decode, reversed(entries))
    if snapshot is not None:
        yield from reversed(ends_of_snapshot(snapshot))


def read_entities(
    snapshot: bytes | None, entries: Sequence[bytes], kind: str
) -> dict[str, dict[str, Any]]:
    """The entities of a kind, by key, as edges were told of them last. Raises FormatError.

    For streams with few: all is read at once.
    """
    known: dict[str, dict[str, Any]] = {}
    told = [] if snapshot is None else list(read_snapshot(snapshot))
    for entry in (*told, *map(decode, entries)):
        if isinstance(entry, Whole):
            if entry.first:
                known.clear()
            known.update({one.key: dict(one.fields) for one in entry.items if one.kind == kind})
        elif isinstance(entry, Changes):
            for change in entry.changes:
                if change.kind == kind:
                    _take(known, change.key, change.fields, change.whole)
    return known


def _take(
    known: dict[str, dict[str, Any]], key: str, fields: Mapping[str, Any] | None, whole: bool
) -> None:
    if fields is None:
        known.pop(key, None)
    elif whole:
        known[key] = dict(fields)
    else:
        known.setdefault(key, {}).update(fields)
