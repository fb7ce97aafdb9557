"""Logins where several edges serve the same users: what one of them knows, all do.

Each edge keeps its own counts beside, of what happens there. So it goes on by these while Redis is
away, and nothing that was used or refused here is accepted here before its time.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence

import gevent

from amiws_gevent.bus.sharing import (
    LOGOUTS_AT_ONCE,
    SKEW,
    Failures,
    Logout,
    NonceUse,
    Rate,
    Sharing,
    Unshared,
)
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.peers import is_this_machine, network_of
from amiws_gevent.web.digest import NC_WINDOW, NONCE_LIFETIME, NonceTable
from amiws_gevent.web.ended import SharedEnded
from amiws_gevent.web.login_throttle import (
    ENTRIES,
    FAILURE_TIME,
    LONGEST_USER,
    OF_ALL_USERS,
    LoginThrottle,
)
from amiws_gevent.web.logins import LoginMemory

_log = logging.getLogger("amiws_gevent.web.gate")

PROXY_LOGOUT_TIME = 60.0
"""Seconds for which other edges hear that a proxy's user has logged out."""

SAVE_DELAY = 0.1
"""Seconds in which logouts of other edges gather, before the file is written."""


class SharedNonces(NonceTable):
    """A challenge of one edge may be answered at another; a count is good at one of them, once."""

    def __init__(self, sharing: Sharing, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock, ahead=SKEW)
        self._sharing = sharing
        self._limiter = LogLimiter()

    def fresh(self, nonce: str) -> bool:
        """See `NonceTable.fresh`; tells of clocks that are too far apart."""
        issued = self.issued(nonce)
        if issued is not None and self._age(issued) < -SKEW:
            self._limiter.log(
                *(_log, logging.WARNING, "ahead"),
                "a challenge of another edge is refused: it was made %.0f s ahead of the clock of "
                "this machine; set the clocks of all edges by NTP",
                -self._age(issued),
            )
        return super().fresh(nonce)

    def spend(self, nonce: str, count: int) -> bool:
        """See `NonceTable.spend`; waits for Redis."""
        secret, issued = self.secret, self.issued(nonce)
        if issued is None or not super().spend(nonce, count):
            return False
        try:
            return self._sharing.spend(
                NonceUse(secret, nonce, issued, count, NONCE_LIFETIME, NC_WINDOW)
            )
        except Unshared:
            return True


class SharedThrottle(LoginThrottle):
    """Wrong passwords at all edges count together."""

    def __init__(
        self,
        sharing: Sharing,
        *,
        clock: Callable[[], float] = time.monotonic,
        entries: int = ENTRIES,
    ) -> None:
        super().__init__(clock=clock, entries=entries)
        self._sharing = sharing
        self._entries = entries

    def judge(self, address: str, user: str, most: int, *, wrong: bool) -> float:
        """See `LoginThrottle.judge`; waits for Redis."""
        seconds = self.wait(address, user, most)
        if not seconds:
            failures = Failures(
                Rate(user[:LONGEST_USER], FAILURE_TIME, most),
                Rate(network_of(address), FAILURE_TIME / OF_ALL_USERS, most * OF_ALL_USERS),
                is_this_machine(address),
                self._entries,
            )
            try:
                seconds = self._sharing.judge(failures, wrong=wrong)
            except Unshared:
                return super().judge(address, user, most, wrong=wrong)
            if wrong and not seconds:
                self.failed(address, user)
        return seconds


class SharedLoginMemory(LoginMemory):
    """`LoginMemory` of an edge; of `bus.sharing.SharedEvents`.

    ``name`` is what all edges with the same users have in common. ``on_logout`` is told of logouts
    elsewhere, ``on_proxy_logout`` of users whom a proxy has logged in.
    """

    ended: SharedEnded

    def __init__(
        self,
        sharing: Sharing,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._sharing = sharing
        self.instance = hashlib.blake2b(name.encode(), digest_size=6).hexdigest()
        self._left_here: set[str] = set()  # whose logouts from here are still to come from Redis
        self._saving: gevent.Greenlet[..., None] | None = None
        self.on_logout: Callable[[], None] = lambda: None
        self.on_proxy_logout: Callable[[str], None] = lambda _user: None
        super().__init__(clock=clock, wall_clock=wall_clock)

    def _make(self, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self.throttle = SharedThrottle(self._sharing, clock=clock)
        self.nonces = SharedNonces(self._sharing, clock=wall_clock)
        self.ended = SharedEnded(clock=clock)

    def save(self) -> None:
        """Tell the other edges of a logout, and keep it in the file; may wait for both."""
        try:
            while logouts := self.untold(LOGOUTS_AT_ONCE):
                self._sharing.tell_logouts(logouts)
                self.told(logouts)
        except Unshared:
            pass  # they are told as soon as Redis is there
        super().save()

    def _save_file(self) -> None:
        self._saving = None
        self._logouts.save()

    def stop(self) -> None:
        """See `LoginMemory.stop`."""
        if self._saving is not None:
            self._saving.kill()
        super().stop()

    def proxy_logout(self, user: str) -> None:
        """Other edges close what is open of that user."""
        self._left_here.add(user)
        try:
            self._sharing.tell_logouts([Logout(user, b"", 0.0, PROXY_LOGOUT_TIME)])
        except Unshared:
            self._left_here.discard(user)

    # -- of `bus.sharing.SharedEvents` ---------------------------------------------------

    def use_secret(self, secret: bytes) -> None:
        """Nonces of all edges are made with it."""
        self.nonces.secret = secret

    def begin_logouts(self) -> None:
        """Redis may have lost those that are known here."""
        self._left_here.clear()  # what they wait for may never come
        self.ended.tell_all()

    def take_logouts(self, logouts: Sequence[Logout], forgotten: float | None) -> None:
        """End what is open of them."""
        if self.ended.take((one for one in logouts if one.session), forgotten):
            self.on_logout()
            if self._saving is None:
                self._saving = gevent.spawn_later(SAVE_DELAY, self._save_file)
        for one in logouts:
            if not one.session and one.rest > 0:
                self._proxy_told(one.user)

    def _proxy_told(self, user: str) -> None:
        """Close what is open, unless the logout comes from here: then that was done."""
        if user in self._left_here:
            self._left_here.discard(user)
        else:
            self.on_proxy_logout(user)

    def untold(self, most: int) -> Sequence[Logout]:
        """Logouts that other edges may not know."""
        return self.ended.untold(most)

    def told(self, logouts: Sequence[Logout]) -> None:
        """They know them."""
        self.ended.told(logouts)
