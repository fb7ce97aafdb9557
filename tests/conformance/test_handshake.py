"""RFC 6455, section 4.2, and what HTTP asks of the answers around it."""

from __future__ import annotations

import pytest

from amiws_gevent.web.gate import RequestInfo, Verdict
from amiws_gevent.web.server import WebServer
from amiws_gevent.web.verdict import Grant
from tests.support.webserver import ACCEPT, KEY, FakeGate, Frame, Peer, masked, serving, upgraded


def test_the_key_of_the_rfc(server: WebServer) -> None:
    with Peer(server.port) as peer:
        answer = peer.handshake(Sec_WebSocket_Key=KEY)
        assert answer.status == 101
        assert answer.headers == {
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-accept": ACCEPT,
        }


@pytest.mark.parametrize("target", ["/", "/ws", "/any/path?x=1", "/api", "/apix", "/%61pi%2f"])
def test_any_path_is_upgraded(server: WebServer, target: str) -> None:
    with Peer(server.port) as peer:
        status = peer.handshake(target=target).status
        # The last is /api/ once it is unquoted, as Flask sees it.
        assert status == (200 if target == "/%61pi%2f" else 101)


@pytest.mark.parametrize("target", ["/api/", "/api/events", "/metrics", "/healthz", "/readyz"])
def test_some_paths_are_answered_without_an_upgrade(server: WebServer, target: str) -> None:
    with Peer(server.port) as peer:
        answer = peer.handshake(target=target)
        assert (answer.status, answer.body) == (200, f"GET {target} ".encode())


@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": "WebSocket", "Connection": "keep-alive, upgrade"},  # as Firefox has it
        {"Upgrade": "h2c, websocket"},
        {"Connection": "close,Upgrade"},
    ],
)
def test_words_count_in_any_case_and_company(server: WebServer, headers: dict[str, str]) -> None:
    with Peer(server.port) as peer:
        assert peer.handshake(**headers).status == 101
        peer.send(masked(9, b"?"))
        assert peer.frame() == Frame(10, b"?")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_WebSocket_Version": None}, 426),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": "14"}, 426),
        ({"Sec_WebSocket_Version": "13, 8"}, 426),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": ""}, 400),
        ({"Sec_WebSocket_Key": "!!not base64!!"}, 400),
        ({"Sec_WebSocket_Key": "QUJD"}, 400),
        ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ"}, 400),  # without its padding
        ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="}, 400),
        ({"Sec_WebSocket_Key": "\xe9" * 24}, 400),
        ({"Connection": "keep-alive"}, 400),
        ({"Connection": None}, 400),
    ],
)
def test_a_wrong_handshake_leaves_the_connection_good(
    server: WebServer, headers: dict[str, str | None], status: int
) -> None:
    with Peer(server.port) as peer:
        answer = peer.handshake(**headers)
        assert answer.status == status
        assert answer.body.startswith(str(status).encode())
        assert answer.headers.get("sec-websocket-version") == ("13" if status == 426 else None)
        assert "upgrade" not in answer.headers
        assert peer.handshake().status == 101


def test_http_1_0_is_not_upgraded(server: WebServer) -> None:
    with Peer(server.port) as peer:
        peer.send(
            "GET /ws HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        )
        assert peer.answer().status == 400
        assert peer.rest() == b""


def test_a_body_is_not_upgraded(server: WebServer) -> None:
    with Peer(server.port) as peer:
        peer.send(b"")
        assert peer.handshake("Content-Length: 5\r\n").status == 400
        peer.send(b"hello")  # the body, and then the next request
        assert peer.handshake().status == 101


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_no_upgrade(server: WebServer, method: str) -> None:
    with Peer(server.port) as peer:
        answer = peer.request(
            f"{method} /ws HTTP/1.1",
            "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n",
        )
        assert answer.body == f"{method} /ws ".encode()


@pytest.mark.parametrize(
    ("offer", "taken"),
    [
        ("amiws.v2", "amiws.v2"),
        ("ami, amiws.v2", "amiws.v2"),
        ("amiws.v2,other", "amiws.v2"),
        ("ami", None),
        ("null", None),
        ("amiws.v21", None),
        ("xamiws.v2", None),
        ("AMIWS.V2", None),  # names of subprotocols have their case (section 4.1)
    ],
)
def test_subprotocols(server: WebServer, offer: str, taken: str | None) -> None:
    with Peer(server.port) as peer:
        answer = peer.handshake(Sec_WebSocket_Protocol=offer)
        assert answer.status == 101
        assert answer.headers.get("sec-websocket-protocol") == taken


def test_subprotocols_in_two_headers(server: WebServer) -> None:
    with Peer(server.port) as peer:
        headers = "Sec-WebSocket-Protocol: ami\r\nSec-WebSocket-Protocol: amiws.v2\r\n"
        assert peer.handshake(headers).headers["sec-websocket-protocol"] == "amiws.v2"


def test_other_extensions_are_not_taken(server: WebServer) -> None:
    with Peer(server.port) as peer:
        answer = peer.handshake("Sec-WebSocket-Extensions: x-webkit-deflate-frame, mux\r\n")
        assert answer.status == 101
        assert "sec-websocket-extensions" not in answer.headers


def test_a_refusal_is_an_answer_and_the_next_try_is_welcome() -> None:
    def decide(request: RequestInfo) -> Verdict:
        if "authorization" in request.headers:
            return Verdict(200, Grant("ann"), headers=(("Set-Cookie", "session=1; HttpOnly"),))
        challenge = ("WWW-Authenticate", 'Digest realm="x"')
        return Verdict(401, headers=(challenge,), body=b"Log in.\n")

    gate = FakeGate(decide)
    with serving(gate=gate) as server, Peer(server.port) as peer:
        answer = peer.handshake(target="/ws?a=%41")
        assert (answer.status, answer.body) == (401, b"Log in.\n")
        assert answer.headers["www-authenticate"] == 'Digest realm="x"'
        assert answer.headers["content-length"] == "8"
        answer = peer.handshake("Authorization: Digest x\r\n", target="/ws?a=%41")
        assert answer.status == 101
        assert answer.headers["set-cookie"] == "session=1; HttpOnly"
        assert [request.target for request in gate.asked] == ["/ws?a=%41"] * 2
        assert {request.address for request in gate.asked} == {"127.0.0.1"}
        assert [client.user for client in server.clients] == ["ann"]


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_each_refusal_of_the_gate(status: int) -> None:
    gate = FakeGate(Verdict(status, headers=(("Retry-After", "1"),), body=b"no\n"))
    with serving(gate=gate) as server, Peer(server.port) as peer:
        answer = peer.handshake()
        assert (answer.status, answer.body, answer.headers["retry-after"]) == (status, b"no\n", "1")


def test_the_gate_is_asked_before_the_handshake_is_looked_at() -> None:
    gate = FakeGate(Verdict(401, body=b"no\n"))
    with serving(gate=gate) as server, Peer(server.port) as peer:
        assert peer.handshake(Sec_WebSocket_Version="7").status == 401


def test_clients_that_are_not_websockets_are_unharmed(server: WebServer) -> None:
    with upgraded(server) as socket, Peer(server.port) as peer:
        assert peer.request("GET /page HTTP/1.1").body == b"GET /page "
        socket.send(masked(1, b"still here"))
        assert socket.frame().payload == b"still here"
