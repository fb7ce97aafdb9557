"""Frames without I/O: what is made, what is taken, what is refused before it is read."""

from __future__ import annotations

import io

import pytest

from amiws_gevent.views import Encoding
from amiws_gevent.web.frames import (
    CLOSE,
    MOST_ALONE,
    PING,
    SMALLEST_DEFLATED,
    FrameError,
    FrameHeader,
    Message,
    close_frame,
    deflated_alone,
    deflated_frames,
    frame,
    frame_end,
    parse_close,
    read_header,
    read_payload,
    text_frame,
    text_frames,
    unmask,
)
from tests.support.deflated import Window, deflated
from tests.support.webserver import masked

LIMIT = 1000  # bytes of a message


def read(data: bytes, message: Message | None = None) -> FrameHeader:
    return read_header(io.BytesIO(data), message, LIMIT)


def code_of(data: bytes, message: Message | None = None) -> int:
    with pytest.raises(FrameError) as caught:
        read(data, message)
    return caught.value.code


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_text_frame_has_the_shortest_length(size: int, head: bytes) -> None:
    assert text_frame(b"x" * size) == head + b"x" * size


def test_other_frames_have_their_opcode() -> None:
    assert frame(PING, b"ab") == b"\x89\x02ab"


def test_close_frame() -> None:
    assert close_frame(1000) == b"\x88\x02\x03\xe8"
    assert close_frame(1013, "too slow") == b"\x88\x0a\x03\xf5too slow"
    assert close_frame(1005, "ignored") == b"\x88\x00"


def test_a_long_reason_is_cut_between_characters() -> None:
    made = close_frame(1000, "é" * 100)
    assert made[1] == len(made) - 2 == 2 + 122
    assert made[4:].decode() == "é" * 61


def test_unmask_as_in_the_rfc() -> None:
    # RFC 6455, section 5.7: a masked "Hello"
    assert unmask(b"\x7f\x9f\x4d\x51\x58", b"\x37\xfa\x21\x3d") == b"Hello"
    assert unmask(b"", b"abcd") == b""


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_header_and_payload_are_read(size: int) -> None:
    stream = io.BytesIO(masked(1, b"z" * size) + b"next")
    header = read_header(stream, None, 1 << 20)
    assert (header.opcode, header.fin, header.length) == (1, True, size)
    assert read_payload(stream, header) == b"z" * size
    assert stream.read() == b"next"


def test_a_mask_of_zeros_is_a_mask() -> None:
    assert read(b"\x81\x80\0\0\0\0").mask == b"\0\0\0\0"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x02hi", 1002),  # no mask
        (masked(1, rsv=4), 1002),
        (masked(9, rsv=1), 1002),
        (masked(3), 1002),
        (masked(15), 1002),
        (masked(0), 1002),  # a fragment of nothing
        (masked(2), 1003),
        (masked(9, fin=False), 1002),
        (masked(9, b"x" * 126), 1002),
        (b"\x81\xff\x80\0\0\0\0\0\0\x01abcd", 1002),  # the highest bit of the length
        (masked(1, b"x" * 1001), 1009),
        (b"\x81\xff\0\0\0\0\x06\x40\0\0abcd", 1009),  # 100 MB, of which none is there
    ],
)
def test_what_is_refused_by_its_header(data: bytes, code: int) -> None:
    assert code_of(data) == code


def test_the_sum_of_fragments_is_bounded() -> None:
    message = Message()
    assert message.add(b"123456", fin=False) is None
    assert read(masked(0, b"x" * (LIMIT - 6), fin=False), message).length == LIMIT - 6
    assert code_of(masked(0, b"x" * (LIMIT - 5)), message) == 1009
    assert code_of(masked(1, b"1"), message) == 1002  # a new one within


def test_control_frames_come_within_a_message() -> None:
    message = Message()
    message.add(b"1", fin=False)
    assert read(masked(9, b"x" * 125), message).opcode == 9


@pytest.mark.parametrize("cut", range(14))
def test_an_end_within_a_frame(cut: int) -> None:
    stream = io.BytesIO(masked(1, b"x" * 200)[:cut])
    with pytest.raises(EOFError):
        read_payload(stream, read_header(stream, None, LIMIT))


def test_message_of_fragments() -> None:
    message = Message()
    whole = "grüße 🎉".encode()
    for byte in whole[:-1]:
        assert message.add(bytes([byte]), fin=False) is None
    assert message.size == len(whole) - 1
    assert message.add(whole[-1:], fin=True) == "grüße 🎉"


@pytest.mark.parametrize(
    "fragments",
    [
        [(b"\xff", True)],
        [(b"ok", False), (b"\xff", False)],  # before the last one has come
        [(b"\xc3", False), (b"", True)],  # half a character
        [(b"\xed\xa0\x80", True)],  # a surrogate
    ],
)
def test_message_that_is_not_utf8(fragments: list[tuple[bytes, bool]]) -> None:
    message = Message()
    *before, last = fragments
    for payload, fin in before:
        message.add(payload, fin=fin)
    with pytest.raises(FrameError) as caught:
        message.add(last[0], fin=last[1])
    assert caught.value.code == 1007


