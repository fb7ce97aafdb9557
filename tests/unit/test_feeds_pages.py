"""Pages: names without their entities, and a few pages that are kept."""

from __future__ import annotations

from amiws_gevent.feeds.pages import MOST_MADE, PAGE, Names, Pages, Pieces, Snapshot


def all_of(names: Names) -> list[tuple[int, str, str]]:
    return list(names.between(0, len(names)))


def test_names_of_several_lists() -> None:
    names = Names()
    names.add_keys(1, "call", ["a", "b"])
    names.add(2, [("channel", "c"), ("call", "d")])
    names.add_keys(3, "call", [])
    names.add_keys(3, "queue", ["e"])
    expected = [(1, "call", "a"), (1, "call", "b"), (2, "channel", "c"), (2, "call", "d")]
    expected.append((3, "queue", "e"))
    assert (len(names), all_of(names)) == (5, expected)
    for begin in range(6):
        for end in range(7):
            assert list(names.between(begin, end)) == expected[begin:end]
    others = Names()
    others.add_keys(9, "call", ["z"])
    others.add_all(names)
    assert all_of(others) == [(9, "call", "z"), *expected]


def make(count: int) -> tuple[Pages, list[int]]:
    told: list[int] = []

    def tell(found: object) -> Pieces:
        told.append(len(list(found)))  # type: ignore[call-overload]
        return Pieces([], [])

    names = Names()
    names.add_keys(1, "call", [str(number) for number in range(count)])
    return Pages({}, names, tell), told


def test_a_page_is_made_when_it_is_read_and_once_for_all_who_read_it_then() -> None:
    pages, told = make(PAGE + 1)
    assert (pages.count, told) == (2, [])
    assert pages.page(1) is pages.page(1)
    assert told == [1]


def test_few_are_kept() -> None:
    pages, told = make((MOST_MADE + 1) * PAGE)
    for number in range(pages.count):
        pages.page(number)
    pages.page(1)
    assert len(told) == pages.count
    pages.page(0)
    assert len(told) == pages.count + 1, "it is made anew"


def test_of_nothing_a_snapshot_has_a_page() -> None:
    assert make(0)[0].count == 0
    assert Snapshot({}, Names(), lambda _: Pieces([], []), 0.0).count == 1
