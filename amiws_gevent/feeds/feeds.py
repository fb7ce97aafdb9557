"""All that clients subscribe to: the program has one of these.

It is the hub's stage. Whenever something of the state has changed, it takes what each server's
store has to tell, and has it delivered to the clients of each view.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from amiws_gevent.batch import Batch, Item
from amiws_gevent.config import Limits
from amiws_gevent.feeds.changed import Transform
from amiws_gevent.feeds.encoding import EVENTS, FILTERS, RESTART, STATE, UNKNOWN
from amiws_gevent.feeds.feed import MOST_SUBSCRIPTIONS, Feed, NoState
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.group import Format, Group, Transport, filters_key
from amiws_gevent.feeds.history import Bounds, History, Replay
from amiws_gevent.feeds.paging import Cursors, StatePage
from amiws_gevent.feeds.positions import Place, Positions
from amiws_gevent.feeds.shown import Flush, Live, Shown
from amiws_gevent.feeds.stateview import Frozen, StateView
from amiws_gevent.feeds.subscriber import Subscriber
from amiws_gevent.hub import Delivery, Hub
from amiws_gevent.live.proxy import PROXY_ID
from amiws_gevent.plugins.api import Entity, ServerInfo
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop

KEPT_TIME = 120.0
"""Seconds for which a view of the state is kept that no client has: one that comes back can
go on where it was."""
MOST_KEPT = 64

ALWAYS_KEPT = frozenset({"server"})
"""Kinds of the program itself."""

_MOMENT: Delivery = (Item(b"", 0, {}), ())

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


class _GroupKey(NamedTuple):
    streams: frozenset[str]
    filters: Filters
    fmt: Format


class Feeds:
    """Groups of equal subscriptions, views of the state, and the history of events.

    Publish through ``publish``; call ``hub.stir`` when a store has changed.
    """

    def __init__(
        self,
        hub: Hub,
        live: Live,
        bounds: Bounds,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.history = History(bounds, clock=clock)
        self.counts: Counter[str] = Counter(snapshots=0, gaps=0, left_out=0)
        """Since the start: snapshots that clients were sent, gaps that they were told of, and
        messages that were left out for those that read slowly."""
        self._hub = hub
        self._live = live
        self._clock = clock
        self._showing = Showing()
        self._positions = Positions()
        self._shown: dict[int, Shown] = {}
        self._views: dict[Filters, StateView] = {}
        self._groups: dict[_GroupKey, Group] = {}
        self._members: dict[Group, dict[Subscriber, None]] = {}
        self._groups_of: dict[StateView, dict[Group, None]] = {}
        self._kept: dict[Filters, float] = {}  # views without clients, since when
        self._feeds: dict[Feed, None] = {}
        self._cursors = Cursors(clock)
        self._limiter = LogLimiter()
        hub.set_stage(self)
        hub.on_dropped = self._batches_dropped

    def open(self, transport: Transport, fmt: Format, *, limit: int = MOST_SUBSCRIPTIONS) -> Feed:
        """A feed for a client; ``limit`` bounds its subscriptions."""
        feed = Feed(self, transport, fmt, limit=limit)
        self._feeds[feed] = None
        return feed

    def publish(self, batch: Batch) -> None:
        """Give a batch to all clients, and keep it for those who come back."""
        self.history.append(batch)
        self._hub.publish(batch)

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
    def behind(self) -> int:
        """Subscriptions that do not have the newest state."""
        return sum(not one.in_step for members in self._members.values() for one in members)

    @property
    def subscriptions(self) -> int:
        """Subscriptions of all clients."""
        return sum(map(len, self._members.values()))

    def page(
        self, filters: Filters, kind: str, limit: int, after: str | None = None
    ) -> StatePage | None:
        """Entities of a kind, ``limit`` at a time, as they are when the first page is asked for.

        It is made in steps, between which others run: of many, the last may be newer than the
        first, and than the position.

        ``after`` is ``next`` of the page before; None if that is not known, or no longer, or
        of other filters. Raises NoState.
        """
        chosen = filters.of_kind(kind)
        self.check(frozenset({STATE}), chosen)
        if after is not None:
            return self._cursors.more(after, chosen, limit)
        self._look_at_servers()
        view = self._view(chosen)
        if not self._groups_of[view]:
            self._keep(view)
        while not view.prepare():
            yield_to_loop()
        position = self._positions.encode(view.vector, {}, view.vector, filters_key(chosen))
        entities: list[Frozen] = []
        for step in view.entities():
            if entities:
                yield_to_loop()
            entities += step
        return self._cursors.begin(chosen, entities, position, limit)

    def _keep(self, view: StateView) -> None:
        """Keep a view that no client has, if who comes back could not do without it."""
        filters = view.filters
        if filters.changeable:
            self._kept[filters] = self._clock()
            self._forget_views()
        else:
            del self._views[filters], self._groups_of[view]

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

    def join(
        self, feed: Feed, streams: frozenset[str], filters: Filters, position: str | None
    ) -> tuple[Subscriber, bool]:
        """A subscriber of a feed, and whether it goes on where it was."""
        self._look_at_servers()
        group = self._group(_GroupKey(streams, filters, feed.fmt))
        group.newest = self._hub.number
        subscriber = Subscriber(
            group,
            feed.transport,
            self._clock,
            self.counts,
            number=self._hub.number,
            events=group.events_at(self._hub.published),
        )
        resumed = position is not None and self._resume(subscriber, position)
        if position is None:
            subscriber.begin()
        self._members[group][subscriber] = None
        if group.view is not None:
            self._hub.add(feed.transport, group.view)
        return subscriber, resumed

    def _group(self, key: _GroupKey) -> Group:
        group = self._groups.get(key)
        if group is None:
            state = self._view(key.filters) if STATE in key.streams else None
            group = Group(
                self._hub,
                self._live,
                self._positions,
                key.streams,
                key.filters,
                key.fmt,
                state,
            )
            self._groups[key] = group
            self._members[group] = {}
            if state is not None:
                self._groups_of[state][group] = None
        return group

    def _view(self, filters: Filters) -> StateView:
        view = self._views.get(filters)
        if view is None:
            view = self._views[filters] = StateView(filters, self._shown)
            self._groups_of[view] = {}
        self._kept.pop(filters, None)
        return view

    def leave(self, subscriber: Subscriber) -> None:
        """A subscriber has gone; its group goes with the last."""
        group = subscriber.group
        members = self._members[group]
        members.pop(subscriber, None)
        if group.view is not None:
            self._hub.remove(subscriber.transport, group.view)
        if members:
            return
        del self._members[group]
        del self._groups[_GroupKey(group.streams, group.filters, group.fmt)]
        if group.state is not None:
            of_view = self._groups_of[group.state]
            del of_view[group]
            if not of_view:
                self._keep(group.state)

    def _forget_views(self) -> None:
        oldest = self._clock() - KEPT_TIME
        while self._kept:
            filters, since = next(iter(self._kept.items()))
            if since >= oldest and len(self._kept) <= MOST_KEPT:
                break
            del self._kept[filters]
            del self._groups_of[self._views.pop(filters)]

    def closed(self, feed: Feed) -> None:
        """A client has gone."""
        self._feeds.pop(feed, None)

    # Who comes back

    def _resume(self, subscriber: Subscriber, text: str) -> bool:
        """Whether all that was missed since a position can be told."""
        place = self._positions.decode(text, subscriber.group.key)
        if place is None:
            for stream in sorted(subscriber.group.streams):
                subscriber.tell_gap(stream, UNKNOWN)
            subscriber.begin()
            return False
        whole = self._resume_events(subscriber, place)
        return self._resume_state(subscriber, place) and whole

    def _resume_events(self, subscriber: Subscriber, place: Place) -> bool:
        group = subscriber.group
        if group.view is None:
            return True
        vector = {}
        whole = True
        for server, now in group.events_at(self._hub.published).items():
            position = place.events.get(server)
            if position is None and place.events and place.same_filters:  # it came since
                position = now._replace(offset=0)
            since = self.history.since(server, now.epoch, position)
            vector[server] = since.position
            if since.reason is not None:
                whole = False
                subscriber.tell_gap(EVENTS, since.reason, server=server)
        subscriber.replay = Replay(self.history, group.view.filters, vector)
        return whole

    def _resume_state(self, subscriber: Subscriber, place: Place) -> bool:
        view = subscriber.group.state
        if view is None:
            return True
        reason = view.why_not(place.state) if place.same_filters else FILTERS
        if reason is None:
            subscriber.begin_at(place.state)
            return True
        subscriber.begin_anew(reason)
        return False

    # The stage

    def deliveries(self) -> Iterator[Delivery]:
        """Of `hub.Stage`: what has changed of the state, for each view."""
        self._look_at_servers()
        self._forget_views()
        flushes = [flush for shown in self._shown.values() if (flush := shown.flush()) is not None]
        if not flushes:
            return
        for view in list(self._views.values()):
            if view not in self._groups_of:  # forgotten meanwhile
                continue
            try:
                yield from self._flush(view, flushes)
                yield _MOMENT
            except Exception as error:  # noqa: BLE001 - a fault of one view is not that of all
                self._limiter.log(
                    _log,
                    logging.ERROR,
                    "flush",
                    "internal error in a subscription to the state; its clients get the state anew",
                    exc_info=error,
                )
                self._begin_anew(view)
        if self._watcher is not None:
            self._tell_watcher(self._watcher, flushes)

    def _tell_watcher(self, watcher: Watcher, flushes: list[Flush]) -> None:
        for flush in flushes:
            for number, chunk in enumerate(flush.chunks()):
                if number:
                    yield_to_loop()
                made = [delta.entity for delta in chunk if delta.fields is not None]
                gone = [delta.entity for delta in chunk if delta.fields is None]
                watcher.state_changed(flush.info, made, gone)

    def _flush(self, view: StateView, flushes: list[Flush]) -> Iterator[Delivery]:
        before = view.vector
        view.busy = True
        try:
            for pieces in view.flush(flushes):
                last = view.vector is not before
                for group in list(self._groups_of.get(view, ())):
                    in_step = [one.transport for one in self._members.get(group, ()) if one.in_step]
                    if in_step:
                        yield group.state_item(pieces, before, last=last), in_step
        finally:
            view.busy = False

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
                shown = self._shown[server] = Shown(served, transform, self._hub.stir)
                changed.append(server)
                if self._watcher is not None:
                    self._watcher.state_begins(shown.info)
        if changed:
            for view in self._views.values():
                if view.has(changed):
                    self._begin_anew(view)

    def _drop(self, server: int) -> None:
        shown = self._shown.pop(server)
        shown.close()
        if self._watcher is not None:
            self._watcher.state_begins(shown.info)

    def _begin_anew(self, view: StateView) -> None:
        view.begin()
        for group in self._groups_of[view]:
            for subscriber in self._members[group]:
                subscriber.begin_anew(RESTART)
                subscriber.transport.pump()

    def _batches_dropped(self) -> None:
        for group, members in self._members.items():
            if group.view is not None:
                for subscriber in members:
                    subscriber.dropped()
                    subscriber.transport.pump()
