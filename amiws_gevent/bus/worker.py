"""Greenlets that each have a connection to Redis, and whether Redis is there."""

from __future__ import annotations

import abc
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from amiws_gevent.bus.connection import Away, Connection
from amiws_gevent.runtime.backoff import Backoff
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.outages import OutageLog

_log = logging.getLogger("amiws_gevent.bus")

RETRY_SHORTEST = 0.1
RETRY_LONGEST = 1.0
"""Seconds between two attempts to reach Redis."""


class Guard:
    """Calls what is not ours: what it raises is logged, and that is all."""

    def __init__(self) -> None:
        self.faults = 0
        self._limiter = LogLimiter()

    def __call__(self, do: Callable[..., object], *arguments: Any) -> None:
        try:
            do(*arguments)
        except Exception as error:  # noqa: BLE001 - the bus goes on, whatever it is
            self.faults += 1
            what = getattr(do, "__qualname__", repr(do))
            key = (what, type(error))
            self._limiter.log(
                _log, logging.ERROR, key, "internal error in %s: %s", what, error, exc_info=error
            )


class Health:
    """Whether all workers of a bus have their connection; logs and tells when that changes."""

    def __init__(
        self,
        place: str,
        on_change: Callable[[bool, str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.up = False
        self.reason = "not connected yet"
        self.losses = 0
        """How often Redis was lost, after it had been there."""
        self._place = place
        self._on_change = on_change
        self._problems: dict[str, str | None] = {}
        self._looks: list[Callable[[], None]] = []
        self._outage = OutageLog(clock)
        self._outage.lost(self.reason)  # as it is at each start, that needs no line; its end does

    @property
    def some_up(self) -> bool:
        """Whether a worker has its connection, be it that others have not."""
        return None in self._problems.values()

    def expect(self, name: str, look: Callable[[], None]) -> None:
        """There is a worker of that name, which has no connection yet.

        ``look`` has it find out soon whether its connection is still there: another has lost it.
        """
        self._problems[name] = self.reason
        self._looks.append(look)

    def report(self, name: str, problem: str | None) -> None:
        """What a worker finds: None if all is well."""
        self._problems[name] = problem
        # Of those who have one, the first: several may fail in turn, each in a way of its own.
        reason = next((text for text in self._problems.values() if text is not None), "")
        if reason and self._outage.lost(reason):
            _log.error("Redis at %s: %s", self._place, reason)
        if reason == self.reason:
            return
        if self.up:
            self.losses += 1
            for look in self._looks:
                look()
        self.up, self.reason = not reason, reason
        if self.up and self._outage.back():
            _log.info("Redis at %s: connected", self._place)
        self._on_change(self.up, reason)


class Teller:
    """A greenlet that calls what is not ours in order, so that who tells does not wait."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._news: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._wake = Event()
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def tell(self, do: Callable[..., object], *arguments: Any) -> None:
        """Call ``do`` soon, after all that was told before."""
        self._news.append((do, arguments))
        self._wake.set()

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def stop(self, timeout: float) -> None:
        """Tell what waits, for at most ``timeout`` seconds."""
        greenlet = self._greenlet
        if greenlet is not None and greenlet is not gevent.getcurrent():
            self.tell(greenlet.kill)
            greenlet.join(timeout)
            greenlet.kill()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._news:
                do, arguments = self._news.popleft()
                self._guard(do, *arguments)


class Worker(abc.ABC):
    """A greenlet that keeps a connection, and works with it in turns.

    When Redis is away it tries again and again, and works on where it was.
    """

    def __init__(self, name: str, connection: Connection, health: Health) -> None:
        self.name = name
        self.up = False
        self.connection = connection
        self.wake = Event()
        """Ends a pause."""
        self.stopping = False
        self._health = health
        self._looks = False
        self._greenlet: gevent.Greenlet[[], None] | None = None

    @property
    def redis_is_there(self) -> bool:
        """Whether this worker, or another of its bus, has a connection."""
        return self._health.some_up

    def start(self) -> None:
        self._health.expect(self.name, self.look)
        self._greenlet = gevent.spawn(self._run)

    def stop(self, timeout: float = 0.0) -> None:
        """Let it finish what it has to, for at most ``timeout`` seconds; by default end it."""
        if self._greenlet is not None and timeout > 0:
            self.stopping = True
            self.wake.set()
            self._greenlet.join(timeout)
        self.stopping = True
        if self._greenlet is not None:
            self._greenlet.kill()

    def look(self) -> None:
        """Find out soon whether Redis is there, also if there is nothing to ask it."""
        self._looks = True
        self.wake.set()

    def _pause(self, seconds: float) -> None:
        """Wait until somebody sets ``wake``, or the time is over: then look if Redis is there."""
        if not self.wake.wait(seconds):
            self._looks = True
        self.wake.clear()
        if self._looks:
            self._looks = False
            self.connection.ask("PING")

    def _run(self) -> None:
        backoff = Backoff(RETRY_SHORTEST, RETRY_LONGEST)
        try:
            while not self.stopping:
                self._attempt(backoff)
                if not self.stopping:
                    gevent.sleep(backoff.next())
        finally:
            self.connection.close()

    def _attempt(self, backoff: Backoff) -> None:
        """Connect and work until Redis is away, or the work is over."""
        try:
            self.connection.open()
            self.opened()
            self.up = True
            wait = self.turn()
            self._health.report(self.name, None)  # only now: its commands are permitted too
            backoff.reset()
            while not self.stopping:
                if wait > 0:
                    self._pause(wait)
                wait = 0.0 if self.stopping else self.turn()
            self.ending()
        except Away as away:
            self._lost(away)
        except Exception as error:  # noqa: BLE001 - tried again, and told each time
            _log.exception("internal error in the bus (%s)", self.name)
            self._lost(Away(f"internal error: {error}"))

    def _lost(self, away: Away) -> None:
        self.up = False
        self.connection.close()
        self._health.report(self.name, str(away))
        self.away(away)

    def opened(self) -> None:  # noqa: B027 - as the next two: for who needs it
        """The connection is there, after a start or an outage. May raise Away."""

    @abc.abstractmethod
    def turn(self) -> float:
        """Do some work. Returns for how long to pause, in seconds. May raise Away."""

    def away(self, away: Away) -> None:  # noqa: B027
        """Redis was lost in a turn, or cannot be reached. Told at each attempt."""

    def ending(self) -> None:  # noqa: B027
        """The last turn before the end. May raise Away."""
