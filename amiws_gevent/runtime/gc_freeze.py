"""Keeps full garbage collections short, however much the program knows.

While Python collects garbage nothing else runs, and the AMI readers wait: 5 ms for 1,000
clients or 1,000 calls, longer for the objects of the start. Nearly all of these objects live
long. So after a full collection that took long, the objects left are frozen (``gc.freeze``):
the next collection looks only at newer ones. Full collections come early, so that there are
never many of those: before `YOUNGER` was set, 10,000 channels that came at once made for one
of 28 ms.

A frozen object is still freed when nothing refers to it, as with a closed client. Frozen
cycles are not, so all are collected again when there are more than twice as many frozen
objects as after the last time, and ``ROOM``.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any

LONG = 0.002  # seconds; for less it is not worth while to look what there is
YOUNG = 2500
"""New objects before the young are looked through. The 700 of Python up to 3.13 are less than two
reads of 64 KiB have: it would look through messages that are gone a moment later."""
MIDDLE = 1
"""Collections of the young before one of the middle generation may be due."""
YOUNGER = 2
"""Collections of the middle generation, of some 7,000 new objects each, before a full one may be
due. (Python's 10 are for programs that have to look through all of their objects again.)"""
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
        self._thresholds = gc.get_threshold()
        self._uncounted = 0
        """Objects that were frozen since all were counted."""
        self._limit = 0
        """Frozen objects past which all are collected again; 0: not yet known."""

    def __enter__(self) -> None:
        self._thresholds = gc.get_threshold()
        young, middle, _ = self._thresholds
        if sys.version_info < (3, 14):
            young, middle = YOUNG, MIDDLE
        gc.set_threshold(young, middle, YOUNGER)
        gc.collect()
        self._set_aside()
        gc.collect()  # of nothing: the next is due with a quarter as many as the last has left
        gc.callbacks.append(self._on_collection)

    def __exit__(self, *_: object) -> None:
        # Objects stay frozen, since the process ends: the interpreter's last collection would
        # free log handlers when gevent 24.10 can no longer do what they need.
        gc.callbacks.remove(self._on_collection)
        gc.set_threshold(*self._thresholds)

    def _on_collection(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] != _FULL:
            return
        if phase == "start":
            self._begun = self._clock()
        elif self._clock() - self._begun > self._long:
            self._set_aside()

    def _set_aside(self) -> None:
        self._uncounted += len(gc.get_objects(generation=_FULL))
        gc.freeze()
        if not self._limit or self._uncounted > self._room:
            self._count()

    def _count(self) -> None:
        """See how many are still there. Each is looked at: 10 ms for 100,000, so this is rare."""
        self._uncounted = 0
        count = gc.get_freeze_count()
        if not self._limit:
            self._limit = 2 * count + self._room
        elif count > self._limit:
            gc.unfreeze()
            self._limit = 0
