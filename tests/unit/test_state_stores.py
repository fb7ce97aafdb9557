"""Stores of what does not come with a read: each change a position, and changes in pieces."""

from __future__ import annotations

import itertools

from amiws_gevent.state.stores import MirrorStore, ProxyStore


def test_each_change_has_a_position_of_its_own() -> None:
    offsets = itertools.count(1)
    store = ProxyStore(lambda: next(offsets))
    store.put("server", "1", name="pbx")
    store.put("server", "2", name="other")
    assert [store.born("server", key) for key in ("1", "2")] == [1, 2]
    store.remove("server", "2")
    assert store.gone("server", "2") == 3


def test_what_changes_nothing_takes_no_position() -> None:
    offsets = itertools.count(1)
    store = ProxyStore(lambda: next(offsets))
    store.put("server", "1", name="pbx", ssl=False)
    assert not store.put("server", "1", name="pbx")
    assert not store.remove("server", "2")
    assert store.offset == 1


def test_amid_pieces_nothing_has_changed_yet() -> None:
    store = MirrorStore(5, 0)
    store.amid = True
    store.put("call", "1", phase="ringing")
    assert not store.dirty
    assert store.drain() == []
    store.amid = False
    assert store.dirty
    assert store.drain() == [("call", "1")]
