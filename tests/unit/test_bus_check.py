"""What ``--check --connect`` finds out of real Redis servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.bus import check
from amiws_gevent.bus.check import Report, check_redis, commands, lines_of
from amiws_gevent.bus.scripts import ALL
from amiws_gevent.bus.shared_scripts import SHARED
from amiws_gevent.config import Redis
from tests.support.bus import KEYS
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
USERS = {"collector": "PASSWORD1", "edge": "PASSWORD2"}


def rights() -> dict[str, list[str]]:
    """What docs/redis.md gives to each user."""
    text = (ROOT / "docs" / "redis.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ +user (collector|edge) on >\S+ (.*)$", text, re.MULTILINE)
    return {user: words.split() for user, words in lines}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as made:
        yield made


def checked(server: RedisServer, user: str, **keys: Any) -> Report:
    given = {"url": server.url, "username": user, "password": USERS[user], **keys}
    return check_redis(Redis.model_validate(given), edge=user == "edge")


def set_user(server: RedisServer, user: str, words: list[str]) -> None:
    server.ask("ACL", "SETUSER", user, "reset", "on", f">{USERS[user]}", *words)


@pytest.mark.slow
@pytest.mark.parametrize("user", USERS)
def test_the_acl_of_the_docs_is_just_what_is_needed(server: RedisServer, user: str) -> None:
    words = rights()[user]
    set_user(server, user, words)
    report = checked(server, user)
    assert (report.problem, report.forbidden) == ("", [])
    assert lines_of(report)[0].endswith(
        f", as {user}, for {'an edge' if user == 'edge' else 'a collector'}"
    )
    for word in words:
        if word in ("-@all", "+select", "+role", "+wait"):  # for another database, and fail-over
            continue
        set_user(server, user, [other for other in words if other != word])
        report = checked(server, user)
        command = word.removeprefix("+").upper()
        if word.startswith("+") and "|" not in word:
            assert (report.problem, command in report.forbidden) == ("", True), word
            assert set(report.forbidden) <= {*report.forbidden}, word
        elif word.startswith("+"):
            assert word.removeprefix("+") in report.problem, word
        else:  # a pattern of keys
            assert report.forbidden, word
            key = word.removeprefix("%R").removeprefix("~").rstrip("*")
            assert all(key in one for one in report.forbidden), word
    for key in server.ask("KEYS", "*check*"):  # nothing stays
        assert 0 < server.ask("PTTL", key) <= 1000


@pytest.mark.slow
def test_what_is_forbidden_is_named_with_its_key(server: RedisServer) -> None:
    set_user(server, "collector", [word for word in rights()["collector"] if word != "+hgetall"])
    told = lines_of(checked(server, "collector"))
    assert "  its ACL does not permit collector: HGETALL" in told
    set_user(server, "collector", [*rights()["collector"], "resetkeys", "~{amiws}:[^m]*"])
    assert (
        "does not permit collector: HGETALL {amiws}:members, HDEL {amiws}:members"
        in (lines_of(checked(server, "collector"))[1])
    )
    assert told[2] == "  compare the line of this user with that of a collector in docs/redis.md"


def test_all_commands_of_the_scripts_are_asked() -> None:
    used, shared = (
        {name for script in some for name in re.findall(r"redis\.p?call\('(\w+)'", script.text)}
        for some in (ALL, SHARED)
    )
    asked = {
        edge: {str(one[0]) for one in commands(KEYS, edge=edge, fails_over=True)}
        for edge in (True, False)
    }
    assert used <= asked[True] | asked[False]
    assert shared <= asked[True]
    assert asked[False] >= {"ROLE", "WAIT"}
    assert "ROLE" in asked[True]


@pytest.mark.slow
def test_it_says_why_it_cannot_be_used(server: RedisServer) -> None:
    set_user(server, "edge", rights()["edge"])
    told = lines_of(checked(server, "edge", password="wrong"))
    assert len(told) == 1
    assert "it refuses the login" in told[0]
    server.ask("REPLICAOF", "127.0.0.1", 1)
    try:
        report = check_redis(server.settings, edge=False)
    finally:
        server.ask("REPLICAOF", "NO", "ONE")
    assert "it is a replica: let url of redis name the primary" in report.problem


NOTHING_LISTENS = "nothing listens there: bind and port, or unixsocket, in redis.conf"


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("redis://127.0.0.1:1", NOTHING_LISTENS),
        ("redis+cluster://127.0.0.1:1", NOTHING_LISTENS),
        ("unix:///none/redis.sock", "there is no such socket: unixsocket in redis.conf"),
    ],
)
def test_what_may_be_the_cause(url: str, cause: str) -> None:
    told = lines_of(check_redis(Redis(url=url), edge=True))  # type: ignore[arg-type]
    assert told[1:] == [f"  perhaps {cause}"]


@pytest.mark.slow
def test_hints(server: RedisServer) -> None:
    assert not check_redis(server.settings, edge=False).hints
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "save", "3600 1")
    try:
        policy, disk = check_redis(server.settings, edge=False).hints
        assert "maxmemory-policy is allkeys-lru" in policy
        assert "it writes callers' data to its disk" in disk
        server.ask("CONFIG", "SET", "maxmemory", 0, "save", "")
        (memory,) = check_redis(server.settings, edge=False).hints
        assert "maxmemory is not set" in memory
    finally:
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", 10**8)
    set_user(server, "edge", [word for word in rights()["edge"] if word != "+info"])
    (unknown,) = checked(server, "edge").hints
    assert "this user may not ask" in unknown


class OldRedis:
    """A connection to a Redis that says of itself what it is told to."""

    def __init__(self, info: str) -> None:
        self.info = info.encode()

    def __call__(self, *arguments: Any) -> OldRedis:
        return self

    def open(self) -> None:
        """It lets everybody in."""

    def close(self) -> None:
        """Nothing is open."""

    def ask_all(self, asked: list[Any]) -> list[Any]:
        return [self.info if one[0] == "INFO" else [b"", b"", []] for one in asked]


@pytest.mark.parametrize(
    ("info", "version", "problem"),
    [
        ("redis_version:6.2.14\r\n", "Redis 6.2.14", "it is Redis 6.2.14: Redis 7.0 or newer"),
        ("redis_version:7.0.0\r\n", "Redis 7.0.0", ""),
        ("redis_version:10.1.0\r\n", "Redis 10.1.0", ""),
        ("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n", "Valkey 8.0.1", ""),
    ],
)
def test_versions(info: str, version: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "Connection", OldRedis(info))
    settings = Redis.model_validate({"url": "redis+sentinel://h/m"})
    report = check_redis(settings, edge=False)
    assert report.version == version
    assert report.problem.startswith(problem)
    assert bool(report.problem) == bool(problem)
    if not problem:
        assert "no replica is connected: nothing can take its place" in report.hints
