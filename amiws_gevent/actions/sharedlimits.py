"""Limits of actions that count for all edges together.

Each edge counts what goes through itself too, and goes on by that while Redis is away.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from amiws_gevent.actions.limits import ENTRIES, TIMES, ActionLimits, Client, keys_of
from amiws_gevent.actions.request import MOST_WAIT
from amiws_gevent.bus.sharing import Full, Rate, Sharing, Unshared
from amiws_gevent.config import Limits
from amiws_gevent.runtime.buckets import Key

LONGEST_WORK = MOST_WAIT + 60.0
"""Seconds after which an action is over, whatever has become of its edge."""


class SharedActionLimits(ActionLimits):
    """`ActionLimits` of an edge. Actions wait for Redis; the end of one does not."""

    def __init__(
        self,
        sharing: Sharing,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        entries: int = ENTRIES,
    ) -> None:
        super().__init__(limits, clock, entries)
        self._sharing = sharing
        self._works: dict[tuple[Key, ...], deque[str]] = {}

    def take(self, client: Client) -> None:
        """See `ActionLimits.take`."""
        self._places(client, self._clock())
        burst, rate = self._limits.actions_burst, self._limits.actions_per_second
        rates = {
            whose: Rate(name, 1 / (rate * TIMES[whose]), burst * TIMES[whose])
            for whose, name in keys_of(client.user, client.address)
        }
        try:
            full = self._sharing.take(rates, self._entries)
        except Unshared:
            full = None
        if full is not None:
            raise self._too_fast(*full)
        now = self._clock()
        self._fill(self._places(client, now), now)

    def begin(self, client: Client) -> None:
        """See `ActionLimits.begin`."""
        super().begin(client)
        keys = keys_of(client.user, client.address)
        bounds = {whose: (name, self._most_at_work(whose)) for whose, name in keys}
        try:
            work = self._sharing.work_begins(bounds, LONGEST_WORK)
        except Unshared:
            return
        except Full as full:
            super().end(client)
            raise self._too_many(full.whose) from None
        except BaseException:  # a greenlet that is killed
            super().end(client)
            raise
        self._works.setdefault(keys, deque()).append(work)

    def end(self, client: Client) -> None:
        """See `ActionLimits.end`; never waits."""
        super().end(client)
        keys = keys_of(client.user, client.address)
        works = self._works.get(keys)
        if works:
            self._sharing.work_ends(works.popleft())
            if not works:
                del self._works[keys]
