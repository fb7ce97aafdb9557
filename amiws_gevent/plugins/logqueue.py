"""The queue of one plugin's hooks that nobody waits for.

Putting never blocks: an entry that does not fit is dropped for this plugin alone, counted
and logged. One greenlet per plugin takes entries in order, so a hook may wait for a disk
or the network.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import gevent
from gevent.event import Event

from amiws_gevent.plugins.guard import END_TIME, LOOKS, PluginState, outcome
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop

LONGEST_TURN = 0.005  # seconds of hooks that only compute, then others have theirs

NEWS_SIZE = 1024
"""Bytes that an entry counts for if it is not a message."""

_log = logging.getLogger("amiws_gevent.plugins")


class Entry(NamedTuple):
    """One queued call of a hook; it counts for ``size`` bytes, with 0 there is always room.

    Messages may take ``limit`` bytes of the queue. Other calls are rare and have as much
    again, since a plugin that counts clients must not miss one.
    """

    hook: str
    arguments: tuple[Any, ...]
    size: int = NEWS_SIZE
    is_message: bool = False


class LogQueue:
    """Calls ``functions[entry.hook]`` for each entry, in a greenlet of its own."""

    def __init__(
        self,
        state: PluginState,
        functions: Mapping[str, Callable[..., Any]],
        *,
        limit: int,
        limiter: LogLimiter,
    ) -> None:
        self.limit = limit
        self.dropped = 0
        self._state = state
        self._functions = functions
        self._limiter = limiter
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._wake = Event()
        self._idle = Event()
        self._idle.set()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Start to take entries, those put before included."""
        self._greenlet = gevent.spawn(self._run)

    def put(self, entries: Iterable[Entry]) -> None:
        """Take entries for hooks that the plugin implements."""
        for entry in entries:
            room = self.limit if entry.is_message else 2 * self.limit
            if entry.size and self._bytes + entry.size > room and self._entries:
                self._drop()
            else:
                self._entries.append(entry)
                self._bytes += entry.size
                self._idle.clear()
        self._wake.set()

    def drain(self, timeout: float) -> bool:
        """Wait until all is done; False if it was not within ``timeout`` seconds.

        A wait of one LOOKth counts for no more, however long the program stood still in it.
        """
        return any(self._idle.wait(timeout / LOOKS) for _ in range(LOOKS))

    def stop(self, timeout: float) -> None:
        """End the greenlet when the queue is empty, or after ``timeout`` seconds.

        Entries that are left stay queued for another ``start``.
        """
        greenlet = self._greenlet
        if greenlet is None:
            return
        if not self.drain(timeout):
            _log.warning(
                "plugin %s: stopped with %d calls still queued",
                self._state.name,
                len(self._entries),
            )
        self._greenlet = None
        greenlet.kill(timeout=END_TIME)

    def _run(self) -> None:
        greenlet = self._greenlet
        turn_end = time.monotonic() + LONGEST_TURN
        while True:
            while self._entries:
                entry = self._entries.popleft()
                self._bytes -= entry.size
                now = self._call(entry)
                if self._greenlet is not greenlet:
                    return
                if now > turn_end:
                    yield_to_loop()
                    turn_end = time.monotonic() + LONGEST_TURN
            self._idle.set()
            self._wake.wait()
            self._wake.clear()

    def _call(self, entry: Entry) -> float:
        """Call the hook; returns the time at its end."""
        start = time.monotonic()
        error, _ = outcome(self._functions[entry.hook], entry.arguments)
        now = time.monotonic()
        self._state.log_seconds += now - start
        if error is not None and self._greenlet is not None:
            self._state.failed(entry.hook, error)
        return now

    def _drop(self) -> None:
        self.dropped += 1
        self._limiter.log(
            _log,
            logging.ERROR,
            ("queue", self._state.name),
            "plugin %s: too slow, calls of its hooks dropped: %d so far (limits.plugin_queue)",
            self._state.name,
            self.dropped,
        )
