"""The history: what it keeps, what it can tell, and what it must say that it cannot."""

from __future__ import annotations

import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Position
from amiws_gevent.feeds.encoding import FUTURE, HISTORY, RESTART, UNKNOWN
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.history import MOST_WATCHED, TURN_MESSAGES, Bounds, History, Replay
from amiws_gevent.pipeline import make_batch
from tests.support.feeds import FakeServer
from tests.support.policy import sight

ALL = Filters().of_events


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(clock: Clock) -> History:
    return History(Bounds(messages=10, size=1 << 20, time=60.0), clock=clock)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer(1, epoch="e")


def since(history: History, offset: int, *, epoch: str = "e") -> str | None:
    return history.since(1, "e", Position(epoch, offset)).reason


def names(replay: Replay) -> list[str]:
    found = []
    while not replay.done:
        found += [text.split(b'"Event":"')[1].split(b'"')[0].decode() for text in replay.turn()]
    return found


def test_by_count(history: History, server: FakeServer) -> None:
    for number in range(6):
        history.append(server.says(f"A{number}", f"B{number}"))
    assert history.messages == 10
    assert since(history, 0) == HISTORY
    assert since(history, 1) is None
    assert names(Replay(history, ALL, {1: Position("e", 4)})) == ["A4", "B4", "A5", "B5"]


def test_by_size(clock: Clock, server: FakeServer) -> None:
    history = History(Bounds(messages=1000, size=2000, time=60.0), clock=clock)
    for _ in range(100):
        history.append(server.says("A"))
        assert history.size <= 2000
    assert since(history, 99) is None
    assert since(history, 50) == HISTORY


def test_a_batch_that_is_larger_than_all_is_not_kept_and_not_forgotten_silently(
    clock: Clock, server: FakeServer
) -> None:
    history = History(Bounds(messages=1, size=1 << 20, time=60.0), clock=clock)
    history.append(server.says("A", "B"))
    assert (history.messages, history.size) == (0, 0)
    assert since(history, 0) == HISTORY
    assert since(history, 1) is None


def test_by_age(history: History, server: FakeServer, clock: Clock) -> None:
    history.append(server.says("A"))
    clock.now = 59.0
    history.append(server.says("B"))
    assert since(history, 0) is None
    clock.now = 61.0
    assert since(history, 0) == HISTORY
    assert since(history, 1) is None
    assert history.messages == 1


def test_smaller_bounds_hold_at_once(history: History, server: FakeServer) -> None:
    for _ in range(8):
        history.append(server.says("A"))
    history.configure(Bounds(messages=3, size=1 << 20, time=60.0))
    assert history.messages == 3


def test_what_cannot_be_told(history: History, server: FakeServer) -> None:
    history.append(server.says("A"))
    assert since(history, 2) == FUTURE
    assert since(history, 0, epoch="other") == RESTART
    assert history.since(1, "e", None).reason == UNKNOWN


def test_a_server_that_has_said_nothing(history: History) -> None:
    assert since(history, 0) is None
    assert since(history, 1) == FUTURE
    assert history.since(1, "new", Position("e", 0)) == (Position("new", 0), RESTART)


def test_of_a_new_epoch_all_is_told(history: History, server: FakeServer) -> None:
    history.append(server.says("A"))
    history.append(FakeServer(1, epoch="f").says("B"))
    found = history.since(1, "f", Position("e", 1))
    assert found == (Position("f", 0), RESTART)
    assert names(Replay(history, ALL, {1: found.position})) == ["B"]


def test_only_what_was_published_before_is_replayed(history: History, server: FakeServer) -> None:
    history.append(server.says("A"))
    replay = Replay(history, ALL, {1: Position("e", 0)})
    history.append(server.says("B"))
    assert names(replay) == ["A"]


def test_filters_of_now_choose(history: History, server: FakeServer) -> None:
    history.append(server.says("A", Queue="a"))
    history.append(server.says("B", Queue="b"))
    history.append(FakeServer(2, epoch="e").says("C", Queue="b"))
    nowhere = {1: Position("e", 0), 2: Position("e", 0)}
    assert names(Replay(history, Filters.parse({"queue": "b"}).of_events, nowhere)) == ["B", "C"]
    assert names(Replay(history, Filters.parse({"event": "a"}).of_events, nowhere)) == ["A"]
    assert names(Replay(history, Filters.parse({"server": 1}).of_events, nowhere)) == ["A", "B"]
    assert names(Replay(history, ALL, {2: Position("e", 0)})) == ["C"]


def test_answers_are_not_replayed_and_repeated_headers_are(
    history: History, server: FakeServer
) -> None:
    twice = Message(Kind.EVENT, [("Event", "E"), ("Queue", "a"), ("Queue", "b")])
    answer = Message(Kind.EVENT, [("Event", "Status"), ("ActionID", "7")])
    response = Message(Kind.RESPONSE, [("Response", "Success")])
    batch = make_batch(server.source, server.source.advance(), [answer, twice, response])
    history.append(batch)
    replay = Replay(history, Filters.parse({"queue": "a"}).of_events, {1: Position("e", 0)})
    assert replay.turn() == [batch.json[1]]


