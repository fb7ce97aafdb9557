"""Which reasons of an outage are logged: one that lasts must not fill the log."""

from __future__ import annotations

import time
from collections.abc import Callable

AT_ONCE = 5
"""Losses and reasons that may be logged at once; then one more in each AGAIN."""
AGAIN = 60.0
"""Seconds after which a reason that was logged before may be logged again."""


class OutageLog:
    """What of an outage is worth a line: the loss, another reason, the end.

    ``clock`` gives seconds. Tell it each time what is found, also if that is as before.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = ""  # that was logged of this outage
        self._logged: dict[str, float] = {}  # in the last AGAIN of this outage, when
        self._lines = 0.0  # of those at once, how many are used
        self._counted_at = clock()

    def lost(self, reason: str) -> bool:
        """Whether to log this reason now."""
        now = self._clock()
        self._logged = {text: at for text, at in self._logged.items() if now < at + AGAIN}
        if reason == self._last or reason in self._logged:
            return False
        self._lines = max(0.0, self._lines - (now - self._counted_at) / AGAIN)
        self._counted_at = now
        if self._lines > AT_ONCE - 1:
            return False
        self._lines += 1
        self._last, self._logged[reason] = reason, now
        return True

    def back(self) -> bool:
        """It is over; whether to log that: its loss was."""
        told, self._last = bool(self._last), ""
        self._logged.clear()
        return told
