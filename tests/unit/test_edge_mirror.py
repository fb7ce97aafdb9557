"""A server's state at an edge. What it does in any order: tests/property/test_edge_mirror.py."""

from __future__ import annotations

from typing import Any

from amiws_gevent.batch import Position
from amiws_gevent.crossing.codec import Changes, Item, Whole
from amiws_gevent.edge.mirror import Mirror, ProgramMirror
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.state.store import Change, Known, Tombstone

INFO = ServerInfo(1, "pbx", False)


def whole(*items: Item, at: int = 10, epoch: str = "e", floor: int = 5, **more: Any) -> Whole:
    return Whole(Position(epoch, at), floor, True, True, items, **more)


def changes(*changes: Change, at: int = 12, last: bool = True, epoch: str = "e") -> Changes:
    return Changes(Position(epoch, at), last, changes)


def test_it_knows_of_the_past_what_the_snapshot_knows() -> None:
    mirror = Mirror(INFO)
    assert not mirror.is_whole
    mirror.take_whole(
        whole(
            Item("channel", "old", {"a": 1}, None),
            Item("channel", "new", {"a": 1, "b": 2}, Known(5, 8, {"b": 8})),
            buried=[(("call", "gone"), Tombstone(7, {"cause": 16}, 6, -1))],
        )
    )
    assert mirror.is_whole
    assert mirror.source.epoch == "e"
    assert not mirror.store.dirty
    told = mirror.store.changes(6)
    assert told is not None
    assert {(one.key, str(one.fields)) for one in told} == {("new", "{'b': 2}"), ("gone", "None")}
    assert list(mirror.store.changes(8) or ()) == []
    assert mirror.store.changes(4) is None


def test_a_flush_in_pieces_is_shown_when_all_of_it_is_there() -> None:
    mirror = Mirror(INFO)
    mirror.take_whole(whole(Item("channel", "1", {"a": 1}, None)))
    mirror.take_changes(changes(Change("channel", "1", {"a": 2}, False), last=False))
    assert not mirror.store.dirty
    assert mirror.store.drain() == []
    mirror.take_changes(changes(Change("channel", "2", {"a": 3}, True)))
    assert mirror.store.drain() == [("channel", "1"), ("channel", "2")]
    assert mirror.store.offset == 12


def test_one_that_was_made_anew_replaces_what_there_was() -> None:
    mirror = Mirror(INFO)
    mirror.take_whole(whole(Item("channel", "1", {"a": 1, "b": 2}, None)))
    mirror.take_changes(changes(Change("channel", "1", {"a": 2}, True)))
    assert mirror.store.get("channel", "1") == {"a": 2}
    mirror.take_changes(changes(Change("channel", "1", None, False, {"cause": 16}), at=13))
    (gone,) = mirror.store.changes(12) or ()
    assert (gone.fields, gone.last) == (None, {"cause": 16})


def test_all_told_again_changes_what_is_other() -> None:
    mirror = Mirror(INFO)
    mirror.take_whole(
        whole(Item("channel", "1", {"a": 1}, None), Item("channel", "2", {"a": 1}, None))
    )
    store = mirror.store
    mirror.take_whole(
        whole(Item("channel", "1", {"a": 1}, None), Item("channel", "3", {"a": 1}, None), at=20)
    )
    assert mirror.store is store
    assert store.drain() == [("channel", "3"), ("channel", "2")]
    assert store.keys("channel") == ["1", "3"]


def test_another_epoch_is_another_store() -> None:
    mirror = Mirror(INFO)
    mirror.take_whole(whole(Item("channel", "1", {"a": 1}, None)))
    before = mirror.store
    mirror.take_changes(changes(epoch="f"))  # of a beginning that was lost
    assert mirror.store.offset == 10
    mirror.take_whole(whole(epoch="f", at=1, floor=0))
    assert mirror.store is not before
    assert (mirror.source.epoch, mirror.store.offset) == ("f", 1)


def server(sync: str = "live", **more: Any) -> dict[str, Any]:
    return {"name": "pbx", "sync": sync, "sync_reason": None, **more}


def told(mirror: ProgramMirror) -> tuple[Any, Any]:
    fields = mirror.store.get("server", "1") or {}
    return fields.get("sync"), fields.get("sync_reason")


def test_servers_are_stale_while_something_is_amiss() -> None:
    amiss: dict[str, Any] = {"sync": "stale", "sync_reason": "nothing is heard"}
    mirror = ProgramMirror(INFO, lambda _server: dict(amiss))
    mirror.take_whole(whole(Item("server", "1", server(), None), Item("plugin", "x", {}, None)))
    assert told(mirror) == ("stale", "nothing is heard")
    amiss.clear()
    assert mirror.look()
    assert told(mirror) == ("live", None)
    mirror.store.drain()
    amiss.update(sync="stale", sync_reason="gone")
    assert mirror.look()
    assert not mirror.look()
    assert mirror.store.drain() == [("server", "1")]
    offset = mirror.store.offset
    mirror.take_changes(changes(Change("server", "1", {"sync": "syncing"}, False)))
    mirror.take_changes(changes(Change("server", "1", {"name": "other"}, False)))
    assert told(mirror) == ("stale", "gone")
    assert mirror.store.offset > offset, "each has an offset of the edge's own"
    amiss.clear()
    mirror.take_changes(changes(Change("server", "1", {"name": "third"}, False)))
    assert told(mirror) == ("stale", "gone"), "all of it comes back at once"
    mirror.look()
    assert told(mirror) == ("syncing", None)
    mirror.take_whole(whole(Item("server", "1", server("stale", sync_reason="x"), None)))
    assert told(mirror) == ("stale", "x")
    mirror.take_changes(changes(Change("server", "1", None, False)))
    assert mirror.store.keys("server") == []


def test_of_the_program_all_can_be_told_again() -> None:
    mirror = ProgramMirror(INFO, lambda _server: {})
    mirror.take_whole(whole(Item("server", "1", server(), None), at=500, floor=400))
    assert [one.whole for one in mirror.store.changes(0) or ()] == [True]
