"""The wire samples and the captures, cut in every way; limits; memory and time."""

from __future__ import annotations

import collections
import gzip
import json
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.ami.events import MOST_HEADERS
from amiws_gevent.ami.framing import LONG_RESPONSE
from amiws_gevent.ami.packets import PacketReader

HERE = Path(__file__).parent
SAMPLES = sorted(HERE.glob("wire/*/*.raw"), key=lambda path: path.stem)
CAPTURES = HERE.parent / "captures"
BANNER = b"Asterisk Call Manager/11.0.0\r\n"
NEXT = b"Event: Next\r\nY: 2\r\n\r\n"
COUNTERS = (
    "lines_without_colon",
    "packets_over_limit",
    "lines_over_limit",
    "headers_over_limit",
    "packets_cut",
    "unknown_packets",
    "undecodable_values",
)


def shown(messages: Iterable[Message]) -> list[list[object]]:
    return [[int(m.kind), [list(header) for header in m.headers]] for m in messages]


def counted(parser: Parser) -> dict[str, int]:
    counts = {name: getattr(parser.counters, name) for name in COUNTERS}
    return {name: count for name, count in counts.items() if count}


def feed(parser: Parser, pieces: Iterable[bytes]) -> list[Message]:
    messages = [message for piece in pieces for message in parser.receive_data(piece)]
    return messages + parser.receive_eof()


def capture(name: str) -> bytes:
    path = CAPTURES / name
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
class TestSamples:
    def expected(self, path: Path) -> dict[str, object]:
        loaded = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return {"options": {}, "counters": {}, **loaded}

    def check(self, path: Path, pieces: Iterable[bytes]) -> None:
        expected = self.expected(path)
        parser = Parser(**expected["options"])
        messages = feed(parser, pieces)
        assert shown(messages) == expected["messages"]
        assert counted(parser) == expected["counters"]

    def test_whole(self, path: Path) -> None:
        self.check(path, [path.read_bytes()])

    def test_byte_by_byte(self, path: Path) -> None:
        raw = path.read_bytes()
        self.check(path, [raw[i : i + 1] for i in range(len(raw))])

    def test_cut_at_each_place(self, path: Path) -> None:
        raw = path.read_bytes()
        for place in range(1, len(raw)):
            self.check(path, [raw[:place], raw[place:]])

    def test_with_the_next_behind(self, path: Path) -> None:
        expected = self.expected(path)
        if "packets_cut" in expected["counters"] or path.stem in (
            "nothing",
            "cut_after_blank_lines",
        ):
            return
        parser = Parser(**expected["options"])
        messages = feed(parser, [path.read_bytes() + NEXT])
        following = [3, [["Event", "Next"], ["Y", "2"]]]
        assert shown(messages) == [*expected["messages"], following]

    def test_learnt_shapes_change_nothing(self, path: Path) -> None:
        """After the first line a connection may repeat itself: the third time is the same."""
        expected = self.expected(path)
        raw = path.read_bytes()
        if "packets_cut" in expected["counters"] or "/1.0" in path.read_text("latin-1"):
            return
        parser = Parser(**expected["options"])
        parser.receive_data(b"Event: First\r\n\r\n")
        runs = [shown(parser.receive_data(raw)) for _ in range(4)]
        assert runs[0] == runs[1] == runs[2] == runs[3]


def test_there_are_samples_of_both_sorts() -> None:
    assert {path.parent.name for path in SAMPLES} == {"valid", "invalid"}
    assert all(path.with_suffix(".json").exists() for path in SAMPLES)


CAPTURE_COUNTS = {
    "asterisk-13.38.raw": {1: 1, 3: 306, 4: 21, 5: 7, 6: 2},
    "asterisk-18.raw": {1: 1, 3: 289, 4: 22, 5: 7},
    "asterisk-22.11.raw": {1: 1, 3: 304, 4: 22, 5: 7},
    "asterisk-22.11-busy.raw.gz": {3: 40_503, 4: 1},
}


@pytest.mark.parametrize("name", CAPTURE_COUNTS)
def test_capture_whole(name: str) -> None:
    parser = Parser()
    messages = feed(parser, [capture(name)])
    counts = collections.Counter(int(message.kind) for message in messages)
    assert dict(counts) == CAPTURE_COUNTS[name]
    assert counted(parser) == {}


