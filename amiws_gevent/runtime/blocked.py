"""How long this thread was blocked in the kernel.

A call into C that waits (a database driver that gevent does not know, SQLite at a locked
file) stops the event loop and uses no CPU time. By the clocks alone that looks like a busy
machine. Linux tells them apart: /proc/thread-self/schedstat has the time that the thread
was ready and had no core (``Documentation/scheduler/sched-stats.rst``), and getrusage(2)
how often it blocked. What is left of the wall clock, less the CPU time, is the time
blocked, with three exceptions:

- A wait for Python's lock lasts at most ``sys.getswitchinterval`` at a time. So much of
  each wait does not count.
- A process that was stopped (SIGSTOP, Ctrl-Z) looks blocked. It gets SIGCONT before it
  runs again, so nothing counts if one came; nor if nobody notes them (`note_stops`).
- A core that a hypervisor took away is no wait of the thread. Nothing counts without one.

A container that is frozen, a debugger, and a hypervisor that takes the core from a thread
that has waited for a moment as well cannot be told from a wait.
"""

from __future__ import annotations

import math
import resource
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

INTERVAL = 0.02  # seconds between two snapshots at least: each takes some 8 µs


class StopNotes:
    """A handler for SIGCONT: ``count`` is how often the process was continued."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


def note_stops() -> None:
    """Take SIGCONT, to know of stops; for the main thread. By default it is ignored."""
    signal.signal(signal.SIGCONT, StopNotes())


class Snapshot(NamedTuple):
    """The thread's figures at one moment."""

    run_queue: float  # seconds that it was ready and had no core
    waits: int  # how often it blocked
    continued: int | None  # how often the process was continued; None: not noted


class BlockedTime:
    """The blocked time of the thread that asks; ``path`` is the kernel's file."""

    def __init__(self, path: Path = Path("/proc/thread-self/schedstat")) -> None:
        self._path = path
        self._next = -math.inf

    def snapshot(self, now: float) -> Snapshot | None:
        """What `since` counts from; None if the last is less than INTERVAL old, or unknown.

        So a burst of short turns costs nothing, and behind a turn that blocked there is one.
        """
        if now < self._next:
            return None
        self._next = now + INTERVAL
        return self._read()

    def since(self, before: Snapshot, wall: float, cpu: float) -> float:
        """Seconds blocked since then, at least; ``wall`` and ``cpu`` are what has passed."""
        now = self._read()
        if now is None or now.continued is None or now.continued != before.continued:
            return 0.0
        waits = now.waits - before.waits
        if not waits:
            return 0.0
        queued = now.run_queue - before.run_queue
        return max(0.0, wall - cpu - queued - waits * sys.getswitchinterval())

    def _read(self) -> Snapshot | None:
        try:
            with self._path.open("rb", buffering=0) as file:
                queued = int(file.read(64).split()[1]) / 1e9
        except (OSError, IndexError):  # not Linux, no /proc, or no CONFIG_SCHED_INFO
            return None
        waits = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        handler = signal.getsignal(signal.SIGCONT)
        return Snapshot(queued, waits, handler.count if isinstance(handler, StopNotes) else None)
