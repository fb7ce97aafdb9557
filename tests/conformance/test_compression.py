"""RFC 7692: what is agreed on, compressed messages of any size, and what is refused.

The server echoes, so these are Autobahn's cases 12 and 13 as well: messages of 16 bytes to 64 KiB,
whole or in frames of any size, with each of the offers that it makes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from amiws_gevent.web.server import WebServer
from tests.support.deflated import Window, deflated
from tests.support.webserver import (
    FakeSessions,
    Frame,
    Peer,
    make_settings,
    masked,
    serving,
    upgraded,
)

MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1, RSV2, RSV3 = 4, 2, 1
LIMIT = 65536
OFFER = "permessage-deflate"

SOME_JSON = b'{"Action":"Originate","Channel":"PJSIP/1001","Variable":["a=%d","b=%d"]},'
RANDOM = bytes(range(33, 127)) * 3


class Deflating:
    """An upgraded peer that compresses, and keeps its window of what it is sent."""

    def __init__(self, peer: Peer, agreed: str) -> None:
        self.peer = peer
        self.agreed = agreed
        self.window = Window(alone="server_no_context_takeover" in agreed)
        peer.rsv1 = True

    def say(self, message: bytes, size: int | None = None) -> None:
        """Send a compressed message, in frames of ``size`` bytes."""
        payload = deflated(message)
        pieces = [payload] if size is None else _pieces(payload, size)
        for number, piece in enumerate(pieces):
            first, last = not number, number == len(pieces) - 1
            opcode = TEXT if first else MORE
            self.peer.send(masked(opcode, piece, fin=last, rsv=RSV1 if first else 0))

    def hear(self) -> bytes:
        frame = self.peer.frame()
        assert (frame.opcode, frame.fin) == (TEXT, True)
        return self.window.text(frame.payload, compressed=frame.compressed)


def _pieces(payload: bytes, size: int) -> list[bytes]:
    return [payload[start : start + size] for start in range(0, len(payload), size)]


@contextmanager
def deflating(server: WebServer, offer: str = OFFER) -> Iterator[Deflating]:
    with Peer(server.port) as peer:
        answer = peer.handshake(f"Sec-WebSocket-Extensions: {offer}\r\n")
        assert answer.status == 101
        yield Deflating(peer, answer.headers["sec-websocket-extensions"])


def text(size: int) -> bytes:
    """As JSON is: much of it comes again."""
    return b"".join(SOME_JSON % (number, number * 7919) for number in range(size // 60 + 1))[:size]


OFFERS = [
    OFFER,
    f"{OFFER}; client_max_window_bits",
    f"{OFFER}; client_max_window_bits=9",
    f"{OFFER}; client_no_context_takeover",
    f"{OFFER}; server_no_context_takeover",
    f"{OFFER}; server_max_window_bits=15",
    f"{OFFER}; server_no_context_takeover; server_max_window_bits=15",
    f"{OFFER}; server_max_window_bits=9, {OFFER}; server_no_context_takeover, {OFFER}",
    f"{OFFER}; server_max_window_bits=9, {OFFER}",
]


@pytest.mark.parametrize("offer", OFFERS)
def test_messages_come_back_whatever_is_agreed_on(server: WebServer, offer: str) -> None:
    with deflating(server, offer) as client:
        for size in (16, 64, 199, 200, 256, 1024, 4096, 16384, 32768, LIMIT):
            for message in (text(size), RANDOM[: min(size, len(RANDOM))]):
                client.say(message)
                assert client.hear() == message
        assert client.window.messages >= 14


@pytest.mark.parametrize("size", [1, 7, 256, 4096])
def test_messages_in_fragments(server: WebServer, size: int) -> None:
    with deflating(server) as client:
        for length in (16, 1024, 8192):
            client.say(text(length), size)
            assert client.hear() == text(length)


def test_a_hundred_messages_one_behind_the_other(server: WebServer) -> None:
    with deflating(server) as client:
        for number in range(100):
            client.say(b"%d " % number + text(300))
        for number in range(100):
            assert client.hear() == b"%d " % number + text(300)


def test_compressed_and_plain_messages_take_turns(server: WebServer) -> None:
    with deflating(server) as client:
        for number in range(10):
            client.peer.send(masked(TEXT, b"plain %d" % number))
            client.say(text(500 + number))
            assert client.hear() == b"plain %d" % number
            assert client.hear() == text(500 + number)


def test_pings_within_a_compressed_message(server: WebServer) -> None:
    with deflating(server) as client:
        payload = deflated(text(400))
        client.peer.send(masked(TEXT, payload[:9], fin=False, rsv=RSV1) + masked(PING, b"?"))
        assert client.peer.frame() == Frame(PONG, b"?")
        client.peer.send(masked(MORE, payload[9:]))
        assert client.hear() == text(400)


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "x-webkit-deflate-frame",
        f"{OFFER}; server_max_window_bits=10",
        f"{OFFER}; server_max_window_bits",
        f"{OFFER}; client_max_window_bits=16",
        f"{OFFER}; server_no_context_takeover; server_no_context_takeover",
        f"{OFFER}; no_such_parameter",
        f"{OFFER};;",
        ";,=" * 5000,
        f"{OFFER}; x, " * 1200,
    ],
    ids=lambda offer: offer[:60],
)
def test_offers_that_are_declined(server: WebServer, offer: str) -> None:
    with Peer(server.port) as peer:
        answer = peer.handshake(f"Sec-WebSocket-Extensions: {offer}\r\n")
        assert answer.status == 101
        assert "sec-websocket-extensions" not in answer.headers
        peer.send(masked(TEXT, text(1000)))
        assert peer.frame() == Frame(TEXT, text(1000))
        peer.send(masked(TEXT, deflated(b"x"), rsv=RSV1))
        assert peer.closed() == 1002


def test_nothing_is_agreed_on_with_the_setting_off() -> None:
    with (
        serving(make_settings(compression=False), sessions=FakeSessions()) as plain,
        Peer(plain.port) as peer,
    ):
        answer = peer.handshake(f"Sec-WebSocket-Extensions: {OFFER}\r\n")
        assert "sec-websocket-extensions" not in answer.headers
        peer.send(masked(TEXT, text(1000)))
        assert peer.frame() == Frame(TEXT, text(1000))


PAYLOAD = deflated(text(300))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        # Reserved bits.
        (masked(TEXT, PAYLOAD, rsv=RSV2), 1002),
        (masked(TEXT, PAYLOAD, rsv=RSV3), 1002),
        (masked(TEXT, PAYLOAD, rsv=RSV1 | RSV3), 1002),
        (masked(PING, b"", rsv=RSV1), 1002),
        (masked(PONG, b"", rsv=RSV1), 1002),
        (masked(CLOSE, b"", rsv=RSV1), 1002),
        (masked(MORE, PAYLOAD, rsv=RSV1), 1002),
        (masked(TEXT, PAYLOAD[:9], fin=False, rsv=RSV1) + masked(MORE, b"", rsv=RSV1), 1002),
        (masked(TEXT, b"plain", fin=False) + masked(MORE, PAYLOAD, rsv=RSV1), 1002),
        (masked(BINARY, PAYLOAD, rsv=RSV1), 1003),
        # What is no message.
        (masked(TEXT, b"", rsv=RSV1), 1007),
        (masked(TEXT, PAYLOAD[:-3], rsv=RSV1), 1007),
        (masked(TEXT, b"\xff" * 20, rsv=RSV1), 1007),
        (masked(TEXT, PAYLOAD + PAYLOAD[:9], rsv=RSV1), 1007),
        (masked(TEXT, bytes.fromhex("f200110000"), rsv=RSV1), 1007),
        (masked(TEXT, deflated(b"\xed\xa0\x80"), rsv=RSV1), 1007),
        (masked(TEXT, PAYLOAD[:9], fin=False, rsv=RSV1) + masked(MORE, b"\xff"), 1007),
        # Bombs.
        (masked(TEXT, deflated(b"x" * (LIMIT + 1)), rsv=RSV1), 1009),
        (masked(TEXT, deflated(b"\0" * 50_000_000), rsv=RSV1), 1009),
    ],
)
def test_what_is_refused(server: WebServer, data: bytes, code: int) -> None:
    with deflating(server) as client:
        client.peer.send(data)
        assert client.peer.closed() == code


def test_a_bomb_in_fragments(server: WebServer) -> None:
    with deflating(server) as client:
        client.say(b"\0" * 20_000_000, 1000)
        assert client.peer.closed() == 1009


def test_a_compressed_message_of_just_the_limit_and_one_more(server: WebServer) -> None:
    with deflating(server) as client:
        client.say(b"x" * LIMIT)
        assert client.hear() == b"x" * LIMIT
        client.say(b"x" * (LIMIT + 1))
        assert client.peer.closed() == 1009


def test_what_is_sent_is_bounded_before_it_is_inflated(server: WebServer) -> None:
    empty_blocks = b"\x00\x00\x00\xff\xff" * (LIMIT // 5)  # they inflate to nothing
    with deflating(server) as client:
        client.peer.send(masked(TEXT, empty_blocks, fin=False, rsv=RSV1))
        client.peer.send(masked(MORE, b"\x00\x00\x00\xff\xff"))
        assert client.peer.closed() == 1009


def test_a_client_with_a_small_window_of_its_own(server: WebServer) -> None:
    with deflating(server, f"{OFFER}; client_max_window_bits=9") as client:
        compressor: Any = zlib.compressobj(9, zlib.DEFLATED, -9)
        payload = compressor.compress(text(20_000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        client.peer.send(masked(TEXT, payload[:-4], rsv=RSV1))
        assert client.hear() == text(20_000)


def test_clients_that_offer_nothing_are_served_as_ever(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, text(5000)))
        assert peer.frame() == Frame(TEXT, text(5000))
