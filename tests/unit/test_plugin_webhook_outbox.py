"""What waits for a receiver: when a batch is due, what is in it, what goes for want of room."""

from __future__ import annotations

import json
from typing import Any

import pytest
from amiws_plugins.webhook.outbox import Outbox

from tests.support.clock import Clock
from tests.support.webhook import Bounds


def make(clock: Clock | None = None, **bounds: Any) -> Outbox:
    defaults = {
        "batch_messages": 3,
        "batch_bytes": 1000,
        "queue_messages": 10,
        "queue_bytes": 10000,
        "batch_delay": 2.0,
    }
    return Outbox(Bounds(**{**defaults, **bounds}), clock or Clock(100.0))


def fill(outbox: Outbox, *numbers: int) -> int:
    return sum(outbox.put(b'{"n":%d}' % number) for number in numbers)


def numbers(outbox: Outbox) -> list[int]:
    """What the next batch holds."""
    return [json.loads(message)["n"] for message in outbox.take().messages]


def test_the_body_is_json_of_the_messages_as_they_came() -> None:
    outbox = make()
    outbox.put(b'{"type":3,"data":{"Event":"A \xc3\xa4"}}')
    outbox.put(b'{"n":2}')
    body = outbox.take().body()
    assert body == b'{"messages":[{"type":3,"data":{"Event":"A \xc3\xa4"}},{"n":2}],"lost":0}'
    assert json.loads(body)["messages"][1] == {"n": 2}


def test_a_batch_is_due_when_its_first_message_has_waited() -> None:
    clock = Clock(100.0)
    outbox = make(clock)
    assert outbox.due_in() is None
    fill(outbox, 1)
    assert outbox.due_in() == 2.0
    clock.now += 1.5
    fill(outbox, 2)
    assert outbox.due_in() == 0.5
    clock.now += 5
    assert outbox.due_in() == 0


def test_a_batch_is_due_when_it_is_full() -> None:
    outbox = make()
    fill(outbox, 1, 2)
    assert outbox.due_in() == 2.0
    fill(outbox, 3)
    assert outbox.due_in() == 0


@pytest.mark.parametrize("batch_bytes", [17, 23, 24])
def test_a_batch_is_due_when_its_bytes_are_full(batch_bytes: int) -> None:
    outbox = make(batch_bytes=batch_bytes, batch_messages=9)
    fill(outbox, 1, 2)  # 7 bytes and a comma each
    assert outbox.due_in() == 2.0
    fill(outbox, 3)
    assert outbox.due_in() == 0
    assert numbers(outbox) == ([1, 2] if batch_bytes < 24 else [1, 2, 3])


def test_what_is_in_a_batch_takes_room_until_it_is_done() -> None:
    outbox = make()
    fill(outbox, 1, 2, 3, 4)
    outbox.take()
    assert (len(outbox), outbox.size) == (4, 32)
    outbox.delivered()
    assert (len(outbox), outbox.size) == (1, 8)


def test_with_no_delay_a_message_is_due_at_once() -> None:
    outbox = make(batch_delay=0.0)
    fill(outbox, 1)
    assert outbox.due_in() == 0


def test_batches_keep_the_order() -> None:
    outbox = make()
    fill(outbox, 1, 2, 3, 4)
    assert numbers(outbox) == [1, 2, 3]
    outbox.delivered()
    assert numbers(outbox) == [4]
    outbox.delivered()
    assert len(outbox) == 0
    assert outbox.size == 0
    assert outbox.due_in() is None


def test_a_message_above_the_batch_bound_goes_alone() -> None:
    outbox = make(batch_bytes=1024)
    fill(outbox, 1)
    outbox.put(b"x" * 5000)
    fill(outbox, 2)
    assert numbers(outbox) == [1]
    outbox.delivered()
    assert outbox.take().messages == (b"x" * 5000,)
    outbox.delivered()
    assert numbers(outbox) == [2]


