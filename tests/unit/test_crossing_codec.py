"""Entries and snapshots: what is decoded is what was encoded."""

from __future__ import annotations

import zlib

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Position
from amiws_gevent.crossing import codec
from amiws_gevent.crossing.codec import Changes, FormatError, Head, Item, Told, Whole
from amiws_gevent.pipeline import Source, make_batch
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.state.store import Change, Known, Tombstone
from tests.support.hosts import ami_host

INFO = ServerInfo(7, 'pbx "ü"\n', True)
AT = Position("abc", 12)
BATCHES = (b"B[1]\n1 2", b'B[1,"n",false,"e",false]', b'B[1,"n",false,"e",false]\n1', b"B[]\n1 a")


def test_a_batch_has_its_messages_and_json_again() -> None:
    source = Source(ami_host(id=3, name="süd"), epoch="e")
    messages = [
        Message(Kind.EVENT, [("Event", "A"), ("Variable", "a=1\n"), ("Variable", "b=2")]),
        Message(Kind.RESPONSE, [("Response", "Success"), ("ActionID", "x")]),
    ]
    batch = make_batch(source, source.advance(), messages)
    batch.of_plugins = True
    told = codec.decode(codec.encode_batch(batch, 5))
    assert isinstance(told, Told)
    assert told.before == 5
    made = told.batch
    assert (made.server, made.position, made.json) == (batch.server, batch.position, batch.json)
    assert made.of_plugins
    assert len(made) == len(made.messages) == 2
    assert [message.data() for message in made.messages] == [one.data() for one in messages]
    assert [message.kind for message in made.messages] == [Kind.EVENT, Kind.RESPONSE]


def test_batches_of_a_server_share_what_is_the_same() -> None:
    """A history has thousands of them."""
    source = Source(ami_host(id=3, name="süd"), epoch="e")
    batches = [make_batch(source, source.advance(), []) for _ in range(2)]
    first, second = (codec.decode(codec.encode_batch(one, 5)) for one in batches)
    assert isinstance(first, Told)
    assert isinstance(second, Told)
    assert first.batch.server is second.batch.server
    assert [first.batch.position.offset, second.batch.position.offset] == [1, 2]
    source.info = ServerInfo(3, "nord", False)
    other = codec.decode(codec.encode_batch(make_batch(source, source.advance(), []), 5))
    assert isinstance(other, Told)
    assert other.batch.server.name == "nord"


@pytest.mark.parametrize(
    "entry",
    [
        Head(INFO, AT, True),
        Changes(
            AT,
            True,
            [
                Change("channel", "1.2", {"a": 1, "b": None, "c": [1, {"d": "x"}]}, True),
                Change("channel", "1.3", {"a": 2}, False),
                Change("call", "9", None, False, {"cause": 16}),
            ],
        ),
        Whole(
            AT,
            3,
            True,
            True,
            [
                Item("channel", "1.2", {"a": 1}, None),
                Item("channel", "1.3", {"a": 1}, Known(4, 9, {"a": 9})),
            ],
            [(("call", "9"), Tombstone(8, {"cause": 16}, 4, -1))],
        ),
    ],
)
def test_other_entries(entry: codec.Entry) -> None:
    encode = {
        Head: codec.encode_head,
        Changes: codec.encode_changes,
        Whole: codec.encode_whole,
    }[type(entry)]
    assert codec.decode(encode(entry)) == entry  # type: ignore[operator]


def test_a_snapshot_is_its_entries() -> None:
    entries: list[codec.Entry] = [Whole(AT, 3, True, True, [], []), Head(INFO, AT, True)]
    snapshot = codec.SnapshotWriter()
    snapshot.add(codec.encode_whole(entries[0]))  # type: ignore[arg-type]
    snapshot.add(codec.encode_head(entries[1]))  # type: ignore[arg-type]
    assert list(codec.read_snapshot(snapshot.finish())) == entries


def test_a_large_snapshot_is_read_in_pieces() -> None:
    items = [Item("channel", str(number), {"a": "x" * 900}, None) for number in range(500)]
    wholes = [Whole(AT, 3, number == 0, number == 9, items, []) for number in range(10)]
    snapshot = codec.SnapshotWriter()
    for whole in wholes:
        snapshot.add(codec.encode_whole(whole))
    data = snapshot.finish()
    assert list(codec.read_snapshot(data)) == wholes
    for cut in (data[:-1], data[: len(data) // 2]):
        with pytest.raises(FormatError):
            list(codec.read_snapshot(cut))


@pytest.mark.parametrize("entry", [b"", b"X[]", b"H", b"H[1]", b"B\n", *BATCHES, b"C{}", b"W[1,2]"])
def test_what_is_no_entry(entry: bytes) -> None:
    with pytest.raises(FormatError):
        codec.decode(entry)


@pytest.mark.parametrize("snapshot", [b"", b"no", zlib.compress(b"amiws-gevent 1\n")])
def test_what_is_no_snapshot(snapshot: bytes) -> None:
    with pytest.raises(FormatError):
        list(codec.read_snapshot(snapshot))


def test_text_that_no_json_can_hold_does_not_stop_a_stream() -> None:
    changes = Changes(AT, True, [Change("k", "\ud800", {"a": "\udfff"}, True)])
    made = codec.decode(codec.encode_changes(changes))
    assert isinstance(made, Changes)
    assert made.changes[0].fields == {"a": "�"}
