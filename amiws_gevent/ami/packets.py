"""One whole packet, bytes to message: the careful way that every odd packet goes.

Bytes are split first and each whole value is decoded after, because values of
one packet may be in different encodings and Asterisk cuts long ones in
mid-character.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from .command import Block, merge_output
from .messages import Kind, Message
from .queues import parse_queue

# Notes are for the debug log, one at a time: what a hostile server writes must
# fill neither memory nor the log between two reads.
_NOTES_KEPT = 100
_NOTE_LENGTH = 200

_KINDS = {b"action": Kind.ACTION, b"event": Kind.EVENT, b"response": Kind.RESPONSE}


@dataclass(slots=True)
class Counters:
    """What was odd on a connection so far, in numbers."""

    lines_without_colon: int = 0
    packets_over_limit: int = 0
    lines_over_limit: int = 0
    packets_cut: int = 0  # half a packet when the connection ended
    unknown_packets: int = 0
    undecodable_values: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a line for the debug log; dropped while too many wait."""
        if len(self.notes) < _NOTES_KEPT:
            self.notes.append(text)


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

    def read(self, packet: bytes | bytearray) -> Message:
        """The message of a packet (its lines, the blank one that ends it left out)."""
        lines = split_lines(packet)
        headers, bare_lines = _split_headers(lines)
        kind = _kind_of(headers)
        if kind is Kind.UNKNOWN:
            return self._queue_or_unknown(lines)
        self._count_bare(bare_lines)
        pairs = self._decode(headers)
        if kind is Kind.RESPONSE:
            merged = merge_output(pairs)
            if merged is not None:
                return Message(Kind.COMMAND, merged)
        return Message(kind, pairs)

    def read_command(self, answer: bytes | bytearray, block: Block) -> Message:
        """The message of a ``Response: Follows`` answer, cut before ``--END COMMAND--``."""
        headers, bare_lines = _split_headers(split_lines(answer[: block.headers_end]))
        self._count_bare(bare_lines)
        pairs = self._decode(headers)
        text = answer[block.text_start :].replace(b"\r\n", b"\n")
        if text and not text.endswith(b"\n"):
            text += b"\n"
        pairs.append(("Output", self._lines_of_text(text)))
        return Message(Kind.COMMAND, pairs)

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

    def _other_text(self, value: bytes | bytearray) -> str:
        if self._encoding is not None:
            with contextlib.suppress(UnicodeError):
                return value.decode(self._encoding)
        self._counters.undecodable_values += 1
        return value.decode(errors="replace")

    def _lines_of_text(self, text: bytes | bytearray) -> str:
        """Text of several lines; one undecodable line must not spoil the others."""
        try:
            return text.decode()
        except UnicodeDecodeError:
            return "\n".join([self.text(line) for line in text.split(b"\n")])

    def _queue_or_unknown(self, lines: list[bytes]) -> Message:
        # The summary of a queue holds colons and would pass for a header.
        text = self._lines_of_text(b"\n".join(lines))
        if b" calls (max " in lines[0]:
            queue = parse_queue(text.split("\n"))
            if queue is not None:
                return Message(Kind.QUEUE, queue)
        return self.unknown(text)

    def _decode(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
        return [(self.text(name), self.text(value)) for name, value in headers]

    def _count_bare(self, lines: list[bytes]) -> None:
        self._counters.lines_without_colon += len(lines)
        for line in lines[:_NOTES_KEPT]:
            shown = line[:_NOTE_LENGTH].decode(errors="replace")
            self._counters.note(f"a line without a colon: {shown!r}")


def split_lines(packet: bytes | bytearray) -> list[bytes]:
    """The lines of a packet without their ends, CRLF or LF; a last end adds no line."""
    lines = [line.removesuffix(b"\r") for line in bytes(packet).split(b"\n")]
    if lines[-1] == b"":
        lines.pop()
    return lines


def _split_headers(lines: list[bytes]) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
    """Names and values without the blanks round the colon, and the lines that have none."""
    headers = []
    bare_lines = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            bare_lines.append(line)
            continue
        name = name.rstrip(b" \t")
        is_output = name.lower() == b"output"
        value = value.removeprefix(b" ") if is_output else value.lstrip(b" \t")
        headers.append((name, value))
    return headers, bare_lines


def _kind_of(headers: list[tuple[bytes, bytes]]) -> Kind:
    """The first of Action, Event and Response to appear decides (AMI.md's table)."""
    for name, _ in headers:
        kind = _KINDS.get(name.lower())
        if kind is not None:
            return kind
    return Kind.UNKNOWN
