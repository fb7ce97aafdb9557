"""Compressed messages at the real program, with clients of several hands."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.ami_server import AmiServer
from tests.support.deflated import Window
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client, raw_client, server_frames

NODE = Path(sys.executable).parent / "node"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
ALONE = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
SMALL = 4096  # bytes of a client's receive buffer, so that little of what waits is in the kernel

NODE_CLIENT = """
const socket = new WebSocket(process.argv[1]);
const numbers = [];
let answered = false;
socket.onopen = () => {
  console.log(`extensions: ${socket.extensions}`);
  socket.send("nonsense ".repeat(100));
};
socket.onmessage = ({data}) => {
  const message = JSON.parse(data).data;
  answered ||= message.Response === "Error";
  if (message.Event === "Tick") numbers.push(Number(message.Number));
  if (answered && numbers.length === Number(process.argv[2])) {
    console.log(JSON.stringify(numbers));
    socket.close();
  }
};
"""


def events(first: int, count: int, size: int = 300) -> bytes:
    """So many events, numbered; those in between are of another kind each time."""
    return b"".join(
        b"Event: Tick\r\nNumber: %d\r\nChannel: PJSIP/100%d-%08x\r\nFiller: %s\r\n\r\n"
        % (number, number % 7, number, (b"%d " % number * size)[:size])
        for number in range(first, first + count)
    )


def ticks(client: Client) -> list[int]:
    return numbers_of(list(client.messages))


def numbers_of(messages: list[dict[str, Any]]) -> list[int]:
    seen = [message["data"] for message in messages]
    return [int(data["Number"]) for data in seen if data.get("Event") == "Tick"]


def extensions(client: Client) -> list[str]:
    return [extension.name for extension in client.socket.protocol.extensions]


@contextmanager
def site(folder: Path, more: str = "") -> Iterator[tuple[AmiServer, Program]]:
    with (
        AmiServer() as server,
        Program(folder, configuration(ami_host(server.port), more=more)) as program,
    ):
        server.wait_login()
        yield server, program


def test_all_get_the_same_compressed_or_not(tmp_path: Path) -> None:
    with (
        site(tmp_path) as (server, program),
        Client(program.port) as compressed,
        Client(program.port, compression=None) as plain,
    ):
        assert extensions(compressed) == ["permessage-deflate"]
        assert extensions(plain) == []
        for first, count in ((0, 1), (1, 1), (2, 500), (502, 1), (503, 30)):
            server.send(events(first, count))
            if count == 1:
                wait_until(lambda n=first: len(ticks(plain)) == n + 1, "a lone event")
        for client in (compressed, plain):
            wait_until(lambda c=client: len(ticks(c)) == 533, "all events")
            assert ticks(client) == list(range(533))
        assert compressed.messages[-533:] == plain.messages[-533:]
        for client in (compressed, plain):  # its own messages are compressed likewise
            client.ask("nonsense " * 100, lambda message: message["type"] == 4)


def test_who_joins_amid_a_burst(tmp_path: Path) -> None:
    with site(tmp_path) as (server, program), Client(program.port) as first:
        later: list[Client] = []
        for number in range(20):
            server.send(events(500 * number, 500))
            later.append(Client(program.port))
        wait_until(lambda: len(ticks(first)) == 10_000, "all at the first")
        server.send(events(10_000, 1))
        for client in later:
            wait_until(lambda c=client: ticks(c)[-1:] == [10_000], "the last at each")
            got = ticks(client)
            assert got == list(range(got[0], 10_001))
            client.close()
            assert client.faults == []


@pytest.mark.parametrize("offer", [OFFER, ALONE], ids=["window", "alone"])
def test_a_slow_client_understands_what_comes_behind_what_it_lost(
    tmp_path: Path, offer: str
) -> None:
    more = "slow_clients: drop\nlimits:\n  client_buffer: 128 KiB\n"
    with (
        site(tmp_path, more) as (server, program),
        Client(program.port) as other,
        raw_client(program.port, headers=offer, receive_buffer=SMALL) as stalled,
    ):
        program.wait_for_log("connected", 3)
        filler = 2000
        for first in range(0, 6000, 100):
            noise = b"".join(
                b"Event: Tick\r\nNumber: %d\r\nFiller: %s\r\n\r\n"
                % (number, noise_of(number, filler))
                for number in range(first, first + 100)
            )
            server.send(noise)
            wait_until(lambda n=first: len(ticks(other)) == n + 100, "all at the other client")
        due, lost = 0, 0
        window = Window(alone=offer is ALONE)
        for opcode, text in server_frames(stalled, window):
            data = json.loads(text)["data"] if opcode == 1 else {}
            if data.get("Event") == "MessagesDropped":
                due += int(data["Count"])
                lost += int(data["Count"])
            elif data.get("Event") == "Tick":
                assert int(data["Number"]) == due
                assert data["Filler"].encode() == noise_of(due, filler)
                due += 1
            if due == 6000:
                break
        assert 100 < lost < 5900
        assert window.messages > 100
        stalled.shutdown(socket.SHUT_RDWR)


def noise_of(number: int, size: int) -> bytes:
    """Letters that hardly compress, and are the same each time."""
    state, letters = number + 1, bytearray()
    while len(letters) < size:
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        letters += b"%016x" % state
    return bytes(letters[:size])


def test_the_websocket_of_node(tmp_path: Path) -> None:
    with site(tmp_path) as (server, program):
        url = f"ws://127.0.0.1:{program.port}/ws"
        command = [NODE, "-e", NODE_CLIENT, url, "600"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
            try:
                program.wait_for_log("connected", 2)
                server.send(events(0, 1) + events(1, 598))
                server.send(events(599, 1))
                output, _ = node.communicate(timeout=WAIT)
            finally:
                node.kill()
        opened, numbers = output.splitlines()
        assert opened.startswith("extensions: permessage-deflate")
        assert json.loads(numbers) == list(range(600))


def test_a_reload_goes_for_those_who_come_next(tmp_path: Path) -> None:
    with site(tmp_path) as (server, program), Client(program.port) as early:
        program.reload(configuration(ami_host(server.port), more="compression: no"))
        program.wait_for_log("configuration applied")
        with Client(program.port) as late:
            assert extensions(early) == ["permessage-deflate"]
            assert extensions(late) == []
            server.send(events(0, 50))
            for client in (early, late):
                wait_until(lambda c=client: ticks(c) == list(range(50)), "all events")
