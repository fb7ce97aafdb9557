"""The collector's streams: entries and snapshots on their way to Redis."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from amiws_gevent.bus.api import Bounds, LeaseOf, OnTail, Publisher
from amiws_gevent.bus.connection import Away, Connection, Refusal
from amiws_gevent.bus.entries import entry_of
from amiws_gevent.bus.keys import Keys, field
from amiws_gevent.bus.leases import Leases
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
_TAIL_ENTRIES = 256
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

    def __init__(self, name: str, lease: str, keys: Keys) -> None:
        self.name = name
        self.lease = lease
        self.field = field(lease)
        self.keys = [keys.leases, keys.stream(name), keys.about(name)]
        self.fence: bytes | None = None
        """Under which it was looked at last."""
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
        leases: Leases,
        lease_of: LeaseOf,
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
        """What Redis refused since another collector has a newer term."""
        self.waiting = 0
        """Bytes that wait for Redis."""
        self._keys = keys
        self._leases = leases
        self._lease_of = lease_of
        self._publisher = publisher
        self._guard = guard
        self._bounds = bounds
        self._most_waiting = most_waiting
        self._clock = clock
        self._streams: dict[str, _Stream] = {}
        self._ready: dict[str, _Stream] = {}
        """Those with something to do, who had the least of the greenlet's time first."""
        self._tails: deque[tuple[_Stream, OnTail]] = deque()
        self._sweeps_at = 0.0
        self._refused: dict[str, tuple[bytes, float]] = {}
        """Under which fence Redis has refused what is of a lease, and until when it is left."""
        self._open: set[str] = set()
        """The leases whose entries are taken."""
        self._limiter = LogLimiter()

    def begin(self, lease: str) -> None:
        """This collector has the lease: take what comes, for streams as they are in Redis."""
        self._open.add(lease)

    def close(self, lease: str) -> None:
        """Take no more; what waits is still written."""
        self._open.discard(lease)

    def is_written(self, lease: str) -> bool:
        """Whether nothing waits that belongs to the lease."""
        return not any(one.waiting for one in self._ready.values() if one.lease == lease)

    def end(self, lease: str) -> None:
        """It has lost the lease: drop all, and what comes."""
        self._open.discard(lease)
        self._refused.pop(lease, None)
        for stream in [one for one in self._streams.values() if one.lease == lease]:
            self.dropped += len(stream.waiting)
            self.waiting -= sum(item.size for item in stream.waiting)
            stream.waiting.clear()
            stream.broken = "the lease is lost"  # for replies that are still to come
            del self._streams[stream.name]
            self._ready.pop(stream.name, None)

    def append(self, stream: str, data: bytes) -> None:
        self._queue(stream, "entry", data)

    def save(self, stream: str, data: bytes) -> None:
        self._queue(stream, "snapshot", data)

    def remove(self, stream: str) -> None:
        self._queue(stream, "end", b"")

    def tail(self, stream: str, on_tail: OnTail) -> None:
        known = self._stream(stream)
        if known is not None:
            self._tails.append((known, on_tail))
            self.wake.set()

    def _stream(self, name: str) -> _Stream | None:
        """None without the lease."""
        stream = self._streams.get(name)
        lease = self._lease_of(name) if stream is None else stream.lease
        if lease not in self._open:
            return None
        if stream is None:
            stream = self._streams[name] = _Stream(name, lease, self._keys)
        return stream

    def _queue(self, name: str, kind: _Kind, data: bytes) -> None:
        stream = self._stream(name)
        if stream is None:
            self.dropped += 1
            return
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
            stream.fence = None
        self._sweeps_at = 0.0

    def turn(self) -> float:
        now = self._clock()
        if now >= self._sweeps_at:  # for trimming, also where nothing comes
            self._sweeps_at = now + _IDLE
            self._ready |= {name: one for name, one in self._streams.items() if self._is_due(one)}
        self._tell_tails()
        self._begin_anew(now)
        self._open_streams()
        if self._write():
            return 0.0
        return _RETRY if self._ready or self._tails else _IDLE

    def ending(self) -> None:
        """All that waits, as long as that goes well."""
        while any(stream.waiting and self._fence(stream) for stream in self._ready.values()):
            self._open_streams()
            if not self._write():
                return

    def _fence(self, stream: _Stream) -> bytes | None:
        """Under which the stream may be written now; None while that is in doubt."""
        fence = self._leases.fence(stream.lease)
        refused, until = self._refused.get(stream.lease, (None, 0.0))
        return None if fence == refused and self._clock() < until else fence

    def _tell_tails(self) -> None:
        """Read what the collector before has left, a stream at a time."""
        for _ in range(len(self._tails)):
            stream, on_tail = self._tails[0]
            if self._streams.get(stream.name) is not stream:  # the lease is lost
                self._tails.popleft()
            elif self._fence(stream) is None:
                self._tails.rotate(-1)
            else:
                snapshot, entries = self._tail(stream)
                self._tails.popleft()
                if self._streams.get(stream.name) is stream:
                    self._guard(on_tail, snapshot, entries)

    def _tail(self, stream: _Stream) -> tuple[bytes | None, list[bytes]]:
        """The newest snapshot, and what is behind it; else the stream is to begin anew."""
        about, fields = stream.keys[2], ("sms", "sn", "n", "snapshot")
        time, number, newest, snapshot = self.connection.ask("HMGET", about, *fields)
        if snapshot is None:
            stream.anew = True
            return None, []
        entries: list[bytes] = []
        last, due = b"%b-%b" % (time, number), int(number) + 1
        while due <= int(newest):
            page = ("XRANGE", stream.keys[1], b"(" + last, "+", "COUNT", _TAIL_ENTRIES)
            found = [entry_of(one) for one in self.connection.ask(*page)]
            if not found or [one.number for one in found] != list(range(due, due + len(found))):
                stream.anew = True
                return None, []
            entries += [one.payload for one in found]
            last, due = found[-1].id, due + len(found)
        return snapshot, entries

    def _begin_anew(self, now: float) -> None:
        """Tell the owners of broken streams; what they append is a new beginning."""
        for stream in [one for one in self._ready.values() if self._fence(one) is not None]:
            if stream.waiting and now - stream.waiting[0].since > LONGEST_OUTAGE:
                self._give_up(stream, f"Redis was away for more than {LONGEST_OUTAGE:g} s")
            if stream.broken and now - stream.told_at >= _GIVEN_UP:
                stream.number, stream.anew, stream.broken = None, True, ""
                stream.told_at = now
                self._guard(self._publisher.on_broken, stream.name)

    def _open_streams(self) -> None:
        """Find out where streams stand, or begin them."""
        wanted: list[_Stream] = []
        commands: list[Command] = []
        for stream in self._ready.values():
            if not stream.waiting or stream.number is not None:
                continue
            stream.fence = self._fence(stream)
            if stream.fence is not None:
                wanted.append(stream)
                commands.append(_opening(stream, stream.fence))
        for stream, reply in self._asked(wanted, commands):
            if isinstance(reply, list) and not stream.broken:
                *state, begun = reply
                stream.opened(*state)
                if begun and stream.waiting[0].kind == "snapshot":
                    self._written(stream, 1, state[0])

    def _write(self) -> bool:
        """Write some of what waits; whether more can be written now."""
        streams: list[_Stream] = []
        counts: list[int] = []
        commands: list[Command] = []
        size = 0
        for stream in [one for one in self._ready.values() if one.number is not None]:
            fence = self._fence(stream)
            if fence is None:
                continue
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
            if reply == BROKEN and not stream.broken:
                self._give_up(stream, "Redis has lost its data")
            if not isinstance(reply, int) or reply < 0 or stream.broken:
                failed.add(stream.name)
            elif count:
                self._written(stream, count, reply)
        self._ready = {name: one for name, one in self._ready.items() if one.waiting or one.broken}
        return any(
            one.waiting and one.name not in failed and self._fence(one) is not None
            for one in self._ready.values()
        )

    def _asked(
        self, streams: list[_Stream], commands: list[Command]
    ) -> Iterator[tuple[_Stream, Any]]:
        """Each stream with its reply, whatever the reply is; then what was refused is told."""
        if not commands:
            return
        replies = self.connection.ask_all(commands)
        yield from zip(streams, replies, strict=True)
        refused = {one for one, reply in zip(streams, replies, strict=True) if reply == FENCED}
        for stream in refused:
            self.refusals += 1
            self._refused[stream.lease] = (stream.fence or b"", self._clock() + _RETRY)
            self._leases.doubt()
        for reply in replies:
            if isinstance(reply, Refusal):
                raise Away(reply.reason)

    def _commands(self, stream: _Stream, fence: bytes) -> Iterator[tuple[int, Command]]:
        """What is to be done for a stream now, each with how many items it is."""
        due = self._is_due(stream)
        stream.fence = fence
        entries: list[bytes] = []
        size = 0
        assert stream.number is not None
        for item in stream.waiting:
            if item.kind != "entry" or len(entries) == _GROUP_ITEMS or size > _GROUP_BYTES:
                break
            entries.append(item.data)
            size += len(item.data)
        if entries:
            yield len(entries), APPEND(stream.keys, stream.field, fence, stream.number, *entries)
        elif stream.waiting and stream.waiting[0].kind == "snapshot":
            keys = [stream.keys[0], stream.keys[2]]
            yield 1, SAVE(keys, stream.field, fence, stream.number, stream.waiting[0].data)
        elif stream.waiting:
            yield 1, REMOVE(stream.keys, stream.field, fence)
            return
        if due:
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
            stream.fence != self._leases.fence(stream.lease)
            or stream.to_trim > bounds.entries / _TRIMS
            or stream.to_trim_bytes > bounds.bytes / _TRIMS
            or self._clock() - stream.trimmed_at > bounds.age / _TRIMS
        )

    def _trim(self, stream: _Stream, fence: bytes, number: int) -> Command:
        bounds = self._bounds
        stream.to_trim = stream.to_trim_bytes = 0
        stream.trimmed_at = self._clock()
        most = (bounds.entries, bounds.bytes, round(bounds.age * 1000))
        return TRIM(stream.keys, stream.field, fence, *most, KEPT * 1000, number)


def _opening(stream: _Stream, fence: bytes) -> Command:
    """The command that finds out where a stream stands, or begins it."""
    base = random.getrandbits(31) << 20
    first = stream.waiting[0]
    snapshot = [first.data] if first.kind == "snapshot" else []
    words = (int(stream.anew), base, KEPT * 1000)
    return OPEN(stream.keys, stream.field, fence, *words, *snapshot)
