"""Whatever a server sends: any cutting gives the same, and fast equals careful."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import Kind, Message, Parser, encode_message, envelope_prefix, framing
from amiws_gevent.ami.events import EventReader
from amiws_gevent.ami.packets import Counters, PacketReader

CAPTURES = Path(__file__).parent.parent / "captures"
RAW = {path.name: path.read_bytes() for path in sorted(CAPTURES.glob("*.raw"))}

# What breaks parsers, in pieces: line ends, marks, names that decide, odd bytes.
FRAGMENTS = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\r\n\n",
        b"\n\r\n",
        b": ",
        b":",
        b" ",
        b"\t",
        b"Event: ",
        b"Event: A\r\nX: 1\r\nY: 2\r\n\r\n",
        b"Event: A\r\nX: 3\r\nY: 4\r\n\r\n",
        b"Event: A\r\nX: 1\r\nX: 2\r\n\r\n",
        b"event:B",
        b"Response: Follows\r\n",
        b"Response: Success\r\n",
        b"Message: Command output follows\r\n",
        b"Output: ",
        b"ActionID: 1\r\n",
        b"Privilege: Command\r\n",
        b"--END COMMAND--",
        b"--END COMMAND--\r\n\r\n",
        b"--END COMMAND--\n\n",
        b"Asterisk Call Manager/5.0\r\n",
        (
            b"q has 0 calls (max 5) in 's' strategy (0s holdtime, 0s talktime), W:0, C:0, A:0,"
            b" SL:0.0% within 0s\r\n   No Members\r\n   No Callers\r\n\r\n"
        ),
        b"Name",
        b"value",
        b"\xff",
        "Ж".encode(),
        "\u2028".encode(),
        b"\x85",
        b"\0",
        b"v" * 30,
    ]
)
STREAM = st.lists(FRAGMENTS | st.binary(max_size=6), max_size=40).map(b"".join)
RESPONSE = st.lists(
    FRAGMENTS | st.sampled_from([b"\r\n", b"Output: a\r\n", b"X:1\n"]), max_size=40
).map(lambda fragments: b"Response: Success\r\n" + b"".join(fragments))
LIMITS = st.sampled_from([(1 << 20, 4 << 20), (40, 1000), (1000, 60), (50, 50), (20, 90), (5, 7)])
CUTS = st.lists(st.integers(0, 2000), max_size=12)


def parse(pieces: list[bytes], limits: tuple[int, int]) -> tuple[list[Message], Counters]:
    parser = Parser(max_line=limits[0], max_packet=limits[1])
    messages = [message for piece in pieces for message in parser.receive_data(piece)]
    messages += parser.receive_eof()
    parser.pop_notes()
    return messages, parser.counters


def cut(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted({place % (len(raw) + 1) for place in cuts}), len(raw)]
    return [raw[start:end] for start, end in itertools.pairwise(places)]


@given(STREAM, CUTS, LIMITS)
@settings(max_examples=600, deadline=None)
def test_any_cutting_gives_the_same_messages_and_counts(
    raw: bytes, cuts: list[int], limits: tuple[int, int]
) -> None:
    assert parse(cut(raw, cuts), limits) == parse([raw], limits)


@given(RESPONSE, CUTS, LIMITS)
@settings(max_examples=600, deadline=None)
def test_a_response_read_as_its_lines_come_gives_the_same(
    raw: bytes, cuts: list[int], limits: tuple[int, int]
) -> None:
    whole = parse([raw], limits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "LONG_RESPONSE", 20)
        assert parse(cut(raw, cuts), limits) == whole
        assert parse([raw[i : i + 1] for i in range(len(raw))], limits) == whole


@given(STREAM, LIMITS)
@settings(max_examples=300, deadline=None)
def test_byte_by_byte_gives_the_same(raw: bytes, limits: tuple[int, int]) -> None:
    single = [raw[i : i + 1] for i in range(len(raw))]
    assert parse(single, limits) == parse([raw], limits)


@given(st.sampled_from(sorted(RAW)), st.lists(st.integers(0, 130_000), max_size=30))
@settings(max_examples=40, deadline=None)
def test_captures_cut_anywhere_give_the_same(name: str, cuts: list[int]) -> None:
    limits = (1 << 20, 4 << 20)
    assert parse(cut(RAW[name], cuts), limits) == parse([RAW[name]], limits)


class CarefulParser(Parser):
    """A parser without the fast way: every packet goes through PacketReader."""

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self._events = NoEvents()


class NoEvents(EventReader):
    def read(self, packet: str) -> None:
        return None


@given(STREAM, LIMITS)
@example(b"Event: A\r\nX: 1\r\n\r\n" * 3 + b"Event: A\r\nX:  1\r\n\r\n", (1 << 20, 4 << 20))
@example(b"Event: A\r\nX: 1\r\n\r\n" * 3 + b"Event: A\r\nX: \t1\r\n\r\n", (1 << 20, 4 << 20))
@example(b"Event: A\r\nX: 1\r\n\r\n" * 3 + b"Event: A\r\nX: 1\n\n", (1 << 20, 4 << 20))
@example(b"Event: A\r\nX : 1\r\n\r\n" * 3, (1 << 20, 4 << 20))
@example(b"Event: A\r\nX:1: 2\r\n\r\n" * 3, (1 << 20, 4 << 20))
@settings(max_examples=600, deadline=None)
def test_the_fast_way_equals_the_careful_one(raw: bytes, limits: tuple[int, int]) -> None:
    fast = Parser(max_line=limits[0], max_packet=limits[1])
    careful = CarefulParser(max_line=limits[0], max_packet=limits[1])
    # Four times: by then the fast one has learnt the shapes of the events.
    for _ in range(4):
        assert fast.receive_data(raw) == careful.receive_data(raw)
    assert fast.receive_eof() == careful.receive_eof()
    assert fast.counters == careful.counters


HEADER_TEXT = st.text(st.characters(exclude_characters="\r\n"), max_size=12)
NAME = HEADER_TEXT.map(lambda text: text.replace(":", "")) | st.sampled_from(
    ["Output", "X", "Event"]
)


@given(
    st.lists(st.tuples(NAME, st.sampled_from([": ", ":", ":  ", " : "]), HEADER_TEXT), max_size=6)
)
@settings(max_examples=600, deadline=None)
def test_an_event_read_fast_equals_the_same_read_carefully(
    headers: list[tuple[str, str, str]],
) -> None:
    lines = ["Event: E", *("".join(header) for header in headers)]
    packet = "\r\n".join(lines)
    careful = PacketReader(Counters(), None).read(packet.encode("utf-8", "replace") + b"\r\n")
    reader = EventReader()
    for _ in range(4):
        fast = reader.read(packet.encode("utf-8", "replace").decode())
        if fast is not None:
            assert Message(Kind.EVENT, fast) == careful


@given(STREAM | st.binary())
@settings(max_examples=300, deadline=None)
def test_every_message_becomes_valid_json_in_valid_utf8(raw: bytes) -> None:
    parser = Parser(encoding="cp1251")
    for message in parser.receive_data(raw):
        prefix = envelope_prefix(message.kind, 1, "pbx", False)
        loaded = json.loads(encode_message(prefix, message).decode())
        assert list(loaded) == ["type", "server_id", "server_name", "ssl", "data"]
        assert loaded["type"] == message.kind
        assert loaded["data"] == message.data()
