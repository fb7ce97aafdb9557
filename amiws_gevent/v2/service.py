"""Opens the sessions of ``amiws.v2`` clients, and keeps what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import gevent

from amiws_gevent.config import Limits as Configured
from amiws_gevent.feeds import MOST_SUBSCRIPTIONS, Feed
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.v2.heartbeat import Heartbeat
from amiws_gevent.v2.messages import Limits
from amiws_gevent.v2.session import Actions, Session, Shared
from amiws_gevent.v2.textframes import TEXT_FRAMES, TextFrames
from amiws_gevent.web.outlet import Outlet
from amiws_gevent.web.websocket import WebSocketClient


class Feeds(Protocol):
    """What it needs of `feeds.Feeds`."""

    def open(self, transport: Outlet, fmt: TextFrames, *, limit: int) -> Feed: ...
