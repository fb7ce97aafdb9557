"""The client's collection; tests/property/test_client_collection.py has all orders."""

from __future__ import annotations

from typing import Any

from amiws_gevent.client.collection import Change, Collection, Name, name_of


def call(key: str, **fields: Any) -> dict[str, Any]:
    return {"server": 1, "kind": "call", "id": key, **fields}


def name(key: str) -> Name:
    return Name(1, "call", key)


def test_a_snapshot_replaces_with_its_last_page() -> None:
    collection = Collection()
    assert collection.snapshot(1, 1, [call("old"), call("same", n=[1])]) == [
        Change(name("old"), None, call("old")),
        Change(name("same"), None, call("same", n=[1])),
    ]
    assert collection.snapshot(1, 2, [call("same", n=[1])]) == []
    assert collection.loading
    assert set(collection.items) == {name("old"), name("same")}
    assert collection.snapshot(2, 2, [call("new")]) == [
        Change(name("old"), call("old"), None),
        Change(name("new"), None, call("new")),
    ]
    assert not collection.loading


def test_a_first_page_begins_anew_and_a_lost_one_ends_it() -> None:
    collection = Collection()
    collection.snapshot(1, 3, [call("1")])
    collection.state([call("9")], [])
    collection.snapshot(1, 2, [call("2")])
    assert collection.snapshot(3, 3, [call("3")]) == []
    collection.snapshot(2, 2, [call("4")])
    assert set(collection.items) == {name("2"), name("4")}
    collection.snapshot(1, 2, [call("5")])
    collection.forget_pages()
    assert collection.snapshot(2, 2, [call("6")]) == []
    assert set(collection.items) == {name("2"), name("4")}


def test_what_comes_between_pages_is_merged_over_them() -> None:
    collection = Collection()
    collection.snapshot(1, 2, [call("1", a=1, b=1), call("2")])
    collection.state([call("3", a=2), call("3", b=2), call("1", a=2)], [call("2"), call("5")])
    collection.state([call("5", a=3)], [])
    collection.snapshot(2, 2, [call("3", a=1, c=1), call("5", a=1, b=1)])
    assert collection.items == {
        name("1"): call("1", a=2, b=1),
        name("3"): call("3", a=2, b=2, c=1),
        name("5"): call("5", a=3),
    }


def test_changes_are_values() -> None:
    collection = Collection()
    collection.snapshot(1, 1, [call("1", a=1, b=None)])
    before = collection.items[name("1")]
    (change,) = collection.state([call("1", b=2)], [call("none")])
    assert change == Change(name("1"), before, call("1", a=1, b=2))
    assert before == call("1", a=1, b=None)
    (gone,) = collection.state([], [{**call("1"), "last": {"cause": 16}}])
    assert (gone.now, gone.last) == (None, {"cause": 16})
    assert collection.items == {}


def test_names() -> None:
    assert name_of(call("7")) == (1, "call", "7")
