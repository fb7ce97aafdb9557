"""What was published last, for who comes back: bounded by count, bytes and age.

Only the JSON and the positions are kept. A filter on resume needs the headers again: it
parses the JSON of those batches that are told at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from amiws_gevent.batch import Batch, Position, ReadAgain
from amiws_gevent.config import Limits
from amiws_gevent.feeds.encoding import FUTURE, HISTORY, RESTART, UNKNOWN
from amiws_gevent.feeds.positions import Vector
from amiws_gevent.feeds.sights import any_seen, batch_seen
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.policy import Sight
from amiws_gevent.views import Filter, View

ENTRY_COST = 192
"""Bytes of memory that a batch costs besides its JSON, with who sees it."""
TEXT_COST = 41
"""Bytes that a text of JSON costs besides its characters: its header and its place."""


MOST_SELECTIONS = 4

MOST_SEEN = 4 << 20
"""Bytes of what is kept of the history as those see it who see less."""

MOST_WATCHED = 4
"""Sights of which it is known what was forgotten of that which they show; the last that came."""

SIGHT_COST = 8
"""To mask a message takes so many times as long as to read it."""

TURN_MESSAGES = 200
"""Messages of one turn of a replay: a millisecond, most of it for parsing."""
TURN_BYTES = 64 * 1024


class Bounds(NamedTuple):
    """How much is kept: messages, bytes, seconds."""

    messages: int
    size: int
    time: float

    @classmethod
    def of(cls, limits: Limits) -> Bounds:
        """As configured."""
        return cls(limits.history_messages, limits.history_bytes, limits.history_time)


class Since(NamedTuple):
    """From where on a server's events can be told, and why not from where it was asked for."""

    position: Position
    reason: str | None


class Entry:
    """One published batch."""

    __slots__ = ("_selected", "cost", "json", "position", "seen_by", "server", "time")

    def __init__(self, batch: Batch, time: float, seen_by: tuple[Sight, ...]) -> None:
        self.server: ServerInfo = batch.server
        self.position = batch.position
        self.json = tuple(batch.json)
        self.cost = batch.size + TEXT_COST * len(self.json) + ENTRY_COST
        self.time = time
        self.seen_by = seen_by
        """Those that show something of it, of the sights that were watched when it came."""
        self._selected: dict[tuple[Filter, ...], Sequence[bytes]] = {}

    def select(self, filters: tuple[Filter, ...]) -> Sequence[bytes]:
        """The messages that all filters choose.

        Many come back at once after a fault of the network: the last choices are kept.
        """
        known = self._selected.get(filters)
        if known is None:
            known = View("history", b"".join, filters).texts(self.batch())
            if len(self._selected) >= MOST_SELECTIONS:
                self._selected.clear()
            self._selected[filters] = known
        return known

    def batch(self) -> Batch:
        """The batch again."""
        return Batch(self.server, self.position, ReadAgain(self.json), self.json)


class _Watched:
    """What is known of a sight that is watched."""

    __slots__ = ("began", "lost")

    def __init__(self, began: dict[int, Position]) -> None:
        self.began = began
        """By server: of what came up to here it is not known whether it was seen."""
        self.lost: dict[int, Position] = {}
        """By server, of the last that was seen and is forgotten."""

    def lost_of(self, server: int, forgotten: Position) -> Position:
        """Up to where something may be missed of a server that is ``forgotten`` up to there."""
        offsets = [
            min(known.offset, forgotten.offset)
            for place in (self.began, self.lost)
            if (known := place.get(server)) is not None and known.epoch == forgotten.epoch
        ]
        return Position(forgotten.epoch, max(offsets, default=0))


