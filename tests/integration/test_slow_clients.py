"""Clients that do not read as fast as messages come, at the real program."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.ami_server import AmiServer
from tests.support.program import NO_PINGS, Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client, client_frame, raw_client, server_frames

SMALL = 4096  # bytes of a client's receive buffer, so that little of what waits is in the kernel
LIMITS = f"limits:\n  client_buffer: 256 KiB\n{NO_PINGS}"


def numbers(first: int, count: int) -> bytes:
    """So many events of about a kilobyte, numbered."""
    filler = b"x" * 900
    return b"".join(
        b"Event: Tick\r\nNumber: %d\r\nFiller: %s\r\n\r\n" % (number, filler)
        for number in range(first, first + count)
    )


def ticks(client: Client) -> list[int]:
    seen = [message["data"] for message in client.messages]
    return [int(data["Number"]) for data in seen if data.get("Event") == "Tick"]


class Account:
    """What a client saw of numbered events: each has to be there, or in a gap in its place."""

    def __init__(self, raw: socket.socket) -> None:
        self._frames = server_frames(raw)
        self.next = 0
        self.seen = 0
        self.lost = 0

    def read(self, end: int) -> None:
        """Read on until all before the number ``end`` are accounted for."""
        while self.next < end:
            opcode, payload = next(self._frames)
            if opcode == 1:
                self._add(json.loads(payload))
        assert self.next == end

    def _add(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if data.get("Event") == "MessagesDropped":
            assert list(message) == ["type", "server_id", "server_name", "ssl", "data"]
            assert list(message.values())[:4] == [3, 0, "amiws-gevent", False]
            assert list(data) == ["Event", "Count"]
            self.lost += int(data["Count"])
            self.next += int(data["Count"])
        elif data.get("Event") == "Tick":
            assert int(data["Number"]) == self.next
            self.seen += 1
            self.next += 1


@pytest.mark.parametrize(("policy", "target"), [("close", "/ws?slow=drop"), ("drop", "/ws")])
def test_a_client_that_would_rather_lose_messages(tmp_path: Path, policy: str, target: str) -> None:
    more = f"slow_clients: {policy}\n{LIMITS}"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
        Client(program.port) as other,
        raw_client(program.port, target=target, receive_buffer=SMALL) as stalled,
    ):
        server.wait_login()
        program.wait_for_log("connected", 3)
        before = program.resident_bytes()
        for first in range(0, 4000, 100):
            server.send(numbers(first, 100))
            wait_until(lambda n=first: len(ticks(other)) == n + 100, "all at the other client")
        assert program.resident_bytes() - before < 16 << 20
        account = Account(stalled)
        account.read(4000)
        assert 100 < account.seen < 3000
        assert account.lost == 4000 - account.seen
        server.send(numbers(4000, 100))
        account.read(4100)
        stalled.sendall(client_frame(b"no action"))
        assert next(server_frames(stalled))[0] == 1, "it is a client like any other"
        wait_until(lambda: len(ticks(other)) == 4100, "the last")
        assert ticks(other) == list(range(4100)), "the other one has missed nothing"
        assert "too slow" not in program.log
        stalled.shutdown(socket.SHUT_RDWR)


def test_a_client_that_reads_nothing_at_all_is_closed_in_the_end(tmp_path: Path) -> None:
    more = "slow_clients: drop\nlimits:\n  ping_interval: 1"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
        Client(program.port) as other,
        raw_client(program.port, receive_buffer=SMALL) as stalled,
    ):
        server.wait_login()
        program.wait_for_log("connected", 3)
        server.send(numbers(0, 2000))
        for _ in range(1000):  # it talks, but does not read
            try:
                stalled.sendall(client_frame(b"", 10))
            except ConnectionError:
                break
            time.sleep(0.05)
        program.wait_for_log("closed: 1006 the client read nothing for")
        program.wait_for_log("WARNING web: client 127.0.0.1:")
        server.send(numbers(2000, 1))
        wait_until(lambda: ticks(other) == list(range(2001)), "the stream goes on")


def test_a_client_may_ask_to_be_closed(tmp_path: Path) -> None:
    more = f"slow_clients: drop\n{LIMITS}"
    with (
        AmiServer() as server,
        Program(tmp_path, configuration(ami_host(server.port), more=more)) as program,
        raw_client(program.port, target="/ws?slow=close", receive_buffer=SMALL),
    ):
        server.wait_login()
        program.wait_for_log("connected", 2)
        server.send(numbers(0, 5000))
        program.wait_for_log("closed: 1013 too slow: ")
