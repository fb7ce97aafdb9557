"""The hub's stage: what is sent beside the messages, and how far each view is meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import pytest

import amiws_gevent.hub as module
from amiws_gevent.batch import Batch, Item
from amiws_gevent.hub import Delivery, Hub
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.views import View
from tests.support.feeds import FakeServer


def joined(texts: Iterable[bytes]) -> bytes:
    return b"".join(texts)


ONE, TWO = View("one", joined), View("two", joined)


class Client:
    def __init__(self) -> None:
        self.items: list[Item] = []

    def offer(self, item: Item) -> None:
        self.items.append(item)


class Stage:
    """Sends the number of its turn."""

    def __init__(self, *clients: Client) -> None:
        self.clients = clients
        self.turns: list[float] = []

    def deliveries(self) -> Iterator[Delivery | None]:
        self.turns.append(time.monotonic())
        yield Item(b"state", 1, {}), self.clients


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(limit=1 << 20)
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def server() -> FakeServer:
    return FakeServer(1, epoch="e")


def settle() -> None:
    for _ in range(20):
        yield_to_loop()


def wait_for_turns(stage: Stage, count: int) -> None:
    end = time.monotonic() + 30
    while len(stage.turns) < count and time.monotonic() < end:
        yield_to_loop()
    assert len(stage.turns) == count


def test_the_first_change_goes_at_once_and_behind_what_was_published(
    hub: Hub, server: FakeServer
) -> None:
    client = Client()
    stage = Stage(client)
    hub.set_stage(stage)
    hub.add(client, ONE)
    hub.stir()
    batch: Batch = server.says("A")
    hub.publish(batch)
    settle()
    assert [item.data for item in client.items] == [batch.json[0], b"state"]
    assert (hub.deliveries, hub.delivered_bytes) == (2, len(batch.json[0]) + 5)


def test_further_changes_are_told_at_intervals(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(Client())
    hub.set_stage(stage)
    hub.stir()
    settle()
    hub.stir()
    hub.stir()
    settle()
    assert len(stage.turns) == 1
    wait_for_turns(stage, 2)
    assert stage.turns[1] - stage.turns[0] >= module.STAGE_TIME
    settle()
    assert len(stage.turns) == 2, "there is nothing new"


def test_others_have_their_turn_while_it_finds_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = []

    class Searching(Stage):
        def deliveries(self) -> Iterator[Delivery | None]:
            for _ in range(10):
                turns.append(others)
                yield None
            yield from super().deliveries()

    others = 0
    monkeypatch.setattr(module, "TURN", -1.0)
    stage = Searching(client := Client())
    hub.set_stage(stage)
    hub.stir()
    while not client.items:
        yield_to_loop()
        others += 1
    assert turns == sorted(set(turns)), "each at another turn of the loop"


def test_messages_do_not_wait_for_it(hub: Hub, server: FakeServer) -> None:
    client = Client()
    stage = Stage()
    hub.set_stage(stage)
    hub.add(client, ONE)
    hub.stir()
    settle()
    hub.stir()
    for _ in range(3):
        hub.publish(server.says("A"))
        settle()
    assert len(stage.turns) == 1
    assert len(client.items) == 3


def test_without_a_stage_stirring_does_nothing(hub: Hub, server: FakeServer) -> None:
    client = Client()
    hub.add(client, ONE)
    hub.stir()
    hub.publish(server.says("A"))
    settle()
    assert len(client.items) == 1


class TestHowFar:
    """Run by hand, so that there is a moment between two views."""

    @pytest.fixture
    def still(self) -> Hub:
        return Hub(limit=1 << 20)

    def test_before_and_after_a_pass(self, still: Hub, server: FakeServer) -> None:
        still.publish(server.says("A"))
        still.add(Client(), ONE)
        assert still.at(ONE) == (0, {1: ("e", 1)}), "which nobody was there to get"
        still.publish(server.says("B"))
        assert still.at(ONE) == (0, {1: ("e", 1)})
        assert still.published == {1: ("e", 2)}
        still._pass(still._next_batches())
        assert still.at(ONE) == (1, {1: ("e", 2)})

    def test_amid_a_pass(
        self, still: Hub, server: FakeServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One view has been served, one is being served, one is yet to be."""
        found = []
        monkeypatch.setattr(module, "TURN", -1.0)
        monkeypatch.setattr(module, "CLIENTS_PER_TURN", 1)
        monkeypatch.setattr(
            module, "yield_to_loop", lambda: found.append((still.at(ONE), still.at(TWO)))
        )
        for view in (ONE, TWO):
            for _ in range(2):
                still.add(Client(), view)
        still.publish(server.says("A"))
        still._pass(still._next_batches())
        before, after = (0, {}), (1, {1: ("e", 1)})
        assert found == [
            (before, before),
            (None, before),  # one of its clients has had it
            (after, before),
            (after, None),
        ]
        assert (still.at(ONE), still.at(TWO)) == (after, after)

    def test_what_was_dropped_is_passed_over_and_told(self, still: Hub, server: FakeServer) -> None:
        told = []
        still.on_dropped = lambda: told.append(still.number)
        still.add(Client(), ONE)
        still.limit = 100
        for _ in range(3):
            still.publish(server.says("A"))
        assert told == [2, 3]
        assert still.at(ONE) == (2, {})
        still._pass(still._next_batches())
        assert still.at(ONE) == (3, {1: ("e", 3)})

    def test_who_comes_when_all_have_gone_stands_behind_all(
        self, still: Hub, server: FakeServer
    ) -> None:
        left = Client()
        still.add(left, ONE)
        still.publish(server.says("A"))
        still.remove(left, ONE)
        still.publish(server.says("B"))
        still.add(Client(), ONE)
        assert still.number == 2
        still._pass(still._next_batches())
        assert still.at(ONE) == (2, {1: ("e", 2)})
