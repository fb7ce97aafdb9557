"""Pages for who asks one by one: bounded in number and time."""

from __future__ import annotations

import pytest

from amiws_gevent.feeds import paging
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.paging import CURSOR_TIME, MOST_CURSORS, Cursors
from amiws_gevent.feeds.stateview import Frozen

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
