from __future__ import annotations

import pytest

from amiws_gevent.ami import events
from amiws_gevent.ami.events import EventReader

PACKET = "Event: Hangup\r\nChannel: SIP/1: a:b\r\nCause-txt: \r\nExten: 1"
HEADERS = {"Event": "Hangup", "Channel": "SIP/1: a:b", "Cause-txt": "", "Exten": "1"}


def test_read_again_and_again_gives_the_same() -> None:
    reader = EventReader()
    for _ in range(5):
        assert reader.read(PACKET) == HEADERS
    assert list((reader.read(PACKET) or {}).items()) == list(HEADERS.items())


def test_a_shape_is_learnt_when_it_comes_twice_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = EventReader()
    reader.read(PACKET)
    reader.read(PACKET.replace("Exten", "Other"))
    reader.read(PACKET)
    reader.read(PACKET)
    monkeypatch.setattr(EventReader, "_split", lambda *_: None)
    assert reader.read(PACKET) == HEADERS
    assert reader.read(PACKET.replace("Exten", "Other")) is None


def test_repeats_are_pairs() -> None:
    reader = EventReader()
    for _ in range(4):
        pairs = reader.read("Event: S\r\nVariable: a\r\nVariable: b")
        assert pairs == [["Event", "S"], ["Variable", "a"], ["Variable", "b"]]


@pytest.mark.parametrize(
    "odd",
    [
        "Response: Success\r\nX: 1",
        "",
        "Event: Hangup\r\nno colon",
        "Event: Hangup\r\nChannel:x",
        "Event: Hangup\r\nChannel:  x",
        "Event: Hangup\r\nChannel: \tx",
        "Event: Hangup\r\nChannel : x",
        "Event: Hangup\r\nChannel\t: x",
        "Event: Hangup\r\nCh:annel: x",
        "Event: Hangup\nChannel: x",
        "Event: Hangup\r\nChannel: x\nExten: y",
        "Event: Hangup\r\nChannel: x\r\n\nEvent: y",
    ],
)
def test_odd_packets_are_left_to_the_careful_reader(odd: str) -> None:
    reader = EventReader()
    learnt = "Event: Hangup\r\nChannel: x"
    for _ in range(3):
        assert reader.read(learnt) == {"Event": "Hangup", "Channel": "x"}
    assert reader.read(odd) is None


def test_what_is_learnt_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_SHAPES", 5)
    monkeypatch.setattr(events, "_CANDIDATES", 20)
    reader = EventReader()
    for number in range(50):
        for _ in range(3):
            assert reader.read(f"Event: E{number}\r\nX: 1") == {"Event": f"E{number}", "X": "1"}
    assert reader._shape_count == 5
    assert len(reader._shapes) <= 20
    assert len(reader._candidates) == 20


def test_one_event_has_few_shapes() -> None:
    reader = EventReader()
    for number in range(20):
        for _ in range(3):
            reader.read(f"Event: E\r\nX{number}: 1")
    assert reader._shape_count == 4


def test_a_packet_of_very_many_headers_is_not_learnt() -> None:
    reader = EventReader()
    packet = "Event: E\r\n" + "\r\n".join(f"X{number}: 1" for number in range(100))
    for _ in range(3):
        assert len(reader.read(packet) or ()) == 101
    assert reader._shape_count == 0


def test_what_could_not_be_found_again_is_read_but_not_learnt() -> None:
    reader = EventReader()
    for _ in range(4):
        assert reader.read("Event: Lone") == {"Event": "Lone"}
        assert reader.read("Event: a\rb\r\nX: 1") == {"Event": "a\rb", "X": "1"}
    assert reader._shape_count == 0