@pytest.mark.parametrize("name", CAPTURE_COUNTS)
@pytest.mark.slow
def test_capture_byte_by_byte(name: str) -> None:
    raw = capture(name)[:300_000]
    whole = Parser().receive_data(raw)
    parser = Parser()
    pieces = (raw[i : i + 1] for i in range(len(raw)))
    single = [message for piece in pieces for message in parser.receive_data(piece)]
    assert single == whole
    assert len(whole) > 300


@pytest.mark.parametrize("name", CAPTURE_COUNTS)
@pytest.mark.parametrize("size", [7, 1000, 65_536])
@pytest.mark.slow
def test_capture_in_pieces(name: str, size: int) -> None:
    raw = capture(name)[:2_000_000]
    whole = Parser().receive_data(raw)
    parser = Parser()
    pieces = (raw[i : i + size] for i in range(0, len(raw), size))
    assert [message for piece in pieces for message in parser.receive_data(piece)] == whole


@pytest.mark.parametrize("name", ["asterisk-13.38.raw", "asterisk-18.raw"])
def test_command_output_is_the_same_in_both_eras(name: str) -> None:
    messages = Parser().receive_data(capture(name))
    output = {m.get("ActionID"): m.get("Output") for m in messages if m.kind is Kind.COMMAND}
    assert output["c3"] == (
        "No such command 'nosuchcommand' (type 'core show help nosuchcommand'"
        " for other possible commands)\n"
    )
    table = (output["c5"] or "").splitlines()
    assert table[0].startswith("Channel   ")
    assert table[0].endswith(" ")
    assert table[-1] == "10 calls processed"
    queues = (output["c2"] or "").splitlines(keepends=True)
    assert "   No Callers\n" in queues
    assert "\n" in queues


def test_queues_of_the_13_capture() -> None:
    messages = Parser().receive_data(capture("asterisk-13.38.raw"))
    queues = [dict(message.headers) for message in messages if message.kind is Kind.QUEUE]
    assert [(q["QueueName"], q["MembersCount"], q["CallersCount"]) for q in queues] == [
        ("support", 2, 0),
        ("sales", 0, 0),
    ]


def test_notes_name_what_was_odd_and_are_popped() -> None:
    parser = Parser()
    parser.receive_data(b"Event: A\r\nno colon here " + b"x" * 500 + b"\r\n\r\nWhat: x\r\n\r\n")
    line, unknown = parser.pop_notes()
    assert "no colon here" in line
    assert len(line) < 300
    assert "What: x" in unknown
    assert parser.pop_notes() == []


def test_notes_are_bounded() -> None:
    parser = Parser()
    parser.receive_data(b"Event: A\r\n" + b"words\r\n" * 1000 + b"\r\n")
    assert parser.counters.lines_without_colon == 1000
    assert len(parser.pop_notes()) == 100
    parser.receive_data(b"What: x\r\n\r\n" * 1000)
    assert parser.counters.unknown_packets == 1000
    assert len(parser.pop_notes()) == 100


@pytest.mark.parametrize("encoding", ["no-such-encoding", "base64"])
def test_an_encoding_that_makes_no_text_is_refused(encoding: str) -> None:
    with pytest.raises(LookupError):
        Parser(encoding=encoding)


@pytest.mark.parametrize(
    "start",
    [
        b"no colon and no end ",
        b"Event: A\r\nX: ",
        b"Event: A\r\n",
        b"Response: Follows\r\nPrivilege: Command\r\n\n",
        b"Response: Follows\r\nPrivilege: Command\r\n",
    ],
)
@pytest.mark.parametrize("filler", [b"x" * 65_536, b"x: y\r\n" * 10_000, b"x\n" * 32_768])
def test_memory_is_bounded_while_a_packet_never_ends(start: bytes, filler: bytes) -> None:
    parser = Parser(max_line=100_000, max_packet=300_000)
    parser.receive_data(start)
    tracemalloc.start()
    try:
        for _ in range(30):
            parser.receive_data(filler)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_500_000
    assert sum(counted(parser).values()) >= 1


COMMAND = b"Response: Follows\r\nPrivilege: Command\r\n" + b"text\n" * 20
LIMITED = pytest.mark.parametrize(
    "packet",
    [
        b"Event: A\r\nX: " + b"v" * 60 + b"\r\n\r\n",
        b"Event: A\r\n" + b"X: 1\r\n" * 20 + b"\r\n",
        COMMAND + b"--END COMMAND--\r\n\r\n",
        b"v" * 60 + b"\r\n",
    ],
    ids=["line", "packet", "command", "first line"],
)


