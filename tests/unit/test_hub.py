from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import gevent
import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Batch, Item
from amiws_gevent.hub import CLIENTS_PER_TURN, Hub
from amiws_gevent.passes import PASS_BYTES
from amiws_gevent.pipeline import Pipeline, Source
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.views import View
from tests.support.hosts import ami_host


class FakeClient:
    def __init__(self) -> None:
        self.items: list[Item] = []

    def offer(self, item: Item) -> None:
        self.items.append(item)

    @property
    def offered(self) -> list[bytes]:
        return [item.data for item in self.items]

    @property
    def lines(self) -> list[bytes]:
        return b"".join(self.offered).splitlines()


def lines(payloads: Iterable[bytes]) -> bytes:
    """Stands for frames: easy to take apart again."""
    return b"".join(payload + b"\n" for payload in payloads)


CLASSIC = View("classic", lines)
V2 = View("v2", lines)


def batch(*messages: Message, source: Source | None = None) -> Batch:
    batches: list[Batch] = []
    Pipeline(batches.append).process(source or Source(ami_host()), messages)
    return batches[0]


def news(name: str) -> Message:
    return Message(Kind.EVENT, [("Event", name), ("Privilege", "call")])


def events(*names: str, source: Source | None = None) -> Batch:
    return batch(*map(news, names), source=source)


def names(client: FakeClient) -> list[str]:
    data = [json.loads(text)["data"] for text in client.lines]
    return [item.get("Event") or item.get("ActionID") or item["Response"] for item in data]


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(limit=1 << 20)
    hub.start()
    yield hub
    hub.stop()


def settle() -> None:
    for _ in range(20):
        yield_to_loop()


def test_all_clients_get_the_same_bytes_object_once_a_pass(hub: Hub) -> None:
    clients = [FakeClient() for _ in range(3)]
    for client in clients:
        hub.add(client, CLASSIC)
    hub.publish(events("A", "B"))
    hub.publish(events("C"))
    settle()
    assert names(clients[0]) == ["A", "B", "C"]
    assert len(clients[0].offered) == 1, "what is pending is joined"
    assert all(client.offered[0] is clients[0].offered[0] for client in clients)


def test_a_client_gets_what_came_in_its_time(hub: Hub) -> None:
    early, late = FakeClient(), FakeClient()
    hub.add(early, CLASSIC)
    hub.publish(events("A"))
    settle()
    hub.add(late, CLASSIC)
    hub.publish(events("B"))
    settle()
    hub.remove(early, CLASSIC)
    hub.remove(early, CLASSIC)
    hub.publish(events("C"))
    settle()
    assert (names(early), names(late)) == (["A", "B"], ["B", "C"])
    assert hub.counts() == {"classic": 1}


def test_without_clients_nothing_is_kept(hub: Hub) -> None:
    hub.publish(events("A"))
    client = FakeClient()
    hub.add(client, CLASSIC)
    settle()
    assert client.offered == []
    assert hub.published_messages == 1


@pytest.mark.parametrize("view", [CLASSIC, V2], ids=["classic", "v2"])
def test_one_who_comes_while_batches_wait_gets_those_behind_alone(hub: Hub, view: View) -> None:
    """All are joined for who was there before; nobody gets what was published before it came."""
    clients = [FakeClient() for _ in range(4)]
    for number, client in enumerate(clients):
        hub.add(client, view)
        hub.publish(events(f"E{number}", f"F{number}"))
    beside = FakeClient()
    hub.add(beside, view)
    settle()
    sent = [name for number in range(4) for name in (f"E{number}", f"F{number}")]
    assert [names(client) for client in clients] == [sent, sent[2:], sent[4:], sent[6:]]
    assert [len(client.offered) for client in clients] == [1, 1, 1, 1]
    assert beside.offered == []
    assert hub.deliveries == 8 + 6 + 4 + 2


@pytest.mark.parametrize("view", [CLASSIC, V2], ids=["classic", "v2"])
def test_one_who_comes_during_a_pass_gets_nothing_of_it(view: View) -> None:
    """Whichever view is served first: the other's clients come before their turn in the pass."""
    hub = Hub(limit=1 << 20)  # not started: the pass below is the only one that is on
    late = FakeClient()
    late_has_come: list[bool] = []

    class Doorkeeper(FakeClient):
        def offer(self, item: Item) -> None:
            super().offer(item)
            if not late_has_come:
                late_has_come.append(True)
                hub.add(late, view)
                hub.publish(events("B"))

    hub.add(Doorkeeper(), CLASSIC)
    hub.add(FakeClient(), V2)
    hub.publish(events("A"))
    hub._pass()
    assert late.offered == []
    hub._pass()
    assert names(late) == ["B"]


