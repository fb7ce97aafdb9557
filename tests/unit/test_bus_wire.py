"""What the errors of Redis mean, and sockets that are closed."""

from __future__ import annotations

import gevent
import pytest
import redis
from gevent import socket

from amiws_gevent.bus.wire import Way, explain
from amiws_gevent.config import Endpoint, Redis
from tests.support.greenlets import until


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), "is loading"),
        (redis.ReadOnlyError("You can't write against a read only replica."), "name the primary"),
        (redis.ResponseError("unknown command 'EVALSHA_RO'"), "Redis 7.0 or newer"),
        (redis.ResponseError("MISCONF Redis is configured to save RDB"), "cannot write its data"),
        (redis.exceptions.AskError("9 h:1"), "moves the keys to another node"),
        (redis.exceptions.TryAgainError("x"), "moves the keys to another node"),
        (redis.exceptions.MasterDownError("x"), "has lost its primary"),
        (redis.ResponseError("The user executing the script can't run this command"), "its ACL"),
        (redis.ResponseError("ACL failure in script: User x has no permissions"), "its ACL"),
        (redis.exceptions.NoPermissionError("User x has no permissions to run"), "its ACL"),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), "fewer replicas"),
        (redis.TimeoutError("x"), "does not answer within 5 s"),
        (redis.ResponseError("something new"), "something new"),
        (redis.ResponseError("long " * 1000), "long"),
    ],
)
def test_errors_say_what_to_do(error: Exception, words: str) -> None:
    told = explain(error, 5.0)
    assert words in told
    assert len(told) < 500


def test_a_login_that_is_cut_off_leaves_no_socket_open() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        settings = Redis.model_validate({"url": "redis://h", "password": "hunter2"})
        place = Endpoint("127.0.0.1", listener.getsockname()[1])
        way = Way.to_redis(settings, "x", 60.0)
        assert "hunter2" not in repr(way)
        waits = gevent.spawn(way.open, place)
        accepted, _ = listener.accept()
        with accepted:
            until(lambda: accepted.recv(1024))  # the login, which nobody answers
            waits.kill()
            assert accepted.recv(1024) == b""


def test_where_in_a_script_it_was_is_not_told() -> None:
    text = f"Operation against a key. script: {'0a' * 20}, on @user_script:9."
    assert explain(redis.ResponseError(f"WRONGTYPE {text}"), 5.0) == (
        "a key holds something else: give redis a prefix of its own "
        "(WRONGTYPE Operation against a key)"
    )
