"""Pages for who asks one by one: bounded in number and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from amiws_gevent.bus.sharing import Unshared
from amiws_gevent.feeds import paging
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.paging import CURSOR_TIME, MOST_CURSORS, Cursors, SharedCursors
from amiws_gevent.feeds.stateview import Frozen
from amiws_gevent.feeds.views import ViewKey
from tests.support.policy import rights
from tests.support.sharing import Away

ALL = Filters()
ENTITIES = [Frozen(1, "call", str(number), {"n": number}) for number in range(3)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pages_to_the_end() -> None:
    cursors = Cursors(Clock())
    first = cursors.begin(ALL, ENTITIES, "P", 2)
    assert [item["id"] for item in first.items] == ["0", "1"]
    assert first.items[0] == {"server": 1, "kind": "call", "id": "0", "n": 0}
    assert first.next is not None
    last = cursors.more(first.next, ALL, 2)
    assert last is not None
    assert ([item["id"] for item in last.items], last.next) == (["2"], None)
    assert (first.position, last.position) == ("P", "P")
    again = cursors.more(first.next, ALL, 2)
    assert again == last, "should the answer have been lost"


def test_a_page_that_holds_all_needs_no_cursor() -> None:
    cursors = Cursors(Clock())
    assert cursors.begin(ALL, ENTITIES, "P", 3).next is None
    assert cursors.begin(ALL, [], "P", 3) == ("P", [], None)
    assert len(cursors) == 0


def test_for_a_while() -> None:
    clock = Clock()
    cursors = Cursors(clock)
    page = cursors.begin(ALL, ENTITIES, "P", 1)
    assert page.next is not None
    clock.now = CURSOR_TIME + 1
    assert cursors.more(page.next, ALL, 1) is None
    assert cursors.more("x", ALL, 1) is None


def test_a_bounded_number_of_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST_ENTITIES", 6)
    cursors = Cursors(Clock())
    lists = [ENTITIES[:] for _ in range(3)]
    pages = [cursors.begin(ALL, entities, "P", 1) for entities in lists]
    first, second, third = (page.next or "" for page in pages)
    assert cursors.more(first, ALL, 1) is None
    further = cursors.more(second, ALL, 1)
    assert further is not None, "one list counts once, however many pages were asked for"
    assert cursors.more(further.next or "", ALL, 1) is not None
    assert cursors.more(third, ALL, 1) is not None
    alone = cursors.begin(ALL, ENTITIES * 3, "P", 1).next or ""
    assert cursors.more(third, ALL, 1) is None
    assert cursors.more(alone, ALL, 1) is not None, "however long it is"


def test_a_bounded_number() -> None:
    cursors = Cursors(Clock())
    pages = [cursors.begin(ALL, ENTITIES, "P", 1) for _ in range(MOST_CURSORS + 1)]
    assert len(cursors) == MOST_CURSORS
    assert cursors.more(pages[0].next or "", ALL, 3) is None
    assert cursors.more(pages[1].next or "", ALL, 3) is not None


def test_of_the_same_filters_only() -> None:
    cursors = Cursors(Clock())
    calls = Filters.parse({"kind": "call"})
    page = cursors.begin(calls, ENTITIES, "P", 1)
    assert page.next is not None
    for other in (ALL, Filters.parse({"kind": "call", "server": 1})):
        assert cursors.more(page.next, other, 1) is None
    assert cursors.more(page.next, Filters.parse({"kind": ["call"]}), 1) is not None


# Of edges


class Kept(Away):
    """What edges have kept, with room for so many pieces."""

    def __init__(self, room: int = 1000) -> None:
        self.found: dict[tuple[str, int], bytes] = {}
        self.room = room
        self.away = False

    def keep_piece(self, entry: str, number: int, data: bytes, _time: float) -> bool:
        if self.away:
            raise Unshared("away")
        self.found[entry, number] = data
        return len(self.found) <= self.room

    def pieces(self, entry: str, numbers: Sequence[int], _time: float) -> list[bytes | None]:
        if self.away:
            raise Unshared("away")
        return [self.found.get((entry, number)) for number in numbers]


CALLS = ViewKey(Filters.parse({"kind": "call"}), None)
MANY = [Frozen(1, "call", f"{number}\udc80", {"n": number}) for number in range(2345)]


def edge(kept: Kept) -> SharedCursors:
    return SharedCursors(Clock(), kept)


def numbers(items: list[dict[str, Any]]) -> list[int]:
    return [item["n"] for item in items]


@pytest.mark.parametrize("limits", [[1], [7, 500, 1000], [500], [499, 501], [1000, 1, 2000]])
def test_each_page_may_be_asked_of_another_edge(limits: list[int]) -> None:
    kept = Kept()
    entities = MANY[: 60 if limits == [1] else None]
    page = edge(kept).begin(CALLS, entities, "P", limits[0])
    found = numbers(page.items)
    for step in range(1, 100):
        if page.next is None:
            break
        limit = limits[step % len(limits)]
        further = edge(kept).more(page.next, CALLS, limit)
        assert further is not None
        assert further == edge(kept).more(page.next, CALLS, limit), "should the answer be lost"
        assert len(further.items) == limit or further.next is None
        assert further.position == "P"
        found += numbers(further.items)
        page = further
    assert found == list(range(len(entities)))
    assert page.items[-1]["id"].isprintable(), "as JSON has it"


def test_lists_of_edges_are_of_one_view_and_one_sight() -> None:
    kept = Kept()
    known = edge(kept).begin(CALLS, MANY, "P", 1000).next or ""
    sight = rights(see=[{"kinds": ["call"]}]).sight
    for view in (ViewKey(Filters(), None), ViewKey(CALLS.filters, sight)):
        assert edge(kept).more(known, view, 1000) is None
    same = ViewKey(Filters.parse({"kind": ["call"]}), None)
    assert edge(kept).more(known, same, 1000) is not None
    seen = edge(kept).begin(ViewKey(CALLS.filters, sight), MANY, "P", 1000).next or ""
    again = rights(see=[{"kinds": ["call"]}]).sight
    assert edge(kept).more(seen, ViewKey(CALLS.filters, again), 1000) is not None
    entry = known.partition(".")[0]
    for text in (f"{entry}.1345", f"{entry}.9999999999", f"{entry}.-1", f"{'0' * 32}.0", "x", ""):
        assert edge(kept).more(text, CALLS, 1000) is None
    assert edge(kept).more(f"{entry}.1344", CALLS, 1000) is not None


def test_a_list_of_which_some_is_gone_begins_anew() -> None:
    kept = Kept()
    known = edge(kept).begin(CALLS, MANY, "P", 10).next or ""
    del kept.found[known.partition(".")[0], 2]
    assert edge(kept).more(known, CALLS, 1000) is None
    assert edge(kept).more(known, CALLS, 500) is not None


@pytest.mark.parametrize("room", [-1, 0, 2])
def test_an_edge_has_a_list_alone_that_redis_does_not_take(room: int) -> None:
    kept = Kept(room)
    kept.away = room < 0
    cursors = edge(kept)
    page = cursors.begin(CALLS, MANY, "P", 1000)
    assert page.next is not None
    further = cursors.more(page.next, CALLS, 1000)
    assert further is not None
    assert numbers(further.items) == list(range(1000, 2000))
    kept.away, kept.room = False, 1000
    shared = cursors.begin(CALLS, MANY, "P", 1000).next or ""
    kept.away = True
    assert cursors.more(shared, CALLS, 1000) is None
