"""The hub's stage: what is sent beside the messages, in slices between which these go out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import gevent
import pytest

import amiws_gevent.hub as module
from amiws_gevent.batch import Batch, Item
from amiws_gevent.hub import Hub
from amiws_gevent.passes import Delivery
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.views import View
from tests.support.feeds import FakeServer
from tests.support.patience import WAIT


def joined(texts: Iterable[bytes]) -> bytes:
    return b"".join(texts)


ONE = View("one", joined)


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

    def deliveries(self) -> Iterator[Delivery]:
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
    end = time.monotonic() + WAIT
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


class Long(Stage):
    """Has a number of steps for each turn; ``on_step`` is called ahead of each."""

    def __init__(self, steps: int, on_step: Callable[[int], None], *clients: Client) -> None:
        super().__init__(*clients)
        self.steps = steps
        self.on_step = on_step

    def deliveries(self) -> Iterator[Delivery]:
        self.turns.append(time.monotonic())
        for step in range(self.steps):
            self.on_step(step)
            yield Item(b"%d" % step, 1, {}), self.clients


def test_messages_go_out_between_the_slices_of_a_long_turn(
    hub: Hub, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN", -1.0)
    client = Client()

    def says(step: int) -> None:
        if step % 2:
            hub.publish(server.says(f"E{step}"))

    hub.set_stage(Long(5, says, client))
    hub.add(client, ONE)
    hub.stir()
    settle()
    got = [item.data if len(item.data) == 1 else b"event" for item in client.items]
    assert got == [b"0", b"1", b"event", b"2", b"3", b"event", b"4"]


def test_the_stage_goes_on_however_many_messages_there_are(
    hub: Hub, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pass finds more to do for the next."""
    monkeypatch.setattr(module, "TURN", -1.0)
    client = Client()
    left = [30]

    class Listener(Client):
        def offer(self, item: Item) -> None:
            if left[0]:
                left[0] -= 1
                hub.publish(server.says("more"))

    hub.set_stage(Long(5, lambda step: None, client))
    hub.add(Listener(), ONE)
    hub.publish(server.says("A"))
    hub.stir()
    end = time.monotonic() + WAIT
    while len(client.items) < 5 and time.monotonic() < end:
        yield_to_loop()
    assert len(client.items) == 5
    assert left[0], "it was not kept waiting till the end"


def test_others_run_between_the_slices(
    hub: Hub, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN", -1.0)
    order: list[str] = []

    def step(number: int) -> None:
        order.append("step")
        gevent.spawn(order.append, "other")

    hub.set_stage(Long(3, step, Client()))
    hub.stir()
    settle()
    assert order == ["step", "other"] * 3
