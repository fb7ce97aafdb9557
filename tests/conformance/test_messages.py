"""RFC 6455, sections 5.4, 5.6 and 8.1: fragments, limits, UTF-8."""

from __future__ import annotations

import pytest

from amiws_gevent.web.server import WebServer
from tests.support.webserver import Frame, masked, upgraded

MORE, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
LIMIT = 65536


def fragments(data: bytes, size: int) -> bytes:
    """A text in frames of ``size`` bytes."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(
        masked(MORE if number else TEXT, piece, fin=number == len(pieces) - 1)
        for number, piece in enumerate(pieces)
    )


@pytest.mark.parametrize("control", [b"", masked(PONG, b"!")], ids=["alone", "with a pong"])
def test_two_fragments(server: WebServer, control: bytes) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"one ", fin=False) + control + masked(MORE, b"two"))
        assert peer.frame() == Frame(TEXT, b"one two")


def test_a_ping_between_fragments_is_answered_first(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"a", fin=False) + masked(PING, b"now"))
        assert peer.frame() == Frame(PONG, b"now")
        peer.send(masked(MORE, b"b", fin=False) + masked(PING, b"again") + masked(MORE, b"c"))
        assert peer.frame() == Frame(PONG, b"again")
        assert peer.frame() == Frame(TEXT, b"abc")


@pytest.mark.parametrize("size", [1, 64, 1300, 4096])
def test_many_fragments(server: WebServer, size: int) -> None:
    data = (b"0123456789abcdef" * 4096)[: LIMIT if size > 1 else 3000]
    with upgraded(server) as peer:
        peer.send(fragments(data, size))
        assert peer.frame() == Frame(TEXT, data)


def test_empty_fragments(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, fin=False) + masked(MORE, fin=False) * 3 + masked(MORE))
        assert peer.frame() == Frame(TEXT, b"")


@pytest.mark.parametrize("fin", [True, False])
def test_a_fragment_of_no_message(server: WebServer, fin: bool) -> None:
    with upgraded(server) as peer:
        peer.send(masked(MORE, b"what", fin=fin) + masked(TEXT, b"x"))
        assert peer.closed() == 1002


def test_a_fragment_behind_a_whole_message(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"whole") + masked(MORE, b"what"))
        assert peer.frame() == Frame(TEXT, b"whole")
        assert peer.closed() == 1002


def test_a_message_within_a_message(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"a", fin=False) + masked(TEXT, b"b"))
        assert peer.closed() == 1002


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_control_frames_in_fragments(server: WebServer, opcode: int) -> None:
    with upgraded(server) as peer:
        peer.send(masked(opcode, b"ab", fin=False) + masked(MORE, b"cd"))
        assert peer.closed() == 1002


def test_a_close_between_fragments(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"a", fin=False) + masked(CLOSE, b"\x03\xe8"))
        assert peer.closed() == 1000


@pytest.mark.parametrize("size", [LIMIT, 1000])
def test_a_message_of_just_the_limit(server: WebServer, size: int) -> None:
    with upgraded(server) as peer:
        peer.send(fragments(b"x" * LIMIT, size))
        assert peer.frame() == Frame(TEXT, b"x" * LIMIT)


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT, 1000])
def test_a_message_over_the_limit(server: WebServer, size: int) -> None:
    with upgraded(server) as peer:
        peer.send(fragments(b"x" * (LIMIT + 1), size))
        assert peer.closed() == 1009


VALID = [
    "κόσμε",
    "\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
    "\ufffe\uffff\ufdd0\U0001fffe",  # noncharacters are characters (Corrigendum 9)
    "\u202e\u200b\ufeff",
    "🎉" * 300,
]
INVALID = {
    "lone continuation": b"\x80",
    "continuations": b"\x80\xbf\x80",
    "every lone continuation": bytes(range(0x80, 0xC0)),
    "first byte alone": b"\xc3 ",
    "cut short, 2": b"\xc3",
    "cut short, 3": b"\xe2\x82",
    "cut short, 4": b"\xf0\x9f\x8e",
    "impossible fe": b"\xfe",
    "impossible ff": b"\xff",
    "overlong slash, 2": b"\xc0\xaf",
    "overlong slash, 3": b"\xe0\x80\xaf",
    "overlong slash, 4": b"\xf0\x80\x80\xaf",
    "overlong nul": b"\xc0\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "over U+10FFFF": b"\xf4\x90\x80\x80",
    "surrogate d800": b"\xed\xa0\x80",
    "surrogate dfff": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "latin-1": "grüße".encode("latin-1"),
}


@pytest.mark.parametrize("text", VALID)
@pytest.mark.parametrize("size", [1, 2, 3, 5000])
def test_utf8_in_fragments_of_any_size(server: WebServer, text: str, size: int) -> None:
    with upgraded(server) as peer:
        peer.send(fragments(text.encode(), size))
        assert peer.frame() == Frame(TEXT, text.encode())


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("size", [1, 5000])
def test_what_is_not_utf8(server: WebServer, data: bytes, size: int) -> None:
    with upgraded(server) as peer:
        peer.send(fragments("κόσμε".encode() + data, size))
        assert peer.closed() == 1007


def test_what_is_not_utf8_is_refused_before_the_message_ends(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"fine \xf4\x90", fin=False))
        assert peer.closed() == 1007


def test_a_character_in_two_fragments_is_waited_for(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"\xf0\x9f", fin=False) + masked(PING, b"?"))
        assert peer.frame() == Frame(PONG, b"?")
        peer.send(masked(MORE, b"\x8e\x89"))
        assert peer.frame() == Frame(TEXT, "🎉".encode())
