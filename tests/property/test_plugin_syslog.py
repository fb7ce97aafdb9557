"""Whatever servers, callers and networks do: lines stay lines, and none comes twice."""

from __future__ import annotations

import re
from typing import Any

from amiws_plugins._template import Template
from amiws_plugins.syslog_events.rfc5424 import Format, parameter_name
from amiws_plugins.syslog_events.text import pairs
from amiws_plugins.syslog_events.transports import Stream, line_feed, octet_counted
from amiws_plugins.syslog_events.units import Target
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import ServerInfo
from amiws_gevent.plugins.kit import Outbox

# What ends or escapes things, besides any character at all, halves of pairs included.
SIGNS = st.sampled_from(list('"\\][=<>{} \n\r\0\x7f\x85\u2028\u202e\ufeff\ud800é€😀'))
TEXTS = st.text(st.one_of(SIGNS, st.characters()), max_size=60)
LONG_TEXTS = st.one_of(TEXTS, st.builds(lambda text, n: text * n, TEXTS, st.integers(1, 300)))
PARAMETERS = st.lists(st.tuples(TEXTS, LONG_TEXTS), max_size=8)

HEAD = re.compile(
    r"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) ([!-~]{1,48}) "
    r"(\d{1,128}) ([!-~]{1,32}) "
)
PARAMETER = re.compile(r' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\.)*)"', re.DOTALL)


def parse(line: bytes) -> tuple[list[tuple[str, list[tuple[str, str]]]], str | None]:
    """Structured data and message of a line, by RFC 5424, section 6, and nothing looser."""
    text = line.decode("utf-8")
    head = HEAD.match(text)
    assert head, text
    rest = text[head.end() :]
    elements: list[tuple[str, list[tuple[str, str]]]] = []
    if rest.startswith("-"):
        rest = rest[1:]
    while rest.startswith("["):
        identifier = re.match(r"\[([!#-<>-\\^-~]{1,32})", rest)
        assert identifier, rest
        rest = rest[identifier.end() :]
        found = []
        while parameter := PARAMETER.match(rest):
            found.append((parameter[1], re.sub(r'\\(["\\\]])', r"\1", parameter[2])))
            rest = rest[parameter.end() :]
        assert rest.startswith("]"), rest
        rest = rest[1:]
        elements.append((identifier[1], found))
    if not rest:
        return elements, None
    assert rest.startswith(" "), rest
    return elements, rest[1:]


def spelt(text: str) -> str:
    """With what cannot be shown spelt out, as the lines have it."""
    odd = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
    return re.sub(odd, lambda sign: ascii(sign[0])[1:-1], text)


@given(
    limit=st.integers(480, 4000),
    hostname=TEXTS,
    message_id=TEXTS,
    theirs=PARAMETERS,
    text=LONG_TEXTS,
    bom=st.booleans(),
)
def test_every_line_is_one_of_rfc_5424(
    limit: int,
    hostname: str,
    message_id: str,
    theirs: list[tuple[str, str]],
    text: str,
    bom: bool,
) -> None:
    made = Format(hostname, "amiws-gevent", 4711, limit, bom)
    ours = [("server", "pbx1"), ("rule", "x")]
    line = made.line(191, 1e9, message_id, [("amiws@32473", ours), ("ami@32473", theirs)], text)
    assert len(line) <= limit
    elements, message = parse(line)
    assert elements[0] == ("amiws@32473", ours)
    wanted = [(parameter_name(name), spelt(value)) for name, value in theirs]
    if len(elements) == 1:
        kept: list[tuple[str, str]] = []
    else:
        ((identifier, kept),) = elements[1:]
        assert identifier == "ami@32473"
    remaining = iter(wanted)
    assert all(parameter in remaining for parameter in kept), "in order, each whole"
    if sum(len(name) + 2 * len(value.encode()) + 4 for name, value in wanted) < limit // 2 - 300:
        assert kept == wanted
    said = (message or "").removeprefix("\ufeff") if bom else message or ""
    whole = spelt(text)
    assert said == whole or (said.endswith("...") and whole.startswith(said[:-3]))
    if bom and message and not message.isascii():
        assert message.startswith("\ufeff")
    if len(whole.encode()) <= made.text_room:
        assert said == whole


