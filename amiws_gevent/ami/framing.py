"""Bytes of one connection in, whole messages out.

A connection is one banner line and then packets, each ended by a blank line,
where any line may end by CRLF or by LF alone. Two things break that rule: the
banner has no blank line, and the text of a ``Response: Follows`` answer may
hold blank lines (see command.py). The parser is in one of these states:

    =============  ==========================================  ====================
    state          what the pending bytes begin with           left when
    =============  ==========================================  ====================
    first line     the first line that is not blank            it is whole
    packets        blank lines or a packet                     (the usual state)
    command block  a ``Response: Follows`` answer              its END mark is whole
    long response  lines of a response, others of it are read  its blank line is whole
    skipping       the rest of a packet over a limit           its end is found
    =============  ==========================================  ====================

The same bytes give the same messages and counts however they are cut. For
limits that means: a packet is dropped at the first byte that is over one of
them (the end of its last line, the blank line and the END mark do not count),
and while it is still arriving only if that byte can be nothing else.

What one call does takes time in proportion to the bytes that it is given, and to few
others: a caller that lets others work between its reads keeps nobody waiting, however
large a packet is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from . import command
from .events import EventReader
from .messages import LONG, Kind, Message
from .packets import Counters, LongResponse, PacketReader

# A read of more is taken in pieces of this size: what is decoded and cut at
# once stays in the processor's cache, and memory does not follow the read.
_PIECE = 256 * 1024

LONG_RESPONSE = 16 * 1024
"""Bytes. A response of more is read as its lines come: 4 MiB of them at once take a second."""

_CR = 0x0D
_BLANK_LINE = re.compile(rb"^\r?\n", re.MULTILINE)
_BANNER = re.compile(rb"([^:]+)/([0-9]+\.[0-9]+(?:\.[0-9]+)?)[ \t]*")


class _Skip(NamedTuple):
    """What ends the bytes to drop, and how many of the last ones may be part of it."""

    end: re.Pattern[bytes]
    keep: int


_SKIP_LINE = _Skip(re.compile(rb"\n"), 0)
_SKIP_PACKET = _Skip(re.compile(rb"\n\r?\n"), 2)
_SKIP_COMMAND = _Skip(command.END, command.END_PART)


class Parser:
    """The AMI parser of one connection; a new connection takes a new one.

    ``encoding`` is tried for values that are not UTF-8. ``max_line`` is bytes
    without the line end, ``max_packet`` bytes up to the end of the last line; a
    packet over one of them is dropped and counted, and the connection goes on.
    Memory is bounded by ``max_packet`` and one read. ``counters`` tells what was
    odd so far. Raises LookupError for an unknown encoding.
    """

    def __init__(
        self, *, encoding: str | None = None, max_line: int = 1 << 20, max_packet: int = 4 << 20
    ) -> None:
        self.counters = Counters()
        self._reader = PacketReader(self.counters, encoding)
        self._events = EventReader()
        self._pending = bytearray()
        self._searched = 0  # no end of what is pending begins before this offset
        self.configure(max_line=max_line, max_packet=max_packet)
        self._first_line_seen = False
        self._block: command.Block | None = None
        self._response: LongResponse | None = None
        self._response_size = 0  # bytes of it that were read
        self._skip: _Skip | None = None

    def configure(self, *, max_line: int, max_packet: int) -> None:
        """New limits, for a packet that is arriving as well; what is skipped stays so."""
        self._max_line = max_line
        self._max_packet = max_packet
        self._limit = min(max_line, max_packet)
        self._line_start = 0  # lines before this offset of what is pending were measured

    def receive_data(self, data: bytes) -> list[Message]:
        """Take bytes as they came; all messages that are whole by now, in order."""
        messages: list[Message] = []
        for start in range(0, len(data), _PIECE):
            self._pending += data[start : start + _PIECE]
            while self._advance(messages):
                pass
        return messages

    def receive_eof(self) -> list[Message]:
        """The connection ended: half a packet is dropped and counted, never passed on."""
        if self._response is not None or (self._skip is None and self._pending.strip(b"\r\n")):
            self.counters.packets_cut += 1
            shown = bytes(self._pending[:200])
            self.counters.note(f"the connection ended within a packet: {shown!r}")
        self._consume(len(self._pending))
        return []

    def pop_notes(self) -> list[str]:
        """What was odd since the last call, for the debug log; each short, not very many."""
        notes = self.counters.notes
        if notes:
            self.counters.notes = []
        return notes

    def _advance(self, messages: list[Message]) -> bool:
        """One step in the present state; False once more bytes are needed."""
        if self._skip is not None:
            return self._skip_on(self._skip)
        if self._block is not None:
            return self._read_block(self._block, messages)
        if self._response is not None:
            return self._read_on(self._response, messages)
        self._drop_blank_lines()
        if not self._first_line_seen:
            return self._read_first_line(messages)
        end = self._whole_packets_end()
        if end == 0:
            self._searched = max(0, len(self._pending) - 2)
            return self._drop_if_over_limit() or self._begin_response()
        self._consume(self._read_region(self._pending[:end], messages))
        return True

    def _consume(self, count: int) -> None:
        del self._pending[:count]
        self._searched = 0
        self._line_start = 0

    def _skip_on(self, skip: _Skip) -> bool:
        match = skip.end.search(self._pending)
        if match is None:
            self._consume(max(0, len(self._pending) - skip.keep))
            return False
        self._consume(match.end())
        self._skip = None
        return True

    def _drop_blank_lines(self) -> None:
        count = _after_blank_lines(self._pending, 0)
        if count:
            self._consume(count)

    def _read_first_line(self, messages: list[Message]) -> bool:
        """The banner, a header (no banner then), or a line of something that is no AMI."""
        newline = self._pending.find(b"\n", self._searched)
        if newline < 0 and len(self._pending) <= self._limit:
            self._searched = len(self._pending)
            return False
        end = newline if newline >= 0 else len(self._pending)
        line = self._pending[:end].removesuffix(b"\r")
        if b":" in line[: self._limit]:
            self._first_line_seen = True
            return True
        if len(line) > self._limit:
            self._first_line_seen = True
            self._count_excess(0, self._limit)
            self._skip = _SKIP_LINE
            self._consume(self._limit)
            return True
        if newline < 0:
            return False  # it ends at the limit with a CR that an LF may follow
        self._first_line_seen = True
        self._consume(newline + 1)
        messages.append(self._banner(line))
        return True

    def _banner(self, line: bytearray) -> Message:
        match = _BANNER.fullmatch(line)
        if match is None:
            return self._reader.unknown(self._reader.text(line))
        product, version = match.groups()
        return Message(
            Kind.PROMPT,
            {"Product": self._reader.text(product), "Version": self._reader.text(version)},
        )

    def _whole_packets_end(self) -> int:
        """The offset behind the last blank line that is pending; 0 if there is none."""
        end = 0
        crlf = self._pending.rfind(b"\n\r\n", self._searched)
        if crlf >= 0:
            end = crlf + 3
        lf = self._pending.rfind(b"\n\n", max(self._searched, crlf + 1))
        return lf + 2 if lf >= 0 else end

    def _read_region(self, region: bytearray, messages: list[Message]) -> int:
        """Read whole packets up to the region's end; how many bytes are done with.

        Less than all are where a command block is not whole or a packet is over
        a limit; the state tells which.
        """
        if len(region) > self._limit:
            return self._read_carefully(region, 0, messages)
        try:
            text = region.decode()
        except UnicodeDecodeError:
            return self._read_carefully(region, 0, messages)
        read_event = self._events.read
        for index, packet in enumerate(text.split("\r\n\r\n")):
            headers = read_event(packet)
            if headers is not None:
                message = Message(Kind.EVENT, headers)
                if len(packet) > LONG:
                    message.long = True
                messages.append(message)
            elif not self._read_regular(packet, messages):
                rest = region.split(b"\r\n\r\n", index)[index]
                return self._read_carefully(region, len(region) - len(rest), messages)
        return len(region)

    def _read_regular(self, packet: str, messages: list[Message]) -> bool:
        """Read one packet of a decoded region; False if a blank CRLF line does not end it."""
        packet = packet.removeprefix("\r\n")
        if not packet:
            return True
        if packet.count("\n") != packet.count("\r\n"):
            return False
        raw = packet.encode() + b"\r\n"
        if command.find_block(raw) is not None:
            return False
        message = self._reader.read(raw)
        if message is not None:
            messages.append(message)
        return True

    def _read_carefully(self, region: bytearray, position: int, messages: list[Message]) -> int:
        """As _read_region, packet by packet, whatever ends the lines."""
        ends = _PacketEnds(region)
        while (position := _after_blank_lines(region, position)) < len(region):
            end, after = ends.find(position)
            raw = region[position:end]
            line_start, cut = self._measure(raw, 0, len(raw))
            block = command.find_block(raw if cut is None else raw[:cut])
            if block is not None:
                match = command.END.search(region, position + block.text_start)
                if match is None:
                    self._block = block
                    return position
                self._take_block(region[position : match.start()], block, messages)
                position = match.end()
            elif cut is not None:
                self._count_excess(line_start, cut)
                self._skip = _SKIP_PACKET
                return position + cut
            else:
                message = self._read_one(raw)
                if message is not None:
                    messages.append(message)
                position = after
        return position

    def _read_one(self, raw: bytearray) -> Message | None:
        """One packet in a region that is odd somewhere, perhaps not here."""
        if raw.startswith(b"Event: ") and raw.endswith(b"\r\n"):
            try:
                headers = self._events.read(raw[:-2].decode())
            except UnicodeDecodeError:
                headers = None
            if headers is not None:
                message = Message(Kind.EVENT, headers)
                message.long = len(raw) > LONG
                return message
        return self._reader.read(raw)

    def _begin_response(self) -> bool:
        """Read a response that is long already as its lines come, if it is one."""
        if len(self._pending) <= LONG_RESPONSE:
            return False
        if command.kind_of(self._pending) is not Kind.RESPONSE:
            return False
        if command.find_block(self._pending) is not None:
            return False
        self._response = self._reader.begin_response()
        return True

    def _read_on(self, response: LongResponse, messages: list[Message]) -> bool:
        """Read the lines of a long response that are whole; True once all of it is done with."""
        blank_line = _BLANK_LINE.search(self._pending, self._searched)
        if blank_line is None:
            end = self._pending.rfind(b"\n", self._searched) + 1
            certain = len(self._pending) - self._pending.endswith(b"\r")
        else:
            end = certain = blank_line.start()
        line_start, cut = self._measure(self._pending, 0, certain)
        if cut is not None:
            self._end_response()
            self._start_skip(_SKIP_PACKET, line_start, cut)
            return True
        if end:
            response.add(self._pending[:end])
        if blank_line is None:
            self._response_size += end
            self._consume(end)
            self._searched = max(0, len(self._pending) - 2)
            return False
        messages.append(response.finish())
        self._end_response()
        self._consume(blank_line.end())
        return True

    def _end_response(self) -> None:
        self._response = None
        self._response_size = 0

    def _read_block(self, block: command.Block, messages: list[Message]) -> bool:
        match = command.END.search(self._pending, max(block.text_start, self._searched))
        if match is None:
            self._searched = max(0, len(self._pending) - command.END_PART)
            return self._drop_block_if_over_limit()
        self._block = None
        self._take_block(self._pending[: match.start()], block, messages)
        self._consume(match.end())
        return True

    def _take_block(self, answer: bytearray, block: command.Block, messages: list[Message]) -> None:
        line_start, cut = self._measure(answer, 0, len(answer))
        if cut is None:
            messages.append(self._reader.read_command(answer, block))
        else:
            self._count_excess(line_start, cut)

    def _drop_block_if_over_limit(self) -> bool:
        """Skip the command block that is arriving once it is over a limit for certain."""
        end = len(self._pending) - command.END_PART
        end -= self._pending.endswith(b"\r", 0, max(0, end))
        self._line_start, cut = self._measure(self._pending, self._line_start, end)
        if cut is None:
            return False
        self._block = None
        self._start_skip(_SKIP_COMMAND, self._line_start, cut)
        return True

    def _drop_if_over_limit(self) -> bool:
        """Skip the packet that is arriving once it is over a limit for certain."""
        end = len(self._pending) - self._pending.endswith(b"\r")
        line_start, cut = self._measure(self._pending, self._line_start, end)
        if cut is None:
            self._line_start = line_start
            return False
        block = command.find_block(self._pending[:cut])
        if block is None:
            self._start_skip(_SKIP_PACKET, line_start, cut)
            return True
        if cut >= len(self._pending) - command.END_PART:
            return False  # that byte may belong to the END mark
        self._start_skip(_SKIP_COMMAND, line_start, cut)
        return True

    def _start_skip(self, skip: _Skip, line_start: int, cut: int) -> None:
        self._count_excess(line_start, cut)
        self._skip = skip
        self._consume(cut)

    def _measure(self, data: bytearray, line_start: int, end: int) -> tuple[int, int | None]:
        """Look for the first byte over a limit in ``data[:end]``, from a line's start on.

        Gives the start of the line that it is in and its offset; None for the
        offset, and a start to go on from, where all is within the limits.
        """
        if self._response_size + end <= self._limit:
            return line_start, None
        max_packet = max(0, self._max_packet - self._response_size)
        while True:
            # Lines that end here are short enough, however many they are.
            within = min(line_start + self._max_line, max_packet, end)
            line_start = max(line_start, data.rfind(b"\n", line_start, within) + 1)
            newline = data.find(b"\n", line_start, end)
            line_end = newline if newline >= 0 else end
            if newline > line_start and data[newline - 1] == _CR:
                line_end -= 1
            allowed = min(line_start + self._max_line, max_packet)
            if line_end > allowed and (newline >= 0 or line_end > line_start):
                return line_start, max(line_start, allowed)
            if newline < 0:
                return line_start, None
            line_start = newline + 1

    def _count_excess(self, line_start: int, cut: int) -> None:
        if cut == line_start + self._max_line:
            self.counters.lines_over_limit += 1
            self.counters.note(f"dropped a packet: a line is over {self._max_line} bytes")
        else:
            self.counters.packets_over_limit += 1
            self.counters.note(f"dropped a packet: it is over {self._max_packet} bytes")


class _PacketEnds:
    """Finds the blank lines of a region one after the other, in linear time."""

    def __init__(self, region: bytearray) -> None:
        self._region = region
        self._crlf = -1  # the next blank line ended by CRLF, its length if there is none

    def find(self, position: int) -> tuple[int, int]:
        """The offsets behind a packet's last line, and behind the blank line after it."""
        if self._crlf < position:
            found = self._region.find(b"\n\r\n", position)
            self._crlf = found if found >= 0 else len(self._region)
        lf = self._region.find(b"\n\n", position, self._crlf + 1)
        if lf >= 0:
            return lf + 1, lf + 2
        return self._crlf + 1, self._crlf + 3


def _after_blank_lines(data: bytearray, position: int) -> int:
    while True:
        if data.startswith(b"\n", position):
            position += 1
        elif data.startswith(b"\r\n", position):
            position += 2
        else:
            return position
