"""One subscription of one client: where it stands, and what comes next while it is behind.

    in step         gets what its group gets
    behind          of the state it has what there was at ``behind``, and gets what has changed
    reads pages     of a snapshot, or of what has changed; afterwards it is behind, or in step
    replays         events of the history, those that were published since wait

What is sent first, so that each position that the client gets is true: gaps; what is missed of
the events, or those that wait; then the state, as pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from amiws_gevent.batch import Item
from amiws_gevent.feeds import encoding
from amiws_gevent.feeds.encoding import BUSY, EVENTS, HISTORY, RESTART, SLOW, STATE
from amiws_gevent.feeds.group import Group, Part, Transport
from amiws_gevent.feeds.history import Replay
from amiws_gevent.feeds.pages import Pages, Snapshot
from amiws_gevent.feeds.positions import Vector
from amiws_gevent.feeds.waiting import Waiting

PAGES_PER_TURN = 20  # that are looked at; less than a millisecond

LATER = b""
"""There is more to send, at another turn of the loop."""


class Subscriber:
    """``counts`` gets ``snapshots`` and ``gaps``."""

    def __init__(
        self,
        group: Group,
        transport: Transport,
        clock: Callable[[], float],
        counts: Counter[str],
    ) -> None:
        self.group = group
        self.transport = transport
        self.replay: Replay | None = None
        """What it has missed of the events, until it has had that."""
        self._clock = clock
        self._counts = counts
        self._gaps: list[bytes] = []  # to be told ahead of all else
        self._waiting = Waiting()
        self._behind: Vector | None = None  # where it stands in the state; None: in step
        self._pages: Pages | None = None  # that it reads
        self._page = 0  # the next of them
        self._needs_snapshot = False
        self._has_caught_up = False  # since the last turn of the replay

    @property
    def waiting_bytes(self) -> int:
        """What the events take that wait."""
        return self._waiting.size

    @property
    def in_step(self) -> bool:
        """Whether it has the state that its group has."""
        return self._behind is None and not self._needs_snapshot

    # How it begins

    def begin(self) -> None:
        """It has nothing of the state."""
        if self.group.state is not None:
            self._needs_snapshot = True

    def begin_at(self, state: Vector) -> None:
        """It has the state that there was at a position."""
        self._behind = state

    def begin_anew(self, reason: str = RESTART) -> None:
        """What it has of the state is of no more use."""
        if self.group.state is not None:
            self.tell_gap(STATE, reason)
            self._pages = self._behind = None
            self._needs_snapshot = True
            self._has_caught_up = False

    def tell_gap(
        self, stream: str, reason: str, *, server: int | None = None, lost: int | None = None
    ) -> None:
        """Say ahead of all else that something is missing."""
        self._counts["gaps"] += 1
        self._gaps.append(encoding.gap(self.group.id, stream, reason, server=server, lost=lost))

    def dropped(self, reason: str = BUSY) -> None:
        """Batches are missing, of which it has got none."""
        self._waiting.dropped(reason)

    # What comes while the client does not read

    def keep(self, item: Item) -> None:
        """Take what is offered."""
        part: Part = item.part
        if part.stream == STATE:
            if self.in_step:
                self._behind = part.before
                self._waiting.falls_behind()
            return
        self._waiting.add(item)

    def leave_out(self) -> Item:
        """Leave out the oldest that waits: that."""
        return self._waiting.leave_out()

    # What is sent next

    def pull(self) -> bytes | None:
        """The next bytes; LATER if that takes another turn, None if it is in step."""
        if self._gaps:
            return self._tell_gaps()
        if self.replay is not None and (self.in_step or self._has_caught_up):
            return self._replay(self.replay)
        if self.replay is None and (data := self._event()) is not None:
            return data
        if not self.in_step:
            return self._state()
        return None

    def _tell_gaps(self) -> bytes:
        """All that is missing; who goes on from there is not told a second time."""
        gaps, self._gaps = self._gaps, []
        position = self.position()
        gaps[-1] = encoding.with_position(gaps[-1], position)
        return self.group.encode(*gaps, position=position)

    def _event(self) -> bytes | None:
        """The next event that waits, or what is told in the place of those left out."""
        if lost := self._waiting.take_lost():
            self.tell_gap(EVENTS, SLOW, lost=lost)
            return self._tell_gaps()
        if reason := self._waiting.take_drop():
            self.tell_gap(EVENTS, reason)
            return self._tell_gaps()
        item = self._waiting.take(any_one=self.in_step)
        return None if item is None else item.data

    def _replay(self, replay: Replay) -> bytes:
        """The next turn of it."""
        texts = replay.turn()
        if replay.lost:
            replay.lost = False
            self.tell_gap(EVENTS, HISTORY)
        self._has_caught_up = False
        if replay.done:
            self.replay = None
        gaps, self._gaps = self._gaps, []
        position = self.group.position(replay.vector, self._state_vector())
        data = self.group.encode(*gaps) if gaps else b""
        return data + self.group.encode_events(texts, position) if texts else data

    def _state(self) -> bytes | None:
        view = self.group.state
        assert view is not None
        if self._pages is None:
            if view.busy or not view.prepare():
                return LATER
            self._open_pages()
            if self._gaps:
                return self._tell_gaps()
        pages = self._pages
        assert pages is not None
        return self._read(pages)

    def _open_pages(self) -> None:
        """Find what it is told next: all that there is, or what has changed."""
        view = self.group.state
        assert view is not None
        self._page = 0
        if self._needs_snapshot:
            self._pages = view.snapshot(self._clock())
            self._counts["snapshots"] += 1
            return
        assert self._behind is not None
        self._pages = view.catch_up(self._behind)
        self._waiting.begins_to_catch_up()
        if self._pages is None:
            self.begin_anew(SLOW)

    def _read(self, pages: Pages) -> bytes | None:
        """The next page that says something; LATER if several say nothing."""
        turn_end = self._page + PAGES_PER_TURN
        while self._page < pages.count:
            if self._page == turn_end:
                return LATER
            made, gone = pages.page(self._page)
            self._page += 1
            number = self._page
            last = number == pages.count
            if last:
                self._has_read(pages)
            if isinstance(pages, Snapshot):
                position = self.position(pages.vector) if last else None
                message = encoding.snapshot(self.group.id, number, pages.count, made, position)
                return self.group.encode(message, position=position)
            if made or gone:
                position = self.position(pages.vector) if last else None
                message = encoding.state(self.group.id, made, gone, position)
                return self.group.encode(message, position=position)
        self._has_read(pages)
        return self.pull()

    def _has_read(self, pages: Pages) -> None:
        """The client has all that the pages tell."""
        view = self.group.state
        assert view is not None
        if self._pages is not pages:
            return
        self._pages = None
        self._has_caught_up = True
        self._behind = pages.vector
        if isinstance(pages, Snapshot):
            self._needs_snapshot = False
            if view.why_not(pages.vector) is not None:
                self._pages, self._page = view.reconcile(pages), 0
                self._waiting.begins_to_catch_up()
        else:
            self._waiting.has_caught_up()
        if self._behind == view.vector and not view.busy:
            self._behind = None

    # Where it stands

    def position(self, state: Vector | None = None) -> str | None:
        """Where the client stands that has had all that was pulled; None if that is not certain.

        With ``state`` as where it stands in that stream.
        """
        return self.group.position(
            self._events_vector(), self._state_vector() if state is None else state
        )

    def _events_vector(self) -> Vector | None:
        """Ahead of the first that it has not had; if it has had all, where the hub has it."""
        # Whoever goes on from here must have been told of them.
        if self._gaps or self._waiting.is_at_drop:
            return None
        if self.replay is not None:
            return self.replay.vector
        part = self._waiting.first
        return self.group.events_of(self.transport) if part is None else part.before

    def _state_vector(self) -> Vector | None:
        """Where it is behind, or where its view is; maybe it has more of the state already."""
        view = self.group.state
        if view is None or self._needs_snapshot:
            return None
        return view.vector if self._behind is None else self._behind
