"""All subscriptions of one client, and what waits for it while it does not read."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from amiws_gevent.batch import Item
from amiws_gevent.errors import AmiwsError
from amiws_gevent.feeds.encoding import EVENTS, RIGHTS
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.group import Format, Part, Transport, subscription_id
from amiws_gevent.feeds.sights import sight_of
from amiws_gevent.feeds.subscriber import LATER, Subscriber
from amiws_gevent.feeds.waiting import cost_of
from amiws_gevent.losses import Losses
from amiws_gevent.policy import Sight

MOST_SUBSCRIPTIONS = 16


class TooMany(AmiwsError):
    """A client has as many subscriptions as it may have."""


class NoState(AmiwsError):
    """There is no state to be told of; ``code`` says why, ``str()`` in words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Subscription(NamedTuple):
    """What a client is told of a subscription that has begun."""

    id: str
    """The same for equal streams and filters."""
    streams: frozenset[str]
    filters: dict[str, list[Any]]
    resumed: bool
    """Whether it goes on at its position in everything; if not, gaps say what is missing."""
    position: str | None
    """Where it begins; None if that is told by the snapshot or the gap that comes first."""


class Source(Protocol):
    """Who makes subscribers (`feeds.Feeds`)."""

    def check(self, streams: frozenset[str], filters: Filters) -> None:
        """Raise NoState if there is none to be told."""

    def catch_up(self, streams: frozenset[str], filters: Filters, position: str) -> None:
        """See `Feed.catch_up`."""

    def join(
        self, feed: Feed, streams: frozenset[str], filters: Filters, position: str | None
    ) -> tuple[Subscriber, bool]: ...

    def leave(self, subscriber: Subscriber) -> None: ...

    def closed(self, feed: Feed) -> None: ...

    @property
    def losses(self) -> Losses: ...


class Feed:
    """It is the source of its client's outlet: ``pending_bytes``, ``push`` and ``pull``."""

    def __init__(
        self,
        source: Source,
        transport: Transport,
        fmt: Format,
        *,
        limit: int,
        sight: Sight | None = None,
        user: str | None = None,
    ) -> None:
        self.transport = transport
        self.fmt = fmt
        self.user = user
        """Who is counted as the one who loses messages; None if nobody had to log in."""
        self.sight = sight_of(sight)
        """What the client sees; None: all."""
        self.limit = limit
        """Subscriptions."""
        self._source = source
        self._subscribers: dict[str, Subscriber] = {}  # the one whose turn it is comes first

    @property
    def subscribers(self) -> list[Subscriber]:
        """Those that it has."""
        return list(self._subscribers.values())

    @property
    def pending_bytes(self) -> int:
        """What events take that wait; state takes nothing."""
        return sum(one.waiting_bytes for one in self._subscribers.values())

    def use_sight(self, sight: Sight | None) -> None:
        """The client sees this from now on; None: all.

        If that is another, all subscriptions begin anew: what waited is dropped, gaps say so,
        and a snapshot follows.
        """
        sight = sight_of(sight)
        if sight == self.sight:
            return
        self.sight = sight
        for known, old in list(self._subscribers.items()):
            self._source.leave(old)
            group = old.group
            made, _ = self._source.join(self, group.streams, group.filters, None)
            if EVENTS in group.streams:
                made.tell_gap(EVENTS, RIGHTS)
            made.begin_anew(RIGHTS)
            self._subscribers[known] = made
        self.transport.pump()

    def catch_up(self, streams: frozenset[str], filters: Filters, position: str) -> None:
        """Wait, before `subscribe`, until the position is not ahead of what has come here.

        That is for who comes from another edge, which was faster; it lasts a moment, or the bound
        of `Feeds`. Others run meanwhile: the client may be gone then.
        """
        self._source.catch_up(streams, filters, position)

    def subscribe(
        self, streams: frozenset[str], filters: Filters, position: str | None = None
    ) -> Subscription:
        """Begin, or go on at a position; one that is equal begins anew.

        Nothing is sent before the next turn of the loop: answer the client first. Raises TooMany
        and NoState; then all is as before.
        """
        known = subscription_id(streams, filters)
        if known not in self._subscribers and len(self._subscribers) >= self.limit:
            raise TooMany(f"{self.limit} subscriptions at once are the most")
        self._source.check(streams, filters)
        self.unsubscribe(known)
        subscriber, resumed = self._source.join(self, streams, filters, position)
        self._subscribers[known] = subscriber
        self.transport.pump()
        return Subscription(known, streams, filters.as_json(), resumed, subscriber.position())

    def unsubscribe(self, subscription_id: str) -> bool:
        """End one; whether there was one. What waited of it is dropped."""
        subscriber = self._subscribers.pop(subscription_id, None)
        if subscriber is None:
            return False
        self._source.leave(subscriber)
        return True

    def positions(self) -> dict[str, str]:
        """By subscription, where the client stands once it has all that was pulled.

        One that is not certain just now is left out, or has nothing yet to go on from.
        """
        found = {key: one.position() for key, one in self._subscribers.items()}
        return {key: position for key, position in found.items() if position is not None}

    def close(self) -> None:
        """The client has gone."""
        for known in list(self._subscribers):
            self.unsubscribe(known)
        self._source.closed(self)

    # The source of an outlet

    def push(self, item: Item, room: int, /) -> bool:
        """Keep what the client could not take; what there is no room for is left out."""
        part: Part = item.part
        subscriber = self._subscribers.get(part.group.id)
        if subscriber is None or subscriber.group is not part.group:
            return True
        subscriber.keep(item)
        pending = self.pending_bytes
        while pending > max(room, 0):
            most = max(self._subscribers.values(), key=lambda one: one.waiting_bytes)
            item = most.leave_out()
            pending -= cost_of(item)
            self._source.losses.add(item.messages, self.user)
        return True

    def pull(self) -> bytes | None:
        """What is sent next, of each subscription in turn; None if all is sent.

        Empty bytes: there is more, at another turn of the loop.
        """
        later = False
        for known in list(self._subscribers):
            subscriber = self._subscribers.pop(known)
            self._subscribers[known] = subscriber
            data = subscriber.pull()
            if data:
                return data
            later = later or data is not None
        return LATER if later else None
