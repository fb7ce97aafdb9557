"""A subscription: what threads take of it, and where it goes on after a loss."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from amiws_gevent.client.collection import Change, Name
from amiws_gevent.client.login import ClientError
from amiws_gevent.client.subscription import CONNECTION, SLOW, Event, Gap, Subscription
from tests.support.patience import WAIT

EVENT = {"op": "event", "subscription": "s", "message": {"data": {"Event": "Hangup"}}}


def make(*streams: str, limit: int = 100) -> Subscription:
    return Subscription(frozenset(streams or ("state",)), {"kind": "call"}, limit, lambda _: None)


def snapshot(page: int = 1, pages: int = 1, *keys: str, position: str = "") -> dict[str, Any]:
    items = [{"server": 1, "kind": "call", "id": key} for key in keys]
    message = {"op": "snapshot", "page": page, "pages": pages, "items": items}
    return message | ({"position": position} if position else {})


def state(*keys: str, position: str = "") -> dict[str, Any]:
    items = [{"server": 1, "kind": "call", "id": key} for key in keys]
    message = {"op": "state", "set": items, "unset": []}
    return message | ({"position": position} if position else {})


def test_what_is_told_is_taken_in_order() -> None:
    subscription = make("state", "events")
    subscription.subscribed(False)
    subscription.received(snapshot(1, 1, "a"))
    subscription.received(EVENT)
    subscription.received({"op": "gap", "stream": "events", "reason": "slow", "lost": 3})
    subscription.close()
    changed, event, gap = subscription
    assert isinstance(changed, Change)
    assert changed.name == Name(1, "call", "a")
    assert isinstance(event, Event)
    assert event.data == {"Event": "Hangup"}
    assert gap == Gap("events", "slow", 3, None)
    assert subscription.get(1, "call", "a") == subscription.items[changed.name]
    assert subscription.take() is None


def test_a_thread_waits_for_it() -> None:
    subscription = make()
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.extend(subscription))
    thread.start()
    subscription.received(snapshot(1, 1, "a"))
    subscription.end()
    thread.join(WAIT)
    assert len(taken) == 1


def test_loaded_with_the_whole_snapshot() -> None:
    subscription = make()
    subscription.subscribed(False)
    subscription.received(snapshot(1, 2, "a"))
    with pytest.raises(TimeoutError):
        subscription.wait(0)
    subscription.received(snapshot(2, 2, "b"))
    subscription.wait(0)
    events = make("events")
    assert not events.loaded
    events.subscribed(False)
    events.wait(0)


def test_a_refusal_is_raised() -> None:
    subscription = make()
    subscription.refused(ClientError("bad_filter", "no such filter"))
    for attempt in (subscription.wait, subscription.take):
        with pytest.raises(ClientError, match="no such filter"):
            attempt()


def test_closed_before_it_began() -> None:
    subscription = make()
    subscription.close()
    with pytest.raises(ClientError, match="closed"):
        subscription.wait()


def test_goes_on_at_the_last_position() -> None:
    subscription = make()
    first = {"op": "subscribe", "streams": ["state"], "filters": {"kind": "call"}}
    assert subscription.request() == first
    subscription.subscribed(False)
    subscription.received(snapshot(1, 1, "a", position="p-1"))
    subscription.received(state("b", position="p-2"))
    subscription.received(state("c"))
    assert subscription.request() == first | {"op": "resume", "position": "p-2"}
    subscription.subscribed(True)
    subscription.at("p-3")
    assert subscription.request()["position"] == "p-3"


def test_a_position_counts_only_with_the_whole_snapshot() -> None:
    subscription = make()
    subscription.subscribed(False)
    subscription.received(snapshot(1, 1, "a", position="p-1"))
    subscription.received(snapshot(1, 2, "b"))
    subscription.received(state("c", position="p-2"))
    subscription.at("p-3")
    assert subscription.request()["op"] == "subscribe"
    subscription.received(snapshot(2, 2, "d", position="p-4"))
    assert set(subscription.items) == {Name(1, "call", "a")}, "of a snapshot that was cut"


def test_no_position_counts_before_a_snapshot_that_is_to_come() -> None:
    subscription = make("state", "events")
    subscription.request()
    subscription.subscribed(False)
    subscription.received(EVENT | {"position": "p-1"})
    subscription.at("p-2")
    assert subscription.request()["op"] == "subscribe"
    subscription.received(snapshot(1, 1, "a", position="p-3"))
    subscription.received({"op": "gap", "stream": "state", "reason": "slow", "position": "p-4"})
    subscription.received(EVENT | {"position": "p-5"})
    assert subscription.request()["op"] == "subscribe"
    subscription.subscribed(False)
    subscription.received(snapshot(1, 1, "a", position="p-6"))
    assert subscription.request()["position"] == "p-6"
    subscription.received({"op": "gap", "stream": "events", "reason": "slow", "position": "p-7"})
    assert subscription.request()["position"] == "p-7"


def test_events_go_on_from_where_the_subscription_began() -> None:
    subscription = make("events")
    subscription.request()
    subscription.subscribed(False, "p-0")
    assert subscription.request()["position"] == "p-0"
    subscription.subscribed(True, "p-0")
    with pytest.raises(TimeoutError):
        subscription.take(0)
    both = make("events", "state")
    both.request()
    both.subscribed(False, "p-0")
    assert both.request()["op"] == "subscribe", "without the snapshot it is worth nothing"


def test_events_that_cannot_be_resumed_are_a_gap() -> None:
    subscription = make("events")
    subscription.request()
    subscription.subscribed(False)
    subscription.received(EVENT)
    assert isinstance(subscription.take(0), Event)
    subscription.request()
    subscription.subscribed(False)
    assert subscription.take(0) == Gap("events", CONNECTION)
    subscription.at("p-1")
    subscription.request()
    subscription.subscribed(False)  # of which the server tells the gap
    with pytest.raises(TimeoutError):
        subscription.take(0)


def test_what_waits_is_bounded() -> None:
    subscription = make("state", "events", limit=10)
    subscription.subscribed(False)
    subscription.received(snapshot(1, 1, *"abc"))
    for _ in range(8):
        subscription.received(EVENT)
    assert subscription.take(0) == Gap("events", SLOW, 8)
    assert subscription.take(0) == Gap("state", SLOW, 3)
    assert len(subscription.items) == 3
    for _ in range(1000):
        subscription.received(EVENT)
    subscription.end()
    lost = [told.lost for told in subscription if isinstance(told, Gap) and told.stream == "events"]
    left = 1000 - sum(one or 0 for one in lost)
    assert 0 <= left < 10
