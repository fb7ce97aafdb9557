"""A bus within a test: what the collector writes waits until it is passed on to the edges.

It keeps what Redis would: of each stream the newest snapshot, and all entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import gevent

from amiws_gevent.bus.api import (
    NO_PROBLEM,
    UNREACHABLE,
    CollectorEvents,
    EdgeEvents,
    Handler,
    OnAnswer,
    OnTail,
    Problem,
    Publisher,
)
from amiws_gevent.crossing.streams import lease_of
from tests.support.sharing import Away


@dataclass
class _Stream:
    entries: list[bytes] = field(default_factory=list)
    snapshot: bytes | None = None
    behind: int = 0
    """Entries that the snapshot stands for."""
    life: int = 0
    """How often it was lost."""


class LocalBus:
    """Of `bus.api.Writer`; it has the streams of a collector."""

    def __init__(self) -> None:
        self.streams: dict[str, _Stream] = {}

    def append(self, stream: str, data: bytes) -> None:
        self.streams.setdefault(stream, _Stream()).entries.append(data)

    def save(self, stream: str, data: bytes) -> None:
        known = self.streams.setdefault(stream, _Stream())
        known.snapshot, known.behind = data, len(known.entries)

    def remove(self, stream: str) -> None:
        self.streams.pop(stream, None)

    def tail(self, stream: str, on_tail: OnTail) -> None:
        known = self.streams.get(stream)
        if known is None or known.snapshot is None:
            gevent.spawn(on_tail, None, [])
        else:
            gevent.spawn(on_tail, known.snapshot, known.entries[known.behind :])

    def lose(self, publisher: Publisher, *streams: str) -> None:
        """Redis has lost its data, or that of some streams."""
        for stream in streams or tuple(self.streams):
            life = self.streams.pop(stream).life
            self.streams[stream] = _Stream(life=life + 1)
            publisher.on_broken(stream)

    def trim(self, stream: str) -> None:
        """Drop what the snapshot stands for."""
        known = self.streams[stream]
        del known.entries[: known.behind]
        known.behind = 0
        known.life += 1


class LocalReader:
    """Of `bus.api.Reader`; tells what there is when it is asked to."""

    def __init__(self, bus: LocalBus, events: EdgeEvents) -> None:
        self._bus = bus
        self._events = events
        self._followed: tuple[str, ...] = ()
        self._at: dict[str, tuple[_Stream, int, int]] = {}  # the stream, its life, and the place

    def follow(self, streams: Iterable[str]) -> None:
        self._followed = tuple(streams)
        self._at = {stream: at for stream, at in self._at.items() if stream in self._followed}

    @property
    def followed(self) -> tuple[str, ...]:
        return self._followed

    def lag(self) -> Mapping[str, int]:
        return {}

    def pass_on(self, most: int = 1000) -> None:
        """Tell all that is new, ``most`` entries of each stream."""
        told: set[str] = set()
        while rest := [stream for stream in self._followed if stream not in told]:
            told.add(rest[0])
            self._tell(rest[0], most)

    def _tell(self, stream: str, most: int) -> None:
        known = self._bus.streams.get(stream)
        at = self._at.get(stream)
        if at is not None and (known is not at[0] or known.life != at[1]):
            del self._at[stream]
            at = None
            self._events.on_broken(stream, "lost")
        if known is None or (at is None and known.snapshot is None):
            return
        if at is None:
            assert known.snapshot is not None
            place = known.behind
            self._events.on_begin(stream, known.snapshot, tuple(known.entries[:place]))
        else:
            place = at[2]
        entries = known.entries[place : place + most]
        if entries:
            self._events.on_entries(stream, tuple(entries))
        self._at[stream] = known, known.life, place + len(entries)


class LocalReply:
    """Of `bus.api.Reply`."""

    def __init__(self, lease: str, on_answer: OnAnswer) -> None:
        self.lease = lease
        self.cancelled = False
        self.expired = False
        self.over = False
        self._on_answer = on_answer
        self._on_cancel: list[Callable[[], None]] = []

    def on_cancel(self, do: Callable[[], None]) -> None:
        if self.cancelled:
            do()
        else:
            self._on_cancel.append(do)

    def send(self, data: bytes, last: bool = False) -> None:
        if not self.over and not self.cancelled:
            self.over = last
            gevent.spawn(self._on_answer, data, last, NO_PROBLEM)

    def cancel(self) -> None:
        if not self.over and not self.cancelled:
            self.cancelled = True
            for do in self._on_cancel:
                do()

    def fail(self, problem: Problem) -> None:
        """The collector is lost."""
        if not self.over and not self.cancelled:
            self.over = True
            gevent.spawn(self._on_answer, None, True, problem)


class LocalCalls:
    """Of `bus.api.Callee` and `bus.api.Caller`, for one process."""

    def __init__(self) -> None:
        self.methods: Mapping[str, Handler] = {}
        self.asked: list[tuple[str, bytes]] = []
        self.replies: list[LocalReply] = []
        self.problem: Problem = NO_PROBLEM
        """What all questions end with."""
        self.away: set[str] = set()
        """Leases that nobody has."""
        self.expires = False
        """Whether the time of what is asked is over before it is done."""

    def serve(self, methods: Mapping[str, Handler]) -> None:
        self.methods = methods

    def call(
        self, lease: str, method: str, data: bytes, timeout: float, on_answer: OnAnswer
    ) -> Callable[[], None]:
        reply = LocalReply(lease, on_answer)
        self.asked.append((method, data))
        self.replies.append(reply)
        if self.problem or method not in self.methods or lease in self.away:
            reply.fail(self.problem or UNREACHABLE)
        else:
            self.methods[method](data, reply)
            gevent.spawn(self._expire, reply)
        return reply.cancel

    def _expire(self, reply: LocalReply) -> None:
        """Later than who begins with it has looked, and before it is done."""
        reply.expired = self.expires


class LocalCollectorBus:
    """Of `bus.api.CollectorBus`: it has all leases that it wants at once, and always."""

    refusals = dropped = waiting = 0

    def __init__(self, bus: LocalBus, calls: LocalCalls, events: CollectorEvents) -> None:
        self.writer = bus
        self.callee = self.caller = calls
        self.keeps = True
        """Whether it holds what it has."""
        self.events = events
        self.held: dict[str, int] = {}
        self._wanted: list[str] = []
        self._started = False

    def want(self, leases: Iterable[str]) -> None:
        self._wanted = list(leases)
        if not self._started:
            return
        for lease in [lease for lease in self.held if lease not in self._wanted]:
            del self.held[lease]
            self.events.on_lost(lease, "it is not wanted any more")
        for lease in [lease for lease in self._wanted if lease not in self.held]:
            self.held[lease] = 1
            self.events.on_gained(lease, 1)

    def holds(self, lease: str) -> bool:
        return self.keeps and lease in self.held

    def term(self, lease: str) -> int:
        return self.held.get(lease, 0)

    def give_back(self, lease: str) -> None:
        self.held.pop(lease, None)

    def start(self) -> None:
        self._started = True
        self.events.on_connection(True, "")
        self.want(self._wanted)

    def stop(self, timeout: float = 5.0) -> None:
        self.held.clear()


class LocalEdgeBus:
    """Of `bus.api.EdgeBus`: what is written is read soon."""

    def __init__(self, bus: LocalBus, calls: LocalCalls, events: EdgeEvents) -> None:
        self.reader = LocalReader(bus, events)
        self.caller = calls
        self.sharing = Away()
        self._events = events
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        self._events.on_connection(True, "")
        told: set[str] = set()
        while True:
            for lease in {lease_of(stream) for stream in self.reader.followed} - told:
                told.add(lease)
                self._events.on_collector(lease, True, "the collector has the lease")
            self.reader.pass_on()
            gevent.sleep(0.005)

    def stop(self, timeout: float = 5.0) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
