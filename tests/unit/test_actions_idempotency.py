from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.actions.idempotency import LARGEST, LIFETIME, MOST, MOST_BYTES, KeptRuns
from amiws_gevent.actions.problems import ActionProblem
from amiws_gevent.actions.reply import ANSWERED, UNKNOWN, UNREACHABLE, Reply
from amiws_gevent.actions.request import ActionRequest
from amiws_gevent.actions.run import Run
from tests.support.actions import asked
from tests.support.clock import Clock

ANN, BEN = ("user", "ann"), ("user", "ben")


def never(_request: ActionRequest, _server: int) -> Reply:
    raise AssertionError("nobody is asked")


def run(key: str = "k", *replies: Reply, **more: Any) -> Run:
    made = Run(asked(idempotency_key=key, **more), (), never, kept=True, on_end=lambda _: None)
    assert made.kept is not None
    made.kept += replies
    return made


def finished(kept: KeptRuns, key: str, *, outcome: str = ANSWERED, size: int = 0) -> Run:
    made = run(key, Reply(1, outcome, items=[{"a": "b"}], size=size))
    kept.add(ANN, made)
    kept.ended(ANN, made)
    return made


def find(kept: KeptRuns, key: str = "k") -> Run | None:
    return kept.find(ANN, asked(idempotency_key=key))


def test_the_same_request_of_the_same_user_finds_its_run_at_once_and_later() -> None:
    kept = KeptRuns()
    made = run("k", Reply(1, ANSWERED))
    assert find(kept) is None
    kept.add(ANN, made)
    assert find(kept) is made
    kept.ended(ANN, made)
    assert find(kept) is made
    assert kept.find(BEN, asked(idempotency_key="k")) is None
    assert kept.find(ANN, asked()) is None


@pytest.mark.parametrize(
    "other",
    [
        {"server": 2},
        {"action": {"Action": "Ping"}},
        {"action": {"Action": "Originate"}},
        {"timeout": 5},
    ],
)
def test_another_request_with_the_key_is_a_conflict(other: dict[str, Any]) -> None:
    kept = KeptRuns()
    kept.add(ANN, run())
    with pytest.raises(ActionProblem) as caught:
        kept.find(ANN, asked(idempotency_key="k", **other))
    assert (caught.value.code, caught.value.status) == ("idempotency_conflict", 422)
    assert kept.find(BEN, asked(idempotency_key="k", **other)) is None


def test_it_is_forgotten_some_time_after_it_ended() -> None:
    clock = Clock()
    kept = KeptRuns(clock)
    made = run("k", Reply(1, ANSWERED))
    kept.add(ANN, made)
    clock.now += 2 * LIFETIME
    assert find(kept) is made, "at work"
    kept.ended(ANN, made)
    clock.now += LIFETIME - 1
    assert find(kept) is made
    clock.now += 1
    assert find(kept) is None
    assert len(kept) == 0


def test_what_was_sent_to_no_server_may_be_asked_again() -> None:
    kept = KeptRuns()
    finished(kept, "k", outcome=UNREACHABLE)
    assert find(kept) is None
    made = run("k", Reply(1, UNREACHABLE), Reply(2, UNKNOWN))
    kept.add(ANN, made)
    kept.ended(ANN, made)
    assert find(kept) is made


def test_of_too_many_the_oldest_go_but_none_at_work() -> None:
    kept = KeptRuns()
    working = run("working")
    kept.add(ANN, working)
    for number in range(MOST + 5):
        finished(kept, f"k{number}")
    assert len(kept) == MOST
    assert find(kept, "working") is working
    assert find(kept, "k5") is None
    assert find(kept, "k6") is not None


def test_of_too_many_bytes_the_oldest_go() -> None:
    kept = KeptRuns()
    number = MOST_BYTES // LARGEST
    for name in range(number + 1):
        finished(kept, f"k{name}", size=LARGEST)
    assert find(kept, "k0") is None
    assert find(kept, "k1") is not None
    assert len(kept) == number


def test_of_a_large_answer_only_that_it_came_is_kept() -> None:
    kept = KeptRuns()
    made = finished(kept, "k", size=LARGEST + 1)
    assert find(kept) is made
    assert made.kept is not None
    (reply,) = made.kept
    assert (reply.outcome, list(reply.items), reply.complete) == (ANSWERED, [], False)
    assert "too large to be kept" in reply.reason
    for name in range(MOST_BYTES // LARGEST):
        finished(kept, f"k{name}", size=LARGEST)
    assert find(kept) is made, "it takes no room"
