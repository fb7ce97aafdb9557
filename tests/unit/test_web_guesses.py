"""How many logins may fail, for whom, and when the next is looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.web.guesses import FAILURE_TIME, OF_ALL_USERS, PASSWORD, FailedLogins
from tests.support.clock import Clock

ADDRESS = "192.0.2.7"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failed(clock: Clock) -> FailedLogins:
    return FailedLogins(clock=clock)


def fail(failed: FailedLogins, times: int, user: str = "anna", address: str = ADDRESS) -> None:
    for _ in range(times):
        failed.failed(address, user)


def test_so_many_may_fail_at_once(failed: FailedLogins) -> None:
    fail(failed, 4)
    assert failed.wait(ADDRESS, "anna", 5) == 0
    fail(failed, 1)
    assert failed.wait(ADDRESS, "anna", 5) == FAILURE_TIME
    assert failed.refused[PASSWORD] == 5


def test_then_one_after_the_other(failed: FailedLogins, clock: Clock) -> None:
    fail(failed, 5)
    for _ in range(3):
        clock.now += FAILURE_TIME - 1
        assert failed.wait(ADDRESS, "anna", 5) == 1
        clock.now += 1
        assert failed.wait(ADDRESS, "anna", 5) == 0
        fail(failed, 1)
        assert failed.wait(ADDRESS, "anna", 5) == FAILURE_TIME


def test_time_makes_up_for_all(failed: FailedLogins, clock: Clock) -> None:
    fail(failed, 5)
    clock.now += 5 * FAILURE_TIME
    fail(failed, 4)
    assert failed.wait(ADDRESS, "anna", 5) == 0


def test_no_time_makes_up_for_more(failed: FailedLogins, clock: Clock) -> None:
    fail(failed, 1)
    clock.now += 1e6
    fail(failed, 5)
    assert failed.wait(ADDRESS, "anna", 5) == FAILURE_TIME


def test_other_users_and_addresses_are_not_held_up(failed: FailedLogins) -> None:
    fail(failed, 5)
    assert failed.wait(ADDRESS, "bob", 5) == 0
    assert failed.wait("192.0.2.8", "anna", 5) == 0


def test_all_users_of_an_address_together(failed: FailedLogins, clock: Clock) -> None:
    for number in range(5 * OF_ALL_USERS):
        assert failed.wait(ADDRESS, "anna", 5) == 0
        fail(failed, 1, f"user {number}")
    assert failed.wait(ADDRESS, "anna", 5) == FAILURE_TIME / OF_ALL_USERS
    assert failed.wait("192.0.2.8", "anna", 5) == 0
    clock.now += FAILURE_TIME / OF_ALL_USERS
    assert failed.wait(ADDRESS, "anna", 5) == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "unix"])
def test_a_proxy_on_this_machine_brings_all_addresses(failed: FailedLogins, address: str) -> None:
    for number in range(5 * OF_ALL_USERS):
        fail(failed, 1, f"user {number}", address)
    assert failed.wait(address, "anna", 5) == 0
    fail(failed, 5, address=address)
    assert failed.wait(address, "anna", 5) == FAILURE_TIME


def test_an_ipv6_address_is_its_64_bits(failed: FailedLogins) -> None:
    fail(failed, 3, address="2001:db8::1")
    fail(failed, 2, address="2001:db8::ffff:2")
    assert failed.wait("2001:db8::3", "anna", 5) == FAILURE_TIME
    assert failed.wait("2001:db8:0:1::3", "anna", 5) == 0


def test_names_that_are_too_long_count_as_one(failed: FailedLogins) -> None:
    for number in range(5):
        fail(failed, 1, "x" * 64 + str(number))
    assert failed.wait(ADDRESS, "x" * 64 + "6", 5) == FAILURE_TIME


def test_it_forgets_the_oldest(clock: Clock) -> None:
    failed = FailedLogins(clock=clock, entries=3)
    fail(failed, 5, "first")
    for number in range(2):
        fail(failed, 1, f"user {number}")
    fail(failed, 1, "first")  # no longer the oldest
    fail(failed, 1, "user 2")
    assert failed.wait(ADDRESS, "first", 5) > 0
    for number in range(3):
        fail(failed, 1, f"user {number}")
    assert failed.wait(ADDRESS, "first", 5) == 0


@given(st.lists(st.tuples(st.integers(0, 300), st.text(max_size=3)), max_size=300))
def test_it_stays_small(failures: list[tuple[int, str]]) -> None:
    failed = FailedLogins(entries=10)
    for number, user in failures:
        failed.failed(f"2001:db8:{number:x}::1", user)
    assert len(failed) <= 20


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 8))
def test_never_more_than_the_rate(pauses: list[int], most: int) -> None:
    """Of a user that tries as often as it may, no more are looked at than is said."""
    clock = Clock()
    failed = FailedLogins(clock=clock)
    looked_at = []
    for pause in pauses:
        clock.now += pause
        wait = failed.wait(ADDRESS, "anna", most)
        if wait == 0:
            failed.failed(ADDRESS, "anna")
            looked_at.append(clock.now)
        else:
            assert 0 < wait <= FAILURE_TIME
    for first in range(len(looked_at)):
        for last in range(first, len(looked_at)):
            seconds = looked_at[last] - looked_at[first]
            assert last - first + 1 <= most + seconds / FAILURE_TIME
