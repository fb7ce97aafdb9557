"""Clients of a soak: healthy ones that check every message, and others that behave badly."""

from __future__ import annotations

import contextlib
import random
import re
import selectors
import socket
import struct
import threading
from collections.abc import Sequence

from soak.servers import NumberedServer
from tests.support.ws_client import client_frame, raw_client

MARK = re.compile(rb'"Mark":"(\d+)/(\d+)/(\d+)"')
PING = b"\x89\x00"


class Checker:
    """Follows one client's stream: of each server every number once and in order."""

    def __init__(self, client: socket.socket, servers: Sequence[NumberedServer]) -> None:
        self.client = client
        self.faults: list[str] = []
        self.messages = 0
        self.position: dict[int, tuple[int, int]] = {}
        self._servers = {server.ident: server for server in servers}
        self._rest = b""

    def read(self) -> bool:
        """Take what is there; False once the connection is over."""
        try:
            data = self.client.recv(1 << 20)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if PING in data:
            with contextlib.suppress(OSError):
                self.client.send(client_frame(b"", 10))
        data = self._rest + data
        end = 0
        for found in MARK.finditer(data):
            self._check(*map(int, found.groups()))
            end = found.end()
        self._rest = data[max(end, len(data) - 60) :]
        return bool(data)

    def _check(self, server: int, connection: int, number: int) -> None:
        self.messages += 1
        before = self.position.get(server)
        self.position[server] = (connection, number)
        if before is None or (connection, number) == (before[0], before[1] + 1):
            return
        ended = before[1] + 1 == self._servers[server].sent[before[0]]
        if ended and (connection, number) == (self._next_with_events(server, before[0]), 0):
            return
        self.faults.append(f"server {server}: {connection}/{number} after {before}")

    def _next_with_events(self, server: int, connection: int) -> int:
        sent = self._servers[server].sent
        return next((n for n in range(connection + 1, len(sent)) if sent[n]), -1)

    def behind(self) -> list[str]:
        """What a client that was there to the end has not got."""
        missing = []
        for ident, server in self._servers.items():
            connection = next((n for n in reversed(range(len(server.sent))) if server.sent[n]), -1)
            last = (connection, server.sent[connection] - 1)
            if connection >= 0 and self.position.get(ident) != last:
                missing.append(f"server {ident}: at {self.position.get(ident)}, sent {last}")
        return missing


class Readers:
    """Reads all healthy clients in one thread."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.messages = 0
        self.current: list[Checker] = []
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, checker: Checker) -> None:
        checker.client.setblocking(False)
        with self._lock:
            self.current.append(checker)
            self._selector.register(checker.client, selectors.EVENT_READ, checker)

    def remove(self, checker: Checker) -> None:
        """A client leaves of its own will: what it got until then counts."""
        with self._lock:
            self.current.remove(checker)
            self._selector.unregister(checker.client)
        self._settle(checker)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for checker in list(self.current):
            self.remove(checker)

    def _settle(self, checker: Checker) -> None:
        self.faults += checker.faults
        self.messages += checker.messages
        checker.client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                ready = self._selector.select(0.01)
                for key, _ in ready:
                    checker = key.data
                    if not checker.read():
                        self._selector.unregister(checker.client)
                        self.current.remove(checker)
                        self.faults.append("a healthy client was closed")
                        self._settle(checker)


def misbehave(port: int, rng: random.Random) -> socket.socket | None:
    """One client that stalls, vanishes, or sends what it must not; kept open by the caller."""
    client = raw_client(port)
    kind = rng.choice(["stall", "pings", "reset", "garbage", "close", "action"])
    if kind in ("stall", "pings"):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if kind == "pings":
            client.settimeout(5)
            with contextlib.suppress(OSError):
                client.sendall(client_frame(b"", 9) * 200_000)
        return client
    if kind == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif kind == "garbage":
        client.send(rng.randbytes(200))
    elif kind == "close":
        client.send(client_frame(struct.pack("!H", 1000), 8))
    else:
        client.send(client_frame(b'{"Action": "Nonsense", "V": "x\\n"}'))
    client.close()
    return None
