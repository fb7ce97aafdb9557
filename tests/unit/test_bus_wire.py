"""What the errors of Redis mean, and sockets that are closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import redis
from gevent import socket

from amiws_gevent.bus.wire import Way, Wire, explain, packed
from amiws_gevent.config import Endpoint, Redis
from tests.support.greenlets import until


class LoggedIn:
    """A connection of redis-py to a server that is the other end of a socket."""

    def __init__(self) -> None:
        self.made, self.server = socket.socketpair()

    def disconnect(self) -> None:
        self.made.close()


@pytest.fixture
def there() -> Iterator[LoggedIn]:
    made = LoggedIn()
    yield made
    made.server.close()


@pytest.fixture
def wire(there: LoggedIn) -> Iterator[Wire]:
    made = Wire(there, 60.0)  # type: ignore[arg-type]
    yield made
    made.disconnect()
    made.disconnect()


def read(wire: Wire, count: int) -> Any:
    """What a greenlet reads that waits."""
    reading = gevent.spawn(wire.read, count)
    gevent.sleep(0)
    return reading


def test_replies_come_in_any_pieces(there: LoggedIn, wire: Wire) -> None:
    reading = read(wire, 3)
    for byte in b"$1\r\na\r\n-ERR no\r\n*1\r\n:7\r\n+more\r\n":
        there.server.sendall(bytes([byte]))
        gevent.sleep(0)
    one, error, many = reading.get()
    assert (one, many) == (b"a", [7])
    assert isinstance(error, redis.ResponseError)
    assert str(error) == "no"
    assert wire.read(1) == [b"more"]


def test_a_command_larger_than_the_socket_takes_at_once(there: LoggedIn, wire: Wire) -> None:
    data = packed([("SET", "k", bytes(1 << 22)), ("GET", "k")])
    writing = gevent.spawn(wire.write, data)
    got = bytearray()
    while len(got) < len(data):
        got += there.server.recv(1 << 16)
    writing.get()
    assert bytes(got) == data
    assert data.endswith(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")


def test_an_end_is_no_reply(there: LoggedIn, wire: Wire) -> None:
    reading = read(wire, 1)
    there.server.sendall(b"$5\r\nab")
    there.server.shutdown(socket.SHUT_WR)
    with pytest.raises(redis.ConnectionError, match="closed by server"):
        reading.get()


def test_what_is_no_reply_is_told(there: LoggedIn, wire: Wire) -> None:
    there.server.sendall(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(redis.InvalidResponse):
        wire.read(1)


def test_only_who_waits_can_be_too_late(there: LoggedIn, wire: Wire) -> None:
    """The clock of a read goes on after it, and ends nothing then."""
    there.server.sendall(b"+a\r\n")
    assert wire.read(1) == [b"a"]
    wire._overdue()
    wire.write(packed([("PING",)]))
    assert there.server.recv(100) == b"*1\r\n$4\r\nPING\r\n"
    reading = read(wire, 1)
    wire._overdue()
    with pytest.raises(redis.TimeoutError):
        reading.get()


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
