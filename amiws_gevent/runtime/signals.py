"""SIGTERM, SIGINT and SIGHUP: taken first of all, obeyed once there is something to act on.

    before the server runs    SIGHUP waits; the others end the start, at once in `Signals.may_end`
    while it runs             each calls the function that `Signals.handed_to` was given
    afterwards                the program is ending, and nothing is done

The default action of these signals would end the process without its clean-up, so it never
applies. The handlers are Python's: they run even while a greenlet computes and the event
loop does not turn. Imports nothing that the monkey-patch changes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from amiws_gevent.runtime import blocked

if TYPE_CHECKING:
    from greenlet import greenlet


class EndAsked(BaseException):
    """SIGTERM or SIGINT came while the program was starting."""


class Signals:
    """The signals of the process; there is one for each run of the program."""

    def __init__(self) -> None:
        self._end_asked = False
        self._reload_asked = False
        self._interruptible: greenlet | None = None
        self._actions: tuple[Callable[[], None], Callable[[], None]] | None = None

    def take(self) -> None:
        """From now on only note these signals, and SIGCONT for `blocked`."""
        signal.signal(signal.SIGTERM, self._on_end)
        signal.signal(signal.SIGINT, self._on_end)
        signal.signal(signal.SIGHUP, self._on_reload)
        blocked.note_stops()

    @contextmanager
    def may_end(self) -> Iterator[None]:
        """Within, SIGTERM and SIGINT raise EndAsked, at once even while the greenlet waits.

        For work that may take long and can be interrupted anywhere. A signal that came
        before raises too.
        """
        from greenlet import getcurrent

        self._interruptible = getcurrent()
        try:
            self._interrupt()
            yield
        finally:
            self._interruptible = None

    @contextmanager
    def handed_to(self, *, end: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
        """Within, each signal calls its function in a greenlet. Earlier signals count too."""
        import gevent

        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        # The pipe wakes the event loop; without it a signal could come just before a long wait.
        watcher = gevent.get_hub().loop.io(reading, 1)
        watcher.start(os.read, reading, 512)
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._actions = end, reload
        try:
            self._act()
            yield
        finally:
            self._actions = None
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            watcher.stop()
            watcher.close()
            os.close(reading)
            os.close(writing)

    def _on_end(self, _number: int, _frame: FrameType | None) -> None:
        self._end_asked = True
        self._on_signal()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_asked = True
        self._on_signal()

    def _on_signal(self) -> None:
        """In whatever greenlet is running, at any place in it."""
        if self._actions is not None:
            _call_soon(self._act)
        elif self._interruptible is not None:
            self._interrupt()

    def _interrupt(self) -> None:
        """Raise EndAsked in the greenlet that may end, once; no other is to hear of it."""
        from greenlet import getcurrent

        target = self._interruptible
        if not self._end_asked or target is None:
            return
        if getcurrent() is target:
            self._interruptible = None
            raise EndAsked
        _call_soon(self._throw)

    def _throw(self) -> None:
        target, self._interruptible = self._interruptible, None
        if target is not None:
            target.throw(EndAsked)

    def _act(self) -> None:
        import gevent

        if self._actions is None:
            return
        end, reload = self._actions
        if self._reload_asked:
            self._reload_asked = False
            gevent.spawn(reload)
        if self._end_asked:
            self._end_asked = False
            gevent.spawn(end)


def _call_soon(function: Callable[[], None]) -> None:
    import gevent

    gevent.get_hub().loop.run_callback_threadsafe(function)
