"""Sends batches to clients: all clients of a view get the same bytes.

The pipeline publishes one batch for each read of a link. The hub's greenlet joins the pending
batches, encodes them once for each view, and offers the same item to every client of that
view (`passes`). It yields after every ``CLIENTS_PER_TURN`` clients and after ``TURN`` seconds, so
that the AMI readers can read their sockets whatever the number of clients and views. Batches
published meanwhile are joined into the next pass: the busier the hub, the larger its buffers
and the fewer its writes.

A client gets exactly what is published after it was added.

Besides, there may be a ``Stage``: what it has for clients is sent by the same greenlet, so that it
has the same place among the messages for all clients of a view. It works in slices of a turn, and
after each there is a pass of what was published meanwhile: so messages do not wait for it, and
under any load of messages it goes on.

The hub knows no sockets: a client is any object with ``offer``. A view exists while it has
clients.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

import gevent
from gevent.event import Event

from amiws_gevent.batch import Batch, Item
from amiws_gevent.config import Limits
from amiws_gevent.passes import Client, Delivery, Passes
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.views import View

CLIENTS_PER_TURN = 512  # some 2 ms of sends
TURN = 0.002  # seconds of work, then others have a turn; checked between deliveries

STAGE_TIME = 0.1
"""Seconds between two turns of the stage at least. A person does not see a delay that short, and
whatever changes more often in it is told once. The first change after a pause goes at once."""

_log = logging.getLogger("amiws_gevent.hub")


class Stage(Protocol):
    """What is sent beside what is published."""

    def deliveries(self) -> Iterator[Delivery]:
        """What there is now, a delivery a step of a millisecond or so; it must not raise.

        Between two steps others may run, and messages may be passed on, to the same clients too.
        """


class Hub:
    """``passes`` has the subscribers by view, what waits for them, and where they stand."""

    def __init__(self, *, limit: int) -> None:
        self.passes = Passes(limit=limit)
        self.published_messages = 0
        self.deliveries = 0
        """Messages that were given to clients: each counts once for each client that got it."""
        self.delivered_bytes = 0
        """Bytes of their frames, likewise for each client."""
        self._stage: Stage | None = None
        self._stirred = False
        self._stage_at = 0.0
        self._stage_is_due = False
        self._stage_timer: Any = None
        self._wake = Event()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> gevent.Greenlet[..., None]:
        """Start the greenlet that sends; the caller watches whether it dies."""
        self._greenlet = gevent.spawn(self._run)
        return self._greenlet

    def stop(self) -> None:
        """End the greenlet; pending batches are dropped."""
        if self._greenlet is not None:
            self._greenlet.kill()
        self._close_timer()

    def add(self, client: Client, view: View) -> None:
        """Subscribe to what is published from now on."""
        self.passes.add(client, view)

    def remove(self, client: Client, view: View) -> None:
        """Unsubscribe; it is no error if the client is not there."""
        self.passes.remove(client, view)

    def counts(self) -> Counter[str]:
        """How many clients there are, by the name of their view."""
        return self.passes.counts()

    def configure(self, limits: Limits) -> None:
        """Hold what waits for a pass to another limit."""
        self.passes.limit = limits.hub_buffer

    @property
    def pending_bytes(self) -> int:
        """Bytes of JSON that wait for the next pass."""
        return self.passes.pending_bytes

    @property
    def dropped_messages(self) -> int:
        """Messages that no client of then got, since they arrived faster than they were sent."""
        return self.passes.dropped_messages

    def set_stage(self, stage: Stage) -> None:
        """Ask ``stage`` whenever it was stirred."""
        self._stage = stage

    def stir(self) -> None:
        """The stage has something to send, or will have; may be called often."""
        if not self._stirred:
            self._stirred = True
            self._call_stage()

    def publish(self, batch: Batch) -> None:
        """Give a batch to the next pass; returns at once."""
        self.published_messages += len(batch.json)
        if self.passes.publish(batch):
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self.passes.waiting:
                self._pass()
                if self.passes.waiting:
                    self._run_stage()
                    yield_to_loop()
            self._run_stage()

    def _call_stage(self) -> None:
        """Wake the greenlet when it is the stage's turn.

        A limit of each wait would be a timer for each pass, which costs as much as the pass.
        """
        self._close_timer()
        wait = self._stage_at - time.monotonic()
        if wait > 0:
            self._stage_timer = gevent.get_hub().loop.timer(wait)
            self._stage_timer.start(self._let_stage)
        else:
            self._let_stage()

    def _let_stage(self) -> None:
        self._stage_is_due = True
        self._wake.set()

    def _close_timer(self) -> None:
        if self._stage_timer is not None:
            self._stage_timer.close()
            self._stage_timer = None

    def _run_stage(self) -> None:
        """Send what the stage has, if it is its turn."""
        if not self._stage_is_due or self._stage is None:
            return
        self._stirred = self._stage_is_due = False
        self._deliver_all(self._stage.deliveries(), self._let_messages_pass)
        self._stage_at = time.monotonic() + STAGE_TIME
        if self._stirred:  # meanwhile
            self._stage_is_due = False
            self._call_stage()

    def _let_messages_pass(self) -> None:
        """What the stage lets go first, between two slices of its work."""
        yield_to_loop()
        if self.passes.waiting:
            self._pass()
            yield_to_loop()

    def _pass(self) -> None:
        self._deliver_all(self.passes.next(), yield_to_loop)

    def _deliver_all(self, deliveries: Iterable[Delivery], let_others: Callable[[], None]) -> None:
        """Deliver, and ``let_others`` run after each turn."""
        turn_end = time.monotonic() + TURN
        for item, clients in deliveries:
            if clients:
                self._deliver(item, clients)
            if time.monotonic() > turn_end:
                let_others()
                turn_end = time.monotonic() + TURN

    def _deliver(self, item: Item, clients: Collection[Client]) -> None:
        """Offer to each client that is still there when it is its turn."""
        group = list(clients)
        for start in range(0, len(group), CLIENTS_PER_TURN):
            chunk = group[start : start + CLIENTS_PER_TURN]
            if start:
                yield_to_loop()
                if len(clients) != len(group):
                    chunk = [client for client in chunk if client in clients]
            self._offer(item, chunk)

    def _offer(self, item: Item, clients: Sequence[Client]) -> None:
        """Offer to each client; keep this loop short, since all clients wait for it."""
        self.deliveries += item.messages * len(clients)
        self.delivered_bytes += len(item.data) * len(clients)
        for client in clients:
            try:
                client.offer(item)
            except Exception:  # noqa: BLE001 - whatever it is, it is this client's alone
                _log.exception("cannot deliver to a client; it gets no more messages")
                self.passes.forget(client)
