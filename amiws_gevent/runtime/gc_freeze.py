"""Keeps full garbage collections short, however many clients there are.

While Python looks for garbage in cycles nothing else runs, and the AMI readers wait: 5 ms
for 1,000 clients, more than that for what the start leaves. Nearly all that it looks
through is there to stay. So what was left by a full collection that took long is set
aside (``gc.freeze``): the next one looks at what is new since.

What is set aside is freed like all else when nothing refers to it any more, and a client
goes that way. But cycles would stay for ever, so all is looked through again once it may
be worth while: when twice as much is set aside as the last time, and ``ROOM`` more.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

LONG = 0.005  # seconds
ROOM = 500_000  # objects; with what belongs to them some 100 bytes each

_FULL = 2  # the oldest generation, and all younger ones with it


class GcFreeze:
    """As long as it is entered, sets aside what stays; ``clock`` gives seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        *,
        long: float = LONG,
        room: int = ROOM,
    ) -> None:
        self._clock = clock
        self._long = long
        self._room = room
        self._begun = 0.0
        self._limit = 0
        """Objects set aside from which on all are looked through; 0: this has just begun."""

    def __enter__(self) -> None:
        gc.collect()
        self._set_aside()
        gc.callbacks.append(self._on_collection)

    def __exit__(self, *_: object) -> None:
        # What is set aside stays so, since the process ends: the interpreter's last collection
        # would free log handlers at a time when gevent 24.10 can no more do what they need.
        gc.callbacks.remove(self._on_collection)

    def _on_collection(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] != _FULL:
            return
        if phase == "start":
            self._begun = self._clock()
        elif self._clock() - self._begun > self._long:
            self._set_aside()

    def _set_aside(self) -> None:
        gc.freeze()
        count = gc.get_freeze_count()
        if not self._limit:
            self._limit = 2 * count + self._room
        elif count > self._limit:
            gc.unfreeze()
            self._limit = 0
