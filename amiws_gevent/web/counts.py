"""What is counted of pages that were refused or went, and the log of those that fell behind."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, Protocol

from gevent.hub import get_hub

from amiws_gevent.web.frames import (
    GOING_AWAY,
    INTERNAL_ERROR,
    INVALID_DATA,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    TOO_BIG,
    TRY_AGAIN_LATER,
    UNSUPPORTED_DATA,
)

# What kinds of ends there are: the code says what, the kind why.
SLOW = "slow"  # more than client_buffer would have waited
SILENT = "silent"  # neither sends nor reads
LOST = "lost"  # the connection ended without a Close frame
BY_PAGE = "by_page"
BY_SERVER = "by_server"  # with another code than these
KINDS = {
    GOING_AWAY: "going_away",
    PROTOCOL_ERROR: "protocol",
    UNSUPPORTED_DATA: "protocol",
    INVALID_DATA: "protocol",
    POLICY_VIOLATION: "protocol",
    TOO_BIG: "too_big",
    INTERNAL_ERROR: "error",
    TRY_AGAIN_LATER: SLOW,
}

LOG_INTERVAL = 1.0  # seconds between two lines about pages that fell behind

_FIRST_OF_THE_PAGES = 3000  # RFC 6455, section 7.4.2: codes that a page may make up

_log = logging.getLogger("amiws_gevent.web")


class Page(Protocol):
    """What is told of a page that is gone."""

    address: str
    user: str | None
    close_code: int
    close_kind: str
    close_reason: str


class Counts:
    """Counters from the start on; few keys each, whatever comes in."""

    def __init__(self) -> None:
        self.closes: Counter[tuple[int, str]] = Counter()
        """Pages that went, by close code (3000 and 4000 for all from there on) and kind."""
        self.refused_connections: Counter[str] = Counter()
        """Connections that were refused, by the limit that they would have passed."""
        self.refused_upgrades: Counter[int] = Counter()
        """WebSockets that were refused, by HTTP status."""
        self.pauses: Counter[str] = Counter()
        """How often accepting was paused, by reason."""

    def closed(self, page: Page) -> None:
        """A page is gone."""
        code = page.close_code
        if code >= _FIRST_OF_THE_PAGES:
            code -= code % 1000
        self.closes[code, page.close_kind] += 1


class Laggards:
    """Warns of pages that were too slow or fell silent, with a line a second at most.

    A stalled network may end hundreds at once: the first is named, the others are told
    by number. Each of them has its line of INFO.
    """

    def __init__(self) -> None:
        self._held_back = 0
        self._timer: Any = None  # while no further line may be written

    def closed(self, page: Page) -> None:
        """A page is gone; warn if that was for being slow or silent."""
        if page.close_kind not in (SLOW, SILENT):
            return
        if self._timer is not None:
            self._held_back += 1
            return
        user = f" ({page.user})" if page.user else ""
        _log.warning("page %s%s closed: %s", page.address, user, page.close_reason)
        self._hold_back()

    def stop(self) -> None:
        """Tell of none any more."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _hold_back(self) -> None:
        self._timer = get_hub().loop.timer(LOG_INTERVAL)
        self._timer.start(self._tell_rest)

    def _tell_rest(self) -> None:
        self.stop()
        if self._held_back:
            _log.warning("%d more pages closed: too slow or silent", self._held_back)
            self._held_back = 0
            self._hold_back()
