"""One process is kept running; it is a fake, whose end and silence the test decides."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest
from gevent.event import Event
from gevent.queue import Queue

from amiws_gevent.errors import AmiwsError, ListenError, StartError
from amiws_gevent.runtime.backoff import Backoff
from amiws_gevent.workers.keeper import HANG_PINGS, Keeper
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.workers import FakeProcess


class Kept:
    """A keeper, and the processes that it has started."""

    def __init__(self, prepare: Callable[[FakeProcess], None] = lambda _: None) -> None:
        self.started: list[FakeProcess] = []
        self.began: Queue[FakeProcess] = Queue()
        self.prepare = prepare
        self.keeper: Keeper[FakeProcess] = Keeper(
            "edge-1", self._start, ping_time=0.001, backoff=Backoff(0.001, 0.002)
        )
        self.keeper.on_began = self.began.put
        self.keeper.begin()

    def _start(self) -> FakeProcess:
        made = FakeProcess(len(self.started) + 1)
        self.prepare(made)
        self.started.append(made)
        return made

    def next(self) -> FakeProcess:
        return self.began.get(timeout=WAIT)


@pytest.fixture
def kept() -> Iterator[Kept]:
    made = Kept()
    yield made
    made.keeper.stop(signal.SIGKILL)
    assert made.keeper.join(WAIT)


def test_one_that_ends_is_started_again_and_told(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    first = kept.next()
    ended = Event()
    kept.keeper.on_ended = ended.set
    first.how = "it was ended by SIGSEGV"
    first.ended.set()
    second = kept.next()
    assert (first.closed, second.closed, kept.keeper.restarts) == (True, False, 1)
    assert ended.is_set()
    assert kept.keeper.process is second
    assert "edge-1: it was ended by SIGSEGV; another one starts in" in caplog.text


def test_one_that_hangs_is_killed(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    first = kept.next()
    first.silent = HANG_PINGS + 1
    second = kept.next()
    assert first.signals == [signal.SIGKILL]
    assert "edge-1: it has not answered for 0.006 s, and was killed" in caplog.text
    assert second.signals == []


def test_one_that_answers_again_in_time_is_left(kept: Kept) -> None:
    process = kept.next()
    silent: list[int] = []
    kept.keeper.on_silent = lambda: silent.append(process.asked)
    process.silent = HANG_PINGS  # the last of these is an answer
    asked = process.asked
    until(lambda: process.asked > asked + 2 * HANG_PINGS)
    assert process.signals == []
    assert kept.keeper.heard.is_set()
    assert len(silent) == HANG_PINGS - 1


def test_it_is_looked_at_while_it_serves(kept: Kept) -> None:
    seen: Queue[FakeProcess] = Queue()
    kept.keeper.on_look = seen.put
    assert seen.get(timeout=WAIT) is kept.next()


def test_the_end_that_is_asked_for(kept: Kept) -> None:
    process = kept.next()
    kept.keeper.stop()
    assert kept.keeper.join(WAIT)
    assert (process.signals, kept.keeper.restarts) == ([signal.SIGTERM], 0)
    assert len(kept.started) == 1


def test_the_end_while_none_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    monkeypatch.setattr(kept.keeper, "_backoff", Backoff(WAIT, WAIT))
    kept.next().ended.set()
    until(lambda: kept.keeper.restarts == 1)
    kept.keeper.stop()
    assert kept.keeper.join(WAIT)
    assert len(kept.started) == 1


def test_one_that_is_replaced(kept: Kept) -> None:
    first = kept.next()
    kept.keeper.replace("it has another configuration")
    assert kept.next() is not first
    assert first.signals == [signal.SIGKILL]


@pytest.mark.parametrize("obeys", [True, False])
def test_the_first_that_refuses_says_why(obeys: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amiws_gevent.workers.keeper.END_TIME", 0.001)

    def refuse(process: FakeProcess) -> None:
        process.error = ListenError("the port is taken")
        if obeys:
            process.ended.set()

    kept = Kept(refuse)
    with pytest.raises(ListenError, match="the port is taken"):
        kept.keeper.first.get(timeout=WAIT)
    kept.keeper.stop()
    assert kept.keeper.join(WAIT)
    assert kept.started[0].signals == ([] if obeys else [signal.SIGKILL])


def test_the_first_that_dies_before_it_serves() -> None:
    def die(process: FakeProcess) -> None:
        process.error = AmiwsError("the process has ended")
        process.how = "it was ended by SIGKILL"
        process.ended.set()

    kept = Kept(die)
    with pytest.raises(StartError, match=r"^it was ended by SIGKILL$"):
        kept.keeper.first.get(timeout=WAIT)
    kept.keeper.stop()
    assert kept.keeper.join(WAIT)


def test_a_later_one_that_refuses_is_tried_again(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    first = kept.next()

    def refuse(process: FakeProcess) -> None:
        process.error = ListenError("no") if process.pid < 4 else None
        if process.error:
            process.ended.set()

    kept.prepare = refuse
    first.ended.set()
    assert kept.next().pid == 4
    assert caplog.text.count("edge-1: no; another one starts in") == 2
    assert kept.keeper.first.ready()


def test_what_cannot_be_started_at_all(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_process: FakeProcess) -> None:
        raise OSError(12, "Cannot allocate memory")

    kept = Kept(fail)
    ended = Event()
    kept.keeper.on_ended = ended.set
    with pytest.raises(StartError, match="Cannot allocate memory"):
        kept.keeper.first.get(timeout=WAIT)
    assert ended.wait(WAIT)
    kept.keeper.stop()
    assert kept.keeper.join(WAIT)
