"""All measured without a socket, and what the metrics say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from amiws_gevent.ami import Message
from amiws_gevent.batch import Item
from amiws_gevent.clients import Clients
from amiws_gevent.config import LastReload, Limits
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.hub import Hub
from amiws_gevent.link import Link
from amiws_gevent.metrics import FAMILIES, Measured, Metrics
from amiws_gevent.pipeline import Pipeline, Source
from amiws_gevent.runtime.loop import PauseMeter
from amiws_gevent.web.backlog import Losses
from amiws_gevent.web.counts import SLOW, Counts
from amiws_gevent.web.frames import text_frames
from amiws_gevent.web.login_throttle import LoginThrottle
from tests.support.hosts import ami_host

LABELS = {family.name: family.labels for family in FAMILIES}


@dataclass
class House:
    """So many servers; clients and plugins are what is put into the lists."""

    servers: int = 1
    clients: list[Any] = field(default_factory=list)
    plugins: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        hosts = [ami_host(id=n, name=f"pbx{n}") for n in range(1, self.servers + 1)]
        self.links = {host.id: Link(host, Limits(), on_messages=ignore) for host in hosts}
        self.sources = {host.id: Source(host) for host in hosts}
        self.hub = Hub(text_frames, limit=1 << 20)
        running = SimpleNamespace(running=self.plugins, changes_messages=False, logs_messages=False)
        self.pipeline = Pipeline(self.hub.publish, running)  # type: ignore[arg-type]
        self.dispatcher = Dispatcher(self.links)
        self.pages = Clients(self.hub, self.dispatcher)
        self.pauses = PauseMeter()
        self.counts = Counts()
        self.losses = Losses()
        self.failed_logins = LoginThrottle()
        self.last_reload = LastReload(applied=True, applied_at=1_800_000_000.5)
        self.metrics = Metrics(
            Measured(
                hub=self.hub,
                pipeline=self.pipeline,
                pages=self.pages,
                dispatcher=self.dispatcher,
                links=self.links,
                sources=self.sources,
                pauses=self.pauses,
                clients=lambda: self.clients,
                connections=lambda: 7,
                counts=lambda: self.counts,
                losses=lambda: self.losses,
                failed_logins=self.failed_logins,
                log_lines_lost=lambda: 3,
                last_reload=self.last_reload,
            )
        )

    def samples(self, accept: str = "") -> dict[tuple[str, str], float]:
        """Every sample by its name and its labels' values."""
        body, _ = self.metrics.render(accept)
        parse = parse_openmetrics if "openmetrics" in accept else parse_text
        found: dict[tuple[str, str], float] = {}
        for family in parse(body.decode()):
            for sample in family.samples:
                order = LABELS.get(sample.name, ())
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
    subprotocol = "amiws.v2"
    close_kind = SLOW

    def offer(self, item: Item) -> None:
        """Taken."""


def ignore(link: Link, messages: list[Message]) -> None:
    """Nothing."""
