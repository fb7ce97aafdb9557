"""RFC 6455, section 7: who closes, with what code, and when the connection ends."""

from __future__ import annotations

import pytest

from amiws_gevent.web.server import WebServer
from tests.support.webserver import (
    FakeSessions,
    Frame,
    close_payload,
    masked,
    serving,
    upgraded,
    wait_for,
)

TEXT, CLOSE, PING = 1, 8, 9


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014])
def test_a_code_comes_back(server: WebServer, code: int) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE, close_payload(code)))
        assert peer.closed() == code


@pytest.mark.parametrize("code", [3000, 3999, 4000, 4999])
def test_a_code_of_libraries_and_applications_comes_back(server: WebServer, code: int) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE, close_payload(code)))
        assert peer.closed() == code


def test_no_code(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE))
        assert peer.frame() == Frame(CLOSE, b"")
        assert peer.rest() == b""


@pytest.mark.parametrize("reason", ["", "bye", "x" * 123, "ü" * 61])
def test_a_reason_is_valid_when_it_comes_back(server: WebServer, reason: str) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE, close_payload(1000, reason)))
        frame = peer.frame()
        assert frame.payload == close_payload(1000, reason)
        assert peer.rest() == b""


@pytest.mark.parametrize(
    "code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_a_code_that_must_not_be_sent(server: WebServer, code: int) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE, close_payload(code)))
        assert peer.closed() == 1002


def test_half_a_code(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE, b"\x03"))
        assert peer.closed() == 1002


def test_a_reason_that_is_too_long(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE, close_payload(1000, "x" * 124)))
        assert peer.closed() == 1002


def test_a_reason_that_is_not_utf8(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE, close_payload(1000) + b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80"))
        assert peer.closed() == 1007


@pytest.mark.parametrize("after", [masked(PING), masked(TEXT, b"x"), masked(CLOSE), b"\xff" * 9])
def test_nothing_behind_a_close_counts(server: WebServer, after: bytes) -> None:
    with upgraded(server) as peer:
        peer.send(masked(CLOSE, close_payload(1000)) + after)
        assert peer.closed() == 1000


def test_what_comes_before_a_close_is_answered(server: WebServer) -> None:
    with upgraded(server) as peer:
        peer.send(masked(TEXT, b"x" * 60000) + masked(CLOSE, close_payload(1001)))
        assert peer.frame() == Frame(TEXT, b"x" * 60000)
        assert peer.closed() == 1001


def test_the_server_closes_first_and_waits_for_the_answer() -> None:
    sessions = FakeSessions()
    with serving(sessions=sessions) as server, upgraded(server) as peer:
        wait_for(lambda: sessions.clients, "a client")
        sessions.clients[0].close(1001, "server going away")
        assert peer.frame() == Frame(CLOSE, close_payload(1001, "server going away"))
        peer.send(masked(TEXT, b"on its way") + masked(PING, b"too"))  # is passed over
        peer.send(masked(CLOSE, close_payload(1001)))
        assert peer.rest() == b""
        wait_for(lambda: sessions.ends == [(1001, "server going away")], "the end")
        assert not sessions.texts


def test_both_close_at_once() -> None:
    sessions = FakeSessions()
    with serving(sessions=sessions) as server, upgraded(server) as peer:
        wait_for(lambda: sessions.clients, "a client")
        peer.send(masked(CLOSE, close_payload(4001)))
        sessions.clients[0].close(1001, "server going away")
        assert peer.closed() == 1001
        wait_for(lambda: sessions.ends == [(1001, "server going away")], "the end")


def test_sessions_learn_the_code_and_reason_of_the_client() -> None:
    sessions = FakeSessions()
    with serving(sessions=sessions) as server:
        for payload in (close_payload(4000, "tschüß"), b""):
            with upgraded(server) as peer:
                peer.send(masked(CLOSE, payload))
                peer.rest()
        wait_for(lambda: sessions.ends == [(4000, "tschüß"), (1005, "")], "both ends")