def test_one_who_comes_after_batches_were_dropped_is_still_in_its_place() -> None:
    hub = Hub(limit=400)  # not started: nothing is taken out
    early, late = FakeClient(), FakeClient()
    hub.add(early, CLASSIC)
    for number in range(10):
        hub.publish(events(f"E{number}"))
    hub.add(late, CLASSIC)
    hub.publish(events("L"))
    hub.start()
    settle()
    hub.stop()
    assert hub.dropped_messages
    assert names(early)[-2:] == ["E9", "L"]
    assert names(late) == ["L"]


def test_past_the_limit_the_oldest_are_dropped_counted_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub(limit=400)  # not started: nothing is taken out
    client = FakeClient()
    hub.add(client, CLASSIC)
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            hub.publish(events(f"E{number}"))
    hub.start()
    settle()
    hub.stop()
    kept = names(client)
    assert kept == [f"E{number}" for number in range(10 - len(kept), 10)]
    assert 0 < len(kept) < 10
    assert hub.dropped_messages == 10 - len(kept)
    assert "limits.hub_buffer" in caplog.text


def test_a_long_pass_lets_others_run(hub: Hub) -> None:
    """What another greenlet publishes in the middle of a pass comes in the next one."""
    turns = []
    clients = [FakeClient() for _ in range(CLIENTS_PER_TURN * 4)]
    for client in clients:
        hub.add(client, CLASSIC)
    hub.publish(events("A"))

    def other() -> None:
        while not clients[-1].offered:
            turns.append(sum(bool(client.offered) for client in clients))
            gevent.sleep(0)

    gevent.joinall([gevent.spawn(other)], raise_error=True)
    assert len({turn for turn in turns if 0 < turn < len(clients)}) >= 2


def test_a_client_that_raises_costs_only_itself(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeClient):
        def offer(self, item: Item) -> None:
            raise RuntimeError("a bug")

    broken, fine = Broken(), FakeClient()
    hub.add(broken, CLASSIC)
    hub.add(fine, CLASSIC)
    hub.publish(events("A"))
    settle()
    hub.publish(events("B"))
    settle()
    assert names(fine) == ["A", "B"]
    assert "a bug" in caplog.text
    assert hub.counts() == {"classic": 1}, "it is not offered to again"


