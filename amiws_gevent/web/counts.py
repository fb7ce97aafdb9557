"""Counts refused and closed clients; logs those that were closed because they were slow."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any, Protocol

from gevent.hub import get_hub

from amiws_gevent.runtime.peers import Named, name_of
from amiws_gevent.web.frames import (
    GOING_AWAY,
    INTERNAL_ERROR,
    INVALID_DATA,
    LOGIN_ENDED,
    LOGOUT,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    RIGHTS_CHANGED,
    TOO_BIG,
    TRY_AGAIN_LATER,
    UNSUPPORTED_DATA,
)

# Why a client was closed; the close code alone does not say.
SLOW = "slow"  # more than client_buffer would have waited
SILENT = "silent"  # neither sends nor reads
LOST = "lost"  # the connection ended without a Close frame
BY_CLIENT = "by_client"
BY_SERVER = "by_server"  # with another code than these
KINDS = {
    GOING_AWAY: "going_away",
    LOGIN_ENDED: "login",
    RIGHTS_CHANGED: "login",
    LOGOUT: "login",
    PROTOCOL_ERROR: "protocol",
    UNSUPPORTED_DATA: "protocol",
    INVALID_DATA: "protocol",
    POLICY_VIOLATION: "protocol",
    TOO_BIG: "too_big",
    INTERNAL_ERROR: "error",
    TRY_AGAIN_LATER: SLOW,
}

FELL_BEHIND = (SLOW, SILENT)  # `Laggards` logs these

LOG_INTERVAL = 1.0  # seconds between two lines about clients that fell behind
LOSS_INTERVAL = 60.0  # seconds between two lines about clients that lose messages
MOST_NAMED = 3  # clients in one line

_FIRST_OF_THE_CLIENTS = 3000  # RFC 6455, section 7.4.2: codes that a client may make up

_log = logging.getLogger("amiws_gevent.web")


class Client(Named, Protocol):
    """A client that has been closed."""

    close_code: int
    close_kind: str
    close_reason: str


class WaitedFor(Named, Protocol):
    """A client, and how many bytes wait for it."""

    @property
    def pending_bytes(self) -> int: ...


class Counts:
    """Counters since the start; the number of keys is bounded."""

    def __init__(self) -> None:
        self.closes: Counter[tuple[int, str]] = Counter()
        """Closed clients, by close code (3000 and 4000 stand for all above) and kind."""
        self.refused_connections: Counter[str] = Counter()
        """Refused connections, by the limit that they would have exceeded."""
        self.refused_upgrades: Counter[int] = Counter()
        """Refused WebSockets, by HTTP status."""
        self.pauses: Counter[str] = Counter()
        """How often accepting was paused, by reason."""

    def closed(self, client: Client) -> None:
        """A client is gone."""
        code = client.close_code
        if code >= _FIRST_OF_THE_CLIENTS:
            code -= code % 1000
        self.closes[code, client.close_kind] += 1


class Laggards:
    """Warns of clients closed for being slow or silent, in one line a second at most.

    A network fault may close hundreds at once: the first gets a line of its own; the next
    line names a few of the others and counts them all.
    """

    def __init__(self) -> None:
        self._held_back = 0
        self._named: list[str] = []  # the first of those
        self._timer: Any = None  # while no further line may be written

    def closed(self, client: Client) -> None:
        """A client is gone; warn if that was for being slow or silent."""
        if client.close_kind not in FELL_BEHIND:
            return
        if self._timer is not None:
            self._held_back += 1
            if len(self._named) < MOST_NAMED:
                self._named.append(name_of(client))
            return
        _log.warning(
            "client %s closed: %d %s", name_of(client), client.close_code, client.close_reason
        )
        self._hold_back()

    def stop(self) -> None:
        """Log nothing more."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _hold_back(self) -> None:
        self._timer = get_hub().loop.timer(LOG_INTERVAL)
        self._timer.start(self._tell_rest)

    def _tell_rest(self) -> None:
        self.stop()
        if self._held_back:
            _log.warning(
                "%d more clients closed because they were slow or silent: %s%s",
                self._held_back,
                ", ".join(self._named),
                " and others" if self._held_back > len(self._named) else "",
            )
            self._held_back = 0
            self._named.clear()
            self._hold_back()


class LossReport:
    """Warns that slow clients lost messages, in one line per LOSS_INTERVAL at most."""

    def __init__(self) -> None:
        self._told = 0
        self._again = float("-inf")

    def look(self, lost: int, clients: Iterable[WaitedFor], now: float) -> None:
        """Log new losses; ``lost`` is the total so far, ``now`` in seconds."""
        if lost == self._told or now < self._again:
            return
        self._again = now + LOSS_INTERVAL
        slowest = max(clients, key=lambda client: client.pending_bytes, default=None)
        state = "no client is slow now"
        if slowest is not None and slowest.pending_bytes:
            state = f"the slowest is {name_of(slowest)} with {slowest.pending_bytes} bytes waiting"
        _log.warning(
            "slow clients lost %d messages (slow_clients: drop), %d so far; %s",
            lost - self._told,
            lost,
            state,
        )
        self._told = lost

    def stop(self, lost: int) -> None:
        """Log the losses that were not logged yet."""
        self.look(lost, (), self._again)
