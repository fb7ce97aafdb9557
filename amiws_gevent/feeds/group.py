"""Equal subscriptions: what they get is made once, the same bytes for all who keep up."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import orjson

from amiws_gevent.batch import Batch, Item, Mark, Position
from amiws_gevent.feeds import encoding
from amiws_gevent.feeds.encoding import EVENTS
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.positions import Positions, Vector
from amiws_gevent.feeds.shown import Live
from amiws_gevent.feeds.sights import batch_seen, sight_key
from amiws_gevent.feeds.stateview import StateView, Told
from amiws_gevent.passes import Passes
from amiws_gevent.policy import Sight
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
    """Where those stood in that stream whom it was made for."""


@dataclass(frozen=True)
class EventView(View):
    """A group's events in the hub."""

    group: Group = field(kw_only=True)

    def item(self, texts: Sequence[bytes], before: Mark, after: Mark) -> Item:
        return self.group.events_item(texts, before, after)


@dataclass(frozen=True)
class SeenEventView(EventView):
    """The same for those who do not see all."""

    def texts(self, batch: Batch) -> Sequence[bytes]:
        return super().texts(batch_seen(self.group.sight, batch))


class Group:
    """Subscriptions of all clients to the same streams, with the same filters, sight and format.

    ``state`` is None if that stream is none of them, as is ``view`` without events.
    """

    def __init__(
        self,
        passes: Passes,
        live: Live,
        positions: Positions,
        streams: frozenset[str],
        filters: Filters,
        sight: Sight | None,
        fmt: Format,
        state: StateView | None,
    ) -> None:
        self.streams = streams
        self.filters = filters
        self.sight = sight
        self.fmt = fmt
        self.state = state
        self.id = subscription_id(streams, filters)
        self.key = view_key(filters, sight)
        self.view: EventView | None = None
        if EVENTS in streams:
            view = EventView if sight is None else SeenEventView
            self.view = view(VIEW_NAME, self._encode, filters.of_events, group=self)
        self._passes = passes
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

    def events_item(self, texts: Sequence[bytes], before: Mark, after: Mark) -> Item:
        """What a pass of the hub has for those who stand at ``before``, and keep up."""
        events = self._events_at(after)
        state = self.state.vector if self.state is not None else {}
        data = self.encode_events(texts, self.position(events, state))
        return Item(data, len(texts), events, Part(self, EVENTS, self._events_at(before)))

    def state_item(self, told: Told) -> Item:
        """What a step of a flush has for the clients that keep up."""
        assert self.state is not None
        before = self.state.vector
        position = None
        if told.after is not None:
            position = self.position(self._events_of_all(), told.after)
        message = encoding.state(self.id, *told.pieces, position)
        data = self.encode(message, position=position)
        return Item(data, 1, told.after or before, Part(self, encoding.STATE, before))

    def events_of(self, client: Transport) -> Vector | None:
        """Where a client that keeps up stands in the events; None while nobody knows."""
        if self.view is None:
            return {}
        mark = self._passes.where(client, self.view)
        return None if mark is None else self._events_at(mark)

    def _events_of_all(self) -> Vector | None:
        """Where all stand who keep up; None if that is not one place."""
        if self.view is None:
            return {}
        mark = self._passes.where_all(self.view)
        return None if mark is None else self._events_at(mark)

    def _events_at(self, mark: Mark) -> Vector:
        """A mark as a place in the events of all servers of this group.

        A server that has published nothing ahead of it is at the beginning of its stream.
        """
        vector = {}
        for server, source in self._live.sources.items():
            if self.sees_server(server):
                position = mark.positions.get(server)
                if position is None or position.epoch != source.epoch:
                    position = Position(source.epoch, 0)
                vector[server] = position
        return vector

    def sees_server(self, server: int) -> bool:
        """Whether its clients want anything of a server, and may see it."""
        sight = self.sight
        return self.filters.has_server(server) and (sight is None or sight.sees_server(server))

    def position_of(self, client: Transport) -> str | None:
        """The text for where a client stands that keeps up; None while nobody knows."""
        return self.position(self.events_of(client), self.state.vector if self.state else {})

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


def view_key(filters: Filters, sight: Sight | None) -> bytes:
    """What stands for the filters, and for what is seen, in a position."""
    return orjson.dumps(filters.as_json()) + sight_key(sight).encode("utf-8", "surrogatepass")
