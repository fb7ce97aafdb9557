"""Rates by key, in bounded memory: how many may come at once, and how many in the long run."""

from __future__ import annotations

import heapq

Key = tuple[str, str]

LINGER = 1.0
"""Seconds that a bucket is there at least: one that fills and empties all the time stays."""


class Buckets:
    """Leaky buckets, each kept as the one time at which it will be empty (GCRA, ITU-T I.371).

    What is counted leaks out in ``interval`` seconds. There are ``entries`` buckets at most,
    ``of_one`` of those whose keys begin alike; one that is empty goes after LINGER.
    """

    def __init__(self, interval: float, entries: int, of_one: int) -> None:
        self._interval = interval
        self._entries = entries
        self._of_one = of_one
        self._empty_at: dict[Key, float] = {}
        self._linger = LINGER if interval < LINGER else 0.0
        self._of_first: dict[str, int] = {}
        self._due: list[tuple[float, Key]] = []
        """A heap with one item for each bucket: when to check whether it is empty."""

    def __len__(self) -> int:
        return len(self._empty_at)

    def has_room(self, key: Key, now: float) -> bool:
        """Whether the key has a bucket, or may have one."""
        if self._due and self._due[0][0] <= now:
            self._forget_empty(now)
        if key in self._empty_at:
            return True
        return len(self) < self._entries and self._of_first.get(key[0], 0) < self._of_one

    def wait(self, key: Key, now: float, most: int) -> float:
        """Seconds until one more would not exceed ``most``; negative: none."""
        return self._empty_at.get(key, now) - now - (most - 1) * self._interval

    def fill(self, key: Key, now: float) -> None:
        """Count one."""
        empty_at = self._empty_at.get(key)
        if empty_at is None:
            self._of_first[key[0]] = self._of_first.get(key[0], 0) + 1
            heapq.heappush(self._due, (max(now + self._interval, now + self._linger), key))
        # One that was empty is filled from now on.
        start = now if empty_at is None or empty_at < now else empty_at
        self._empty_at[key] = start + self._interval

    def _forget_empty(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            key = self._due[0][1]
            empty_at = self._empty_at[key]
            if empty_at > now:  # filled again meanwhile
                heapq.heapreplace(self._due, (max(empty_at, now + self._linger), key))
                continue
            heapq.heappop(self._due)
            del self._empty_at[key]
            self._of_first[key[0]] -= 1
            if not self._of_first[key[0]]:
                del self._of_first[key[0]]
