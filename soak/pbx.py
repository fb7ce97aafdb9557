"""AMI servers for collectors that are lost and come again: each session's events are numbered."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter, deque
from typing import Any

from soak.ledger import LASTING, MARK, Mark
from tests.support.ami_server import AmiServer, Connection, Packet, answer
from tests.support.listing import Lists, channel, event

ACTION = "SoakAction"
IDENTITY = "Identity"

_LASTING = 5
_MOST_CHANNELS = 30
_TICK = 0.05  # seconds
_GIVEN_UP = 30_000  # milliseconds until the system ends a session whose peer takes nothing
_ANSWERED_LATE = 30  # ticks


class Pbx:
    """Sends ``rate`` events a second to each session; ``done`` counts actions by identity."""

    def __init__(self, ident: int, rate: int, rng: random.Random, host: str) -> None:
        self.ident = ident
        self.done: Counter[str] = Counter()
        self.quiet = threading.Event()
        self._sent: list[int] = []
        self._sessions: dict[Connection, int] = {}
        self._rate = rate
        self._rng = rng
        self._number = 0
        self._late: deque[tuple[Connection, bytes]] = deque()
        self._lists = Lists()
        self._lists.special[ACTION] = self._act
        self._channels = {
            f"{LASTING}{number}": self._channel(f"{LASTING}{number}") for number in range(_LASTING)
        }
        self._lock = threading.RLock()  # what is listed and what is told are of one moment
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ami = AmiServer(self._serve, host=host, on_action=self._on_action)

    @staticmethod
    def _channel(unique: str) -> dict[str, str]:
        return channel(1, Channel=f"PJSIP/{unique}-1", Uniqueid=unique, Linkedid=unique)

    def start(self) -> None:
        self.ami.start()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.ami.stop()

    @property
    def begun(self) -> int:
        """How often a collector has logged in."""
        return len(self._sent)

    @property
    def newest(self) -> Mark:
        """The last event that it has said to the collector that logged in last."""
        return Mark(len(self._sent) - 1, self._sent[-1] - 1)

    @property
    def channels(self) -> set[str]:
        """Those that are there now."""
        return set(self._channels)

    def _serve(self, connection: Connection) -> None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GIVEN_UP)
        with self._lock:
            self._sessions[connection] = len(self._sent)
            self._sent.append(0)
        connection.serve()
        with self._lock:
            del self._sessions[connection]

    def _on_action(self, connection: Connection, packet: Packet) -> None:
        with self._lock:
            self._lists.items["CoreShowChannels"] = list(self._channels.values())
            data = self._lists(connection, packet)
            if data is not None:
                connection.send(data)

    def _act(self, connection: Connection, packet: Packet) -> bytes | None:
        self.done[packet.get(IDENTITY)] += 1
        said = answer(packet, "Message: done")
        if self._rng.random() < 0.8:
            return said
        self._late.append((connection, said))
        return None

    def _run(self) -> None:
        while not self._stop.wait(_TICK):
            with self._lock:
                self._answer_late()
                if not self.quiet.is_set():
                    self._tell(self._change() if self._rng.random() < 0.2 else b"")

    def _answer_late(self) -> None:
        while self._late and (self.quiet.is_set() or self._rng.random() < 1 / _ANSWERED_LATE):
            connection, said = self._late.popleft()
            connection.send(said)

    def _change(self) -> bytes:
        """A channel comes or goes."""
        passing = [unique for unique in self._channels if not unique.startswith(LASTING)]
        if passing and (len(passing) > _MOST_CHANNELS or self._rng.random() < 0.5):
            unique = self._rng.choice(passing)
            del self._channels[unique]
            return event("Hangup", Uniqueid=unique, Cause="16")
        self._number += 1
        unique = f"{self.ident}.{self._number}"
        self._channels[unique] = self._channel(unique)
        return event("Newchannel", **self._channels[unique])

    def _tell(self, change: bytes) -> None:
        count = self._rng.randint(1, max(1, round(2 * self._rate * _TICK) - 1))
        for connection, session in list(self._sessions.items()):
            if connection.logged_in:
                first = self._sent[session]
                self._sent[session] = first + count
                connection.send(
                    change + b"".join(map(self._event(session), range(first, first + count)))
                )

    def _event(self, session: int) -> Any:
        def made(number: int) -> bytes:
            return event("UserEvent", **{MARK: f"{self.ident}/{session}/{number}"})

        return made
