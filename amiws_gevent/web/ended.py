"""Sessions of which a user has logged out, remembered for as long as they could be used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

ENTRIES = 16_384
SHORTEST_MEMORY = 24 * 3600.0
"""Seconds. A browser may keep a nonce, which is good for less, together with the password."""


class EndedSessions:
    """Says of a session whether its user has logged out; bounded, whatever users do.

    A session is ended for its user alone, so that nobody ends that of another. If there are
    too many, the oldest is forgotten, and all that is older than that logout counts as ended:
    forgetting must not open a session again. A restart forgets all.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, entries: int = ENTRIES
    ) -> None:
        self._clock = clock
        self._entries = entries
        self._until: dict[tuple[str, bytes], tuple[float, float]] = {}
        """When each was ended, and until when that is remembered; the oldest first."""
        self._forgotten = float("-inf")

    def __len__(self) -> int:
        return len(self._until)

    def end(self, user: str, sessions: Iterable[bytes], lifetime: float) -> None:
        """Forget none of them for ``lifetime`` seconds, that of a cookie, at least."""
        now = self._clock()
        for session in sessions:
            self._until.pop((user, session), None)
            self._until[user, session] = now, now + max(lifetime, SHORTEST_MEMORY)
        while self._until:
            key, (ended, until) = next(iter(self._until.items()))
            if until > now:
                if len(self._until) <= self._entries:
                    return
                self._forgotten = max(self._forgotten, ended)
            del self._until[key]

    def holds(self, user: str, session: bytes, age: float) -> bool:
        """Whether a session was ended; ``age``: seconds since what shows it was made."""
        if (user, session) in self._until:
            return True
        return self._clock() - age <= self._forgotten
