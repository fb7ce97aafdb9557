"""Clients of the state: ``python -m bench.watchers PORT CLIENTS [all | own | both] [TOKEN ...]``.

Each speaks ``amiws.v2`` and subscribes, when it is told to, to ``all`` of the state, to an
extension of its ``own``, or to ``both`` state and events. With tokens they log in by these in turn.
They cost as little as those of ``bench.sink``: of the last one the messages are counted, of the
others only the bytes, once they have their snapshots. Commands on standard input, one a line, are
answered with a line of JSON:

    subscribe       all at once; answered when each has its snapshot
    count           what the last one has had since it was asked for last, and how many reads
                    that took of all: no more than were written
    quit            end
"""

from __future__ import annotations

import itertools
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Sequence

from bench.sink import connect

ALL, OWN, BOTH = "all", "own", "both"

STATE = b'{"op":"state"'
SNAPSHOT_END = b'],"position":"'  # of its last page, and of what changes after it

TIME_LIMIT = 120.0


class Watchers:
    """All clients of one run, read by one selector loop."""

    def __init__(self, port: int, clients: int, what: str, tokens: Sequence[str] = ()) -> None:
        self._buffer = bytearray(1 << 20)
        self._tails: dict[socket.socket, bytes] = {}  # of those that wait for their snapshots
        self._selector = selectors.EpollSelector()
        turn = itertools.cycle(tokens or [""])
        self._clients = [
            connect(port, None, subprotocol="amiws.v2", token=next(turn)) for _ in range(clients)
        ]
        self._watched = self._clients[-1]
        self._what = what
        self._rest = b""
        self._bytes = self._messages = self._reads = 0
        for client in self._clients:
            self._selector.register(client, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)

    def run(self) -> None:
        """Obey until the end of standard input."""
        commands = b""
        while True:
            if not self._read():
                continue
            data = os.read(sys.stdin.fileno(), 4096)
            *lines, commands = (commands + data).split(b"\n")
            if not data or b"quit" in lines:
                return
            for line in lines:
                answer = self.subscribe() if line == b"subscribe" else self.count()
                print(json.dumps(answer), flush=True)

    def subscribe(self) -> dict[str, float]:
        """Subscribe at once with all, and wait for their snapshots."""
        begin = time.monotonic()
        self._tails = dict.fromkeys(self._clients, b"")
        for number, client in enumerate(self._clients):
            filters = {"extension": str(number)} if self._what == OWN else {}
            client.sendall(subscribe_frame(filters, events=self._what == BOTH))
        while self._tails:
            self._read()
            if time.monotonic() - begin > TIME_LIMIT:
                raise TimeoutError("not all clients got a snapshot")
        return {"seconds": time.monotonic() - begin, **self.count()}

    def count(self) -> dict[str, float]:
        """Bytes and ``state`` messages of the last client, and reads of all."""
        counted = {"bytes": self._bytes, "messages": self._messages, "reads": self._reads}
        self._bytes = self._messages = self._reads = 0
        return counted

    def _read(self) -> bool:
        """Take what has come; whether there is a command, too."""
        asked = False
        for key, _ in self._selector.select(1.0):
            if key.fileobj is sys.stdin:
                asked = True
            else:
                self._receive(key.fileobj)  # type: ignore[arg-type]
        return asked

    def _receive(self, client: socket.socket) -> None:
        looks = client is self._watched or client in self._tails
        try:
            if looks:
                size = client.recv_into(self._buffer)
            else:
                size = client.recv_into(self._buffer, len(self._buffer), socket.MSG_TRUNC)
        except BlockingIOError:
            return
        if not size:
            raise ConnectionError("a client was closed")
        self._reads += 1
        if not looks:
            return
        data = bytes(memoryview(self._buffer)[:size])
        if client in self._tails:
            seen = self._tails[client] + data
            if SNAPSHOT_END in seen:
                del self._tails[client]
            else:
                self._tails[client] = seen[-len(SNAPSHOT_END) :]
        if client is self._watched:
            self._count(data)

    def _count(self, data: bytes) -> None:
        self._bytes += len(data)
        seen = self._rest + data
        self._messages += seen.count(STATE)
        self._rest = seen[-len(STATE) + 1 :]


def subscribe_frame(filters: dict[str, str], *, events: bool = False) -> bytes:
    """A masked frame with the mask 0, which leaves the payload as it is."""
    streams = ["state", "events"] if events else ["state"]
    request = {"op": "subscribe", "id": 1, "streams": streams, "filters": filters}
    text = json.dumps(request).encode()
    assert len(text) < 126
    return b"\x81" + bytes([0x80 | len(text)]) + b"\0\0\0\0" + text


def main() -> None:
    what, *tokens = sys.argv[3:] or [ALL]
    watchers = Watchers(int(sys.argv[1]), int(sys.argv[2]), what, tokens)
    print("ready", flush=True)
    watchers.run()


if __name__ == "__main__":
    main()
