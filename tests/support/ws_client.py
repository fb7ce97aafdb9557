"""Clients for tests: a WebSocket client that keeps every message, and a raw one."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.support.deflated import Window
from tests.support.patience import WAIT
from tests.support.program import wait_until


class Client:
    """A client on the classic socket (or on ``subprotocol``), its messages parsed as they come.

    Every frame must be text and valid JSON: the thread that reads records
    what is not in ``faults``, and leaving the block fails on it.
    """

    def __init__(self, port: int, subprotocol: str | None = None, **options: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.close_code: int | None = None
        self.close_reason = ""
        protocols = [Subprotocol(subprotocol)] if subprotocol else None
        options.setdefault("proxy", None)
        options.setdefault("open_timeout", WAIT)
        url = options.pop("url", f"ws://127.0.0.1:{port}/ws")
        self._stack = contextlib.ExitStack()
        self.socket = self._stack.enter_context(
            connect(url, subprotocols=protocols, max_size=None, **options)
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while True:
                text = self.socket.recv()
                try:
                    assert isinstance(text, str), "a binary frame"
                    self._keep(json.loads(text))
                except (ValueError, AssertionError) as error:
                    self.faults.append(f"{error}: {text!r:.200}")
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                self.close_code, self.close_reason = closed.rcvd.code, closed.rcvd.reason

    def _keep(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        assert not self.faults, self.faults

    def close(self) -> None:
        """End the connection from this side."""
        self._stack.close()
        self._thread.join(WAIT)

    def send(self, action: Any) -> None:
        """Send an action: a dict as JSON, a string as it is."""
        self.socket.send(action if isinstance(action, str) else json.dumps(action))

    def wait_for(self, condition: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """The first message that ``condition`` is true of; waits for it."""
        wait_until(lambda: any(map(condition, list(self.messages))), what)
        return next(message for message in self.messages if condition(message))

    def wait_for_event(self, name: str) -> dict[str, Any]:
        """The data of the first event of that name; waits for it."""
        found = self.wait_for(lambda message: message["data"].get("Event") == name, name)
        data: dict[str, Any] = found["data"]
        return data

    def ask(self, action: Any, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Send, and wait for the first message from now on that ``condition`` is true of."""
        before = len(self.messages)
        self.send(action)
        wait_until(
            lambda: any(map(condition, self.messages[before:])), f"an answer to {action!r:.200}"
        )
        return next(message for message in self.messages[before:] if condition(message))

    def wait_closed(self) -> int | None:
        """The code that the server closed with; None for an end without a Close frame."""
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "not closed"
        self.close()
        return self.close_code


def is_error(message: dict[str, Any]) -> bool:
    """Whether a message says that an action could not be sent, or failed."""
    return bool(message["type"] == 4 and message["data"].get("Response") == "Error")


def raw_client(
    port: int,
    *,
    target: str = "/ws",
    headers: str = "",
    host: str = "127.0.0.1",
    receive_buffer: int | None = None,
) -> socket.socket:
    """A socket after a classic upgrade, for what no library would send or leave unread."""
    raw = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.settimeout(WAIT)
    raw.connect((host, port))
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(
        f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"{headers}\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = raw.recv(1)
        assert byte, head
        head += byte
    assert head.startswith(b"HTTP/1.1 101 "), head
    return raw


def client_frame(payload: bytes, opcode: int = 1, *, final: bool = True) -> bytes:
    """One masked frame as a browser sends it."""
    mask = os.urandom(4)
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += bytes([0x80 | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", len(payload))
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def server_frames(raw: socket.socket, window: Window | None = None) -> Iterator[tuple[int, bytes]]:
    """Opcode and payload of each frame that comes from the server, to the end.

    With a ``window``, the messages of those that are compressed.
    """
    with raw.makefile("rb") as stream:
        while head := stream.read(2):
            size = head[1]
            if size > 125:
                size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
            payload = stream.read(size)
            if window is not None:
                payload = window.text(payload, compressed=bool(head[0] & 0x40))
            yield head[0] & 0x0F, payload
