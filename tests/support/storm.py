"""Many connections at once, from a process of their own.

    with Storm(port, 1000) as storm:
        assert storm.wait() == {"101": 1000}

``python -m tests.support.storm PORT COUNT SOURCE KIND [CA]`` connects COUNT times to
127.0.0.1 from the loopback address SOURCE, all at once, and prints one line of JSON: how
many had which answer (a status of HTTP, `cut` for an end without one, `open` for those
without one after a while). It then keeps what is open until its standard input ends.
KIND is what each does:

- ``client`` asks for an upgrade, and wants an answer;
- ``half`` sends half a request head;
- ``hello`` sends half a TLS handshake.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.patience import WAIT

ROOT = Path(__file__).parent.parent.parent

KEY = base64.b64encode(os.urandom(16)).decode()
CLIENT = (
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
).encode()
HALF = CLIENT[:-30]


class Storm:
    """The process with the connections; they end with the block."""

    def __init__(
        self,
        port: int,
        count: int,
        kind: str = "client",
        *,
        source: str = "127.0.0.1",
        ca: Path | None = None,
    ) -> None:
        words = [str(port), str(count), source, kind, *([str(ca)] if ca else [])]
        self._command = [sys.executable, "-m", "tests.support.storm", *words]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        return self

    def wait(self) -> dict[str, int]:
        """How many had which answer, once all have one or none comes any more."""
        assert self._process.stdout is not None
        answers: dict[str, int] = json.loads(self._process.stdout.readline())
        return answers

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=WAIT)


class Client:
    """One connection: what it has to send, and what came of it."""

    def __init__(self, port: int, source: str, data: bytes, tls: ssl.SSLContext | None) -> None:
        self.socket = socket.socket()
        self.socket.bind((source, 0))
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        self._data = data
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if tls is not None:
            self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._send()

    def _send(self) -> None:
        if self._tls is None:
            self._outgoing.write(self._data)
            self._data = b""
            return
        try:
            self._tls.do_handshake()
            if self._data:
                self._tls.write(self._data)
                self._data = b""
        except ssl.SSLWantReadError:
            pass

    def step(self) -> str | None:
        """Go on as far as it goes; the answer, once there is one."""
        try:
            if self._outgoing.pending:
                self.socket.send(self._outgoing.read())
            received = self.socket.recv(65536)
            if self._tls is not None:
                self._incoming.write(received)
                self._send()
                if self._outgoing.pending:
                    self.socket.send(self._outgoing.read())
                plain = self._tls.read(65536) if not self._data and received else b""
            else:
                plain = received
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            return "cut"
        return plain.split(b" ", 2)[1].decode() if plain else "cut"


def run(port: int, count: int, source: str, kind: str, ca: str | None) -> dict[str, int]:
    tls = ssl.create_default_context(cafile=ca) if ca and kind == "client" else None
    data = {"client": CLIENT, "half": HALF, "hello": b"\x16\x03\x01\x02\x00\x01\x00"}[kind]
    answers: Counter[str] = Counter()
    selector = selectors.DefaultSelector()
    kept: list[Any] = []
    for _ in range(count):
        client = Client(port, source, data, tls)
        kept.append(client)
        selector.register(client.socket, selectors.EVENT_WRITE, client)
    end = time.monotonic() + (WAIT if kind == "client" else 1.0)
    while selector.get_map() and time.monotonic() < end:
        for key, _ in selector.select(0.1):
            selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            answer = key.data.step()
            if answer is not None:
                answers[answer] += 1
                selector.unregister(key.fileobj)
    answers["open"] = len(selector.get_map() or ())
    print(json.dumps(+answers), flush=True)
    sys.stdin.read()
    return answers


if __name__ == "__main__":
    _port, _count, _source, _kind, *_ca = sys.argv[1:]
    run(int(_port), int(_count), _source, _kind, _ca[0] if _ca else None)
