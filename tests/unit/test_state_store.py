from __future__ import annotations

from amiws_gevent.state.store import Change, Store, forget_oldest


def changes(store: Store, since: int) -> list[Change] | None:
    found = store.changes(since)
    return None if found is None else list(found)


def test_what_changed_since_is_the_changed_fields_alone() -> None:
    store = Store()
    store.begin(1)
    assert store.put("a", "x", one=1, two=2)
    store.begin(2)
    assert not store.put("a", "x", two=2)
    assert store.put("a", "x", two=3)
    assert store.get("a", "x") == {"one": 1, "two": 3}
    assert changes(store, 0) == [Change("a", "x", {"one": 1, "two": 3}, whole=True)]
    assert changes(store, 1) == [Change("a", "x", {"two": 3}, whole=False)]
    assert changes(store, 2) == []
    assert changes(store, 3) is None


def test_fields_in_hand_stay_as_they_are_unless_the_store_is_alone() -> None:
    store = Store()
    store.begin(1)
    store.put("a", "x", one=1)
    before = store.get("a", "x")
    store.put("a", "x", one=2)
    assert before == {"one": 1}
    store.begin(2)
    store.alone = True
    in_hand = store.get("a", "x")
    store.put("a", "x", one=3)
    assert in_hand == {"one": 2}
    in_hand = store.get("a", "x")
    store.put("a", "x", one=4)
    assert in_hand is store.get("a", "x")
    store.alone = False
    store.put("a", "x", one=5)
    assert in_hand == {"one": 4}
    assert changes(store, 1) == [Change("a", "x", {"one": 5}, whole=False)]
    assert store.drain() == [("a", "x")]


def test_one_that_is_gone_is_told_with_its_last_words() -> None:
    store = Store()
    store.begin(1)
    store.put("a", "x", one=1)
    store.begin(2)
    assert store.remove("a", "x", {"cause": 16})
    assert not store.remove("a", "x")
    assert changes(store, 1) == [Change("a", "x", None, whole=False, last={"cause": 16})]
    store.begin(3)
    store.put("a", "x", one=2)
    assert changes(store, 2) == [Change("a", "x", {"one": 2}, whole=True)]


def test_what_is_older_than_the_forgotten_cannot_be_told() -> None:
    store = Store(tombstones=1)
    for offset, key in enumerate("xy", start=1):
        store.begin(offset)
        store.put("a", key)
        store.remove("a", key)
    assert changes(store, 0) is None
    assert changes(store, 1) == [Change("a", "y", None, whole=False)]
    assert store.may_have_gone("a", "x", 0)
    assert store.may_have_gone("a", "y", 1)
    assert not store.may_have_gone("a", "z", 1)


def test_a_list_does_not_undo_what_events_said_since_it_was_asked() -> None:
    store = Store()
    store.begin(1)
    store.put("a", "old", one=1, two=1)
    store.begin(3)
    store.put("a", "old", two=3)
    store.put("a", "new", one=3)
    store.begin(4)
    assert store.merge("a", "old", 2, one=2, two=2)
    assert store.get("a", "old") == {"one": 2, "two": 3}
    assert not store.merge("a", "new", 2, one=2)


def test_what_was_touched_is_told_once_in_the_order_of_its_first_change() -> None:
    store = Store()
    assert not store.dirty
    store.begin(1)
    store.put("a", "x", one=1)
    store.put("b", "y", one=1)
    store.put("a", "x", one=2)
    assert store.dirty
    assert store.drain() == [("a", "x"), ("b", "y")]
    assert not store.dirty
    assert store.drain() == []
    store.put("a", "x", one=2)
    store.merge("b", "y", 1, one=1)
    store.remove("a", "z")
    assert not store.dirty
    store.remove("b", "y")
    store.put("b", "y", one=2)
    store.merge("a", "x", 1, one=3)
    assert store.drain() == [("b", "y"), ("a", "x")]


def test_what_came_and_went_meanwhile_is_not_touched_unless_somebody_looked() -> None:
    store = Store(tombstones=2)
    store.begin(1)
    store.put("a", "x", one=1)
    store.remove("a", "x")
    assert (store.dirty, store.drain(), store.dirty) == (True, [], False)
    store.put("a", "x", one=1)
    store.remove("a", "x")
    assert store.drain() == [("a", "x")], "it is of an offset that was told"
    store.begin(2)
    store.put("a", "y", one=1)
    store.look()
    store.put("a", "y", one=2)
    store.remove("a", "y")
    assert store.drain() == [("a", "y")]
    store.begin(3)
    store.put("a", "x", one=2)
    store.remove("a", "x")
    assert store.drain() == []
    store.put("a", "z", one=1)
    store.begin(4)
    store.remove("a", "z")
    store.begin(5)
    store.put("a", "z", one=2)
    store.remove("a", "z")
    assert store.drain() == [("a", "z")], "who was at 3 may have seen the one before"
    store.begin(6)
    with store.noted() as touched:
        store.put("a", "v", one=1)
        store.remove("a", "v")
        assert list(touched) == [("a", "v")]
    assert store.drain() == [("a", "v")]


def test_who_looked_is_told_of_what_changes_then() -> None:
    store = Store()
    store.begin(1)
    store.put("a", "x", one=1)
    store.drain()
    store.begin(2)
    store.put("a", "x", one=2)
    store.put("a", "x", one=3)
    assert store.drain() == [("a", "x")]
    store.put("a", "x", one=4)
    assert store.drain() == [("a", "x")]
    store.begin(3)
    store.put("a", "x", one=5)
    with store.noted() as touched:
        store.put("a", "x", one=6)
        assert list(touched) == [("a", "x")]


