"""The live model of one server: all parts, fed with the messages of each read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from amiws_gevent.ami import Kind, Message, is_answer
from amiws_gevent.state.part import Part
from amiws_gevent.state.store import Store


class Model:
    """Messages, whole lists and ticks in; entities in ``store`` out.

    An event may be of interest to several parts: they get it in their order. Times are UTC
    in milliseconds, offsets those of the server's stream; neither may go back.
    """

    def __init__(self, store: Store, parts: Iterable[Part]) -> None:
        self.store = store
        self.parts = tuple(parts)
        self._takers = {
            name: [part.events[name] for part in self.parts if name in part.events]
            for part in self.parts
            for name in part.events
        }
        self._lists = {
            name: [part.lists[name] for part in self.parts if name in part.lists]
            for part in self.parts
            for name in part.lists
        }

    def receive(self, messages: Iterable[Message], offset: int, now: int) -> None:
        """Take all messages of one read; answers to actions are none of its business."""
        self._begin(offset, now)
        for message in messages:
            if message.kind is not Kind.EVENT:
                continue
            takers = self._takers.get(message.name.lower())
            # Items of lists have names of events (ParkedCall, ExtensionStatus).
            if takers is not None and not is_answer(message):
                for take in takers:
                    take(message)

    def receive_list(
        self, action: str, items: Sequence[Message], *, asked: int, offset: int, now: int
    ) -> None:
        """Take the whole answer to a list action that was sent at the offset ``asked``."""
        self._begin(offset, now)
        for take in self._lists.get(action.lower(), ()):
            take(items, asked)

    def tick(self, offset: int, now: int) -> None:
        """Let time pass."""
        self._begin(offset, now)
        for part in self.parts:
            part.tick()

    def _begin(self, offset: int, now: int) -> None:
        self.store.begin(offset)
        for part in self.parts:
            part.now = now
