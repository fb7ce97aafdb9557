"""All that is measured, without a socket, and what the metrics say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from amiws_gevent.actions import ActionService
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.ami import Message
from amiws_gevent.api.streams import Streams
from amiws_gevent.audit.trail import Trail
from amiws_gevent.batch import Item
from amiws_gevent.clients import Clients
from amiws_gevent.config import Limits, Settings
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.hub import Hub
from amiws_gevent.identity import NONE, Identity
from amiws_gevent.link import Link
from amiws_gevent.live import LiveState
from amiws_gevent.losses import Losses
from amiws_gevent.metrics import FAMILIES, Measured, Metrics
from amiws_gevent.pipeline import Pipeline, Source
from amiws_gevent.reload import LastReload
from amiws_gevent.runtime.loop import PauseMeter
from amiws_gevent.web.counts import SLOW, Counts
from amiws_gevent.web.frames import text_frames
from amiws_gevent.web.login_throttle import LoginThrottle
from tests.support.api import FakeFeeds
from tests.support.hosts import ami_host
from tests.support.v2 import service

LABELS = {family.name: family.labels for family in FAMILIES}


@dataclass
class Assembly:
    """So many servers; clients and plugins are what is put into the lists."""

    servers: int = 1
    clients: list[Any] = field(default_factory=list)
    plugins: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        hosts = [ami_host(id=n, name=f"pbx{n}") for n in range(1, self.servers + 1)]
        self.links = {host.id: Link(host, Limits(), on_messages=ignore) for host in hosts}
        self.sources = {host.id: Source(host) for host in hosts}
        self.hub = Hub(limit=1 << 20)
        running = SimpleNamespace(running=self.plugins, changes_messages=False, logs_messages=False)
        self.pipeline = Pipeline(self.hub.publish, running)  # type: ignore[arg-type]
        self.audit = Trail()
        self.action_limits = ActionLimits()
        self.dispatcher = Dispatcher(self.links, limits=self.action_limits)
        self.actions = ActionService(
            self.links, self.pipeline.shown, action_limits=self.action_limits
        )
        self.pages = Clients(self.hub, self.dispatcher, service())
        self.pauses = PauseMeter()
        self.counts = Counts()
        self.losses = Losses()
        self.login_throttle = LoginThrottle()
        self.last_reload = LastReload(applied=True, applied_at=1_800_000_000.5)
        self.live = LiveState()
        self.live.configure(Settings(amihosts=tuple(hosts)))
        self.feeds = Feeds(self.hub, self.live, Bounds.of(Limits()))
        for host in hosts:
            self.live.joined(self.sources[host.id], self.links[host.id])
        feeds: Any = FakeFeeds()
        self.streams = Streams(feeds)
        self.metrics = Metrics(self._measured())

    def _measured(self) -> Measured:
        web: Any = SimpleNamespace(
            clients=self.clients, connections=7, counts=self.counts, losses=self.losses
        )
        pool: Any = SimpleNamespace(links=self.links, sources=self.sources)
        log: Any = SimpleNamespace(lost=3)
        return Measured(
            hub=self.hub,
            pipeline=self.pipeline,
            clients=self.pages,
            dispatcher=self.dispatcher,
            actions=self.actions,
            audit=self.audit,
            action_limits=self.action_limits,
            pool=pool,
            live=self.live,
            streams=self.streams,
            feeds=self.feeds,
            web=web,
            pauses=self.pauses,
            login_throttle=self.login_throttle,
            last_reload=self.last_reload,
            log=log,
        )

    def samples(self, accept: str = "") -> dict[tuple[str, str], float]:
        """Every sample by its name and its labels' values."""
        body, _ = self.metrics.render(accept)
        parse = parse_openmetrics if "openmetrics" in accept else parse_text
        found: dict[tuple[str, str], float] = {}
        for family in parse(body.decode()):
            for sample in family.samples:
                own = ("plugin",) if sample.name.startswith("amiws_own_") else ()
                order = LABELS.get(sample.name, own)
                assert set(order) == set(sample.labels)
                key = sample.name, ",".join(sample.labels[label] for label in order)
                assert key not in found, f"{key} is there twice"
                found[key] = sample.value
        return found

    def value(self, name: str, *labels: str) -> float:
        return self.samples()[name, ",".join(labels)]


class FakeClient:
    """As much of a client as the hub and `Clients` use."""

    address = "192.0.2.7:5000"
    user = None
    identity = Identity(None, NONE, "192.0.2.7")
    subprotocol = "amiws.v2"
    close_kind = SLOW

    def __init__(self) -> None:
        self.outlet = self
        self.encode = text_frames
        self.limit = 1 << 20
        self.blocked = False

    def use_source(self, make_source: object) -> None:
        """Nothing of it is used."""

    def send_text(self, text: bytes) -> None:
        """Taken."""

    def offer(self, item: Item) -> None:
        """Taken."""


def ignore(link: Link, messages: list[Message]) -> None:
    """Nothing."""
