"""WebSocket frames without I/O (RFC 6455, sections 5 to 8; RFC 7692): bytes in, values out.

gevent-websocket parses the header. What it accepts against the RFC (frames without a mask,
any length, any opcode) is refused here, before the payload is read. Frames to clients are
not masked, so that all clients share the same bytes.

What makes frames of messages is an encoding of a view (`views`). Each call of one stands alone:
what it returns never refers to what a client was sent before. So whoever gets all of it, or none,
understands what comes next, whatever of other calls was left out.
"""

from __future__ import annotations

import codecs
import io
import struct
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from geventwebsocket.exceptions import ProtocolError, WebSocketError
from geventwebsocket.websocket import Header

from amiws_gevent.errors import AmiwsError
from amiws_gevent.web.deflate import InflateError, TooLongError, Window, inflate

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

# Close codes of RFC 6455, section 7.4.1, and of the IANA registry.
NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_CODE = 1005  # never on the wire: the Close frame had no code
ABNORMAL = 1006  # never on the wire: the connection ended without a Close frame
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013
# Of our own (section 7.4.2), in memory of HTTP's 401, 403 and 410.
LOGIN_ENDED = 4401
RIGHTS_CHANGED = 4403
LOGOUT = 4410

_FIN = 0x80
_RSV1 = 0x40  # of the first frame of a message: it is compressed (RFC 7692, section 6)
_DEFLATED_TEXT = _RSV1 | TEXT
_LONGEST_CONTROL = 125  # RFC 6455, section 5.5
_NOT_ON_THE_WIRE = frozenset((1004, NO_CODE, ABNORMAL))

# For each byte of a mask, what it makes of each byte: bytes.translate then unmasks a
# quarter of the payload in one C loop, some 50 times faster than byte by byte.
_UNMASK = tuple(bytes(value ^ key for value in range(256)) for key in range(256))


class FrameError(AmiwsError):
    """What a client sent that ends its connection; ``code`` goes into the Close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Stream(Protocol):
    """Where frames are read from; short of ``size`` only at the end of the input."""

    def read(self, size: int, /) -> bytes: ...


class FrameHeader(NamedTuple):
    """A header that was checked; ``length`` is the payload's in bytes."""

    opcode: int
    fin: bool
    length: int
    mask: bytes
    deflated: bool = False
    """Whether it begins a message that is compressed."""


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole frame of a server: final, not masked."""
    return _head(opcode, len(payload)) + payload


def _head(opcode: int, size: int) -> bytes:
    first = _FIN | opcode
    if size < 126:
        return struct.pack("!BB", first, size)
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size)
    return struct.pack("!BBQ", first, 127, size)


SMALLEST_DEFLATED = 200
"""Bytes of what is compressed at once; less gains too little for its time."""


MOST_ALONE = 128
"""Messages of one call that are compressed each by itself: some 11 us each, three times as long as
with a window."""


def text_frames(payloads: Sequence[bytes]) -> bytes:
    """The text frames of several messages in one buffer; made for thousands at a time."""
    parts = []
    for payload in payloads:
        size = len(payload)
        parts.append(_TEXT_HEADS[size] if size < _HEADS else _head(TEXT, size))
        parts.append(payload)
    return b"".join(parts)


def deflated_frames(payloads: Sequence[bytes]) -> bytes:
    """The same compressed, for clients with permessage-deflate that keep their window.

    The messages share a window, which begins with the first of them.
    """
    if sum(map(len, payloads)) < SMALLEST_DEFLATED:
        return text_frames(payloads)
    deflate = Window().deflate
    parts = []
    for payload in payloads:
        deflated = deflate(payload)
        parts.append(_head(_DEFLATED_TEXT, len(deflated)))
        parts.append(deflated)
    return b"".join(parts)


def deflated_alone(payloads: Sequence[bytes]) -> bytes:
    """The same for clients that keep no window: each message has one of its own.

    Many are sent as they are: for a whole pass it would take 25 ms, in which no server is read.
    """
    if len(payloads) > MOST_ALONE:
        return text_frames(payloads)
    return b"".join([deflated_frames((payload,)) for payload in payloads])


def text_frame(payload: bytes) -> bytes:
    """A text frame; ``payload`` is UTF-8."""
    return frame(TEXT, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A Close frame; 1005 makes an empty one. A long reason is cut where a character ends."""
    if code == NO_CODE:
        return frame(CLOSE, b"")
    text = reason.encode("utf-8", "replace")[: _LONGEST_CONTROL - 2]
    return frame(CLOSE, struct.pack("!H", code) + text.decode("utf-8", "ignore").encode())


def frame_end(frames: bytes, offset: int) -> int:
    """The first boundary between frames at or after ``offset`` in whole frames of a server.

    This is where a Close frame may go in when the bytes before ``offset`` are sent.
    """
    end = 0
    while end < offset:
        end = _next_frame(frames, end)
    return end


def _next_frame(frames: bytes, position: int) -> int:
    """Where the frame that begins at ``position`` ends."""
    size = frames[position + 1]
    if size < 126:
        return position + 2 + size
    width = 2 if size == 126 else 8
    head = position + 2 + width
    return head + int.from_bytes(frames[position + 2 : head], "big")


