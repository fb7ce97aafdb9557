"""Batches on their way to clients, and where each client stands meanwhile.

Batches are numbered, and wait for a pass. A pass takes the oldest of them to the clients of all
views, one view after the other; batches that are published meanwhile are of the next pass.

Where a client stands is a `Mark`. It is the later of two:

    its view's    ahead of what waits; amid a pass before or after that, as its turn has been or not
    its own       behind what waited when it came

What of a server does not come is a `_Loss`. A pass ends ahead of it; it is told between two passes.

Only while its own view is served, nobody knows: some of the clients have had the pass. All other
modules ask here (``where``, ``where_all``), and keep no such thing themselves.

These numbers are the program's own; positions are those of servers.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from amiws_gevent.batch import Batch, Item, Mark, Position
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.views import View

PASS_BYTES = 1 << 20
"""Bytes of JSON of one pass; a single batch may be larger. Well below what may wait for a
client, and small enough to stay in the processor's cache for all clients."""

_log = logging.getLogger("amiws_gevent.hub")


class Client(Protocol):
    """One subscriber."""

    def offer(self, item: Item) -> None:
        """Send whole frames; never blocks or raises; closes the client if too much waits."""


Group = dict[Client, None]
"""Clients in the order in which they were added."""

Delivery = tuple[Item, Collection[Client]]
"""What is sent, and who gets it. A client that leaves meanwhile may be taken out; none is added."""

MOMENT: Delivery = (Item(b"", 0, {}), ())
"""Nothing to nobody: a moment for others, amid work that finds nothing to send."""


class _Loss(NamedTuple):
    """From a batch on, a server goes on at a position; who is told of it is not known here."""

    number: int
    server: int
    position: Position
    tell: Callable[[], None]


class _Members:
    """The clients of one view. Most have had all passes; the others are kept by their mark."""

    def __init__(self) -> None:
        self._settled: Group = {}
        self._late: dict[int, tuple[Mark, Group]] = {}  # by number, ascending

    def __len__(self) -> int:
        return len(self._settled) + sum(len(group) for _, group in self._late.values())

    def add(self, client: Client, mark: Mark) -> None:
        """``client`` gets what comes behind ``mark``."""
        self._late.setdefault(mark.number, (mark, {}))[1][client] = None

    def remove(self, client: Client) -> None:
        """Remove ``client``; it is no error if it is not there."""
        self._settled.pop(client, None)
        for _, group in self._late.values():
            group.pop(client, None)

    def own_mark(self, client: Client) -> Mark | None:
        """That at which a client came; None if its view has passed it."""
        for mark, group in self._late.values():
            if client in group:
                return mark
        return None

    def come_behind(self, number: int) -> bool:
        """Whether there are any whose mark is behind this one."""
        return any(at > number and group for at, (_, group) in self._late.items())

    def groups(self, before: Mark, after: Mark) -> list[tuple[Mark, Group]]:
        """The clients for a pass, by where they stand before it.

        Call it for one pass after the other. A removed client also leaves its group.
        """
        groups = [(before, self._settled)]
        if self._late:
            for number in [number for number in self._late if number <= before.number]:
                self._settled.update(self._late.pop(number)[1])
            groups += [late for late in self._late.values() if late[0].number < after.number]
        return groups if self._settled else groups[1:]


