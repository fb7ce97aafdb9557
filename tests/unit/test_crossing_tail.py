"""Where a stream stands for who goes on with it."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.batch import Batch, Position
from amiws_gevent.crossing.codec import (
    Changes,
    FormatError,
    Head,
    Item,
    SnapshotWriter,
    Whole,
    encode_batch,
    encode_changes,
    encode_head,
    encode_whole,
)
from amiws_gevent.crossing.tail import Tail, read_entities, read_tail
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.state.store import Change

INFO = ServerInfo(1, "pbx", False)


def head(offset: int, epoch: str = "e") -> bytes:
    return encode_head(Head(INFO, Position(epoch, offset), True))


def batch(offset: int, epoch: str = "e") -> bytes:
    return encode_batch(Batch(INFO, Position(epoch, offset), [], [b"{}"]), offset - 1)


def changes(offset: int, *changed: Change, epoch: str = "e") -> bytes:
    return encode_changes(Changes(Position(epoch, offset), True, changed))


def whole(
    offset: int, *items: Item, first: bool = True, last: bool = True, epoch: str = "e"
) -> bytes:
    return encode_whole(Whole(Position(epoch, offset), 0, first, last, items))


def snapshot(*entries: bytes) -> bytes:
    made = SnapshotWriter()
    for entry in entries:
        made.add(entry)
    return made.finish()


@pytest.mark.parametrize(
    ("snapshot", "entries", "expected"),
    [
        (None, [], None),
        (snapshot(head(3)), [], Tail(Position("e", 3), None)),
        (snapshot(whole(5), head(3)), [], Tail(Position("e", 3), Position("e", 5))),
        (
            snapshot(whole(5), head(3)),
            [batch(7), changes(9), batch(8)],
            Tail(Position("e", 8), Position("e", 9)),
        ),
        (snapshot(whole(5), head(3)), [head(9)], Tail(Position("e", 9), Position("e", 5))),
        (None, [head(1), whole(2, epoch="s"), batch(4)], Tail(Position("e", 4), Position("s", 2))),
    ],
)
def test_the_last_of_both(
    snapshot: bytes | None, entries: list[bytes], expected: Tail | None
) -> None:
    assert read_tail(snapshot, entries) == expected


def test_nobody_was_told_a_higher_offset() -> None:
    assert Tail(Position("e", 3), None).offset == 3
    assert Tail(Position("e", 3), Position("e", 5)).offset == 5
    assert Tail(Position("e", 3), Position("of plugins", 5)).offset == 3


@pytest.mark.parametrize("entries", [[b"?"], [b"B{"]])
def test_what_is_of_another_version(entries: list[bytes]) -> None:
    with pytest.raises(FormatError):
        read_tail(None, entries)


def server(key: str, **fields: Any) -> Item:
    return Item("server", key, fields, None)


def test_entities_as_they_were_told_last() -> None:
    told = snapshot(whole(5, server("1", a=1, b=2), server("2"), Item("x", "1", {}, None)), head(3))
    entries = [
        batch(6),
        changes(
            7,
            Change("server", "1", {"a": 2}, False),
            Change("server", "2", None, False),
            Change("server", "3", {"c": 3}, True),
            Change("x", "9", {"c": 3}, True),
        ),
    ]
    assert read_entities(told, entries, "server") == {"1": {"a": 2, "b": 2}, "3": {"c": 3}}
    again = [*entries, whole(9, server("4"), last=False), whole(9, server("5"), first=False)]
    assert read_entities(told, again, "server") == {"4": {}, "5": {}}
    assert read_entities(None, [], "server") == {}
