"""What edges share decides as one process does, for whatever comes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from amiws_gevent.bus.shared_scripts import BEGIN, JUDGE, KEEP, SPEND, TAKE
from amiws_gevent.runtime.buckets import Buckets
from amiws_gevent.web.digest import NC_WINDOW, NonceTable
from amiws_gevent.web.login_throttle import FAILURE_TIME, OF_ALL_USERS, LoginThrottle
from tests.support.clock import Clock
from tests.support.redis_server import RedisServer
from tests.support.sharing import key, pass_time

pytestmark = pytest.mark.slow

HOUR = 3_600_000
LIVES, AHEAD = 420_000, 120_000  # milliseconds


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as made:
        for script in (BEGIN, JUDGE, KEEP, SPEND, TAKE):
            made.ask("SCRIPT", "LOAD", script.text)
        yield made


@pytest.fixture
def server(redis: RedisServer) -> RedisServer:
    redis.ask("FLUSHALL")
    redis.ask("HSET", key("login"), "secret", "s")
    return redis


def spend(server: RedisServer, nonce: str, number: int, issued: float, most: int = 1000) -> bool:
    keys = [key("login"), key("counts"), key("nonces")]
    made = round(issued * 1000)
    command = SPEND(keys, "s", nonce, made, number, LIVES, AHEAD, NC_WINDOW, most)
    return bool(server.ask(*command))


def test_counts_are_those_of_one_process(server: RedisServer) -> None:
    table = NonceTable(clock=time.time)
    chance = random.Random(1)
    for _ in range(3):
        nonce, issued, near = table.issue(), time.time(), 1
        for _ in range(400):
            far = chance.random() < 0.03
            number = max(1, near + (chance.randint(-600, 600) if far else chance.randint(-9, 9)))
            expected = table.spend(nonce, number)
            assert spend(server, nonce, number, issued) is expected, (near, number)
            near = max(near, number)
    assert spend(server, nonce, 0xFFFFFFFF, issued) is table.spend(nonce, 0xFFFFFFFF) is True
    assert spend(server, nonce, 1, issued) is table.spend(nonce, 1) is False
    assert len(server.ask("HGET", key("counts"), nonce)) < 300


def test_too_many_nonces_make_no_replay_good(server: RedisServer) -> None:
    now = time.time()
    for number in range(5):
        assert spend(server, f"n{number}", 1, now - 10 + number, most=3)
    assert server.ask("HLEN", key("counts")) == server.ask("ZCARD", key("nonces")) == 3
    assert [spend(server, f"n{number}", 1, now - 10 + number, 3) for number in range(5)] == [
        False
    ] * 5
    assert not spend(server, "n0", 2, now - 10, 3), "it was forgotten, and so is all before it"
    assert not spend(server, "older", 1, now - 11, 3)
    assert spend(server, "n4", 2, now - 6, 3)
    server.ask("ZADD", key("nonces"), 1, "n4")  # was made long ago
    assert spend(server, "new", 1, now, 3)
    assert server.ask("HEXISTS", key("counts"), "n4") == 0


def judge(
    server: RedisServer,
    network: str,
    user: str,
    most: int,
    *,
    near: bool,
    wrong: bool,
    entries: int,
) -> float:
    of_user = round(FAILURE_TIME * 1e6), most
    of_network = round(FAILURE_TIME / OF_ALL_USERS * 1e6), most * OF_ALL_USERS
    keys = [key("failures"), key("failures-of"), key("failures-all")]
    command = JUDGE(
        keys, network, user, entries, *of_user, *of_network, int(near), int(wrong), HOUR
    )
    return max(0, server.ask(*command)) / 1e6


@pytest.mark.parametrize("seed", [1, 2])
def test_wrong_passwords_are_held_up_as_by_one_process(server: RedisServer, seed: int) -> None:
    """Time passes in steps of seconds, and a little more in Redis while it is asked."""
    clock = Clock()
    throttle = LoginThrottle(clock=clock, entries=8)
    chance = random.Random(seed)
    begun = time.monotonic()
    for _ in range(300):
        if chance.random() < 0.4:
            step = float(chance.choice((1, 4, 10, 30)))
            clock.now += step
            pass_time(server, step)
        address = chance.choice(("192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.1"))
        user, wrong = f"user {chance.randint(0, 6)}", chance.random() < 0.8
        expected = throttle.judge(address, user, 2, wrong=wrong)
        found = judge(server, address, user, 2, near=address == "127.0.0.1", wrong=wrong, entries=8)
        took = time.monotonic() - begun
        assert expected - took - 0.01 <= found <= expected + 0.01, (address, user)
        if (expected == 0) != (found == 0):
            return  # the machine stood still for seconds: from here on they differ
    assert server.ask("ZCARD", key("failures")) <= 8
    assert server.ask("ZCARD", key("failures-all")) <= 9
    counts = server.ask("HGETALL", key("failures-of"))
    assert sum(map(int, counts[1::2])) == server.ask("ZCARD", key("failures"))


def test_actions_are_held_up_as_by_one_process(server: RedisServer) -> None:
    buckets, clock = Buckets(500.0, 3, 3), Clock()
    for number in range(6):
        name = f"user {number}"
        place = ("user", name if buckets.has_room(("user", name), clock.now) else "others")
        for _ in range(3):
            expected = buckets.wait(place, clock.now, 2)
            if expected <= 0:
                buckets.fill(place, clock.now)
            which, wait = server.ask(
                *TAKE(
                    [key("actions-user"), key("actions-address")], 3, HOUR, 1, name, 500_000_000, 2
                )
            )
            assert (which == 1) is (expected > 0), number
            assert wait / 1e6 <= max(0.0, expected) + 0.01
    assert server.ask("ZCARD", key("actions-user")) == 4


def test_what_is_refused_for_one_counts_for_none(server: RedisServer) -> None:
    keys = [key("actions-user"), key("actions-address")]
    both = (1, "anna", 10**9, 5, 2, "192.0.2.1", 10**9, 1)
    assert server.ask(*TAKE(keys, 9, HOUR, *both)) == [0, 0]
    assert server.ask(*TAKE(keys, 9, HOUR, *both))[0] == 2
    score = float(server.ask("ZSCORE", keys[0], "anna"))
    assert score <= time.time() * 1e6 + 1e9, "one alone"


def test_all_of_it_expires(server: RedisServer) -> None:
    judge(server, "192.0.2.1", "anna", 2, near=False, wrong=True, entries=8)
    spend(server, "n", 1, time.time())
    server.ask(*BEGIN([key("work"), key("at-work")], b"1\nuser:anna", 1, HOUR, "user:anna", 1))
    server.ask(*TAKE([key("actions-user"), key("actions-address")], 9, HOUR, 1, "a", 1, 2))
    server.ask(*KEEP([key("lists"), key("lists-order")], "a", 0, "x", 99, HOUR))
    names = server.ask("KEYS", "*")
    assert len(names) == 11
    assert [name for name in names if server.ask("PTTL", name) < 0] == [key("login")]
