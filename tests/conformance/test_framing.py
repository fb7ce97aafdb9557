"""RFC 6455, sections 5.2 to 5.5: lengths, masks, reserved bits, opcodes, pings."""

from __future__ import annotations

import struct

import pytest

from amiws_gevent.web.server import WebServer
from tests.support.webserver import Frame, Peer, close_payload, masked, upgrade_request, upgraded

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GOODBYE = masked(CLOSE, close_payload(1000))


def send_in_pieces(peer: Peer, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        peer.send(data[start : start + size])


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
@pytest.mark.parametrize("piece", [None, 997])
def test_text_of_each_length_comes_back(server: WebServer, size: int, piece: int | None) -> None:
    with upgraded(server) as peer:
        data = masked(TEXT, b"*" * size)
        send_in_pieces(peer, data, piece or len(data))
        assert peer.frame() == Frame(TEXT, b"*" * size)


def test_a_frame_byte_by_byte(server: WebServer) -> None:
    with upgraded(server) as peer:
        send_in_pieces(peer, masked(TEXT, "grüße".encode()), 1)
        assert peer.frame() == Frame(TEXT, "grüße".encode())


def test_many_frames_at_once_come_back_in_order(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(b"".join(masked(TEXT, b"%d" % number) for number in range(2000)))
        assert [peer.frame().payload for _ in range(2000)] == [b"%d" % n for n in range(2000)]


def test_frames_right_behind_the_handshake(server: WebServer) -> None:
    with Peer(server.port) as peer:
        peer.send(upgrade_request().encode() + masked(TEXT, b"early") + masked(PING, b"too"))
        assert peer.answer().status == 101
        assert peer.frame() == Frame(TEXT, b"early")
        assert peer.frame() == Frame(PONG, b"too")


def test_a_length_longer_than_needed_is_taken(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(b"\x81\xff" + struct.pack("!Q", 5) + b"\0\0\0\0hello")
        assert peer.frame() == Frame(TEXT, b"hello")


@pytest.mark.parametrize("payload", [b"", b"hello", b"\x00\xff\xfe", b"x" * 125])
def test_ping_is_answered_with_its_payload(server: WebServer, payload: bytes) -> None:
    with upgraded(server) as peer:
        peer.send(masked(PING, payload))
        assert peer.frame() == Frame(PONG, payload)


def test_ten_pings_are_answered_in_order(server: WebServer) -> None:
    with upgraded(server) as peer:
        send_in_pieces(peer, b"".join(masked(PING, b"%d" % number) for number in range(10)), 3)
        assert [peer.frame() for _ in range(10)] == [Frame(PONG, b"%d" % n) for n in range(10)]


@pytest.mark.parametrize("payload", [b"", b"unasked"])
def test_a_pong_nobody_asked_for_is_passed_over(server: WebServer, payload: bytes) -> None:
    with upgraded(server) as peer:
        peer.send(masked(PONG, payload) + masked(PING, b"then"))
        assert peer.frame() == Frame(PONG, b"then")


def test_a_ping_that_is_too_long(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(PING, b"x" * 126))
        assert peer.closed() == 1002


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, CLOSE, PING, PONG])
def test_reserved_bits(server: WebServer, rsv: int, opcode: int) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"before") + masked(opcode, b"", rsv=rsv) + masked(PING))
        assert peer.frame() == Frame(TEXT, b"before")
        assert peer.closed() == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"unknown"])
def test_unknown_opcodes(server: WebServer, opcode: int, payload: bytes) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"before") + masked(opcode, payload) + masked(PING))
        assert peer.frame() == Frame(TEXT, b"before")
        assert peer.closed() == 1002


@pytest.mark.parametrize("fin", [True, False])
def test_binary_is_refused_with_what_to_do(server: WebServer, fin: bool) -> None:
    with upgraded(server) as peer:
        peer.send(masked(BINARY, b"\x00\x01", fin=fin))
        frame = peer.frame()
        assert frame.payload[:2] == (1003).to_bytes(2, "big")
        assert b"as text" in frame.payload


@pytest.mark.parametrize(
    "data",
    [b"\x81\x05hello", b"\x89\x00", b"\x88\x02\x03\xe8", b"\x01\x02ab"],
    ids=["text", "ping", "close", "fragment"],
)
def test_a_frame_without_a_mask(server: WebServer, data: bytes) -> None:
    with upgraded(server) as peer:
        peer.send(data)
        assert peer.closed() == 1002


def test_a_mask_of_zeros(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(b"\x81\x85\0\0\0\0hello")
        assert peer.frame() == Frame(TEXT, b"hello")


@pytest.mark.parametrize(
    "head",
    [b"\x81\xff" + struct.pack("!Q", 1 << 63), b"\x81\xff" + b"\xff" * 8],
)
def test_a_length_with_the_highest_bit(server: WebServer, head: bytes) -> None:
    with upgraded(server) as peer:
        peer.send(head + b"\0\0\0\0")
        assert peer.closed() == 1002


@pytest.mark.parametrize("size", [65537, 100 << 20, 1 << 40, (1 << 63) - 1])
def test_a_length_over_the_limit_is_refused_by_the_head_alone(server: WebServer, size: int) -> None:
    with upgraded(server) as peer:
        peer.send(b"\x81\xff" + struct.pack("!Q", size) + b"\0\0\0\0")
        assert peer.closed() == 1009


def test_a_hundred_megabytes_are_not_read(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(b"\x81\xff" + struct.pack("!Q", 100 << 20) + b"\0\0\0\0")
        with pytest.raises(ConnectionError):
            send_in_pieces(peer, b"\0" * (100 << 20), 1 << 20)


def test_garbage(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(bytes(range(256)) * 100)
        assert peer.closed() == 1002
