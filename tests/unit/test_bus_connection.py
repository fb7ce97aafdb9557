"""One connection to Redis."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.bus.connection import Away, Connection, Refusal
from amiws_gevent.bus.scripts import RELEASE
from amiws_gevent.config import Redis
from tests.support.certificates import make_certificate
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow

SECRET = "hunter2hunter2"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


def connection(server: RedisServer, patience: float = 30.0, **settings: Any) -> Connection:
    given = {"url": server.url, **settings}
    return Connection(Redis.model_validate(given), "test", patience)


def why_away(made: Connection) -> str:
    with pytest.raises(Away) as caught:
        made.open()
    assert not caught.value.asked
    return str(caught.value)


def test_it_asks_and_is_answered(server: RedisServer) -> None:
    made = connection(server)
    made.open()
    assert made.ask("SET", "k", b"\0\xff\r\n") == b"OK"
    assert made.ask_all([("GET", "k"), ("GET", "none"), ("INCR", "n")]) == [b"\0\xff\r\n", None, 1]
    assert b"name=test" in made.ask("CLIENT", "LIST", "ID", made.ask("CLIENT", "ID"))
    made.close()
    with pytest.raises(Away, match="not connected"):
        made.ask("PING")


def test_scripts_are_there_after_each_start(server: RedisServer) -> None:
    made = connection(server)
    for _ in range(2):
        made.open()
        assert made.ask(*RELEASE([b"lease"], b"1 a")) is None
        made.close()
        server.kill()
        server.start()


def test_scripts_that_are_lost_are_told(server: RedisServer) -> None:
    made = connection(server)
    made.open()
    made.ask("SCRIPT", "FLUSH")
    with pytest.raises(Away, match="lost the scripts"):
        made.ask(*RELEASE([b"lease"], b"1 a"))
    made.close()


def test_a_refusal_is_one_reply_among_others(server: RedisServer) -> None:
    made = connection(server)
    made.open()
    first, second, third = made.ask_all([("SET", "k", "text"), ("LPUSH", "k", "x"), ("GET", "k")])
    assert (first, third) == (b"OK", b"text")
    assert isinstance(second, Refusal)
    assert "give redis a prefix of its own (WRONGTYPE" in second.reason
    with pytest.raises(Away, match="prefix of its own"):
        made.ask("LPUSH", "k", "x")
    assert made.ask("GET", "k") == b"text"
    made.close()


def test_nobody_is_there(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, tcp="redis")
    assert why_away(connection(server)) == "Connection refused"
    server.url = f"unix://{server.socket}"
    assert why_away(connection(server)) == "No such file or directory"


def test_a_port_and_another_database(tmp_path: Path) -> None:
    with RedisServer(tmp_path, tcp="redis") as server:
        made = connection(server, url=f"{server.url}/3")
        made.open()
        made.ask("SET", "k", "v")
        assert server.ask("EXISTS", "k") == 0
        made.close()


def test_logins(tmp_path: Path) -> None:
    options = [f"user pbx on >{SECRET} ~* &* +@all", "user default off"]
    with RedisServer(tmp_path, options) as server:
        made = connection(server, username="pbx", password=SECRET)
        made.open()
        assert made.ask("ACL", "WHOAMI") == b"pbx"
        made.close()
        told = why_away(connection(server, username="pbx", password="wrong" + SECRET))
        assert "refuses the login: look at username and password of redis" in told
        assert SECRET not in told
        assert "asks for a login: set username and password_file" in why_away(connection(server))


def test_what_the_acl_does_not_permit(tmp_path: Path) -> None:
    with RedisServer(tmp_path, [f"user pbx on >{SECRET} ~* +ping"]) as server:
        told = why_away(connection(server, username="pbx", password=SECRET))
        assert "its ACL does not permit" in told


def test_one_that_is_frozen(server: RedisServer) -> None:
    made = connection(server, patience=0.2)
    made.open()
    server.freeze()
    with pytest.raises(Away, match=r"does not answer within 0\.2 s") as caught:
        made.ask("PING")
    assert caught.value.asked
    server.thaw()
    made.open()
    assert made.ask("PING") == b"PONG"
    made.close()


def test_one_that_is_killed(server: RedisServer) -> None:
    made = connection(server)
    made.open()
    waits = gevent.spawn(made.ask, "BLPOP", "k", "0")
    gevent.sleep(0.01)
    server.kill()
    with pytest.raises(Away, match="the connection is lost") as caught:
        waits.get()
    assert caught.value.asked


def test_a_greenlet_that_is_killed_leaves_no_half_reply(server: RedisServer) -> None:
    made = connection(server)
    made.open()
    waits = gevent.spawn(made.ask, "BLPOP", "k", "0")
    gevent.sleep(0.01)
    waits.kill()
    with pytest.raises(Away, match="not connected"):
        made.ask("PING")


def test_huge_values(server: RedisServer) -> None:
    made = connection(server)
    made.open()
    value = bytes(range(256)) * 80_000  # 20 MB
    made.ask("SET", "k", value)
    assert hashlib.sha256(made.ask("GET", "k")).digest() == hashlib.sha256(value).digest()
    made.close()


def test_no_memory_left(tmp_path: Path) -> None:
    with RedisServer(tmp_path, ["maxmemory 1"]) as server:
        made = connection(server)
        made.open()
        with pytest.raises(Away, match="no memory left: give it more maxmemory"):
            made.ask("SET", "k", "v")
        made.close()


def test_tls(tmp_path: Path) -> None:
    pair = make_certificate(tmp_path / "tls", "127.0.0.1")
    other = make_certificate(tmp_path / "other", "127.0.0.1")
    options = [
        f"tls-cert-file {pair.cert}",
        f"tls-key-file {pair.key}",
        f"tls-ca-cert-file {pair.ca}",
    ]
    with RedisServer(tmp_path, options, tcp="rediss") as server:
        own = {"ssl_ca": pair.ca, "ssl_cert": pair.cert, "ssl_key": pair.key}
        made = connection(server, **own)
        made.open()
        assert made.ask("PING") == b"PONG"
        made.close()
        told = why_away(connection(server, **{**own, "ssl_ca": other.ca}))
        assert "certificate is not accepted" in told
        wrong_name = server.url.replace("127.0.0.1", "localhost")
        assert "'localhost'" in why_away(connection(server, **{**own, "url": wrong_name}))
        pair.ca.write_text("")  # after the configuration was read
        assert "ca.pem: cannot be used" in why_away(connection(server, **own))
