from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.actions.reply import ANSWERED, UNKNOWN, Reply
from amiws_gevent.actions.request import ActionRequest
from amiws_gevent.actions.run import Run, Submission
from tests.support.actions import Told, asked, settle
from tests.support.greenlets import until


class Setup:
    """A run whose servers answer when they may."""

    def __init__(self, *servers: int, kept: bool = False) -> None:
        self.may = {server: Event() for server in servers}
        self.order: list[int] = []
        self.killed: list[int] = []
        self.ended = 0
        self.done = 0
        self.run = Run(asked(), servers, self._ask, kept=kept, on_end=self._on_end)

    def _ask(self, _request: ActionRequest, server: int) -> Reply:
        self.order.append(server)
        try:
            self.may[server].wait()
        except gevent.GreenletExit:
            self.killed.append(server)
            raise
        if server == 13:
            raise RuntimeError("a bug")
        return Reply(server, ANSWERED)

    def _on_end(self, _run: Run) -> None:
        self.ended += 1

    def _done(self) -> None:
        self.done += 1

    def join(self, tell: Callable[[Reply, int], None]) -> Submission:
        submission = Submission(self.run, tell, self._done)
        self.run.join(submission)
        return submission

    def answer(self, *servers: int) -> None:
        for server in servers:
            self.may[server].set()
        settle()


@pytest.fixture(autouse=True)
def all_end() -> Iterator[None]:
    yield
    settle()


def test_one_reply_for_each_server_and_how_many_come() -> None:
    setup, told = Setup(1, 2, 3), Told()
    submission = setup.join(told)
    assert (submission.replies, setup.run.at_work) == (3, 3)
    settle()
    assert setup.order == [1, 2, 3]
    setup.answer(2)
    assert [reply.server for reply in told.replies] == [2]
    assert (setup.run.at_work, setup.ended, setup.done) == (2, 0, 0)
    setup.answer(3, 1)
    assert sorted(reply.server for reply in told.replies) == [1, 2, 3]
    assert told.counts == [3, 3, 3]
    assert (setup.run.at_work, setup.ended, setup.done) == (0, 1, 1)
    submission.cancel()
    assert setup.done == 1


def test_nothing_is_told_before_the_caller_has_its_submission() -> None:
    setup, told = Setup(1), Told()
    setup.may[1].set()
    setup.join(told)
    assert told.replies == []
    settle()
    assert told.outcomes == [ANSWERED]


@pytest.mark.parametrize("begun", [True, False])
def test_who_leaves_hears_no_more_and_its_greenlets_end(begun: bool) -> None:
    setup, told = Setup(1, 2, 3), Told()
    submission = setup.join(told)
    if begun:
        setup.answer(1)
    for _ in range(2):
        submission.cancel()
    settle()
    assert sorted(setup.killed) == ([2, 3] if begun else [])
    assert (len(told.replies), setup.run.at_work) == (int(begun), 0)
    assert (setup.ended, setup.done) == (1, 1)
    setup.answer(2, 3)
    assert len(told.replies) == int(begun)


def test_one_may_leave_while_it_is_told() -> None:
    setup = Setup(1, 2)
    told: list[int] = []

    def leave(reply: Reply, _count: int) -> None:
        told.append(reply.server)
        submission.cancel()

    submission = setup.join(leave)
    setup.answer(1, 2)
    assert told == [1]
    assert (setup.ended, setup.done, setup.run.at_work) == (1, 1, 0)


def test_a_fault_of_ours_is_a_reply_too(caplog: pytest.LogCaptureFixture) -> None:
    setup, told = Setup(13), Told()
    setup.join(told)
    setup.answer(13)
    assert told.outcomes == [UNKNOWN]
    assert told.replies[0].reason == "internal error: RuntimeError"
    assert "a bug" in caplog.text
    assert setup.ended == 1


def test_a_client_that_raises_costs_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    setup, told = Setup(1, kept=True), Told()

    def broken(_reply: Reply, _count: int) -> None:
        raise RuntimeError("a bug of a client")

    setup.join(broken)
    setup.join(told)
    setup.answer(1)
    assert told.outcomes == [ANSWERED]
    assert "a bug of a client" in caplog.text
    assert setup.done == 2


class TestKept:
    """With an idempotency key."""

    def test_who_comes_later_gets_what_there_is_and_what_comes(self) -> None:
        setup = Setup(1, 2, kept=True)
        first, during, after = Told(), Told(), Told()
        setup.join(first)
        setup.answer(1)
        assert setup.join(during).replies == 2
        assert during.replies == [], "from another greenlet"
        settle()
        assert [reply.server for reply in during.replies] == [1]
        setup.answer(2)
        setup.join(after)
        settle()
        for told in (first, during, after):
            assert [reply.server for reply in told.replies] == [1, 2]
            assert told.counts == [2, 2]
        assert setup.order == [1, 2]
        assert (setup.ended, setup.done) == (1, 3)

    def test_it_goes_on_although_nobody_waits(self) -> None:
        setup, told = Setup(1, kept=True), Told()
        setup.join(told).cancel()
        setup.answer(1)
        assert told.replies == []
        again = Told()
        setup.join(again)
        until(lambda: again.replies)
        assert setup.killed == []
        assert (setup.ended, setup.order) == (1, [1])

    def test_who_has_left_is_told_nothing_of_what_there_was(self) -> None:
        setup, told = Setup(1, kept=True), Told()
        setup.answer(1)
        setup.join(told).cancel()
        settle()
        assert told.replies == []
