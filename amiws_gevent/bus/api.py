"""The bus as its users see it: streams from collectors to all edges, questions the other way.

Payloads are bytes, which the bus does not read. Streams have names (letters, digits, ``.``, ``_``,
``-``), which are the users' own. All calls are for greenlets of one thread. None of them waits but
``stop``; callbacks come from greenlets of the bus, one at a time for each part, and should not wait
long: nothing more is read meanwhile. What they raise is logged, and the bus goes on.

Each stream belongs to a lease, and so does each question: which one is said by a function of the
users (`LeaseOf`). One collector at a time has a lease, publishes its streams and answers its
questions. Several collectors share the leases. Each time that a lease is given, it has a term,
which is larger than that of any time before, and which Redis checks with each entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from amiws_gevent.bus.sharing import Sharing

Problem = Literal["", "unreachable", "unknown"]
"""Why a question has no answer, or no further one: see `Caller.call`. Empty if it has."""

NO_PROBLEM: Final[Problem] = ""
UNREACHABLE: Final[Problem] = "unreachable"
UNKNOWN: Final[Problem] = "unknown"

OnAnswer = Callable[[bytes | None, bool, Problem], None]
"""Gets (answer, whether it is the last, problem). With a problem there is no answer, and it is the
last call."""

LeaseOf = Callable[[str], str]
"""The lease of a stream. Leases have names as streams have."""

OnTail = Callable[[bytes | None, Sequence[bytes]], None]
"""Gets the newest snapshot of a stream, or None, and the entries behind it, oldest first."""


@dataclass(frozen=True)
class Bounds:
    """How much of each stream is kept in Redis, for edges that start or come back.

    What has come since the newest snapshot is kept beyond these; past twice of ``entries`` or
    ``bytes`` since then the stream is given up, and begins anew (`Publisher.on_broken`).
    """

    entries: int = 50_000
    bytes: int = 32 * 1024 * 1024  # of payloads
    age: float = 300.0  # seconds


# The collector's side


class Publisher(Protocol):
    """What the user of a `Writer` does when the bus asks for it."""

    def on_broken(self, stream: str) -> None:
        """The stream has lost something; its readers will begin anew.

        Called once Redis is there and takes entries. What is appended from now on, in this call
        already, is a stream that begins: with a snapshot, under a new epoch.
        """

    def on_snapshot_due(self, stream: str) -> None:
        """Half of what the bounds permit came since the newest snapshot: `Writer.save` one soon."""


class Writer(Protocol):
    """Publishes, while this collector has the lease. Without it, all is dropped and counted."""

    def append(self, stream: str, data: bytes) -> None:
        """Queue an entry. The entries of a stream keep their order.

        What waits is bounded for all streams together. Past the bound, or if Redis was away too
        long or has lost its data, what waits is dropped, as all that is appended until
        `Publisher.on_broken` is called. The first entry after `CollectorEvents.on_gained` goes on
        with the stream as it is in Redis, if it is there.
        """

    def save(self, stream: str, data: bytes) -> None:
        """Queue a snapshot: it stands for all that was appended before, in order with the entries.

        A stream should begin with one: before it has one, nobody is told of it. Nothing is trimmed
        but what is before the newest snapshot.
        """

    def remove(self, stream: str) -> None:
        """End the stream: its readers are told by `EdgeEvents.on_broken`, and that is all."""

    def tail(self, stream: str, on_tail: OnTail) -> None:
        """Read what the collector before has left: ask once the lease is gained, append after it.

        ``on_tail`` gets None and nothing if there is no such stream, or some of it is lost: then
        it begins anew with what is appended next. It is called soon, once Redis is there; never if
        the lease is lost before.
        """


class Reply(Protocol):
    """A question at the collector, and the way back to who asked."""

    @property
    def lease(self) -> str:
        """The lease that was asked."""

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for answers any more: cancelled, or who asked is gone."""

    @property
    def expired(self) -> bool:
        """Whether it must not be done any more: its time is over, or this collector may have lost
        the lease. Look just before something is done that cannot be undone."""

    def on_cancel(self, do: Callable[[], None]) -> None:
        """Call ``do`` once when it is cancelled; at once if it is."""

    def send(self, data: bytes, last: bool = False) -> None:
        """Queue an answer, to who asked alone. After the last one, nothing."""


Handler = Callable[[bytes, Reply], None]


class Callee(Protocol):
    """Answers questions to the leases that this collector has. Each comes once, or never."""

    def serve(self, methods: Mapping[str, Handler]) -> None:
        """What is called, by name of the method, for all leases. Another method is answered
        UNREACHABLE."""


