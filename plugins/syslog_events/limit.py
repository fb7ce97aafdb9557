"""How many lines a rule may send, so that a flood of events fills no disk."""

from __future__ import annotations

from collections.abc import Callable

from .units import Rate


class Limiter:
    """Lets ``rate.count`` lines pass in each ``rate.seconds`` and counts the others."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self.rate = rate
        self.suppressed = 0
        """Lines held back that nobody was told of yet."""
        self.ends = 0.0
        """When the present time span ends, on the clock."""
        self._clock = clock
        self._passed = 0

    def allow(self) -> bool:
        """Whether one more line may go."""
        if not self.rate.count:
            return True
        now = self._clock()
        if now >= self.ends:
            self.ends = now + self.rate.seconds
            self._passed = 0
        if self._passed < self.rate.count:
            self._passed += 1
            return True
        self.suppressed += 1
        return False

    def take(self) -> int:
        """The lines held back since the last call."""
        taken, self.suppressed = self.suppressed, 0
        return taken
