"""The pages of a benchmark: many WebSocket clients that cost nearly nothing.

All clients of a stream get the same bytes, so only the first one's frames
are parsed; the others' bytes are counted, and thrown away in the kernel
(MSG_TRUNC), which is what keeps this side from being the bottleneck.

``python -m bench.sink PORT CLIENTS [--tls]`` connects, prints ``ready``, then
for each line ``expect N`` on standard input waits until every client has had
N more messages and answers with a line of JSON.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import selectors
import socket
import ssl
import struct
import sys
import time

TIME_LIMIT = 300.0
QUIET_LIMIT = 20.0


class FrameCounter:
    """Counts the text frames in a byte stream and keeps the times they took."""

    def __init__(self) -> None:
        self.messages = 0
        self.latencies: list[int] = []
        self._rest = b""

    def feed(self, data: bytes) -> None:
        data = self._rest + data
        position, end = 0, len(data)
        now = time.monotonic_ns()
        while end - position >= 2:
            length = data[position + 1]
            start = position + 2
            if length == 126:
                if end - start < 2:
                    break
                (length,) = struct.unpack_from("!H", data, start)
                start += 2
            elif length == 127:
                if end - start < 8:
                    break
                (length,) = struct.unpack_from("!Q", data, start)
                start += 8
            if end - start < length:
                break
            if data[position] == 0x81:
                self.messages += 1
                self._note_latency(data, start, start + length, now)
            position = start + length
        self._rest = data[position:]

    def _note_latency(self, data: bytes, start: int, end: int, now: int) -> None:
        mark = data.find(b'"Sent"', start, end)
        if mark >= 0:
            digits = data.index(b'"', data.index(b":", mark)) + 1
            self.latencies.append(now - int(data[digits : digits + 20]))


def connect(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    if tls is not None:
        connection = tls.wrap_socket(connection)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError(f"upgrade refused: {head!r}")
        head += byte
    if b" 101 " not in head:
        raise ConnectionError(f"upgrade refused: {head!r}")
    connection.setblocking(False)
    return connection


class Sink:
    """All clients of one run, read by one selector loop."""

    def __init__(self, port: int, clients: int, tls: ssl.SSLContext | None) -> None:
        self.tls = tls is not None
        self.counter = FrameCounter()
        self.buffer = bytearray(1 << 20)
        self.received: dict[socket.socket, int] = {}
        self.selector = selectors.EpollSelector()
        for _ in range(clients):
            connection = connect(port, tls)
            self.received[connection] = 0
            self.selector.register(connection, selectors.EVENT_READ)
        self.first = next(iter(self.received))
        self.closed = 0

    def expect(self, messages: int) -> dict[str, object]:
        """Read until every client has had as many bytes as the first one's messages took."""
        self.counter.latencies.clear()
        target = self.counter.messages + messages
        begin = last = time.monotonic()
        before = os.times()
        while not self._complete(target):
            ready = self.selector.select(1.0)
            now = time.monotonic()
            if ready:
                last = now
            for key, _ in ready:
                self._read(key.fileobj)
            if now - begin > TIME_LIMIT or now - last > QUIET_LIMIT or not self.received:
                break
        after = os.times()
        return {
            "end": last,
            "complete": self._complete(target) and not self.closed,
            "messages": messages - max(0, target - self.counter.messages),
            "closed": self.closed,
            "cpu": after.user + after.system - before.user - before.system,
            "latencies_ns": percentiles(self.counter.latencies),
        }

    def _complete(self, target: int) -> bool:
        if self.counter.messages < target:
            return False
        goal = self.received.get(self.first)
        return all(count == goal for count in self.received.values())

    def _read(self, connection: socket.socket) -> None:
        watched = connection is self.first
        try:
            while True:
                if watched or self.tls:
                    size = connection.recv_into(self.buffer)
                    if watched:
                        self.counter.feed(bytes(self.buffer[:size]))
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
    parser.add_argument("port", type=int)
    parser.add_argument("clients", type=int)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    tls = None
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE  # the benchmark's own throw-away certificate
    sink = Sink(options.port, options.clients, tls)
    print("ready", flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command != "expect":
            break
        print(json.dumps(sink.expect(int(words[0]))), flush=True)


if __name__ == "__main__":
    main()
