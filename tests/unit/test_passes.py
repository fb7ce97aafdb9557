"""Batches on their way to clients: where each client stands, at each moment."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from amiws_gevent.batch import Item, Mark, Position
from amiws_gevent.passes import Passes
from amiws_gevent.views import View
from tests.support.feeds import FakeServer


def joined(texts: Iterable[bytes]) -> bytes:
    return b"".join(texts)


ONE, TWO = View("one", joined), View("two", joined)


class Client:
    def offer(self, item: Item) -> None:
        raise AssertionError("who sends is the hub")


@pytest.fixture
def passes() -> Passes:
    return Passes(limit=1 << 20)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer(1, epoch="e")


def mark(number: int, offset: int) -> Mark:
    return Mark(number, {1: ("e", offset)} if offset else {})  # type: ignore[dict-item]


def run(passes: Passes) -> list[Item]:
    """One pass, with nothing between its steps; what there was to deliver."""
    return [item for item, clients in passes.next() if clients]


def test_before_and_after_a_pass(passes: Passes, server: FakeServer) -> None:
    client = Client()
    assert not passes.publish(server.says("A")), "nobody is there to get it"
    passes.add(client, ONE)
    assert passes.where(client, ONE) == passes.where_all(ONE) == mark(0, 1)
    assert passes.publish(server.says("B"))
    assert passes.where(client, ONE) == passes.where_all(ONE) == mark(0, 1)
    run(passes)
    assert passes.where(client, ONE) == passes.where_all(ONE) == mark(1, 2)


def test_who_comes_while_something_waits_stands_behind_that(
    passes: Passes, server: FakeServer
) -> None:
    early, late = Client(), Client()
    passes.add(early, ONE)
    passes.publish(server.says("A"))
    passes.add(late, ONE)
    passes.publish(server.says("B"))
    assert (passes.where(early, ONE), passes.where(late, ONE)) == (mark(0, 0), mark(1, 1))
    assert passes.where_all(ONE) is None, "they stand at two places"
    positions = [item.positions for item in run(passes)]
    assert positions == [{1: ("e", 2)}] * 2
    assert passes.where(early, ONE) == passes.where(late, ONE) == passes.where_all(ONE)
    assert passes.where_all(ONE) == mark(2, 2)


def test_once_the_late_one_has_left_all_stand_at_one_place(
    passes: Passes, server: FakeServer
) -> None:
    early, late = Client(), Client()
    passes.add(early, ONE)
    passes.publish(server.says("A"))
    passes.add(late, ONE)
    passes.remove(late, ONE)
    assert passes.where_all(ONE) == mark(0, 0)


def test_amid_a_pass_it_depends_on_the_turn_of_the_view(passes: Passes, server: FakeServer) -> None:
    one, two = Client(), Client()
    passes.add(one, ONE)
    passes.add(two, TWO)
    passes.publish(server.says("A"))
    before, after = mark(0, 0), mark(1, 1)
    found = [
        (bool(clients), passes.where(one, ONE), passes.where(two, TWO), passes.where_all(ONE))
        for _, clients in passes.next()
    ]
    assert found == [
        (True, None, before, None),  # some have had it
        (True, after, None, after),
    ]
    assert passes.where(one, ONE) == passes.where(two, TWO) == after


def test_who_comes_amid_a_pass_stands_behind_it_whatever_is_being_served(
    passes: Passes, server: FakeServer
) -> None:
    passes.add(Client(), ONE)
    passes.publish(server.says("A"))
    steps = passes.next()
    next(steps)
    passes.publish(server.says("B"))
    late = Client()
    passes.add(late, ONE)
    assert passes.where(late, ONE) == mark(2, 2)
    for _, clients in steps:
        assert late not in clients
    assert passes.where(late, ONE) == mark(2, 2)
    assert passes.where_all(ONE) is None
    run(passes)
    assert passes.where_all(ONE) == mark(2, 2)


def test_who_comes_again_amid_its_view_being_served_stands_behind_the_pass(
    passes: Passes, server: FakeServer
) -> None:
    client = Client()
    passes.add(client, ONE)
    passes.publish(server.says("A"))
    steps = passes.next()
    _, clients = next(steps)
    passes.remove(client, ONE)
    passes.add(client, ONE)
    assert client not in clients
    assert passes.where(client, ONE) == mark(1, 1)


def test_what_was_dropped_is_passed_over_and_told(passes: Passes, server: FakeServer) -> None:
    told: list[tuple[int, list[int]]] = []
    client = Client()
    passes.on_dropped = lambda dropped: told.append(
        (passes.dropped_messages, [one.position.offset for one in dropped])
    )
    passes.add(client, ONE)
    passes.limit = 100
    for _ in range(3):
        passes.publish(server.says("A"))
    assert told == [(1, [1]), (2, [2])]
    assert passes.where(client, ONE) == mark(2, 0)
    run(passes)
    assert passes.where(client, ONE) == mark(3, 3)


class Losses:
    """What of a server does not come; ``told`` has the offsets up to which that was told."""

    def __init__(self, passes: Passes, server: FakeServer) -> None:
        self.told: list[int] = []
        self._passes = passes
        self._source = server.source

    def up_to(self, offset: int) -> None:
        self._source.offset = offset
        position = Position(self._source.epoch, offset)
        self._passes.begin_at(1, position, lambda: self.told.append(offset))


def test_a_loss_is_told_at_once_if_nothing_is_ahead_of_it(
    passes: Passes, server: FakeServer
) -> None:
    client, losses = Client(), Losses(passes, server)
    passes.add(client, ONE)
    losses.up_to(5)
    assert losses.told == [5]
    assert passes.where(client, ONE) == mark(0, 5)


def test_a_loss_is_told_between_what_is_ahead_of_it_and_what_is_behind(
    passes: Passes, server: FakeServer
) -> None:
    client, losses = Client(), Losses(passes, server)
    passes.add(client, ONE)
    for loss in (5, 9):
        passes.publish(server.says("A"))
        losses.up_to(loss)
    passes.publish(server.says("B"))
    stands = [passes.where(client, ONE)]
    for told in ([5], [5, 9], [5, 9]):
        assert len(run(passes)) == 1
        assert losses.told == told
        stands.append(passes.where(client, ONE))
    assert stands == [mark(0, 0), mark(1, 5), mark(2, 9), mark(3, 10)]
    assert not passes.waiting


def test_a_loss_amid_a_pass_is_told_behind_it(passes: Passes, server: FakeServer) -> None:
    client, losses = Client(), Losses(passes, server)
    passes.add(client, ONE)
    passes.publish(server.says("A"))
    deliveries = passes.next()
    next(deliveries)
    losses.up_to(5)
    assert losses.told == []
    assert list(deliveries) == []
    assert losses.told == [5]
    assert passes.where(client, ONE) == mark(1, 5)


def test_a_loss_is_told_if_all_that_was_ahead_of_it_was_dropped(
    passes: Passes, server: FakeServer
) -> None:
    client, losses = Client(), Losses(passes, server)
    passes.add(client, ONE)
    passes.publish(server.says("A"))
    losses.up_to(5)
    passes.limit = 100
    passes.publish(server.says("B"))
    run(passes)
    assert losses.told == [5]
    assert passes.where(client, ONE) == mark(2, 6)


def test_who_comes_when_all_have_gone_stands_behind_all(passes: Passes, server: FakeServer) -> None:
    left, late = Client(), Client()
    passes.add(left, ONE)
    passes.publish(server.says("A"))
    passes.remove(left, ONE)
    assert passes.publish(server.says("B")), "it comes behind what waits"
    passes.add(late, ONE)
    assert passes.where(late, ONE) == mark(2, 2)
    run(passes)
    assert passes.where(late, ONE) == mark(2, 2)
