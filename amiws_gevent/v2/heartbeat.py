"""The heartbeat: a message to each client once in an interval, spread over the time.

Each client is in one of SLOTS, and each tick serves one of them. So a thousand clients that came
at once are still not served at once. A client that cannot take anything is asked again at
each tick until it can.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import gevent

from amiws_gevent.runtime.loop import yield_to_loop

SLOTS = 25
_CLIENTS_PER_TURN = 256  # of a tick, before others have their turn


class Beating(Protocol):
    """Who gets the heartbeat."""

    def beat(self, now: int, made: dict[object, bytes]) -> bool:
        """Send it, if there is room; whether there was. True for one that has left.

        ``now`` is in milliseconds since 1970. ``made`` keeps what was made in this tick, for
        others with the same content.
        """


class Heartbeat:
    """Sends to those that were added, each ``interval`` seconds, once it was started.

    ``interval`` may be changed at any time. ``clock`` is the wall clock, in seconds.
    """

    def __init__(self, interval: float, clock: Callable[[], float] = time.time) -> None:
        self.interval = interval
        self._clock = clock
        self._slots: list[dict[Beating, None]] = [{} for _ in range(SLOTS)]
        self._late: dict[Beating, None] = {}
        self._added = 0
        self._ticks = 0
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def add(self, client: Beating) -> None:
        """Send to ``client`` from now on."""
        self._slots[self._added % SLOTS][client] = None
        self._added += 1

    def remove(self, client: Beating) -> None:
        """Send no more; it is no error if it is not there."""
        for clients in (self._late, *self._slots):
            clients.pop(client, None)

    def start(self) -> gevent.Greenlet[..., None]:
        """Begin; the caller watches whether the greenlet dies."""
        self._greenlet = gevent.spawn(self._run)
        return self._greenlet

    def stop(self) -> None:
        """End."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        while True:
            gevent.sleep(self.interval / SLOTS)
            self.tick()

    def tick(self) -> None:
        """Serve the next slot, and those that could take nothing before."""
        slot = self._slots[self._ticks % SLOTS]
        self._ticks += 1
        due = {**self._late, **slot}
        self._late.clear()
        now = round(self._clock() * 1000)
        made: dict[object, bytes] = {}
        for number, client in enumerate(due, 1):
            if not client.beat(now, made):
                self._late[client] = None
            if not number % _CLIENTS_PER_TURN:
                yield_to_loop()
