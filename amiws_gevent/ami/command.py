"""The output of a CLI command, in the two ways in which servers send it.

Up to Asterisk 13 (``Response: Follows``): a few headers, then the text as it
is, blank lines included, up to ``--END COMMAND--`` and a blank line. The rule
that a blank line ends a packet does not hold in it. From 14 on: one ``Output``
header for each line. Both become one ``Output`` text, its lines ended by LF.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Asterisk appends the mark to whatever the command printed: it stands at the
# beginning of a line only where that text ended with a line end.
END = re.compile(rb"--END COMMAND--\r?\n\r?\n")
# The longest beginning of END that is not all of it.
END_PART = len(b"--END COMMAND--\r\n\r")

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
    position = 0
    while (newline := data.find(b"\n", position)) >= 0:
        name, colon, value = bytes(data[position:newline]).partition(b":")
        key = name.rstrip(b" \t").lower() if colon else b""
        position = newline + 1
        if key == b"response":
            return position if value.strip(b" \t\r").lower() == b"follows" else 0
        if key in (b"event", b"action") or (name in (b"", b"\r") and not colon):
            return 0
    return 0


def merge_output(pairs: list[tuple[str, str]]) -> list[tuple[str, str]] | None:
    """The headers of a response with all ``Output`` headers made one text, in place of the first.

    None where it is no answer to a command. One that announces output and
    carries none (a command that printed nothing) gets an empty ``Output``.
    """
    merged: list[tuple[str, str]] = []
    lines: list[str] = []
    place = -1
    for name, value in pairs:
        if name.lower() != "output":
            merged.append((name, value))
            continue
        if place < 0:
            place = len(merged)
            merged.append((name, ""))
        lines.append(f"{value}\n")
    if place >= 0:
        merged[place] = (merged[place][0], "".join(lines))
        return merged
    if any(name.lower() == "message" and _announces(value) for name, value in pairs):
        return [*merged, ("Output", "")]
    return None


def _announces(message: str) -> bool:
    return message.strip().lower() == "command output follows"
