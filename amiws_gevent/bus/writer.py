"""The collector's streams: entries and snapshots on their way to Redis."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from amiws_gevent.bus.api import Bounds, Publisher
from amiws_gevent.bus.connection import Away, Connection, Refusal
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.lease import Lease
from amiws_gevent.bus.scripts import APPEND, BROKEN, FENCED, OPEN, REMOVE, SAVE, TRIM, Command
from amiws_gevent.bus.worker import Guard, Health, Worker
from amiws_gevent.runtime.log import LogLimiter

_log = logging.getLogger("amiws_gevent.bus")

MOST_WAITING = 64 * 1024 * 1024
"""Bytes that wait for Redis, of all streams together. One item alone may be larger."""

LONGEST_OUTAGE = 60.0
"""Seconds that an entry may wait: clients that missed more than that are better told anew."""

LARGEST_ITEM = 256 * 1024 * 1024
"""Bytes of an entry or snapshot; Redis takes 512 MiB by default (``proto-max-bulk-len``)."""

KEPT = 24 * 3600
"""Seconds that a stream stays in Redis once no collector sees to it any more."""

REPLY_TIME = 5.0
_IDLE = 1.0
_RETRY = 0.1  # seconds, while the lease is in doubt
_GIVEN_UP = 1.0  # seconds between two times that a stream begins anew
_OVERHEAD = 128  # bytes of an item beside its payload, here and in Redis
_GROUP_ITEMS = 256
_GROUP_BYTES = 1024 * 1024
_TURN_BYTES = 8 * 1024 * 1024
_TRIMS = 32  # as often while a stream fills up from empty

_Kind = Literal["entry", "snapshot", "end"]


@dataclass(frozen=True, slots=True)
class _Item:
    kind: _Kind
    data: bytes
    since: float

    @property
    def size(self) -> int:
        return len(self.data) + _OVERHEAD


class _Stream:
    """What is known of a stream, and what waits for it."""

    def __init__(self, name: str, keys: Keys) -> None:
        self.name = name
        self.keys = [keys.fence, keys.stream(name), keys.about(name)]
        self.waiting: deque[_Item] = deque()
        self.number: int | None = None
        """Of the newest entry in Redis; None before the stream was opened."""
        self.anew = False
        """Whether it is to begin anew when it is opened."""
        self.broken = ""
        """Why it has lost something, until its owner is told."""
        self.told_at = float("-inf")
        self.entries = 0
        self.bytes = 0
        """In Redis since the newest snapshot."""
        self.asked = False
        self.to_trim = 0
        self.to_trim_bytes = 0
        self.trimmed_at = float("-inf")

    def opened(self, number: int, entries: int, size: int) -> None:
        self.number, self.entries, self.bytes = number, entries, size
        self.anew = False
        self.asked = False


class RedisWriter(Worker):
    """`Writer` over Redis. What it has counted is in its attributes."""

    def __init__(
        self,
        keys: Keys,
        connection: Connection,
        health: Health,
        lease: Lease,
        publisher: Publisher,
        guard: Guard,
        bounds: Bounds,
        *,
        most_waiting: int = MOST_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("writer", connection, health)
        self.entries = 0
        self.bytes = 0
        self.snapshots = 0
        self.dropped = 0
        """Entries and snapshots that never reached Redis."""
        self.breaks = 0
        """How often a stream had to begin anew."""
        self.refusals = 0
        """What Redis refused since another collector has a newer lease."""
        self.waiting = 0
        """Bytes that wait for Redis."""
        self._keys = keys
        self._lease = lease
        self._publisher = publisher
        self._guard = guard
        self._bounds = bounds
        self._most_waiting = most_waiting
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._ready: dict[str, _Stream] = {}
        """Those with something to do, who had the least of the greenlet's time first."""
        self._sweeps_at = 0.0
        self._retries_at = 0.0
        self._open = False
        self._fence: bytes | None = None
        self._limiter = LogLimiter()

    def begin(self) -> None:
        """This collector has the lease: take what comes, for streams as they are in Redis."""
        self._open = True

    def end(self) -> None:
        """It has lost the lease: drop all, and what comes."""
        self._open = False
        for stream in self._streams.values():
            self.dropped += len(stream.waiting)
            stream.broken = "the lease is lost"  # for replies that are still to come
        self._streams.clear()
        self._ready.clear()
        self.waiting = 0

    def append(self, stream: str, data: bytes) -> None:
        self._queue(stream, "entry", data)

    def save(self, stream: str, data: bytes) -> None:
        self._queue(stream, "snapshot", data)

    def remove(self, stream: str) -> None:
        self._queue(stream, "end", b"")

    def _queue(self, name: str, kind: _Kind, data: bytes) -> None:
        if not self._open:
            self.dropped += 1
            return
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = _Stream(name, self._keys)
        if kind == "end" and stream.broken:  # nobody needs to be told
            stream.number, stream.anew, stream.broken = None, True, ""
        if len(data) > LARGEST_ITEM:
            self._give_up(stream, f"an entry or snapshot has {len(data)} bytes, too many for Redis")
        item = _Item(kind, data, self._clock())
        while not stream.broken and self.waiting and self.waiting + item.size > self._most_waiting:
            largest = max(self._ready.values(), key=lambda one: sum(i.size for i in one.waiting))
            self._give_up(largest, f"more than {self._most_waiting} bytes wait for Redis")
        if stream.broken:
            self.dropped += 1
            return
        stream.waiting.append(item)
        self.waiting += item.size
        self._ready[name] = stream
        self.wake.set()

    def _give_up(self, stream: _Stream, reason: str) -> None:
        """Drop what waits; the stream begins anew once Redis takes entries."""
        self.dropped += len(stream.waiting)
        self.waiting -= sum(item.size for item in stream.waiting)
        stream.waiting.clear()
        if not stream.broken:
            self.breaks += 1
            stream.broken = reason
            self._limiter.log(
                _log, logging.WARNING, stream.name, "stream %s begins anew: %s", stream.name, reason
            )
        self._ready[stream.name] = stream
        self.wake.set()

    # In the greenlet

    def opened(self) -> None:
        self._suspect()

    def _suspect(self) -> None:
        """Redis may have lost its data: trimming finds out, for streams with nothing new too."""
        for stream in self._streams.values():
            stream.trimmed_at = float("-inf")
        self._sweeps_at = 0.0

    def turn(self) -> float:
        fence = self._lease.fence
        if fence is None or not self._open:
            return _IDLE
        now = self._clock()
        if not self._lease.holds() or (fence == self._fence and now < self._retries_at):
            return _RETRY
        if fence != self._fence:
            self._fence = fence
            self._suspect()
        if now >= self._sweeps_at:  # for trimming, also where nothing comes
            self._sweeps_at = now + _IDLE
            self._ready |= {name: one for name, one in self._streams.items() if self._is_due(one)}
        self._begin_anew(now)
        self._open_streams(fence)
        more = self._write(fence)
        return 0.0 if more else _IDLE

    def ending(self) -> None:
        """All that waits, as long as that goes well."""
        while any(stream.waiting for stream in self._ready.values()):
            fence = self._lease.fence
            if fence is None or not self._lease.holds():
                return
            self._open_streams(fence)
            if not self._write(fence):
                return

    def _begin_anew(self, now: float) -> None:
        """Tell the owners of broken streams; what they append is a new beginning."""
        for stream in list(self._ready.values()):
            if stream.waiting and now - stream.waiting[0].since > LONGEST_OUTAGE:
                self._give_up(stream, f"Redis was away for more than {LONGEST_OUTAGE:g} s")
            if stream.broken and now - stream.told_at >= _GIVEN_UP:
                stream.number, stream.anew, stream.broken = None, True, ""
                stream.told_at = now
                self._guard(self._publisher.on_broken, stream.name)

    def _open_streams(self, fence: bytes) -> None:
        """Find out where streams stand, or begin them."""
        wanted = [one for one in self._ready.values() if one.waiting and one.number is None]
        commands = []
        for stream in wanted:
            base = random.getrandbits(31) << 20
            first = stream.waiting[0]
            snapshot = [first.data] if first.kind == "snapshot" else []
            commands.append(
                OPEN(stream.keys, fence, int(stream.anew), base, KEPT * 1000, *snapshot)
            )
        for stream, reply in self._asked(wanted, commands):
            if isinstance(reply, list) and not stream.broken:
                *state, begun = reply
                stream.opened(*state)
                if begun and stream.waiting[0].kind == "snapshot":
                    self._written(stream, 1, state[0])

    def _write(self, fence: bytes) -> bool:
        """Write some of what waits; whether more does."""
        streams: list[_Stream] = []
        counts: list[int] = []
        commands: list[Command] = []
        size = 0
        for stream in [one for one in self._ready.values() if one.number is not None]:
            for count, command in self._commands(stream, fence):
                streams.append(stream)
                counts.append(count)
                commands.append(command)
                size += sum(len(part) for part in command if isinstance(part, bytes))
            self._ready[stream.name] = self._ready.pop(stream.name)
            if size > _TURN_BYTES:
                break
        failed: set[str] = set()
        for (stream, reply), count in zip(self._asked(streams, commands), counts, strict=True):
            if stream.name in failed:
                continue  # what comes behind a command that failed says nothing
            if reply == BROKEN:
                self._give_up(stream, "Redis has lost its data")
            if not isinstance(reply, int) or reply < 0 or stream.broken:
                failed.add(stream.name)
            elif count:
                self._written(stream, count, reply)
        self._ready = {name: one for name, one in self._ready.items() if one.waiting or one.broken}
        return any(one.waiting and one.name not in failed for one in self._ready.values())

    def _asked(
        self, streams: list[_Stream], commands: list[Command]
    ) -> Iterator[tuple[_Stream, Any]]:
        """Each stream with its reply, whatever the reply is; then what was refused is told."""
        if not commands:
            return
        replies = self.connection.ask_all(commands)
        yield from zip(streams, replies, strict=True)
        if FENCED in replies:
            self.refusals += 1
            self._retries_at = self._clock() + _RETRY
            self._lease.doubt()
        for reply in replies:
            if isinstance(reply, Refusal):
                raise Away(reply.reason)

    def _commands(self, stream: _Stream, fence: bytes) -> Iterator[tuple[int, Command]]:
        """What is to be done for a stream now, each with how many items it is."""
        entries: list[bytes] = []
        size = 0
        assert stream.number is not None
        for item in stream.waiting:
            if item.kind != "entry" or len(entries) == _GROUP_ITEMS or size > _GROUP_BYTES:
                break
            entries.append(item.data)
            size += len(item.data)
        if entries:
            yield len(entries), APPEND(stream.keys, fence, stream.number, *entries)
        elif stream.waiting and stream.waiting[0].kind == "snapshot":
            keys = [stream.keys[0], stream.keys[2]]
            yield 1, SAVE(keys, fence, stream.number, stream.waiting[0].data)
        elif stream.waiting:
            yield 1, REMOVE(stream.keys, fence)
            return
        if self._is_due(stream):
            yield 0, self._trim(stream, fence, stream.number + len(entries))

    def _written(self, stream: _Stream, count: int, number: int) -> None:
        items = [stream.waiting.popleft() for _ in range(count)]
        size = sum(len(item.data) for item in items)
        self.waiting -= size + count * _OVERHEAD
        if items[0].kind == "end":
            stream.number, stream.anew = None, True
            if not stream.waiting:
                del self._streams[stream.name]
            return
        stream.number = number
        if items[0].kind == "snapshot":
            self.snapshots += 1
            stream.opened(number, 0, 0)
            return
        self.entries += count
        self.bytes += size
        stream.entries += count
        stream.bytes += size
        stream.to_trim += count
        stream.to_trim_bytes += size
        self._look_at_length(stream)

    def _look_at_length(self, stream: _Stream) -> None:
        """A stream cannot be trimmed past its snapshot: ask for a new one in time."""
        bounds = self._bounds
        share = max(stream.entries / bounds.entries, stream.bytes / bounds.bytes)
        if share > 2:
            self._give_up(stream, "no snapshot was saved in time")
        elif share > 0.5 and not stream.asked:
            stream.asked = True
            self._guard(self._publisher.on_snapshot_due, stream.name)

    def _is_due(self, stream: _Stream) -> bool:
        bounds = self._bounds
        return (
            stream.to_trim > bounds.entries / _TRIMS
            or stream.to_trim_bytes > bounds.bytes / _TRIMS
            or self._clock() - stream.trimmed_at > bounds.age / _TRIMS
        )

    def _trim(self, stream: _Stream, fence: bytes, number: int) -> Command:
        bounds = self._bounds
        stream.to_trim = stream.to_trim_bytes = 0
        stream.trimmed_at = self._clock()
        age = round(bounds.age * 1000)
        return TRIM(stream.keys, fence, bounds.entries, bounds.bytes, age, KEPT * 1000, number)
