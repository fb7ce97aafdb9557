"""Who has what in common: groups of equal subscriptions, and the views of the state under them.

What two clients are sent is the same if their keys are equal: then it is found out once, encoded
once and kept once. So a key holds all that it depends on. Each key here belongs to one thing:

    ViewKey     a view of the state: which entities are told, and what is seen of them
    GroupKey    a group: these, the streams, and how messages become bytes

What filters choose of events and of entities, they say themselves: nobody else looks into them.
What is left out for a slow client is counted where its own group's items wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from amiws_gevent.batch import Batch
from amiws_gevent.feeds.encoding import BUSY, RESTART, STATE
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.group import Format, Group, Transport
from amiws_gevent.feeds.positions import Positions
from amiws_gevent.feeds.shown import Live
from amiws_gevent.feeds.sights import Sights, any_seen
from amiws_gevent.feeds.stateview import StateView
from amiws_gevent.feeds.subscriber import Subscriber
from amiws_gevent.passes import Passes
from amiws_gevent.policy import Sight

KEPT_TIME = 120.0
"""Seconds for which a view of the state is kept that no client has: one that comes back can
go on where it was."""
MOST_KEPT = 64


class ViewKey(NamedTuple):
    """What a view of the state depends on."""

    filters: Filters
    sight: Sight | None
    """None: all is seen (`sights.sight_of`)."""


class GroupKey(NamedTuple):
    """What a group's messages depend on."""

    streams: frozenset[str]
    view: ViewKey
    fmt: Format


class Views:
    """A view exists while a group has it, or for a while longer; a group while it has members."""

    def __init__(
        self,
        passes: Passes,
        live: Live,
        positions: Positions,
        sights: Sights,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._passes = passes
        self._live = live
        self._positions = positions
        self._sights = sights
        self._clock = clock
        self._states: dict[ViewKey, StateView] = {}
        self._groups_of: dict[StateView, dict[Group, None]] = {}
        self._kept: dict[ViewKey, float] = {}  # views without clients, since when
        self._groups: dict[GroupKey, Group] = {}
        self._members: dict[Group, dict[Subscriber, None]] = {}

    @property
    def subscriptions(self) -> int:
        """Subscriptions of all clients."""
        return sum(map(len, self._members.values()))

    @property
    def behind(self) -> int:
        """Subscriptions that do not have the newest state."""
        return sum(not one.in_step for members in self._members.values() for one in members)

    def states(self) -> list[StateView]:
        """All views of the state; those that no client has are kept up to date as well."""
        return list(self._states.values())

    def in_step(self, view: StateView) -> Iterator[tuple[Group, dict[Transport, None]]]:
        """By group of a view, those of its clients who get what changes now."""
        for group in list(self._groups_of.get(view, ())):
            clients = {one.transport: None for one in self._members.get(group, ()) if one.in_step}
            if clients:
                yield group, clients

    # Who comes and goes

    def join(
        self, key: GroupKey, transport: Transport, clock: Callable[[], float], counts: Counter[str]
    ) -> Subscriber:
        """A new member of the group with a key."""
        group = self._groups.get(key) or self._make_group(key)
        subscriber = Subscriber(group, transport, clock, counts)
        self._members[group][subscriber] = None
        if group.view is not None:
            self._passes.add(transport, group.view)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """A member has gone; its group goes with the last."""
        group = subscriber.group
        members = self._members[group]
        members.pop(subscriber, None)
        if group.view is not None:
            self._passes.remove(subscriber.transport, group.view)
        if members:
            return
        del self._members[group]
        view = ViewKey(group.filters, group.sight)
        del self._groups[GroupKey(group.streams, view, group.fmt)]
        if group.state is not None:
            del self._groups_of[group.state][group]
            self.release(group.state)

    def _make_group(self, key: GroupKey) -> Group:
        filters, sight = key.view
        state = self.state(key.view) if STATE in key.streams else None
        group = Group(
            self._passes, self._live, self._positions, key.streams, filters, sight, key.fmt, state
        )
        self._groups[key] = group
        self._members[group] = {}
        if state is not None:
            self._groups_of[state][group] = None
        return group

    # Views of the state

    def state(self, key: ViewKey) -> StateView:
        """The view with a key; call ``release`` if no group gets it."""
        view = self._states.get(key)
        if view is None:
            view = StateView(key.filters, self._sights.of(key.sight), key.sight)
            self._states[key] = view
            self._groups_of[view] = {}
        self._kept.pop(key, None)
        return view

    def release(self, view: StateView) -> None:
        """If no client has a view, keep it for a while, or drop what is made again as it was."""
        if self._groups_of[view]:
            return
        key = ViewKey(view.filters, view.sight)
        if view.filters.changeable:
            self._kept[key] = self._clock()
            self.forget_old()
        else:
            del self._states[key], self._groups_of[view]

    def forget_old(self) -> None:
        """Drop what was kept long enough."""
        oldest = self._clock() - KEPT_TIME
        while self._kept:
            key, since = next(iter(self._kept.items()))
            if since >= oldest and len(self._kept) <= MOST_KEPT:
                break
            del self._kept[key]
            del self._groups_of[self._states.pop(key)]
        self._sights.forget_old(key.sight for key in self._states)

    def is_there(self, view: StateView) -> bool:
        """Whether a view has not been dropped."""
        return view in self._groups_of

    def begin_anew(self, view: StateView) -> None:
        """What the clients of a view have of the state is of no more use."""
        view.begin()
        for group in self._groups_of[view]:
            for subscriber in self._members[group]:
                subscriber.begin_anew(RESTART)
                subscriber.transport.pump()

    def batches_dropped(self, batches: Sequence[Batch]) -> None:
        """The hub has dropped these: who would have seen something of them has missed it.

        Of filters only that for servers is asked. There may be a thousand others, and who asks
        them all drops no sooner than it would have sent.
        """
        seen: dict[Sight | None, set[int]] = {}  # servers of which something would have been seen
        for group, members in self._members.items():
            if group.view is None:
                continue
            servers = seen.get(group.sight)
            if servers is None:
                servers = {one.server.id for one in batches if any_seen(group.sight, one)}
                seen[group.sight] = servers
            if any(map(group.sees_server, servers)):
                _tell_missed(members)

    def events_lost(self, server: int, reason: str) -> Callable[[], None]:
        """Events of a server are lost, nobody knows which: all who get them now miss some.

        Returns what tells them, if they are still there then.
        """
        miss = [
            subscriber
            for group, members in self._members.items()
            if group.view is not None and group.sees_server(server)
            for subscriber in members
        ]

        def tell() -> None:
            there = (one for one in miss if one in self._members.get(one.group, ()))
            _tell_missed(there, reason, server)

        return tell


def _tell_missed(
    members: Iterable[Subscriber], reason: str = BUSY, server: int | None = None
) -> None:
    for subscriber in members:
        subscriber.dropped(reason, server)
        subscriber.transport.pump()
