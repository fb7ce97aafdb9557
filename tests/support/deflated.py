"""permessage-deflate on a client's side, as strict as one may be, and of other hands than ours."""

from __future__ import annotations

import zlib

TAIL = b"\x00\x00\xff\xff"


def deflated(message: bytes) -> bytes:
    """A message as a client sends it that keeps no window."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Window:
    """A client's window, kept over all messages, or ``alone`` begun anew with each.

    A message that refers to what was not sent to this client raises zlib.error, or becomes
    another than it was.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._alone = alone
        self._inflater = zlib.decompressobj(-15)
        self.messages = 0
        """That were compressed."""

    def text(self, payload: bytes, *, compressed: bool) -> bytes:
        """The message of a whole frame."""
        if not compressed:
            return payload
        self.messages += 1
        if self._alone:
            self._inflater = zlib.decompressobj(-15)
        message = self._inflater.decompress(payload + TAIL)
        assert not self._inflater.eof
        assert not self._inflater.unconsumed_tail
        return message

    def texts(self, frames: bytes) -> list[bytes]:
        """The messages of whole text frames of a server, one after the other."""
        found = []
        start = 0
        while start < len(frames):
            assert frames[start] in (0x81, 0xC1), "not a whole text frame"
            compressed, size = frames[start] == 0xC1, frames[start + 1]
            start += 2
            if size > 125:
                width = 2 if size == 126 else 8
                size = int.from_bytes(frames[start : start + width], "big")
                start += width
            assert start + size <= len(frames)
            found.append(self.text(frames[start : start + size], compressed=compressed))
            start += size
        return found
