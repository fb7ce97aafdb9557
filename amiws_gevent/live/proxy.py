"""Server 0: the program itself. What it knows of each server is an entity of its own.

So a client that asks for servers is told of one that is down, too, and what it is told has a
place in one stream.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from amiws_gevent.config import AmiHost
from amiws_gevent.live.permissions import Missing
from amiws_gevent.pipeline import Source
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.state.servers import SERVER, ServersPart
from amiws_gevent.state.store import Store

PROXY_ID = 0
PROXY_NAME = "amiws-gevent"

OFF = "off"
"""What ``sync`` is without a live state."""

CONNECTED = "connected"
"""The state of a link that is logged in, as followers are told it."""

Clock = Callable[[], int]
"""Gives the time: UTC, milliseconds. It goes back only when the system's clock was set back."""

SMALL_STEP = 2000
"""Milliseconds by which NTP may set a clock back without anybody having to know."""

_log = logging.getLogger("amiws_gevent.live")


class SteadyClock:
    """The system's clock; stands still while that makes up for a SMALL_STEP back.

    A larger one is followed: else times would stand still until the wrong one is reached.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last = 0
        self._limiter = LogLimiter()

    def __call__(self) -> int:
        now = int(self._clock() * 1000)
        back = self._last - now
        if 0 < back <= SMALL_STEP:
            return self._last
        self._last = now
        if back > 0:
            self._limiter.log(
                _log,
                logging.WARNING,
                "back",
                "the system's clock was set back by %.1f s; what began before keeps its time, "
                "which may be ahead of the clock",
                back / 1000,
            )
        return now


def proxy_source() -> Source:
    """The stream of the program itself."""
    host = {"host": "localhost", "username": PROXY_NAME, "secret": "-"}  # of no use to anybody
    return Source(AmiHost.model_validate({"id": PROXY_ID, "name": PROXY_NAME, **host}))


class ServerEntity:
    """One server as server 0 knows it: the kind ``server``, by the server's id.

    ``part`` takes what the server's own messages say of it.
    """

    def __init__(self, store: Store, host: AmiHost, now: Clock) -> None:
        self.key = str(host.id)
        self.part = ServersPart(store, self.key)
        self._store = store
        self._now = now
        self.part.now = now()
        self.part.connection_changed("connecting", None, now())
        store.put(
            SERVER,
            self.key,
            name=host.name,
            ssl=host.ssl,
            country=host.country,
            trunk_prefix=host.trunk_prefix,
            sync=OFF,
            sync_reason=None,
            missing=[],
            healed={},
        )

    @property
    def restarts(self) -> tuple[Any, ...]:
        """Changes when the server has booted or was reloaded."""
        fields = self._store.get(SERVER, self.key) or {}
        return fields.get("booted"), fields.get("started"), fields.get("reloaded")

    def connection_changed(self, state: str, reason: str) -> None:
        """The link has come into another state; for "connected" the reason is the banner."""
        now = self.part.now = self._now()
        if state == CONNECTED:
            self.part.greeted(reason)
        bad = state in ("waiting", "refused", "connecting") and reason
        self.part.connection_changed(state, reason if bad else None, now)

    def synchronised(self, state: str, reason: str, missing: Sequence[Missing]) -> None:
        """How well the live state of the server is known, and what it cannot be asked."""
        told = [each.as_json() for each in missing]
        self._store.put(SERVER, self.key, sync=state, sync_reason=reason or None, missing=told)

    def healed(self, by_kind: dict[str, int]) -> None:
        """So many differences between lists and events were found, by kind."""
        self._store.put(SERVER, self.key, healed=by_kind)

    def remove(self) -> None:
        """The server is not in the configuration any more."""
        self._store.remove(SERVER, self.key)