class Passes:
    """Clients by view, and what waits for the next pass.

    ``limit`` bounds the bytes of JSON that wait: past it the oldest batches are dropped, counted
    in ``dropped_messages`` and logged.
    """

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.dropped_messages = 0
        self.on_dropped: Callable[[Sequence[Batch]], None] = _do_nothing
        """Called with batches that were dropped: all clients of now missed them."""
        self.pending_bytes = 0
        """Bytes of JSON that wait for the next pass."""
        self._views: dict[View, _Members] = {}
        self._pending: deque[Batch] = deque()
        self._losses: deque[_Loss] = deque()  # behind some that wait, or of the pass that is on
        self._number = 0  # of the batch that is queued next
        self._published: dict[int, Position] = {}
        self._passed: Mapping[int, Position] = {}  # what all have had, if there is more
        self._pass: tuple[Mark, Mark] | None = None  # where the one that is on begins and ends
        self._unserved: dict[View, None] = {}  # in that pass
        self._serving: View | None = None
        self._limiter = LogLimiter()

    # Who gets what

    def add(self, client: Client, view: View) -> None:
        """From now on ``client`` gets what is published."""
        members = self._views.get(view)
        if members is None:
            members = self._views[view] = _Members()
        members.add(client, Mark(self._number, {**self._published}))

    def remove(self, client: Client, view: View) -> None:
        """``client`` gets nothing more of this view; it is no error if it is not there."""
        members = self._views.get(view)
        if members is not None:
            members.remove(client)
            if not members:
                del self._views[view]

    def forget(self, client: Client) -> None:
        """``client`` gets nothing more at all."""
        for view in list(self._views):
            self.remove(client, view)

    def counts(self) -> Counter[str]:
        """How many clients there are, by the name of their view."""
        counted: Counter[str] = Counter()
        for view, members in self._views.items():
            counted[view.name] += len(members)
        return counted

    # What waits

    @property
    def waiting(self) -> bool:
        """Whether there is something for a pass."""
        return bool(self._pending)

    def publish(self, batch: Batch) -> bool:
        """Take a batch; whether it waits for a pass.

        If nobody is there, it does not; but what comes behind others does: who comes next stands
        behind all of them.
        """
        waits = bool(self._views or self._pending or self._pass is not None)
        if waits:
            self._queue(batch)
        self._published[batch.server.id] = batch.position
        return waits

    def begin_at(self, server: int, position: Position, tell: Callable[[], None]) -> None:
        """What a server has published up to here has not come here: nobody gets it.

        ``tell`` is called once all have had what is ahead of that.
        """
        self._published[server] = position
        if self._pending or self._pass is not None:
            self._losses.append(_Loss(self._number, server, position, tell))
        else:
            tell()

    def _queue(self, batch: Batch) -> None:
        if not self._pending and self._pass is None:
            self._passed = {**self._published}
        self._number += 1
        self._pending.append(batch)
        self.pending_bytes += batch.size
        if self.pending_bytes > self.limit:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        dropped = []
        while self.pending_bytes > self.limit and len(self._pending) > 1:
            batch = self._pending.popleft()
            self.pending_bytes -= batch.size
            dropped.append(batch)
        messages = sum(map(len, dropped))
        if messages:
            self.dropped_messages += messages
            self._limiter.log(
                _log,
                logging.ERROR,
                "dropped",
                "messages dropped: they arrive faster than they can be sent (limits.hub_buffer; "
                "%d so far)",
                self.dropped_messages,
            )
            self.on_dropped(dropped)

    # The pass

    def next(self) -> Iterator[Delivery]:
        """The next pass: one delivery or more for each view; others may run between two."""
        self._tell_losses(self._first)
        batches = self._take()
        end = self._first
        before = Mark(end - len(batches), self._passed)
        moved = {batch.server.id: batch.position for batch in batches}
        after = Mark(end, {**self._passed, **moved})
        self._pass = before, after
        self._unserved = dict.fromkeys(self._views)
        for view, members in tuple(self._views.items()):
            self._serving = view
            delivery = MOMENT
            for mark, group in members.groups(before, after):
                texts = _texts(view, batches[mark.number - before.number :])
                if texts:
                    delivery = view.item(texts, mark, after), group
                    yield delivery
            self._serving = None
            self._unserved.pop(view, None)
            if delivery is MOMENT:
                yield MOMENT
        self._passed, self._pass = after.positions, None
        self._tell_losses(end)

    @property
    def _first(self) -> int:
        """The number of the oldest that waits, or of the next one."""
        return self._number - len(self._pending)

    def _tell_losses(self, number: int) -> None:
        """Those that are ahead of a batch."""
        while self._losses and self._losses[0].number <= number:
            loss = self._losses.popleft()
            self._passed = {**self._passed, loss.server: loss.position}
            loss.tell()

    def _take(self) -> list[Batch]:
        """The oldest that wait, up to PASS_BYTES or a loss."""
        batches = []
        size = 0
        end = self._losses[0].number if self._losses else self._number
        while self._first < end and (not size or size + self._pending[0].size <= PASS_BYTES):
            batch = self._pending.popleft()
            size += batch.size
            batches.append(batch)
        self.pending_bytes -= size
        return batches

    # Where clients stand

    def where(self, client: Client, view: View) -> Mark | None:
        """Where a client of a view stands; None while nobody knows."""
        own = self._views[view].own_mark(client)
        mark = self._mark_of(view)
        if mark is None:  # who came behind the pass gets nothing of it
            assert self._pass is not None
            return own if own is not None and own.number >= self._pass[1].number else None
        return own if own is not None and own.number > mark.number else mark

    def where_all(self, view: View) -> Mark | None:
        """Where all clients of a view stand; None if that is not one place."""
        mark = self._mark_of(view)
        if mark is None or self._views[view].come_behind(mark.number):
            return None
        return mark

    def _mark_of(self, view: View) -> Mark | None:
        """Where those stand who were there before the pass that is on, or the next."""
        if self._pass is not None:
            if view == self._serving:
                return None
            before, after = self._pass
            return before if view in self._unserved else after
        if self._pending:
            return Mark(self._first, self._passed)
        return Mark(self._number, {**self._published})


def _texts(view: View, batches: Sequence[Batch]) -> Sequence[bytes]:
    if len(batches) == 1:
        return view.texts(batches[0])
    texts: list[bytes] = []
    for batch in batches:
        texts += view.texts(batch)
    return texts


def _do_nothing(_: Sequence[Batch]) -> None:
    """Stands for what nobody has asked to be told."""
