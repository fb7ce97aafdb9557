"""One whole packet, bytes to message: the careful way that every odd packet goes.

Whole values are decoded one by one where a packet is not UTF-8, because those of
one packet may be in different encodings and Asterisk cuts long ones in
mid-character.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from dataclasses import dataclass, field, fields

from .command import Answer, Block, kind_of
from .events import MOST_HEADERS
from .messages import Kind, Message
from .queues import parse_queue

# Notes are for the debug log, one at a time: what a hostile server writes must
# fill neither memory nor the log between two reads.
_NOTES_KEPT = 100
_NOTE_LENGTH = 200

# Lines of a text that are decoded one by one; what follows is taken for one value, since
# 4 MiB may be two million lines.
_LINES_ALONE = 10_000

# `.` is all but LF. Possessive: a line without a colon is passed over once.
_HEADER = re.compile(r"^([^:\n]*+):(.*)", re.MULTILINE)
_BARE_LINE = re.compile(r"^[^:\n]*+$", re.MULTILINE)
_UNDECODED = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of a byte


@dataclass(slots=True)
class Counters:
    """What was odd on a connection so far, in numbers."""

    lines_without_colon: int = 0
    packets_over_limit: int = 0
    lines_over_limit: int = 0
    headers_over_limit: int = 0  # events of too many headers
    packets_cut: int = 0  # half a packet when the connection ended
    unknown_packets: int = 0
    undecodable_values: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def dropped(self) -> int:
        """Packets that were over a limit."""
        return self.packets_over_limit + self.lines_over_limit + self.headers_over_limit

    def note(self, text: str) -> None:
        """Keep a line for the debug log; dropped while too many wait."""
        if len(self.notes) < _NOTES_KEPT:
            self.notes.append(text)

    def add(self, others: Counters) -> None:
        """Count what others have counted, and take over their notes."""
        for each in fields(self):
            if each.name != "notes":
                setattr(self, each.name, getattr(self, each.name) + getattr(others, each.name))
        for text in others.notes:
            self.note(text)


class PacketReader:
    """Reads whole packets; ``encoding`` is tried for a value that is not UTF-8.

    Raises LookupError for an encoding that Python does not have or that does
    not make text.
    """

    def __init__(self, counters: Counters, encoding: str | None) -> None:
        if encoding is not None:
            with contextlib.suppress(UnicodeError):
                b"a".decode(encoding)
        self._counters = counters
        self._encoding = encoding

    def read(self, packet: bytes | bytearray) -> Message | None:
        """The message of a packet (its lines, the blank one that ends it left out).

        None for an event that has more than `MOST_HEADERS`, which is counted.
        """
        kind = kind_of(packet)
        if kind is Kind.UNKNOWN:
            return self._queue_or_unknown(packet)
        if kind is Kind.RESPONSE:
            answer = Answer()
            answer.add(self.headers(packet))
            return Message.of_text(*answer.finish())
        pairs = self.headers(packet, MOST_HEADERS + 1)
        if len(pairs) <= MOST_HEADERS:
            return Message.of_text(kind, pairs)
        self._counters.headers_over_limit += 1
        self._counters.note(f"dropped an event: it has over {MOST_HEADERS} headers")
        return None

    def begin_response(self) -> LongResponse:
        """A response that is read as its lines come."""
        return LongResponse(self._counters, self._encoding)

    def read_command(self, answer: bytes | bytearray, block: Block) -> Message:
        """The message of a ``Response: Follows`` answer, cut before ``--END COMMAND--``."""
        pairs = self.headers(answer[: block.headers_end])
        output = answer[block.text_start :]
        pairs.append(("Output", self._lines_of_text(output) + "\n" if output else ""))
        return Message.of_text(Kind.COMMAND, pairs)

    def unknown(self, text: str) -> Message:
        """Text that fits no rule, kept whole."""
        self._counters.unknown_packets += 1
        self._counters.note(f"unknown text: {text[:_NOTE_LENGTH]!r}")
        return Message(Kind.UNKNOWN, {"Text": text})

    def text(self, value: bytes | bytearray) -> str:
        """One value as text: UTF-8, else the encoding of the settings, else with U+FFFD."""
        try:
            return value.decode()
        except UnicodeDecodeError:
            return self._other_text(value)

    def headers(self, lines: bytes | bytearray, most: int | None = None) -> list[tuple[str, str]]:
        """Names and values without the blanks round the colon, no more than ``most`` of them.

        Whole lines that have no colon are counted, unless there are as many headers as that.
        """
        text, is_utf8 = _as_text(lines)
        line_ends = text.count("\n")
        if most is None or line_ends < most:
            found = _HEADER.findall(text)
        else:
            found = [line.groups() for line in itertools.islice(_HEADER.finditer(text), most)]
        if len(found) <= line_ends and len(found) != most:
            self._count_bare(text, line_ends + 1 - len(found))
        pairs = [
            (name, value.removeprefix(" ") if name.lower() == "output" else value.lstrip(" \t"))
            for name, value in [(name.rstrip(" \t"), value) for name, value in found]
        ]
        if is_utf8:
            return pairs
        return [(self._decoded(name), self._decoded(value)) for name, value in pairs]

    def _decoded(self, text: str) -> str:
        """One value of what `_as_text` made."""
        if _UNDECODED.search(text) is None:
            return text
        return self._other_text(text.encode(errors="surrogateescape"))

    def _other_text(self, value: bytes | bytearray) -> str:
        if self._encoding is not None:
            with contextlib.suppress(UnicodeError):
                return value.decode(self._encoding)
        self._counters.undecodable_values += 1
        return value.decode(errors="replace")

    def _lines_of_text(self, lines: bytes | bytearray) -> str:
        """Text of several lines; one undecodable line must not spoil the others."""
        text, is_utf8 = _as_text(lines)
        if is_utf8:
            return text
        return "\n".join([self._decoded(line) for line in text.split("\n", _LINES_ALONE)])

    def _queue_or_unknown(self, packet: bytes | bytearray) -> Message:
        # The summary of a queue holds colons and would pass for a header.
        text = self._lines_of_text(packet)
        if " calls (max " in text[: text.find("\n")]:
            queue = parse_queue(text.split("\n"))
            if queue is not None:
                return Message(Kind.QUEUE, queue)
        return self.unknown(text)

    def _count_bare(self, text: str, count: int) -> None:
        self._counters.lines_without_colon += count
        for line in itertools.islice(_BARE_LINE.finditer(text), _NOTES_KEPT):
            shown = line[0][:_NOTE_LENGTH].encode(errors="surrogateescape").decode(errors="replace")
            self._counters.note(f"a line without a colon: {shown!r}")


class LongResponse:
    """A response that is read as its lines come, so that no one step takes long.

    What is odd in it counts once it is whole.
    """

    def __init__(self, counters: Counters, encoding: str | None) -> None:
        self._counters = counters
        self._odd = Counters()
        self._reader = PacketReader(self._odd, encoding)
        self._answer = Answer()

    def add(self, lines: bytes | bytearray) -> None:
        """Take the next whole lines."""
        self._answer.add(self._reader.headers(lines))

    def finish(self) -> Message:
        """The message, once all lines are there."""
        self._counters.add(self._odd)
        return Message.of_text(*self._answer.finish())


def _as_text(lines: bytes | bytearray) -> tuple[str, bool]:
    """Lines as text, ended by LF but for the last, and whether they are UTF-8.

    What is not is kept as ``surrogateescape`` does, which leaves all of ASCII what it is:
    values can be cut out of the text and be decoded on their own.
    """
    try:
        text, is_utf8 = lines.decode(), True
    except UnicodeDecodeError:
        text, is_utf8 = lines.decode(errors="surrogateescape"), False
    return text.replace("\r\n", "\n").removesuffix("\n"), is_utf8
