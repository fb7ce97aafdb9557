"""All that clients subscribe to: the program has one of these.

It is the hub's stage. Whenever something of the state has changed, it takes what each server's
store has to tell, and has it delivered to the clients of each view.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import gevent

from amiws_gevent.batch import Batch, Position
from amiws_gevent.config import Limits
from amiws_gevent.feeds.changed import Transform
from amiws_gevent.feeds.deltas import Flush
from amiws_gevent.feeds.encoding import EVENTS, STATE
from amiws_gevent.feeds.feed import MOST_SUBSCRIPTIONS, Feed, NoState
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.group import Format, Transport, view_key
from amiws_gevent.feeds.history import Bounds, History
from amiws_gevent.feeds.paging import Cursors, StatePage
from amiws_gevent.feeds.positions import Positions, Vector
from amiws_gevent.feeds.resume import is_ahead, resume
from amiws_gevent.feeds.shown import Live, Shown
from amiws_gevent.feeds.sights import Sights, sight_of
from amiws_gevent.feeds.stateview import Frozen, StateView
from amiws_gevent.feeds.subscriber import Subscriber
from amiws_gevent.feeds.views import GroupKey, ViewKey, Views
from amiws_gevent.hub import Hub
from amiws_gevent.live.proxy import PROXY_ID
from amiws_gevent.losses import Losses
from amiws_gevent.passes import MOMENT, Delivery
from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.policy import Sight
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop

ALWAYS_KEPT = frozenset({"server"})
"""Kinds of the program itself."""

LOOK = 0.02
"""Seconds between two looks whether what another process was told has come here."""

_log = logging.getLogger("amiws_gevent.feeds")


class Watcher(Protocol):
    """Who is told of the state beside clients (`plugins.manager.Plugins`)."""

    @property
    def watches_state(self) -> bool: ...

    def state_changed(
        self, server: ServerInfo, made: Sequence[Entity], gone: Sequence[Entity]
    ) -> None: ...

    def state_begins(self, server: ServerInfo) -> None: ...

    def state_is_there(self, server: ServerInfo) -> None: ...


class Showing(NamedTuple):
    """What is shown of the state."""

    transform: Transform | None = None
    """What plugins make of it; not of that of server 0."""
    of: tuple[object, ...] = ()
    """What that depends on: while it is equal, nothing is shown anew."""
    withheld: str = ""
    """Why nothing is shown but the servers; "" if all is."""
    watcher: Watcher | None = None


class Feeds:
    """What is shown of the state, who subscribes to it, and the history of events.

    Publish through ``publish``; call ``hub.stir`` when a store has changed. Of the servers
    ``told_again`` who comes back is told all the state, whatever its position. Who comes back from
    another process that shows the same streams waits for ``behind`` seconds at most, if that was
    ahead of this one. ``cursors`` keep lists for who asks for them page by page.
    """

    def __init__(
        self,
        hub: Hub,
        live: Live,
        bounds: Bounds,
        *,
        clock: Callable[[], float] = time.monotonic,
        told_again: Collection[int] = (),
        behind: float = 0.0,
        cursors: Cursors | None = None,
    ) -> None:
        self.history = History(bounds, clock=clock)
        self.counts: Counter[str] = Counter(snapshots=0, gaps=0)
        """Since the start: snapshots that clients were sent, and gaps that they were told of."""
        self._losses = Losses()
        self._hub = hub
        self._live = live
        self._clock = clock
        self._told_again = told_again
        self._looks = round(behind / LOOK)
        self._showing = Showing()
        self._positions = Positions()
        self._shown: dict[int, Shown] = {}
        self._sights = Sights(self._shown, clock=clock)
        self._views = Views(hub.passes, live, self._positions, self._sights, clock=clock)
        self._feeds: dict[Feed, None] = {}
        self._cursors = Cursors(clock) if cursors is None else cursors
        self._limiter = LogLimiter()
        hub.set_stage(self)
        hub.passes.on_dropped = self._views.batches_dropped

    def open(
        self,
        transport: Transport,
        fmt: Format,
        *,
        limit: int = MOST_SUBSCRIPTIONS,
        sight: Sight | None = None,
        user: str | None = None,
    ) -> Feed:
        """A feed for a client who sees this (None: all); ``limit`` bounds its subscriptions."""
        feed = Feed(self, transport, fmt, limit=limit, sight=sight, user=user)
        self._feeds[feed] = None
        return feed

    def publish(self, batch: Batch) -> None:
        """Give a batch to all clients, and keep it for those who come back."""
        self.history.append(batch)
        self._hub.publish(batch)

    def goes_on_at(self, server: int, position: Position, lost: str = "") -> None:
        """What a server has published up to here does not come; ``lost`` says why it is missed.

        Empty: nobody who is there has missed it.
        """
        self.history.forget(server, position)
        tell = self._views.events_lost(server, lost) if lost else _nothing
        self._hub.passes.begin_at(server, position, tell)

    def configure(self, limits: Limits) -> None:
        """Keep as much of the events as these allow."""
        self.history.configure(Bounds.of(limits))

    def use(self, showing: Showing) -> None:
        """Show the state so from now on; if it becomes another, all clients get it anew."""
        before, self._showing = self._showing, showing
        if (before.of, before.withheld) != (showing.of, showing.withheld):
            for shown in self._shown.values():
                shown.close()
            self._shown.clear()
        if self._watcher is not None:
            for shown in self._shown.values():
                self._watcher.state_is_there(shown.info)
        self._hub.stir()

    def show_anew(self) -> None:
        """Plugins may make something else of the state than before: ask them about all of it."""
        for shown in self._shown.values():
            if shown.changed is not None:
                shown.changed.again()

    @property
    def _watcher(self) -> Watcher | None:
        watcher = self._showing.watcher
        return watcher if watcher is not None and watcher.watches_state else None

    @property
    def shown(self) -> Mapping[int, Shown]:
        """By server, the state as clients see it now."""
        return self._shown

    @property
    def shows_state(self) -> bool:
        """Whether clients may have state of more than the program itself."""
        return self._live.keeps_state and not self._showing.withheld

    @property
    def losses(self) -> Losses:
        """Messages that were left out for clients that read slowly."""
        return self._losses

    @property
    def behind(self) -> int:
        """Subscriptions that do not have the newest state."""
        return self._views.behind

    @property
    def subscriptions(self) -> int:
        """Subscriptions of all clients."""
        return self._views.subscriptions

    def page(
        self,
        filters: Filters,
        kind: str,
        limit: int,
        after: str | None = None,
        sight: Sight | None = None,
    ) -> StatePage | None:
        """Entities of a kind, ``limit`` at a time, as they are when the first page is asked for.

        They are those that ``sight`` shows, as it shows them.

        It is made in steps, between which others run, so it may be newer than its position
        (`stateview`).

        ``after`` is ``next`` of the page before; None if that is not known, or no longer, or
        of other filters or another sight. Raises NoState.
        """
        chosen = filters.of_kind(kind)
        self.check(frozenset({STATE}), chosen)
        key = ViewKey(chosen, sight_of(sight))
        if after is not None:
            return self._cursors.more(after, key, limit)
        self._look_at_servers()
        view = self._views.state(key)
        self._views.release(view)
        vector, entities = self._list(view)
        position = self._positions.encode(vector, {}, vector, view_key(*key))
        return self._cursors.begin(key, entities, position, limit)

    @staticmethod
    def _list(view: StateView) -> tuple[Vector, list[Frozen]]:
        """All of a view, and where who has that stands; found anew if it begins anew meanwhile."""
        while True:
            while not view.prepare():
                yield_to_loop()
            begun, vector = view.begun, view.vector
            entities: list[Frozen] = []
            for step in view.entities():
                entities += step
                yield_to_loop()
                if view.begun != begun:
                    break
            else:
                return vector, entities

    # Who comes and goes (`feed.Source`)

    def check(self, streams: frozenset[str], filters: Filters) -> None:
        """Refuse to tell that there is nothing where nothing is known, or may be told: NoState."""
        if STATE not in streams or filters.kinds <= ALWAYS_KEPT:
            return
        if not self._live.keeps_state:
            raise NoState(
                "state_off", "live_state is off: there is no state but that of kind server"
            )
        if self._showing.withheld:
            raise NoState("state_withheld", self._showing.withheld)

    def catch_up(self, streams: frozenset[str], filters: Filters, position: str) -> None:
        """Wait until all has come here that somebody with a position has had, or for too long."""
        for _ in range(self._looks):
            if not self._is_ahead(streams, filters, position):
                return
            gevent.sleep(LOOK)

    def _is_ahead(self, streams: frozenset[str], filters: Filters, position: str) -> bool:
        self._look_at_servers()
        events: Vector = {}
        state: Vector = {}
        if EVENTS in streams:
            events = {
                server: Position(source.epoch, 0)
                for server, source in self._live.sources.items()
                if filters.has_server(server)
            }
        if STATE in streams:
            state = {
                server: shown.position
                for server, shown in self._shown.items()
                if filters.has_server(server)
            }
        self._positions.encode({*events, *state}, events, state)  # else its layout is not known
        place = self._positions.decode(position)
        return place is not None and is_ahead(
            place, events, self.history, self._shown, self._told_again
        )

    def join(
        self, feed: Feed, streams: frozenset[str], filters: Filters, position: str | None
    ) -> tuple[Subscriber, bool]:
        """A subscriber of a feed, and whether it goes on where it was."""
        self._look_at_servers()
        if EVENTS in streams and feed.sight is not None:
            self.history.watch(feed.sight)
        key = GroupKey(streams, ViewKey(filters, feed.sight), feed.fmt)
        subscriber = self._views.join(key, feed.transport, self._clock, self.counts)
        if position is None:
            subscriber.begin()
            return subscriber, False
        return subscriber, resume(
            subscriber, position, self._positions, self.history, self._told_again
        )

    def leave(self, subscriber: Subscriber) -> None:
        """A subscriber has gone."""
        self._views.leave(subscriber)

    def closed(self, feed: Feed) -> None:
        """A client has gone."""
        self._feeds.pop(feed, None)

    # The stage

    def deliveries(self) -> Iterator[Delivery]:
        """Of `hub.Stage`: what has changed of the state, for each view.

        A step is one chunk of changes and one view, or some entities for one sight.
        """
        self._look_at_servers()
        self._views.forget_old()
        flushes = [flush for shown in self._shown.values() if (flush := shown.flush()) is not None]
        if not flushes:
            return
        flushes_of: dict[Sight | None, list[Flush]] = {None: flushes}
        for _ in self._sights.feed(flushes, flushes_of):
            yield MOMENT
        for view in self._views.states():
            if not self._views.is_there(view):  # dropped meanwhile
                continue
            try:
                yield from self._flush(view, flushes_of.get(view.sight, []))
            except Exception as error:  # noqa: BLE001 - a fault of one view is not that of all
                self._limiter.log(
                    _log,
                    logging.ERROR,
                    "flush",
                    "internal error in a subscription to the state; its clients get the state anew",
                    exc_info=error,
                )
                self._views.begin_anew(view)
            yield MOMENT
        if self._watcher is not None:
            yield from self._tell_watcher(self._watcher, flushes)

    def _flush(self, view: StateView, flushes: list[Flush]) -> Iterator[Delivery]:
        for told in view.flush(flushes):
            if told.pieces.made or told.pieces.gone:
                for group, clients in self._views.in_step(view):
                    yield group.state_item(told), clients
            yield MOMENT

    @staticmethod
    def _tell_watcher(watcher: Watcher, flushes: list[Flush]) -> Iterator[Delivery]:
        for flush in flushes:
            for chunk in flush.chunks():
                made = [delta.entity for delta in chunk.deltas if delta.fields is not None]
                gone = [delta.entity for delta in chunk.deltas if delta.fields is None]
                watcher.state_changed(flush.info, made, gone)
                yield MOMENT

    def _look_at_servers(self) -> None:
        """Show the servers that there are; a stream that is another is told anew."""
        servers = self._live.servers
        if self._showing.withheld:
            servers = {server: served for server, served in servers.items() if server == PROXY_ID}
        changed = [server for server in self._shown if server not in servers]
        for server in changed:
            self._drop(server)
        for server, served in servers.items():
            shown = self._shown.get(server)
            if shown is None or not shown.is_of(served):
                if shown is not None:
                    shown.close()
                transform = None if server == PROXY_ID else self._showing.transform
                after = self._goes_on_after(server)
                shown = self._shown[server] = Shown(served, transform, self._hub.stir, after)
                changed.append(server)
                if self._watcher is not None:
                    self._watcher.state_begins(shown.info)
        if changed:
            self._sights.look_at_servers()
            for view in self._views.states():
                if view.has(changed):
                    self._views.begin_anew(view)

    def _goes_on_after(self, _server: int) -> Position | None:
        """Where what plugins make of a server's state goes on; None: it begins."""
        return None

    def _drop(self, server: int) -> None:
        shown = self._shown.pop(server)
        shown.close()
        if self._watcher is not None:
            self._watcher.state_begins(shown.info)


def _nothing() -> None:
    """Nobody is to be told."""
