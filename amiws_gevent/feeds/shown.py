"""What clients are shown of one server's state, and what has changed of it at each flush.

That is the server's own store, or, where plugins change what is shown, a second one that is
fed with what they have made of it (`changed`): so a delta is always one of what a client sees.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from amiws_gevent.batch import Position
from amiws_gevent.feeds import encoding
from amiws_gevent.feeds.changed import Changed, Transform
from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.state.store import Change, Name, Store

MOST_NAMES = 20_000
"""Names of changes that are kept for who comes back or is slow, as many as there are
tombstones. Past them all entities are looked at."""

CHUNK = 500
"""Entities of one piece of a flush: some 1 ms, and 200 KiB. A list that was just taken may
change thousands at once."""


class Stream(Protocol):
    """A server's stream (`pipeline.Source`)."""

    @property
    def epoch(self) -> str: ...

    @property
    def offset(self) -> int: ...


class Served(Protocol):
    """One server (`live.LiveServer`)."""

    @property
    def info(self) -> ServerInfo: ...

    @property
    def source(self) -> Stream: ...

    @property
    def store(self) -> Store: ...


class Live(Protocol):
    """All servers (`live.LiveState`)."""

    @property
    def servers(self) -> Mapping[int, Served]:
        """Those that have state; the program itself (0) always has."""

    @property
    def sources(self) -> Mapping[int, Stream]:
        """The streams of all whose events come, whether they have state or not."""

    @property
    def keeps_state(self) -> bool:
        """Whether more has state than the program itself (``live_state``)."""


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
    def entity(self) -> Entity:
        """The entity for plugins: what a client gets of it, as ``part`` or ``gone`` has it."""
        name = {"server": self._server, "kind": self.kind, "id": self.key}
        if self.fields is None:
            return {**name, "last": self.last} if self.last else name
        return {**name, **(self.fields if self.new else self._changed or {})}

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


class Flush:
    """What has changed of one server since its flush before; chunks are made when needed."""

    def __init__(self, shown: Shown, names: Sequence[Name], since: int) -> None:
        self.server = shown.server
        self.info = shown.info
        self.offset = shown.offset
        self._store = shown.store
        self._names = names
        self._since = since
        self._known = max(since, shown.read_at)
        self._chunks: list[list[Delta]] = []

    def chunks(self) -> Iterator[list[Delta]]:
        """All deltas; some CHUNK at a time, the same for all who ask."""
        for number in range(-(-len(self._names) // CHUNK)):
            if number == len(self._chunks):
                names = self._names[number * CHUNK : (number + 1) * CHUNK]
                deltas = map(self._delta, names)
                self._chunks.append([delta for delta in deltas if delta is not None])
            yield self._chunks[number]

    def _delta(self, name: Name) -> Delta | None:
        """None for what came and went meanwhile: nobody who gets this knows of it.

        In bursts that is more than half of all.
        """
        fields = self._store.get(*name)
        if fields is None and self._store.has_passed(*name, self._since, self._known):
            return None
        return Delta(self.server, name, fields, self._store.change(*name, self._since))


class Shown:
    """One server's state as clients see it, as of the last flush."""

    def __init__(
        self,
        served: Served,
        transform: Transform | None = None,
        on_fed: Callable[[], None] = lambda: None,
    ) -> None:
        self.server = served.info.id
        self.info = served.info
        self.offset = served.store.offset
        """Of the last flush: what all is known up to."""
        self.read_at = 0
        """Of when somebody was last told what no flush had told yet: all that was there."""
        self._source_epoch = served.source.epoch
        self.epoch = self._source_epoch
        self.store = served.store
        self._raw = served.store
        self._raw.drain()  # it is told as a whole
        self.changed: Changed | None = None
        if transform is not None:
            self.changed = Changed(served.info, self._raw, transform, on_fed)
            self.changed.wake()
            self.epoch, self.store = secrets.token_hex(8), self.changed.store
            self.offset = self.store.offset
        self._log: deque[tuple[int, Sequence[Name]]] = deque()
        self._logged = 0
        self._log_begins = self.offset

    @property
    def position(self) -> Position:
        """Where who knows all up to the last flush stands."""
        return Position(self.epoch, self.offset)

    def current(self) -> Store:
        """All that there is now, for who is told of it before the next flush."""
        self.read_at = self.store.offset
        return self.store

    def is_of(self, served: Served) -> bool:
        """Whether this still shows that server's stream."""
        return served.store is self._raw and served.source.epoch == self._source_epoch

    def close(self) -> None:
        """It is shown no longer."""
        if self.changed is not None:
            self.changed.close()

    def flush(self) -> Flush | None:
        """What has changed since the last flush; None for nothing."""
        if self.changed is not None:
            self.changed.wake()
        names = self.store.drain()
        if not names:
            return None
        since, self.offset = self.offset, self.store.offset
        self._log.append((self.offset, names))
        self._logged += len(names)
        while self._logged > MOST_NAMES and len(self._log) > 1:
            self._log_begins, forgotten = self._log.popleft()
            self._logged -= len(forgotten)
        return Flush(self, names, since)

    def can_tell(self, offset: int) -> bool:
        """Whether all that has changed since then is known."""
        return self.store.forgotten <= offset <= self.offset

    @property
    def pending(self) -> Iterable[Name]:
        """What the store already has otherwise than the last flush."""
        return self.store.touched

    def names_since(self, offset: int) -> Iterable[Name] | None:
        """The names of what was changed since then, each once; None: too many to remember."""
        if offset < self._log_begins:
            return None
        found: dict[Name, None] = {}
        for at, names in reversed(self._log):
            if at <= offset:
                break
            found.update(dict.fromkeys(names))
        return found
