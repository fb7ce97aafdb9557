"""Keeps one process running: one that ends is started again, one that hangs is ended first."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import gevent
from gevent.event import AsyncResult, Event

from amiws_gevent.errors import AmiwsError, StartError
from amiws_gevent.runtime.backoff import Backoff

PING_TIME = 5.0
"""Seconds between two questions whether it answers."""

HANG_PINGS = 6
"""So many in a row without an answer, 30 seconds, and it hangs. They are counted one by one: a
machine or a supervisor that stood still for long has missed one."""

SHORTEST, LONGEST = 0.25, 30.0
"""Seconds between two starts."""

END_TIME = 6.0
"""Seconds that one that refuses to serve has for its end."""

STEADY_TIME = 60.0
"""Seconds after which a process is no longer one that ends at once."""

_log = logging.getLogger("amiws_gevent.workers")


class Kept(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int: ...

    def begin(self) -> None:
        """Return once it serves; raises AmiwsError, of it StartError if it refuses to."""

    def answers(self, timeout: float) -> bool: ...
    def signal(self, number: int) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def ending(self) -> str: ...
    def close(self) -> None: ...


_Kept = TypeVar("_Kept", bound=Kept)


class Keeper(Generic[_Kept]):
    """Of one process, under a name. ``start`` starts it once, and may raise StartError."""

    def __init__(
        self,
        name: str,
        start: Callable[[], _Kept],
        *,
        ping_time: float = PING_TIME,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.process: _Kept | None = None
        """The one that serves; None: there is none now."""
        self.restarts = 0
        self.heard = Event()
        """Set while it serves and answers."""
        self.first: AsyncResult[None] = AsyncResult()
        """Whether the first has come to serve, or its StartError."""
        self.on_began: Callable[[_Kept], None] = _nothing
        self.on_look: Callable[[_Kept], None] = _nothing
        """Called now and then while it serves; may wait."""
        self.on_silent: Callable[[], None] = lambda: None
        """Called when it has left a question unanswered."""
        self.on_ended: Callable[[], None] = lambda: None
        """Called when one has ended, or could not be started."""
        self._start = start
        self._ping_time = ping_time
        self._backoff = backoff or Backoff(SHORTEST, LONGEST)
        self._running: _Kept | None = None  # from its start on
        self._stopping = Event()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def begin(self, *, must_serve: bool = False) -> None:
        """Start it, and again whenever it has ended.

        With ``must_serve`` no other is started if the first does not come to serve: who waits for
        `first` then has its reason, and goes on without.
        """
        self._greenlet = gevent.spawn(self._run, must_serve)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal, and start no other."""
        self._stopping.set()
        if self._running is not None:
            self._running.signal(number)

    def join(self, timeout: float) -> bool:
        """Whether all is over, ``timeout`` seconds after at most."""
        if self._greenlet is not None:
            self._greenlet.join(timeout)
        return self._greenlet is None or self._greenlet.dead

    def replace(self, reason: str) -> None:
        """End it by force, and start another."""
        if self._running is not None:
            _log.error("%s: %s; it is ended by force", self.name, reason)
            self._running.signal(signal.SIGKILL)

    def _run(self, must_serve: bool) -> None:
        while not self._stopping.is_set():
            reason = self._once()
            if self._stopping.is_set() or (must_serve and not self.first.successful()):
                break
            self.restarts += 1
            seconds = self._backoff.next()
            _log.error("%s: %s; another one starts in %.1f s", self.name, reason, seconds)
            self._stopping.wait(seconds)

    def _once(self) -> str:
        """One process from its start to its end; why it has ended."""
        try:
            process = self._running = self._start()
        except (StartError, OSError) as error:
            self.on_ended()
            return self._never_began(error)
        try:
            reason = self._begin(process) or self._watch(process)
        finally:
            self.process = None
            self.heard.clear()
        process.wait()
        self._running = None
        process.close()
        self.on_ended()
        return reason

    def _begin(self, process: _Kept) -> str:
        """Why it does not serve, or ""."""
        try:
            process.begin()
        except AmiwsError as error:
            reason: Exception = error
            if not process.wait(END_TIME):
                process.signal(signal.SIGKILL)
            elif not isinstance(error, StartError):
                reason = StartError(process.ending())
            return self._never_began(reason)
        self.process = process
        self.heard.set()
        _log.info("%s serves (process %d)", self.name, process.pid)
        self.on_began(process)
        self.first.set()
        return ""

    def _never_began(self, error: Exception) -> str:
        if not self.first.ready():
            known = isinstance(error, StartError)
            self.first.set_exception(error if known else StartError(f"{self.name}: {error}"))
        return str(error)

    def _watch(self, process: _Kept) -> str:
        """Return once it has ended, or was ended because it hangs; then why."""
        silent = rounds = 0
        while not process.wait(0 if silent else self._ping_time):
            rounds += 1
            if process.answers(self._ping_time):
                silent = 0
                self.heard.set()
                self.on_look(process)
            else:
                silent += 1
                self.heard.clear()
                self.on_silent()
            if rounds * self._ping_time > STEADY_TIME:
                self._backoff.reset()
            if silent >= HANG_PINGS and not self._stopping.is_set():
                process.signal(signal.SIGKILL)
                return f"it has not answered for {HANG_PINGS * self._ping_time:g} s, and was killed"
        return process.ending()


def _nothing(_process: Kept) -> None:
    """Nobody asks."""
