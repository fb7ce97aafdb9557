"""Pages for who asks one by one: bounded in number and time."""

from __future__ import annotations

import pytest

from amiws_gevent.feeds import paging
from amiws_gevent.feeds.paging import CURSOR_TIME, MOST_CURSORS, Cursors
from amiws_gevent.feeds.stateview import Frozen

ENTITIES = [Frozen(1, "call", str(number), {"n": number}) for number in range(3)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pages_to_the_end() -> None:
    cursors = Cursors(Clock())
    first = cursors.begin(ENTITIES, "P", 2)
    assert [item["id"] for item in first.items] == ["0", "1"]
    assert first.items[0] == {"server": 1, "kind": "call", "id": "0", "n": 0}
    assert first.next is not None
    last = cursors.more(first.next, 2)
    assert last is not None
    assert ([item["id"] for item in last.items], last.next) == (["2"], None)
    assert (first.position, last.position) == ("P", "P")
    again = cursors.more(first.next, 2)
    assert again == last, "should the answer have been lost"


def test_a_page_that_holds_all_needs_no_cursor() -> None:
    cursors = Cursors(Clock())
    assert cursors.begin(ENTITIES, "P", 3).next is None
    assert cursors.begin([], "P", 3) == ("P", [], None)
    assert len(cursors) == 0


def test_for_a_while() -> None:
    clock = Clock()
    cursors = Cursors(clock)
    page = cursors.begin(ENTITIES, "P", 1)
    assert page.next is not None
    clock.now = CURSOR_TIME + 1
    assert cursors.more(page.next, 1) is None
    assert cursors.more("x", 1) is None


def test_a_bounded_number_of_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST_ENTITIES", 6)
    cursors = Cursors(Clock())
    lists = [ENTITIES[:] for _ in range(3)]
    first, second, third = (cursors.begin(entities, "P", 1).next or "" for entities in lists)
    assert cursors.more(first, 1) is None
    further = cursors.more(second, 1)
    assert further is not None, "one list counts once, however many pages were asked for"
    assert cursors.more(further.next or "", 1) is not None
    assert cursors.more(third, 1) is not None
    alone = cursors.begin(ENTITIES * 3, "P", 1).next or ""
    assert cursors.more(third, 1) is None
    assert cursors.more(alone, 1) is not None, "however long it is"


def test_a_bounded_number() -> None:
    cursors = Cursors(Clock())
    pages = [cursors.begin(ENTITIES, "P", 1) for _ in range(MOST_CURSORS + 1)]
    assert len(cursors) == MOST_CURSORS
    assert cursors.more(pages[0].next or "", 3) is None
    assert cursors.more(pages[1].next or "", 3) is not None
