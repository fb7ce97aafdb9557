"""How many wrong passwords may come from one address before none is looked at for a while.

Failed logins are counted by user name and address (an IPv6 one by its /64), so that who
guesses at one user stops no other behind the same NAT; and by address alone, but not of
this machine, where a proxy brings everyone. Nobody can lock a user out from elsewhere,
and a name that no user has counts like any, so that nothing tells them apart.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable

from amiws_gevent.web.admission import is_this_machine, network_of

FAILURE_TIME = 10.0  # seconds in which one failed login is made up for
OF_ALL_USERS = 10  # so many times as much may come from one address for all user names
ENTRIES = 4096  # users of addresses, and addresses; past it the oldest are forgotten

PASSWORD, LIMIT = "password", "limit"  # why a login was refused; for counters

_LONGEST_USER = 64  # signs; longer names that begin alike count as one


class _Buckets:
    """Leaky buckets, each kept as the one time at which it will be empty (GCRA, ITU-T I.371).

    A failure leaks out in ``interval`` seconds. The bucket that was filled last comes last.
    """

    def __init__(self, interval: float, entries: int) -> None:
        self._interval = interval
        self._entries = entries
        self._empty_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._empty_at)

    def wait(self, key: Hashable, now: float, most: int) -> float:
        """Seconds until there is room for one more of ``most`` failures."""
        return self._empty_at.get(key, now) - now - (most - 1) * self._interval

    def fill(self, key: Hashable, now: float) -> None:
        """One more failure."""
        self._empty_at[key] = max(now, self._empty_at.pop(key, now)) + self._interval
        if len(self._empty_at) > self._entries:
            del self._empty_at[next(iter(self._empty_at))]


class FailedLogins:
    """Counts them; it outlives reloads, which must not let a guesser begin anew."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, entries: int = ENTRIES
    ) -> None:
        self._clock = clock
        self._by_user = _Buckets(FAILURE_TIME, entries)
        self._by_network = _Buckets(FAILURE_TIME / OF_ALL_USERS, entries)
        self.refused: Counter[str] = Counter()
        """Logins that were refused, by reason."""

    def __len__(self) -> int:
        return len(self._by_user) + len(self._by_network)

    def wait(self, address: str, user: str, most: int) -> float:
        """Seconds until a login is looked at; 0 for now. ``most`` may fail at once."""
        network, now = network_of(address), self._clock()
        seconds = self._by_user.wait((network, user[:_LONGEST_USER]), now, most)
        if not is_this_machine(address):
            of_all = self._by_network.wait(network, now, most * OF_ALL_USERS)
            seconds = max(seconds, of_all)
        return max(0.0, seconds)

    def failed(self, address: str, user: str) -> None:
        """A user name or password was wrong."""
        network, now = network_of(address), self._clock()
        self.refused[PASSWORD] += 1
        self._by_user.fill((network, user[:_LONGEST_USER]), now)
        self._by_network.fill(network, now)
