from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator

import gevent
import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Item
from amiws_gevent.hub import CLASSIC, CLIENTS_PER_TURN, PASS_BYTES, V2, Hub
from amiws_gevent.pipeline import Batch, Pipeline, Source
from amiws_gevent.routing import wrap
from amiws_gevent.runtime.loop import yield_to_loop
from tests.support.hosts import ami_host


class FakeClient:
    def __init__(self) -> None:
        self.offered: list[bytes] = []

    def offer(self, item: Item) -> None:
        self.offered.append(item.data)

    @property
    def lines(self) -> list[bytes]:
        return b"".join(self.offered).splitlines()


def lines(payloads: Iterable[bytes]) -> bytes:
    """Stands for frames: easy to take apart again."""
    return b"".join(payload + b"\n" for payload in payloads)


def batch(*messages: Message) -> Batch:
    batches: list[Batch] = []
    Pipeline(batches.append).process(Source(ami_host()), messages)
    return batches[0]


def events(*names: str) -> Batch:
    return batch(*(Message(Kind.EVENT, [("Event", n), ("Privilege", "call")]) for n in names))


def names(client: FakeClient) -> list[str]:
    data = [json.loads(text)["data"] for text in client.lines]
    return [item.get("Event") or item.get("ActionID") or item["Response"] for item in data]


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(lines, limit=1 << 20)
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
    assert hub.count(CLASSIC) == 1


def test_without_clients_nothing_is_kept(hub: Hub) -> None:
    hub.publish(events("A"))
    client = FakeClient()
    hub.add(client, CLASSIC)
    settle()
    assert client.offered == []
    assert hub.published_messages == 1


@pytest.mark.parametrize("view", [CLASSIC, V2])
def test_one_who_comes_while_batches_wait_gets_those_behind_alone(hub: Hub, view: str) -> None:
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


@pytest.mark.parametrize("view", [CLASSIC, V2])
def test_one_who_comes_during_a_pass_gets_nothing_of_it(hub: Hub, view: str) -> None:
    """Whichever view is served first: the other's clients come before their turn in the pass."""
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
    hub._pass(hub._next_batches())
    assert late.offered == []
    settle()
    assert names(late) == ["B"]


def test_one_who_comes_after_batches_were_dropped_is_still_in_its_place() -> None:
    hub = Hub(lines, limit=400)  # not started: nothing is taken out
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


def test_one_who_comes_between_has_its_answers_in_order(hub: Hub) -> None:
    early, late, later = FakeClient(), FakeClient(), FakeClient()
    hub.add(early, V2, "T1")
    hub.publish(events("A"))
    hub.add(late, V2, "T2")
    hub.add(later, V2, "T3")
    event = Message(Kind.EVENT, [("Event", "B"), ("Privilege", "call")])
    hub.publish(batch(answer("T2", "two"), event, answer("T1", "one"), answer("T3", "three")))
    settle()
    assert names(early) == ["A", "B", "one"]
    assert names(late) == ["two", "B"]
    assert names(later) == ["B", "three"]


def answer(token: str, action_id: str) -> Message:
    wrapped = dict(wrap([("Action", "A"), ("ActionID", action_id)], token))["ActionID"]
    return Message(Kind.RESPONSE, [("Response", "Success"), ("ActionID", wrapped)])


def test_answers_in_order_to_the_v2_client_that_asked(hub: Hub) -> None:
    classic, asked, other = FakeClient(), FakeClient(), FakeClient()
    hub.add(classic, CLASSIC)
    hub.add(asked, V2, "T1")
    hub.add(other, V2, "T2")
    before = Message(Kind.EVENT, [("Event", "Before"), ("Privilege", "call")])
    after = Message(Kind.EVENT, [("Event", "After"), ("Privilege", "call")])
    shared = Message(Kind.RESPONSE, [("Response", "ToClassic")])
    hub.publish(batch(before, answer("T1", "a1"), shared, answer("GONE", "a2"), after))
    settle()
    assert names(asked) == ["Before", "a1", "After"]
    assert names(other) == ["Before", "After"]
    assert names(classic) == ["Before", "ToClassic", "After"]


def test_an_answer_to_one_who_has_left_goes_nowhere(hub: Hub) -> None:
    left, classic = FakeClient(), FakeClient()
    hub.add(left, V2, "T1")
    hub.add(classic, CLASSIC)
    hub.remove(left, V2, "T1")
    hub.publish(batch(answer("T1", "a1")))
    settle()
    assert left.offered == []
    assert classic.offered == []


def test_past_the_limit_the_oldest_are_dropped_counted_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub(lines, limit=400)  # not started: nothing is taken out
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
    assert hub.count(CLASSIC) == 1, "it is not offered to again"


def test_a_pass_is_bounded_and_nothing_is_lost_by_it(hub: Hub) -> None:
    hub.limit = 10 * PASS_BYTES
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
    asked, other = FakeClient(), FakeClient()
    hub.add(asked, V2, "T1")
    hub.add(other, V2, "T2")
    before = Message(Kind.EVENT, [("Event", "Before"), ("Privilege", "call")])
    after = Message(Kind.EVENT, [("Event", "After"), ("Privilege", "call")])
    hub.publish(batch(before, answer("T1", "a1"), after))
    settle()
    clients = [*classic, asked, other]
    assert [len(client.lines) for client in clients] == [2, 2, 2, 3, 2]
    assert hub.deliveries == 11
    assert hub.delivered_bytes == sum(len(data) for c in clients for data in c.offered)
