"""What all connections of a listener share, and who may open a WebSocket."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol
from wsgiref.types import WSGIApplication

from amiws_gevent.config import Limits
from amiws_gevent.losses import Losses
from amiws_gevent.web.backlog import Backlog, LossyBacklog
from amiws_gevent.web.counts import Counts
from amiws_gevent.web.frames import text_frame
from amiws_gevent.web.gate import RequestInfo, Verdict
from amiws_gevent.web.outlet import Source
from amiws_gevent.web.pacing import Pacer
from amiws_gevent.web.proxies import Proxies

CLOSE, DROP = SLOW_POLICIES = ("close", "drop")
"""What `slow_clients` may be."""


class Upgrades(Protocol):
    """Who may open a WebSocket."""

    def check_upgrade(self, request: RequestInfo) -> Verdict: ...


@dataclass
class Site:
    """What all connections of a listener share; a reload changes it for new requests.

    ``path_prefix`` is the path below which browsers see us, where a proxy leaves it in requests.
    ``room`` is how many connections there are descriptors for. ``pacer`` spreads the start
    of requests, ``drains`` the sending to clients whose socket was blocked.
    """

    app: WSGIApplication
    gate: Upgrades
    limits: Limits
    clock: Callable[[], float]
    slow_clients: str = CLOSE
    compression: bool = True
    proxies: Proxies = field(default_factory=Proxies)
    path_prefix: str = ""
    room: int = sys.maxsize
    stopping: bool = False
    pacer: Pacer = field(default_factory=Pacer)
    drains: Pacer = field(default_factory=Pacer)
    counts: Counts = field(default_factory=Counts)
    losses: Losses = field(default_factory=Losses)

    def source_of(self, policy: str, user: str | None) -> Callable[[], Source]:
        """Makes the queue of a slow client of this user, by one of SLOW_POLICIES."""
        if policy == DROP:
            return partial(LossyBacklog, self.losses, text_frame, user)
        return Backlog
