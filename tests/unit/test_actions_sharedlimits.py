"""Limits of actions that two edges have together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.actions import ActionProblem
from amiws_gevent.actions.limits import TOO_FAST, TOO_MANY
from amiws_gevent.actions.sharedlimits import SharedActionLimits
from amiws_gevent.bus.sharing import Full
from amiws_gevent.config import Limits
from amiws_gevent.plugins.api import ClientInfo
from tests.support.clock import Clock
from tests.support.redis_server import RedisServer
from tests.support.sharing import Away, pass_time, sharing

FEW = Limits(actions_per_second=1, actions_burst=20, actions_at_work=2)
ANN = ClientInfo("192.0.2.7:5000", "ann", "v2")
BOB = ClientInfo("192.0.2.7:5000", "bob", "v2")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def code_of(do: Callable[[ClientInfo], None], client: ClientInfo) -> str:
    try:
        do(client)
    except ActionProblem as problem:
        return problem.code if problem.retry_after else "no time is said"
    return ""


@pytest.mark.slow
def test_actions_at_two_edges_have_one_count(server: RedisServer) -> None:
    begun = time.monotonic()
    with sharing(server) as first, sharing(server) as second:
        one, other = SharedActionLimits(first, FEW), SharedActionLimits(second, FEW)
        for limits in (one, other) * 10:
            limits.take(ANN)
        took = int(time.monotonic() - begun)  # as many may have come since
        codes = [code_of(limits.take, ANN) for limits in (one, other) * (took + 1)]
        assert TOO_FAST in codes
        assert code_of(one.take, BOB) == ""
        assert one.refused.total() + other.refused.total() == codes.count(TOO_FAST)
        pass_time(server, 30.0)
        assert code_of(other.take, ANN) == ""


@pytest.mark.slow
def test_actions_at_work_at_two_edges_have_one_count(server: RedisServer) -> None:
    with sharing(server) as first, sharing(server) as second:
        one, other = SharedActionLimits(first, FEW), SharedActionLimits(second, FEW)
        one.begin(ANN)
        other.begin(ANN)
        for limits in (one, other):
            assert code_of(limits.begin, ANN) == TOO_MANY
            assert limits.refused == {("at_work", "user"): 1}
        assert code_of(other.begin, BOB) == ""
        one.end(ANN)
        one.begin(ANN)  # is asked behind the end
        assert code_of(one.begin, ANN) == TOO_MANY
        for limits, client in ((one, ANN), (other, ANN), (other, BOB)):
            limits.end(client)
        assert len(one) == len(other) == 0


class Scripted(Away):
    """Answers as is said, or is away."""

    def __init__(self) -> None:
        self.full: BaseException | None = None
        self.ended: list[str] = []

    def take(self, *_arguments: Any) -> tuple[str, float] | None:
        return ("user", 0.5) if self.full else None

    def work_begins(self, *_arguments: Any) -> str:
        if self.full is not None:
            raise self.full
        return "work"

    def work_ends(self, work: str) -> None:
        self.ended.append(work)


def test_without_redis_each_edge_counts_alone() -> None:
    clock = Clock()
    limits = SharedActionLimits(Away(), FEW, clock)
    for _ in range(20):
        limits.take(ANN)
    assert code_of(limits.take, ANN) == TOO_FAST
    clock.now += 1
    assert code_of(limits.take, ANN) == ""
    for _ in range(2):
        limits.begin(ANN)
    assert code_of(limits.begin, ANN) == TOO_MANY
    limits.end(ANN)
    assert code_of(limits.begin, ANN) == ""


@pytest.mark.parametrize("error", [Full("address"), KeyboardInterrupt()])
def test_what_did_not_begin_is_not_at_work(error: BaseException) -> None:
    shared = Scripted()
    limits = SharedActionLimits(shared, FEW, Clock())
    shared.full = error
    for _ in range(3):
        with pytest.raises((ActionProblem, KeyboardInterrupt)):
            limits.begin(ANN)
    assert len(limits) == 0
    assert code_of(limits.take, ANN) == TOO_FAST
    assert len(limits) == 0, "nor is it counted"
    shared.full = None
    limits.begin(ANN)
    limits.end(ANN)
    assert shared.ended == ["work"]
