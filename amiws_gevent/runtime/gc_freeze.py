"""Keeps full garbage collections short, however many clients there are.

While Python collects garbage nothing else runs, and the AMI readers wait: 5 ms for 1,000
clients, longer for the objects of the start. Nearly all of these objects live long. So
after a full collection that took long, the objects left are frozen (``gc.freeze``): the
next collection looks only at newer ones.

A frozen object is still freed when nothing refers to it, as with a closed client. Frozen
cycles are not, so all are collected again when there are more than twice as many frozen
objects as after the last time, and ``ROOM``.
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
    """A context manager that freezes long-lived objects; ``clock`` gives seconds."""

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
        """Frozen objects past which all are collected again; 0: not yet known."""

    def __enter__(self) -> None:
        gc.collect()
        self._set_aside()
        gc.callbacks.append(self._on_collection)

    def __exit__(self, *_: object) -> None:
        # Objects stay frozen, since the process ends: the interpreter's last collection would
        # free log handlers when gevent 24.10 can no longer do what they need.
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
