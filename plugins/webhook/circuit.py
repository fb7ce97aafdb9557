"""When a receiver may be tried: two back-offs, one between failures, one after several.

closed      attempts go out; after a failure the next one waits for a time drawn from
            0 to a bound that doubles with each failure ("full jitter")
open        after so many failures in a row: none goes out for a cool-down
half-open   the cool-down is over: one attempt decides. Success closes the circuit,
            failure opens it again, for twice as long, up to a bound
"""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Callable

from amiws_gevent.plugins.kit import Backoff

from .settings import Settings


class State(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Circuit:
    """The state of one receiver. An attempt is `begin`, then `succeeded` or `failed`."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._most_failures = settings.circuit_failures
        self._retry = Backoff(
            settings.retry_delay / 2, settings.retry_delay_max, lowest=0.0, random=random
        )
        self._cooldown = Backoff(
            settings.circuit_cooldown / 2, settings.circuit_cooldown_max, spread=0.0
        )
        self._clock = clock
        self._not_before = clock()
        self.state = State.CLOSED
        self.failures = 0
        """Failures in a row."""

    def wait(self) -> float:
        """Seconds until the next attempt may begin; 0 for now."""
        return max(0.0, self._not_before - self._clock())

    def begin(self) -> None:
        """An attempt goes out."""
        if self.state is State.OPEN:
            self.state = State.HALF_OPEN

    def succeeded(self) -> None:
        """The receiver answered as one that lives."""
        self.state = State.CLOSED
        self.failures = 0
        self._retry.reset()
        self._cooldown.reset()
        self._not_before = self._clock()

    def failed(self, retry_after: float) -> None:
        """It did not; ``retry_after`` is how long it asks to be left alone, seconds."""
        self.failures += 1
        if self.failures >= self._most_failures:
            self.state = State.OPEN
        pause = (self._cooldown if self.state is State.OPEN else self._retry).next()
        self._not_before = self._clock() + max(pause, retry_after)
