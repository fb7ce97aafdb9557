"""Ends the program if a signal has asked for the end and the event loop is blocked.

All greenlets share one thread, so a plugin that loops keeps the orderly end from starting.
A thread of the operating system watches. It sleeps until a signal asks for the end. Then
the program has END_TIME, and LAST_TIME if the event loop still turns. When that is over,
the thread logs what the main thread is doing, and ends the process at once.

C code that never releases Python's lock blocks this thread as well; only SIGKILL ends such
a process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self

import gevent
from gevent.monkey import get_original

END_TIME = 5.0  # seconds that the program has for its end, which takes less
LAST_TIME = 10.0  # seconds that it has if the event loop still turns: a machine that is busy
ANSWER_TIME = 1.0  # seconds in which an event loop that turns does so

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Place(NamedTuple):
    """A line of code that is being run, and the name of its function."""

    file: str
    line: int
    function: str


class Watchdog:
    """A context manager, for the main thread: within it, signals of the end are watched.

    It stands before the handlers that Python has for them, and calls these. ``tell`` is
    called in the other thread, with what the main thread is doing, innermost place first;
    it must not wait for any lock. Then ``leave(status)`` ends the process.
    """

    def __init__(
        self,
        tell: Callable[[Sequence[Place]], None],
        status: int,
        *,
        end_time: float = END_TIME,
        last_time: float = LAST_TIME,
        answer_time: float = ANSWER_TIME,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._tell = tell
        self._status = status
        self._end_time = end_time
        self._last_time = last_time
        self._answer_time = answer_time
        self._leave = leave
        self._before: dict[int, Any] = {}
        # Locks that say "not yet" while they are held. Not gevent's: those let greenlets wait.
        self._asked = _held_lock()
        self._over = _held_lock()

    def __enter__(self) -> Self:
        self._main = get_original("_thread", "get_ident")()
        self._loop = gevent.get_hub().loop
        get_original("_thread", "start_new_thread")(self._watch, ())
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._over.release()
        self._begin()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._begin()
        handler = self._before.get(number)
        if callable(handler):
            handler(number, frame)

    def _begin(self) -> None:
        # The second time it may be free already; to look first would leave a gap for a signal.
        with contextlib.suppress(RuntimeError):
            self._asked.release()

    def _watch(self) -> None:
        self._asked.acquire()
        seconds = self._end_time - self._answer_time
        if self._over.acquire(timeout=seconds):
            return
        while seconds < self._last_time:
            answer = _held_lock()
            self._loop.run_callback_threadsafe(answer.release)
            if self._over.acquire(timeout=self._answer_time):
                return
            if answer.locked():
                break
            seconds += self._answer_time
        self._end()

    def _end(self) -> None:
        with contextlib.suppress(Exception):  # the end comes first
            self._tell(_places(sys._current_frames().get(self._main)))
        self._leave(self._status)


def _held_lock() -> Any:
    lock = get_original("_thread", "allocate_lock")()
    lock.acquire()
    return lock


def _places(frame: FrameType | None) -> list[Place]:
    places = []
    while frame is not None:
        places.append(Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return places
