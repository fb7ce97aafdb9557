"""HTTP from the head on: what is taken, what is refused and how, what is logged."""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import gevent
import pytest
from gevent import socket

from amiws_gevent.identity import PROXY, Identity
from amiws_gevent.web.gate import RequestInfo, Verdict
from amiws_gevent.web.requesthead import LONGEST_BODY, LONGEST_REQUEST_LINE, MOST_HEADERS
from amiws_gevent.web.server import WebServer
from amiws_gevent.web.verdict import Grant
from amiws_gevent.web.websocket import WebSocketClient
from tests.support.patience import WAIT
from tests.support.webserver import (
    FakeGate,
    FakeSessions,
    Peer,
    make_settings,
    serving,
    upgraded,
    wait_for,
)

StartResponse = Callable[..., Any]


def request_lines(*headers: str, line: str = "GET / HTTP/1.1") -> str:
    return "\r\n".join([line, *headers, "", ""])


# Requests that are answered


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("GET /a%20b?x=%31 HTTP/1.1", "GET /a b "),
        ("HEAD /x HTTP/1.1", None),
        ("GET http://example.org/abs?x HTTP/1.1", "GET /abs "),
        ("GET https://example.org HTTP/1.1", "GET / "),
        ("GET //double HTTP/1.1", "GET //double "),
        ("GET /caf%C3%A9 HTTP/1.1", "GET /cafÃ© "),
        ("OPTIONS /x HTTP/1.1", "OPTIONS /x "),
    ],
)
def test_request_lines(line: str, seen: str | None) -> None:
    with serving() as server, Peer(server.port) as peer:
        peer.send(request_lines("Host: x", line=line))
        answer = peer.answer(body=seen is not None)
        assert answer.status == 200
        if seen is not None:
            assert answer.body == seen.encode("latin-1")


def test_the_environ() -> None:
    environs = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        environs.append(environ)
        start_response("204 No Content", [])
        return []

    with serving(app=app) as server, Peer(server.port) as peer:
        port = str(server.port)
        peer.send(
            request_lines(
                "host: x:1",
                "Cookie: a=1",
                "COOKIE: b=2",
                "Accept: text/html",
                "accept:  text/plain ",
                "X-Real_Name: forged",
                "Content-Type: text/x",
                line="GET /p%2Fq?a=%41 HTTP/1.1",
            )
        )
        assert peer.answer(body=False).status == 204
    environ = environs[0]
    assert environ["HTTP_HOST"] == "x:1"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_ACCEPT"] == "text/html, text/plain"
    assert environ["CONTENT_TYPE"] == "text/x"
    assert not any("REAL" in key for key in environ)
    assert environ["PATH_INFO"] == "/p/q"
    assert environ["QUERY_STRING"] == "a=%41"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == port
    request = environ["amiws.request"]
    assert isinstance(request, RequestInfo)
    assert (request.method, request.target) == ("GET", "/p%2Fq?a=%41")
    assert (request.scheme, request.address) == ("http", "127.0.0.1")
    assert request.headers.get("Host") == "x:1"


def test_requests_one_after_another_and_all_at_once() -> None:
    with serving() as server, Peer(server.port) as peer:
        assert peer.request("GET /1 HTTP/1.1").body == b"GET /1 "
        peer.send(
            "\r\n"  # an empty line before a request is passed over
            + request_lines("Host: x", "Content-Length: 3", line="POST /2 HTTP/1.1")
            + "abc"
            + request_lines("Host: x", line="GET /3 HTTP/1.1")
            + request_lines("Host: x", "Connection: close", line="GET /4 HTTP/1.1")
            + request_lines("Host: x", line="GET /never HTTP/1.1")
        )
        assert peer.answer().body == b"POST /2 abc"
        assert peer.answer().body == b"GET /3 "
        last = peer.answer()
        assert last.body == b"GET /4 "
        assert last.headers["connection"] == "close"
        assert peer.rest() == b""


def test_a_body_that_the_app_leaves_is_not_the_next_request() -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with serving(app=app) as server, Peer(server.port) as peer:
        peer.send(request_lines("Host: x", "Content-Length: 20000", line="POST / HTTP/1.1"))
        gevent.sleep(0)
        peer.send("GET /smuggled HTTP/1.1\r\n".ljust(20000, "x"))
        assert peer.answer().body == b"ok"
        assert peer.request().body == b"ok"


