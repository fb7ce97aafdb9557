"""Raw DEFLATE as permessage-deflate uses it (RFC 7692, section 7.2), without frames and I/O.

A message that a server sends may refer to the messages before it, which the client keeps in its
window. Ours refer to what one `Window` has compressed, and never behind its first message: so
what a window makes is understood by every client that gets all of it, whatever it got before.
"""

from __future__ import annotations

import zlib

from amiws_gevent.errors import AmiwsError

WINDOW_BITS = 15
"""Of our windows: 32 KiB, the most that there is."""

_LEVEL = 3
"""Of messages of the same kinds 14 times fewer bytes; 6 would make 18 times fewer of them, and
take half as long again."""

_TAIL = b"\x00\x00\xff\xff"  # of each flush; it is left out of messages (section 7.2.1)
_LAST_BLOCK = b"\x01\x00\x00\xff\xff"  # empty: it ends a stream where a block may begin
_ENDED_BY_CLIENT = b"\x00" + _TAIL + _LAST_BLOCK  # behind a block that said it is the last


class Window:
    """Compresses some messages, each of which may refer to those before it."""

    __slots__ = ("_compress", "_flush")

    def __init__(self) -> None:
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -WINDOW_BITS)
        self._compress = compressor.compress
        self._flush = compressor.flush

    def deflate(self, message: bytes) -> bytes:
        """The next message, as the payload of a frame."""
        return (self._compress(message) + self._flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


class InflateError(AmiwsError):
    """What a client sent is no compressed message, or a part of one."""


class TooLongError(AmiwsError):
    """A message is longer than it may be."""


def inflate(payload: bytes, limit: int) -> bytes:
    """A whole message of a client, which refers to none before it.

    Of one of more than ``limit`` bytes no more is inflated than one byte: TooLongError. Raises
    InflateError for what is cut off, spoilt, or goes on behind its end.
    """
    inflater = zlib.decompressobj(-WINDOW_BITS)
    try:
        message = inflater.decompress(payload + _TAIL + _LAST_BLOCK, limit + 1)
    except zlib.error as error:
        raise InflateError(str(error)) from None
    if len(message) > limit:
        raise TooLongError
    if not inflater.eof or inflater.unused_data not in (b"", _ENDED_BY_CLIENT):
        raise InflateError("the message is cut off, or goes on behind its end")
    return message
