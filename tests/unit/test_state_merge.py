"""A list and the events around it: what is removed, what comes back, whose value holds."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.store import Store
from tests.support.fed import event, finish

pytestmark = pytest.mark.pure  # a part of its own


class Part(ListedPart):
    kinds = ("thing", "dated")
    dated: ClassVar = {"dated": "state"}


@pytest.fixture
def part() -> Part:
    return Part(Store(tombstones=3))


def put(part: Part, offset: int, key: str, **fields: Any) -> None:
    part.store.begin(offset)
    part.store.put("thing", key, **fields)


def remove(part: Part, offset: int, key: str) -> None:
    part.store.begin(offset)
    part.store.remove("thing", key)


def merge(part: Part, offset: int, *, asked: int, **items: dict[str, Any]) -> None:
    part.store.begin(offset)
    finish(part.merge("thing", {key: Item(fields) for key, fields in items.items()}, asked))


def test_what_is_missing_goes_if_it_was_there_when_the_list_was_asked_for(part: Part) -> None:
    put(part, 1, "old", a=1)
    put(part, 2, "asked", a=1)
    put(part, 3, "since", a=1)
    merge(part, 4, asked=2)
    assert part.store.keys("thing") == ["since"]


def test_what_was_made_anew_since_stays_though_its_end_was_lost(part: Part) -> None:
    put(part, 1, "a", call=1)
    part.store.begin(3)
    part.renew("thing", "a", call=2)
    merge(part, 4, asked=2)
    assert part.store.get("thing", "a") == {"call": 2}


def test_what_was_removed_since_does_not_come_back(part: Part) -> None:
    put(part, 1, "a", x=1)
    remove(part, 3, "a")
    merge(part, 4, asked=2, a={"x": 1})
    assert part.store.keys("thing") == []


def test_what_was_removed_before_may_be_there_again(part: Part) -> None:
    put(part, 1, "a", x=1)
    remove(part, 2, "a")
    merge(part, 4, asked=2, a={"x": 2})
    assert part.store.get("thing", "a") == {"x": 2}


def test_nothing_is_added_by_a_list_older_than_what_is_remembered_of_ends(part: Part) -> None:
    for number in range(5):  # two of their tombstones are forgotten
        put(part, 3, f"t{number}", x=1)
    for number in range(5):
        remove(part, 4, f"t{number}")
    merge(part, 5, asked=3, t0={"x": 1}, new={"x": 1})
    assert part.store.keys("thing") == []
    merge(part, 6, asked=5, new={"x": 1})
    assert part.store.keys("thing") == ["new"]


def test_a_field_that_an_event_changed_since_keeps_its_value(part: Part) -> None:
    put(part, 1, "a", x=1, y=1)
    put(part, 3, "a", x=3)
    merge(part, 4, asked=2, a={"x": 2, "y": 2, "z": 2})
    assert part.store.get("thing", "a") == {"x": 3, "y": 2, "z": 2}


def test_a_field_that_an_event_emptied_since_stays_empty(part: Part) -> None:
    put(part, 1, "a", reason="Lunch")
    put(part, 3, "a", reason=None)
    merge(part, 4, asked=2, a={"reason": "Lunch"})
    assert part.store.get("thing", "a") == {"reason": None}


def test_what_the_making_event_did_not_say_is_taken_from_the_list(part: Part) -> None:
    put(part, 3, "a", x=3, login=None)
    merge(part, 4, asked=2, a={"x": 2, "login": 7})
    assert part.store.get("thing", "a") == {"x": 3, "login": 7}


def test_estimates_fill_what_is_unknown_alone(part: Part) -> None:
    put(part, 1, "a", since=5)
    put(part, 1, "b", since=None)
    items = {key: Item({"x": 1}, {"since": 9}) for key in "abc"}
    part.store.begin(2)
    finish(part.merge("thing", items, 1))
    assert [fields["since"] for fields in part.store.of("thing").values()] == [5, 9, 9]


def test_an_estimate_does_not_fill_what_an_event_emptied_since(part: Part) -> None:
    put(part, 1, "a", since=5)
    put(part, 3, "a", since=None)
    part.store.begin(4)
    finish(part.merge("thing", {"a": Item({}, {"since": 9})}, 2))
    assert part.store.get("thing", "a") == {"since": None}


def test_a_list_of_some_leaves_the_others(part: Part) -> None:
    put(part, 1, "sip", technology="SIP")
    put(part, 1, "iax", technology="IAX2")
    part.store.begin(2)
    finish(part.merge("thing", {}, 1, lambda known: bool(known["technology"] == "SIP")))
    assert part.store.keys("thing") == ["iax"]


def test_a_reset_removes_what_the_part_has_made(part: Part) -> None:
    put(part, 1, "a", x=1)
    part.store.put("other", "b", x=1)
    part.store.begin(2)
    finish(part.reset())
    assert part.store.keys("thing") == []
    assert part.store.keys("other") == ["b"]


def test_since_when_it_is_so_is_told_by_both_clocks(part: Part) -> None:
    """manager.conf, timestampevents: seconds with a fraction."""
    part.now = 7
    part.put_dated("dated", "a", event("X", Timestamp="1.5"), {"state": 1}, {"more": None})
    whole = {"state": 1, "more": None, "since": 7, "server_since": 1500}
    assert part.store.get("dated", "a") == whole
    part.now = 8
    part.put_dated("dated", "a", event("X"), {"state": 1, "more": 2}, {"more": None})
    assert part.store.get("dated", "a") == {**whole, "more": 2}
    part.put_dated("dated", "a", event("X"), {"state": 2}, {"more": None})
    changed = {"state": 2, "more": 2, "since": 8, "server_since": None}
    assert part.store.get("dated", "a") == changed


def test_what_only_a_list_has_told_is_so_since_it_came(part: Part) -> None:
    part.now = 7
    part.put_dated("dated", "a", event("X", Timestamp="1.5"), {"state": 1}, {})
    part.now = 9
    part.store.begin(2)
    finish(part.merge("dated", {"a": Item({"state": 1})}, 1))
    assert part.store.get("dated", "a") == {"state": 1, "since": 7, "server_since": 1500}
    finish(part.merge("dated", {"a": Item({"state": 2})}, 1))
    assert part.store.get("dated", "a") == {"state": 2, "since": 9, "server_since": None}
