"""An edge's streams: all that it follows, read by one connection in one greenlet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from amiws_gevent.bus.api import Bounds, EdgeEvents, LeaseOf
from amiws_gevent.bus.connection import Away, Connection
from amiws_gevent.bus.entries import entry_of, number_of
from amiws_gevent.bus.holders import Holders
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.leases import holder_of
from amiws_gevent.bus.scripts import LOOK, Command
from amiws_gevent.bus.worker import Guard, Health, Worker
from amiws_gevent.runtime.log import LogLimiter

_log = logging.getLogger("amiws_gevent.bus")

LOOK_TIME = 1.0
"""Seconds between two looks whether the streams, and their collectors, are still there."""

REPLY_TIME = 5.0
"""Seconds that Redis may take, besides those for which it is told to wait."""

_NEVER = float("-inf")
_FEW_BYTES = 1024 * 1024
_MANY_BYTES = 8 * 1024 * 1024
_MOST_ENTRIES = 64
_MOST_OF_ALL = 1024  # entries at once, if there are many streams


class _Followed:
    """Where a stream is read."""

    def __init__(self, name: str, keys: Keys) -> None:
        self.name = name
        self.key = keys.stream(name)
        self.about = keys.about(name)
        self.begun = False
        self.base = -1
        self.id = b"0-0"
        self.number = -1
        self.ahead = 0
        """Entries that Redis had more than we have told, when it was looked at."""


_ID_OF = attrgetter("id")


class _Asked(NamedTuple):
    """What is asked of Redis for each read, as long as the streams are the same."""

    streams: tuple[_Followed, ...]
    """Those that have begun."""
    by_key: Mapping[bytes, _Followed]
    most: int
    words: Command
    """All before the milliseconds."""
    keys: Command
    """What is between these and the ids."""


class RedisReader(Worker):
    """`Reader` over Redis. What it has counted is in its attributes."""

    def __init__(
        self,
        keys: Keys,
        connection: Connection,
        health: Health,
        lease_of: LeaseOf,
        events: EdgeEvents,
        guard: Guard,
        bounds: Bounds,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("reader", connection, health)
        self.entries = 0
        self.bytes = 0
        self.begins = 0
        self.breaks = 0
        """How often a stream was lost, or trimmed past us."""
        self._keys = keys
        self._lease_of = lease_of
        self._events = events
        self._guard = guard
        self._bounds = bounds
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        self._asked: _Asked | None = None
        """None: made anew for the next read, since streams have begun, or are others."""
        self._count = 16
        self._looked_at = _NEVER
        self._holders = Holders(clock)
        self._told: tuple[bool, str] | None = None
        self._limiter = LogLimiter()

    def follow(self, streams: Iterable[str]) -> None:
        before = self._followed
        self._followed = {
            name: before.get(name) or _Followed(name, self._keys) for name in dict.fromkeys(streams)
        }
        self._asked = None
        self._looked_at = _NEVER

    def lag(self) -> Mapping[str, int]:
        return {name: stream.ahead for name, stream in self._followed.items()}

    # In the greenlet

    def opened(self) -> None:
        self._looked_at = _NEVER

    def away(self, away: Away) -> None:
        self._tell_connection(False, str(away))

    def turn(self) -> float:
        since = self._clock() - self._looked_at
        if since >= LOOK_TIME:
            self._looked_at, since = self._clock(), 0.0
            self._look()
            return 0.0
        asked = self._asked or self._made()
        if self._looked_at == _NEVER:  # who was told that a stream begins follows others now
            return 0.0
        if not asked.streams:
            return LOOK_TIME - since
        self._read(asked, LOOK_TIME - since)
        return 0.0

    def _made(self) -> _Asked:
        """Begin what can be begun, and find out what to read."""
        for stream in self._all():
            if stream.base >= 0 and not stream.begun:
                self._begin(stream)
        streams = tuple(stream for stream in self._all() if stream.begun)
        count = max(1, min(self._count, _MOST_OF_ALL // max(1, len(streams))))
        by_key = {stream.key: stream for stream in streams}
        words = ("XREAD", "COUNT", count, "BLOCK")
        self._asked = _Asked(streams, by_key, count, words, ("STREAMS", *by_key))
        return self._asked

    def _all(self) -> list[_Followed]:
        return list(self._followed.values())

    def _is_followed(self, stream: _Followed) -> bool:
        """Whether it still is: callbacks may have changed that."""
        return self._followed.get(stream.name) is stream

    def _tell_connection(self, up: bool, reason: str) -> None:
        if self._told != (up, reason):
            self._told = (up, reason)
            self._guard(self._events.on_connection, up, reason)

    def _look(self) -> None:
        streams = self._all()
        leases = list(dict.fromkeys(self._lease_of(stream.name) for stream in streams))
        keys = [self._keys.leases, *(stream.about for stream in streams)]
        found = self.connection.ask(*LOOK(keys, *leases))
        self._tell_connection(True, "")
        self._tell_collectors(dict(zip(leases, found, strict=False)))
        for stream, (base, number) in zip(streams, found[len(leases) :], strict=True):
            stream.ahead = max(0, number - stream.number) if stream.begun else 0
            if stream.begun and (base != stream.base or number < stream.number):
                self._broken(stream, "it is gone" if base < 0 else "Redis has lost what it had")
            if base != stream.base:
                stream.base, self._asked = base, None

    def _tell_collectors(self, found: Mapping[str, bytes]) -> None:
        for lease in self._holders.look(found):
            holder = holder_of(found[lease])
            reason = f"{holder or 'no collector'} has the lease"
            self._guard(self._events.on_collector, lease, bool(holder), reason)

    def _broken(self, stream: _Followed, reason: str) -> None:
        self.breaks += 1
        stream.begun, self._asked = False, None
        self._looked_at = _NEVER  # where it is now
        self._limiter.log(
            _log,
            logging.WARNING,
            stream.name,
            "stream %s is read anew from its snapshot: %s",
            stream.name,
            reason,
        )
        if self._is_followed(stream):
            self._guard(self._events.on_broken, stream.name, reason)

    def _begin(self, stream: _Followed) -> None:
        """Tell the snapshot, and go on behind it."""
        fields = ("base", "n", "sms", "sn", "snapshot")
        base, newest, time, number, snapshot = self.connection.ask("HMGET", stream.about, *fields)
        if snapshot is None:
            stream.base = -1  # until the next look
            return
        stream.base = int(base)
        stream.id, stream.number = b"%b-%b" % (time, number), int(number)
        stream.ahead = int(newest) - stream.number
        earlier = self._earlier(stream)
        if self._is_followed(stream):
            stream.begun = True
            self.begins += 1
            self._guard(self._events.on_begin, stream.name, snapshot, earlier)

    def _earlier(self, stream: _Followed) -> list[bytes]:
        """The entries up to the snapshot, as many as the bounds permit, oldest first."""
        newest_first: list[bytes] = []
        size, end, due = 0, stream.id, stream.number
        while len(newest_first) < self._bounds.entries and size < self._bounds.bytes:
            found = self.connection.ask(
                "XREVRANGE", stream.key, end, "-", "COUNT", str(self._count)
            )
            page = [entry_of(one) for one in found]
            for identity, number, payload in page:
                if number != due or number == stream.base:
                    return newest_first[::-1]
                newest_first.append(payload)
                size += len(payload)
                end, due = b"(" + identity, number - 1
            if not page:
                break
            self._adapt(sum(len(payload) for _, _, payload in page), full=True)
        return newest_first[::-1]

    def _read(self, asked: _Asked, seconds: float) -> None:
        """Wait for entries of these streams, and tell them."""
        milliseconds = max(1, round(seconds * 1000))
        words = (*asked.words, milliseconds, *asked.keys, *map(_ID_OF, asked.streams))
        found = self.connection.ask(*words)
        if not found:
            return
        size, longest = 0, 0
        for key, entries in found:
            longest = max(longest, len(entries))
            size += self._tell(asked.by_key[key], entries)
        if size > _MANY_BYTES or longest >= asked.most:
            self._adapt(size, full=longest >= asked.most)

    def _tell(self, stream: _Followed, found: list[Any]) -> int:
        """Tell entries, up to a gap between their numbers; returns their bytes."""
        payloads: list[bytes] = []
        size = 0
        gap = False
        due = stream.number + 1
        for identity, fields in found:  # no `entry_of`: for a lone entry it is a tenth of all
            gap = fields is None or number_of(identity) != due
            if gap:
                break
            stream.id, stream.number = identity, due
            due += 1
            payloads.append(fields[1])
            size += len(fields[1])
        if payloads and stream.begun and self._is_followed(stream):
            self.entries += len(payloads)
            self.bytes += size
            self._guard(self._events.on_entries, stream.name, payloads)
            stream.ahead = max(0, stream.ahead - len(payloads))
        if gap:
            self._broken(stream, "it was trimmed past us, or begins anew")
        return size

    def _adapt(self, size: int, full: bool) -> None:
        """Entries that are read at once: many if they are small, so that memory is bounded."""
        before = self._count
        if size > _MANY_BYTES:
            self._count = max(1, self._count // 2)
        elif full and size < _FEW_BYTES:
            self._count = min(_MOST_ENTRIES, self._count * 2)
        if self._count != before:
            self._asked = None
