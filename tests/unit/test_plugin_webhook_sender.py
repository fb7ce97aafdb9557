"""The sender's greenlet with a carrier that answers by script."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from amiws_plugins.webhook.answer import Answer
from amiws_plugins.webhook.circuit import Circuit, State
from amiws_plugins.webhook.client import NoAnswer
from amiws_plugins.webhook.outbox import Batch, Outbox
from amiws_plugins.webhook.report import Report
from amiws_plugins.webhook.sender import Sender

from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.webhook import Bounds, Policy

BOUNDS = Bounds(
    batch_messages=3, batch_bytes=1000, queue_messages=20, queue_bytes=10000, batch_delay=0.02
)
QUICK = Policy(
    circuit_failures=3,
    retry_delay=0.02,
    retry_delay_max=0.04,
    circuit_cooldown=0.05,
    circuit_cooldown_max=0.1,
)
LONG = 600.0  # seconds that no test waits for
SLOW = Policy(
    circuit_failures=3,
    retry_delay=LONG,
    retry_delay_max=LONG,
    circuit_cooldown=LONG,
    circuit_cooldown_max=LONG,
)

Result = Answer | NoAnswer | Callable[[], Answer]


class Carrier:
    """Answers with the next result of the script, then 204."""

    def __init__(self, *script: Result) -> None:
        self.script = deque(script)
        self.batches: list[Batch] = []
        self.pauses = 0.0

    def deliver(self, batch: Batch) -> Answer:
        self.batches.append(batch)
        result = self.script.popleft() if self.script else Answer(204)
        if isinstance(result, NoAnswer):
            raise result
        return result if isinstance(result, Answer) else result()

    def pause(self, answer: Answer) -> float:
        return self.pauses

    def describe(self, answer: Answer) -> str:
        return f"described {answer.status}"

    def numbers(self) -> list[list[int]]:
        return [[json.loads(message)["n"] for message in b.messages] for b in self.batches]


class Setup:
    def __init__(self) -> None:
        self.running: list[gevent.Greenlet[..., Any]] = []

    def start(self, carrier: Carrier, policy: Policy = QUICK, bounds: Bounds = BOUNDS) -> Sender:
        self.outbox = Outbox(bounds)
        self.circuit = Circuit(policy, random=lambda: 1.0)
        report = Report(logging.getLogger("webhook"), "https://h")
        sender = Sender(self.outbox, self.circuit, report, carrier)
        self.running.append(gevent.spawn(sender.run))
        return sender


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    gevent.killall(made.running)


def put(sender: Sender, *numbers: int) -> None:
    for number in numbers:
        sender.put(b'{"n":%d}' % number)


def test_a_full_batch_goes_out_at_once(setup: Setup) -> None:
    carrier = Carrier()
    sender = setup.start(carrier, bounds=Bounds(3, 1000, 20, 10000, batch_delay=60.0))
    for number in range(4):
        gevent.sleep(0.01)
        put(sender, number)
    until(lambda: carrier.batches)
    gevent.sleep(0.05)
    assert carrier.numbers() == [[0, 1, 2]]


def test_what_is_not_full_goes_out_after_the_delay(setup: Setup) -> None:
    carrier = Carrier()
    sender = setup.start(carrier, bounds=Bounds(3, 1000, 20, 10000, batch_delay=0.5))
    start = time.monotonic()
    put(sender, 1)
    gevent.sleep(0)
    put(sender, 2)
    until(lambda: carrier.batches)
    assert time.monotonic() - start >= 0.5
    assert carrier.numbers() == [[1, 2]]


def test_one_after_the_other_in_order(setup: Setup) -> None:
    going = []

    def slowly() -> Answer:
        going.append(1)
        assert len(going) == 1
        gevent.sleep(0.01)
        going.pop()
        return Answer(200)

    carrier = Carrier(*[slowly] * 5)
    sender = setup.start(carrier)
    put(sender, *range(15))
    until(lambda: not len(setup.outbox))
    assert [number for batch in carrier.numbers() for number in batch] == list(range(15))


@pytest.mark.parametrize("failure", [NoAnswer("it broke"), Answer(503), Answer(429)])
def test_a_failed_batch_is_sent_again_before_all_others(setup: Setup, failure: Result) -> None:
    carrier = Carrier(failure, failure)
    sender = setup.start(carrier)
    put(sender, 1, 2, 3, 4)
    until(lambda: not len(setup.outbox))
    assert carrier.numbers() == [[1, 2, 3], [1, 2, 3], [1, 2, 3], [4]]
    assert len({batch.id for batch in carrier.batches}) == 2
    assert len({batch.body() for batch in carrier.batches}) == 2


def test_a_refused_batch_is_dropped_and_told(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = Carrier(Answer(400))
    sender = setup.start(carrier)
    put(sender, 1, 2, 3, 4)
    until(lambda: not len(setup.outbox))
    assert carrier.numbers() == [[1, 2, 3], [4]]
    assert carrier.batches[1].lost == 3
    assert "refuses messages; dropped: 3 so far: described 400" in caplog.text
    assert setup.circuit.failures == 0


def test_retry_after_is_waited_for(setup: Setup) -> None:
    carrier = Carrier(Answer(429))
    carrier.pauses = 0.2
    sender = setup.start(carrier)
    start = time.monotonic()
    put(sender, 1)
    until(lambda: len(carrier.batches) >= 2)
    assert time.monotonic() - start >= 0.2


def test_after_failures_it_is_left_alone_and_then_tried_with_one_batch(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    carrier = Carrier(*[NoAnswer("it broke")] * 4)
    sender = setup.start(carrier)
    put(sender, *range(9))
    until(lambda: len(carrier.batches) >= 3)
    gevent.sleep(0)
    assert setup.circuit.state is State.OPEN
    until(lambda: len(carrier.batches) >= 4)
    gevent.sleep(0)
    assert setup.circuit.state is State.OPEN
    until(lambda: not len(setup.outbox))
    assert setup.circuit.state is State.CLOSED
    assert carrier.numbers() == [[0, 1, 2]] * 5 + [[3, 4, 5], [6, 7, 8]]
    told = [(r.levelname, r.getMessage().partition(": ")[2]) for r in caplog.records]
    assert told == [
        ("WARNING", "a batch was not delivered and will be retried: it broke"),
        ("WARNING", "keeps failing, nothing is sent for 0.05 s: it broke"),
        ("INFO", "testing whether it works again"),
        ("INFO", "keeps failing, nothing is sent for 0.1 s: it broke"),
        ("INFO", "testing whether it works again"),
        ("INFO", "works again"),
    ]


def test_the_bounds_hold_while_it_is_left_alone(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = Carrier(*[NoAnswer("it broke")] * 3)
    sender = setup.start(carrier, Policy(3, 0.01, 0.01, LONG, LONG))
    put(sender, 1, 2, 3)
    until(lambda: setup.circuit.state is State.OPEN)
    put(sender, *range(100))
    assert len(setup.outbox) == BOUNDS.queue_messages
    assert setup.outbox.lost == 83
    assert caplog.text.count("the queue is full") == 1


def test_puts_do_not_cut_a_back_off_short(setup: Setup) -> None:
    carrier = Carrier(NoAnswer("it broke"))
    sender = setup.start(carrier, SLOW)
    put(sender, 1, 2, 3)
    until(lambda: carrier.batches)
    for number in range(20):
        put(sender, number)
        gevent.sleep(0.002)
    assert len(carrier.batches) == 1


def test_a_flush_sends_what_waits_without_a_delay(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = Carrier()
    sender = setup.start(carrier, bounds=Bounds(3, 1000, 20, 10000, batch_delay=60.0))
    put(sender, 1, 2, 3, 4)
    until(lambda: carrier.batches)
    gevent.sleep(0)
    sender.flush(LONG)
    assert carrier.numbers() == [[1, 2, 3], [4]]
    assert not caplog.records


def test_a_flush_with_nothing_to_send_is_over_at_once(setup: Setup) -> None:
    sender = setup.start(Carrier())
    gevent.sleep(0)
    with gevent.Timeout(WAIT):
        sender.flush(LONG)
        (greenlet,) = setup.running
        greenlet.join()


def test_a_flush_cuts_a_back_off_short_for_one_attempt(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = Carrier(NoAnswer("it broke"), NoAnswer("it broke"))
    sender = setup.start(carrier, SLOW)
    put(sender, 1, 2, 3)
    until(lambda: carrier.batches)
    gevent.sleep(0)
    with gevent.Timeout(WAIT):
        sender.flush(LONG)
    assert len(carrier.batches) == 2
    assert "stopped with messages not delivered: 3" in caplog.text


def test_a_flush_does_not_try_a_receiver_that_is_out_of_order(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = Carrier(*[NoAnswer("it broke")] * 3)
    sender = setup.start(carrier, Policy(3, 0.01, 0.01, LONG, LONG))
    put(sender, 1, 2)
    until(lambda: setup.circuit.state is State.OPEN)
    with gevent.Timeout(WAIT):
        sender.flush(LONG)
    assert len(carrier.batches) == 3
    assert "stopped with messages not delivered: 2" in caplog.text


def test_a_flush_ends_in_time_when_the_receiver_hangs(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    def hang() -> Answer:
        gevent.sleep(LONG)
        return Answer(200)

    sender = setup.start(Carrier(hang))
    put(sender, 1, 2, 3, 4)
    start = time.monotonic()
    sender.flush(0.1)
    assert 0.1 <= time.monotonic() - start < WAIT
    assert "stopped with messages not delivered: 4" in caplog.text