def unmask(payload: bytes, mask: bytes) -> bytes:
    """Undo the masking of a client (RFC 6455, section 5.3); ``mask`` is 4 bytes."""
    plain = bytearray(len(payload))
    for stride in range(4):
        plain[stride::4] = payload[stride::4].translate(_UNMASK[mask[stride]])
    return bytes(plain)


def parse_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a client's Close frame; 1005 when it has none.

    Raises FrameError: 1002 for half a code or one that must not be sent (section
    7.4), 1007 for a reason that is not UTF-8.
    """
    if not payload:
        return NO_CODE, ""
    if len(payload) == 1:
        raise FrameError(PROTOCOL_ERROR, "half a close code")
    code = int.from_bytes(payload[:2], "big")
    if not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in _NOT_ON_THE_WIRE:
        raise FrameError(PROTOCOL_ERROR, f"close code {code} must not be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameError(INVALID_DATA, "the reason of the close is not UTF-8") from None


class Message:
    """The text message that is coming in, from its first fragment to its last.

    Each fragment is checked for UTF-8 when it comes, so that a bad one is refused before
    the rest is sent; a ``deflated`` message is inflated when it is whole, to ``limit`` bytes.
    ``since`` is when its first header came, ``size`` the bytes so far.
    """

    __slots__ = ("_decoder", "_deflated", "_limit", "_text", "since", "size")

    def __init__(self, since: float = 0.0, *, deflated: bool = False, limit: int = 0) -> None:
        self.since = since
        self.size = 0
        self._limit = limit
        self._deflated = bytearray() if deflated else None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._text: io.StringIO | None = None

    def add(self, payload: bytes, *, fin: bool) -> str | None:
        """Take the payload of one data frame; the whole text if it was the last.

        Raises FrameError 1007 for what is not UTF-8 or cannot be inflated, 1009 for what is
        longer than ``limit`` once it is inflated.
        """
        try:
            if self._deflated is not None:
                return self._add_deflated(self._deflated, payload, fin=fin)
            if self._text is None and fin:
                return payload.decode()
            return self._add_fragment(payload, fin=fin)
        except UnicodeDecodeError:
            raise FrameError(INVALID_DATA, "a text message that is not UTF-8") from None

    def _add_deflated(self, so_far: bytearray, payload: bytes, *, fin: bool) -> str | None:
        so_far += payload
        self.size = len(so_far)
        if not fin:
            return None
        try:
            return inflate(bytes(so_far), self._limit).decode()
        except TooLongError:
            raise _too_big(self._limit) from None
        except InflateError as error:
            raise FrameError(INVALID_DATA, f"a message cannot be inflated: {error}") from None

    def _add_fragment(self, payload: bytes, *, fin: bool) -> str | None:
        if self._text is None or self._decoder is None:
            self._text = io.StringIO()
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text.write(self._decoder.decode(payload, fin))
        self.size += len(payload)
        if not fin:
            return None
        return self._text.getvalue()


def _too_big(limit: int) -> FrameError:
    return FrameError(TOO_BIG, f"a message of more than {limit} bytes")


def read_header(
    stream: Stream, message: Message | None, limit: int, *, deflate: bool = False
) -> FrameHeader:
    """Read and check the header of a client's next frame.

    Raises FrameError with the code to close with, and EOFError where the input ends.
    ``message`` is the one that has begun, None if the next data frame begins one; ``limit``
    bounds the bytes of a message, as it is sent. ``deflate``: it may be compressed.
    """
    try:
        header = Header.decode_header(stream)
    except ProtocolError:  # gevent-websocket's words carry the raw bytes
        raise FrameError(PROTOCOL_ERROR, "a control frame in fragments or too long") from None
    except WebSocketError:
        raise EOFError("the connection ended in a frame") from None
    deflated = deflate and message is None and header.flags == _RSV1 and header.opcode < CLOSE
    checked = FrameHeader(
        header.opcode, bool(header.fin), header.length, bytes(header.mask or b""), deflated
    )
    if header.flags and not deflated:
        raise FrameError(PROTOCOL_ERROR, "a reserved bit is set")
    if not checked.mask:
        raise FrameError(PROTOCOL_ERROR, "a frame without a mask")
    if checked.opcode in (CONTINUATION, TEXT, BINARY):
        _check_data(checked, message, limit)
    elif checked.opcode not in (CLOSE, PING, PONG):
        raise FrameError(PROTOCOL_ERROR, f"opcode {checked.opcode} is unknown")
    return checked


def _check_data(header: FrameHeader, message: Message | None, limit: int) -> None:
    if (message is not None) != (header.opcode == CONTINUATION):
        raise FrameError(
            PROTOCOL_ERROR,
            "a new message within another" if message else "a fragment of no message",
        )
    if header.opcode == BINARY:
        raise FrameError(UNSUPPORTED_DATA, "a binary message: send actions as text")
    if header.length >> 63:
        raise FrameError(PROTOCOL_ERROR, "the highest bit of a length is set")
    if header.length + (message.size if message else 0) > limit:
        raise _too_big(limit)


def read_payload(stream: Stream, header: FrameHeader) -> bytes:
    """The payload, unmasked; raises EOFError where the input ends before it does."""
    payload = stream.read(header.length)
    if len(payload) < header.length:
        raise EOFError("the connection ended in a frame")
    return unmask(payload, header.mask)


# Of nearly all messages; a list of 4,096 small ones costs 200 KiB.
_HEADS = 4096
_TEXT_HEADS = [_head(TEXT, size) for size in range(_HEADS)]
