"""How many logins may fail, for whom, and when the next is looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amiws_gevent.web.login_throttle import FAILURE_TIME, OF_ALL_USERS, PASSWORD, LoginThrottle
from tests.support.clock import Clock

ADDRESS = "192.0.2.7"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failed(clock: Clock) -> LoginThrottle:
    return LoginThrottle(clock=clock)


def fail(failed: LoginThrottle, times: int, user: str = "anna", address: str = ADDRESS) -> None:
    for _ in range(times):
        failed.failed(address, user)


def test_so_many_may_fail_at_once(failed: LoginThrottle) -> None:
    fail(failed, 4)
    assert failed.wait(ADDRESS, "anna", 5) == 0
    fail(failed, 1)
    assert failed.wait(ADDRESS, "anna", 5) == FAILURE_TIME
    assert failed.refused[PASSWORD] == 5


def test_then_one_after_the_other(failed: LoginThrottle, clock: Clock) -> None:
    fail(failed, 5)
    for _ in range(3):
        clock.now += FAILURE_TIME - 1
        assert failed.wait(ADDRESS, "anna", 5) == 1
        clock.now += 1
        assert failed.wait(ADDRESS, "anna", 5) == 0
        fail(failed, 1)
        assert failed.wait(ADDRESS, "anna", 5) == FAILURE_TIME


def test_time_makes_up_for_all(failed: LoginThrottle, clock: Clock) -> None:
    fail(failed, 5)
    clock.now += 5 * FAILURE_TIME
    fail(failed, 4)
    assert failed.wait(ADDRESS, "anna", 5) == 0


def test_no_time_makes_up_for_more(failed: LoginThrottle, clock: Clock) -> None:
    fail(failed, 1)
    clock.now += 1e6
    fail(failed, 5)
    assert failed.wait(ADDRESS, "anna", 5) == FAILURE_TIME


def test_other_users_and_addresses_are_not_held_up(failed: LoginThrottle) -> None:
    fail(failed, 5)
    assert failed.wait(ADDRESS, "bob", 5) == 0
    assert failed.wait("192.0.2.8", "anna", 5) == 0


def test_all_users_of_an_address_together(failed: LoginThrottle, clock: Clock) -> None:
    for number in range(5 * OF_ALL_USERS):
        assert failed.wait(ADDRESS, "anna", 5) == 0
        fail(failed, 1, f"user {number}")
    assert failed.wait(ADDRESS, "anna", 5) == FAILURE_TIME / OF_ALL_USERS
    assert failed.wait("192.0.2.8", "anna", 5) == 0
    clock.now += FAILURE_TIME / OF_ALL_USERS
    assert failed.wait(ADDRESS, "anna", 5) == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "unix"])
def test_a_proxy_on_this_machine_brings_all_addresses(failed: LoginThrottle, address: str) -> None:
    for number in range(5 * OF_ALL_USERS):
        fail(failed, 1, f"user {number}", address)
    assert failed.wait(address, "anna", 5) == 0
    fail(failed, 5, address=address)
    assert failed.wait(address, "anna", 5) == FAILURE_TIME


def test_an_ipv6_address_is_its_64_bits(failed: LoginThrottle) -> None:
    fail(failed, 3, address="2001:db8::1")
    fail(failed, 2, address="2001:db8::ffff:2")
    assert failed.wait("2001:db8::3", "anna", 5) == FAILURE_TIME
    assert failed.wait("2001:db8:0:1::3", "anna", 5) == 0


def test_names_that_are_too_long_count_as_one(failed: LoginThrottle) -> None:
    for number in range(5):
        fail(failed, 1, "x" * 64 + str(number))
    assert failed.wait(ADDRESS, "x" * 64 + "6", 5) == FAILURE_TIME


def test_random_names_make_nobody_forgotten(failed: LoginThrottle, clock: Clock) -> None:
    """4,200 within 7 s, of one who is not held up by his address."""
    fail(failed, 20, address="127.0.0.1")
    for number in range(4200):
        clock.now += 7 / 4200
        fail(failed, 1, f"random {number}", "127.0.0.1")
    assert failed.wait("127.0.0.1", "anna", 20) == pytest.approx(FAILURE_TIME - 7)
    assert failed.wait("127.0.0.1", "bob", 20) == 0


@pytest.mark.parametrize("address", [ADDRESS, "127.0.0.1"])
def test_when_all_entries_are_taken_the_limits_stay_and_the_address_decides(
    clock: Clock, address: str
) -> None:
    failed = LoginThrottle(clock=clock, entries=10)
    fail(failed, 5, "anna", address)
    fail(failed, 1, "bob", address)
    for number in range(2000):
        if not failed.wait(address, f"random {number}", 5):
            fail(failed, 1, f"random {number}", address)
    assert len(failed) <= 10
    assert failed.wait(address, "anna", 5) == FAILURE_TIME
    assert 0 < failed.wait(address, "carl", 5) <= FAILURE_TIME / OF_ALL_USERS
    assert failed.wait("192.0.2.8", "carl", 5) == 0
    clock.now += FAILURE_TIME
    if address != ADDRESS:  # the names count again, each its own
        assert failed.wait(address, "carl", 5) == 0


def test_one_address_leaves_room_for_others(clock: Clock) -> None:
    failed = LoginThrottle(clock=clock, entries=10)
    for number in range(2000):
        fail(failed, 1, f"random {number}", "127.0.0.1")
    fail(failed, 5, "anna", "192.0.2.8")
    assert failed.wait("192.0.2.8", "anna", 5) == FAILURE_TIME
    assert failed.wait("192.0.2.8", "bob", 5) == 0


def test_many_addresses_share_what_is_left(clock: Clock) -> None:
    failed = LoginThrottle(clock=clock, entries=10)
    for number in range(2000):
        address = f"192.0.{number // 250}.{number % 250}"
        if not failed.wait(address, "anna", 5):
            fail(failed, 1, address=address)
    assert failed.wait("198.51.100.1", "anna", 5) > 0
    assert failed.wait("192.0.0.1", "anna", 5) == 0
    clock.now += 5 * FAILURE_TIME
    assert failed.wait("198.51.100.1", "anna", 5) == 0


def test_what_time_made_up_for_is_gone(failed: LoginThrottle, clock: Clock) -> None:
    for number in range(100):
        fail(failed, 1 + number % 3, f"user {number}")
    clock.now += 1000
    assert failed.wait(ADDRESS, "anna", 5) == 0
    assert len(failed) == 0


@given(
    st.lists(st.tuples(st.integers(0, 300), st.text(max_size=3), st.floats(0, 30)), max_size=300)
)
def test_it_stays_small(failures: list[tuple[int, str, float]]) -> None:
    clock = Clock()
    failed = LoginThrottle(clock=clock, entries=10)
    for number, user, pause in failures:
        clock.now += pause
        failed.failed(f"2001:db8:{number:x}::1", user)
        assert len(failed) <= 21  # with the one of all others


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8), st.integers(0, 20)), max_size=200))
def test_no_limit_is_ever_forgotten(logins: list[tuple[int, int, int]]) -> None:
    """Who has to wait does so to the end, whatever others do meanwhile."""
    clock = Clock()
    failed = LoginThrottle(clock=clock, entries=4)
    free_at: dict[tuple[str, str], float] = {}
    for host, name, pause in logins:
        clock.now += pause
        for (address, user), at in free_at.items():
            assert (failed.wait(address, user, 2) > 0) == (clock.now < at)
        key = f"192.0.2.{host}", f"user {name}"
        if not failed.wait(*key, 2):
            failed.failed(*key)
            free_at = {k: clock.now + failed.wait(*k, 2) for k in {*free_at, key}}


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 8))
def test_never_more_than_the_rate(pauses: list[int], most: int) -> None:
    """Of a user that tries as often as it may, no more are looked at than is said."""
    clock = Clock()
    failed = LoginThrottle(clock=clock)
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