def test_the_oldest_of_all_kinds_are_forgotten() -> None:
    store = Store(tombstones=3)
    for offset, (kind, key) in enumerate(("ax", "bx", "ay", "by", "az"), start=1):
        store.begin(offset)
        store.put(kind, key)
        store.remove(kind, key)
    assert store.forgotten == 2
    assert store.gone_since(0) == [("a", "z"), ("b", "y"), ("a", "y")]
    assert [name for name, _ in store.buried(3)] == [("b", "y"), ("a", "z")]
    store.put("b", "y", one=1)
    assert store.gone_since(0) == [("a", "z"), ("a", "y")]
    store.begin(6)
    store.remove("b", "y")
    assert (store.forgotten, len(store.gone_since(0))) == (2, 3)


def test_one_entity_can_be_asked_for() -> None:
    store = Store()
    for offset, one in enumerate((1, 2), start=1):
        store.begin(offset)
        store.put("a", "x", one=one, two=0)
    assert store.change("a", "x", 0) == Change("a", "x", {"one": 2, "two": 0}, whole=True)
    assert store.change("a", "x", 1) == Change("a", "x", {"one": 2}, whole=False)
    assert store.change("a", "x", 2) is None
    assert store.change("a", "z", 0) is None
    store.begin(3)
    store.remove("a", "x", {"cause": 16})
    assert store.change("a", "x", 2) == Change("a", "x", None, whole=False, last={"cause": 16})
    assert store.change("a", "x", 3) is None
    store.put("a", "x", one=4)
    assert store.change("a", "x", 2) == Change("a", "x", {"one": 4}, whole=True)


def test_one_whose_removal_is_forgotten_counts_as_removed() -> None:
    store = Store(tombstones=1)
    for offset, key in enumerate("xy", start=1):
        store.begin(offset)
        store.put("a", key)
        store.remove("a", key)
    assert store.forgotten == 1
    assert store.change("a", "x", 0) == Change("a", "x", None, whole=False)
    assert store.change("a", "x", 1) is None


def test_what_is_frozen_stays_as_it_was() -> None:
    store = Store()
    store.put("a", "x", one=[1])
    store.put("b", "y", one=1)
    frozen = store.frozen()
    store.begin(1)
    store.put("a", "x", one=[2])
    store.remove("b", "y")
    assert frozen == [("a", "x", {"one": [1]}), ("b", "y", {"one": 1})]


def test_what_has_gone_since() -> None:
    store = Store(tombstones=3)
    for offset, key in enumerate("wxyz", start=1):
        store.begin(offset)
        store.put("a", key)
        store.put("b", "stays")
        store.remove("a", key)
    assert store.kinds == ["a", "b"]
    assert store.gone_since(2) == [("a", "z"), ("a", "y")]
    assert store.gone_since(4) == []
    assert len(store.gone_since(0)) == 3
    assert ("b", "stays") in store.drain()
    assert not store.dirty


def test_who_holds_an_entity_sees_what_it_is_now_and_that_it_is_gone() -> None:
    store = Store()
    entities = store.entities("a")
    store.put("a", "x", one=1)
    held, before = entities["x"], entities["x"].fields
    store.begin(1)
    store.update("a", "x", held, {"one": 2})
    assert (held.fields, before) == ({"one": 2}, {"one": 1})
    assert changes(store, 0) == [Change("a", "x", {"one": 2}, whole=False)]
    store.remove("a", "x")
    store.put("a", "x", one=3)
    assert (held.fields, entities["x"].fields) == ({}, {"one": 3})


def test_what_came_and_went_since() -> None:
    store = Store(tombstones=2)
    store.begin(1)
    store.put("a", "x", one=1)
    store.begin(2)
    store.put("a", "y", one=1)
    assert not store.has_passed("a", "y", 1, 1), "it is there"
    store.remove("a", "y")
    assert store.has_passed("a", "y", 1, 1)
    assert not store.has_passed("a", "y", 1, 2), "somebody saw it"
    store.begin(3)
    store.remove("a", "x")
    assert not store.has_passed("a", "x", 2, 2)
    store.begin(4)
    store.put("a", "x", one=1)
    store.remove("a", "x")
    assert not store.has_passed("a", "x", 2, 2), "who was at 2 knows it"
    assert not store.has_passed("a", "x", 3, 3)
    store.begin(5)
    store.put("a", "x", one=1)
    store.remove("a", "x")
    assert not store.has_passed("a", "x", 3, 4)
    store.begin(6)
    store.put("a", "z", one=1)
    store.remove("a", "z")
    store.begin(7)
    store.put("a", "y", one=1)
    store.remove("a", "y")
    assert store.forgotten == 5
    assert not store.has_passed("a", "z", 4, 4), "nobody knows what was forgotten"
    assert store.has_passed("a", "z", 5, 5)


def test_the_oldest_are_forgotten_several_at_once() -> None:
    kept: dict[int, int] = {}
    forgotten = []
    for number in range(300):
        kept[number] = number
        if (value := forget_oldest(kept, 128)) is not None:
            forgotten.append(value)
            assert list(kept) == list(range(value + 1, number + 1))
            assert len(kept) == 128
        assert len(kept) <= 130
    assert forgotten == list(range(2, 300 - 128, 3))
