"""The queue between the stream and one plugin's log hooks.

Putting never blocks: what does not fit is dropped for this plugin alone,
counted, and told when there is room again. One greenlet per plugin takes
entries in order, so a hook may wait for a disk or the network.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gevent
from gevent.event import Event

from amiws_gevent.plugins.guard import PluginState

ENTRIES_PER_TURN = 100  # then others run, so that a hook that only computes is interleaved

_log = logging.getLogger("amiws_gevent.plugins")


class Entry(NamedTuple):
    """One call of a hook that is to come; ``size`` in bytes is what it counts for."""

    hook: str
    arguments: tuple[Any, ...]
    size: int


class LogQueue:
    """Calls ``functions[entry.hook]`` for each entry, in a greenlet of its own."""

    def __init__(
        self, state: PluginState, functions: dict[str, Callable[..., Any]], *, limit: int
    ) -> None:
        self.state = state
        self.functions = functions
        self.limit = limit
        self.dropped = 0
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._untold = 0
        self._wake = Event()
        self._idle = Event()
        self._idle.set()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin to take entries out; what was put before waits until then."""
        self._greenlet = gevent.spawn(self._run)

    @property
    def running(self) -> bool:
        """Whether entries are taken out."""
        return self._greenlet is not None

    def put(self, entries: Sequence[Entry]) -> None:
        """Take entries for hooks that the plugin implements."""
        for entry in entries:
            if self._bytes + entry.size > self.limit and self._entries:
                self.dropped += 1
                self._untold += 1
                continue
            self._entries.append(entry)
            self._bytes += entry.size
        self._idle.clear()
        self._wake.set()

    def drain(self, timeout: float) -> bool:
        """Wait until all is done; False if it was not within ``timeout`` seconds."""
        return bool(self._idle.wait(timeout))

    def stop(self) -> None:
        """End the greenlet; what is queued is given up."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = None

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            number = 0
            while self._entries:
                entry = self._entries.popleft()
                self._bytes -= entry.size
                self._call(entry)
                number += 1
                if not number % ENTRIES_PER_TURN:
                    gevent.sleep(0)
            self._tell_dropped()
            self._idle.set()

    def _call(self, entry: Entry) -> None:
        start = time.monotonic()
        try:
            self.functions[entry.hook](*entry.arguments)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self.state.failed(entry.hook, error)
        self.state.log_seconds += time.monotonic() - start

    def _tell_dropped(self) -> None:
        if self._untold:
            _log.error(
                "plugin %s: %d messages dropped, since it takes them slower than they come",
                self.state.name,
                self._untold,
            )
            self._untold = 0
