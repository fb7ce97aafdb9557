"""What a flush changes of one server, and which of that may concern a view.

It is found out once for all views, and looked up: of a thousand views each looks at the few
changes that it may have, not at all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from amiws_gevent.batch import Position
from amiws_gevent.feeds import encoding
from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.state.dimensions import found
from amiws_gevent.state.store import Change, Name, Store

CHUNK = 500
"""Entities of one piece of a flush: some 1 ms, and 200 KiB. A list that was just taken may
change thousands at once."""


class Delta:
    """What a flush says of one entity; its JSON is made once for all views."""

    __slots__ = ("_changed", "_part", "_server", "_whole", "fields", "key", "kind", "last", "new")

    def __init__(
        self,
        server: int,
        name: Name,
        fields: Mapping[str, Any] | None,
        change: Change | None,
    ) -> None:
        self.kind, self.key = name
        self.fields = fields
        """All of it; None if it is gone."""
        self.new = change is None or change.whole
        """Whether it replaces what there was."""
        self.last = None if change is None else change.last
        self._server = server
        self._changed = None if change is None else change.fields
        self._whole: bytes | None = None
        self._part: bytes | None = None

    @property
    def told(self) -> Mapping[str, Any]:
        """The fields of one that is there: all if it is new, else those that have changed."""
        return (self.fields if self.new else self._changed) or {}

    @property
    def entity(self) -> Entity:
        """The entity for plugins: what a client gets of it, as ``part`` or ``gone`` has it."""
        name = {"server": self._server, "kind": self.kind, "id": self.key}
        if self.fields is None:
            return {**name, "last": self.last} if self.last else name
        return {**name, **self.told}

    @property
    def whole(self) -> bytes:
        """All of the entity."""
        if self._whole is None:
            self._whole = encoding.entity(self._server, self.kind, self.key, self.fields or {})
        return self._whole

    @property
    def part(self) -> bytes:
        """What is other than at the flush before."""
        if self.new:
            return self.whole
        if self._part is None:
            self._part = encoding.entity(self._server, self.kind, self.key, self._changed or {})
        return self._part

    def gone(self, *, ended: bool) -> bytes:
        """That it is no longer there; with its last words if it has ``ended``."""
        return encoding.gone(self._server, self.kind, self.key, self.last if ended else None)


class Chunk:
    """Some of the deltas of a flush, in order; looked up by their places."""

    def __init__(self, deltas: list[Delta]) -> None:
        self.deltas = deltas
        self._kinds = {delta.kind for delta in deltas}
        # Made when asked for: nobody asks who has all of the state.
        self._places: dict[Name, int] | None = None
        self._by_kind: dict[str, list[int]] | None = None
        self._by_value: dict[str, dict[str, list[int]]] = {}  # by dimension

    def of_kinds(self, kinds: Collection[str]) -> Iterable[Delta]:
        """Those of these kinds."""
        found = self._kinds.intersection(kinds)
        if len(found) == len(self._kinds):
            return self.deltas
        by_kind = self._by_kind
        if by_kind is None:
            by_kind = self._by_kind = {}
            for place, delta in enumerate(self.deltas):
                by_kind.setdefault(delta.kind, []).append(place)
        return self._at(place for kind in found for place in by_kind[kind])

    def having(
        self, dimension: str, values: Collection[str], names: Mapping[Name, Any]
    ) -> Iterable[Delta]:
        """Those that have one of these values of a dimension, or one of these names."""
        by_value = self._by_value.get(dimension)
        if by_value is None:
            by_value = self._by_value[dimension] = self._index(dimension)
        places = self._places
        if places is None:
            places = self._places = {
                (delta.kind, delta.key): place for place, delta in enumerate(self.deltas)
            }
        found = {places[name] for name in places.keys() & names.keys()}
        for value in by_value.keys() & values:
            found.update(by_value[value])
        return self._at(found)

    def _index(self, dimension: str) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for place, delta in enumerate(self.deltas):
            if delta.fields is not None:
                for value in found(dimension, delta.kind, delta.fields):
                    index.setdefault(value, []).append(place)
        return index

    def _at(self, places: Iterable[int]) -> Iterable[Delta]:
        return [self.deltas[place] for place in sorted(places)]


class Flush:
    """What has changed of one server since its flush before; chunks are made when needed.

    ``number`` counts the flushes of what is shown of that server, of which ``shown`` is the
    identity. ``known`` is the offset up to which somebody may have been told already. ``current``
    gives the store when it is read: what is newer than the flush is told with it.
    """

    def __init__(
        self,
        shown: object,
        info: ServerInfo,
        current: Callable[[], Store],
        names: Sequence[Name],
        *,
        number: int,
        position: Position,
        since: int,
        known: int,
    ) -> None:
        self.shown = shown
        self.info = info
        self.server = info.id
        self.number = number
        self.position = position
        """Where those stand who have had it."""
        self.names = names
        """Of all that was touched."""
        self._current = current
        self._since = since
        self._known = max(since, known)
        self._chunks: list[Chunk] = []

    def chunks(self) -> Iterator[Chunk]:
        """All deltas; some CHUNK at a time, the same for all who ask."""
        for number in range(-(-len(self.names) // CHUNK)):
            if number == len(self._chunks):
                names = self.names[number * CHUNK : (number + 1) * CHUNK]
                store = self._current()
                self._chunks.append(Chunk(self._deltas(store, names)))
            yield self._chunks[number]

    def _deltas(self, store: Store, names: Sequence[Name]) -> list[Delta]:
        """Without what came and went meanwhile: nobody who gets this knows of it.

        In bursts that is more than half of all.
        """
        server, since, known = self.server, self._since, self._known
        deltas = []
        for name in names:
            kind, key = name
            fields = store.get(kind, key)
            if fields is not None or not store.has_passed(kind, key, since, known):
                deltas.append(Delta(server, name, fields, store.change(kind, key, since)))
        return deltas
