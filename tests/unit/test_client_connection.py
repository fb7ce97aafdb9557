"""The client's connection, against a server that says what the test has it say."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.http11 import Response

from amiws_gevent.client.connection import Connection, websocket_url
from amiws_gevent.client.login import ClientError, Login
from amiws_gevent.runtime.backoff import Backoff
from amiws_gevent.web.digest import DigestLogin, NonceTable
from tests.support.certificates import make_certificate
from tests.support.program import wait_until
from tests.support.v2_server import V2Server
from tests.support.web_root import response


class Told:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.hellos: list[Mapping[str, Any]] = []
        self.messages: list[Mapping[str, Any]] = []
        self.errors: list[ClientError] = []

    def hello(self, message: Mapping[str, Any]) -> None:
        self.hellos.append(message)

    def message(self, message: Mapping[str, Any]) -> None:
        self.messages.append(message)

    def lost(self, error: ClientError) -> None:
        self.errors.append(error)

    def due(self) -> float:
        return 60.0


@pytest.fixture
def told() -> Told:
    return Told()


@contextmanager
def connected(
    url: str, told: Told, login: Login | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Connection]:
    connection = Connection(url, login or Login(), tls, told, Backoff(0.01, 0.02))
    connection.start()
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("http://pbx:8000", "ws://pbx:8000/ws"),
        ("https://pbx/", "wss://pbx/ws"),
        ("wss://pbx/other?slow=close#x", "wss://pbx/other?slow=close"),
        ("ws://[::1]:8000/ws", "ws://[::1]:8000/ws"),
    ],
)
def test_urls(given: str, wanted: str) -> None:
    assert websocket_url(given) == wanted


@pytest.mark.parametrize("url", ["pbx:8000", "ftp://pbx", "http:///ws", ""])
def test_no_urls(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL of a server"):
        websocket_url(url)


def test_speaks_both_ways(told: Told) -> None:
    with V2Server() as server, connected(server.url, told) as connection:
        server.client().hello()
        wait_until(lambda: told.hellos, "hello")
        connection.send({"op": "ping", "id": 1})
        assert server.client().take("ping") == {"op": "ping", "id": 1}
        server.client().send({"op": "pong", "id": 1, "time": 1})
        wait_until(lambda: told.messages, "pong")
        assert server.upgrades[0].path == "/ws"
    assert server.client().close_code == 1000
    assert [error.code for error in told.errors] in ([], ["closed"], ["no_answer"])


def test_comes_back(told: Told) -> None:
    with V2Server() as server, connected(server.url, told):
        for number in range(3):
            server.client(number).hello()
            wait_until(lambda number=number: len(told.hellos) > number, "hello")
            server.client(number).cut()
        server.client(3).hello()
        wait_until(lambda: len(told.hellos) == 4, "hello")
        server.client(3).close(1013, "reads too slowly")
        wait_until(lambda: len(told.errors) == 4, "lost")
        assert str(told.errors[-1]) == "closed: 1013 reads too slowly"


def test_a_quiet_connection_is_given_up(told: Told) -> None:
    with V2Server() as server, connected(server.url, told):
        server.client().hello(heartbeat=20)
        server.client(1).hello()
        wait_until(lambda: len(told.hellos) == 2, "the next connection")
        assert str(told.errors[0]) == "the connection went quiet"


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"op": "state"}', b"\x00"])
def test_another_protocol_is_none(told: Told, text: str | bytes) -> None:
    with V2Server() as server, connected(server.url, told):
        server.client().send_text(text)
        wait_until(lambda: told.errors, "lost")
        server.client(1).hello()
        wait_until(lambda: told.hellos, "the next connection")
        server.client(1).send_text("not JSON")
        server.client(2).hello()
        wait_until(lambda: len(told.hellos) == 2, "the one after")


def test_digest(told: Told) -> None:
    hashed = hashlib.md5("jürgen:bür:gehëim".encode(), usedforsecurity=False).hexdigest()
    digest = DigestLogin("bür", {"jürgen": hashed.encode()}.get, NonceTable())
    with V2Server() as server:
        refusal = response(401, b"log in", "text/plain")
        refusal.headers["WWW-Authenticate"] = digest.challenges()[0]
        server.refusals = [refusal]
        with connected(server.url + "ws?slow=close", told, Login("jürgen", "gehëim")):
            server.client().hello()
            wait_until(lambda: told.hellos, "hello")
            given = server.upgrades[1].headers["Authorization"]
            outcome = digest.verify("GET", "/ws?slow=close", given)
            assert outcome.user == "jürgen"


def test_a_token(told: Told) -> None:
    with V2Server() as server, connected(server.url, told, Login(token="t0ken")):
        server.client()
        assert server.upgrades[0].headers["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("status", "code"), [(401, "refused"), (403, "refused"), (429, "no_answer")]
)
def test_a_refusal_says_why(told: Told, status: int, code: str) -> None:
    def refusal() -> Response:
        return response(status, b"Not you.\nMore.", "text/plain")

    with V2Server() as server:
        server.refusals = [refusal()]
        with connected(server.url, told):
            wait_until(lambda: told.errors, "refused")
            assert told.errors[0].code == code
            here = f"127.0.0.1:{server.port}"
            assert str(told.errors[0]) == f"{here} refused with HTTP status {status}: Not you."
            server.client().hello()
            wait_until(lambda: told.hellos, "tried again")


def test_tls_is_checked(told: Told, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.1")
    with V2Server(tls=certificate.server()) as server:
        with connected(server.url, told):
            wait_until(lambda: told.errors, "an authority that nobody knows")
            assert "certificate" in str(told.errors[0])
        trusted = Told()
        with connected(server.url, trusted, tls=certificate.client()):
            server.client().hello()
            wait_until(lambda: trusted.hellos, "hello")


def test_no_server_there(told: Told) -> None:
    with V2Server() as server:
        url = server.url
    with connected(url, told):
        wait_until(lambda: len(told.errors) > 2, "attempts")
        assert {error.code for error in told.errors} == {"no_answer"}
        assert str(told.errors[0]).startswith(f"127.0.0.1:{server.port}: "), "it names the address"


def test_closing_ends_the_thread(told: Told) -> None:
    before = threading.active_count()
    with V2Server() as server:
        with connected(server.url, told) as connection:
            server.client().hello()
            connection.close()
            connection.close()
        assert not any(thread.name == "amiws client" for thread in threading.enumerate())
    # Those of the test's server end when they see that the connection is closed.
    wait_until(lambda: threading.active_count() <= before, "the end of all threads")
