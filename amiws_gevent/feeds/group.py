"""Equal subscriptions: what they get is made once, the same bytes for all who keep up."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import orjson

from amiws_gevent.batch import Item, Position
from amiws_gevent.feeds import encoding
from amiws_gevent.feeds.encoding import EVENTS
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.pages import Pieces
from amiws_gevent.feeds.positions import Positions, Vector
from amiws_gevent.feeds.shown import Live
from amiws_gevent.feeds.stateview import StateView
from amiws_gevent.hub import Hub
from amiws_gevent.views import View

VIEW_NAME = "v2"
_ID_SIZE = 9  # bytes: 12 characters


class Format(Protocol):
    """How messages become bytes: text frames, or Server-Sent Events; a hashable value."""

    def encode(self, texts: Sequence[bytes], position: str | None, /) -> bytes:
        """All messages; ``position`` is that of the last, if it has one."""


class Transport(Protocol):
    """The way to one client."""

    def offer(self, item: Item, /) -> None:
        """Send what all clients of a group get.

        Never waits. While something waits that was offered before, or the feed has something
        after ``pump``, it goes to ``push`` of the feed instead.
        """

    def pump(self) -> None:
        """Have ``pull`` of the feed called from the event loop, as the client reads, to None.

        Bytes may be empty: then there is more, but it needs another turn of the loop.
        """


class Part(NamedTuple):
    """Which part of a group's stream an item is."""

    group: Group
    stream: str
    before: Vector
    """Where those stood before it who were there then."""
    number: int = 0
    """Of events: the number of the first batch of the pass that it is of."""


@dataclass(frozen=True)
class EventView(View):
    """A group's events in the hub."""

    group: Group = field(kw_only=True)

    def item(self, texts: Sequence[bytes], positions: Mapping[int, Position]) -> Item:
        return self.group.events_item(texts)


class Group:
    """Subscriptions of all clients to the same streams, with the same filters and format.

    ``state`` is None if that stream is none of them, as is ``view`` without events.
    """

    def __init__(
        self,
        hub: Hub,
        live: Live,
        positions: Positions,
        streams: frozenset[str],
        filters: Filters,
        fmt: Format,
        state: StateView | None,
    ) -> None:
        self.streams = streams
        self.filters = filters
        self.fmt = fmt
        self.state = state
        self.id = subscription_id(streams, filters)
        self.key = filters_key(filters)
        self.view: EventView | None = None
        if EVENTS in streams:
            self.view = EventView(VIEW_NAME, self._encode, filters.of_events, group=self)
        self.newest = 0
        """The number of the batch ahead of which its newest client came."""
        self._hub = hub
        self._live = live
        self._positions = positions

    def _encode(self, texts: Iterable[bytes]) -> bytes:
        return self.encode_events(list(texts), None)

    def encode_events(self, texts: Sequence[bytes], position: str | None) -> bytes:
        """Messages of the classic socket as ``event``."""
        return self.fmt.encode(encoding.events(self.id, texts, position), position)

    def encode(self, *messages: bytes, position: str | None = None) -> bytes:
        """Messages of this protocol."""
        return self.fmt.encode(messages, position)

    def events_item(self, texts: Sequence[bytes]) -> Item:
        """What a pass of the hub has for the clients that keep up."""
        passed, passing = self._hub.passing
        before, after = self.events_at(passed.positions), self.events_at(passing.positions)
        state = self.state.vector if self.state is not None else {}
        data = self.encode_events(texts, self.position(after, state))
        return Item(data, len(texts), after, Part(self, EVENTS, before, passed.number))

    def state_item(self, pieces: Pieces, before: Vector, *, last: bool) -> Item:
        """What a flush has for the clients that keep up; ``last``: with this piece all of it."""
        assert self.state is not None
        position = None
        if last:
            position = self.position(self.events_now(self.newest, None), self.state.vector)
        message = encoding.state(self.id, *pieces, position)
        data = self.encode(message, position=position)
        return Item(data, 1, self.state.vector, Part(self, encoding.STATE, before))

    def events_at(self, known: Mapping[int, Position]) -> Vector:
        """Where somebody stands in the events of all servers of this group.

        A server that has published nothing yet is at the beginning of its stream.
        """
        vector = {}
        for server, source in self._live.sources.items():
            if self.filters.has_server(server):
                position = known.get(server)
                if position is None or position.epoch != source.epoch:
                    position = Position(source.epoch, 0)
                vector[server] = position
        return vector

    def events_now(self, number: int, events: Vector | None) -> Vector | None:
        """Where those stand who keep up and came ahead of a batch; None if not all stand there.

        ``events`` is where one stands for whom that batch is yet to come.
        """
        if self.view is None:
            return {}
        place = self._hub.at(self.view)
        if place is None:  # the newest are not among those whose turn it is
            return events if number >= self._hub.passing[1].number else None
        return self.events_at(place.positions) if place.number >= number else events

    def position(self, events: Vector | None, state: Vector | None) -> str | None:
        """The text for a place in both streams; None if one of them is not known."""
        if self.view is None:
            events = {}
        if self.state is None:
            state = {}
        if events is None or state is None:
            return None
        return self._positions.encode({*events, *state}, events, state, self.key)


def subscription_id(streams: Iterable[str], filters: Filters) -> str:
    """The same for equal streams and filters, and for no others."""
    text = orjson.dumps([sorted(streams), filters.as_json()])
    return urlsafe_b64encode(hashlib.blake2b(text, digest_size=_ID_SIZE).digest()).decode("ascii")


def filters_key(filters: Filters) -> bytes:
    """What stands for the filters in a position."""
    return orjson.dumps(filters.as_json())