def test_it_goes_in_turns(clock: Clock, server: FakeServer) -> None:
    history = History(Bounds(messages=10_000, size=1 << 24, time=60.0), clock=clock)
    for number in range(1000):
        history.append(server.says(f"A{number}"))
    replay = Replay(history, ALL, {1: Position("e", 0)})
    first = replay.turn()
    assert 0 < len(first) <= TURN_MESSAGES
    assert replay.vector == {1: Position("e", len(first))}
    assert len(names(replay)) == 1000 - len(first)


def test_what_is_forgotten_meanwhile_is_told(clock: Clock, server: FakeServer) -> None:
    history = History(Bounds(messages=500, size=1 << 24, time=60.0), clock=clock)
    for number in range(500):
        history.append(server.says(f"A{number}"))
    replay = Replay(history, ALL, {1: Position("e", 0)})
    replay.turn()
    assert not replay.lost
    for _ in range(200):
        history.append(server.says("later"))
    rest = names(replay)
    assert replay.lost
    assert rest[0] == "A200"
    assert rest[-1] == "A499"


# Who sees less

SALES = sight({"queues": ["sales"]})


def since_of_sales(history: History, offset: int, server: int = 1) -> str | None:
    return history.since(server, "e", Position("e", offset), SALES).reason


def test_what_is_not_seen_is_not_missed(history: History, server: FakeServer) -> None:
    """Neither of this server, nor of one that fills the history."""
    history.watch(SALES)
    history.append(server.says("QueueCallerJoin", Queue="sales"))
    for _ in range(20):
        history.append(server.says("QueueCallerJoin", Queue="support"))
    assert since(history, 1) == HISTORY
    assert since_of_sales(history, 0) == HISTORY
    assert since_of_sales(history, 1) is None
    assert history.since(1, "e", Position("e", 1), SALES).position == Position("e", 1)
    history.append(server.says("QueueCallerJoin", Queue="sales"))
    replay = Replay(history, ALL, {1: Position("e", 1)}, SALES)
    assert names(replay) == ["QueueCallerJoin"]
    for _ in range(10):
        history.append(server.says("QueueCallerJoin", Queue="support"))
    assert since_of_sales(history, 1) == HISTORY
    assert since_of_sales(history, 22) is None


def test_what_was_forgotten_before_a_sight_was_watched_is_missed(
    history: History, server: FakeServer
) -> None:
    for _ in range(20):
        history.append(server.says("QueueCallerJoin", Queue="support"))
    assert since_of_sales(history, 1) == HISTORY
    history.watch(SALES)
    assert since_of_sales(history, 1) == HISTORY
    assert since_of_sales(history, 10) is None
    for number in range(MOST_WATCHED):
        history.watch(sight({"queues": [f"other {number}"]}))
    for _ in range(20):
        history.append(server.says("QueueCallerJoin", Queue="support"))
    assert since_of_sales(history, 20) == HISTORY, "it is not known any more"


def test_of_a_large_read_not_all_is_looked_at(history: History, server: FakeServer) -> None:
    history.watch(SALES)
    history.append(server.says(*["QueueCallerJoin"] * TURN_MESSAGES, Queue="support"))
    history.append(server.says("QueueCallerJoin", Queue="support"))
    assert since_of_sales(history, 0) is None
    history.append(server.says(*["QueueCallerJoin"] * (TURN_MESSAGES + 1), Queue="support"))
    history.append(server.says("QueueCallerJoin", Queue="support"))
    assert since_of_sales(history, 2) == HISTORY
    assert since_of_sales(history, 3) is None


def test_much_that_is_forgotten_at_once(clock: Clock, server: FakeServer) -> None:
    history = History(Bounds(messages=10_000, size=1 << 24, time=60.0), clock=clock)
    history.watch(SALES)
    for queue in (*["support"] * TURN_MESSAGES, "sales", *["support"] * TURN_MESSAGES):
        history.append(server.says("QueueCallerJoin", Queue=queue))
    clock.now = 61.0
    assert since_of_sales(history, TURN_MESSAGES) == HISTORY
    assert since_of_sales(history, TURN_MESSAGES + 1) is None


def test_what_never_came_may_have_been_seen(history: History, server: FakeServer) -> None:
    history.watch(SALES)
    history.append(server.says("QueueCallerJoin", Queue="support"))
    history.forget(1, Position("e", 7))
    assert since_of_sales(history, 6) == HISTORY
    assert since_of_sales(history, 7) is None


def test_a_stream_that_begins_anew_for_who_sees_less(history: History, server: FakeServer) -> None:
    history.watch(SALES)
    history.append(server.says("QueueCallerJoin", Queue="sales"))
    other = FakeServer(1, epoch="f")
    for _ in range(20):
        history.append(other.says("QueueCallerJoin", Queue="support"))
    assert history.since(1, "f", Position("f", 0), SALES).reason is None
    assert history.since(1, "f", Position("e", 1), SALES).reason == RESTART


def test_who_replays_slowly_is_told_only_of_what_is_seen(clock: Clock, server: FakeServer) -> None:
    history = History(Bounds(messages=500, size=1 << 24, time=60.0), clock=clock)
    history.watch(SALES)
    for queue, lost in (("support", False), ("sales", True)):
        for _ in range(500):
            history.append(server.says("QueueCallerJoin", Queue=queue))
        first = server.source.offset - 500
        replay = Replay(history, ALL, {1: Position("e", first)}, SALES)
        replay.turn()
        for _ in range(300):
            history.append(server.says("QueueCallerJoin", Queue="support"))
        names(replay)
        assert replay.lost == lost
