"""The live model of one server: all parts, fed with the messages of each read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import TypeVar

from amiws_gevent.ami import Kind, Message, is_answer
from amiws_gevent.state.part import Part, Steps
from amiws_gevent.state.store import Store

Taker = TypeVar("Taker")

_EVENT = Kind.EVENT  # a look-up less for each message
_IS_LONG = attrgetter("long")

NEWS_ALONE = frozenset(
    {
        *("Newchannel", "Newstate", "Newexten", "NewCallerid", "NewConnectedLine", "Rename"),
        *("SoftHangupRequest", "HangupRequest", "Hangup", "DialBegin", "DialEnd", "Dial"),
        *("BridgeCreate", "BridgeEnter", "BridgeLeave", "BridgeDestroy", "Bridge"),
    }
)
"""Events that no list has as items. Others have names that items have too (ParkedCall,
ExtensionStatus), and have to be looked through for an ActionID."""

MOST_SPELLINGS = 1_000
"""Asterisk has some 250 events; a server that makes up names has to be looked up each time."""


MOST_OF_A_VALUE = 256
"""Characters that are taken of each value of a long message. Names and numbers have 80 at most
(``AST_MAX_EXTENSION``, ``AST_CHANNEL_NAME``); a line of AMI may have a million."""


class Model:
    """Messages, whole lists and ticks in; entities in ``store`` out.

    An event may be of interest to several parts: they get it in their order. Times are UTC
    in milliseconds, and may go back when the clock is set back; offsets are those of the
    server's stream, and never go back.
    """

    def __init__(self, store: Store, parts: Iterable[Part]) -> None:
        self.store = store
        self.parts = tuple(parts)
        self._takers = _by_name(part.events for part in self.parts)
        self._spelled: dict[str, tuple[Callable[[Message], None], ...]] = {}
        """The same by names as they are written, and nobody for those that nobody takes."""
        self._lists = _by_name(part.lists for part in self.parts)

    def receive(self, messages: Iterable[Message], offset: int, now: int) -> None:
        """Take all messages of one read; answers to actions are none of its business."""
        self.begin(offset, now)
        spelled = self._spelled
        for message in messages:
            if message.kind is not _EVENT:
                continue
            name = message.values.get("Event") or message.name
            takers = spelled.get(name)
            if message.long:
                message = shortened(message)
            for take in self._spell(name) if takers is None else takers:
                take(message)

    def _spell(self, name: str) -> tuple[Callable[[Message], None], ...]:
        takers = self._takers.get(name.lower(), ())
        if takers and name not in NEWS_ALONE:
            takers = (partial(_take_news, takers),)
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


def _take_news(takers: Iterable[Callable[[Message], None]], message: Message) -> None:
    """Have a message taken that may be an item of a list, unless it is one."""
    if not is_answer(message):
        for take in takers:
            take(message)


def _by_name(tables: Iterable[Mapping[str, Taker]]) -> dict[str, tuple[Taker, ...]]:
    """Who takes what, of all parts in their order."""
    takers: dict[str, tuple[Taker, ...]] = {}
    for table in tables:
        for name, take in table.items():
            takers[name] = (*takers.get(name, ()), take)
    return takers
