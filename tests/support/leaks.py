"""What a test leaves behind in its own process.

As sets, to ask whether one after is within one before: what an earlier test left, and what
ends meanwhile, is then no failure of this one.
"""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path

import gevent
from greenlet import greenlet


def open_descriptors() -> set[tuple[int, str]]:
    """Those of this process, each with what it stands for."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found.add((int(entry.name), str(entry.readlink())))
    return found


def live_greenlets() -> set[greenlet]:
    """Those that have not ended, with those that have not started yet."""
    gevent.sleep(0)
    gc.collect()
    return {
        thing for thing in gc.get_objects() if issubclass(type(thing), greenlet) and not thing.dead
    }
