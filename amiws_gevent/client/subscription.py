"""One view of the servers: a collection that is kept up to date, and what is told of it.

The client's thread gives messages, any other thread takes what they tell. What waits to be
taken is bounded: who is too slow for it is told of a gap, and finds the collection as it is now.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from amiws_gevent.client.collection import Change, Collection, Entity, Name
from amiws_gevent.client.login import ClientError

SLOW = "this program"
"""The reason of a `Gap` that this client has made: what waited was not taken in time."""
CONNECTION = "connection"
"""The reason of a `Gap` where the client could not say up to where it had read."""


class Event(NamedTuple):
    """A message of a server, as on the classic socket."""

    message: Mapping[str, Any]

    @property
    def data(self) -> Mapping[str, Any]:
        """Its headers."""
        data: Mapping[str, Any] = self.message["data"]
        return data


class Gap(NamedTuple):
    """Something was left out of a stream here; after it all is whole again.

    ``lost``: how many events or changes, None if unknown. ``server``: the one it is of, None: all.
    """

    stream: str
    reason: str
    lost: int | None = None
    server: int | None = None


class Subscription:
    """Iterate it for `Change`, `Event` and `Gap`; the iteration ends when it is closed.

    It is one queue: two threads that iterate share what comes. Raises ClientError if the server
    refuses the subscription.
    """

    def __init__(
        self,
        streams: frozenset[str],
        filters: Mapping[str, Any],
        limit: int,
        on_close: Callable[[Subscription], None],
    ) -> None:
        self.streams = streams
        self.filters = filters
        self._limit = limit
        self._on_close = on_close
        self._changed = threading.Condition()
        self._waiting: deque[Change | Event | Gap] = deque()
        self._collection = Collection()
        self._position: str | None = None
        self._resuming = False
        self._needs_snapshot = False  # until it is whole no position says what we have
        self._began = False
        self._loaded = False
        self._error: ClientError | None = None
        self._closed = False

    # For the program

    @property
    def items(self) -> dict[Name, Entity]:
        """All entities as they are now, a dict of the caller's own."""
        with self._changed:
            return dict(self._collection.items)

    def get(self, server: int, kind: str, key: str) -> Entity | None:
        """One entity; None if there is none."""
        with self._changed:
            return self._collection.items.get(Name(server, kind, key))

    @property
    def loaded(self) -> bool:
        """Whether it is subscribed, and of ``state`` a snapshot has come whole."""
        return self._loaded

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is `loaded`; raises TimeoutError, or ClientError if it never will be."""
        with self._changed:
            self._wait_for(lambda: self._loaded, timeout)
            if not self._loaded:
                raise ClientError("closed", "the subscription is closed")

    def take(self, timeout: float | None = None) -> Change | Event | Gap | None:
        """The next; None after the last, if it is closed. Raises TimeoutError and ClientError."""
        with self._changed:
            self._wait_for(lambda: self._waiting, timeout)
            return self._waiting.popleft() if self._waiting else None

    def __iter__(self) -> Iterator[Change | Event | Gap]:
        while (told := self.take()) is not None:
            yield told

    def close(self) -> None:
        """End it; who iterates gets what waits, and then the end."""
        self.end()
        self._on_close(self)

    def _wait_for(self, condition: Callable[[], object], timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            if self._error is not None:
                raise self._error
            if self._closed:
                return
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"nothing came within {timeout:g} s")
            self._changed.wait(left)

    # For the client's thread

    def request(self) -> dict[str, Any]:
        """What begins it on a new connection, or goes on with it."""
        with self._changed:
            self._collection.forget_pages()
            self._resuming = self._position is not None
            asked = {"streams": sorted(self.streams), "filters": dict(self.filters)}
            if self._position is None:
                return {"op": "subscribe", **asked}
            return {"op": "resume", **asked, "position": self._position}

    def subscribed(self, resumed: bool, position: str | None = None) -> None:
        """The server has answered."""
        with self._changed:
            self._needs_snapshot = "state" in self.streams and not self._resuming
            if not resumed:
                self._position = None
            self.at(position)
            if self._began and not self._resuming and "events" in self.streams:
                self._put(Gap("events", CONNECTION))
            self._began = True
            self._loaded = self._loaded or "state" not in self.streams
            self._changed.notify_all()

    def received(self, message: Mapping[str, Any]) -> None:
        """Take a ``snapshot``, ``state``, ``event`` or ``gap`` of it."""
        with self._changed:
            for told in self._told(message):
                self._put(told)
            if message["op"] == "snapshot":
                self._needs_snapshot = self._collection.loading
                self._loaded = self._loaded or not self._needs_snapshot
            elif message["op"] == "gap" and message["stream"] == "state":
                self._needs_snapshot = True
            if self._needs_snapshot:
                self._position = None
            self.at(message.get("position"))
            self._changed.notify_all()

    def at(self, position: str | None) -> None:
        """Where it is now, if that was said."""
        with self._changed:
            if position and not self._needs_snapshot:
                self._position = position

    def refused(self, error: ClientError) -> None:
        """The server will not have it."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _told(self, message: Mapping[str, Any]) -> Sequence[Change | Event | Gap]:
        match message["op"]:
            case "snapshot":
                pages = message["page"], message["pages"]
                return self._collection.snapshot(*pages, message["items"])
            case "state":
                return self._collection.state(message["set"], message["unset"])
            case "event":
                return [Event(message["message"])]
            case "gap":
                found = message["stream"], message["reason"], message.get("lost")
                return [Gap(*found, message.get("server"))]
        return []

    def _put(self, told: Change | Event | Gap) -> None:
        """Keep it until it is taken; past the limit only how much there was."""
        if len(self._waiting) >= self._limit:
            lost = {"state": 0, "events": 0}
            for one in (*self._waiting, told):
                _count(one, lost)
            self._waiting.clear()
            self._waiting.extend(Gap(name, SLOW, lost[name]) for name in sorted(self.streams))
        else:
            self._waiting.append(told)


def _count(told: Change | Event | Gap, lost: dict[str, int]) -> None:
    if isinstance(told, Gap):
        lost[told.stream] += told.lost or 0
    else:
        lost["events" if isinstance(told, Event) else "state"] += 1
