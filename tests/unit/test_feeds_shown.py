"""What is shown of a server: its store, or what plugins make of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

import amiws_gevent.feeds.shown as module
from amiws_gevent.feeds.deltas import Delta
from amiws_gevent.feeds.shown import Shown
from amiws_gevent.plugins.api import Entity, ServerInfo
from tests.support.feeds import FakeServer


@pytest.fixture
def server() -> FakeServer:
    return FakeServer(1, epoch="e", tombstones=4)


def deltas(shown: Shown) -> list[Delta]:
    flush = shown.flush()
    return [] if flush is None else [delta for chunk in flush.chunks() for delta in chunk.deltas]


def masked(server: ServerInfo, entities: Sequence[Entity]) -> list[Entity]:
    return [
        {name: value for name, value in entity.items() if name != "number"}
        for entity in entities
        if not entity.get("secret")
    ]


def fed(shown: Shown) -> Shown:
    """What is shown, when plugins have been asked about all."""
    assert shown.changed is not None
    shown.changed.take()
    return shown


def test_what_came_amid_a_flush_and_went_after_it_is_told_to_be_gone(server: FakeServer) -> None:
    shown = Shown(server)
    server.put("call", "7", phase="ringing")
    flush = shown.flush()
    assert flush is not None
    server.remove("call", "7")
    server.put("call", "7", phase="talking")
    (chunk,) = flush.chunks()
    assert [delta.fields for delta in chunk.deltas] == [{"phase": "talking"}]
    server.remove("call", "7", cause=16)
    (delta,) = deltas(shown)
    assert (delta.fields, delta.last) == (None, {"cause": 16})


def test_what_came_and_went_is_not_told_and_moves_on_all_the_same(server: FakeServer) -> None:
    shown = Shown(server)
    server.put("call", "7", phase="ringing")
    server.remove("call", "7")
    flush = shown.flush()
    assert flush is not None
    assert (list(flush.chunks()), shown.position) == ([], ("e", 2))
    assert shown.flush() is None


def test_what_came_and_went_is_told_if_somebody_has_seen_it(server: FakeServer) -> None:
    shown = Shown(server)
    server.put("call", "7", phase="ringing")
    shown.current()
    server.remove("call", "7", cause=16)
    (delta,) = deltas(shown)
    assert (delta.fields, delta.last) == (None, {"cause": 16})


def test_a_flush_tells_each_change_once(server: FakeServer) -> None:
    shown = Shown(server)
    server.put("call", "7", phase="ringing", since=1)
    server.put("call", "7", phase="talking")
    (delta,) = deltas(shown)
    assert delta.new
    whole = {"server": 1, "kind": "call", "id": "7", "phase": "talking", "since": 1}
    assert json.loads(delta.part) == json.loads(delta.whole) == whole
    assert shown.position == ("e", 2)
    assert shown.flush() is None

    server.put("call", "7", phase="held")
    (delta,) = deltas(shown)
    assert json.loads(delta.part) == {"server": 1, "kind": "call", "id": "7", "phase": "held"}
    assert json.loads(delta.whole) == {**whole, "phase": "held"}

    server.remove("call", "7", cause=16)
    (delta,) = deltas(shown)
    assert delta.fields is None
    gone = {"server": 1, "kind": "call", "id": "7"}
    assert json.loads(delta.gone(ended=True)) == {**gone, "last": {"cause": 16}}
    assert json.loads(delta.gone(ended=False)) == gone


def test_what_was_there_before_is_no_change(server: FakeServer) -> None:
    server.put("call", "7", phase="ringing")
    shown = Shown(server)
    assert shown.flush() is None
    assert shown.position == ("e", 1)


def test_one_that_came_again_is_new(server: FakeServer) -> None:
    shown = Shown(server)
    server.put("call", "7", phase="ringing", since=1)
    deltas(shown)
    server.remove("call", "7")
    server.put("call", "7", phase="ringing")
    (delta,) = deltas(shown)
    assert delta.new
    assert json.loads(delta.part) == {"server": 1, "kind": "call", "id": "7", "phase": "ringing"}


def test_it_is_of_one_stream(server: FakeServer) -> None:
    shown = Shown(server)
    assert shown.is_of(server)
    assert not shown.is_of(FakeServer(1, epoch="e"))
    server.source.epoch = "f"
    assert not shown.is_of(server)


def test_names_since(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMES", 2)
    shown = Shown(server)
    for number in range(5):
        server.put("call", str(number), n=number)
        deltas(shown)
    assert list(shown.names_since(5) or ()) == []
    assert set(shown.names_since(4) or ()) == {("call", "4")}
    assert set(shown.names_since(3) or ()) == {("call", "3"), ("call", "4")}
    assert shown.names_since(0) is None, "they are forgotten"


def test_what_the_store_has_that_no_flush_has_told(server: FakeServer) -> None:
    shown = Shown(server)
    assert shown.pending is None
    for number in (1, 2):
        server.put("call", "1", n=number)
        told_by = shown.pending
        flush = shown.flush()
        assert flush is not None
        assert told_by == flush.number == number
        assert shown.pending is None


def test_what_can_be_told(server: FakeServer) -> None:
    shown = Shown(server)
    for number in range(6):
        server.put("call", str(number), n=number)
    for number in range(6):
        server.remove("call", str(number))
    deltas(shown)
    assert shown.can_tell(12)
    assert not shown.can_tell(13)
    assert shown.can_tell(8)
    assert not shown.can_tell(7), "of the first two removed ones nothing is known"


def test_a_flush_comes_in_chunks_that_all_share(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amiws_gevent.feeds.deltas.CHUNK", 2)
    shown = Shown(server)
    for number in range(5):
        server.put("call", str(number), n=number)
    flush = shown.flush()
    assert flush is not None
    first = list(flush.chunks())
    assert [len(chunk.deltas) for chunk in first] == [2, 2, 1]
    assert all(one is other for one, other in zip(first, flush.chunks(), strict=True))


class TestTransformed:
    def test_clients_see_what_plugins_make_of_it(self, server: FakeServer) -> None:
        server.put("channel", "1", number="201", state="up")
        shown = fed(Shown(server, masked))
        assert shown.store.get("channel", "1") == {"state": "up"}
        server.put("channel", "2", number="202", state="down")
        assert {delta.key for delta in deltas(fed(shown))} == {"1", "2"}
        assert shown.store.get("channel", "2") == {"state": "down"}

    def test_nothing_is_shown_before_plugins_were_asked(self, server: FakeServer) -> None:
        server.put("channel", "1", number="201", state="up")
        shown = Shown(server, masked)
        assert shown.flush() is None
        assert shown.store.frozen() == []

    def test_what_they_hide_changes_nothing(self, server: FakeServer) -> None:
        shown = Shown(server, masked)
        server.put("channel", "1", number="201", state="up")
        deltas(fed(shown))
        server.put("channel", "1", number="202")
        assert fed(shown).flush() is None

    def test_what_they_hide_wholly_is_gone_without_last_words(self, server: FakeServer) -> None:
        shown = Shown(server, masked)
        server.put("channel", "1", state="up", secret=False)
        deltas(fed(shown))
        server.put("channel", "1", secret=True)
        (delta,) = deltas(fed(shown))
        assert (delta.fields, delta.last) == (None, None)

    def test_last_words_are_told(self, server: FakeServer) -> None:
        shown = Shown(server, masked)
        server.put("channel", "1", state="up")
        deltas(fed(shown))
        server.remove("channel", "1", cause=16, number="201")
        (delta,) = deltas(fed(shown))
        assert (delta.fields, delta.last) == (None, {"cause": 16})

    def test_what_plugins_are_told_is_what_clients_get(self, server: FakeServer) -> None:
        shown = Shown(server)
        name = {"server": 1, "kind": "channel", "id": "1"}
        server.put("channel", "1", state="up", n=1)
        assert [delta.entity for delta in deltas(shown)] == [{**name, "state": "up", "n": 1}]
        server.put("channel", "1", n=2)
        assert [delta.entity for delta in deltas(shown)] == [{**name, "n": 2}]
        server.remove("channel", "1", cause=16)
        assert [delta.entity for delta in deltas(shown)] == [{**name, "last": {"cause": 16}}]

    def test_each_has_an_epoch_of_its_own(self, server: FakeServer) -> None:
        epochs = {Shown(server).epoch, Shown(server, masked).epoch, Shown(server, masked).epoch}
        assert len(epochs) == 3
