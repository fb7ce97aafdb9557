"""Any text in any fragments comes out whole; any bytes are frames or a documented refusal."""

from __future__ import annotations

import io
import itertools

from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.web.frames import (
    FrameError,
    Message,
    frame,
    frame_end,
    parse_close,
    read_header,
    read_payload,
    unmask,
)
from tests.support.webserver import masked


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_unmasking_is_xor_and_its_own_inverse(payload: bytes, mask: bytes) -> None:
    plain = unmask(payload, mask)
    assert plain == bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    assert unmask(plain, mask) == payload


def text_of(pieces: list[bytes]) -> str | int | None:
    """What comes of a message in these fragments: its text, or the code of the refusal."""
    message = None
    outcome = None
    try:
        for number, piece in enumerate(pieces, 1):
            frame = masked(0 if number > 1 else 1, piece, fin=number == len(pieces))
            stream = io.BytesIO(frame)
            header = read_header(stream, message, 1000)
            message = message or Message()
            outcome = message.add(read_payload(stream, header), fin=header.fin)
    except FrameError as error:
        return error.code
    return outcome


@given(st.text(max_size=200), st.lists(st.integers(0, 800), max_size=8))
def test_a_text_in_fragments_comes_out_whole(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "surrogatepass")
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)] or [b""]
    surrogates = any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)
    assert text_of(pieces) == (1007 if surrogates else text)


def read_all(stream: io.BytesIO) -> int:
    """Read frames to the end of the input (0) or to the first that is refused (its code)."""
    message = None
    try:
        while True:
            header = read_header(stream, message, 100)
            payload = read_payload(stream, header)
            assert len(payload) == header.length <= 125
            if header.opcode < 8:
                message = message or Message()
                message.add(payload, fin=header.fin)
                message = None if header.fin else message
            elif header.opcode == 8:
                parse_close(payload)
    except FrameError as error:
        return error.code
    except EOFError:
        return 0


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_documented_refusal(data: bytes) -> None:
    stream = io.BytesIO(data)
    code = read_all(stream)
    assert code in {0, 1002, 1003, 1007, 1009}
    assert code or not stream.read()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8), st.data())
def test_frame_end_is_the_next_boundary(payloads: list[bytes], data: st.DataObject) -> None:
    frames = [frame(1, payload) for payload in payloads]
    whole = b"".join(frames)
    ends = [len(b"".join(frames[:count])) for count in range(len(frames) + 1)]
    offset = data.draw(st.integers(0, len(whole)))
    assert frame_end(whole, offset) == min(end for end in ends if end >= offset)
