"""How the answer to a list action meets the events around it, for all kinds of entities.

The answer is written at once, while events that happened before may still wait in the
server's queue, so they come behind it. And the action takes its time, so events come between
it and the answer. All that is known for certain of a list is that it is younger than the
offset at which the action was sent. Hence the rule:

- what is not in the list is removed if it was there at that offset, and was not made anew
  since;
- what was removed since that offset does not come back;
- a field that changed by an event since that offset keeps the event's value. (What the
  event that made the entity did not say is no such value.)

It holds for each entity for itself, at whatever moment it is looked at: so events may come between
two entities of a list as they may around all of it.

What is wrong after that, since an event was lost, is right after the next list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

from amiws_gevent.ami import Message
from amiws_gevent.state.part import Part, Steps
from amiws_gevent.state.words import milliseconds


class Item(NamedTuple):
    """One item of a list, as an entity."""

    fields: Mapping[str, Any]
    estimates: Mapping[str, Any] = {}
    """What an event tells better than the list: taken only where nothing is known."""


class ListedPart(Part):
    """A part whose entities are listed by actions."""

    kinds: ClassVar[tuple[str, ...]] = ()
    """What it keeps in the store."""
    dated: ClassVar[Mapping[str, str]] = {}
    """By kind, the field of which ``since`` says when it took its value."""

    def reset(self) -> Steps:
        """Remove all of it."""
        return self.forget(self.kinds)

    def forget(self, kinds: Iterable[str]) -> Steps:
        """Remove what there is of these kinds."""
        for kind in kinds:
            for key in self.store.keys(kind):
                self.store.remove(kind, key)
                yield

    def since(self, message: Message) -> dict[str, int | None]:
        """When an event came, by our clock and by the server's, if it says so."""
        return {
            "since": self.now,
            "server_since": milliseconds(message.values.get("Timestamp")),
        }

    def put_dated(
        self,
        kind: str,
        key: str,
        message: Message,
        fields: Mapping[str, Any],
        empty: Mapping[str, Any],
    ) -> None:
        """Put what an event says of an entity; one that is new has the ``empty`` fields too."""
        known = self.store.get(kind, key)
        dated = self.dated[kind]
        if known is None:
            fields = {**empty, **fields, **self.since(message)}
        elif dated in fields and known[dated] != fields[dated]:
            fields = {**fields, **self.since(message)}
        self.store.put(kind, key, **fields)

    def renew(self, kind: str, key: str, **fields: Any) -> None:
        """Make an entity by an event that says so, even if one is there whose end was lost.

        So a list that was asked for before does not take it away.
        """
        self.store.remove(kind, key)
        self.store.put(kind, key, **fields)

    def merge(
        self,
        kind: str,
        items: Mapping[str, Item],
        asked: int,
        listed: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> Steps:
        """Take a whole list of entities of one kind, or of those that ``listed`` is true for."""
        for key, item in items.items():
            self.take(kind, key, item, asked)
            yield
        for key in self.store.keys(kind):
            known = self.store.get(kind, key)
            if known is not None and key not in items and (listed is None or listed(known)):
                self.miss(kind, key, asked)
            yield

    def take(self, kind: str, key: str, item: Item, asked: int) -> bool:
        """Take one item of a list; whether it has made an entity."""
        known = self.store.get(kind, key)
        if known is not None:
            self.store.merge(kind, key, asked, **item.fields)
            self._redate(kind, key, known)
            self._estimate(kind, key, asked, item.estimates)
            return False
        if self.store.may_have_gone(kind, key, asked):
            return False
        return self.store.put(kind, key, **{**item.estimates, **item.fields})

    def miss(self, kind: str, key: str, asked: int) -> bool:
        """An entity is not in a list that would have it; whether it was removed for that."""
        return self.store.born(kind, key) <= asked and self.store.remove(kind, key)

    def _redate(self, kind: str, key: str, before: Mapping[str, Any]) -> None:
        """What only a list has told was changed since nobody knows when: it is known now."""
        dated = self.dated.get(kind)
        if dated is not None and before[dated] != (self.store.get(kind, key) or {})[dated]:
            self.store.put(kind, key, since=self.now, server_since=None)

    def _estimate(self, kind: str, key: str, asked: int, estimates: Mapping[str, Any]) -> None:
        fields = self.store.get(kind, key) or {}
        missing = {
            name: estimate
            for name, estimate in estimates.items()
            if fields.get(name) is None and (estimate is not None or name not in fields)
        }
        if missing:
            self.store.merge(kind, key, asked, **missing)
