"""What a client wants to have of events and of state: filters, as values.

A filter has dimensions. All that are given must match, and a dimension matches if one of its
values does. Which fields of an entity, and which headers of an event, are its queue, its
extension and its context is said by `state.dimensions`; what has none of them does not match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.batch import Batch
from amiws_gevent.errors import AmiwsError
from amiws_gevent.state.dimensions import (
    ATTRIBUTES,
    BY_FIELD,
    CONTEXT,
    EXTENSION,
    HEADERS,
    QUEUE,
    found,
)
from amiws_gevent.views import Filter, without_answers

__all__ = [
    "ATTRIBUTES",
    "BY_FIELD",
    "CONTEXT",
    "EXTENSION",
    "HEADERS",
    "QUEUE",
    "EventFilter",
    "FilterError",
    "Filters",
]

MOST_VALUES = 256
LONGEST_VALUE = 256  # characters
_MOST_SERVER = 2**31 - 1


class FilterError(AmiwsError):
    """Filters that nobody can have; the text is for who sent them."""


@dataclass(frozen=True)
class Filters:
    """What is wanted, by dimension; None is everything.

    ``kind`` and ``event`` (folded) are of one stream each: of state, and of events.
    """

    server: frozenset[int] | None = None
    kind: frozenset[str] | None = None
    event: frozenset[str] | None = None
    queue: frozenset[str] | None = None
    extension: frozenset[str] | None = None
    context: frozenset[str] | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Filters:
        """Filters of a JSON object with a value, or a list of values, for each dimension.

        A server may be a number or its digits. Null is everything.
        """
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                raise FilterError(f"unknown filter {name[:40]!r}; there are {', '.join(names)}")
        parsed = {
            name: frozenset(_values(name, value))
            for name, value in given.items()
            if value is not None
        }
        for kind in sorted(parsed.get("kind", ())):
            if kind not in ATTRIBUTES:
                raise FilterError(f"unknown kind {kind[:40]!r}; there are {', '.join(ATTRIBUTES)}")
        return cls(**parsed)

    def as_json(self) -> dict[str, list[Any]]:
        """The same for equal filters: what ``parse`` takes, sorted."""
        return {name: sorted(values) for name, values in self._given()}

    def within(self, rights: Filters) -> Filters:
        """What of this ``rights`` allow as well."""
        own = dict(self._given())
        allowed = {name: values & own.get(name, values) for name, values in rights._given()}
        return replace(self, **allowed)

    def of_kind(self, kind: str) -> Filters:
        """What of this is of one kind."""
        return self.within(Filters(kind=frozenset({kind})))

    def _given(self) -> Iterator[tuple[str, frozenset[Any]]]:
        for field in fields(self):
            values = getattr(self, field.name)
            if values is not None:
                yield field.name, values

    def has_server(self, server: int) -> bool:
        """Whether anything of this server is wanted."""
        return self.server is None or server in self.server

    @property
    def changeable(self) -> bool:
        """Whether an entity may match at one time and not at another."""
        return bool(self.by_field)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds that may match."""
        return frozenset(
            kind
            for kind, attributes in ATTRIBUTES.items()
            if (self.kind is None or kind in self.kind)
            and all(getattr(self, name) is None or name in attributes for name in BY_FIELD)
        )

    def entity(self, server: int, kind: str, given: Mapping[str, Any]) -> bool:
        """Whether an entity is wanted, by its fields."""
        if kind not in self.kinds or not self.has_server(server):
            return False
        for name, wanted in self.by_field:
            if wanted.isdisjoint(found(name, kind, given)):
                return False
        return True

    @cached_property
    def by_field(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """The dimensions of BY_FIELD that are given, with their values."""
        return tuple((name, values) for name, values in self._given() if name in BY_FIELD)

    @cached_property
    def of_events(self) -> tuple[Filter, ...]:
        """The same for events, as a view takes it; answers to actions are no events."""
        if all(getattr(self, name) is None for name in ("server", "event", *BY_FIELD)):
            return (without_answers,)
        return (EventFilter(replace(self, kind=None)), without_answers)

    def message(self, message: Message) -> bool:
        """Whether an event is wanted, of whichever server."""
        if self.event is not None and message.name.casefold() not in self.event:
            return False
        for name, wanted in self.by_field:
            if wanted.isdisjoint(map(message.get, HEADERS[name])):
                return False
        return True


@dataclass(frozen=True)
class EventFilter:
    """Filters as a `views.Filter`."""

    filters: Filters

    def __call__(self, batch: Batch, indexes: Sequence[int]) -> Sequence[int]:
        filters = self.filters
        if not filters.has_server(batch.server.id):
            return ()
        messages = batch.messages
        return [index for index in indexes if filters.message(messages[index])]


def _values(name: str, given: Any) -> Iterator[Any]:
    """The values of a dimension, each checked."""
    values: Iterable[Any] = given if isinstance(given, list | tuple) else (given,)
    listed = list(values)
    if not listed:
        raise FilterError(f"the filter {name!r} is an empty list, which nothing matches")
    if len(listed) > MOST_VALUES:
        raise FilterError(f"the filter {name!r} has more than {MOST_VALUES} values")
    for value in listed:
        yield _server(value) if name == "server" else _text(name, value)


def _server(given: Any) -> int:
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 11:
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= _MOST_SERVER:
        raise FilterError("the filter 'server' takes numbers of servers")
    return given


def _text(name: str, given: Any) -> str:
    if not isinstance(given, str) or not given or len(given) > LONGEST_VALUE:
        raise FilterError(f"the filter {name!r} takes texts of 1 to {LONGEST_VALUE} characters")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise FilterError(f"the filter {name!r} has a text that is no Unicode") from None
    return given.casefold() if name == "event" else given