def test_a_batch_that_failed_comes_again_as_it_was() -> None:
    outbox = make()
    fill(outbox, 1)
    first = outbox.take()
    outbox.failed()
    assert outbox.due_in() == 0
    fill(outbox, 2)
    assert outbox.take() is first
    outbox.delivered()
    second = outbox.take()
    assert second.messages == (b'{"n":2}',)
    assert second.id != first.id


def test_the_oldest_go_for_want_of_room_and_are_reported() -> None:
    outbox = make(queue_messages=6)
    assert fill(outbox, 1, 2, 3, 4, 5, 6) == 0
    assert fill(outbox, 7, 8) == 2
    assert len(outbox) == 6
    batch = outbox.take()
    assert batch.messages[0] == b'{"n":3}'
    assert batch.lost == 2
    assert json.loads(batch.body())["lost"] == 2
    outbox.delivered()
    assert outbox.take().lost == 0


def test_the_bound_in_bytes_holds_too() -> None:
    outbox = make(batch_bytes=16, queue_bytes=40)
    assert fill(outbox, 1, 2, 3, 4, 5) == 0
    assert fill(outbox, 6) == 1
    assert outbox.size == 40
    assert numbers(outbox) == [2, 3]


def test_a_big_message_takes_the_room_of_several() -> None:
    outbox = make(queue_bytes=40, batch_bytes=16)
    fill(outbox, 1, 2, 3, 4, 5)
    assert outbox.put(b"x" * 23) == 3
    assert numbers(outbox) == [4, 5]


def test_a_message_may_take_all_the_room() -> None:
    outbox = make(queue_bytes=40, batch_bytes=16)
    fill(outbox, 1, 2)
    assert outbox.put(b"x" * 39) == 2
    assert outbox.take().messages == (b"x" * 39,)


def test_a_message_that_never_fits_drops_nothing_else() -> None:
    outbox = make(queue_bytes=40, batch_bytes=16)
    fill(outbox, 1, 2)
    assert outbox.put(b"x" * 40) == 1
    assert len(outbox) == 2
    assert outbox.take().lost == 1


def test_what_is_on_the_wire_is_not_dropped() -> None:
    outbox = make(queue_messages=6)
    fill(outbox, 1, 2, 3, 4, 5, 6)
    outbox.take()
    assert fill(outbox, 7, 8) == 2
    assert len(outbox) == 6
    outbox.delivered()
    batch = outbox.take()
    assert batch.messages[0] == b'{"n":6}'
    assert batch.lost == 2


def test_a_batch_between_two_attempts_is_the_oldest_and_goes_whole() -> None:
    outbox = make(queue_messages=6)
    fill(outbox, 1, 2, 3, 4, 5, 6)
    outbox.take()
    outbox.failed()
    assert fill(outbox, 7) == 3
    batch = outbox.take()
    assert batch.messages[0] == b'{"n":4}'
    assert batch.lost == 3


def test_the_newest_goes_when_all_room_is_on_the_wire() -> None:
    outbox = make(queue_messages=3)
    fill(outbox, 1, 2, 3)
    outbox.take()
    assert fill(outbox, 4) == 1
    outbox.delivered()
    fill(outbox, 5)
    batch = outbox.take()
    assert batch.messages == (b'{"n":5}',)
    assert batch.lost == 1


def test_what_is_lost_during_an_attempt_is_reported_in_the_batch_behind() -> None:
    outbox = make(queue_messages=6)
    fill(outbox, 1, 2, 3, 4, 5, 6)
    on_the_wire = outbox.take()
    fill(outbox, 7)
    outbox.failed()
    assert outbox.take() is on_the_wire
    assert on_the_wire.lost == 0
    outbox.delivered()
    assert outbox.take().lost == 1


def test_a_refused_batch_is_lost_with_what_was_lost_before_it() -> None:
    outbox = make(queue_messages=6)
    fill(outbox, 1, 2, 3, 4, 5, 6, 7)
    assert outbox.take().lost == 1
    outbox.refused()
    assert outbox.take().lost == 4
    outbox.delivered()
    assert outbox.lost == 0
