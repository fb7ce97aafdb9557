"""An action by HTTP waits for all its replies, and no longer than its client."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from amiws_gevent.actions import ActionRequest, Reply
from tests.support.api import World
from tests.support.webserver import Peer, make_settings, serving, wait_for

BODY = '{"server": [1, 2], "action": {"Action": "Ping"}}'
REQUEST = (
    "POST /api/v1/actions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n{BODY}"
)

Told = Callable[[Reply, int], None]


def test_the_answer_waits_for_the_last_reply() -> None:
    told: list[Told] = []
    world = World(answer=lambda request, reply: told.append(reply))
    settings = make_settings()
    with serving(settings, app=world.app(settings)) as server, Peer(server.port) as peer:
        peer.send(REQUEST)
        wait_for(lambda: told, "the request")
        told[0](Reply(2, "answered"), 2)
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
            peer.answer()
        told[0](Reply(1, "timeout"), 2)
        answer = peer.answer()
        assert answer.status == 200
        assert answer.body.index(b'"server":1') < answer.body.index(b'"server":2')
        assert answer.headers["cache-control"] == "private, no-cache"


def test_nobody_waits_for_a_client_that_has_left() -> None:
    def never(request: ActionRequest, reply: Told) -> None:
        """No reply comes."""

    world = World(answer=never)
    settings = make_settings()
    with serving(settings, app=world.app(settings)) as server:
        with Peer(server.port) as peer:
            peer.send(REQUEST)
            wait_for(lambda: world.actions.submissions, "the request")
            assert not world.actions.submissions[0].cancelled
        wait_for(lambda: world.actions.submissions[0].cancelled, "the end of waiting")
        wait_for(lambda: not server.connections, "the end of the connection")


def test_a_body_that_does_not_come() -> None:
    world = World()
    settings = make_settings(limits={"header_time": 0.05})
    with serving(settings, app=world.app(settings)) as server, Peer(server.port) as peer:
        peer.send(REQUEST[:-5])
        answer = peer.answer()
        assert answer.status == 408
        assert b'"request_timeout"' in answer.body
        assert peer.is_cut()
    assert world.actions.requests == []


def test_a_body_that_is_longer_than_a_message_may_be() -> None:
    world = World()
    settings = make_settings(limits={"client_message": 100})
    with serving(settings, app=world.app(settings)) as server, Peer(server.port) as peer:
        peer.send(REQUEST.replace(f"Content-Length: {len(BODY)}", "Content-Length: 101"))
        answer = peer.answer()
        assert answer.status == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert b'"too_large"' in answer.body
        assert b"100 bytes" in answer.body


def test_a_body_may_be_longer_than_those_of_pages() -> None:
    world = World()
    settings = make_settings()
    long = BODY.replace("Ping", "Ping" + " " * 0) + " " * 100_000
    with serving(settings, app=world.app(settings)) as server, Peer(server.port) as peer:
        peer.send(
            "POST /api/v1/actions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(long)}\r\n\r\n{long}"
        )
        assert peer.answer().status == 200
        peer.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(long)}\r\n\r\n")
        assert peer.answer().body.startswith(b"413 ")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST /api/v1/actions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        ("GET /%61pi/v1/state HTTP/1.1\r\n\r\n", 400),
        ("GET http://x/api/v1/state HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    ],
)
def test_what_the_connection_refuses_is_a_problem_too(line: str, status: int) -> None:
    world = World()
    settings = make_settings()
    with serving(settings, app=world.app(settings)) as server, Peer(server.port) as peer:
        peer.send(line)
        answer = peer.answer()
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_no_request_is_told_in_words() -> None:
    world = World()
    settings = make_settings()
    with serving(settings, app=world.app(settings)) as server, Peer(server.port) as peer:
        assert peer.request("GET /api/v1/none HTTP/1.1").status == 404
        peer.send("nonsense\r\n\r\n")
        assert peer.answer().body.startswith(b"400 "), "nobody knows what it is of"
