"""Pages for who asks one by one: bounded in number and time."""

from __future__ import annotations

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


def test_a_bounded_number() -> None:
    cursors = Cursors(Clock())
    pages = [cursors.begin(ENTITIES, "P", 1) for _ in range(MOST_CURSORS + 1)]
    assert len(cursors) == MOST_CURSORS
    assert cursors.more(pages[0].next or "", 3) is None
    assert cursors.more(pages[1].next or "", 3) is not None
