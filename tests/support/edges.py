"""A collector and edges in one process, over a `LocalBus`; their hubs are run by hand."""

from __future__ import annotations

from typing import Any

from amiws_gevent.collector.publishing import Publishing
from amiws_gevent.crossing.streams import PROGRAM, lease_of, stream_of
from amiws_gevent.crossing.tail import read_tail
from amiws_gevent.edge.following import Following
from amiws_gevent.feeds.feeds import Feeds, Showing
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.hub import Hub
from amiws_gevent.state.store import Store
from tests.support.feeds import BOUNDS, Client, FakeLive, FakeServer
from tests.support.local_bus import LocalBus, LocalReader

KEY = b"k" * 32


class EdgeHere:
    """An edge; what was told it is with its clients after ``run``."""

    def __init__(self, bus: LocalBus, *, bounds: Bounds = BOUNDS, behind: float = 0.0) -> None:
        self.following = Following()
        self.hub = Hub(limit=1 << 20)
        self.feeds = Feeds(
            self.hub,
            self.following,
            bounds,
            clock=lambda: 0.0,
            told_again=(0,),
            behind=behind,
        )
        self.following.feeds = self.feeds
        self.reader = LocalReader(bus, self.following)
        self.following.on_directory = self._use
        self.reader.follow(self.following.streams())
        self.following.on_connection(True, "")
        self.hears(PROGRAM)

    def _use(self, directory: Any) -> None:
        self.reader.follow(self.following.streams())
        self.hears(*map(lease_of, self.following.streams()))
        self.feeds.use(Showing(withheld=directory.withheld))

    def hears(self, *leases: str) -> None:
        """Collectors have these leases."""
        for lease in leases:
            self.following.on_collector(lease, True, "one has it")

    def run(self, most: int = 1000) -> None:
        """Take what there is, at most so many entries of each stream, and tell clients."""
        self.reader.pass_on(most)
        self.tell()

    def tell(self) -> None:
        while self.hub.passes.waiting:
            self.hub._pass()
        self.hub._let_stage()
        self.hub._run_stage()

    def client(self, **options: Any) -> Client:
        return Client(self.feeds, **options)


class CollectorHere:
    """A collector of scripted servers; server 0 is one of them."""

    def __init__(
        self,
        bus: LocalBus,
        *servers: int,
        tombstones: int = 1000,
        goes_on: bool = False,
        settled: bool = True,
        shows: Showing | None = None,
    ) -> None:
        """``goes_on``: with the streams of another collector."""
        self.now = 0.0
        self.bus = bus
        self.servers = {
            one: FakeServer(one, tombstones=tombstones) for one in (0, *(servers or (1,)))
        }
        self.live = FakeLive(*self.servers.values())
        self.hub = Hub(limit=1 << 20)
        self.settled = settled
        self.publishing = Publishing(
            self.hub,
            self.live,
            BOUNDS,
            KEY,
            is_settled=lambda _server: self.settled,
            clock=lambda: self.now,
        )
        self.publishing.writer = bus
        self.publishing.infos = lambda: {one: known.info for one, known in self.servers.items()}
        if shows is not None:
            self.publishing.use(shows)
        for server in self.servers.values():
            self._take_over(server, goes_on)
        self.flush()

    def _take_over(self, server: FakeServer, goes_on: bool) -> None:
        known = self.bus.streams.get(stream_of(server.info.id)) if goes_on else None
        tail = None
        if known is not None:
            tail = read_tail(known.snapshot, known.entries[known.behind :])
        if tail is not None:
            server.source.epoch, server.source.offset = tail.events.epoch, tail.offset + 1
            server.store = Store(offset=server.source.offset)
        self.publishing.take_over(server.info, tail)

    def comes(self, server: FakeServer) -> None:
        """This one has another server."""
        self.live.servers[server.info.id] = self.servers[server.info.id] = server
        self.publishing.take_over(server.info, None)

    def goes(self, server: int) -> None:
        """A server is no longer in the configuration."""
        del self.live.servers[server]
        del self.servers[server]
        self.publishing.end(server)

    def says(self, *names: str, server: int = 1, **headers: str) -> None:
        self.publishing.publish(self.servers[server].says(*names, **headers))

    def flush(self) -> None:
        self.hub._let_stage()
        self.hub._run_stage()
