"""Each capture, from a scripted server through the program to a client: complete and in order."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.ami_server import AmiServer, Connection
from tests.support.patience import WAIT
from tests.support.program import NO_PINGS, Program, ami_host, configuration
from tests.support.ws_client import raw_client

CAPTURES = Path(__file__).parent.parent / "captures"
COUNTS = {  # AMI.md: by type, counted by an independent parser
    "asterisk-13.38.raw": {1: 1, 3: 306, 4: 21, 5: 7, 6: 2},
    "asterisk-18.raw": {1: 1, 3: 289, 4: 22, 5: 7},
    "asterisk-22.11.raw": {1: 1, 3: 304, 4: 22, 5: 7},
    "asterisk-22.11-busy.raw.gz": {3: 40_503, 4: 1},  # cut from the login's answer on
}


MARK = b'{"type":'


def read_capture(name: str) -> bytes:
    data = (CAPTURES / name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def packets(data: bytes) -> Iterator[dict[str, Any]]:
    """The packets of a capture, the plain way: an oracle that shares nothing with the program."""
    if data.startswith(b"Asterisk Call Manager/"):
        data = data.partition(b"\r\n")[2]
    for packet in data.split(b"\r\n\r\n"):
        text = packet.lstrip(b"\r\n").decode()
        if not text:
            continue
        if text.startswith("Response: Follows"):
            head, _, body = text.removesuffix("--END COMMAND--").rpartition("\r\n")
            pairs = [line.split(": ", 1) for line in head.split("\r\n")]
            yield {**dict(pairs), "Output": body}
        elif re.match(r"[\w-]+ has \d+ calls", text):
            yield {"QueueName": text.split(" has ")[0]}
        else:
            yield headers(text)


def headers(text: str) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for line in text.split("\r\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ") if name == "Output" else value.lstrip(" ")
        if name in data:
            data[name] = [*(data[name] if isinstance(data[name], list) else [data[name]]), value]
        else:
            data[name] = value
    if "Output" in data:
        lines = data["Output"] if isinstance(data["Output"], list) else [data["Output"]]
        data["Output"] = "".join(line + "\n" for line in lines)
    return data


def frames(data: bytes) -> Iterator[bytes]:
    """The payloads of the server's text frames."""
    position = 0
    while position < len(data):
        assert data[position] == 0x81, "a whole text frame"
        length, start = data[position + 1], position + 2
        if length == 126:
            length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif length == 127:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        yield data[start : start + length]
        position = start + length


@pytest.mark.parametrize("name", COUNTS)
def test_capture_reaches_a_client(name: str, tmp_path: Path) -> None:
    capture = read_capture(name)
    client_is_there = threading.Event()

    def script(connection: Connection) -> None:
        rest = capture
        if 1 in COUNTS[name]:
            banner, end, rest = capture.partition(b"\r\n")
            connection.send(banner + end)
            connection.read_packet()
        client_is_there.wait(WAIT)
        connection.send(rest)
        while connection.read_packet() is not None:
            pass

    with (
        AmiServer(script) as server,
        Program(
            tmp_path, configuration(ami_host(server.port, "pbx-ü"), more=f"limits:\n{NO_PINGS}")
        ) as program,
        raw_client(program.port) as client,
    ):
        client_is_there.set()
        expected = list(packets(capture))
        wanted = sum(COUNTS[name].values())
        received = read_messages(client, wanted)
    assert Counter(message["type"] for message in received) == COUNTS[name]
    for message in received:
        assert list(message) == ["type", "server_id", "server_name", "ssl", "data"]
        assert (message["server_id"], message["server_name"], message["ssl"]) == (1, "pbx-ü", False)
    if received[0]["type"] == 1:
        banner = received.pop(0)["data"]
        assert capture.startswith(f"{banner['Product']}/{banner['Version']}\r\n".encode())
    for message, packet in zip(received, expected, strict=True):
        if message["type"] == 6:
            assert message["data"]["QueueName"] == packet["QueueName"]
        else:
            assert message["data"] == packet
            assert list(message["data"]) == list(packet)


def read_messages(client: Any, count: int) -> list[dict[str, Any]]:
    """Read as fast as the socket gives, then parse: a client that is never slow."""
    data = bytearray()
    found = 0
    while found < count:
        chunk = client.recv(1 << 20)
        assert chunk, f"closed after {found} of {count} messages"
        data += chunk
        found += data.count(MARK, max(0, len(data) - len(chunk) - len(MARK) + 1))
    client.settimeout(0.2)
    try:
        while chunk := client.recv(1 << 20):
            data += chunk
    except TimeoutError:
        pass
    return [json.loads(payload.decode("utf-8", "strict")) for payload in frames(bytes(data))]
