"""Commands of others on their way to Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.bus import lane as module
from amiws_gevent.bus.connection import Away, Connection
from amiws_gevent.bus.lane import Lane
from tests.support.bus import health, working
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def lane(server: RedisServer, *, keep: bool, patience: float = 5.0) -> Lane:
    return Lane("lane", Connection(server.settings, "lane", patience), health(), keep=keep)


def test_commands_go_in_order_and_replies_to_who_asked(server: RedisServer) -> None:
    replies: list[tuple[int, Any]] = []
    with working(made := lane(server, keep=False)):
        until(lambda: made.up)
        for i in range(1000):
            assert made.put(("INCR", "n"), 10, lambda reply, i=i: replies.append((i, reply)))  # type: ignore[misc]
        until(lambda: len(replies) == 1000)
        assert replies == [(i, i + 1) for i in range(1000)]
        assert made.waiting == 0


def test_one_refusal_is_for_who_asked(server: RedisServer) -> None:
    replies: list[Any] = []
    with working(made := lane(server, keep=False)):
        until(lambda: made.up)
        for command in (("SET", "k", "v"), ("LPUSH", "k", "x"), ("GET", "k")):
            made.put(command, 10, replies.append)
        until(lambda: len(replies) == 3)
    assert (replies[0], replies[2]) == (b"OK", b"v")
    assert isinstance(replies[1], Away)
    assert not replies[1].asked


def test_without_redis_nothing_is_taken(server: RedisServer) -> None:
    made = lane(server, keep=False)
    assert not made.put(("PING",), 10, lambda reply: None)
    with working(made):
        until(lambda: made.up)
        server.kill()
        until(lambda: not made.up)
        assert not made.put(("PING",), 10, lambda reply: None)


def test_what_may_have_been_done_is_told_apart_from_what_was_not(server: RedisServer) -> None:
    replies: list[Any] = []
    with working(made := lane(server, keep=False, patience=0.5)):
        until(lambda: made.up)
        server.freeze()
        for _ in range(200):  # more than go together
            made.put(("INCR", "n"), 10, replies.append)
        until(lambda: len(replies) == 200)
        server.thaw()
    assert all(isinstance(reply, Away) for reply in replies)
    assert [reply.asked for reply in replies] == [True] * 128 + [False] * 72


def test_what_is_kept_goes_when_redis_is_back(server: RedisServer) -> None:
    replies: list[Any] = []
    made = lane(server, keep=True)
    made.put(("INCR", "n"), 10, replies.append)
    with working(made):
        until(lambda: replies == [1])
        server.kill()
        made.put(("INCR", "n"), 10, replies.append)
        until(lambda: not made.up)
        made.put(("INCR", "n"), 10, replies.append)
        server.start()
        until(lambda: replies == [1, 1, 2])


def test_what_waits_is_bounded(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 1000)
    made = lane(server, keep=True)
    taken = [made.put(("SET", "k", b"x" * 100), 100, lambda reply: None) for _ in range(20)]
    assert taken == [True] * 10 + [False] * 10
    assert made.waiting == 1000
    with working(made):
        until(lambda: not made.waiting)
        assert made.put(("SET", "k", b"x" * 5000), 5000, lambda reply: None)


def test_what_waits_goes_before_the_end(server: RedisServer) -> None:
    replies: list[Any] = []
    made = lane(server, keep=True)
    with working(made):
        until(lambda: made.up)
        for _ in range(500):
            made.put(("INCR", "n"), 10, replies.append)
    assert len(replies) == 500
    assert not made.put(("INCR", "n"), 10, replies.append)
