"""Plays a recording to a server's clients, at the pace it was recorded at or another.

There is one timeline for all clients, as a real server has it: who comes late
has missed what was before. Where a banner stands in the recording a session
began: all clients are sent away there and get it, with what belongs to the
login, when they come again; the replay goes on with the first that does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import gevent

from amiws_gevent.simulator.replay.recording import Opening, Recording, with_openings
from amiws_gevent.simulator.replay.server import ReplayServer

_BATCH_BYTES = 64 * 1024
_AT_ONCE = 0.001  # seconds; packets that are nearer to each other go out together


class Pace:
    """When packets are due.

    ``speed`` is how many times as fast as recorded (infinity: at once);
    ``rate`` is packets a second for those without a time (0: at once).
    """

    def __init__(
        self,
        speed: float = 1.0,
        rate: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._speed = speed
        self._gap = 1 / rate if rate else 0.0
        self._clock = clock
        self._due = clock()
        self._recorded: float | None = None

    def wait_for(self, recorded: float | None) -> float:
        """Seconds until the next packet is due, which was recorded at ``recorded``."""
        if recorded is None:
            self._due += self._gap
        else:
            if self._recorded is not None:
                # The clock of a recording may have been set back.
                self._due += max(0.0, recorded - self._recorded) / self._speed
            self._recorded = recorded
        return self._due - self._clock()

    def go_on(self) -> None:
        """The time since the last packet does not count: somebody was waited for."""
        self._due = self._clock()

    def begin(self) -> None:
        """The recording begins again."""
        self._recorded = None
        self.go_on()


class Player:
    """Plays ``recording`` once, or again and again with ``loop``.

    With ``wait`` it begins when somebody has logged in; a loop waits for that each
    further time, so that it never turns without anybody.
    """

    def __init__(
        self,
        recording: Recording,
        server: ReplayServer,
        *,
        pace: Pace,
        loop: bool = False,
        wait: bool = False,
    ) -> None:
        self.played = 0
        """Packets so far; those of logins are not counted."""
        self._recording = recording
        self._server = server
        self._pace = pace
        self._loop = loop
        self._wait = wait
        self._batch: list[bytes] = []
        self._batch_bytes = 0

    def run(self) -> None:
        """Return when all is played and taken; with ``loop`` only if there is nothing to play."""
        self._play()
        while self._loop and self.played:
            self._wait = True
            self._play()

    def _play(self) -> None:
        self._pace.begin()
        begun = False
        for entry in with_openings(self._recording.packets()):
            if not begun and not isinstance(entry, Opening):
                self._open(Opening(), wait=self._wait)
            if isinstance(entry, Opening):
                self._wait_for(entry.time)
                self._flush()
                self._open(entry, wait=self._wait and not begun)
            else:
                self._wait_for(entry.time)
                self._send(entry.data)
            begun = True
        self._flush()
        self._server.wait_until_sent()

    def _open(self, opening: Opening, *, wait: bool) -> None:
        were_there = self._server.open(opening)
        if were_there or wait:
            self._server.wait_for_client()
            self._pace.go_on()

    def _wait_for(self, recorded: float | None) -> None:
        seconds = self._pace.wait_for(recorded)
        if seconds > _AT_ONCE:
            self._flush()
            gevent.sleep(seconds)

    def _send(self, data: bytes) -> None:
        self._batch.append(data)
        self._batch_bytes += len(data)
        self.played += 1
        if self._batch_bytes >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._server.broadcast(b"".join(self._batch))
        self._batch.clear()
        self._batch_bytes = 0
        gevent.sleep(0)  # clients log in and ping while much is played at once


def speed(text: str) -> float:
    """The value of ``--speed``: a number above 0, or ``max``. Raises ValueError."""
    number = math.inf if text == "max" else float(text)
    if not number > 0:
        raise ValueError(f"must be more than 0: {text!r}")
    return number