class History:
    """The last batches, numbered in the order of publishing; ``clock`` gives seconds."""

    def __init__(self, bounds: Bounds, *, clock: Callable[[], float]) -> None:
        self.messages = 0
        self.size = 0
        self._bounds = bounds
        self._clock = clock
        self._entries: deque[Entry] = deque()
        self._end = 0  # the number of the next entry
        self._seen: dict[tuple[int, tuple[Filter, ...], Sight], Sequence[bytes]] = {}
        self._seen_size = 0
        self._last: dict[int, Position] = {}  # by server, of what was published
        self._forgotten: dict[int, Position] = {}  # by server, up to where nothing is known
        self._watched: dict[Sight, _Watched] = {}

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
        entry = Entry(batch, self._clock(), self._who_sees(batch))
        self._entries.append(entry)
        self._end += 1
        self.messages += len(entry.json)
        self.size += entry.cost
        self._trim()

    def forget(self, server: int, position: Position) -> None:
        """Nothing is known of what a server has published up to here, and has not come here."""
        self._last[server] = self._forgotten[server] = position
        for watched in self._watched.values():
            watched.lost[server] = position

    def watch(self, sight: Sight) -> None:
        """Know from now on whether anything that is forgotten was seen: who comes back with that
        sight is not told that he has missed what he would not have been shown."""
        watched = self._watched.pop(sight, None)
        self._watched[sight] = _Watched(dict(self._last)) if watched is None else watched
        if len(self._watched) > MOST_WATCHED:
            del self._watched[next(iter(self._watched))]

    def _who_sees(self, batch: Batch) -> tuple[Sight, ...]:
        """Now, while its messages are at hand: to read them again would take four times as long."""
        if not self._watched:
            return ()
        many = len(batch) > TURN_MESSAGES  # not all of these are looked at
        return tuple(
            sight
            for sight in self._watched
            if sight.sees_server(batch.server.id) and (many or any_seen(sight, batch))
        )

    def _trim(self) -> None:
        bounds = self._bounds
        oldest = self._clock() - bounds.time
        entries = self._entries
        while entries and (
            self.messages > bounds.messages or self.size > bounds.size or entries[0].time < oldest
        ):
            entry = entries.popleft()
            self.messages -= len(entry.json)
            self.size -= entry.cost
            forgotten, position = self._forgotten[entry.server.id], entry.position
            if forgotten.epoch == position.epoch and forgotten.offset < position.offset:
                self._forgotten[entry.server.id] = position
                for sight in entry.seen_by:
                    if (watched := self._watched.get(sight)) is not None:
                        watched.lost[entry.server.id] = position

    def _lost_of(self, sight: Sight | None, server: int, forgotten: Position) -> Position:
        """Up to where something that is seen of a server is forgotten."""
        watched = None if sight is None else self._watched.get(sight)
        return forgotten if watched is None else watched.lost_of(server, forgotten)

    def has_lost(self, vector: Vector, sight: Sight | None) -> bool:
        """Whether something that is seen is forgotten behind a place."""
        return any(
            at.epoch != forgotten.epoch
            or at.offset < self._lost_of(sight, server, forgotten).offset
            for server, at in vector.items()
            if (forgotten := self._forgotten.get(server)) is not None
        )

    def since(
        self, server: int, epoch: str, position: Position | None, sight: Sight | None = None
    ) -> Since:
        """From where what a server has published since ``position`` can be told.

        ``epoch`` is that of the server's stream now. What ``sight`` (None: all is seen) does not
        show is not missed, as far as that is known.
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
        if position.offset < self._lost_of(sight, server, forgotten).offset:
            return Since(forgotten, HISTORY)
        return Since(position, None)

    def entry(self, number: int) -> Entry | None:
        """The entry of a number; None if it is no longer there, or not yet."""
        place = number - self.first
        return self._entries[place] if 0 <= place < len(self._entries) else None

    def seen(self, number: int, filters: tuple[Filter, ...], sight: Sight) -> Sequence[bytes]:
        """What is seen now of an entry that is there, as far as the filters choose it.

        As many come back at once, the last that was made is kept, up to MOST_SEEN bytes.
        """
        key = (number, filters, sight)
        known = self._seen.get(key)
        if known is None:
            entry = self._entries[number - self.first]
            known = View("history", b"".join, filters).texts(batch_seen(sight, entry.batch()))
            self._seen[key] = known
            self._seen_size += _cost(known)
            while self._seen_size > MOST_SEEN:
                self._seen_size -= _cost(self._seen.pop(next(iter(self._seen))))
        return known

    @property
    def first(self) -> int:
        """The number of the oldest entry that is there."""
        return self._end - len(self._entries)


def _cost(texts: Sequence[bytes]) -> int:
    """Bytes of memory that they take, with their place among what is kept."""
    return sum(map(len, texts)) + TEXT_COST * len(texts) + ENTRY_COST


class Replay:
    """What one client has missed of the history, in turns.

    ``vector`` is where it stands; of servers that are not in it nothing is told. ``end`` is the
    number of the first batch that it gets as it is published.
    """

    def __init__(
        self,
        history: History,
        filters: tuple[Filter, ...],
        vector: Vector,
        sight: Sight | None = None,
    ) -> None:
        self.vector = vector
        self.lost = False
        """Whether the history has forgotten something before it was told; you may unset it."""
        self._history = history
        self._filters = filters
        self._sight = sight
        self._cost = 1 if sight is None else SIGHT_COST
        self._next = history.first
        self._end = history.end

    @property
    def done(self) -> bool:
        """Whether all is told."""
        return self._next >= self._end

    def turn(self) -> list[bytes]:
        """The JSON of the next messages, after which the client stands at ``vector``.

        It may be none, before the end also.
        """
        texts: list[bytes] = []
        moved = dict(self.vector)
        looked_at = size = 0
        if self._next < self._history.first:
            self._next = self._history.first
            self.lost = self._history.has_lost(moved, self._sight)
        while not self.done and looked_at < TURN_MESSAGES and size < TURN_BYTES:
            entry = self._history.entry(self._next)
            assert entry is not None
            self._next += 1
            at = moved.get(entry.server.id)
            looked_at += 1
            if at is None or at.epoch != entry.position.epoch or entry.position.offset <= at.offset:
                continue
            if self._sight is None:
                chosen = entry.select(self._filters)
            else:
                chosen = self._history.seen(self._next - 1, self._filters, self._sight)
            texts += chosen
            looked_at += len(entry.json) * self._cost
            size += sum(map(len, chosen))
            moved[entry.server.id] = entry.position
        self.vector = moved
        return texts
