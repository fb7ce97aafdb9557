"""Views of the state: who is in them, and what has changed since any position."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

import amiws_gevent.feeds.stateview as module
from amiws_gevent.batch import Position
from amiws_gevent.feeds.encoding import FUTURE, HISTORY, RESTART
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.pages import PAGE, Pages, Pieces
from amiws_gevent.feeds.shown import Shown
from amiws_gevent.feeds.stateview import SHARED_TIME, STEP, StateView
from tests.support.feeds import FakeServer


class Viewed:
    """One server and a view of it."""

    def __init__(self, *, tombstones: int = 1000, **filters: Any) -> None:
        self.server = FakeServer(1, epoch="e", tombstones=tombstones)
        self.shown = Shown(self.server)
        self.view = StateView(Filters.parse(filters), {1: self.shown})
        prepare(self.view)

    def caller(self, key: str, queue: str, **fields: Any) -> None:
        self.server.put("queue_caller", key, queue=queue, **fields)

    def flush(self) -> tuple[list[Any], list[Any]]:
        flush = self.shown.flush()
        steps = self.view.flush([flush] if flush is not None else [])
        return told(step.pieces for step in steps)

    def catch_up(self, offset: int) -> tuple[list[Any], list[Any]]:
        pages = self.view.catch_up({1: Position("e", offset)})
        assert pages is not None
        return told(read(pages))


def prepare(view: StateView) -> int:
    """Have it ready; how many steps it took."""
    steps = 1
    while not view.prepare():
        steps += 1
    return steps


def read(pages: Pages) -> Iterable[Pieces]:
    return [pages.page(number) for number in range(pages.count)]


def told(pieces: Iterable[Pieces]) -> tuple[list[Any], list[Any]]:
    """What is set and unset, without what all have in common."""
    made, gone = [], []
    for piece in pieces:
        made += [json.loads(text) for text in piece.made]
        gone += [json.loads(text) for text in piece.gone]
    for entity in (*made, *gone):
        del entity["server"], entity["kind"]
    return made, gone


def test_an_entity_that_enters_is_whole_one_that_leaves_is_unset() -> None:
    viewed = Viewed(queue="a")
    viewed.caller("1", "a", n=1)
    viewed.caller("2", "b", n=1)
    assert viewed.flush() == ([{"id": "1", "queue": "a", "n": 1}], [])
    viewed.caller("1", "a", n=2)
    viewed.caller("2", "b", n=2)
    assert viewed.flush() == ([{"id": "1", "n": 2}], [])
    viewed.caller("1", "b")
    viewed.caller("2", "a")
    assert viewed.flush() == ([{"id": "2", "queue": "a", "n": 2}], [{"id": "1"}])
    viewed.server.remove("queue_caller", "1", cause=1)
    viewed.server.remove("queue_caller", "2", cause=2)
    assert viewed.flush() == ([], [{"id": "2", "last": {"cause": 2}}])


def test_other_kinds_and_servers_are_passed_over() -> None:
    viewed = Viewed(kind="call")
    viewed.caller("1", "a")
    assert viewed.flush() == ([], [])
    other = StateView(Filters.parse({"server": 2}), {1: viewed.shown})
    assert (other.vector, other.has([1]), other.has([2])) == ({}, False, True)


def test_with_the_last_piece_the_view_has_moved_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amiws_gevent.feeds.deltas.CHUNK", 1)
    viewed = Viewed(queue="a")
    for key in ("1", "2"):
        viewed.caller(key, "a")
    viewed.caller("3", "b")  # the last chunk says nothing
    before = viewed.view.vector
    flush = viewed.shown.flush()
    assert flush is not None
    steps = []
    for step in viewed.view.flush([flush]):
        assert viewed.view.busy
        assert viewed.view.vector is before, "not all have had it"
        steps.append((len(step.pieces.made), step.after))
    assert steps == [(0, None), (1, None), (0, None), (1, {1: ("e", 3)})]
    assert viewed.view.vector == {1: ("e", 3)}
    assert not viewed.view.busy


def test_a_flush_of_much_that_does_not_concern_a_view_has_many_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("amiws_gevent.feeds.deltas.CHUNK", 10)
    viewed = Viewed(queue="a")
    for number in range(100):
        viewed.caller(str(number), "b")
    flush = viewed.shown.flush()
    assert flush is not None
    assert len(list(viewed.view.flush([flush]))) == 10


def test_a_change_is_only_tested_where_it_may_match(monkeypatch: pytest.MonkeyPatch) -> None:
    viewed = Viewed(queue="a")
    viewed.caller("member", "a")
    viewed.flush()
    tested = []
    entity = Filters.entity

    def counted(filters: Filters, server: int, kind: str, given: Any) -> bool:
        tested.append(given["n"])
        return entity(filters, server, kind, given)

    monkeypatch.setattr(Filters, "entity", counted)
    for number in range(100):
        viewed.caller(str(number), str(number), n=number)
    viewed.caller("member", "b", n="left")
    viewed.caller("new", "a", n="entered")
    assert [one["id"] for part in viewed.flush() for one in part] == ["new", "member"]
    assert tested == ["left", "entered"]


def test_a_view_that_begins_anew_amid_a_flush_ends_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amiws_gevent.feeds.deltas.CHUNK", 1)
    viewed = Viewed()
    for key in "123":
        viewed.caller(key, "a")
    flush = viewed.shown.flush()
    assert flush is not None
    for number, _ in enumerate(viewed.view.flush([flush])):
        assert number == 0
        viewed.view.begin()
    assert not viewed.view.busy
    assert viewed.view.vector == {1: ("e", 3)}


def test_a_flush_of_what_is_no_longer_shown_is_passed_over() -> None:
    viewed = Viewed()
    viewed.caller("1", "a")
    flush = viewed.shown.flush()
    assert flush is not None
    other = StateView(Filters(), {1: Shown(viewed.server)})
    assert list(other.flush([flush])) == []


def test_a_view_that_nothing_concerns_moves_on_as_well() -> None:
    viewed = Viewed(queue="a")
    viewed.caller("1", "b")
    assert viewed.flush() == ([], [])
    assert viewed.view.vector == {1: ("e", 1)}


class TestSnapshot:
    def test_pages(self) -> None:
        viewed = Viewed()
        for number in range(PAGE + 1):
            viewed.caller(str(number), "a")
        viewed.flush()
        snapshot = viewed.view.snapshot(0.0)
        assert snapshot.count == 2
        assert [len(page.made) for page in read(snapshot)] == [PAGE, 1]
        assert snapshot.page(0) is snapshot.page(0), "made once"

    def test_of_nothing_there_is_one_page(self) -> None:
        snapshot = Viewed().view.snapshot(0.0)
        assert snapshot.count == 1
        assert told(read(snapshot)) == ([], [])

    @pytest.mark.parametrize("filters", [{}, {"queue": "a"}])
    def test_a_page_that_is_read_late_is_newer_and_what_comes_next_makes_it_right(
        self, filters: dict[str, Any]
    ) -> None:
        viewed = Viewed(**filters)
        for key in ("stays", "changes", "goes"):
            viewed.caller(key, "a", n=1)
        viewed.flush()
        snapshot = viewed.view.snapshot(0.0)
        viewed.caller("changes", "a", n=2)
        viewed.caller("comes", "a", n=1)
        viewed.server.remove("queue_caller", "goes")
        viewed.flush()
        made, _ = told(read(snapshot))
        assert [(one["id"], one["n"]) for one in made] == [("stays", 1), ("changes", 2)]
        pages = viewed.view.catch_up(snapshot.vector)
        assert pages is not None
        made, gone = told(read(pages))
        assert made == [{"id": "changes", "n": 2}, {"id": "comes", "queue": "a", "n": 1}]
        assert gone == [{"id": "goes"}]

    def test_who_comes_soon_gets_the_same(self) -> None:
        view = Viewed().view
        snapshot = view.snapshot(0.0)
        assert view.snapshot(SHARED_TIME) is snapshot
        assert view.snapshot(SHARED_TIME + 0.1) is not snapshot


class TestPrepare:
    """A view by fields that change has to look at all entities once."""

    def begun(self, count: int) -> Viewed:
        viewed = Viewed()
        for number in range(count):
            viewed.caller(str(number), "ab"[number % 2], n=0)
        viewed.flush()
        viewed.view = StateView(Filters.parse({"queue": "a"}), {1: viewed.shown})
        return viewed

    def test_in_steps_however_many_there_are(self) -> None:
        assert prepare(Viewed().view) == 1, "nothing is looked at"
        viewed = self.begun(3 * STEP)
        assert prepare(viewed.view) == 4
        assert prepare(viewed.view) == 1
        assert len(told(read(viewed.view.snapshot(0.0)))[0]) == 3 * STEP // 2

    def test_what_changes_meanwhile_is_right_in_the_end(self) -> None:
        viewed = self.begun(2 * STEP)
        last, first = str(2 * STEP - 1), "1"
        assert not viewed.view.prepare()
        viewed.caller(first, "a")  # it was looked at
        viewed.caller(last, "a")
        viewed.caller("new", "a")
        viewed.server.remove("queue_caller", "0")
        viewed.server.remove("queue_caller", str(2 * STEP - 2))
        viewed.flush()
        viewed.caller("2", "b")
        viewed.server.remove("queue_caller", "4")
        prepare(viewed.view)
        viewed.flush()
        made, _ = told(read(viewed.view.snapshot(0.0)))
        wanted = {str(n) for n in range(2, 2 * STEP, 2)} | {first, last, "new"}
        assert {one["id"] for one in made} == wanted - {"2", "4", str(2 * STEP - 2)}

    def test_nothing_is_known_before_it_is_done_and_the_next_flush_tells_the_rest(self) -> None:
        viewed = self.begun(2)
        position = viewed.view.vector
        assert viewed.view.why_not(position) == HISTORY
        viewed.caller("0", "b")
        prepare(viewed.view)
        assert viewed.view.why_not(position) is None
        _, gone = viewed.flush()
        assert gone == [{"id": "0"}], "who was there at that position may have it"


class TestCatchUp:
    def test_what_has_changed_since(self) -> None:
        viewed = Viewed()
        viewed.caller("1", "a", n=1)
        viewed.caller("2", "a", n=1)
        viewed.caller("3", "a", n=1)
        viewed.flush()
        viewed.caller("1", "a", n=2)
        viewed.server.remove("queue_caller", "2", cause=2)
        viewed.caller("4", "a")
        viewed.flush()
        made, gone = viewed.catch_up(3)
        assert made == [{"id": "1", "n": 2}, {"id": "4", "queue": "a"}]
        assert gone == [{"id": "2", "last": {"cause": 2}}]
        assert viewed.catch_up(6) == ([], [])

    def test_who_has_entered_and_left_since(self) -> None:
        viewed = Viewed(queue="a")
        for key, queue in (("in", "b"), ("out", "a"), ("back", "a"), ("through", "b")):
            viewed.caller(key, queue, n=1)
        viewed.flush()
        position = viewed.shown.offset
        first = {"in": "a", "out": "b", "back": "b", "through": "a"}
        for queues in (first, {"back": "a", "through": "b"}):
            for key, queue in queues.items():
                viewed.caller(key, queue)
            viewed.flush()
        made, gone = viewed.catch_up(position)
        assert {entity["id"]: entity for entity in made} == {
            "in": {"id": "in", "queue": "a", "n": 1},
            "back": {"id": "back", "queue": "a", "n": 1},
        }
        assert {entity["id"] for entity in gone} == {"out", "through"}

    def test_it_is_shared_until_the_next_flush(self) -> None:
        viewed = Viewed()
        since = viewed.view.vector
        viewed.caller("1", "a")
        viewed.flush()
        one = viewed.view.catch_up(since)
        assert viewed.view.catch_up(dict(since)) is one
        viewed.caller("2", "a")
        viewed.flush()
        assert viewed.view.catch_up(since) is not one

    @pytest.mark.parametrize("filters", [{}, {"queue": "a"}])
    def test_one_that_does_not_match_for_a_moment_is_told_whole(
        self, filters: dict[str, Any]
    ) -> None:
        """The client is told that it has left, the view has never seen it leave."""
        viewed = Viewed(**filters)
        viewed.caller("1", "a", n=1)
        viewed.flush()
        viewed.caller("1", "a", n=2)
        viewed.flush()
        viewed.caller("1", "b")
        made, gone = viewed.catch_up(1)
        viewed.caller("1", "a")
        after, _ = viewed.flush()
        if filters:
            assert (made, gone) == ([], [{"id": "1"}])
            assert after == [{"id": "1", "queue": "a", "n": 2}]
        else:
            assert made == [{"id": "1", "queue": "b", "n": 2}]

    def test_what_came_since_the_last_flush_is_left_to_the_next(self) -> None:
        viewed = Viewed(queue="a")
        viewed.caller("1", "b")
        viewed.flush()
        viewed.caller("1", "a")
        assert told(read(viewed.view.snapshot(0.0))) == ([], [])
        assert viewed.flush() == ([{"id": "1", "queue": "a"}], [])


class TestWhyNot:
    def test_reasons(self) -> None:
        viewed = Viewed(tombstones=1)
        view = viewed.view
        for key in ("1", "2"):
            viewed.caller(key, "a")
            viewed.server.remove("queue_caller", key)
        viewed.flush()
        assert view.why_not(view.vector) is None
        assert view.why_not({1: Position("e", 5)}) == FUTURE
        assert view.why_not({1: Position("e", 1)}) == HISTORY
        assert view.why_not({1: Position("f", 4)}) == RESTART
        assert view.why_not({}) == RESTART
        assert view.why_not({**view.vector, 2: Position("x", 1)}) == RESTART
        assert view.catch_up({1: Position("e", 1)}) is None

    def test_of_what_was_before_the_view_nothing_is_known(self) -> None:
        viewed = Viewed()
        viewed.caller("1", "a")
        viewed.flush()
        late = StateView(Filters.parse({"queue": "a"}), {1: viewed.shown})
        prepare(late)
        assert late.why_not({1: Position("e", 0)}) == HISTORY
        assert late.why_not({1: Position("e", 1)}) is None

    def test_departures_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MOST_DEPARTURES", 2)
        viewed = Viewed(queue="a")
        for key in ("1", "2", "3"):
            viewed.caller(key, "a")
        viewed.flush()
        for key in ("1", "2", "3"):
            viewed.caller(key, "b")
            viewed.flush()
        assert viewed.view.why_not({1: Position("e", 3)}) == HISTORY
        made, gone = viewed.catch_up(4)
        assert (made, sorted(one["id"] for one in gone)) == ([], ["2", "3"])

    @pytest.mark.parametrize("filters", [{}, {"queue": "a"}])
    def test_what_is_too_much_to_remember_is_looked_for_among_all(
        self, monkeypatch: pytest.MonkeyPatch, filters: dict[str, Any]
    ) -> None:
        monkeypatch.setattr("amiws_gevent.feeds.shown.MOST_NAMES", 1)
        viewed = Viewed(**filters)
        for key in ("stays", "changes", "goes", "leaves"):
            viewed.caller(key, "a", n=1)
        viewed.flush()
        position = viewed.shown.offset
        viewed.caller("changes", "a", n=2)
        viewed.flush()
        viewed.server.remove("queue_caller", "goes", cause=1)
        viewed.caller("leaves", "b")
        viewed.caller("comes", "a")
        viewed.caller("is not in it", "b")
        viewed.flush()
        made, gone = viewed.catch_up(position)
        others = [{"id": "leaves", "queue": "b"}, {"id": "is not in it", "queue": "b"}]
        wanted = [{"id": "changes", "n": 2}, {"id": "comes", "queue": "a"}]
        assert sorted(made, key=str) == sorted(wanted + ([] if filters else others), key=str)
        ended = {"id": "goes", "last": {"cause": 1}}
        left = [{"id": "leaves"}] if filters else []
        assert sorted(gone, key=str) == sorted([ended, *left], key=str)


@pytest.mark.parametrize("filters", [{}, {"queue": "a"}])
def test_a_snapshot_that_is_too_old_to_catch_up_from_tells_by_itself_what_is_gone(
    filters: dict[str, Any],
) -> None:
    viewed = Viewed(tombstones=1, **filters)
    for key in ("stays", "goes", "changes"):
        viewed.caller(key, "a", n=1)
    viewed.flush()
    snapshot = viewed.view.snapshot(0.0)
    viewed.server.remove("queue_caller", "goes")
    for key in ("x", "y"):
        viewed.caller(key, "a")
        viewed.server.remove("queue_caller", key)
    viewed.caller("changes", "a", n=2)
    viewed.caller("comes", "a")
    viewed.flush()
    assert viewed.view.why_not(snapshot.vector) == HISTORY
    pages = viewed.view.reconcile(snapshot)
    assert pages is not None
    made, gone = told(read(pages))
    assert {one["id"]: one for one in made} == {
        "changes": {"id": "changes", "n": 2},
        "comes": {"id": "comes", "queue": "a"},
    }
    assert gone == [{"id": "goes"}]


def test_from_a_snapshot_of_an_earlier_stream_nothing_can_be_told() -> None:
    viewed = Viewed()
    snapshot = viewed.view.snapshot(0.0)
    viewed.view._all_shown[1] = Shown(FakeServer(1, epoch="f"))  # type: ignore[index]
    viewed.view.begin()
    assert viewed.view.reconcile(snapshot) is None


def test_what_comes_and_goes_between_two_flushes_is_told_to_nobody() -> None:
    viewed = Viewed()
    viewed.flush()
    viewed.caller("1", "a")
    viewed.caller("2", "a")
    viewed.server.remove("queue_caller", "1")
    assert viewed.flush() == ([{"id": "2", "queue": "a"}], [])
    viewed.server.remove("queue_caller", "2")
    viewed.caller("2", "b")
    viewed.server.remove("queue_caller", "2")
    assert viewed.flush() == ([], [{"id": "2"}]), "it was known before it came again"


def test_what_a_snapshot_was_ahead_with_is_taken_back() -> None:
    viewed = Viewed()
    viewed.flush()
    viewed.caller("1", "a")
    assert told([viewed.view.snapshot(0.0).page(0)]) == ([{"id": "1", "queue": "a"}], [])
    viewed.server.remove("queue_caller", "1")
    viewed.caller("2", "a")
    viewed.server.remove("queue_caller", "2")
    assert viewed.flush() == ([], [{"id": "1"}])


def test_what_a_page_of_changes_was_ahead_with_is_taken_back() -> None:
    viewed = Viewed()
    viewed.caller("1", "a")
    viewed.flush()
    pages = viewed.view.catch_up({1: Position("e", 0)})
    assert pages is not None
    viewed.server.remove("queue_caller", "1")
    viewed.caller("1", "b")
    assert told(read(pages)) == ([{"id": "1", "queue": "b"}], [])
    viewed.server.remove("queue_caller", "1")
    assert viewed.flush() == ([], [{"id": "1"}])


def test_who_is_in_a_changeable_view_from_its_beginning_leaves_it() -> None:
    viewed = Viewed(queue="a")
    viewed.flush()
    viewed.caller("1", "a")
    viewed.view.begin()
    prepare(viewed.view)
    viewed.server.remove("queue_caller", "1")
    assert viewed.flush() == ([], [{"id": "1"}])
    viewed.caller("1", "a", n=1)
    assert viewed.flush() == ([{"id": "1", "queue": "a", "n": 1}], [])
