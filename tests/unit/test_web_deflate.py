"""Raw DEFLATE of messages: what a window makes, and what of a client's is taken."""

from __future__ import annotations

import zlib

import pytest

from amiws_gevent.web.deflate import InflateError, TooLongError, Window, inflate
from tests.support import deflated as client
from tests.support.deflated import deflated

HELLO = bytes.fromhex("f248cdc9c90700")  # RFC 7692, section 7.2.3.1
EVENT = b'{"type":3,"server_id":1,"data":{"Event":"Newexten","Channel":"PJSIP/1001-%08x"}}'


def test_messages_of_a_window_refer_to_those_before() -> None:
    window, kept = Window(), client.Window()
    sizes = []
    for number in range(5):
        payload = window.deflate(EVENT % number)
        assert kept.text(payload, compressed=True) == EVENT % number
        sizes.append(len(payload))
    assert max(sizes[1:]) < sizes[0] / 3


def test_a_new_window_is_understood_behind_any_other() -> None:
    kept = client.Window()
    for messages in ([b"a" * 40_000, b"a" * 10], [EVENT % 1, EVENT % 2], [b"", b"x"]):
        window = Window()
        for message in messages:
            assert kept.text(window.deflate(message), compressed=True) == message


@pytest.mark.parametrize(
    "payload",
    [
        HELLO,
        bytes.fromhex("000500faff48656c6c6f00"),  # 7.2.3.3: a block without compression
        bytes.fromhex("f348cdc9c9070000"),  # 7.2.3.4: a block that says it is the last
        bytes.fromhex("f248050000 00ffffcac9c90700"),  # 7.2.3.5: two blocks
    ],
    ids=["one block", "stored", "last block", "two blocks"],
)
def test_the_examples_of_the_rfc(payload: bytes) -> None:
    assert inflate(payload, 5) == b"Hello"


@pytest.mark.parametrize("message", [b"", b"x", b"x" * 100_000, bytes(range(256)) * 9])
def test_what_a_client_makes_comes_out(message: bytes) -> None:
    assert inflate(deflated(message), len(message)) == message


def test_an_empty_message_of_one_byte() -> None:
    assert inflate(b"\x00", 0) == b""  # section 7.2.3.6


@pytest.mark.parametrize("limit", [0, 4, 99_999])
def test_no_more_is_inflated_than_one_byte_over_the_limit(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    class Counting:
        def __init__(self, bits: int) -> None:
            self._inflater = make(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            made = self._inflater.decompress(data, most)
            sizes.append(len(made))
            return made

    make = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with pytest.raises(TooLongError):
        inflate(deflated(b"0" * 100_000_000), limit)
    assert sizes == [limit + 1]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        HELLO[:-1],
        HELLO[:3],
        HELLO + b"\x00",
        HELLO + HELLO[:2],
        b"\xff\xff\xff",
        b"\x07",  # a block of the reserved kind
        bytes.fromhex("f200110000"),  # 7.2.3.2: it refers to a message before it
        bytes.fromhex("f348cdc9c90700"),  # a last block with no other behind it
        bytes.fromhex("f348cdc9c9070000") + HELLO,  # something behind the last block
        deflated(b"x" * 3000)[:-2],
        deflated(bytes(range(256)) * 20)[:300],
    ],
)
def test_what_is_spoilt(payload: bytes) -> None:
    with pytest.raises(InflateError):
        inflate(payload, 100_000)
