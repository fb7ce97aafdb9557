"""Recordings: journals and captures read, and what is wrong in them told with its line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.simulator.replay.recording import Packet, Recording, Role, WrongFile, check
from tests.support.recordings import (
    ACCEPTED,
    BANNER,
    NOON,
    data_of,
    event,
    journal_line,
    json_of,
    read_back,
    write_journal,
)

CAPTURES = Path(__file__).parent.parent / "captures"


class Reader:
    """A recording of files, with what it told."""

    def __init__(self, *files: Path, server: str | None = None) -> None:
        self.told: list[str] = []
        self.breaths = 0
        self.recording = Recording(
            files, server=server, tell=self.told.append, breathe=self._breathe
        )

    def _breathe(self) -> None:
        self.breaths += 1

    def read(self) -> list[Packet]:
        return list(self.recording.packets())

    def names(self) -> list[str]:
        """The names of the events."""
        return [message.name for packet in self.read() for message in read_back(packet.data)]


def named(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def of_pbx(rest: bytes) -> bytes:
    return journal_line(b'{"server_id":1,"server_name":"pbx",' + rest).strip()


# -- journals ------------------------------------------------------------------------


def test_a_journal_gives_packets_with_their_times(tmp_path: Path) -> None:
    messages = [BANNER, ACCEPTED, event("A", X="ü"), event("B")]
    reader = Reader(write_journal(tmp_path / "a.jsonl", messages, gap=0.25))
    packets = reader.read()
    assert [packet.time for packet in packets] == [NOON, NOON + 0.25, NOON + 0.5, NOON + 0.75]
    assert [packet.role.name for packet in packets] == ["BANNER", "ACCEPTED", "OTHER", "OTHER"]
    assert packets[0].data == b"Asterisk Call Manager/5.0.1\r\n"
    assert packets[2].data == "Event: A\r\nX: ü\r\n\r\n".encode()
    assert reader.told == []
    assert reader.recording.servers == {"1 (pbx)": 4}


def test_several_files_packed_or_not_are_one_recording(tmp_path: Path) -> None:
    first = write_journal(tmp_path / "a.jsonl.gz", [event("A"), event("B")])
    second = write_journal(tmp_path / "b.jsonl", [event("C")])
    reader = Reader(first, second)
    assert reader.names() == ["A", "B", "C"]
    assert reader.names() == ["A", "B", "C"], "and once more, for a loop"


def test_the_content_tells_what_a_file_is_not_its_name(tmp_path: Path) -> None:
    journal = named(tmp_path / "a.raw", gzip.compress(journal_line(json_of(event("A")))))
    capture = named(tmp_path / "b.jsonl", b"Event: B\r\n\r\n")
    assert Reader(journal, capture).names() == ["A", "B"]


def test_an_empty_file_is_a_journal_just_begun(tmp_path: Path) -> None:
    empty = named(tmp_path / "a.jsonl", b"")
    check([empty])
    assert Reader(empty).read() == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            b'{"time":"2026-11-22T12:00:00.000Z","mess',
            "is not JSON: unexpected control character in string at character 41",
        ),
        (b"\0\0\0\0", "is not JSON: "),
        (b"[]", 'is not a line of a journal: it has no "time"'),
        (b"{}", 'is not a line of a journal: it has no "time"'),
        (b'{"time":"noon","message":{}}', "Invalid isoformat string: 'noon'"),
        (b'{"time":"2026-11-22T12:00:00.000Z"}', 'no "message"'),
        (b'{"time":"2026-11-22T12:00:00.000Z","message":"x"}', 'no "message"'),
        (journal_line(b"{}").strip(), "the message has no type from 0 to 6"),
        (journal_line(b'{"type":7,"data":{}}').strip(), "the message has no type from 0 to 6"),
        (journal_line(b'{"type":3}').strip(), "the message has no data"),
        (of_pbx(b'"type":3,"data":{"Event":null}}'), "neither text nor a number"),
        (of_pbx(b'"type":3,"data":{"X":"1"}}'), "AMI cannot express this message"),
        (of_pbx(b'"type":6,"data":{}}'), "'Maxlen' is missing or not a number"),
    ],
)
def test_a_wrong_line_is_told_and_the_rest_is_played(
    tmp_path: Path, line: bytes, complaint: str
) -> None:
    good = [journal_line(json_of(event(name))) for name in "AB"]
    reader = Reader(named(tmp_path / "a.jsonl", good[0] + line + b"\n" + good[1]))
    assert reader.names() == ["A", "B"]
    (told,) = reader.told
    assert told.startswith(f"{tmp_path / 'a.jsonl'}:2: skipped: ")
    assert complaint in told


def test_a_torn_last_line_is_told(tmp_path: Path) -> None:
    line = journal_line(json_of(event("A")))
    reader = Reader(named(tmp_path / "a.jsonl", line + line[:-1]))
    assert reader.names() == ["A"]
    assert ":2: skipped: the line is incomplete" in reader.told[0]


def test_what_the_journal_lost_is_told(tmp_path: Path) -> None:
    line = journal_line(json_of(event("A")))
    lost = b'{"time":"2026-11-22T12:00:00.000Z","lost":17}\n'
    reader = Reader(named(tmp_path / "a.jsonl", lost + line))
    assert reader.names() == ["A"]
    assert reader.told == [
        f"{tmp_path / 'a.jsonl'}:1: 17 messages were lost here when the journal was written"
    ]


def test_a_message_that_changes_is_told(tmp_path: Path) -> None:
    reader = Reader(write_journal(tmp_path / "a.jsonl", [event("A", X="two\nlines")]))
    assert data_of(read_back(reader.read()[0].data)[0]) == {"Event": "A", "X": "two lines"}
    assert ":1: changed: AMI cannot express" in reader.told[0]


def test_a_line_may_be_long(tmp_path: Path) -> None:
    reader = Reader(write_journal(tmp_path / "a.jsonl", [event("A", X="x" * 1_000_000)]))
    assert reader.names() == ["A"]


# -- servers -------------------------------------------------------------------------


def of_servers(path: Path) -> Path:
    lines = [
        journal_line(json_of(event(f"{name}{count}"), server_id, f"pbx-{name}"))
        for count in (1, 2)
        for server_id, name in ((4, "a"), (7, "b"))
    ]
    return named(path, b"".join(lines))


@pytest.mark.parametrize(
    ("server", "names"),
    [
        ("4", ["a1", "a2"]),
        ("pbx-b", ["b1", "b2"]),
        ("pbx-c", []),
    ],
)
def test_one_server_is_played(tmp_path: Path, server: str, names: list[str]) -> None:
    reader = Reader(of_servers(tmp_path / "a.jsonl"), server=server)
    assert reader.names() == names
    assert reader.told == []
    assert reader.recording.servers == {"4 (pbx-a)": 2, "7 (pbx-b)": 2}


def test_without_a_choice_it_is_the_first_and_the_others_are_told(tmp_path: Path) -> None:
    reader = Reader(of_servers(tmp_path / "a.jsonl"))
    assert reader.names() == ["a1", "a2"]
    (told,) = reader.told
    assert told == (
        f"{tmp_path / 'a.jsonl'}:2: messages of server 7 (pbx-b) are skipped, only 4 (pbx-a) is"
        " played; choose with --server"
    )


# -- captures ------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_a_capture_gives_its_bytes(tmp_path: Path, packed: bool) -> None:
    raw = (CAPTURES / "asterisk-13.38.raw").read_bytes()
    reader = Reader(named(tmp_path / "a", gzip.compress(raw) if packed else raw))
    packets = reader.read()
    assert b"".join(packet.data for packet in packets) == raw
    assert [packet.role for packet in packets[:3]] == [Role.BANNER, Role.ACCEPTED, Role.OTHER]
    assert {packet.time for packet in packets} == {None}
    assert reader.told == []


def test_a_capture_from_the_logins_answer_on() -> None:
    packets = Reader(CAPTURES / "asterisk-22.11-busy.raw.gz").read()
    assert [packet.role for packet in packets[:2]] == [Role.ACCEPTED, Role.OTHER]
    assert len(packets) == 40_504


def test_a_capture_from_the_middle_has_no_beginning(tmp_path: Path) -> None:
    raw = b"Response: Success\r\nMessage: done\r\n\r\nEvent: A\r\n\r\n"
    packets = Reader(named(tmp_path / "a.raw", raw)).read()
    assert [packet.role for packet in packets] == [Role.OTHER, Role.OTHER]


def test_the_roles_of_an_md5_login(tmp_path: Path) -> None:
    raw = (
        b"Asterisk Call Manager/5.0\r\n"
        b"Response: Success\r\nChallenge: 1234\r\n\r\n"
        b"Response: Success\r\nMessage: authentication ACCEPTED\r\n\r\n"
    )
    packets = Reader(named(tmp_path / "a.raw", raw)).read()
    assert [packet.role for packet in packets] == [Role.BANNER, Role.CHALLENGE, Role.ACCEPTED]


def test_a_capture_that_ends_within_a_packet(tmp_path: Path) -> None:
    reader = Reader(named(tmp_path / "a.raw", b"Event: A\r\n\r\nEvent: B\r\nX: "))
    assert reader.names() == ["A"]
    assert reader.told == [
        f"{tmp_path / 'a.raw'}: ends within a packet: the last 13 bytes are skipped"
    ]


# -- files ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["journal", "capture"])
def test_a_packed_file_that_was_cut_off_is_played_as_far_as_it_goes(
    tmp_path: Path, kind: str
) -> None:
    texts = [os.urandom(50).hex() for _ in range(999)]
    if kind == "journal":
        whole = b"".join(journal_line(json_of(event("A", X=text))) for text in texts)
    else:
        whole = b"".join(f"Event: A\r\nX: {text}\r\n\r\n".encode() for text in texts)
    reader = Reader(named(tmp_path / "a.gz", gzip.compress(whole)[:-5000]))
    assert 500 < len(reader.names()) < 999
    assert any("cannot be read to its end" in line for line in reader.told)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\x7fELF\0\0\0", "neither a journal nor a capture of AMI"),
        (b"just text\nand more\n", "this file with b'just text'"),
        (b"\xd4\xc3\xb2\xa1\x02\0:\0", "neither a journal nor a capture"),
        (b'{"type":3,"data":{}}\n', "JSON, but not a line of a journal"),
        (b"[1]\n", "JSON, but not a line of a journal"),
        (b"\x1f\x8b\x08 but no gzip file", "cannot be read"),
        (b"\r\n\r\n", "neither a journal nor a capture"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, data: bytes, complaint: str) -> None:
    path = named(tmp_path / "x", data)
    with pytest.raises(WrongFile) as caught:
        check([path])
    assert str(caught.value).startswith(str(path))
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(WrongFile, match="No such file"):
        check([tmp_path / "a"])
    with pytest.raises(WrongFile, match="Is a directory"):
        check([tmp_path])


def test_much_that_is_left_out_lets_others_run(tmp_path: Path) -> None:
    line = journal_line(json_of(event("A"), 2))
    reader = Reader(named(tmp_path / "a.jsonl", line * 5000), server="1")
    assert reader.read() == []
    assert reader.breaths == 5


def test_responses_of_other_kinds_are_no_logins(tmp_path: Path) -> None:
    said = {"Message": "Authentication accepted"}
    messages = [Message(Kind.EVENT, {"Event": "A", **said}), Message(Kind.ACTION, {"Action": "x"})]
    packets = Reader(write_journal(tmp_path / "a.jsonl", messages)).read()
    assert {packet.role for packet in packets} == {Role.OTHER}