@LIMITED
def test_lower_limits_hold_for_a_packet_that_is_arriving(packet: bytes) -> None:
    lower = Parser(max_line=50, max_packet=100)
    expected = shown(feed(lower, [packet, NEXT]))
    assert len(expected) == 1
    for cut in range(len(packet)):
        parser = Parser()
        messages = parser.receive_data(packet[:cut])
        parser.configure(max_line=50, max_packet=100)
        assert shown(messages + feed(parser, [packet[cut:], NEXT])) == expected, cut
        assert counted(parser) == counted(lower), cut


@LIMITED
def test_higher_limits_let_a_packet_through_that_is_not_over_yet(packet: bytes) -> None:
    expected = shown(feed(Parser(), [packet, NEXT]))
    for cut in range(40):
        parser = Parser(max_line=50, max_packet=50)
        messages = parser.receive_data(packet[:cut])
        parser.configure(max_line=200, max_packet=200)
        assert shown(messages + feed(parser, [packet[cut:], NEXT])) == expected, cut


def test_goes_on_after_a_huge_packet_in_small_pieces() -> None:
    parser = Parser()
    raw = b"Event: Huge\r\n" + b"Header: 1\r\n" * 500_000 + b"\r\n" + NEXT
    messages = feed(parser, (raw[i : i + 1000] for i in range(0, len(raw), 1000)))
    assert [message.name for message in messages] == ["Next"]
    assert counted(parser) == {"packets_over_limit": 1}


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("filler", [b"X: 1", b"X: \xff", b"a:"])
@pytest.mark.parametrize("size", [1 << 20, 1000, 7])
def test_an_event_of_too_many_headers_is_dropped(end: bytes, filler: bytes, size: int) -> None:
    most, more = (
        end.join([b"Event: Many", *[filler] * count, b"", b""])
        for count in (MOST_HEADERS - 1, MOST_HEADERS)
    )
    parser = Parser()
    raw = most + more + NEXT
    messages = feed(parser, (raw[i : i + size] for i in range(0, len(raw), size)))
    assert [message.name for message in messages] == ["Many", "Next"]
    assert len(messages[0].headers) == MOST_HEADERS
    assert parser.counters.headers_over_limit == parser.counters.dropped == 1
    assert "1000 headers" in parser.pop_notes()[-1]


def test_lines_that_are_no_headers_are_no_headers() -> None:
    parser = Parser()
    raw = b"Event: Many\r\n" + b"text\r\n" * MOST_HEADERS + b"X: 1\r\n\r\n"
    assert shown(feed(parser, [raw])) == [[3, [["Event", "Many"], ["X", "1"]]]]
    assert counted(parser) == {"lines_without_colon": MOST_HEADERS}


ANSWER = b"Response: Success\r\nMessage: Command output follows\r\n"
LINES = [b"line %d \xc3\xa9" % number for number in range(5_000)]


@pytest.mark.parametrize("size", [1 << 20, 65_536, 1000, 7])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_command_output_may_have_thousands_of_lines(size: int, end: bytes) -> None:
    raw = ANSWER + b"".join(b"Output: " + line + end for line in LINES) + end + NEXT
    parser = Parser()
    messages = feed(parser, (raw[i : i + size] for i in range(0, len(raw), size)))
    assert [message.kind for message in messages] == [Kind.COMMAND, Kind.EVENT]
    assert messages[0].get("Output") == "".join(line.decode() + "\n" for line in LINES)
    assert counted(parser) == {}


