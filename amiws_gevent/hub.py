"""Who gets what: batches in, the same bytes out to all clients of a view.

The pipeline publishes one batch for each read of a link. A greenlet of the
hub's own joins what is pending, has it framed once for each view, and offers
the same buffer to every client of that view. It wakes only when there is
something to send, and lets others run between every ``CLIENTS_PER_TURN``
clients, so that however many clients there are, the AMI readers come to their
sockets. What comes in meanwhile is joined into the next pass: the busier the
hub, the larger its buffers, the fewer its writes.

A client gets exactly what is published after it was added. Batches are counted
as they are published, and who comes while some of them wait is served apart
in the next pass, with those that came behind it.

The hub knows no sockets: a client is whatever takes an ``offer``.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol

import gevent
from gevent.event import Event

from amiws_gevent.ami import Kind, is_answer
from amiws_gevent.batch import Item
from amiws_gevent.pipeline import Batch
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop

CLIENTS_PER_TURN = 512  # some 2 ms of sends

PASS_BYTES = 1 << 20
"""JSON of one pass, bytes, but for a single batch that is larger: a buffer well below what a
client may have waiting, and small enough that the next clients get it out of the cache."""

CLASSIC = "classic"
V2 = "v2"

_log = logging.getLogger("amiws_gevent.hub")


class Client(Protocol):
    """One subscriber."""

    def offer(self, item: Item) -> None:
        """Take whole frames; never blocks, never raises, closes itself past its bound."""


Group = dict[Client, None]
"""Clients in the order in which they came."""

Delivery = tuple[bytes, int, Sequence[Client]]
"""A buffer, how many messages are in it, and who gets it."""


class _View:
    """The clients of one view, by the position of the first batch that they get.

    A batch's position is the number of those published before it. Most clients came
    before all that waits; only those that did not are kept by position.
    """

    def __init__(self) -> None:
        self._settled: Group = {}
        self._late: dict[int, Group] = {}

    def __len__(self) -> int:
        return len(self._settled) + sum(map(len, self._late.values()))

    def add(self, client: Client, position: int) -> None:
        """``client`` gets the batches from ``position`` on."""
        self._late.setdefault(position, {})[client] = None

    def remove(self, client: Client) -> None:
        """``client`` gets nothing any more; to remove one who is not there is no error."""
        for group in (self._settled, *self._late.values()):
            group.pop(client, None)

    def groups(self, first: int, end: int) -> list[tuple[int, Group]]:
        """Who gets something of the batches from ``first`` up to ``end``, and from where on.

        No earlier batch may come later. Who leaves, leaves its group too.
        """
        groups = [(first, self._settled)]
        if self._late:
            for position in [position for position in self._late if position <= first]:
                self._settled.update(self._late.pop(position))
            groups += [(at, group) for at, group in self._late.items() if at < end]
        return groups if self._settled else groups[1:]


class Hub:
    """Subscribers by view, and the batches that wait for the next pass.

    ``frames`` turns the JSON of messages into the bytes that go to a client.
    ``limit`` bounds the bytes of JSON that wait for a pass: past it the oldest
    batches are dropped, counted in ``dropped_messages`` and logged.
    """

    def __init__(self, frames: Callable[[Iterable[bytes]], bytes], *, limit: int) -> None:
        self.limit = limit
        self.dropped_messages = 0
        self.published_messages = 0
        self.deliveries = 0
        """Messages that were given to clients: each counts once for each client that got it."""
        self.delivered_bytes = 0
        """Bytes of their frames, likewise for each page."""
        self._frames = frames
        self._views = {CLASSIC: _View(), V2: _View()}
        self._by_token: dict[str, Client] = {}
        self._position = 0
        """Batches that were ever queued: the position of the next one."""
        self._pending: deque[Batch] = deque()
        self._pending_bytes = 0
        self._wake = Event()
        self._limiter = LogLimiter()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> gevent.Greenlet[..., None]:
        """Start the greenlet that sends; its death by surprise is the caller's to notice."""
        self._greenlet = gevent.spawn(self._run)
        return self._greenlet

    def stop(self) -> None:
        """End the greenlet; what is pending is given up."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def add(self, client: Client, view: str, token: str | None = None) -> None:
        """Subscribe to what is published from now on.

        ``token`` is where answers wrapped for this client are sent.
        """
        self._views[view].add(client, self._position)
        if token is not None:
            self._by_token[token] = client

    def remove(self, client: Client, view: str, token: str | None = None) -> None:
        """Unsubscribe; to remove one who is not there is no error."""
        self._views[view].remove(client)
        if token is not None:
            self._by_token.pop(token, None)

    def count(self, view: str) -> int:
        """How many clients a view has."""
        return len(self._views[view])

    @property
    def pending_bytes(self) -> int:
        """Bytes of JSON that wait for the next pass."""
        return self._pending_bytes

    def publish(self, batch: Batch) -> None:
        """Give a batch to the next pass; returns at once."""
        self.published_messages += len(batch)
        if not any(self._views.values()):
            return
        self._position += 1
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
                "messages dropped: more comes in than can be sent on (limits.hub_buffer; "
                "%d so far)",
                self.dropped_messages,
            )

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._pending:
                self._pass(self._next_batches())
                if self._pending:
                    yield_to_loop()

    def _next_batches(self) -> list[Batch]:
        """What is pending, as much as makes a buffer of a sensible size."""
        batches = []
        size = 0
        while self._pending and (not size or size + self._pending[0].size <= PASS_BYTES):
            batch = self._pending.popleft()
            size += batch.size
            batches.append(batch)
        self._pending_bytes -= size
        return batches

    def _pass(self, batches: Sequence[Batch]) -> None:
        first = self._position - len(self._pending) - len(batches)
        for buffer, messages, clients in self._deliveries(batches, first):
            self.deliveries += messages * len(clients)
            self.delivered_bytes += len(buffer) * len(clients)
            item = Item(buffer, messages, {})
            for start in range(0, len(clients), CLIENTS_PER_TURN):
                if start:
                    yield_to_loop()
                self._offer(item, clients[start : start + CLIENTS_PER_TURN])

    def _offer(self, item: Item, clients: Sequence[Client]) -> None:
        """Nothing but what is needed: this loop is what all clients wait for."""
        for client in clients:
            try:
                client.offer(item)
            except Exception:  # noqa: BLE001 - whatever it is, it is this client's alone
                _log.exception("a client failed to take an offer; it gets no more")
                self._forget(client)

    def _forget(self, client: Client) -> None:
        for view in self._views.values():
            view.remove(client)

    def _deliveries(self, batches: Sequence[Batch], first: int) -> Iterator[Delivery]:
        """The buffers of one pass and who gets each; ``first`` is the first batch's position."""
        end = first + len(batches)
        for start, group in self._views[CLASSIC].groups(first, end):
            for_all = [batch.for_all() for batch in batches[start - first :]]
            messages = sum(map(len, for_all))
            if messages:
                yield self._frames(chain.from_iterable(for_all)), messages, list(group)
        for start, group in self._views[V2].groups(first, end):
            yield from self._v2_deliveries(batches[start - first :], group)

    def _v2_deliveries(self, batches: Sequence[Batch], group: Group) -> Iterator[Delivery]:
        """The same for one group of ``amiws.v2``; answers come between what is for all."""
        run: list[bytes] = []
        for envelope in chain.from_iterable(batches):
            if envelope.requester is None:
                if envelope.message.kind is Kind.QUEUE or not is_answer(envelope.message):
                    run.append(envelope.json)
                continue
            requester = self._by_token.get(envelope.requester)
            if requester is None or requester not in group:
                continue
            if run:
                yield self._frames(run), len(run), list(group)
                run = []
            yield self._frames([envelope.json]), 1, [requester]
        if run:
            yield self._frames(run), len(run), list(group)
