"""The entities of a subscription, kept from ``snapshot`` and ``state``; no I/O.

The pages of a snapshot make a whole. What changes while they come is kept aside, the latest of
each entity, and merged over it at its end; until then all stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Entity = Mapping[str, Any]
"""``server``, ``kind``, ``id`` and the fields of the kind. It is never changed in place."""


class Name(NamedTuple):
    """What an entity is known by."""

    server: int
    kind: str
    id: str


class Change(NamedTuple):
    """What has become of one entity.

    ``before`` None: it was not there; ``now`` None: it is gone, with its ``last`` words if it
    had some.
    """

    name: Name
    before: Entity | None
    now: Entity | None
    last: Mapping[str, Any] | None = None


@dataclass
class _Incoming:
    """A snapshot of which pages are still to come."""

    next_page: int = 1
    items: dict[Name, Entity] = field(default_factory=dict)
    changed: dict[Name, tuple[bool, Entity | None]] = field(default_factory=dict)
    """Whether it replaces what the pages say, and what it is; None: gone."""

    def note(self, name: Name, entity: Entity | None) -> None:
        before = self.changed.get(name)
        if entity is None or before is None:
            self.changed[name] = (entity is None, entity)
        else:  # after an unset it is new to the view, so that it comes whole
            self.changed[name] = (before[0], {**(before[1] or {}), **entity})

    def merged(self) -> dict[Name, Entity]:
        items = self.items
        for name, (replaces, entity) in self.changed.items():
            if entity is None:
                items.pop(name, None)
            else:
                items[name] = entity if replaces else {**items.get(name, {}), **entity}
        return items


class Collection:
    """``items``: what is so, by name; a new dict after each snapshot."""

    def __init__(self) -> None:
        self.items: dict[Name, Entity] = {}
        self._incoming: _Incoming | None = None

    @property
    def loading(self) -> bool:
        """Whether pages of a snapshot are still to come."""
        return self._incoming is not None

    def forget_pages(self) -> None:
        """The connection is lost: what was half read is worth nothing."""
        self._incoming = None

    def snapshot(self, page: int, pages: int, items: Sequence[Entity]) -> list[Change]:
        """Take one page; with the last one the collection is replaced."""
        if page == 1:
            self._incoming = _Incoming()
        incoming = self._incoming
        if incoming is None or page != incoming.next_page:
            return []  # of a snapshot whose beginning this client has given up
        incoming.next_page += 1
        incoming.items.update((name_of(entity), entity) for entity in items)
        if page < pages:
            return []
        self._incoming = None
        former, self.items = self.items, incoming.merged()
        return list(_differences(former, self.items))

    def state(self, changed: Sequence[Entity], gone: Sequence[Entity]) -> list[Change]:
        """Take what has changed: whole entities or members of them, and names of those gone."""
        if self._incoming is not None:
            for entity in changed:
                self._incoming.note(name_of(entity), entity)
            for entity in gone:
                self._incoming.note(name_of(entity), None)
            return []
        changes = [self._set(entity) for entity in changed]
        removed = [self._unset(entity) for entity in gone]
        return changes + [change for change in removed if change is not None]

    def _set(self, entity: Entity) -> Change:
        name = name_of(entity)
        before = self.items.get(name)
        now = self.items[name] = {**(before or {}), **entity}
        return Change(name, before, now)

    def _unset(self, entity: Entity) -> Change | None:
        name = name_of(entity)
        before = self.items.pop(name, None)
        return None if before is None else Change(name, before, None, entity.get("last"))


def name_of(entity: Entity) -> Name:
    """Its name."""
    return Name(entity["server"], entity["kind"], entity["id"])


def _differences(former: Mapping[Name, Entity], now: Mapping[Name, Entity]) -> Iterator[Change]:
    for name, before in former.items():
        if name not in now:
            yield Change(name, before, None)
    for name, entity in now.items():
        if former.get(name) != entity:
            yield Change(name, former.get(name), entity)
