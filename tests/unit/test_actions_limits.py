"""How many actions a user and an address may send."""

from __future__ import annotations

import pytest

from amiws_gevent.actions import ActionProblem
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.config import Limits
from amiws_gevent.plugins.api import ClientInfo
from tests.support.clock import Clock

FEW = Limits(actions_per_second=2, actions_burst=3, actions_at_work=2)


def client(user: str | None = "ann", address: str = "192.0.2.7:5000") -> ClientInfo:
    return ClientInfo(address, user, "v2")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> ActionLimits:
    return ActionLimits(FEW, clock)


def taken(limits: ActionLimits, who: ClientInfo, most: int = 1000) -> int:
    """How many actions go at once."""
    for number in range(most):
        try:
            limits.take(who)
        except ActionProblem as problem:
            found = problem.code, problem.status, 0 < (problem.retry_after or 0) <= 0.5
            return number if found == ("actions_too_fast", 429, True) else -1
    return most


def test_of_a_user_at_once_and_in_the_long_run(limits: ActionLimits, clock: Clock) -> None:
    assert taken(limits, client()) == 3
    assert taken(limits, client("bob")) == 3
    clock.now += 1
    assert taken(limits, client()) == 2
    assert limits.refused == {("rate", "user"): 3}


def test_a_user_has_them_together_from_wherever(limits: ActionLimits) -> None:
    assert taken(limits, client()) == 3
    assert taken(limits, client(address="198.51.100.1:7")) == 0


def test_all_of_one_address_have_ten_times_as_much(limits: ActionLimits) -> None:
    assert sum(taken(limits, client(f"u{n}")) for n in range(20)) == 30
    assert limits.refused["rate", "address"] == 10
    assert taken(limits, client("u99", "198.51.100.1")) == 3


def test_ipv6_counts_by_its_network(limits: ActionLimits) -> None:
    assert sum(taken(limits, client(f"u{n}", f"[2001:db8::{n}]:80")) for n in range(20)) == 30


def test_without_a_login_the_address_counts(limits: ActionLimits) -> None:
    assert taken(limits, client(None)) == 30
    assert taken(limits, client(None, "127.0.0.1:9")) == 30


def test_users_of_this_machine_have_no_limit_by_address(limits: ActionLimits) -> None:
    assert sum(taken(limits, client(f"u{n}", "127.0.0.1:9")) for n in range(40)) == 120


def test_one_that_is_refused_does_not_count(limits: ActionLimits, clock: Clock) -> None:
    taken(limits, client())
    for _ in range(100):
        assert taken(limits, client()) == 0
    clock.now += 0.5
    assert taken(limits, client()) == 1


def test_at_work(limits: ActionLimits) -> None:
    for _ in range(2):
        limits.begin(client())
    with pytest.raises(ActionProblem) as caught:
        limits.begin(client())
    assert (caught.value.code, caught.value.retry_after) == ("too_many_actions", 1.0)
    limits.begin(client("bob"))
    limits.end(client())
    limits.begin(client())
    assert limits.refused == {("at_work", "user"): 1}


def test_at_work_of_an_address(limits: ActionLimits) -> None:
    for number in range(20):
        limits.begin(client(f"u{number}"))
    with pytest.raises(ActionProblem, match="20 actions of your address"):
        limits.begin(client("more"))
    limits.begin(client("more", "198.51.100.1"))


def test_nothing_is_left_of_those_that_are_done(limits: ActionLimits, clock: Clock) -> None:
    for number in range(100):
        limits.begin(client(f"u{number}", f"192.0.2.{number}"))
        limits.end(client(f"u{number}", f"192.0.2.{number}"))
        limits.take(client(f"u{number}", f"192.0.2.{number}"))
    assert len(limits) == 200
    clock.now += 60
    limits.take(client())
    assert len(limits) == 2


def test_memory_is_bounded(clock: Clock) -> None:
    limits = ActionLimits(FEW, clock, entries=10)
    sent = sum(taken(limits, client(None, f"192.0.2.{n}"), 2) for n in range(200))
    assert len(limits) <= 11
    assert sent < 400  # those without an entry of their own share one


def test_a_reload(limits: ActionLimits, clock: Clock) -> None:
    taken(limits, client())
    limits.configure(FEW.model_copy(update={"idle_time": 5.0}))
    assert taken(limits, client()) == 0  # counts stay
    limits.configure(Limits(actions_per_second=100, actions_burst=5))
    assert taken(limits, client()) == 5
