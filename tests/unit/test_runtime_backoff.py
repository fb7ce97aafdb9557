from __future__ import annotations

import random

import pytest

from amiws_gevent.runtime.backoff import Backoff


def test_with_no_luck_it_doubles_up_to_the_longest() -> None:
    backoff = Backoff(1, 60, random=lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]


def test_full_jitter_may_take_each_step_down_to_the_shortest() -> None:
    backoff = Backoff(1, 60, random=lambda: 0.0)
    assert [backoff.next() for _ in range(8)] == [1] * 8


def test_a_small_spread_keeps_growing_whatever_chance_says() -> None:
    for chance in (0.0, 1.0):
        backoff = Backoff(15, 600, spread=0.25, random=lambda chance=chance: chance)
        delays = [backoff.next() for _ in range(7)]
        assert delays[:5] == sorted(set(delays[:5]))
        assert delays[0] >= 22
        assert 450 <= delays[-1] <= 600


def test_reset_begins_anew() -> None:
    backoff = Backoff(1, 60, random=lambda: 1.0)
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.next() == 2


@pytest.mark.parametrize("spread", [0.0, 0.25, 1.0])
def test_delays_stay_within_their_bounds(spread: float) -> None:
    chance = random.Random(7)
    backoff = Backoff(1, 60, spread=spread, random=chance.random)
    assert all(1 <= backoff.next() <= 60 for _ in range(1000))


def test_chance_may_take_more_where_less_than_the_shortest_is_allowed() -> None:
    backoff = Backoff(1, 60, lowest=0, random=lambda: 0.25)
    assert [backoff.next() for _ in range(3)] == [0.5, 1, 2]
