"""A collector and edges in one process, over a `LocalBus`; their hubs are run by hand."""

from __future__ import annotations

from typing import Any

from amiws_gevent.collector.publishing import Publishing
from amiws_gevent.edge.following import Following
from amiws_gevent.feeds.feeds import Feeds, Showing
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.hub import Hub
from tests.support.feeds import BOUNDS, Client, FakeLive, FakeServer
from tests.support.local_bus import LocalBus, LocalReader

KEY = b"k" * 32


class EdgeHere:
    """An edge; what was told it is with its clients after ``run``."""

    def __init__(self, bus: LocalBus, *, bounds: Bounds = BOUNDS) -> None:
        self.following = Following()
        self.hub = Hub(limit=1 << 20)
        self.feeds = Feeds(self.hub, self.following, bounds, clock=lambda: 0.0, told_again=(0,))
        self.following.feeds = self.feeds
        self.reader = LocalReader(bus, self.following)
        self.following.on_directory = self._use
        self.reader.follow(self.following.streams())
        self.following.on_connection(True, "")
        self.following.on_collector("program", True, "")

    def _use(self, directory: Any) -> None:
        self.reader.follow(self.following.streams())
        self.feeds.use(Showing(withheld=directory.withheld))

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

    def __init__(self, bus: LocalBus, *servers: int, tombstones: int = 1000) -> None:
        self.now = 0.0
        self.bus = bus
        self.servers = {
            one: FakeServer(one, tombstones=tombstones) for one in (0, *(servers or (1,)))
        }
        self.live = FakeLive(*self.servers.values())
        self.hub = Hub(limit=1 << 20)
        self.publishing = Publishing(self.hub, self.live, BOUNDS, KEY, clock=lambda: self.now)
        self.publishing.writer = bus
        self.flush()

    def says(self, *names: str, server: int = 1, **headers: str) -> None:
        self.publishing.publish(self.servers[server].says(*names, **headers))

    def flush(self) -> None:
        self.hub._let_stage()
        self.hub._run_stage()
