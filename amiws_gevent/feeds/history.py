"""What was published last, for who comes back: bounded by count, bytes and age.

Only the JSON and the positions are kept. A filter on resume needs the headers again: it
parses the JSON of those batches that are told at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Batch, Position
from amiws_gevent.feeds.encoding import FUTURE, HISTORY, RESTART, UNKNOWN
from amiws_gevent.plugins.api import ServerInfo

ENTRY_COST = 128
"""Bytes of memory that a batch costs besides its JSON."""
TEXT_COST = 41
"""Bytes that a text of JSON costs besides its characters: its header and its place."""


class Bounds(NamedTuple):
    """How much is kept: messages, bytes, seconds."""

    messages: int
    size: int
    time: float


class Since(NamedTuple):
    """From where on a server's events can be told, and why not from where it was asked for."""

    position: Position
    reason: str | None


@dataclass(slots=True, frozen=True)
class Entry:
    """One published batch."""

    server: ServerInfo
    position: Position
    json: tuple[bytes, ...]
    cost: int
    time: float

    def batch(self) -> Batch:
        """The batch once more, its messages made of the JSON."""
        messages = [_message(text) for text in self.json]
        return Batch(self.server, self.position, messages, self.json)


class History:
    """The last batches, numbered in the order of publishing; ``clock`` gives seconds."""

    def __init__(self, bounds: Bounds, *, clock: Callable[[], float]) -> None:
        self.messages = 0
        self.size = 0
        self._bounds = bounds
        self._clock = clock
        self._entries: deque[Entry] = deque()
        self._end = 0  # the number of the next entry
        self._last: dict[int, Position] = {}  # by server, of what was published
        self._forgotten: dict[int, Position] = {}  # by server, up to where nothing is known

    @property
    def end(self) -> int:
        """The number of the entry that comes next."""
        return self._end

    def configure(self, bounds: Bounds) -> None:
        """Keep as much as this from now on."""
        self._bounds = bounds
        self._trim()

    def append(self, batch: Batch) -> None:
        """Take a batch that is published now."""
        server, position = batch.server, batch.position
        before = self._last.get(server.id)
        if before is None or before.epoch != position.epoch:
            # What was published before in this epoch is not known; offsets begin with 1.
            self._forgotten[server.id] = Position(position.epoch, 0)
        self._last[server.id] = position
        cost = batch.size + TEXT_COST * len(batch.json) + ENTRY_COST
        self._entries.append(Entry(server, position, tuple(batch.json), cost, self._clock()))
        self._end += 1
        self.messages += len(batch.json)
        self.size += cost
        self._trim()

    def _trim(self) -> None:
        bounds = self._bounds
        oldest = self._clock() - bounds.time
        entries = self._entries
        while entries and (
            self.messages > bounds.messages
            or self.size > bounds.size
            or entries[0].time < oldest
        ):
            entry = entries.popleft()
            self.messages -= len(entry.json)
            self.size -= entry.cost
            if self._last[entry.server.id].epoch == entry.position.epoch:
                self._forgotten[entry.server.id] = entry.position

    def since(self, server: int, epoch: str, position: Position | None) -> Since:
        """From where what a server has published since ``position`` can be told.

        ``epoch`` is that of the server's stream now.
        """
        self._trim()
        last = self._last.get(server)
        if last is None or last.epoch != epoch:  # nothing was published in this epoch
            last = forgotten = Position(epoch, 0)
        else:
            forgotten = self._forgotten[server]
        if position is None:
            return Since(last, UNKNOWN)
        if position.epoch != epoch:
            return Since(forgotten, RESTART)
        if position.offset > last.offset:
            return Since(last, FUTURE)
        if position.offset < forgotten.offset:
            return Since(forgotten, HISTORY)
        return Since(position, None)

    def entry(self, number: int) -> Entry | None:
        """The entry of a number; None if it is no longer there, or not yet."""
        place = number - self.first
        return self._entries[place] if 0 <= place < len(self._entries) else None

    @property
    def first(self) -> int:
        """The number of the oldest entry that is there."""
        return self._end - len(self._entries)


def _message(text: bytes) -> Message:
    """A message of its JSON: a repeated header is a list there."""
    envelope = orjson.loads(text)
    pairs = [
        (name, one)
        for name, value in envelope["data"].items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return Message(Kind(envelope["type"]), pairs)
