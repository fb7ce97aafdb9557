"""What a collector writes to the streams of the bus."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.batch import Position
from amiws_gevent.collector.publishing import PAST, PIECE
from amiws_gevent.crossing.codec import Changes, Head, Told, Whole, decode, read_snapshot
from amiws_gevent.crossing.streams import DIRECTORY, decode_directory
from amiws_gevent.feeds.feeds import Showing
from tests.support.actions import settle
from tests.support.edges import KEY, CollectorHere, EdgeHere
from tests.support.feeds import BOTH, EVENTS
from tests.support.local_bus import LocalBus


def entries(bus: LocalBus, stream: str = "server-1") -> list[Any]:
    """Those since the last time."""
    known = bus.streams[stream].entries
    found = [decode(one) for one in known]
    known.clear()
    return found


def test_a_stream_begins_with_all_that_there_is() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    head, whole = entries(bus)
    assert isinstance(head, Head)
    assert isinstance(whole, Whole)
    assert (whole.first, whole.last, whole.items) == (True, True, [])
    assert bus.streams["server-1"].snapshot is not None
    server = collector.servers[1]
    server.put("channel", "1", a=1, b=2)
    collector.flush()
    server.put("channel", "1", b=3)
    server.remove("channel", "2")
    collector.flush()
    made, changed = entries(bus)
    assert isinstance(made, Changes)
    assert [(one.fields, one.whole) for one in made.changes] == [({"a": 1, "b": 2}, True)]
    assert [(one.fields, one.whole) for one in changed.changes] == [({"b": 3}, False)]
    assert changed.position == Position(server.source.epoch, 3)


def test_each_batch_names_the_one_before() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    entries(bus)
    collector.says("A")
    collector.servers[1].source.advance()  # a read of which clients get nothing
    collector.says("B")
    told = entries(bus)
    assert all(isinstance(one, Told) for one in told)
    assert [(one.before, one.batch.position.offset) for one in told] == [(0, 1), (1, 3)]
    assert collector.hub.published_messages == 2


def test_the_directory_is_told_when_it_changes() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus, 1, 2)
    directory = decode_directory(bus.streams[DIRECTORY].entries[-1])
    assert [one.id for one in directory.servers] == [0, 1, 2]
    assert directory.with_state == {0, 1, 2}
    assert (directory.key, directory.withheld) == (KEY, "")
    collector.flush()
    assert len(bus.streams[DIRECTORY].entries) == 1
    collector.goes(2)
    collector.flush()
    assert "server-2" not in bus.streams
    collector.publishing.use(Showing(withheld="a plugin"))
    collector.flush()
    directory = decode_directory(bus.streams[DIRECTORY].entries[-1])
    assert (directory.withheld, directory.with_state) == ("a plugin", {0})


def test_a_stream_that_was_lost_begins_anew_under_the_same_epoch() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    collector.servers[1].put("channel", "1", a=1)
    collector.says("A")
    collector.flush()
    epoch = collector.servers[1].source.epoch
    bus.lose(collector.publishing)
    collector.says("B")
    collector.flush()
    told, head, whole = entries(bus)
    assert (told.before, told.batch.position.offset) == (2, 3)
    assert head.events == Position(epoch, 3)
    assert [item.key for item in whole.items] == ["1"]
    assert whole.position.epoch == epoch
    assert decode_directory(bus.streams[DIRECTORY].entries[-1])


def test_a_snapshot_that_is_due_is_saved_behind_the_flush() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    entries(bus)
    bus.streams["server-1"].snapshot = None
    collector.servers[1].put("channel", "1", a=1)
    collector.says("A")
    collector.publishing.on_snapshot_due("server-1")
    collector.publishing.on_snapshot_due(DIRECTORY)
    collector.flush()
    told, changes = entries(bus)
    assert isinstance(told, Told)
    assert isinstance(changes, Changes)
    snapshot = bus.streams["server-1"].snapshot
    assert snapshot is not None
    whole, head = read_snapshot(snapshot)
    assert isinstance(whole, Whole)
    assert isinstance(head, Head)
    assert whole.position == changes.position
    assert head.events.offset == 2


def test_a_snapshot_knows_what_was_changed_in_the_last_minutes() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    server = collector.servers[1]
    server.put("channel", "old", a=1)
    collector.flush()
    collector.publishing.on_snapshot_due("server-1")
    collector.flush()
    collector.now += PAST + 1
    server.put("channel", "new", a=1)
    server.put("channel", "new", a=2)
    server.put("channel", "gone", a=2)
    server.remove("channel", "gone")
    collector.publishing.on_snapshot_due("server-1")
    collector.flush()
    snapshot = bus.streams["server-1"].snapshot
    assert snapshot is not None
    whole = next(one for one in read_snapshot(snapshot) if isinstance(one, Whole))
    known = {item.key: item.known for item in whole.items}
    assert whole.floor == 1
    assert known["old"] is None
    assert known["new"] is not None
    assert known["new"].changed == {"a": 3}
    assert [name for name, _ in whole.buried] == [("channel", "gone")]


def test_what_only_a_snapshot_has_told_of_is_told_to_be_gone() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus, 1, 2)
    server = collector.servers[2]
    for stream in ("server-1", "server-2"):
        collector.publishing.on_snapshot_due(stream)
    steps = collector.publishing.deliveries()
    next(steps)  # a snapshot of the first server: what the second is flushed of is known by then
    server.put("channel", "brief", a=1)
    for _ in steps:
        pass
    snapshot = bus.streams["server-2"].snapshot
    assert snapshot is not None
    whole = next(one for one in read_snapshot(snapshot) if isinstance(one, Whole))
    assert [item.key for item in whole.items] == ["brief"]
    entries(bus, "server-2")
    server.remove("channel", "brief")
    collector.flush()
    (changes,) = entries(bus, "server-2")
    assert [(one.key, one.fields) for one in changes.changes] == [("brief", None)]


def test_many_entities_are_told_in_pieces() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    entries(bus)
    collector.servers[1].source.advance()
    for number in range(2 * PIECE):
        collector.servers[1].put("channel", str(number), a=1)
    collector.flush()
    changes = entries(bus)
    assert [len(one.changes) for one in changes] == [500, 500]
    assert [one.last for one in changes] == [False, True]
    assert len({one.position for one in changes}) == 1
    bus.lose(collector.publishing, "server-1")
    collector.flush()
    _head, *wholes = entries(bus)
    assert [(len(one.items), one.first, one.last) for one in wholes] == [
        (500, True, False),
        (500, False, False),
        (0, False, True),
    ]


def test_a_server_without_a_state_has_a_stream_of_events() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    collector.live.forget_state()
    collector.flush()
    (head,) = entries(bus)[2:]
    assert (head.keeps_state, head.events.offset) == (False, 0)
    directory = decode_directory(bus.streams[DIRECTORY].entries[-1])
    assert not directory.keeps_state


def test_of_a_stream_that_was_given_up_nothing_is_told() -> None:
    bus = LocalBus()
    collector = CollectorHere(bus)
    collector.publishing.give_up(1)
    before = len(bus.streams["server-1"].entries)
    collector.says("A")
    collector.servers[1].put("channel", "1", a=1)
    collector.publishing.on_snapshot_due("server-1")
    collector.publishing.on_broken("server-1")
    collector.flush()
    assert len(bus.streams["server-1"].entries) == before


class TestTheNextCollector:
    """It goes on with streams of another one."""

    def test_it_goes_on_in_the_epoch_with_a_gap(self) -> None:
        bus = LocalBus()
        before = CollectorHere(bus)
        before.says("A")
        known = len(bus.streams["server-1"].entries)
        after = CollectorHere(bus, goes_on=True)
        assert after.servers[1].source.epoch == before.servers[1].source.epoch
        gap = decode(bus.streams["server-1"].entries[known])
        entries(bus)
        assert isinstance(gap, Head)
        assert gap.events.offset > before.servers[1].source.offset
        after.says("B")
        (told,) = entries(bus)
        assert isinstance(told, Told)
        assert told.before == gap.events.offset

    def test_clients_see_one_gap_and_no_flash(self) -> None:
        bus = LocalBus()
        before = CollectorHere(bus)
        for key in "12":
            before.servers[1].put("channel", key, a=1)
        before.says("A")
        before.flush()
        edge = EdgeHere(bus)
        edge.run()
        client = edge.client()
        client.subscribe(BOTH)
        client.read()
        client.beat()
        client.take()

        after = CollectorHere(bus, goes_on=True, settled=False)
        after.servers[1].put("channel", "2", a=1)
        after.says("B")
        after.publishing.on_snapshot_due("server-1")
        after.flush()
        edge.run()
        client.read()
        (name,) = client.collections
        assert {key for _, kind, key in client.collections[name] if kind == "channel"} == {"1", "2"}
        after.servers[1].put("channel", "3", a=1)
        after.settled = True
        after.flush()
        edge.run()
        client.read()
        told = client.messages
        gaps = [one for one in told if one["op"] == "gap"]
        assert {(one["stream"], one["reason"]) for one in gaps} == {("events", "history")}
        assert sorted(one["server"] for one in gaps) == [0, 1], "one for each that has moved"
        assert client.events() == ["B"]
        states = [message for message in told if message["op"] in ("snapshot", "state")]
        assert all(message["op"] != "snapshot" for message in states)
        changed = [one["id"] for message in states for one in message.get("changed", ())]
        assert "2" not in changed, "what is as it was is not told again"
        channels = {key for _, kind, key in client.collections[name] if kind == "channel"}
        assert channels == {"2", "3"}

    def test_who_comes_back_to_an_edge_that_starts_later_sees_the_gap_too(self) -> None:
        bus = LocalBus()
        before = CollectorHere(bus)
        before.says("A")
        first = EdgeHere(bus)
        first.run()
        client = first.client()
        client.subscribe(EVENTS)
        client.read()
        client.beat()
        (position,) = client.positions.values()
        CollectorHere(bus, goes_on=True).says("B")
        second = EdgeHere(bus)
        second.run()
        again = second.client()
        again.subscribe(EVENTS, position)
        again.read()
        assert set(again.gaps()) == {("events", "history", None)}

    def test_what_plugins_make_of_the_state_goes_on_too(self) -> None:
        bus = LocalBus()
        shows = Showing(lambda _server, entities: [{**one, "b": 2} for one in entities], (1,))
        before = CollectorHere(bus)
        before.publishing.use(shows)
        before.servers[1].put("channel", "1", a=1)
        before.flush()
        settle()
        before.flush()
        edge = EdgeHere(bus)
        edge.run()
        known = edge.following.servers[1].store
        assert known.get("channel", "1") == {"a": 1, "b": 2}
        after = CollectorHere(bus, goes_on=True, shows=shows)
        after.servers[1].put("channel", "1", a=1)
        after.flush()
        edge.run()
        assert known.get("channel", "1") == {"a": 1, "b": 2}, "plugins were not asked yet"
        settle()
        after.flush()
        edge.run()
        assert edge.following.servers[1].store is known, "it is the same state"
        assert known.get("channel", "1") == {"a": 1, "b": 2}


def test_a_fault_with_one_server_is_not_that_of_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bus = LocalBus()
    collector = CollectorHere(bus, 1, 2)
    for number in (1, 2):
        entries(bus, f"server-{number}")
        collector.servers[number].put("channel", "1", a=1)
    append = bus.append

    def fails(stream: str, data: bytes) -> None:
        if stream == "server-1":
            raise OSError("no")
        append(stream, data)

    monkeypatch.setattr(bus, "append", fails)
    collector.flush()
    assert [type(one) for one in entries(bus, "server-2")] == [Changes]
    assert "server 1" in caplog.text
    monkeypatch.undo()
    collector.servers[1].put("channel", "1", a=2)
    collector.flush()
    head, whole = entries(bus)
    assert isinstance(head, Head)
    assert whole.items[0].fields == {"a": 2}
