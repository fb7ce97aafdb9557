"""For tests of feeds: servers without a link, transports without a socket, and a client.

The client does what docs/protocol.md asks of one: it keeps a collection for each subscription,
the events, and the last position.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Batch, Item
from amiws_gevent.feeds.feed import Feed, Subscription
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.group import Format
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.hub import Hub
from amiws_gevent.pipeline import Source, make_batch
from amiws_gevent.policy import Sight
from amiws_gevent.state.store import Store
from amiws_gevent.v2.textframes import TextFrames
from amiws_gevent.web.frames import deflated_alone, deflated_frames
from tests.support.deflated import Window
from tests.support.hosts import ami_host

BOTH = frozenset({"events", "state"})
STATE = frozenset({"state"})
EVENTS = frozenset({"events"})
BOUNDS = Bounds(messages=1000, size=1 << 20, time=300.0)

Name = tuple[int, str, str]
"""Server, kind and id of an entity."""


class FakeServer:
    """A server with a store, as `live.LiveServer`."""

    def __init__(self, server: int, *, epoch: str | None = None, tombstones: int = 1000) -> None:
        self.source = Source(ami_host(id=server), epoch=epoch)
        self.info = self.source.info
        self.store = Store(tombstones=tombstones)

    def put(self, kind: str, key: str, **fields: Any) -> None:
        self.store.begin(self.source.advance().offset)
        self.store.put(kind, key, **fields)

    def remove(self, kind: str, key: str, **last: Any) -> None:
        self.store.begin(self.source.advance().offset)
        self.store.remove(kind, key, last or None)

    def says(self, *names: str, **headers: str) -> Batch:
        """One read of events."""
        messages = [
            Message(Kind.EVENT, [("Event", name), ("Privilege", "call"), *headers.items()])
            for name in names
        ]
        return make_batch(self.source, self.source.advance(), messages)


class FakeLive:
    """As `live.LiveState`."""

    def __init__(self, *servers: FakeServer) -> None:
        self.servers: dict[int, FakeServer] = {one.info.id: one for one in servers}
        self.keeps_state = True
        self._silent = Source(ami_host(id=0))
        self._without_state: dict[int, Source] = {}

    @property
    def sources(self) -> Mapping[int, Source]:
        known = {server: served.source for server, served in self.servers.items()}
        return {0: self._silent, **known, **self._without_state}

    def forget_state(self) -> None:
        """Keep none any more; the servers go on to say something."""
        self._without_state = {server: one.source for server, one in self.servers.items()}
        self.servers.clear()
        self.keeps_state = False


class Lines:
    """The format of these tests: a message a line."""

    def encode(self, texts: Sequence[bytes], position: str | None, /) -> bytes:
        return b"".join(text + b"\n" for text in texts)


LINES = Lines()


class FakeTransport:
    """As an outlet: what is offered while it is blocked goes to the feed; ``turn`` is the loop's.

    ``room`` is what may wait.
    """

    def __init__(self, deliver: Callable[[bytes], None], *, room: int = 1 << 20) -> None:
        self.feed: Feed | None = None
        self.blocked = False
        self.pumping = False
        self.closed = False
        self.room = room
        self._deliver = deliver

    def offer(self, item: Item, /) -> None:
        if self.closed:
            return
        if self.blocked or self.pumping:
            self.pumping = True
            assert self.feed is not None
            assert self.feed.push(item, self.room), "a feed never refuses"
            assert self.feed.pending_bytes <= self.room
        else:
            self._deliver(item.data)

    def pump(self) -> None:
        self.pumping = True

    def turn(self) -> bool:
        """Send one piece of what waits; whether there was anything to do."""
        if self.blocked or not self.pumping or self.closed:
            return False
        assert self.feed is not None
        data = self.feed.pull()
        if data is None:
            self.pumping = False
        elif data:
            self._deliver(data)
        return True


class Client:
    """A connection that keeps what it is told; ``reconnected`` goes on from what one had."""

    fmt: Format = LINES

    def __init__(
        self,
        feeds: Feeds,
        *,
        room: int = 1 << 20,
        limit: int = 16,
        sight: Sight | None = None,
        user: str | None = None,
    ) -> None:
        self.transport = FakeTransport(self._received, room=room)
        self.feed = feeds.open(self.transport, self.fmt, limit=limit, sight=sight, user=user)
        self.transport.feed = self.feed
        self.collections: dict[str, dict[Name, dict[str, Any]]] = {}
        self.positions: dict[str, str] = {}
        self.messages: list[dict[str, Any]] = []
        self.on_message: Callable[[dict[str, Any]], None] | None = None
        self._pages: dict[str, list[dict[str, Any]]] = {}

    def subscribe(
        self, streams: frozenset[str] = STATE, position: str | None = None, **filters: Any
    ) -> Subscription:
        return self.subscribe_to(Filters.parse(filters), streams, position)

    def subscribe_to(
        self, filters: Filters, streams: frozenset[str], position: str | None = None
    ) -> Subscription:
        subscription = self.feed.subscribe(streams, filters, position)
        self.collections.setdefault(subscription.id, {})
        return subscription

    def read(self) -> None:
        """Read all that there is."""
        for _ in range(100_000):
            if not self.transport.turn():
                return
        raise AssertionError("there is no end")

    def beat(self) -> None:
        """Take the positions of a heartbeat."""
        self.positions.update(self.feed.positions())

    def close(self) -> None:
        self.transport.closed = True
        self.feed.close()

    def ops(self) -> list[str]:
        return [message["op"] for message in self.messages]

    def events(self) -> list[str]:
        """The names of all events."""
        return [m["message"]["data"]["Event"] for m in self.messages if m["op"] == "event"]

    def gaps(self) -> list[tuple[str, str, int | None]]:
        """Stream, reason and how many were lost, of each."""
        return [(m["stream"], m["reason"], m["lost"]) for m in self.messages if m["op"] == "gap"]

    def take(self) -> list[dict[str, Any]]:
        """The messages since the last time."""
        messages, self.messages = self.messages, []
        return messages

    def _texts(self, data: bytes) -> list[bytes]:
        return data.splitlines()

    def _received(self, data: bytes) -> None:
        for text in self._texts(data):
            message = json.loads(text)
            self.messages.append(message)
            self._apply(message)
            if self.on_message is not None:
                self.on_message(message)
            if "position" in message:
                self.positions[message["subscription"]] = message["position"]

    def _apply(self, message: dict[str, Any]) -> None:
        known = message["subscription"]
        if message["op"] == "snapshot":
            if message["page"] == 1:
                self._pages[known] = []
            self._pages[known].append(message)
            assert message["page"] == len(self._pages[known]), "pages come in order"
            if message["page"] == message["pages"]:
                collection = self.collections[known] = {}
                for page in self._pages.pop(known):
                    merge(collection, page["items"])
        elif message["op"] == "state":
            collection = self.collections[known]
            merge(collection, message["set"])
            for gone in message["unset"]:
                collection.pop(name_of(gone), None)


class Deflated(Client):
    """One that gets its messages compressed, and keeps its window."""

    fmt = TextFrames(deflated_frames)

    def __init__(self, feeds: Feeds, **options: Any) -> None:
        self.window = Window()
        super().__init__(feeds, **options)

    def _texts(self, data: bytes) -> list[bytes]:
        return self.window.texts(data)


class DeflatedAlone(Deflated):
    """The same without a window."""

    fmt = TextFrames(deflated_alone)

    def __init__(self, feeds: Feeds, **options: Any) -> None:
        super().__init__(feeds, **options)
        self.window = Window(alone=True)


def name_of(entity: Mapping[str, Any]) -> Name:
    return entity["server"], entity["kind"], entity["id"]


def merge(collection: dict[Name, dict[str, Any]], entities: Sequence[dict[str, Any]]) -> None:
    for entity in entities:
        collection.setdefault(name_of(entity), {}).update(entity)


def expected(
    live: FakeLive, filters: Filters, sight: Sight | None = None
) -> dict[Name, dict[str, Any]]:
    """What a fresh snapshot says."""
    found = {}
    for server, served in live.servers.items():
        for kind, key, fields in served.store.frozen():
            seen = (key, fields) if sight is None else sight.entity(kind, server, key, fields)
            if seen is not None and filters.entity(server, kind, seen[1]):
                name = {"server": server, "kind": kind, "id": seen[0]}
                found[server, kind, seen[0]] = {**name, **seen[1]}
    return found


class World:
    """A hub that is run by hand, servers, and feeds."""

    def __init__(self, *servers: int, bounds: Bounds = BOUNDS, tombstones: int = 1000) -> None:
        self.now = 0.0
        self.servers = {one: FakeServer(one, tombstones=tombstones) for one in servers or (1,)}
        self.live = FakeLive(*self.servers.values())
        self.hub = Hub(limit=1 << 20)
        self.feeds = Feeds(self.hub, self.live, bounds, clock=lambda: self.now)
        self.flush()

    @property
    def server(self) -> FakeServer:
        return next(iter(self.servers.values()))

    def says(self, *names: str, server: int = 1, **headers: str) -> None:
        """A server says this in one read; it is published, and not yet passed on."""
        self.feeds.publish(self.servers[server].says(*names, **headers))

    def pass_on(self) -> None:
        """Run the hub's passes."""
        while self.hub.passes.waiting:
            self.hub._pass()

    def flush(self) -> None:
        """Run the hub's stage."""
        self.hub.set_stage(self.feeds)
        self.hub._let_stage()
        self.hub._run_stage()

    def client(self, **options: Any) -> Client:
        return Client(self.feeds, **options)
