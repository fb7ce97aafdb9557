"""What all metrics are made of: the parts of the program that have the numbers, and a family.

Names and units follow Prometheus's conventions. Labels have few values: names that the
configuration gives, and words of the program, never anything that a client or a server
sends. docs/operations.md has a row for each metric, in the order of the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from amiws_gevent.actions import ActionService
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.api.streams import Streams
from amiws_gevent.audit.trail import Trail
from amiws_gevent.bus.api import CollectorFigures
from amiws_gevent.clients import Clients
from amiws_gevent.config import AmiHost
from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.hub import Hub
from amiws_gevent.link.pool import Pool
from amiws_gevent.live import LiveState
from amiws_gevent.pipeline import Pipeline
from amiws_gevent.reload import LastReload
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.runtime.loop import PauseMeter
from amiws_gevent.web.login_throttle import LoginThrottle
from amiws_gevent.web.server import WebServer


class OnBus(CollectorFigures, Protocol):
    """What a collector or an edge has of the bus; an edge has none of a collector's figures."""

    @property
    def process(self) -> str: ...

    @property
    def up(self) -> bool:
        """Whether it does its part: publishes, or hears a collector."""

    @property
    def lost(self) -> int:
        """How often events were lost on the way here."""

    @property
    def unshared(self) -> int:
        """How often what edges share could not be asked."""

    def lag(self) -> Mapping[str, int]:
        """By stream, the entries that have not been taken yet."""


@dataclass(frozen=True)
class Measured:
    """The parts that have the numbers; they are only read."""

    hub: Hub
    pipeline: Pipeline
    clients: Clients
    dispatcher: Dispatcher
    audit: Trail
    action_limits: ActionLimits
    actions: ActionService
    pool: Pool
    live: LiveState
    streams: Streams
    feeds: Feeds
    web: WebServer
    pauses: PauseMeter
    login_throttle: LoginThrottle
    last_reload: LastReload
    log: LogControl | None
    bus: OnBus | None = None
    """None in a process that is alone."""


Values = tuple[tuple[str, ...], float]
"""The labels' values, and the sample's."""


class Family(NamedTuple):
    """One metric. Without labels ``read`` gives its value, with labels a value for each set.

    ``name`` is as Prometheus has it in the end, with the ``_total`` that makes it a counter.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Measured], float | Iterable[Values]]


SERVER_LABELS = ("server", "server_id")


def server_values(host: AmiHost) -> tuple[str, str]:
    """The values of SERVER_LABELS."""
    return host.name, str(host.id)
