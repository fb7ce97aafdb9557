"""A raw capture cut into whole packets, byte for byte: nothing changed, nothing lost.

A capture is what a server sent on one connection, from its banner (or from
anywhere behind it) on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from amiws_gevent.ami import command

# More without the end of a packet is passed on as it is: the reader has limits of its own.
LARGEST_PACKET = 16 * 1024 * 1024

_BANNER = re.compile(rb"(?:\r?\n)*[^:\r\n]+/[0-9]+\.[0-9]+(?:\.[0-9]+)?[ \t]*\r?\n")
_BLANK_LINES = re.compile(rb"(?:\r?\n)*")
_PACKET_END = re.compile(rb"\n\r?\n(?:\r?\n)*")


def banner_of(beginning: bytes) -> bytes:
    """The banner's line that a capture begins with; empty where it has none."""
    match = _BANNER.match(beginning)
    return match.group() if match else b""


def cut_packets(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The packets in ``chunks``, each with the blank lines behind it; joined they are the chunks.

    What is left behind the last blank line comes last, though it is no whole packet.
    """
    pending = bytearray()
    searched = 0
    for chunk in chunks:
        pending += chunk
        while end := _packet_end(pending, searched):
            yield bytes(pending[:end])
            del pending[:end]
            searched = 0
        if len(pending) > LARGEST_PACKET:
            yield bytes(pending)
            pending.clear()
        searched = max(0, len(pending) - len(b"\n\r\n"))
    if pending:
        yield bytes(pending)


def _packet_end(pending: bytearray, searched: int) -> int:
    """The offset behind the first packet; 0 while it may not be whole.

    Blank lines that may go on in the next chunk do not matter: the rest of them
    stands before the next packet then, where the parser skips it.
    """
    blank = _BLANK_LINES.match(pending)
    start = blank.end() if blank else 0
    match = _PACKET_END.search(pending, max(start, searched))
    if match is None:
        return 0
    block = command.find_block(pending[start : match.start() + 1])
    if block is None:
        return match.end()
    end = command.END.search(pending, start + block.text_start)
    return end.end() if end else 0
