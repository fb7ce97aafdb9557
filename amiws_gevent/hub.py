"""Sends batches to clients: all clients of a view get the same bytes.

The pipeline publishes one batch for each read of a link. The hub's greenlet joins the pending
batches, encodes them once for each view, and offers the same item to every client of that
view. It yields after every ``CLIENTS_PER_TURN`` clients and after ``TURN`` seconds, so that
the AMI readers can read their sockets whatever the number of clients and views. Batches
published meanwhile are joined into the next pass: the busier the hub, the larger its buffers
and the fewer its writes.

A client gets exactly what is published after it was added. Batches are numbered when they
are published; a client added while some of them wait gets only the later ones of the next
pass. (These numbers are the hub's own; positions are those of servers.)

Besides, there may be a ``Stage``: what it has for clients is sent by the same greenlet, between
two passes, so that it has the same place among the messages for all clients of a view.

The hub knows no sockets: a client is any object with ``offer``. A view exists while it has
clients.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import gevent
from gevent.event import Event

from amiws_gevent.batch import Batch, Item, Position
from amiws_gevent.config import Limits
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.views import View

CLIENTS_PER_TURN = 512  # some 2 ms of sends
TURN = 0.002  # seconds of one pass, then others have a turn; checked between views

PASS_BYTES = 1 << 20
"""Bytes of JSON of one pass; a single batch may be larger. Well below what may wait for a
client, and small enough to stay in the processor's cache for all clients."""

STAGE_TIME = 0.1
"""Seconds between two turns of the stage at least. A person does not see a delay that short, and
whatever changes more often in it is told once. The first change after a pause goes at once."""

_log = logging.getLogger("amiws_gevent.hub")


class Client(Protocol):
    """One subscriber."""

    def offer(self, item: Item) -> None:
        """Send whole frames; never blocks or raises; closes the client if too much waits."""


Group = dict[Client, None]
"""Clients in the order in which they were added."""


Delivery = tuple[Item, Sequence[Client]]
"""What is sent, and who gets it."""


class Stage(Protocol):
    """What is sent beside what is published."""

    def deliveries(self) -> Iterator[Delivery | None]:
        """What there is now; None: nothing yet, after some work. It must not raise.

        Others may run between two, and must be able to every millisecond or so.
        """


class Place(NamedTuple):
    """How far a view is."""

    number: int
    """Its clients have had the batches up to this number."""
    positions: Mapping[int, Position]
    """Of these, by server; never changed in place."""


class _Subscribers:
    """The clients of one view, by the number of the first batch that they get.

    A batch's number is how many were published before it. Most clients were added
    before all waiting batches; only the others are kept by number.
    """

    def __init__(self) -> None:
        self._settled: Group = {}
        self._late: dict[int, Group] = {}

    def __len__(self) -> int:
        return len(self._settled) + sum(map(len, self._late.values()))

    def add(self, client: Client, number: int) -> None:
        """``client`` gets the batches from ``number`` on."""
        self._late.setdefault(number, {})[client] = None

    def remove(self, client: Client) -> None:
        """Remove ``client``; it is no error if it is not there."""
        for group in (self._settled, *self._late.values()):
            group.pop(client, None)

    def groups(self, first: int, end: int) -> list[tuple[int, Group]]:
        """The clients for the batches from ``first`` up to ``end``, each with its first batch.

        Call it with ascending ``first``. A removed client also leaves its group.
        """
        groups = [(first, self._settled)]
        if self._late:
            for number in [number for number in self._late if number <= first]:
                self._settled.update(self._late.pop(number))
            groups += [(at, group) for at, group in self._late.items() if at < end]
        return groups if self._settled else groups[1:]


