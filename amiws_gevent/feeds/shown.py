"""What clients are shown of one server's state, and what has changed of it at each flush.

That is the server's own store, or, where plugins change what is shown, a second one that is
fed with what they have made of it (`changed`): so a delta is always one of what a client sees.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from amiws_gevent.batch import Position
from amiws_gevent.feeds.changed import Changed, Transform
from amiws_gevent.feeds.deltas import Flush
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.state.store import Name, Store

MOST_NAMES = 20_000
"""Names of changes that are kept for who comes back or is slow, as many as there are
tombstones. Past them all entities are looked at."""


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


class Flushed:
    """One server's entities as some clients see them, as of the last flush.

    They are in ``store``; ``epoch`` is that of their positions, which say its offsets.
    """

    def __init__(self, info: ServerInfo, store: Store, epoch: str) -> None:
        self.server = info.id
        self.info = info
        self.store = store
        self.epoch = epoch
        self.offset = store.offset
        """Of the last flush: what all is known up to."""
        self.read_at = 0
        """Of when somebody was last told what no flush had told yet: all that was there."""
        self._log: deque[tuple[int, Sequence[Name]]] = deque()
        self._logged = 0
        self._log_begins = self.offset
        self._flushes = 0

    @property
    def position(self) -> Position:
        """Where who knows all up to the last flush stands."""
        return Position(self.epoch, self.offset)

    def prepare(self) -> bool:
        """Do the next step of what is to be done before clients are told; whether it is done."""
        return True

    def current(self) -> Store:
        """All that there is now, for who is told of it before the next flush."""
        self.read_at = self.store.offset
        self.store.look()
        return self.store

    def flush(self) -> Flush | None:
        """What has changed since the last flush; None for nothing."""
        if not self.store.dirty:
            return None
        names = self.store.drain()
        since, self.offset = self.offset, self.store.offset
        if names:
            self._log.append((self.offset, names))
            self._logged += len(names)
        while self._logged > MOST_NAMES and len(self._log) > 1:
            self._log_begins, forgotten = self._log.popleft()
            self._logged -= len(forgotten)
        self._flushes += 1
        return Flush(
            self,
            self.info,
            self.current,
            names,
            number=self._flushes,
            position=self.position,
            since=since,
            known=self.read_at,
        )

    def can_tell(self, offset: int) -> bool:
        """Whether all that has changed since then is known.

        Another process may have told somebody already what the next flush tells here.
        """
        return self.store.forgotten <= offset <= self.store.offset

    @property
    def pending(self) -> int | None:
        """The number of the flush that will tell what is other by now; None if nothing is."""
        return self._flushes + 1 if self.store.dirty else None

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


class Shown(Flushed):
    """One server's state as clients see it who see all of it.

    With ``transform`` it has positions of its own, behind ``after`` if that is given.
    """

    def __init__(
        self,
        served: Served,
        transform: Transform | None = None,
        on_fed: Callable[[], None] = lambda: None,
        after: Position | None = None,
    ) -> None:
        self._source_epoch = served.source.epoch
        self._raw = served.store
        self._raw.drain()  # it is told as a whole
        self.changed: Changed | None = None
        if transform is None:
            super().__init__(served.info, self._raw, self._source_epoch)
            return
        after = after or Position(secrets.token_hex(8), 0)
        self.changed = Changed(served.info, self._raw, transform, on_fed, after.offset)
        self.changed.wake()
        super().__init__(served.info, self.changed.store, after.epoch)

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
        return super().flush()
