"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays that grow to ``longest`` seconds, doubling, with jitter.

    The first is up to twice ``shortest``. ``spread`` is the share of each step that chance
    may take away: 1 is full jitter (what went down together does not all come back at
    once), 0 none. No delay is below ``lowest``, by default ``shortest``.
    """

    def __init__(
        self,
        shortest: float,
        longest: float,
        *,
        spread: float = 1.0,
        lowest: float | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._shortest = shortest
        self._longest = longest
        self._spread = spread
        self._lowest = shortest if lowest is None else lowest
        self._random = random
        self._step = shortest

    def next(self) -> float:
        """Seconds to wait now; the next answer is up to twice as long."""
        self._step = min(self._longest, self._step * 2)
        lowest = max(self._lowest, self._step * (1 - self._spread))
        return lowest + (self._step - lowest) * self._random()

    def reset(self) -> None:
        """Begin again with the shortest."""
        self._step = self._shortest
