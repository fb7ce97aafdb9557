"""A relay that passes what a server sends in drops, as a bad line does."""

from __future__ import annotations

import contextlib
import socket
import time

from tests.support.relay import Relay, pass_on

DROP = 61  # bytes: no multiple of any line
PAUSE = 0.002  # seconds between two


class SlowRelay(Relay):
    """What clients send goes at once; what comes back drips."""

    def back(self, server: socket.socket, client: socket.socket) -> None:
        pass_on(server, client, self._drip)

    def _drip(self, to: socket.socket, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            for start in range(0, len(data), DROP):
                to.sendall(data[start : start + DROP])
                time.sleep(PAUSE)
