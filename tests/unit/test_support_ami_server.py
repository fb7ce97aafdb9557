"""The scripted server is what the integration tests trust: so it has tests of its own."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import threading

import pytest
import trustme

from tests.support.ami_server import (
    BANNER,
    FULLY_BOOTED,
    AmiServer,
    Connection,
    Packet,
    answer,
)
from tests.support.leaks import open_descriptors

LOGIN = b"Action: Login\r\nUsername: amiws\r\nSecret: s3cret\r\n\r\n"
ACCEPTED = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"


class Client:
    def __init__(self, server: AmiServer) -> None:
        self.socket: socket.socket = socket.create_connection((server.host, server.port), 10)
        self.data = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """What comes up to ``end``, which is there at last."""
        while end not in self.data:
            received = self.socket.recv(65536)
            assert received, f"closed after {self.data!r}"
            self.data += received
        at = self.data.index(end) + len(end)
        part, self.data = self.data[:at], self.data[at:]
        return part

    def rest(self) -> bytes:
        """What comes until the server closes."""
        while received := self.socket.recv(65536):
            self.data += received
        return self.data


def test_banner_login_actions_and_logoff() -> None:
    with AmiServer() as server, Client(server) as client:
        assert client.until(b"\r\n") == BANNER
        client.send(LOGIN)
        assert client.until(b"\r\n\r\n") == ACCEPTED
        assert server.wait_login() is server.connections[0]
        client.send(b"Action: Ping\r\nActionID: 7\r\n\r\n")
        assert client.until(b"\r\n\r\n").startswith(
            b"Response: Success\r\nActionID: 7\r\nPing: Pong\r\nTimestamp: "
        )
        client.send(b"action: coreStatus\r\nX: a: b\r\nX:c\r\n\r\n")
        assert client.until(b"\r\n\r\n") == (
            b"Response: Success\r\nMessage: coreStatus done\r\n\r\n"
        )
        server.wait_for("CoreStatus")
        assert server.actions[-1] == [("action", "coreStatus"), ("X", "a: b"), ("X", "c")]
        client.send(b"Action: Logoff\r\n\r\n")
        assert client.rest().startswith(b"Response: Goodbye\r\n")
        server.wait_for(lambda server: not server.logins)
        assert server.received.startswith(LOGIN)
        assert server.received.endswith(b"Action: Logoff\r\n\r\n")


@pytest.mark.parametrize(
    "login",
    [
        LOGIN.replace(b"s3cret", b"wrong"),
        LOGIN.replace(b"amiws", b"other"),
        b"Action: Login\r\nAuthType: MD5\r\nUsername: amiws\r\nKey: 00\r\n\r\n",
        b"Action: Login\r\nUsername: amiws\r\n\r\n",
    ],
)
def test_a_wrong_login_is_refused_and_the_connection_ends(login: bytes) -> None:
    with AmiServer() as server, Client(server) as client:
        client.until(BANNER)
        client.send(login)
        assert client.rest() == b"Response: Error\r\nMessage: Authentication failed\r\n\r\n"
        assert not server.logins


def test_md5_login_checks_the_key() -> None:
    with AmiServer() as server, Client(server) as client:
        client.until(BANNER)
        client.send(b"Action: Challenge\r\nAuthType: MD5\r\n\r\n")
        found = re.search(rb"Challenge: (\d+)\r\n\r\n", client.until(b"\r\n\r\n"))
        assert found
        key = hashlib.md5(found[1] + b"s3cret").hexdigest()
        login = f"Action: Login\r\nAuthType: MD5\r\nUsername: amiws\r\nKey: {key}\r\n\r\n"
        client.send(login.encode())
        assert client.until(b"\r\n\r\n") == ACCEPTED


def test_a_server_without_challenge_says_so() -> None:
    with AmiServer(challenge=False) as server, Client(server) as client:
        client.until(BANNER)
        client.send(b"Action: Challenge\r\nAuthType: MD5\r\n\r\n")
        assert b"Response: Error\r\nMessage: Invalid/unknown command" in client.until(b"\r\n\r\n")


def test_greeting_replay_and_close_come_in_order() -> None:
    with (
        AmiServer(
            banner_pieces=5,
            greeting=b"Event: Early\r\n\r\n",
            before_answer=b"Event: Before\r\n\r\n",
            replay=FULLY_BOOTED * 2,
            then="close",
        ) as server,
        Client(server) as client,
    ):
        client.until(b"Early\r\n\r\n")
        client.send(LOGIN)
        assert client.rest() == b"Event: Before\r\n\r\n" + ACCEPTED + FULLY_BOOTED * 2


def test_no_banner_and_a_given_login_answer() -> None:
    with (
        AmiServer(banner=None, login_answer=b"Response: Success\r\n\r\n") as server,
        Client(server) as client,
    ):
        client.send(LOGIN)
        assert client.until(b"\r\n\r\n") == b"Response: Success\r\n\r\n"


def test_then_reset_is_a_tcp_reset() -> None:
    with AmiServer(then="reset") as server, Client(server) as client:
        client.send(LOGIN)
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_hang_reads_and_answers_nothing_more() -> None:
    with AmiServer(then="hang") as server, Client(server) as client:
        client.send(LOGIN)
        client.until(ACCEPTED)
        connection = server.wait_connections(1)
        server.wait_for(lambda _: connection.hung)
        client.send(b"Action: Ping\r\n\r\n")
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        assert connection.received == LOGIN


@pytest.mark.parametrize(("login", "closed"), [("ignore", False), ("hang", False), ("close", True)])
def test_logins_may_go_without_an_answer(login: str, closed: bool) -> None:
    with AmiServer(login=login) as server, Client(server) as client:
        client.until(BANNER)
        client.send(LOGIN)
        server.wait_for(LOGIN)
        if closed:
            assert client.rest() == b""
        else:
            client.socket.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.socket.recv(1)


def test_kill_refuses_and_resets_and_restart_listens_on_the_same_port() -> None:
    with AmiServer() as server:
        with Client(server) as client:
            client.until(BANNER)
            server.kill()
            with pytest.raises(ConnectionResetError):
                client.rest()
            with pytest.raises(ConnectionRefusedError):
                Client(server)
        server.restart()
        with Client(server) as client:
            assert client.until(b"\r\n") == BANNER
        assert len(server.connections) == 2


def test_refuse_leaves_the_connections_that_stand() -> None:
    with AmiServer() as server, Client(server) as client:
        client.until(BANNER)
        server.refuse()
        with pytest.raises(ConnectionRefusedError):
            Client(server)
        client.send(LOGIN)
        assert client.until(b"\r\n\r\n") == ACCEPTED


def test_answers_by_a_function_and_sends_to_all_logged_in() -> None:
    def on_action(connection: Connection, packet: Packet) -> bytes | None:
        return answer(packet, f"Echo: {packet.get('x')}") if packet.action == "Echo" else None

    with (
        AmiServer(on_action=on_action) as server,
        Client(server) as one,
        Client(server) as two,
    ):
        for client in (one, two):
            client.send(LOGIN)
            client.until(ACCEPTED)
        two.send(b"Action: Silent\r\n\r\nAction: Echo\r\nActionID: 3\r\nX: y\r\n\r\n")
        assert two.data + two.until(b"\r\n\r\n") == (
            b"Response: Success\r\nActionID: 3\r\nEcho: y\r\n\r\n"
        )
        server.send(FULLY_BOOTED)
        assert one.until(b"\r\n\r\n") == two.until(b"\r\n\r\n") == FULLY_BOOTED


def test_what_was_read_may_be_forgotten() -> None:
    forgotten: list[bytes] = []

    def on_action(connection: Connection, packet: Packet) -> bytes:
        forgotten.append(connection.forget())
        return answer(packet)

    with AmiServer(on_action=on_action) as server, Client(server) as client:
        one, other = b"Action: One\r\n\r\n", b"Action: Other\r\n\r\n"
        client.send(LOGIN + one + other)
        for _ in range(3):
            client.until(b"Response: Success\r\n")
        assert forgotten == [LOGIN + one, other]
        assert server.received == b""
        assert server.actions == []


def test_a_script_of_ones_own_may_send_half_a_packet_and_close() -> None:
    def half(connection: Connection) -> None:
        connection.send_pieces(BANNER, 3)
        assert connection.read_packet() is not None
        connection.send(ACCEPTED + b"Event: Hal")
        connection.close()

    with AmiServer(half) as server, Client(server) as client:
        client.until(BANNER)
        client.send(LOGIN[:10])
        client.send(LOGIN[10:])
        assert client.rest() == ACCEPTED + b"Event: Hal"
        assert server.actions[0].action == "Login"


def test_more_than_the_buffers_hold_is_sent_whole_to_a_slow_reader() -> None:
    replay = FULLY_BOOTED * 200_000
    with AmiServer(replay=replay, then="close") as server, Client(server) as client:
        client.until(BANNER)
        client.send(LOGIN)
        server.wait_login()
        assert client.rest() == ACCEPTED + replay


def test_stop_ends_a_sender_that_nobody_reads() -> None:
    with AmiServer(replay=FULLY_BOOTED * 200_000) as server, Client(server) as client:
        client.send(LOGIN)
        server.wait_login()


def test_tls_with_a_given_certificate() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with AmiServer(tls=context) as server, Client(server) as client:
        client.socket = trusting.wrap_socket(client.socket, server_hostname="localhost")
        client.until(BANNER)
        client.send(LOGIN)
        assert client.until(b"\r\n\r\n") == ACCEPTED
        server.send(FULLY_BOOTED * 10_000)
        assert client.until(FULLY_BOOTED * 10_000)


def test_a_failed_tls_handshake_is_kept() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with AmiServer(tls=context) as server, Client(server) as client:
        client.send(b"Action: Login\r\n\r\n")
        server.wait_for(lambda server: server.connections and server.connections[0].ended)
        assert isinstance(server.connections[0].handshake_error, ssl.SSLError)


def test_a_wait_that_fails_says_what_came_instead() -> None:
    with AmiServer() as server, Client(server) as client:
        client.send(b"Action: Nonsense\r\n\r\n")
        server.wait_for(re.compile(rb"Non\w+"))
        with pytest.raises(AssertionError, match=r"not within 0\.05 s: 'Login'.*Nonsense"):
            server.wait_for("Login", timeout=0.05)


def test_ipv6() -> None:
    with AmiServer(host="::1") as server, Client(server) as client:
        assert client.until(b"\r\n") == BANNER


def test_nothing_is_left_behind() -> None:
    descriptors = open_descriptors()
    threads = set(threading.enumerate())
    with AmiServer() as server, Client(server) as client:
        client.send(LOGIN)
        server.wait_login()
    assert set(threading.enumerate()) <= threads
    assert open_descriptors() <= descriptors
