"""The queue of the hooks that nobody waits for: bounded, in order, no matter what they do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.plugins.guard import PluginState
from amiws_gevent.plugins.logqueue import NEWS_SIZE, Entry, LogQueue
from amiws_gevent.runtime.log import LogLimiter
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.plugins import entry

LOG = "amiws_log_message"
NEWS = "amiws_server_changed"


class Queue:
    """A queue whose hooks note what they get in ``seen``, or do what ``deed`` says."""

    def __init__(self, folder: Path, limit: int = 1000) -> None:
        made = entry(folder, "def amiws_reload(): pass")
        self.state = PluginState(made, name="mine", limiter=LogLimiter())
        self.seen: list[Any] = []
        self.deed: Callable[[Any], object] = lambda what: None
        self.queue = LogQueue(
            self.state, {LOG: self.hook, NEWS: self.hook}, limit=limit, limiter=LogLimiter()
        )

    def hook(self, what: Any) -> None:
        self.seen.append(what)
        self.deed(what)

    def put(self, *messages: Any, size: int = 10) -> None:
        self.queue.put([Entry(LOG, (message,), size, True) for message in messages])

    def news(self, *news: Any) -> None:
        self.queue.put([Entry(NEWS, (what,)) for what in news])


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path)
    yield made
    made.queue.stop(0)


def test_all_hooks_in_the_order_of_putting(made: Queue) -> None:
    made.queue.limit = 1 << 20
    made.queue.start()
    made.put(1, 2)
    made.news("connected")
    made.put(3)
    assert made.queue.drain(10)
    assert made.seen == [1, 2, "connected", 3]


def test_there_is_nothing_to_wait_for_at_first(made: Queue) -> None:
    assert made.queue.drain(0)


def test_what_was_put_before_the_start_waits_for_it(made: Queue) -> None:
    made.put(1)
    gevent.sleep(0.01)
    assert made.seen == []
    assert not made.queue.drain(0.001)
    made.queue.start()
    assert made.queue.drain(10)
    assert made.seen == [1]


def test_putting_returns_at_once_while_a_hook_waits(made: Queue) -> None:
    go_on = Event()
    made.deed = lambda what: go_on.wait()
    made.queue.start()
    made.put(1)
    until(lambda: made.seen)
    made.put(2, 3)
    assert made.seen == [1]
    go_on.set()
    assert made.queue.drain(10)
    assert made.seen == [1, 2, 3]


def test_draining_is_not_done_while_the_last_hook_waits(made: Queue) -> None:
    go_on = Event()
    made.deed = lambda what: go_on.wait()
    made.queue.start()
    made.put(1)
    until(lambda: made.seen)
    assert not made.queue.drain(0.01)
    go_on.set()
    assert made.queue.drain(10)


class TestBounds:
    def test_the_newest_are_dropped_and_counted(self, made: Queue) -> None:
        made.put(*range(150), size=10)
        assert made.queue.dropped == 50
        made.queue.start()
        assert made.queue.drain(10)
        assert made.seen == list(range(100))
        made.put(*range(100), size=10)
        assert made.queue.dropped == 50, "there is room again"

    def test_one_that_is_longer_than_all_room_passes_an_empty_queue(self, made: Queue) -> None:
        made.put("long", size=5000)
        made.put("next", size=1)
        assert made.queue.dropped == 1
        made.queue.start()
        assert made.queue.drain(10)
        assert made.seen == ["long"]

    def test_it_is_told_while_it_happens_and_without_a_flood(
        self, made: Queue, caplog: pytest.LogCaptureFixture
    ) -> None:
        made.deed = lambda what: gevent.sleep(3600)
        made.queue.start()
        for number in range(5000):
            made.put(number)
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert record.getMessage() == (
            "plugin mine: too slow, calls of its hooks dropped: 1 so far (limits.plugin_queue)"
        )

    def test_news_has_room_of_its_own(self, tmp_path: Path) -> None:
        made = Queue(tmp_path, limit=10 * NEWS_SIZE)
        made.put(*range(100), size=NEWS_SIZE)
        made.news(*"abcdefgh")
        assert made.queue.dropped == 90
        made.queue.start()
        assert made.queue.drain(10)
        assert made.seen == [*range(10), *"abcdefgh"]

    def test_news_is_bounded_too(self, tmp_path: Path) -> None:
        made = Queue(tmp_path, limit=10 * NEWS_SIZE)
        made.news(*range(1000))
        assert made.queue.dropped == 980

    def test_a_changed_limit_counts_from_then_on(self, made: Queue) -> None:
        made.put(*range(100))
        made.queue.limit = 2000
        made.put(*range(100))
        assert made.queue.dropped == 0


class TestFaults:
    @pytest.mark.parametrize(
        "error", [ValueError, SystemExit, KeyboardInterrupt, gevent.GreenletExit]
    )
    def test_raising_costs_that_call_alone(
        self, made: Queue, error: type[BaseException], caplog: pytest.LogCaptureFixture
    ) -> None:
        def deed(what: Any) -> None:
            if what == 2:
                raise error("why")

        made.deed = deed
        made.queue.start()
        made.put(1, 2, 3)
        assert made.queue.drain(10)
        assert made.seen == [1, 2, 3]
        assert made.state.faults == {LOG: 1}
        assert f"plugin mine: {LOG}: " in caplog.text
        assert f"{error.__name__}: why" in caplog.text

    def test_its_time_is_counted(self, made: Queue) -> None:
        made.deed = lambda what: gevent.sleep(0.01)
        made.queue.start()
        made.put(1, 2, 3)
        assert made.queue.drain(10)
        assert 0.03 <= made.state.log_seconds < 20
        assert made.state.seconds == 0

    def test_a_hook_that_computes_lets_others_run(self, made: Queue) -> None:
        def compute(what: Any) -> None:
            end = time.monotonic() + 0.002
            while time.monotonic() < end:
                pass

        def tick() -> None:
            while True:
                ticks.append(time.monotonic())
                gevent.sleep(0.001)

        made.deed = compute
        made.put(*range(100))
        ticks: list[float] = []
        ticker = gevent.spawn(tick)
        gevent.sleep(0.002)
        made.queue.start()
        assert made.queue.drain(10)
        ticker.kill()
        ticks.append(time.monotonic())
        assert len(made.seen) == 100
        assert len(ticks) > 10, "all of it takes 0.2 s, a turn 0.005 s"


class TestStop:
    def test_what_is_queued_is_done_first(self, made: Queue) -> None:
        made.deed = lambda what: gevent.sleep(0.002)
        made.queue.start()
        made.put(*range(10))
        made.queue.stop(10)
        assert made.seen == list(range(10))
        made.put("later")
        gevent.sleep(0.01)
        assert made.seen == list(range(10))

    def test_a_hook_that_waits_forever_is_ended(
        self, made: Queue, caplog: pytest.LogCaptureFixture
    ) -> None:
        ended = []

        def deed(what: Any) -> None:
            try:
                gevent.sleep(3600)
            finally:
                ended.append(what)

        made.deed = deed
        made.queue.start()
        made.put(1, 2, 3)
        with gevent.Timeout(WAIT):
            made.queue.stop(0.02)
        assert ended == made.seen == [1]
        assert "plugin mine: stopped with 2 calls still queued" in caplog.text
        assert not made.state.faults

    def test_a_hook_that_does_not_let_itself_be_ended_is_left(self, made: Queue) -> None:
        let_go: list[bool] = []

        def deed(what: Any) -> None:
            while not let_go:
                try:
                    gevent.sleep(0.005)
                except BaseException:  # noqa: BLE001 - the fault
                    continue

        made.deed = deed
        made.queue.start()
        made.put(1, 2)
        until(lambda: made.seen)
        with gevent.Timeout(WAIT):
            made.queue.stop(0.01)
        let_go.append(True)
        gevent.sleep(0.03)
        assert made.seen == [1], "the one left behind goes on with nothing"

    def test_it_can_be_started_again_with_what_is_left(self, made: Queue) -> None:
        made.deed = lambda what: gevent.sleep(3600)
        made.queue.start()
        made.put(1, 2)
        until(lambda: made.seen)
        made.queue.stop(0)
        made.deed = lambda what: None
        made.put(3)
        made.queue.start()
        assert made.queue.drain(10)
        assert made.seen == [1, 2, 3]

    def test_before_any_start(self, made: Queue) -> None:
        made.put(1)
        with gevent.Timeout(WAIT):
            made.queue.stop(60)
        assert made.seen == []
