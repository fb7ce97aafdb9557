"""The output of a CLI command, in the two ways in which servers send it.

Up to Asterisk 13 (``Response: Follows``): a few headers, then the text as it
is, blank lines included, up to ``--END COMMAND--`` and a blank line. The rule
that a blank line ends a packet does not hold in it. From 14 on: one ``Output``
header for each line. Both become one ``Output`` text, its lines ended by LF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .messages import Kind

# Asterisk appends the mark to whatever the command printed: it stands at the
# beginning of a line only where that text ended with a line end.
END = re.compile(rb"--END COMMAND--\r?\n\r?\n")
# The longest beginning of END that is not all of it.
END_PART = len(b"--END COMMAND--\r\n\r")

_KINDS = {b"action": Kind.ACTION, b"event": Kind.EVENT, b"response": Kind.RESPONSE}
# Servers say what a packet is in its first line. One that has not said it by so many is
# unknown text: who had to look further would look at a million.
_LINES_TO_SAY_IT = 1_000

_HEADERS_BEFORE_TEXT = frozenset((b"privilege", b"actionid", b"message"))


class Block(NamedTuple):
    """Where the parts of a ``Response: Follows`` answer are (offsets in bytes)."""

    headers_end: int
    text_start: int


def find_block(data: bytes | bytearray) -> Block | None:
    """The parts of the ``Response: Follows`` answer that ``data`` begins with, if it does.

    Only whole lines are looked at, and none behind the first blank line. The
    text begins at the first line that is not one of the headers that Asterisk
    sends, each once and ended like the ``Response`` line itself: text lines may
    look like headers, but end by LF. Some versions send the text's first line
    as an ``Output`` header.
    """
    position = _after_response(data)
    if position == 0:
        return None
    line_end = b"\r\n" if data.endswith(b"\r\n", 0, position) else b"\n"
    seen: set[bytes] = set()
    while (newline := data.find(b"\n", position)) >= 0:
        line = bytes(data[position : newline + 1])
        name, colon, value = line.partition(b":")
        key = name.rstrip(b" \t").lower()
        if not colon or not line.endswith(line_end):
            break
        if key == b"output":
            blank = 1 if value.startswith(b" ") else 0
            return Block(position, position + len(name) + 1 + blank)
        if key not in _HEADERS_BEFORE_TEXT or key in seen:
            break
        seen.add(key)
        position = newline + 1
    return Block(position, position)


def _after_response(data: bytes | bytearray) -> int:
    """The offset behind the line ``Response: Follows``; 0 where the packet is another."""
    kind, value, position = _said(data)
    return position if kind is Kind.RESPONSE and value.lower() == b"follows" else 0


def kind_of(data: bytes | bytearray) -> Kind:
    """What the packet is that ``data`` begins with; UNKNOWN where its whole lines do not say it.

    The first of Action, Event and Response to appear decides (AMI.md's table).
    """
    return _said(data)[0]


def _said(data: bytes | bytearray) -> tuple[Kind, bytes, int]:
    """The kind, the value of the header that says it, and the offset behind that line."""
    position = 0
    for _ in range(_LINES_TO_SAY_IT):
        newline = data.find(b"\n", position)
        if newline < 0:
            break
        name, colon, value = bytes(data[position:newline]).partition(b":")
        position = newline + 1
        if colon:
            kind = _KINDS.get(name.rstrip(b" \t").lower())
            if kind is not None:
                return kind, value.strip(b" \t\r"), position
        elif name in (b"", b"\r"):
            break
    return Kind.UNKNOWN, b"", 0


class Answer:
    """The headers of a response as they come, all ``Output`` made one text in place of the first.

    It is the answer to a command if it has any, or announces output and has none
    (a command that printed nothing); that one gets an empty ``Output``.
    """

    def __init__(self) -> None:
        self._pairs: list[tuple[str, str]] = []
        self._output: list[str] = []
        self._place = -1
        self._announced = False

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take the next headers."""
        for pair in pairs:
            folded = pair[0].lower()
            if folded != "output":
                self._pairs.append(pair)
                self._announced |= folded == "message" and _announces(pair[1])
                continue
            if self._place < 0:
                self._place = len(self._pairs)
                self._pairs.append(pair)
            self._output.append(pair[1])

    def finish(self) -> tuple[Kind, list[tuple[str, str]]]:
        """RESPONSE or COMMAND, and the headers; called once."""
        if self._place >= 0:
            self._output.append("")
            self._pairs[self._place] = (self._pairs[self._place][0], "\n".join(self._output))
        elif self._announced:
            self._pairs.append(("Output", ""))
        else:
            return Kind.RESPONSE, self._pairs
        return Kind.COMMAND, self._pairs


def _announces(message: str) -> bool:
    return message.strip().lower() == "command output follows"
