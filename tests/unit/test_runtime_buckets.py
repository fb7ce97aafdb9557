"""How many may come at once, how many in the long run, and how much memory that takes."""

from __future__ import annotations

from amiws_gevent.runtime.buckets import Buckets

A, B = ("one", "a"), ("two", "b")


def test_so_many_at_once_and_then_one_each_interval() -> None:
    buckets = Buckets(0.5, 10, 10)
    for _ in range(3):
        assert buckets.has_room(A, 0.0)
        assert buckets.wait(A, 0.0, 3) <= 0
        buckets.fill(A, 0.0)
    assert buckets.wait(A, 0.0, 3) == 0.5
    assert buckets.wait(A, 0.5, 3) == 0
    assert buckets.wait(B, 0.0, 3) <= 0


def test_what_has_leaked_out_takes_no_memory() -> None:
    buckets = Buckets(1.0, 2, 1)
    buckets.fill(A, 0.0)
    buckets.fill(A, 0.0)
    assert not buckets.has_room(("one", "c"), 0.0)  # one begins alike
    assert buckets.has_room(B, 1.5)
    buckets.fill(B, 1.5)
    assert not buckets.has_room(("three", "c"), 1.5)
    assert len(buckets) == 2
    assert buckets.has_room(("three", "c"), 2.0)
    assert len(buckets) == 1
    assert buckets.has_room(A, 9.0)
    assert len(buckets) == 0


def test_one_that_leaks_quickly_is_kept_for_a_moment() -> None:
    """Else each that is counted would make and forget one."""
    buckets = Buckets(0.001, 10, 10)
    for number in range(100):
        now = number / 100
        assert buckets.has_room(A, now)
        assert buckets.wait(A, now, 1) <= 0
        buckets.fill(A, now)
        assert buckets.wait(A, now, 1) > 0
        assert len(buckets) == len(buckets._due) == 1
    assert buckets.has_room(B, 2.1)
    assert len(buckets) == len(buckets._due) == 0
