"""A client of a soak: follows all, comes back at another edge when one is lost, sends actions."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from soak.ledger import Ledger
from soak.pbx import ACTION, IDENTITY

Place = tuple[str, int]  # host and port

SILENT = 6.0
"""Seconds without any message after which it takes the connection for lost."""

REPLY_TIME = 10.0
_CONNECT_TIME = 5.0
_LOOK = 0.5
_STREAMS = ["events", "state"]


class Follower:
    """``places`` gives where edges are now. ``outcomes`` are those of its actions, by identity."""

    def __init__(
        self, name: str, places: Callable[[], list[Place]], servers: int, rng: random.Random
    ) -> None:
        self.ledger = Ledger(name)
        self.outcomes: dict[str, str | None] = {}
        """None: nothing was heard of it, since the connection was lost."""
        self.reconnects = 0
        self.acting = True
        self._places = places
        self._servers = servers
        self._rng = rng
        self._asked: dict[str, float] = {}
        self._acts_at = 0.0
        self._last: Place | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def waiting(self) -> int:
        """Actions that have no answer yet."""
        return len(self._asked)

    def _run(self) -> None:
        while not self._stop.is_set():
            place = self._next()
            if place is not None:
                with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                    self._follow(place)
                self._last = place
            self.ledger.lost()
            self._asked.clear()
            self._stop.wait(self._rng.uniform(0.1, 0.5))

    def _next(self) -> Place | None:
        """Any but the one that was lost, if there is another."""
        places = self._places()
        others = [place for place in places if place != self._last]
        return self._rng.choice(others or places) if places else None

    def _follow(self, place: Place) -> None:
        host, port = place
        with connect(
            f"ws://{host}:{port}/ws",
            subprotocols=[Subprotocol("amiws.v2")],
            proxy=None,
            max_size=None,
            open_timeout=_CONNECT_TIME,
            close_timeout=1.0,
            ping_interval=None,
        ) as connection:
            self.reconnects += 1
            self._begin(connection)
            last = time.monotonic()
            while not self._stop.is_set():
                try:
                    self._take(json.loads(connection.recv(timeout=_LOOK)))
                    last = time.monotonic()
                except TimeoutError:
                    if time.monotonic() - last > SILENT:
                        raise
                self._act(connection)

    def _begin(self, connection: ClientConnection) -> None:
        position = self.ledger.position
        request: dict[str, Any] = {"op": "subscribe"}
        if position is not None:
            request = {"op": "resume", "position": position}
        else:
            self.ledger.begins_anew()
        connection.send(json.dumps({**request, "id": "s", "streams": _STREAMS}))

    def _take(self, message: dict[str, Any]) -> None:
        identity = message.get("id")
        if message["op"] == "reply":
            self._answered(str(identity), message["outcome"])
        elif message["op"] == "error" and identity != "s":
            self._answered(str(identity), message["code"])
        elif message["op"] == "error":
            self.ledger.faults.append(f"{self.ledger.name}: no subscription: {message}")
        else:
            self.ledger.take(message)

    def _answered(self, identity: str, outcome: str) -> None:
        self._asked.pop(identity, None)
        self.outcomes[identity] = outcome

    def _act(self, connection: ClientConnection) -> None:
        now = time.monotonic()
        late = [identity for identity, at in self._asked.items() if now - at > 3 * REPLY_TIME]
        for identity in late:
            del self._asked[identity]
            self.ledger.faults.append(f"{self.ledger.name}: action {identity} was never answered")
        if now < self._acts_at or not self.acting:
            return
        self._acts_at = now + self._rng.uniform(0.2, 1.0)
        identity = f"{self.ledger.name}-{len(self.outcomes)}"
        self.outcomes[identity] = None
        self._asked[identity] = now
        connection.send(
            json.dumps(
                {
                    "op": "action",
                    "id": identity,
                    "server": self._rng.randint(1, self._servers),
                    "timeout": REPLY_TIME,
                    "action": {"Action": ACTION, IDENTITY: identity},
                }
            )
        )


def judge(outcome: str | None, done: int) -> str:
    """What is wrong if a server has done an action so often, and that was the outcome; or empty."""
    if done > 1:
        return f"it was done {done} times"
    if outcome == "answered":
        return "" if done else "it was answered, and no server has done it"
    if outcome in (None, "unknown", "timeout"):
        return ""
    return f"the client was told {outcome}, and it was done" if done else ""
