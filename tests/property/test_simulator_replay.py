"""Whatever a server sends comes back from its journal as the same JSON, message for message."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import Kind, Message, Parser
from amiws_gevent.simulator.replay.recording import Recording, cut_packets
from tests.support.recordings import journal_line, json_of, read_back

CAPTURES = Path(__file__).parent.parent / "captures"

QUEUE = (
    b"q: a has 0 calls (max 5) in 's' strategy (0s holdtime, -1s talktime), W:07, C:0, A:0,"
    b" SL: 0.0%, SL2:1.0% within 0s\r\n"
)

# What is hard to tell apart: both eras of command output, queues, odd line ends.
FRAGMENTS = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"\r\r\n",
            b"\r\n\r\n",
            b"\n\n",
            b"\r\n\n",
            b": ",
            b":",
            b" ",
            b"\t",
        ),
        *(b"Event: A\r\n", b"event:B\n", b"Action: x\r\n", b"Name: v\r\n", b"Name: v\r\n", b"Name"),
        *(b"Response: Success\r\n", b"Response: Follows\r\n", b"Response: Follows\n"),
        *(b"response:follows \t\r\n", b"Response: Follows\r\r\n"),
        *(b"Privilege: Command\r\n", b"Privilege: Command\n", b"ActionID: 1\r\n"),
        *(b"Message: Command output follows\r\n", b"Message: x\r\r\n"),
        *(
            b"Output: ",
            b"Output: a\r\n",
            b"output:  b\r\n",
            b"OUTPUT:\r\n",
            b"Output: Output: y\r\r\n",
        ),
        *(b"--END COMMAND--", b"--END COMMAND--\r\n\r\n", b"--END COMMAND--\r\r\n"),
        QUEUE,
        *(b"   Members: \r\n", b"   No Members\n", b"      x: y\r\n", b"   Callers:\n"),
        *(b"   No Callers\r\n", b"      1. y\r\n"),
        *(b"\xff", "Ж".encode(), "\u2028\x85".encode(), b"\0", "\ufffd".encode(), b"\xd0"),
    ]
)
STREAM = st.lists(FRAGMENTS | st.binary(max_size=4), max_size=40).map(b"".join)
ENCODING = st.sampled_from([None, "latin-1", "cp1251", "shift_jis", "iso2022_jp"])


def said_by(raw: bytes, encoding: str | None = None) -> list[Message]:
    """The messages of a session, the banner's among them."""
    return Parser(encoding=encoding).receive_data(raw)


def replayed(journal: Path, messages: list[Message]) -> list[Message]:
    """What is read from what is sent for a journal of these messages."""
    journal.write_bytes(b"".join(journal_line(json_of(message)) for message in messages))
    told: list[str] = []
    packets = list(Recording([journal], tell=told.append).packets())
    assert not told
    assert len(packets) == len(messages)
    if messages and messages[0].kind is Kind.PROMPT:
        return Parser().receive_data(b"".join(packet.data for packet in packets))
    return read_back(b"".join(packet.data for packet in packets))


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay") / "a.jsonl"


@given(STREAM, ENCODING, st.booleans())
@example(b"Response: Follows\r\nOutput: \r\r\n--END COMMAND--\r\n\r\n", None, True)
@example(b"Output: a\r\nOutput: b\r\nResponse: Follows\r\n\n--END COMMAND--\r\n\r\n", None, True)
@example(b"Event: A\r\nX: 1\r\nY: 2\r\nX: 3\r\n\r\n", None, False)
@settings(max_examples=500, deadline=None)
def test_a_journal_replays_to_the_same_json(
    journal: Path, raw: bytes, encoding: str | None, banner: bool
) -> None:
    raw = b"Asterisk Call Manager/5.0\r\n" * banner + raw
    messages = said_by(raw, encoding)
    again = replayed(journal, messages)
    assert [json_of(message) for message in again] == [json_of(message) for message in messages]
    assert [message.kind for message in again] == [message.kind for message in messages]


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.raw")), ids=lambda path: path.name)
def test_a_journal_of_a_capture_replays_to_the_same_json(tmp_path: Path, path: Path) -> None:
    messages = said_by(path.read_bytes())
    again = replayed(tmp_path / "a.jsonl", messages)
    assert [json_of(message) for message in again] == [json_of(message) for message in messages]


@given(STREAM, st.lists(st.integers(0, 2000), max_size=12))
@settings(max_examples=500, deadline=None)
def test_a_capture_is_cut_where_packets_end(raw: bytes, cuts: list[int]) -> None:
    places = [0, *sorted({place % (len(raw) + 1) for place in cuts}), len(raw)]
    chunks = [raw[start:end] for start, end in itertools.pairwise(places)]
    packets = list(cut_packets(chunks))
    assert b"".join(packets) == raw
    assert [message for packet in packets for message in read_back(packet)] == read_back(raw)
    assert all(len(read_back(packet)) <= 1 for packet in packets)
    whole = [packet.strip(b"\r\n") for packet in cut_packets([raw])]
    found = [packet.strip(b"\r\n") for packet in packets]
    assert [packet for packet in found if packet] == [packet for packet in whole if packet]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damage_costs_the_damaged_line_alone(journal: Path, data: st.DataObject) -> None:
    lines = [journal_line(json_of(Message(Kind.EVENT, {"Event": str(n)}))) for n in range(5)]
    number = data.draw(st.integers(1, 4))
    line = lines[number]
    place = data.draw(st.integers(0, len(line) - 2))
    damage = data.draw(st.binary(max_size=3).filter(lambda damage: b"\n" not in damage))
    lines[number] = (
        line[:place] + damage + line[place + data.draw(st.integers(0, 9)) :].lstrip(b"\n")
    )
    lines[number] = lines[number].rstrip(b"\n") + b"\n"
    journal.write_bytes(b"".join(lines))
    told: list[str] = []
    packets = Recording([journal], tell=told.append).packets()
    names = [message.name for packet in packets for message in read_back(packet.data)]
    others = [str(n) for n in range(5) if n != number]
    assert [name for name in names if name in others][: len(others)] == others
    assert len(names) == 5 or (len(names) == 4 and len(told) == 1)