class Hub:
    """Subscribers by view, and the batches that wait for the next pass.

    ``limit`` bounds the bytes of JSON that wait for a pass: past it the oldest
    batches are dropped, counted in ``dropped_messages`` and logged.
    """

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.dropped_messages = 0
        self.published_messages = 0
        self.deliveries = 0
        """Messages that were given to clients: each counts once for each client that got it."""
        self.delivered_bytes = 0
        """Bytes of their frames, likewise for each client."""
        self.number = 0
        """Batches that were ever queued: the number of the next one."""
        self.on_dropped: Callable[[], None] = _do_nothing
        """Called when batches were dropped, that all clients of now have missed."""
        self._views: dict[View, _Subscribers] = {}
        self._pending: deque[Batch] = deque()
        self._pending_bytes = 0
        self._published: dict[int, Position] = {}
        self._passed: Mapping[int, Position] = {}  # where all stood before what is pending
        self._after = Place(0, {})  # where those stand who have had the pass that is on
        self._unserved: dict[View, None] | None = None  # in that pass; None: there is none
        self._serving: View | None = None
        self._first = 0  # the number of the first batch of that pass
        self._stage: Stage | None = None
        self._stirred = False
        self._stage_at = 0.0
        self._wake = Event()
        self._limiter = LogLimiter()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> gevent.Greenlet[..., None]:
        """Start the greenlet that sends; the caller watches whether it dies."""
        self._greenlet = gevent.spawn(self._run)
        return self._greenlet

    def stop(self) -> None:
        """End the greenlet; pending batches are dropped."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def add(self, client: Client, view: View) -> None:
        """Subscribe to what is published from now on."""
        self._views.setdefault(view, _Subscribers()).add(client, self.number)

    def remove(self, client: Client, view: View) -> None:
        """Unsubscribe; it is no error if the client is not there."""
        subscribers = self._views.get(view)
        if subscribers is not None:
            subscribers.remove(client)
            if not subscribers:
                del self._views[view]

    def counts(self) -> Counter[str]:
        """How many clients there are, by the name of their view."""
        counted: Counter[str] = Counter()
        for view, subscribers in self._views.items():
            counted[view.name] += len(subscribers)
        return counted

    def configure(self, limits: Limits) -> None:
        """Hold what waits for a pass to another limit."""
        self.limit = limits.hub_buffer

    @property
    def pending_bytes(self) -> int:
        """Bytes of JSON that wait for the next pass."""
        return self._pending_bytes

    @property
    def published(self) -> Mapping[int, Position]:
        """By server, the position of what was published last; a copy."""
        return {**self._published}

    def at(self, view: View) -> Place | None:
        """How far a view is; None while some of its clients have had more than others."""
        if self._unserved is not None:
            if view is self._serving:
                return None
            if view not in self._unserved:
                return self._after
            return Place(self._first, self._passed)
        if self._pending:
            return Place(self.number - len(self._pending), self._passed)
        return Place(self.number, self.published)

    @property
    def passing(self) -> tuple[Place, Place]:
        """Where views are before the pass that is on, and after it."""
        return Place(self._first, self._passed), self._after

    def set_stage(self, stage: Stage) -> None:
        """Ask ``stage`` whenever it was stirred."""
        self._stage = stage

    def stir(self) -> None:
        """The stage has something to send, or will have; may be called often."""
        if not self._stirred:
            self._stirred = True
            self._wake.set()

    def publish(self, batch: Batch) -> None:
        """Give a batch to the next pass; returns at once."""
        self.published_messages += len(batch.json)
        # What comes behind others is queued even if nobody is there now: who comes next stands
        # behind all of them.
        if self._views or self._pending or self._unserved is not None:
            self._queue(batch)
        self._published[batch.server.id] = batch.position

    def _queue(self, batch: Batch) -> None:
        if not self._pending and self._unserved is None:
            self._passed = self.published
        self.number += 1
        self._pending.append(batch)
        self._pending_bytes += batch.size
        if self._pending_bytes > self.limit:
            self._drop_oldest()
        self._wake.set()

    def _drop_oldest(self) -> None:
        dropped = 0
        while self._pending_bytes > self.limit and len(self._pending) > 1:
            batch = self._pending.popleft()
            self._pending_bytes -= batch.size
            dropped += len(batch)
        if dropped:
            self.dropped_messages += dropped
            self._limiter.log(
                _log,
                logging.ERROR,
                "dropped",
                "messages dropped: they arrive faster than they can be sent (limits.hub_buffer; "
                "%d so far)",
                self.dropped_messages,
            )
            self.on_dropped()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._time_to_stage())
            self._wake.clear()
            while self._pending:
                self._pass(self._next_batches())
                if self._pending:
                    self._run_stage()
                    yield_to_loop()
            self._run_stage()

    def _time_to_stage(self) -> float | None:
        """Seconds until it is the stage's turn; None if it has nothing to send."""
        return max(self._stage_at - time.monotonic(), 0.0) if self._stirred else None

    def _run_stage(self) -> None:
        """Send what the stage has, if it is its turn."""
        if not self._stirred or self._stage is None or time.monotonic() < self._stage_at:
            return
        self._stirred = False
        turn_end = time.monotonic() + TURN
        for delivery in self._stage.deliveries():
            if delivery is not None:
                self._deliver(*delivery)
            if time.monotonic() > turn_end:
                yield_to_loop()
                turn_end = time.monotonic() + TURN
        self._stage_at = time.monotonic() + STAGE_TIME

    def _next_batches(self) -> list[Batch]:
        """The oldest pending batches, up to PASS_BYTES."""
        batches = []
        size = 0
        while self._pending and (not size or size + self._pending[0].size <= PASS_BYTES):
            batch = self._pending.popleft()
            size += batch.size
            batches.append(batch)
        self._pending_bytes -= size
        return batches

    def _pass(self, batches: Sequence[Batch]) -> None:
        first = self.number - len(self._pending) - len(batches)
        end = first + len(batches)
        moved = {batch.server.id: batch.position for batch in batches}
        self._first, self._after = first, Place(end, {**self._passed, **moved})
        self._unserved = dict.fromkeys(self._views)
        turn_end = time.monotonic() + TURN
        for view, subscribers in tuple(self._views.items()):
            if time.monotonic() > turn_end:
                yield_to_loop()
                turn_end = time.monotonic() + TURN
            self._serving = view
            for start, group in subscribers.groups(first, end):
                item = _item(view, batches[start - first :])
                if item is not None:
                    self._deliver(item, list(group))
            self._serving = None
            self._unserved.pop(view, None)
        self._passed, self._unserved = self._after.positions, None

    def _deliver(self, item: Item, clients: Sequence[Client]) -> None:
        self.deliveries += item.messages * len(clients)
        self.delivered_bytes += len(item.data) * len(clients)
        for start in range(0, len(clients), CLIENTS_PER_TURN):
            if start:
                yield_to_loop()
            self._offer(item, clients[start : start + CLIENTS_PER_TURN])

    def _offer(self, item: Item, clients: Sequence[Client]) -> None:
        """Offer to each client; keep this loop short, since all clients wait for it."""
        for client in clients:
            try:
                client.offer(item)
            except Exception:  # noqa: BLE001 - whatever it is, it is this client's alone
                _log.exception("cannot deliver to a client; it gets no more messages")
                self._forget(client)

    def _forget(self, client: Client) -> None:
        for view in list(self._views):
            self.remove(client, view)


def _item(view: View, batches: Sequence[Batch]) -> Item | None:
    """What the clients of a view get of the batches; None if that is nothing."""
    texts: list[bytes] = []
    positions: dict[int, Position] = {}
    for batch in batches:
        texts += view.texts(batch)
        positions[batch.server.id] = batch.position
    return view.item(texts, positions) if texts else None


def _do_nothing() -> None:
    """Stands for what nobody has asked to be told."""
