"""How many actions a user, or an address, may send: a second, at once, and without an answer yet.

Each user has the limits of the configuration. All that comes from one address has ten times as
much, since it may be that of a call centre or a proxy; users who come from this machine, where a
proxy brings everyone, have no limit by address. Without a login only the address counts.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from amiws_gevent.actions.problems import ActionProblem
from amiws_gevent.config import Limits
from amiws_gevent.runtime.buckets import Buckets, Key
from amiws_gevent.runtime.peers import host_of, is_this_machine, network_of

OF_AN_ADDRESS = 10
"""The limit of an address is this many times that of a user."""

ENTRIES = 16_384  # users and addresses that have sent something a moment ago; 400 bytes each

AGAIN = 1.0  # seconds until one of many actions may be done

TOO_FAST = "actions_too_fast"
TOO_MANY = "too_many_actions"

REPEATS = frozenset((TOO_FAST, TOO_MANY, "audit_unavailable"))
"""Codes of refusals that an asker may make without end."""

# Labels of counters
RATE, AT_WORK = "rate", "at_work"
USER, ADDRESS = "user", "address"

TIMES = {USER: 1, ADDRESS: OF_AN_ADDRESS}

_LONGEST_USER = 64  # characters; longer names that begin alike count as one
_OTHERS = "others"  # all without an entry of their own


class Client(Protocol):
    """Who sends actions."""

    @property
    def address(self) -> str: ...

    @property
    def user(self) -> str | None: ...


class ActionLimits:
    """Counts for all ways in; a reload keeps the counts. ``clock`` gives seconds."""

    def __init__(
        self,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        entries: int = ENTRIES,
    ) -> None:
        self.refused: Counter[tuple[str, str]] = Counter()
        """Actions refused, by limit (RATE, AT_WORK) and whose it is (USER, ADDRESS)."""
        self._clock = clock
        self._entries = entries
        self._limits = limits or Limits()
        self._buckets = self._make()
        self._at_work: dict[Key, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values())) + len(self._at_work)

    def configure(self, limits: Limits) -> None:
        """Hold actions to other limits."""
        before, self._limits = self._limits, limits
        if limits.actions_per_second != before.actions_per_second:
            self._buckets = self._make()

    def take(self, client: Client) -> None:
        """Count an action; raises ActionProblem if it comes too fast."""
        now = self._clock()
        self._fill(self._places(client, now), now)

    def _places(self, client: Client, now: float) -> list[tuple[Buckets, Key]]:
        """Where an action counts; raises ActionProblem if there is too much already."""
        burst = self._limits.actions_burst
        found = []
        for key in keys_of(client.user, client.address):
            whose = key[0]
            buckets = self._buckets[whose]
            if not buckets.has_room(key, now):
                key = whose, _OTHERS
            wait = buckets.wait(key, now, burst * TIMES[whose])
            if wait > 0:
                raise self._too_fast(whose, wait)
            found.append((buckets, key))
        return found

    @staticmethod
    def _fill(places: list[tuple[Buckets, Key]], now: float) -> None:
        for buckets, key in places:
            buckets.fill(key, now)

    def begin(self, client: Client) -> None:
        """An action waits for its answer from now on; raises ActionProblem if too many do."""
        keys, at_work = keys_of(client.user, client.address), self._at_work
        for key in keys:
            if at_work.get(key, 0) >= self._most_at_work(key[0]):
                raise self._too_many(key[0])
        for key in keys:
            at_work[key] = at_work.get(key, 0) + 1

    def end(self, client: Client) -> None:
        """Of an action that has begun."""
        for key in keys_of(client.user, client.address):
            left = self._at_work[key] - 1
            if left:
                self._at_work[key] = left
            else:
                del self._at_work[key]

    def _make(self) -> dict[str, Buckets]:
        rate = self._limits.actions_per_second
        return {
            whose: Buckets(1 / (rate * TIMES[whose]), self._entries, self._entries)
            for whose in (USER, ADDRESS)
        }

    def _most_at_work(self, whose: str) -> int:
        return self._limits.actions_at_work * TIMES[whose]

    def _too_many(self, whose: str) -> ActionProblem:
        self.refused[AT_WORK, whose] += 1
        return ActionProblem(
            TOO_MANY,
            f"{self._most_at_work(whose)} actions of your {whose} are not done yet "
            "(limits.actions_at_work)",
            AGAIN,
        )

    def _too_fast(self, whose: str, wait: float) -> ActionProblem:
        self.refused[RATE, whose] += 1
        rate = self._limits.actions_per_second * TIMES[whose]
        return ActionProblem(
            TOO_FAST,
            f"too many actions of your {whose}: more than {rate} a second "
            f"(limits.actions_per_second); try again in {wait:.3f} s",
            wait,
        )


@functools.lru_cache(maxsize=4096)
def keys_of(user: str | None, address: str) -> tuple[Key, ...]:
    """What an action of a client counts for."""
    host = host_of(address)
    of_address = ADDRESS, network_of(host)
    if user is None:
        return (of_address,)
    of_user = USER, user[:_LONGEST_USER]
    return (of_user,) if is_this_machine(host) else (of_user, of_address)
