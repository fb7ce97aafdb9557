"""Sessions of which a user has logged out, remembered for as long as they could be used."""

from __future__ import annotations

import math
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from amiws_gevent.bus.sharing import Logout

ENTRIES = 16_384
SHORTEST_MEMORY = 24 * 3600.0
"""Seconds. A browser may keep a nonce, which is good for less, together with the password."""

_NEVER = float("-inf")
_DELAY = 10.0
"""Seconds that what was told may have been on its way."""


class EndedSessions:
    """Says of a session whether its user has logged out; bounded, whatever users do.

    A session is ended for its user alone, so that nobody ends that of another. If there are
    too many, the oldest is forgotten, and all that is older than that logout counts as ended:
    forgetting must not open a session again.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, entries: int = ENTRIES
    ) -> None:
        self.version = 0
        """Another number whenever something has ended."""
        self._clock = clock
        self._entries = entries
        self._until: dict[tuple[str, bytes], tuple[float, float]] = {}
        """When each was ended, and until when that is remembered; the oldest first."""
        self._forgotten = _NEVER

    def __len__(self) -> int:
        return len(self._until)

    def end(self, user: str, sessions: Iterable[bytes], lifetime: float) -> None:
        """Forget none of them for ``lifetime`` seconds, that of a cookie, at least."""
        now = self._clock()
        for session in sessions:
            self._until.pop((user, session), None)
            self._until[user, session] = now, now + max(lifetime, SHORTEST_MEMORY)
        self._tidy(now)

    def end_all(self) -> None:
        """All that was made before now."""
        self._forgotten = self._clock()
        self.version += 1

    def holds(self, user: str, session: bytes, age: float) -> bool:
        """Whether a session was ended; ``age``: seconds since what shows it was made."""
        if (user, session) in self._until:
            return True
        return self._clock() - age <= self._forgotten

    def _tidy(self, now: float) -> None:
        self.version += 1
        while self._until:
            key, (ended, until) = next(iter(self._until.items()))
            if until > now:
                if len(self._until) <= self._entries:
                    return
                self._forgotten = max(self._forgotten, ended)
            self._drop(key)

    def _drop(self, key: tuple[str, bytes]) -> None:
        del self._until[key]

    # -- from one run of the program to the next ---------------------------------------

    def export(self, wall: float) -> dict[str, Any]:
        """All of it as JSON, in seconds since 1970, which it is now by ``wall``."""
        now = self._clock()
        sessions = [
            [user, b64encode(session).decode(), wall - (now - ended), wall + (until - now)]
            for (user, session), (ended, until) in self._until.items()
            if until > now
        ]
        before = None if self._forgotten == _NEVER else wall - (now - self._forgotten)
        return {"sessions": sessions, "before": before}

    def restore(self, given: Mapping[str, Any], wall: float) -> None:
        """Add what an earlier run has exported; raises ValueError, TypeError or LookupError.

        A clock that was set back meanwhile keeps nothing for longer than it would have been kept.
        """
        now = self._clock()
        found = {
            (_text(user), b64decode(session, validate=True)): (
                now - max(0.0, wall - _seconds(ended)),
                now + min(_seconds(until) - wall, until - ended),
            )
            for user, session, ended, until in given["sessions"]
        }
        before = given["before"]
        forgotten = _NEVER if before is None else now - max(0.0, wall - _seconds(before))
        self._until = dict(sorted({**found, **self._until}.items(), key=lambda item: item[1]))
        self._forgotten = max(self._forgotten, forgotten)
        self._tidy(now)


class SharedEnded(EndedSessions):
    """Those of all edges: what others have told is the same as what was ended here."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, entries: int = ENTRIES
    ) -> None:
        super().__init__(clock=clock, entries=entries)
        self._untold: dict[tuple[str, bytes], None] = {}

    def end(self, user: str, sessions: Iterable[bytes], lifetime: float) -> None:
        """See `EndedSessions.end`; others are to be told."""
        ended = tuple(sessions)
        self._untold.update(dict.fromkeys((user, session) for session in ended))
        super().end(user, ended, lifetime)

    def _drop(self, key: tuple[str, bytes]) -> None:
        """Nobody needs to be told of it any more."""
        super()._drop(key)
        self._untold.pop(key, None)

    def restore(self, given: Mapping[str, Any], wall: float) -> None:
        """See `EndedSessions.restore`; others are to be told."""
        super().restore(given, wall)
        self.tell_all()

    def tell_all(self) -> None:
        """Others may know none of them."""
        self._untold = dict.fromkeys(self._until)

    def untold(self, most: int) -> list[Logout]:
        """Some that others may not know."""
        now = self._clock()
        found = []
        for user, session in islice(self._untold, most):
            ended, until = self._until.get((user, session), (now, now))
            found.append(Logout(user, session, now - ended, max(0.0, until - now)))
        return found

    def told(self, logouts: Iterable[Logout]) -> None:
        """Others know these."""
        for one in logouts:
            self._untold.pop((one.user, one.session), None)

    def take(self, logouts: Iterable[Logout], forgotten: float | None) -> bool:
        """What others have ended, and how old all is that they have forgotten; whether it is new.

        The latter is told again and again, with some delay, so that it seems to grow younger.
        """
        now, version = self._clock(), self.version
        for user, session, age, rest in logouts:
            self._untold.pop((user, session), None)
            if (user, session) not in self._until and rest > 0:
                self._until[user, session] = now - age, now + rest
                self.version += 1
        if forgotten is not None and now - forgotten > self._forgotten + _DELAY:
            self._forgotten = now - forgotten
            self.version += 1
        if self.version == version:
            return False
        self._until = dict(sorted(self._until.items(), key=lambda item: item[1]))
        self._tidy(now)
        return True


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("the name of a user is no text")
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a time is no number")
    return value