def test_a_body_that_waits_to_be_asked_for() -> None:
    with serving() as server, Peer(server.port) as peer:
        peer.send(
            request_lines(
                "Host: x", "Content-Length: 2", "Expect: 100-continue", line="PUT /x HTTP/1.1"
            )
        )
        assert peer.take(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send("ab")
        assert peer.answer().body == b"PUT /x ab"


def test_http_1_0_ends_unless_asked_to_stay() -> None:
    with serving() as server:
        with Peer(server.port) as peer:
            peer.send("GET / HTTP/1.0\r\n\r\n")
            assert peer.answer().headers["connection"] == "close"
            assert peer.rest() == b""
        with Peer(server.port) as peer:
            for _ in range(2):
                peer.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
                assert peer.answer().headers["connection"] == "keep-alive"


def test_one_who_ends_its_output_still_gets_its_answer() -> None:
    with serving() as server, Peer(server.port) as peer:
        peer.send(request_lines("Host: x"))
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.answer().body == b"GET / "
        assert peer.rest() == b""


# Requests that are refused

BAD = {
    "no HTTP": ("hello\r\n\r\n", 400),
    "0.9": ("GET /\r\n\r\n", 400),
    "two spaces": ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a control character": ("GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a method of brackets": ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "no path": ("GET index.html HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a proxy's": ("CONNECT pbx:5038 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "asterisk": ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "ftp": ("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "2.0": ("PRI * HTTP/2.0\r\n\r\n", 505),
    "1.2": ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
    "a version of letters": ("GET / HTTP/x.y\r\nHost: x\r\n\r\n", 400),
    "no host": ("GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    "no colon": ("GET / HTTP/1.1\r\nHost: x\r\nwhat\r\n\r\n", 400),
    "no name": ("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400),
    "a space before the colon": ("GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
    "a folded line": ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
    "a nul": ("GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400),
    "a bare CR": ("GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", 400),
    "a length of letters": ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", 400),
    "a signed length": ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n", 400),
    "a negative length": ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
    "a length of other digits": ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: ²\r\n\r\n", 400),
    "two lengths": (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        400,
    ),
    "a length and chunks": (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "chunks": ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
    "a large body": (
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LONGEST_BODY + 1}\r\n\r\n",
        413,
    ),
    "a huge body": ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413),
    "a long line": (f"GET /{'x' * LONGEST_REQUEST_LINE} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "many headers": ("GET / HTTP/1.1\r\nHost: x\r\n" + "A: b\r\n" * MOST_HEADERS + "\r\n", 431),
    "large headers": (f"GET / HTTP/1.1\r\nHost: x\r\nA: {'x' * 40000}\r\n\r\n", 431),
    "endless headers": ("GET / HTTP/1.1\r\n" + "A: b\r\n" * 30000, 431),
    "an endless line": ("G" * 200_000, 431),
    "TLS": ("\x16\x03\x01\x02\x00\x01\x00\x01", 400),
}


@pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD)
def test_bad_requests(data: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    gate = FakeGate()
    with serving(gate=gate, app=never) as server, Peer(server.port) as peer:
        peer.send(data.encode("latin-1"))
        answer = peer.answer()
        assert answer.status == status
        assert answer.body.startswith(f"{status} ".encode())
        assert answer.headers["connection"] == "close"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert peer.rest() == b""
    assert not gate.asked
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert len([r for r in caplog.records if r.name == "amiws_gevent.web"]) == 1, "told once"


def never(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    raise AssertionError("the app was asked")


def test_just_as_much_as_is_taken() -> None:
    with serving() as server, Peer(server.port) as peer:
        line = f"GET /{'x' * (LONGEST_REQUEST_LINE - len('GET / HTTP/1.1'))} HTTP/1.1"
        assert peer.request(line).status == 200
        headers = "A: b\r\n" * (MOST_HEADERS - 1)
        assert peer.request("GET / HTTP/1.1", f"Host: x\r\n{headers}").status == 200
        peer.send(
            request_lines("Host: x", f"Content-Length: {LONGEST_BODY}", line="POST / HTTP/1.1")
            + "b" * LONGEST_BODY
        )
        assert len(peer.answer().body) == LONGEST_BODY + len("POST / ")


def test_long_runs_of_spaces_take_no_long_time() -> None:
    with serving() as server, Peer(server.port) as peer:
        with gevent.Timeout(WAIT):
            answer = peer.request("GET / HTTP/1.1", f"Host: x\r\nA: a{' ' * 30000}b\r\n")
        assert answer.status == 200


# Time

HASTY = {"header_time": 0.15, "idle_time": 0.3}


@pytest.mark.parametrize("data", ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r"])
def test_a_head_that_does_not_come(data: str) -> None:
    with serving(make_settings(limits=HASTY)) as server, Peer(server.port) as peer:
        peer.send(data)
        assert peer.answer().status == 408
        assert peer.rest() == b""


def test_a_head_byte_by_byte_has_no_more_time() -> None:
    with serving(make_settings(limits=HASTY)) as server, Peer(server.port) as peer:
        drip = gevent.spawn(drip_bytes, peer)
        assert peer.answer().status == 408
        drip.kill()


def drip_bytes(peer: Peer) -> None:
    while True:
        peer.socket.sendall(b"x")
        gevent.sleep(0.01)


@pytest.mark.parametrize("before", [0, 1])
def test_one_who_says_nothing_is_let_go_without_a_word(before: int) -> None:
    with serving(make_settings(limits=HASTY)) as server, Peer(server.port) as peer:
        for _ in range(before):
            peer.request()
        assert peer.rest() == b""


@pytest.mark.slow
def test_between_requests_there_is_more_time_than_within() -> None:
    limits = {"header_time": 2, "idle_time": 600}
    with serving(make_settings(limits=limits)) as server, Peer(server.port) as peer:
        peer.request()
        gevent.sleep(2.2)
        assert peer.request().status == 200


@pytest.mark.slow
def test_the_time_of_a_body_is_not_that_of_the_answer() -> None:
    """A client that took long to send may yet take long to read."""

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", "8000000")])
        yield b"x" * 8_000_000

    limits = {"header_time": 2, "idle_time": 600}
    with serving(make_settings(limits=limits), app=app) as server, Peer(server.port) as peer:
        peer.send(request_lines("Host: x", "Content-Length: 2", line="POST / HTTP/1.1"))
        gevent.sleep(0.1)
        peer.send("ab")
        gevent.sleep(2.2)
        assert len(peer.answer().body) == 8_000_000


def test_one_who_asks_on_and_on_lets_others_have_their_turn() -> None:
    order = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        order.append(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with (
        serving(app=app) as server,
        Peer(server.port) as before,
        Peer(server.port) as greedy,
        Peer(server.port) as after,
    ):
        before.send(request_lines("Host: x", line="GET /other HTTP/1.1"))
        greedy.send(request_lines("Host: x", line="GET /greedy HTTP/1.1") * 100)
        after.send(request_lines("Host: x", line="GET /other HTTP/1.1"))
        wait_for(lambda: len(order) == 102, "all")
    assert order[:50].count("/other") == 2


def test_a_body_that_does_not_come(caplog: pytest.LogCaptureFixture) -> None:
    with serving(make_settings(limits=HASTY)) as server, Peer(server.port) as peer:
        peer.send(request_lines("Host: x", "Content-Length: 5", line="POST / HTTP/1.1") + "ab")
        assert peer.rest() == b""
    assert not caplog.records


def test_an_answer_that_is_not_read() -> None:
    def endless(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        while True:
            yield b"x" * 65536

    with serving(make_settings(limits=HASTY), app=endless) as server, Peer(server.port) as peer:
        peer.send(request_lines("Host: x"))
        wait_for(lambda: server.connections, "it is served")
        wait_for(lambda: not server.connections, "it is cut off")


# Faults of the app, and of clients in the middle of an answer


def test_an_app_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/bad":
            raise RuntimeError("secret inside")
        start_response("200 OK", [])
        return [b"fine"]

    with serving(app=app) as server, Peer(server.port) as peer:
        answer = peer.request("GET /bad HTTP/1.1")
        assert answer.status == 500
        assert b"secret" not in answer.body
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == ["request 'GET /bad HTTP/1.1' failed"]
    assert "secret inside" in caplog.text


def test_an_app_that_raises_halfway() -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "10")])
        yield b"12345"
        raise RuntimeError("no more")

    with serving(app=app) as server, Peer(server.port) as peer:
        peer.send(request_lines("Host: x"))
        assert peer.rest().endswith(b"\r\n\r\n12345")


def test_a_gate_that_raises_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    def decide(request: RequestInfo) -> Any:
        raise RuntimeError("broken")

    with serving(gate=FakeGate(decide)) as server, Peer(server.port) as peer:
        assert peer.handshake().status == 500
    assert "broken" in caplog.text


@pytest.mark.parametrize("reset", [True, False])
def test_a_client_that_leaves_in_the_middle(
    reset: bool, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        while True:
            yield b"x" * 65536

    with serving(app=app) as server:
        with Peer(server.port) as peer:
            peer.send(request_lines("Host: x"))
            peer.take(1000)
            if reset:
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wait_for(lambda: not server.connections, "it is over")
    assert not caplog.records
    assert not capsys.readouterr().err


def test_a_client_that_leaves_before_the_101(caplog: pytest.LogCaptureFixture) -> None:
    sessions = FakeSessions()
    gate = FakeGate()
    with serving(gate=gate, sessions=sessions) as server:
        for _ in range(20):
            with Peer(server.port) as peer:
                peer.send("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n")
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wait_for(lambda: not server.connections, "all are gone")
    assert not sessions.clients
    assert not caplog.records


# The upgrade, beyond tests/conformance/test_handshake.py


def test_what_a_client_is_known_by() -> None:
    sessions = FakeSessions()
    with serving(sessions=sessions) as server, upgraded(server) as peer:
        wait_for(lambda: sessions.clients, "a client")
        client = sessions.clients[0]
        assert isinstance(client, WebSocketClient)
        assert client.address == "{}:{}".format(*peer.socket.getsockname())
        assert (client.user, client.subprotocol) == (None, None)
        assert list(server.clients) == [client]


@pytest.mark.slow
def test_upgrade_after_requests_on_the_same_connection() -> None:
    limits = {"header_time": 2, "idle_time": 2}
    with serving(make_settings(limits=limits)) as server, Peer(server.port) as peer:
        assert peer.request().status == 200
        assert peer.handshake().status == 101
        gevent.sleep(2.2)  # no time limit of HTTP goes on for a client
        peer.send(b"\x81\x82\0\0\0\0hi")
        assert peer.frame().payload == b"hi"


def test_what_the_handshake_leaves_is_no_garbage() -> None:
    """gevent-websocket makes a class as its object goes, if the server has an application."""

    def classes() -> int:
        return sum(isinstance(found, type) for found in gc.get_objects())

    sessions = FakeSessions()
    with serving(sessions=sessions) as server:
        with upgraded(server):
            wait_for(lambda: sessions.clients, "what is made once is there")
        gc.collect()
        gc.disable()
        try:
            before = classes()
            with upgraded(server):
                wait_for(lambda: len(sessions.clients) == 2, "the second one")
            assert classes() == before
        finally:
            gc.enable()


def test_a_client_keeps_nothing_of_its_request() -> None:
    """Not even for the garbage collector, whose work keeps the AMI readers waiting."""

    def held() -> list[object]:
        return [
            found
            for found in gc.get_objects()
            if isinstance(found, dict) and found.get("HTTP_X_MARK") == "remember-me"
        ]

    sessions = FakeSessions()
    gc.disable()
    try:
        with serving(sessions=sessions) as server, upgraded(server, "X-Mark: remember-me\r\n"):
            wait_for(lambda: sessions.clients, "a client")
            wait_for(lambda: not held(), "the end of all that the request needed")
    finally:
        gc.enable()


# The log


def test_the_access_log_has_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="amiws_gevent.web")
    with serving() as server, Peer(server.port) as peer:
        peer.request("GET /x?y HTTP/1.1", "Host: x\r\nAuthorization: s3cret\r\nCookie: s3cret\r\n")
        host = "{}:{}".format(*peer.socket.getsockname())
    lines = [r.getMessage() for r in caplog.records if r.name == "amiws_gevent.web"]
    assert re.fullmatch(
        rf'{re.escape(host)} - "GET /x\?y HTTP/1\.1" 200 \d+ bytes 0\.\d+ s', lines[0]
    )
    assert "s3cret" not in caplog.text


def test_the_access_log_names_the_user(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="amiws_gevent.web")
    with serving(gate=FakeGate(Verdict(200, Grant("ann")))) as server, upgraded(server):
        pass
    assert re.search(r'127\.0\.0\.1:\d+ ann "GET /ws HTTP/1\.1" 101 ', caplog.text)


def test_gevent_websocket_does_not_change_the_logging() -> None:
    with serving() as server, upgraded(server):
        pass
    assert not logging.getLogger("geventwebsocket.handler").handlers
    assert type(logging.getLogger("geventwebsocket.handler")) is logging.Logger


# Slow clients


@pytest.mark.parametrize(
    ("policy", "query", "loses"),
    [
        ("close", "", False),
        ("drop", "", True),
        ("close", "?slow=drop", True),
        ("drop", "?x=1&slow=CLOSE", False),
        ("drop", "?slow=close&slow=drop", True),
        ("close", "?slow=maybe", False),
        ("drop", "?slow=", True),
        ("drop", "?slow", True),
        ("close", "?slow%3Ddrop", False),
        ("close", "?slow=%64rop", True),
    ],
)
def test_a_client_may_choose_what_becomes_of_it(policy: str, query: str, loses: bool) -> None:
    sessions = FakeSessions()
    settings = make_settings(slow_clients=policy)
    with serving(settings, sessions=sessions) as server, Peer(server.port) as peer:
        assert peer.handshake(target=f"/ws{query}").status == 101
        wait_for(lambda: sessions.clients, "a client")
        source = sessions.clients[0].outlet._make_source()
        assert getattr(source, "losses", None) is (server.losses if loses else None)


def test_refused_upgrades_are_counted() -> None:
    gate = FakeGate(lambda request: Verdict(401 if request.target == "/401" else 200))
    with serving(gate=gate) as server, Peer(server.port) as peer:
        for target in ("/401", "/401", "/ok"):
            assert peer.handshake(target=target, Sec_WebSocket_Version="12").status in (401, 426)
        peer.request()
        assert peer.handshake().status == 101
        assert server.counts.refused_upgrades == {401: 2, 426: 1}


# Behind a proxy


def behind(*, limits: dict[str, Any] | None = None, **changes: Any) -> Any:
    return make_settings(trusted_proxies="127.0.0.1", limits=limits, **changes)


def seen_app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    """Tells what an application sees of where a request comes from."""
    names = ("REMOTE_ADDR", "wsgi.url_scheme", "SCRIPT_NAME", "PATH_INFO", "REQUEST_URI")
    info = environ["amiws.request"]
    told = [environ[name] for name in names]
    told += [info.address, info.scheme, info.prefix, info.target, info.proxy]
    start_response("200 OK", [("Content-Length", str(len("|".join(told))))])
    return ["|".join(told).encode()]


def seen(server: WebServer, headers: str, line: str = "GET /a?b HTTP/1.1") -> list[str]:
    with Peer(server.port) as peer:
        answer = peer.request(line, f"Host: x\r\n{headers}")
        assert answer.status == 200, answer
        return answer.body.decode().split("|")


PROXIED = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"


def test_what_a_trusted_proxy_says() -> None:
    with serving(behind(), app=seen_app) as server:
        assert seen(server, PROXIED + "X-Forwarded-Prefix: /amiws\r\n") == [
            *("203.0.113.7", "https", "/amiws", "/a", "/a?b"),
            *("203.0.113.7", "https", "/amiws", "/a?b", "127.0.0.1"),
        ]
        assert seen(server, "")[0] == "127.0.0.1"


def test_what_anybody_else_says() -> None:
    expected = [
        *("127.0.0.1", "http", "", "/a", "/a?b"),
        *("127.0.0.1", "http", "", "/a?b", ""),
    ]
    for settings in (make_settings(), make_settings(trusted_proxies="192.0.2.1")):
        with serving(settings, app=seen_app) as server:
            assert seen(server, PROXIED + "X-Forwarded-Prefix: /amiws\r\n") == expected
            assert seen(server, "X_Forwarded_For: 203.0.113.7\r\n") == expected


def test_forwarded_where_it_is_configured() -> None:
    with serving(behind(proxy_headers="forwarded"), app=seen_app) as server:
        headers = PROXIED + 'Forwarded: for="[2001:db8::7]";proto=https\r\n'
        assert seen(server, headers)[:2] == ["2001:db8::7", "https"]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/amiws/a?b", ["/amiws", "/a", "/amiws/a?b", "/amiws", "/a?b"]),
        ("/amiws/", ["/amiws", "/", "/amiws/", "/amiws", "/"]),
        ("/a", ["", "/a", "/a", "", "/a"]),
        ("/amiwsx/a", ["", "/amiwsx/a", "/amiwsx/a", "", "/amiwsx/a"]),
        ("/%61miws/a", ["", "/amiws/a", "/%61miws/a", "", "/%61miws/a"]),
        ("/amiws/amiws/a", ["/amiws", "/amiws/a", "/amiws/amiws/a", "/amiws", "/amiws/a"]),
    ],
)
def test_a_prefix_that_the_proxy_leaves(target: str, told: list[str]) -> None:
    """It counts whoever asks: it is no secret and gives no right."""
    with serving(make_settings(path_prefix="/amiws"), app=seen_app) as server:
        found = seen(server, "X-Forwarded-Prefix: /other\r\n", f"GET {target} HTTP/1.1")
        assert [*found[2:5], found[7], found[8]] == told


@pytest.mark.parametrize(
    ("target", "location"), [("/amiws", "/amiws/"), ("/amiws?a=b", "/amiws/?a=b")]
)
def test_the_prefix_without_its_slash(target: str, location: str) -> None:
    with serving(make_settings(path_prefix="/amiws")) as server, Peer(server.port) as peer:
        answer = peer.request(f"GET {target} HTTP/1.1")
        assert (answer.status, answer.headers["location"]) == (308, location)


def test_errors_of_the_api_below_a_prefix() -> None:
    with serving(make_settings(path_prefix="/amiws")) as server, Peer(server.port) as peer:
        answer = peer.request("POST /amiws/api/v1/actions HTTP/1.1", "Host: x\r\nbroken\r\n")
        assert answer.status == 400
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_websocket_behind_a_proxy_is_the_clients() -> None:
    sessions, gate = FakeSessions(), FakeGate(Verdict(200, Grant("ann", PROXY)))
    with serving(behind(), sessions=sessions, gate=gate) as server:
        with upgraded(server, PROXIED):
            wait_for(lambda: sessions.clients, "a client")
            (client,) = sessions.clients
            assert client.address == "203.0.113.7"
            assert client.identity == Identity("ann", PROXY, "203.0.113.7")
            assert gate.asked[0].scheme == "https"
            assert counted(server) == {"203.0.113.7": 1}
        wait_for(lambda: not server.connections, "the end")
        assert counted(server) == {}


def counted(server: WebServer) -> dict[str, int]:
    return dict(server._population._by_network)


def test_a_connection_of_a_proxy_counts_for_each_client_in_turn() -> None:
    counts: list[dict[str, int]] = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        counts.append(counted(server))
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving(behind(), app=app) as server, Peer(server.port) as peer:
        for address in ("203.0.113.7", "2001:db8::7", "203.0.113.8"):
            peer.request(headers=f"Host: x\r\nX-Forwarded-For: {address}\r\n")
            wait_for(lambda: counted(server) == {"127.0.0.1": 1}, "between two requests")
        assert counts == [{"203.0.113.7": 1}, {"2001:db8::/64": 1}, {"203.0.113.8": 1}]
        peer.request(headers="Host: x\r\nX-Forwarded-For: 203.0.113.7\r\nbroken\r\n")
    wait_for(lambda: not counted(server), "the end")


def test_one_client_behind_a_proxy_has_its_own_limit(caplog: pytest.LogCaptureFixture) -> None:
    sessions = FakeSessions()
    settings = behind(limits={"connections_per_address": 2})
    one, other = "X-Forwarded-For: 203.0.113.7\r\n", "X-Forwarded-For: 203.0.113.8\r\n"
    with serving(settings, sessions=sessions) as server, ExitStack() as stack:
        for headers in (one, one, other):
            stack.enter_context(upgraded(server, headers))
        refused = stack.enter_context(Peer(server.port))
        answer = refused.handshake(one)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert b"connections_per_address" in answer.body
        assert server.counts.refused_connections["connections_per_address"] == 1
        assert "connections from 203.0.113.7 refused: it has 2 already" in caplog.text
        stack.enter_context(upgraded(server, other))
        wait_for(lambda: len(sessions.clients) == 4, "the clients")
        wait_for(lambda: counted(server) == {"203.0.113.7": 2, "203.0.113.8": 2}, "the counts")


def test_the_access_log_names_the_client_behind_a_proxy(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "amiws_gevent.web")
    with serving(behind()) as server, Peer(server.port) as peer:
        peer.request(headers=f"Host: x\r\n{PROXIED}")
    assert '203.0.113.7 - "GET / HTTP/1.1" 200' in caplog.text
