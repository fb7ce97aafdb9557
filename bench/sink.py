"""The clients of a benchmark: many WebSocket clients that cost nearly nothing.

All clients of a stream get the same bytes, so only the last one's are looked
at; the others' are counted, and thrown away in the kernel (MSG_TRUNC), which
is what keeps this side from being the bottleneck. The last one, since it is
the last to be written to: its latency is the worst.

``python -m bench.sink PORTS CLIENTS [--tls] [--deflate] [--stalled N]`` connects, in turn to
each of the ports (with commas between them), with permessage-deflate if asked to, prints
``ready``, then takes commands on standard input, one a line, and answers each with a line of JSON:

    expect N     wait until every client has had N more messages
    storm        drop all connections and connect all again at once
    mend N       wait until N connections were closed, and connect them again
    quit         end
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import json
import os
import re
import selectors
import socket
import ssl
import sys
import time
import zlib
from collections.abc import Generator, Sequence

TIME_LIMIT = 300.0
QUIET_LIMIT = 20.0

MARK = b'"type":'  # once in each message, and in none of what the messages carry
DEFLATE = "permessage-deflate"
RSV1 = 0x40  # in the first byte of a frame: its message is compressed
TAIL = b"\x00\x00\xff\xff"  # what such a message lacks

SENT = re.compile(rb'"Sent": ?"(\d{20})"')


class Counter:
    """Counts the messages in a byte stream, and the time those with a time stamp took.

    It looks for what every message has instead of reading frame by frame: at a
    hundred thousand messages a second that would be what the run measures.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.latencies: list[int] = []
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream; they have just been received."""
        data = self._rest + data
        self.messages += data.count(MARK)
        now = time.monotonic_ns()
        end = 0
        for found in SENT.finditer(data):
            self.latencies.append(now - int(found[1]))
            end = found.end()
        # What a message may have at the end of one read and the beginning of the next.
        self._rest = data[max(end, len(data) - 40) :]
        self.messages -= self._rest.count(MARK)


class Inflating(Counter):
    """The same where messages may be compressed, which it inflates all together."""

    def __init__(self) -> None:
        super().__init__()
        self._inflater = zlib.decompressobj(-15)
        self._frames = b""

    def feed(self, data: bytes) -> None:
        data = self._frames + data
        texts, deflated = [], []
        start = 0
        while (place := payload_place(data, start)) is not None:
            payload = data[slice(*place)]
            if data[start] & RSV1:
                deflated.append(payload + TAIL)
            else:
                texts += [self._inflate(deflated), payload]
                deflated = []
            start = place[1]
        self._frames = data[start:]
        super().feed(b"".join([*texts, self._inflate(deflated)]))

    def _inflate(self, deflated: list[bytes]) -> bytes:
        return self._inflater.decompress(b"".join(deflated))


def payload_place(frames: bytes, start: int) -> tuple[int, int] | None:
    """Where the payload of the frame at ``start`` begins and ends; None if it is not there yet."""
    head, size = start + 2, frames[start + 1] if len(frames) > start + 1 else 0
    if size > 125:
        head += 2 if size == 126 else 8
        size = int.from_bytes(frames[start + 2 : head], "big")
    end = head + size
    return (head, end) if len(frames) >= end and len(frames) >= head else None


def upgrade_request(
    port: int, subprotocol: str = "", token: str = "", *, deflate: bool = False
) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    asked = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    asked += f"Authorization: Bearer {token}\r\n" if token else ""
    if deflate:
        asked += f"Sec-WebSocket-Extensions: {DEFLATE}\r\n"
    return (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n{asked}\r\n".encode()
    )


def connect(
    port: int,
    tls: ssl.SSLContext | None,
    *,
    subprotocol: str = "",
    token: str = "",
    deflate: bool = False,
) -> socket.socket:
    """One upgraded connection, not blocking."""
    connection = socket.create_connection(("127.0.0.1", port))
    if tls is not None:
        connection = tls.wrap_socket(connection)
    connection.sendall(upgrade_request(port, subprotocol, token, deflate=deflate))
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # byte by byte: frames may follow at once
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError(f"upgrade refused: {head!r}")
        head += byte
    if b" 101 " not in head:
        raise ConnectionError(f"upgrade refused: {head!r}")
    if deflate and DEFLATE.encode() not in head:
        raise ConnectionError(f"not compressed: {head!r}")
    connection.setblocking(False)
    return connection


Upgrade = Generator[tuple[socket.socket, int], None, socket.socket]
"""Yields the socket and the events to wait for; returns the connection once it is upgraded."""


def upgrading(port: int, tls: ssl.SSLContext | None) -> Upgrade:
    """One connection of many that come at once; OSError if it is refused."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(("127.0.0.1", port))
    yield connection, selectors.EVENT_WRITE
    if tls is not None:
        connection = tls.wrap_socket(connection, do_handshake_on_connect=False)
        while True:
            try:
                connection.do_handshake()
                break
            except ssl.SSLWantReadError:
                yield connection, selectors.EVENT_READ
    connection.send(upgrade_request(port))
    head = b""
    while b"\r\n\r\n" not in head:
        yield connection, selectors.EVENT_READ
        with contextlib.suppress(ssl.SSLWantReadError):
            data = connection.recv(1024)
            if not data:
                break
            head += data
    if b" 101 " not in head:
        raise ConnectionError(f"upgrade refused: {head!r}")
    return connection


