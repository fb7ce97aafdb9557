from __future__ import annotations

import pytest

from amiws_gevent.ami import Counters, Kind, Message
from amiws_gevent.ami.command import Block
from amiws_gevent.ami.packets import PacketReader


@pytest.mark.parametrize(
    ("packet", "lines"),
    [
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\r\n\rb\n", ["a\r", "\rb"]),
        ("a\x85b\x0bc\u2028d\n".encode(), ["a\x85b\x0bc\u2028d"]),
        (b"\n", [""]),
    ],
)
def test_lines_end_by_crlf_or_lf_alone(packet: bytes, lines: list[str]) -> None:
    for given in (packet, bytearray(packet)):
        reader = PacketReader(Counters(), None)
        assert reader.read(given) == Message(Kind.UNKNOWN, {"Text": "\n".join(lines)})
        numbered = b"".join(b"%d: %b\n" % each for each in enumerate(given.split(b"\n")))
        values = [value for _, value in reader.headers(numbered)]
        assert values[: len(lines)] == [line.lstrip(" \t") for line in lines]


@pytest.mark.parametrize(
    ("encoding", "value", "text", "undecodable"),
    [
        (None, "é".encode(), "é", 0),
        ("latin-1", "é".encode(), "é", 0),
        ("latin-1", b"\xe9", "é", 0),
        ("cp1251", b"\xcf\xf0", "Пр", 0),
        ("cp1251", b"\x98", "\ufffd", 1),
        (None, b"a\xffb\xe2\x80", "a\ufffdb\ufffd", 1),
    ],
)
def test_a_value_is_utf8_else_the_encoding_else_replaced(
    encoding: str | None, value: bytes, text: str, undecodable: int
) -> None:
    counters = Counters()
    assert PacketReader(counters, encoding).text(value) == text
    assert counters.undecodable_values == undecodable


def test_each_value_is_decoded_on_its_own() -> None:
    counters = Counters()
    packet = b"Event: A\r\nX: \xe9\r\nY: \xc3\xa9\r\n"
    message = PacketReader(counters, None).read(packet)
    assert message.headers == (("Event", "A"), ("X", "\ufffd"), ("Y", "é"))
    assert counters.undecodable_values == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "cp1252"])
def test_any_encoding_that_makes_text_may_be_named(encoding: str) -> None:
    reader = PacketReader(Counters(), encoding)
    assert isinstance(reader.text(b"\xff\xfe\xfd"), str)


def test_unknown_text_is_kept_whole_and_counted_once() -> None:
    counters = Counters()
    message = PacketReader(counters, None).read(b"X: \xff\r\nno colon\r\n")
    assert message.kind is Kind.UNKNOWN
    assert message.headers == (("Text", "X: \ufffd\nno colon"),)
    assert counters == Counters(
        unknown_packets=1, undecodable_values=1, notes=["unknown text: 'X: \ufffd\\nno colon'"]
    )


def test_command_answer() -> None:
    counters = Counters()
    answer = b"Response: Follows\r\nbare\r\na\r\n\r\n b "
    message = PacketReader(counters, None).read_command(answer, Block(25, 25))
    assert message.kind is Kind.COMMAND
    assert message.headers == (("Response", "Follows"), ("Output", "a\n\n b \n"))
    assert counters.lines_without_colon == 1