@given(
    template=TEXTS,
    headers=st.dictionaries(TEXTS, TEXTS, max_size=5),
)
def test_templates_are_refused_or_render_any_event(template: str, headers: dict[str, str]) -> None:
    try:
        made = Template(template)
    except ValueError:
        return
    text = made.render(Message(Kind.EVENT, {"Event": "X", **headers}), ServerInfo(1, "p", False))
    if "{" not in template and "}" not in template:
        assert text == template


LOGFMT = re.compile(r'([^\s="\\]+)=(?:([^\s="\\]+)|"((?:[^"\\]|\\.)*)")(?: |$)')


@given(items=st.lists(st.tuples(TEXTS, LONG_TEXTS), max_size=8), most=st.integers(10, 3000))
def test_pairs_can_be_taken_apart_again(items: list[tuple[str, str]], most: int) -> None:
    text = pairs(items, most)
    assert len(text.encode()) <= most
    cut = text.endswith("...") and not LOGFMT.fullmatch(text.rpartition(" ")[2])
    text = text.removesuffix("...") if cut else text
    found = []
    while text:
        pair = LOGFMT.match(text)
        assert pair, text
        quoted = pair[3]
        found.append(pair[2] if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted))
        text = text[pair.end() :]
    remaining = iter(spelt(value) for _, value in items)
    assert all(value in remaining for value in found)
    if not cut:
        assert len(found) == len(items)


class Connection:
    """Takes so many bytes, in pieces of at most ``piece``, and then breaks."""

    def __init__(self, room: int, piece: int) -> None:
        self.room = room
        self.piece = piece
        self.taken = b""
        self.stalled = False

    def recv(self, _size: int) -> bytes:
        if self.stalled:
            return b""
        raise BlockingIOError

    def send(self, data: memoryview) -> int:
        taken = bytes(data[: min(self.room, self.piece)])
        if not taken:
            self.stalled = True
            raise BlockingIOError
        self.room -= len(taken)
        self.taken += taken
        return len(taken)

    def fileno(self) -> int:
        raise OSError


def whole_lines(wire: bytes) -> list[bytes]:
    """What a receiver makes of the bytes of one connection; it drops a part of a line."""
    lines = []
    while counted := re.match(rb"(\d+) ", wire):
        length = int(counted[1])
        line, wire = wire[counted.end() :][:length], wire[counted.end() + length :]
        if len(line) < length:
            break
        lines.append(line)
    return lines


@given(
    lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=40),
    connections=st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 20_000)), max_size=8),
    secure=st.booleans(),
)
def test_no_line_comes_twice_however_connections_break(
    lengths: list[int], connections: list[tuple[int, int]], secure: bool
) -> None:
    lines = [b"%03d" % number + b"x" * length for number, length in enumerate(lengths)]
    outbox: Outbox[bytes] = Outbox(10_000, 1 << 30)
    for line in lines:
        outbox.put(line)
    arrived: list[bytes] = []
    uncertain = 0
    for room, piece in [*connections, (1 << 30, 1 << 30)]:
        stream: Any = Stream(Target("tcp"), octet_counted, (lambda sock: sock) if secure else None)
        stream._socket = connection = Connection(room, piece)
        stream._note_answers = lambda: None
        while stream.flush(outbox):
            pass
        arrived += whole_lines(connection.taken)
        uncertain += stream.give_up(outbox)
    assert arrived == sorted(set(arrived))
    assert len(outbox) == 0
    assert len(lines) - len(arrived) <= uncertain <= len(lines)


@given(st.lists(st.binary(max_size=50), max_size=60), st.integers(1, 20), st.integers(1, 300))
def test_the_queue_keeps_its_bounds_and_the_newest(
    lines: list[bytes], most_lines: int, most_bytes: int
) -> None:
    outbox: Outbox[bytes] = Outbox(most_lines, most_bytes)
    for line in lines:
        outbox.put(line)
    kept = [outbox.pop() for _ in range(len(outbox))]
    assert len(kept) <= most_lines
    assert sum(map(len, kept)) <= most_bytes
    assert kept == lines[len(lines) - len(kept) :]
    assert outbox.dropped == len(lines) - len(kept)


@given(TEXTS)
def test_framing_by_line_feed_finds_none_inside(text: str) -> None:
    line = Format("h", "a", 1, 2048).line(0, 0.0, text, [("ami@1", [(text, text)])], text)
    assert line_feed(line).count(b"\n") == 1
