"""A listening WebServer with a fake gate and fake sessions, and a peer that sends any bytes.

Both are in the test's own process and event loop, so that a test can look into the
server; the peer's sockets are gevent's.
"""

from __future__ import annotations

import base64
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from gevent import socket, ssl
from pydantic import SecretStr

from amiws_gevent.config import AmiHost, Limits, Settings
from amiws_gevent.web.gate import RequestInfo, Verdict
from amiws_gevent.web.server import WebServer
from amiws_gevent.web.websocket import WebSocketClient
from tests.support.patience import WAIT

HOST = AmiHost(id=1, name="pbx", host="127.0.0.1", username="u", secret=SecretStr("s"))
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def make_settings(*, limits: dict[str, Any] | None = None, **changes: Any) -> Settings:
    """Settings for a server on a free loopback port."""
    values: dict[str, Any] = {"ws_host": "127.0.0.1", "ws_port": 0, "web_root": Path("/")}
    values |= {"amihosts": (HOST,)} | changes
    return Settings(**values, limits=Limits(**limits or {}))


class FakeGate:
    """Says what it is told to; remembers what it was asked."""

    def __init__(self, verdict: Verdict | Callable[[RequestInfo], Verdict] | None = None) -> None:
        self.verdict = verdict or Verdict(200)
        self.asked: list[RequestInfo] = []

    def check_upgrade(self, request: RequestInfo) -> Verdict:
        self.asked.append(request)
        return self.verdict if isinstance(self.verdict, Verdict) else self.verdict(request)


@dataclass
class FakeSessions:
    """Remembers all, and sends each text back if ``echo``."""

    echo: bool = True
    clients: list[WebSocketClient] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    ends: list[tuple[int, str]] = field(default_factory=list)

    def opened(self, client: WebSocketClient) -> None:
        self.clients.append(client)

    def received(self, client: WebSocketClient, text: str) -> None:
        self.texts.append(text)
        if self.echo:
            client.send_text(text)

    def closed(self, client: WebSocketClient, code: int, reason: str) -> None:
        self.ends.append((code, reason))


def echo_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers with the method, the path and the body."""
    body = environ["wsgi.input"].read()
    text = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode("latin-1") + body
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text]


def configure(
    server: WebServer,
    settings: Settings,
    *,
    app: Callable[..., Any] = echo_app,
    gate: FakeGate | None = None,
) -> None:
    """As the start and a reload do."""
    move = server.prepare(settings)
    server.configure(settings, move, app=app, gate=gate or FakeGate())


@contextmanager
def serving(
    settings: Settings | None = None,
    *,
    app: Callable[..., Any] = echo_app,
    gate: FakeGate | None = None,
    sessions: Any = None,
    **more: Any,
) -> Iterator[WebServer]:
    """A started server; stopped at the end, when nobody may be left in it."""
    server = WebServer(sessions or FakeSessions(), **more)
    configure(server, settings or make_settings(), app=app, gate=gate)
    try:
        yield server
    finally:
        server.stop(0.2)
        assert not server.connections


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True
    compressed: bool = False


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """A frame as a client sends it, byte by byte as RFC 6455 has it."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    mask = b"\x37\xfa\x21\x3d"  # the RFC's own; a test's name may not change from run to run
    key = (mask * (size // 4 + 1))[:size]
    plain = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + plain.to_bytes(size, "big")


def close_payload(code: int, reason: str = "") -> bytes:
    """What a Close frame has in it."""
    return struct.pack("!H", code) + reason.encode()


class Peer:
    """A client that is just a socket with a buffer.

    ``rsv1``: it has agreed on compressed messages.
    """

    rsv1 = False

    def __init__(
        self,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        receive_buffer: int | None = None,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket: Any = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT)
        try:
            self.socket.connect((host, port))
        except OSError:
            self.socket.close()
            raise
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def _more(self) -> bool:
        chunk = self.socket.recv(65536)
        self.buffer += chunk
        return bool(chunk)

    def _until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            assert self._more(), f"ended after {self.buffer!r}"
        found, _, self.buffer = self.buffer.partition(end)
        return found

    def take(self, size: int) -> bytes:
        """Exactly that many bytes."""
        while len(self.buffer) < size:
            assert self._more(), f"ended after {self.buffer!r}"
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def rest(self) -> bytes:
        """All that comes until the server ends the connection; a reset fails the test."""
        while self._more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def is_cut(self) -> bool:
        """Read to the end of the connection, however the server ends it."""
        with suppress(ConnectionError, ssl.SSLError):
            self.rest()
        return True

    def answer(self, *, body: bool = True) -> Answer:
        """The next HTTP answer; its body by Content-Length, or ``body`` False."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines[1:]]
        headers = {name.lower(): value for name, value in pairs}
        version, status = lines[0].split(" ")[:2]
        assert version == "HTTP/1.1"
        size = int(headers["content-length"]) if body and status not in ("101", "304") else 0
        return Answer(int(status), headers, self.take(size))

    def request(self, line: str = "GET / HTTP/1.1", headers: str = "Host: x\r\n") -> Answer:
        self.send(f"{line}\r\n{headers}\r\n")
        return self.answer()

    def handshake(
        self, headers: str = "", *, target: str = "/ws", **replaced: str | None
    ) -> Answer:
        """Ask for an upgrade; ``replaced`` changes a header, or leaves it out with None."""
        self.send(upgrade_request(headers, target=target, **replaced))
        return self.answer(body=True)

    def frame(self) -> Frame:
        """The next frame of the server, which must not be masked."""
        first, second = self.take(2)
        assert not first & (0x30 if self.rsv1 else 0x70), "a reserved bit"
        assert not second & 0x80, "a mask"
        size = second
        if size == 126:
            size = int.from_bytes(self.take(2), "big")
            assert size > 125, "not the shortest form"
        elif size == 127:
            size = int.from_bytes(self.take(8), "big")
            assert size >= 1 << 16, "not the shortest form"
        return Frame(first & 0x0F, self.take(size), bool(first & 0x80), bool(first & 0x40))

    def frames(self) -> list[Frame]:
        """All frames until the server ends the connection."""
        self.buffer = self.rest()
        found = []
        while self.buffer:
            found.append(self.frame())
        return found

    def closed(self) -> int:
        """The code of the Close frame, which is the next frame and the last."""
        frame = self.frame()
        assert frame.opcode == 8, frame
        assert self.rest() == b""
        return int.from_bytes(frame.payload[:2], "big") if frame.payload else 1005


def upgrade_request(headers: str = "", *, target: str = "/ws", **replaced: str | None) -> str:
    values: dict[str, str | None] = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    values |= {name.replace("_", "-"): value for name, value in replaced.items()}
    lines = [f"{name}: {value}\r\n" for name, value in values.items() if value is not None]
    return f"GET {target} HTTP/1.1\r\n{''.join(lines)}{headers}\r\n"


@contextmanager
def upgraded(server: WebServer, headers: str = "", **options: Any) -> Iterator[Peer]:
    """A peer whose connection is upgraded."""
    with Peer(server.port, **options) as peer:
        assert peer.handshake(headers).status == 101
        yield peer


def wait_for(condition: Callable[[], object], what: str, patience: float = WAIT) -> None:
    """Let the event loop run until ``condition`` is true."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"still not so: {what}"
        gevent.sleep(0.002)
