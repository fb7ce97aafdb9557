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

What is wrong after that, since an event was lost, is right after the next list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from amiws_gevent.ami import Message
from amiws_gevent.state.part import Part
from amiws_gevent.state.words import milliseconds


class Item(NamedTuple):
    """One item of a list, as an entity."""

    fields: Mapping[str, Any]
    estimates: Mapping[str, Any] = {}
    """What an event tells better than the list: taken only where nothing is known."""


class Merged(NamedTuple):
    """What a list has done, by keys."""

    added: list[str]
    removed: dict[str, Mapping[str, Any]]
    """With the fields that they had."""


class ListedPart(Part):
    """A part whose entities are listed by actions."""

    kinds: ClassVar[tuple[str, ...]] = ()
    """What it keeps in the store."""
    dated: ClassVar[Mapping[str, str]] = {}
    """By kind, the field of which ``since`` says when it took its value."""

    def reset(self) -> None:
        """Remove all of it."""
        for kind in self.kinds:
            for key in self.store.keys(kind):
                self.store.remove(kind, key)

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
    ) -> Merged:
        """Take a whole list of entities of one kind, or of those that ``listed`` is true for."""
        merged = Merged([], {})
        for key, fields in self.store.of(kind).items():
            if key in items or (listed is not None and not listed(fields)):
                continue
            if self.store.born(kind, key) <= asked:
                self.store.remove(kind, key)
                merged.removed[key] = fields
        for key, item in items.items():
            known = self.store.get(kind, key)
            if known is not None:
                self.store.merge(kind, key, asked, **item.fields)
                self._redate(kind, key, known)
                self._estimate(kind, key, asked, item.estimates)
            elif not self.store.may_have_gone(kind, key, asked):
                self.store.put(kind, key, **{**item.estimates, **item.fields})
                merged.added.append(key)
        return merged

    def _redate(self, kind: str, key: str, before: Mapping[str, Any]) -> None:
        """What only a list has told was changed since nobody knows when: it is known now."""
        dated = self.dated.get(kind)
        if dated is not None and before[dated] != (self.store.get(kind, key) or {})[dated]:
            self.store.put(kind, key, since=self.now, server_since=None)

    def _estimate(self, kind: str, key: str, asked: int, estimates: Mapping[str, Any]) -> None:
        fields = self.store.get(kind, key) or {}
        missing = {
            name: estimate for name, estimate in estimates.items() if fields.get(name) is None
        }
        self.store.merge(kind, key, asked, **missing)