def test_close_payload() -> None:
    assert parse_close(b"") == (1005, "")
    assert parse_close(b"\x03\xe8") == (1000, "")
    assert parse_close(b"\x0f\xa0bye") == (4000, "bye")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        *((code.to_bytes(2, "big"), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016)),
        *((code.to_bytes(2, "big"), 1002) for code in (2999, 5000, 65535)),
        (b"\x03\xe8\xff", 1007),
    ],
)
def test_close_payload_that_must_not_be(payload: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse_close(payload)
    assert caught.value.code == code


def test_frame_end() -> None:
    frames = (
        text_frame(b"a") + text_frame(b"b" * 200) + text_frame(b"c" * 70000) + frame(CLOSE, b"")
    )
    ends = [3, 3 + 204, 3 + 204 + 70010, 3 + 204 + 70010 + 2]
    assert frame_end(frames, 0) == 0
    assert [frame_end(frames, end) for end in ends] == ends
    assert [frame_end(frames, end + 1) for end in [0, *ends[:-1]]] == ends


# Compressed messages (RFC 7692)

EVENT = (
    b'{"type":3,"server_id":1,"data":{"Event":"Newexten","Channel":"PJSIP/1001-%08x",'
    b'"Context":"default","Exten":"1002","Priority":"3","Uniqueid":"1795371260.16",'
    b'"Linkedid":"1795371260.16","Extension":"1002","Application":"Dial"}}'
)
EVENTS = [EVENT % number for number in range(20)]
RSV1, RSV2, RSV3 = 4, 2, 1


def read_deflated(data: bytes, message: Message | None = None) -> FrameHeader:
    return read_header(io.BytesIO(data), message, LIMIT, deflate=True)


@pytest.mark.parametrize("encode", [deflated_frames, deflated_alone])
def test_compressed_messages_come_out(encode: Encoding) -> None:
    window = Window(alone=encode is deflated_alone)
    for messages in (EVENTS, EVENTS[:1], [b"[%b]" % (b"x" * 70_000)], EVENTS):
        assert window.texts(encode(messages)) == messages
    assert window.messages == 42


def test_a_window_is_shared_by_the_messages_of_one_call() -> None:
    plain, alone, together = (
        len(encode(EVENTS)) for encode in (text_frames, deflated_alone, deflated_frames)
    )
    assert together < plain / 8 < alone < plain / 1.25
    assert deflated_frames(EVENTS[:1]) == deflated_alone(EVENTS[:1])


def test_little_is_not_compressed() -> None:
    few = [b"x" * (SMALLEST_DEFLATED - 100), b"y" * 99]
    assert deflated_frames(few) == deflated_alone(few) == text_frames(few)
    assert (
        deflated_frames([*few, b"z"]) != text_frames([*few, b"z"]) == deflated_alone([*few, b"z"])
    )
    assert deflated_frames([]) == deflated_alone([]) == b""


def test_many_are_not_compressed_each_by_itself() -> None:
    most = [EVENT % number for number in range(MOST_ALONE)]
    assert len(deflated_alone(most)) < len(text_frames(most)) / 1.25
    assert deflated_alone([*most, EVENT % 0]) == text_frames([*most, EVENT % 0])


def test_frame_end_among_compressed_messages() -> None:
    frames = deflated_frames(EVENTS)
    ends = {frame_end(frames, offset) for offset in range(len(frames) + 1)}
    assert len(ends) == len(EVENTS) + 1
    assert all(end == len(frames) or frames[end] == 0xC1 for end in ends)


def test_a_compressed_message_of_a_client() -> None:
    header = read_deflated(masked(1, b"abc", rsv=RSV1))
    assert (header.deflated, header.opcode, header.fin) == (True, 1, True)
    assert not read_deflated(masked(1, b"abc")).deflated


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (masked(1, b"", rsv=RSV2), None),
        (masked(1, b"", rsv=RSV3), None),
        (masked(1, b"", rsv=RSV1 | RSV2), None),
        (masked(1, b"", rsv=RSV1 | RSV2 | RSV3), None),
        (masked(PING, b"", rsv=RSV1), None),
        (masked(CLOSE, b"", rsv=RSV1), None),
        (masked(0, b"", rsv=RSV1), Message(deflated=True)),
        (masked(0, b"", rsv=RSV1), Message()),
        (masked(0, b"", rsv=RSV1), None),
        (masked(PING, b"", rsv=RSV1), Message(deflated=True)),
        (masked(1, b"", rsv=RSV1), Message(deflated=True)),
        (masked(3, b"", rsv=RSV1), None),
    ],
)
def test_reserved_bits_that_say_nothing(data: bytes, message: Message | None) -> None:
    with pytest.raises(FrameError) as caught:
        read_deflated(data, message)
    assert caught.value.code == 1002


def test_a_binary_message_is_none_if_it_is_compressed_either() -> None:
    with pytest.raises(FrameError) as caught:
        read_deflated(masked(2, b"", rsv=RSV1))
    assert caught.value.code == 1003


def test_nothing_is_compressed_without_an_agreement() -> None:
    assert code_of(masked(1, b"abc", rsv=RSV1)) == 1002


def test_a_compressed_message_in_fragments() -> None:
    payload = deflated("grüße".encode() * 20)
    message = Message(deflated=True, limit=140)
    for place in range(len(payload)):
        assert message.add(payload[place : place + 1], fin=False) is None
        assert message.size == place + 1
    assert message.add(b"", fin=True) == "grüße" * 20


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (deflated(b"x" * (LIMIT + 1)), 1009),
        (deflated(b"x" * 10_000_000), 1009),
        (deflated(b"\xff"), 1007),
        (deflated(b"fine")[:-2], 1007),
        (b"", 1007),
    ],
)
def test_compressed_messages_that_are_refused(payload: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        Message(deflated=True, limit=LIMIT).add(payload, fin=True)
    assert caught.value.code == code


def test_what_is_sent_of_a_compressed_message_is_bounded_too() -> None:
    message = Message(deflated=True, limit=LIMIT)
    message.add(b"x" * LIMIT, fin=False)
    with pytest.raises(FrameError) as caught:
        read_deflated(masked(0, b"x"), message)
    assert caught.value.code == 1009