class CollectorEvents(Publisher, Protocol):
    """What a collector is told."""

    def on_gained(self, lease: str, term: int) -> None:
        """This collector has the lease, and publishes its streams from now on."""

    def on_lost(self, lease: str, reason: str) -> None:
        """It has it no longer: another has it, or it is not wanted any more, or it was not given
        back in time. Stop what the link does; `on_gained` may come again.

        While Redis is away nothing is lost: entries wait, `CollectorBus.holds` says no, and if
        nobody else has taken the lease meanwhile all goes on.
        """

    def on_yield(self, lease: str, reason: str) -> None:
        """Another collector has fewer leases: stop what the link does, publish the last, and then
        `CollectorBus.give_back`. After 5 s the bus gives it back, and calls `on_lost`."""

    def on_connection(self, up: bool, reason: str) -> None:
        """Redis is there, or no longer, and why: for /readyz."""


class CollectorFigures(Protocol):
    """What a collector has at the moment, and what it has counted."""

    @property
    def held(self) -> Mapping[str, int]:
        """The leases that this collector has been told of and has, with their terms."""

    @property
    def refusals(self) -> int:
        """How often Redis refused something, since another collector has a newer term."""

    @property
    def dropped(self) -> int:
        """Entries and snapshots that were appended, and never reached Redis."""

    @property
    def waiting(self) -> int:
        """Bytes of entries and snapshots that wait for Redis."""


class CollectorBus(CollectorFigures, Protocol):
    """All that a collector has of the bus."""

    @property
    def writer(self) -> Writer: ...

    @property
    def callee(self) -> Callee: ...

    @property
    def caller(self) -> Caller:
        """Asks other collectors, or this one."""

    def want(self, leases: Iterable[str]) -> None:
        """Ask for these, and no others: those of them that are had are given back, and lost.

        How many of them this collector gets depends on how many other collectors there are.
        """

    def holds(self, lease: str) -> bool:
        """Whether nobody else can have the lease now, by a clock that also runs in suspension.

        Without this nothing may be sent to a server.
        """

    def term(self, lease: str) -> int:
        """Term of the lease that this collector had last; 0 if it never had it.

        It grows without `CollectorEvents.on_gained` where the lease had run out, or Redis has lost
        its data, and nobody else has had the lease meanwhile.
        """

    def give_back(self, lease: str) -> None:
        """Give it to who wants it, once all is written that was appended. `on_lost` is not called;
        nothing that is appended from now on is taken."""

    def start(self) -> None:
        """Begin to ask for leases. Returns at once, whether Redis is there or not."""

    def stop(self, timeout: float = 5.0) -> None:
        """Write what waits, give all leases back, and close; after ``timeout`` seconds without."""


# The edges' side


class EdgeEvents(Protocol):
    """What an edge is told of the streams that it follows; in one greenlet, in order."""

    def on_begin(self, stream: str, snapshot: bytes, earlier: Sequence[bytes]) -> None:
        """The newest snapshot, and the entries before it that are still there, oldest first.

        Called first for each stream, once it has a snapshot, and again after each `on_broken`.
        """

    def on_entries(self, stream: str, entries: Sequence[bytes]) -> None:
        """What came after the snapshot, then what comes: without a gap, each once."""

    def on_broken(self, stream: str, reason: str) -> None:
        """The stream is gone, lost, or trimmed past us. `on_begin` follows, if it is there."""

    def on_connection(self, up: bool, reason: str) -> None:
        """Redis is there, or no longer, and why. It begins as not there."""

    def on_collector(self, lease: str, up: bool, reason: str) -> None:
        """A collector has the lease of a followed stream, or none has, and why.

        Not told anew while Redis is away. It begins as not there. A new collector in the place of
        the old one is told with True.
        """


class Reader(Protocol):
    """Reads streams, and tells `EdgeEvents` of them."""

    def follow(self, streams: Iterable[str]) -> None:
        """These from now on. One that was left out is not told of any more; what is new, within
        about a second."""

    def lag(self) -> Mapping[str, int]:
        """Entries that each stream is ahead of what was told, a second ago at most."""


class Caller(Protocol):
    """Asks who has a lease."""

    def call(
        self, lease: str, method: str, data: bytes, timeout: float, on_answer: OnAnswer
    ) -> Callable[[], None]:
        """Ask once: never twice, whatever happens. Any number of answers come, the last is marked.

        ``timeout``, in seconds, is for all of them. UNREACHABLE: it was certainly not begun, since
        there is no collector, Redis is away (for a moment more than it shows elsewhere: that is
        waited for), too much waits, or nobody took it in time. UNKNOWN: it
        may have been begun, and no more will be heard of it: the collector was lost, or the time is
        over, or answers were lost. ``on_answer`` is never called before this returns. Returns what
        cancels it: after that nothing is heard of it; what was not begun is not done.
        """


class EdgeBus(Protocol):
    """All that an edge has of the bus."""

    @property
    def reader(self) -> Reader: ...

    @property
    def caller(self) -> Caller: ...

    @property
    def sharing(self) -> Sharing:
        """What edges have in common; it is started and stopped by itself."""

    def start(self) -> None:
        """Begin to read. Returns at once, whether Redis is there or not."""

    def stop(self, timeout: float = 5.0) -> None:
        """Close. Who waits for an answer is told UNREACHABLE or UNKNOWN."""
