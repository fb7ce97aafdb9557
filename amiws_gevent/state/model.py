"""The live model of one server: all parts, fed with the messages of each read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, TypeVar

from amiws_gevent.ami import Kind, Message, is_answer
from amiws_gevent.ami.answers import ACTION_ID
from amiws_gevent.state.part import Part, Steps, TakeEvent, TakeNews
from amiws_gevent.state.store import Store

Taker = TypeVar("Taker")

_EVENT: Final = Kind.EVENT  # a look-up less for each message
_ACTION_ID: Final = ACTION_ID
_IS_LONG: Final = attrgetter("long")

MOST_SPELLINGS = 1_000
"""Asterisk has some 250 events; a server that makes up names has to be looked up each time."""


MOST_OF_A_VALUE: Final = 256
"""Characters that are taken of each value of a long message. Names and numbers have 80 at most
(``AST_MAX_EXTENSION``, ``AST_CHANNEL_NAME``); a line of AMI may have a million."""


class _Takers:
    """Who takes the events of one name."""

    __slots__ = ("events", "news")

    def __init__(self, news: tuple[TakeNews, ...], events: tuple[TakeEvent, ...]) -> None:
        self.news = news
        self.events = events


class Model:
    """Messages, whole lists and ticks in; entities in ``store`` out.

    An event may be of interest to several parts: they get it in their order. It is in their
    ``news``, or in their ``events``, but not in both. Times are UTC
    in milliseconds, and may go back when the clock is set back; offsets are those of the
    server's stream, and never go back.
    """

    def __init__(self, store: Store, parts: Iterable[Part]) -> None:
        self.store = store
        self.parts = tuple(parts)
        self._news = _by_name(part.news for part in self.parts)
        self._events = _by_name(part.events for part in self.parts)
        self._lists = _by_name(part.lists for part in self.parts)
        assert self._news.keys().isdisjoint(self._events)
        self._spelled: dict[str, _Takers] = {}
        """By names as they are written; nobody for those that nobody takes."""

    def receive(self, messages: Iterable[Message], offset: int, now: int) -> None:
        """Take all messages of one read; answers to actions are none of its business."""
        store = self.store
        alone = offset > store.offset  # what was changed at it before, others may have in hand
        self.begin(offset, now)
        store.alone = alone
        try:
            self._take(messages)
        finally:
            store.alone = False

    def _take(self, messages: Iterable[Message]) -> None:
        spelled = self._spelled
        for message in messages:
            if message.kind is not _EVENT:
                continue
            if message.long:
                message = shortened(message)
            values = message.values
            try:
                name = values["Event"]
            except KeyError:  # it has another spelling
                name = message.name
            takers = spelled.get(name)
            if takers is None:
                takers = self._takers(name)
            for take in takers.news:
                take(values)
            if takers.events and (_ACTION_ID.isdisjoint(values) or not is_answer(message)):
                for take_event in takers.events:
                    take_event(message)

    def _takers(self, name: str) -> _Takers:
        """Who takes an event whose name has not been written so yet, or that nobody remembers."""
        folded = name.lower()
        takers = _Takers(self._news.get(folded, ()), self._events.get(folded, ()))
        if len(self._spelled) < MOST_SPELLINGS:
            self._spelled[name] = takers
        return takers

    def receive_list(self, action: str, items: Sequence[Message], asked: int) -> Steps:
        """Take the whole answer to a list action that was sent at the offset ``asked``."""
        if any(map(_IS_LONG, items)):
            items = [shortened(item) for item in items]
        for take in self._lists.get(action.lower(), ()):
            yield from take(items, asked)

    def tick(self, offset: int, now: int) -> None:
        """Let time pass."""
        self.begin(offset, now)
        for part in self.parts:
            part.tick()

    def begin(self, offset: int, now: int) -> None:
        """What is said next, to whichever part, is of this offset and time."""
        self.store.begin(offset)
        for part in self.parts:
            part.now = now


def shortened(message: Message) -> Message:
    """A long message with the beginnings of its values."""
    return Message(
        message.kind, [(name, str(value)[:MOST_OF_A_VALUE]) for name, value in message.headers]
    )


def _by_name(tables: Iterable[Mapping[str, Taker]]) -> dict[str, tuple[Taker, ...]]:
    """Who takes what, of all parts in their order."""
    takers: dict[str, tuple[Taker, ...]] = {}
    for table in tables:
        for name, take in table.items():
            takers[name] = (*takers.get(name, ()), take)
    return takers