class Sink:
    """All clients of one run, read by one selector loop."""

    def __init__(
        self,
        ports: Sequence[int],
        clients: int,
        tls: ssl.SSLContext | None,
        *,
        deflate: bool = False,
    ) -> None:
        self.deflate = deflate
        self.ports = itertools.cycle(ports)
        self.tls = tls
        self.buffer = bytearray(1 << 20)
        self.closed = 0
        self._adopt(self._connected(clients))

    def _connected(self, clients: int) -> list[socket.socket]:
        return [connect(next(self.ports), self.tls, deflate=self.deflate) for _ in range(clients)]

    def _adopt(self, connections: list[socket.socket]) -> None:
        self.counter = Inflating() if self.deflate else Counter()
        self.selector = selectors.EpollSelector()
        self.received = dict.fromkeys(connections, 0)
        self.watched = connections[-1]
        for connection in connections:
            self.selector.register(connection, selectors.EVENT_READ)

    def expect(self, messages: int) -> dict[str, object]:
        """Read until every client has had as many bytes as the last one's messages took."""
        self.counter.latencies.clear()
        target = self.counter.messages + messages
        begin = last = time.monotonic()
        received = self.received.get(self.watched, 0)
        before = os.times()
        while not self._complete(target):
            ready = self.selector.select(1.0)
            now = time.monotonic()
            if ready:
                last = now
            for key, _ in ready:
                self._read(key.fileobj)  # type: ignore[arg-type]
            if now - begin > TIME_LIMIT or now - last > QUIET_LIMIT or not self.received:
                break
        after = os.times()
        return {
            "end": last,
            "complete": self._complete(target) and not self.closed,
            "messages": messages - max(0, target - self.counter.messages),
            "bytes": self.received.get(self.watched, 0) - received,
            "closed": self.closed,
            "cpu": after.user + after.system - before.user - before.system,
            "latencies_ns": percentiles(self.counter.latencies),
        }

    def storm(self) -> dict[str, object]:
        """Close all at once, connect all at once; how long until every one is upgraded."""
        count = len(self.received)
        for connection in self.received:
            connection.close()
        begin = time.monotonic()
        selector = selectors.EpollSelector()
        done: list[socket.socket] = []
        refused = 0

        def go_on(upgrade: Upgrade) -> None:
            nonlocal refused
            try:
                connection, events = next(upgrade)
                selector.register(connection, events, upgrade)
            except StopIteration as end:
                done.append(end.value)
            except OSError:
                refused += 1

        for _ in range(count):
            go_on(upgrading(next(self.ports), self.tls))
        while len(done) + refused < count and time.monotonic() - begin < TIME_LIMIT:
            for key, _ in selector.select(1.0):
                selector.unregister(key.fileobj)
                go_on(key.data)
        seconds = time.monotonic() - begin
        self._adopt(done)
        return {"seconds": seconds, "connected": len(done), "refused": refused}

    def mend(self, lost: int) -> dict[str, object]:
        """Wait until so many connections were closed, and make as many anew."""
        begin = time.monotonic()
        while self.closed < lost and time.monotonic() - begin < TIME_LIMIT:
            for key, _ in self.selector.select(1.0):
                self._read(key.fileobj)  # type: ignore[arg-type]
        closed, self.closed = self.closed, 0
        self.selector.close()
        self._adopt([*self.received, *self._connected(closed)])
        return {"seconds": time.monotonic() - begin, "connected": closed}

    def _complete(self, target: int) -> bool:
        if self.counter.messages < target:
            return False
        goal = self.received.get(self.watched)
        return all(count == goal for count in self.received.values())

    def _read(self, connection: socket.socket) -> None:
        watched = connection is self.watched
        try:
            while True:
                if watched or self.tls:
                    size = connection.recv_into(self.buffer)
                    if watched:
                        self.counter.feed(bytes(memoryview(self.buffer)[:size]))
                else:
                    size = connection.recv_into(self.buffer, 1 << 20, socket.MSG_TRUNC)
                if not size:
                    break
                self.received[connection] += size
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            pass
        self.selector.unregister(connection)
        del self.received[connection]
        self.closed += 1


def percentiles(values: list[int]) -> dict[str, int]:
    """Median, 99th percentile and maximum; empty without values."""
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        "max": ordered[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ports", type=lambda text: [int(port) for port in text.split(",")])
    parser.add_argument("clients", type=int)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--stalled", type=int, default=0)
    options = parser.parse_args()
    tls = None
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE  # the benchmark's own throw-away certificate
    stalled = [connect(options.ports[0], tls) for _ in range(options.stalled)]
    sink = Sink(options.ports, options.clients, tls, deflate=options.deflate)
    print("ready", flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "expect":
            answer = sink.expect(int(words[0]))
        elif command == "storm":
            answer = sink.storm()
        elif command == "mend":
            answer = sink.mend(int(words[0]))
        else:
            break
        print(json.dumps(answer), flush=True)
    for connection in stalled:
        with contextlib.suppress(OSError):
            connection.close()


if __name__ == "__main__":
    main()