@pytest.mark.parametrize("size", [65_536, 1000])
def test_a_response_is_read_as_its_lines_come(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large it is, one call has no more to do than the bytes that it is given."""
    sizes = []
    headers = PacketReader.headers

    def noted(reader: PacketReader, lines: bytes, *most: int) -> list[tuple[str, str]]:
        sizes.append(len(lines))
        return headers(reader, lines, *most)

    monkeypatch.setattr(PacketReader, "headers", noted)
    raw = ANSWER + b"Output: 1\r\n" * 200_000
    parser = Parser()
    for i in range(0, len(raw), size):
        assert parser.receive_data(raw[i : i + size]) == []
    (message,) = parser.receive_data(b"\r\n")
    assert message.get("Output") == "1\n" * 200_000
    assert sum(sizes) == len(raw)
    assert max(sizes) <= 2 * size + LONG_RESPONSE


@pytest.mark.parametrize("size", [1 << 20, 64, 7])
@pytest.mark.parametrize(
    ("end", "count"),
    [
        (b"x" * 60_000 + b"\r\n\r\n", {"lines_over_limit": 1}),
        (b"x\r\n" * 30_000 + b"\r\n", {"packets_over_limit": 1}),
        (b"X: \xff\r\nbare", {"packets_cut": 1}),
    ],
)
def test_a_long_response_over_a_limit(size: int, end: bytes, count: dict[str, int]) -> None:
    parser = Parser(max_line=50_000, max_packet=100_000)
    raw = ANSWER + b"bare\r\n" + b"Output: \xff\r\n" * 2_000 + end
    if "packets_cut" not in count:
        raw += NEXT
    messages = feed(parser, (raw[i : i + size] for i in range(0, len(raw), size)))
    assert [message.name for message in messages] == ["Next"] * raw.endswith(NEXT)
    assert counted(parser) == count


def test_after_very_many_odd_lines_the_rest_of_a_text_counts_as_one() -> None:
    raw = b"Response: Follows\r\n" + b"\xff\n" * 20_000 + b"--END COMMAND--\r\n\r\n"
    parser = Parser(encoding="latin-1")
    (message,) = parser.receive_data(BANNER + raw)[1:]
    assert message.get("Output") == "\xff\n" * 20_000
    parser = Parser()
    (message,) = parser.receive_data(BANNER + raw)[1:]
    assert message.get("Output") == "\ufffd\n" * 20_000
    assert counted(parser) == {"undecodable_values": 10_001}


def parse_time(raw: bytes, size: int) -> float:
    best = float("inf")
    for _ in range(3):
        parser = Parser(max_line=1 << 30, max_packet=1 << 30)
        started = time.process_time()
        for i in range(0, len(raw), size):
            parser.receive_data(raw[i : i + size])
        best = min(best, time.process_time() - started)
    return best


EVENT = b"Event: E\r\nA: 1\r\nB: 2\r\n\r\n"
FOLLOWS = b"Response: Follows\r\nPrivilege: Command\r\nx\n\ny\n--END COMMAND--\r\n\r\n"


@pytest.mark.parametrize(
    ("unit", "count", "start", "size"),
    [
        (EVENT, 4_000, b"", 1 << 20),
        (EVENT, 2_000, b"", 64),
        (FOLLOWS, 500, b"", 1 << 20),
        (FOLLOWS + EVENT, 500, b"", 1 << 20),
        (b"\r\n", 20_000, b"", 1 << 20),
        (b"\r\n\r\n\n", 8_000, b"", 1 << 20),
        (b"Event: E\nA: 1\n\n", 2_000, b"", 1 << 20),
        (b"X: 123\r\n", 3_000, b"Event: Huge\r\n", 64),
        (b"text\n\n", 4_000, b"Response: Follows\r\n", 64),
        (b"x" * 640, 200, b"no banner ", 64),
        (b"Event: E\r\nX: \xff\r\n\r\n", 1_000, b"", 1 << 20),
        (b"Output: x\r\n", 3_000, ANSWER, 64),
        (b"x" * 640, 200, ANSWER + b"X: " + b"x" * 20_000, 64),
        (b"a\r\n", 3_000, b"", 1 << 20),
    ],
    ids=[
        "events",
        "events in small pieces",
        "commands",
        "commands and events",
        "blank lines",
        "mixed blank lines",
        "lines by LF",
        "one packet in small pieces",
        "one command in small pieces",
        "one first line in small pieces",
        "undecodable",
        "one long response in small pieces",
        "one line of a long response in small pieces",
        "text without colons",
    ],
)
@pytest.mark.slow
def test_time_grows_with_the_bytes_alone(unit: bytes, count: int, start: bytes, size: int) -> None:
    once = parse_time(start + unit * count, size)
    ten_times = parse_time(start + unit * count * 10, size)
    # A quadratic step would make it 100; what is left allows for a busy machine.
    assert ten_times < 25 * once + 0.02
