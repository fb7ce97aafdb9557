"""Events that wait: which may be sent to who is behind, and what was left out."""

from __future__ import annotations

from typing import Any

from amiws_gevent.batch import Item
from amiws_gevent.feeds.waiting import ITEM_COST, Drop, Waiting


def item(name: str, messages: int = 1) -> Item:
    part: Any = name
    return Item(name.encode(), messages, {}, part)


def filled(*names: str) -> Waiting:
    waiting = Waiting()
    for name in names:
        waiting.add(item(name))
    return waiting


def taken(waiting: Waiting, *, any_one: bool = False) -> list[str]:
    found = []
    while (one := waiting.take(any_one=any_one)) is not None:
        found.append(one.data.decode())
    return found


def test_in_order_with_what_they_cost() -> None:
    waiting = filled("a", "bc")
    assert (waiting.first, waiting.size) == ("a", 3 + 2 * ITEM_COST)
    assert taken(waiting, any_one=True) == ["a", "bc"]
    assert (waiting.first, waiting.size) == (None, 0)


def test_who_is_behind_gets_those_before_it_fell_behind() -> None:
    waiting = filled("a", "b")
    waiting.falls_behind()
    waiting.add(item("c"))
    assert taken(waiting) == ["a", "b"]
    waiting.begins_to_catch_up()
    waiting.add(item("d"))
    assert taken(waiting) == []
    waiting.has_caught_up()
    assert taken(waiting) == ["c"]
    assert taken(waiting, any_one=True) == ["d"]


def test_what_was_dropped_is_behind_what_waited() -> None:
    waiting = filled("a")
    assert not waiting.is_at_drop
    for _ in range(2):
        waiting.dropped(Drop("busy"))
    waiting.add(item("b"))
    waiting.dropped(Drop("busy"))
    assert not waiting.take_drops()
    assert waiting.take(any_one=True) == item("a")
    assert waiting.is_at_drop
    assert (waiting.take_drops(), waiting.take_drops()) == ([Drop("busy")], [])
    waiting.leave_out()
    assert waiting.take_drops()
    waiting.dropped(Drop("busy"))
    assert waiting.take_drops()


def test_what_was_dropped_of_several_servers_is_told_of_each_once() -> None:
    waiting = Waiting()
    for server in (1, 2, 1):
        waiting.dropped(Drop("restart", server))
    assert waiting.take_drops() == [Drop("restart", 1), Drop("restart", 2)]


def test_what_was_left_out_counts_until_it_is_told() -> None:
    waiting = Waiting()
    for name in "abcd":
        waiting.add(item(name, messages=2))
    waiting.falls_behind()
    waiting.begins_to_catch_up()
    assert [waiting.leave_out().data for _ in range(3)] == [b"a", b"b", b"c"]
    assert (waiting.first, waiting.size) == ("a", 1 + ITEM_COST)
    assert waiting.take_lost() == 6
    assert (waiting.first, waiting.take_lost()) == ("d", 0)
    waiting.add(item("e"))
    assert taken(waiting) == ["d"], "it alone came before"
    waiting.has_caught_up()
    assert taken(waiting) == []
