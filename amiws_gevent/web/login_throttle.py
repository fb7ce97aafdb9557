"""Throttles logins: after too many wrong passwords from an address, none is checked for a while.

Failed logins are counted by user name and address (an IPv6 one by its /64), so that an
attack on one user does not lock out others behind the same NAT. They are also counted by
address alone, except for this machine, where a proxy brings everyone. Nobody can lock a
user out from elsewhere. A name that no user has counts like any other, so that the answer
does not tell which users there are.

A failure is forgotten after FAILURE_TIME and never earlier, or random names would make room
for more attempts. So ENTRIES are full only while ENTRIES / FAILURE_TIME new names fail each
second. Then, and where one address has half of them, further names of an address count
as one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from amiws_gevent.runtime.buckets import Buckets, Key
from amiws_gevent.runtime.peers import is_this_machine, network_of

FAILURE_TIME = 10.0  # seconds after which a failed login is forgotten
OF_ALL_USERS = 10  # the limit for all users of an address is this many times that of one
ENTRIES = 16384  # users of addresses, and addresses; 400 bytes each at most

PASSWORD, LIMIT = "password", "limit"  # why a login was refused; for counters

LONGEST_USER = 64  # characters; longer names that begin alike count as one
_OTHERS = "others"  # stands for all networks without an entry of their own


class LoginThrottle:
    """Counts failed logins. A reload keeps it, so that attackers do not start at zero."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, entries: int = ENTRIES
    ) -> None:
        self._clock = clock
        self._by_user = Buckets(FAILURE_TIME, entries, entries // 2)
        self._by_network = Buckets(FAILURE_TIME / OF_ALL_USERS, entries, 1)
        self.refused: Counter[str] = Counter()
        """Logins refused, by reason."""

    def __len__(self) -> int:
        return len(self._by_user) + len(self._by_network)

    def judge(self, address: str, user: str, most: int, *, wrong: bool) -> float:
        """Seconds until a login is looked at; 0: now. Then a ``wrong`` one is counted.

        ``most`` failures may come at once.
        """
        seconds = self.wait(address, user, most)
        if wrong and not seconds:
            self.failed(address, user)
        return seconds

    def wait(self, address: str, user: str, most: int) -> float:
        """The seconds alone."""
        now = self._clock()
        of_user, of_network = self._keys(address, user, now)
        seconds = self._by_user.wait(of_user, now, most) if of_user else 0.0
        if of_network:
            of_all = self._by_network.wait(of_network, now, most * OF_ALL_USERS)
            seconds = max(seconds, of_all)
        return max(0.0, seconds)

    def failed(self, address: str, user: str) -> None:
        """A user name or password was wrong."""
        now = self._clock()
        self.refused[PASSWORD] += 1
        of_user, of_network = self._keys(address, user, now)
        if of_user:
            self._by_user.fill(of_user, now)
        if of_network:
            self._by_network.fill(of_network, now)

    def _keys(self, address: str, user: str, now: float) -> tuple[Key | None, Key | None]:
        """The keys that a login counts for: user and address, and address alone; or None."""
        of_user = network_of(address), user[:LONGEST_USER]
        network = of_user[0]
        has_own = self._by_user.has_room(of_user, now)
        if has_own and is_this_machine(address):
            return of_user, None
        of_network = network, ""
        if not self._by_network.has_room(of_network, now):
            of_network = _OTHERS, ""
        return (of_user if has_own else None), of_network