def test_a_pass_is_bounded_and_nothing_is_lost_by_it(hub: Hub) -> None:
    hub.passes.limit = 10 * PASS_BYTES
    client = FakeClient()
    hub.add(client, CLASSIC)
    filler = "x" * (PASS_BYTES // 4)
    for number in range(9):
        hub.publish(batch(Message(Kind.EVENT, [("Event", f"E{number}"), ("Filler", filler)])))
    settle()
    assert names(client) == [f"E{number}" for number in range(9)]
    assert len(client.offered) == 3
    assert max(map(len, client.offered)) <= PASS_BYTES


def test_deliveries_are_messages_times_the_clients_that_got_them(hub: Hub) -> None:
    classic = [FakeClient() for _ in range(3)]
    for client in classic:
        hub.add(client, CLASSIC)
    some = FakeClient()
    hub.add(some, only("A"))
    hub.publish(events("A", "B"))
    settle()
    clients = [*classic, some]
    assert [len(client.lines) for client in clients] == [2, 2, 2, 1]
    assert hub.deliveries == 7
    assert hub.delivered_bytes == sum(len(data) for c in clients for data in c.offered)


@dataclass(frozen=True)
class Named:
    """The filter of a view to come."""

    names: frozenset[str]

    def __call__(self, batch: Batch, indexes: Sequence[int]) -> Sequence[int]:
        return [index for index in indexes if batch.messages[index].name in self.names]


def only(*names: str) -> View:
    return View("events", lines, (Named(frozenset(names)),))


class TestViews:
    """The hub knows no view by name."""

    def test_clients_of_equal_views_share_every_byte(self, hub: Hub) -> None:
        one, same, other = FakeClient(), FakeClient(), FakeClient()
        hub.add(one, only("A", "B"))
        hub.add(same, only("B", "A"))
        hub.add(other, only("C"))
        hub.publish(events("A", "C"))
        hub.publish(events("X", "B"))
        settle()
        assert (names(one), names(other)) == (["A", "B"], ["C"])
        assert len(one.items) == 1
        assert one.items[0] is same.items[0]

    def test_one_who_gets_nothing_of_a_pass_is_not_written_to(self, hub: Hub) -> None:
        client = FakeClient()
        hub.add(client, only("A"))
        hub.publish(events("B"))
        settle()
        assert client.items == []
        assert hub.deliveries == 0

    def test_clients_are_counted_by_the_name_of_their_view(self, hub: Hub) -> None:
        for view in (CLASSIC, only("A"), only("B"), only("B")):
            hub.add(FakeClient(), view)
        assert hub.counts() == {"classic": 1, "events": 3}

    def test_a_view_that_nobody_has_any_more_is_forgotten(self, hub: Hub) -> None:
        for number in range(100):
            client = FakeClient()
            hub.add(client, only(f"E{number}"))
            hub.remove(client, only(f"E{number}"))
            hub.remove(client, only("never there"))
        assert not hub.counts()
        hub.publish(events("E1"))
        assert hub.pending_bytes == 0, "without clients nothing is kept"

    def test_who_leaves_in_a_pass_and_comes_again_gets_what_comes_then(self, hub: Hub) -> None:
        view = only("A", "B")
        leaving = FakeClient()

        class Doorkeeper(FakeClient):
            def offer(self, item: Item) -> None:
                super().offer(item)
                if len(self.items) == 1:
                    hub.remove(leaving, view)
                    hub.add(leaving, view)
                    hub.publish(events("B"))

        hub.add(Doorkeeper(), CLASSIC)
        hub.add(leaving, view)
        hub.publish(events("A"))
        settle()
        assert names(leaving) == ["B"]

    def test_who_leaves_while_its_own_view_is_served_gets_nothing_more_of_it(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Though it has come again, by then: it stands behind what is being sent."""
        monkeypatch.setattr("amiws_gevent.hub.CLIENTS_PER_TURN", 1)
        leaving, gone = FakeClient(), FakeClient()

        class Doorkeeper(FakeClient):
            def offer(self, item: Item) -> None:
                super().offer(item)
                if len(self.items) == 1:
                    hub.remove(gone, CLASSIC)
                    hub.remove(leaving, CLASSIC)
                    hub.add(leaving, CLASSIC)
                    hub.publish(events("B"))

        for client in (Doorkeeper(), leaving, gone):
            hub.add(client, CLASSIC)
        hub.publish(events("A"))
        settle()
        assert names(leaving) == ["B"]
        assert gone.items == []
        assert hub.deliveries == 1 + 2

    def test_others_run_between_views_that_take_long(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("amiws_gevent.hub.TURN", -1.0)
        clients = [FakeClient() for _ in range(4)]
        for number, client in enumerate(clients):
            hub.add(client, only("A", f"E{number}"))
        turns = []

        def other() -> None:
            while not clients[-1].items:
                turns.append(sum(bool(client.items) for client in clients))
                gevent.sleep(0)

        hub.publish(events("A"))
        gevent.joinall([gevent.spawn(other)], raise_error=True)
        assert len({turn for turn in turns if turn}) >= 2


class TestPositions:
    """An item says where a client stands that has had it."""

    def test_the_last_read_of_each_server_in_the_pass(self, hub: Hub) -> None:
        client = FakeClient()
        hub.add(client, CLASSIC)
        one, two = Source(ami_host(), epoch="e1"), Source(ami_host(id=2), epoch="e2")
        for source in (one, two, one):
            hub.publish(events("A", "B", source=source))
        settle()
        (item,) = client.items
        assert item.messages == 6
        assert item.positions == {1: ("e1", 2), 2: ("e2", 1)}

    def test_reads_of_which_a_view_has_nothing_are_had_as_well(self, hub: Hub) -> None:
        client = FakeClient()
        hub.add(client, only("A"))
        source = Source(ami_host(), epoch="e")
        for name in "AB":
            hub.publish(events(name, source=source))
        settle()
        assert [item.positions for item in client.items] == [{1: ("e", 2)}]

    def test_one_who_comes_later_stands_at_what_it_was_given(self, hub: Hub) -> None:
        early, late = FakeClient(), FakeClient()
        one, two = Source(ami_host(), epoch="e1"), Source(ami_host(id=2), epoch="e2")
        hub.add(early, CLASSIC)
        hub.publish(events("A", source=one))
        hub.add(late, CLASSIC)
        hub.publish(events("B", source=two))
        settle()
        assert early.items[0].positions == {1: ("e1", 1), 2: ("e2", 1)}
        assert late.items[0].positions == {1: ("e1", 1), 2: ("e2", 1)}
