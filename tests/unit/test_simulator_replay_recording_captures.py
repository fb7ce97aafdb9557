"""Raw captures cut into packets: joined they are the capture, and each is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.simulator.replay import recording
from amiws_gevent.simulator.replay.recording import banner_of, cut_packets
from tests.support.recordings import read_back

CAPTURES = Path(__file__).parent.parent / "captures"


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("name", ["asterisk-13.38.raw", "asterisk-18.raw", "asterisk-22.11.raw"])
@pytest.mark.slow
def test_each_packet_is_one_message(name: str, size: int) -> None:
    data = (CAPTURES / name).read_bytes()
    data = data[len(banner_of(data)) :]
    packets = list(cut_packets(data[start : start + size] for start in range(0, len(data), size)))
    assert b"".join(packets) == data
    assert [message for packet in packets for message in read_back(packet)] == read_back(data)
    assert {len(read_back(packet)) for packet in packets if packet.strip()} == {1}


@pytest.mark.parametrize(
    ("beginning", "banner"),
    [
        (b"Asterisk Call Manager/11.0.0\r\nEvent: x", b"Asterisk Call Manager/11.0.0\r\n"),
        (b"\r\n\nAsterisk Call Proxy/1.2 \nx", b"\r\n\nAsterisk Call Proxy/1.2 \n"),
        (b"Asterisk Call Manager/11.0.0", b""),
        (b"Response: Success\r\nX: a/1.0\r\n", b""),
        (b"Path: a/1.0\r\n", b""),
        (b"no banner\r\n", b""),
        (b"", b""),
    ],
)
def test_the_banner(beginning: bytes, banner: bytes) -> None:
    assert banner_of(beginning) == banner


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    "packets",
    [
        [b"Event: A\r\n\r\n", b"Event: B\n\n", b"Event: C\r\n\n", b"Event: D\n\r\n"],
        [b"\r\n\r\nEvent: A\r\n\r\n"],
        [
            b"Response: Follows\r\nActionID: 1\r\na\n\nb\n--END COMMAND--\r\n\r\n",
            b"Event: A\r\n\r\n",
        ],
        [b"Response: Follows\r\n\n\n--END COMMAND--\n\n", b"Event: A\r\n\r\n"],
        [b"Event: A\r\n\r\n", b"Event: torn\r\nX:"],
        [b"Event: A\r\n\r\n", b"Response: Follows\r\nno end\n\nof it\n\n"],
    ],
)
def test_where_packets_end(packets: list[bytes], size: int) -> None:
    data = b"".join(packets)
    found = list(cut_packets(data[start : start + size] for start in range(0, len(data), size)))
    assert b"".join(found) == data
    assert [packet.strip(b"\r\n") for packet in found if packet.strip(b"\r\n")] == [
        packet.strip(b"\r\n") for packet in packets
    ]


def test_blank_lines_go_with_the_packet_before() -> None:
    assert list(cut_packets([b"Event: A\r\n\r\n\r\n\nEvent: B\r\n\r\n"])) == [
        b"Event: A\r\n\r\n\r\n\n",
        b"Event: B\r\n\r\n",
    ]


def test_what_has_no_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LARGEST_PACKET", 1000)
    found = list(cut_packets([b"x" * 400] * 5))
    assert [len(packet) for packet in found] == [1200, 800]
