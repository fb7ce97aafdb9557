"""Who has which lease, as an edge finds it, for the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from amiws_gevent.bus.leases import LEASE_TIME, holder_of, some_of

_log = logging.getLogger("amiws_gevent.bus")

START_TIME = LEASE_TIME + 5.0
"""Seconds for which a lease that nobody had yet is no fault: collectors may start after edges, and
a Redis that was just started grants none for as long as a lease lasts."""


class Holders:
    """The fence of who has each lease; logs what is new, and after START_TIME who never came."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fences: dict[str, bytes] = {}
        self._due: dict[str, float] = {}  # of those that nobody had yet

    def look(self, found: Mapping[str, bytes]) -> list[str]:
        """Those that have changed; ``found`` has all, empty of those that nobody has."""
        before, self._fences = self._fences, dict(found)
        changed = [lease for lease, fence in found.items() if before.get(lease) != fence]
        by_holder: dict[str, list[str]] = {}
        for lease in changed:
            by_holder.setdefault(holder_of(found[lease]), []).append(lease)
        free = by_holder.pop("", [])
        for holder, leases in by_holder.items():
            _log.info("the collector %s has %s", holder, some_of(leases))
        lost = [lease for lease in free if lease in before]
        now = self._clock()
        self._due = {
            lease: due for lease, due in self._due.items() if lease in found and not found[lease]
        }
        self._due |= {lease: now + START_TIME for lease in free if lease not in before}
        overdue = [lease for lease, due in self._due.items() if now >= due]
        for lease in overdue:
            del self._due[lease]
        if lost or overdue:
            _log.warning("no collector has %s", some_of(lost + overdue))
        return changed
