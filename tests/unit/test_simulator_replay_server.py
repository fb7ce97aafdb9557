"""The AMI server of a replay: logins, actions, and clients that are slow or gone."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket as gsocket

from amiws_gevent.ami import Message, Parser
from amiws_gevent.simulator.replay.recording import ACCEPTED, BANNER, Opening
from amiws_gevent.simulator.replay.server import PENDING_BYTES, ReplayServer, with_action_id
from amiws_gevent.simulator.serving.requests import Request
from amiws_gevent.simulator.serving.session import Account
from tests.support.greenlets import until
from tests.support.patience import WAIT

EVENT = b"Event: A\r\n\r\n"


class Client:
    """A connection to the server; ``sends`` and reads until what it waits for is there."""

    def __init__(self, port: int) -> None:
        self.socket = gsocket.create_connection(("127.0.0.1", port), timeout=WAIT)
        self.received = b""

    def send(self, *lines: str) -> None:
        self.socket.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    def read_until(self, end: bytes) -> bytes:
        """What came up to and with ``end``, taken out."""
        while end not in self.received:
            data = self.socket.recv(65536)
            assert data, f"closed; received {self.received!r:.200}"
            self.received += data
        found, _, self.received = self.received.partition(end)
        return found + end

    def ask(self, *lines: str) -> Message:
        """The answer to an action."""
        self.send(*lines)
        return Parser().receive_data(self.read_until(b"\r\n\r\n"))[0]

    def log_in(self, *lines: str) -> bytes:
        """Everything up to the end of the login's answer."""
        banner = self.read_until(b"\r\n")
        self.send("Action: Login", "Username: x", "Secret: y", *lines)
        return banner + self.read_until(b"accepted\r\n\r\n")

    def read_to_end(self) -> bytes:
        while data := self.socket.recv(65536):
            self.received += data
        return self.received


Connect = Callable[[ReplayServer], Client]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def make(told: list[str]) -> Iterator[Callable[..., ReplayServer]]:
    servers: list[ReplayServer] = []

    def make(**options: object) -> ReplayServer:
        server = ReplayServer("127.0.0.1", 0, tell=told.append, **options)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Connect]:
    clients: list[Client] = []

    def connect(server: ReplayServer) -> Client:
        clients.append(Client(server.port))
        return clients[-1]

    yield connect
    for client in clients:
        client.socket.close()


@pytest.fixture
def server(make: Callable[..., ReplayServer]) -> ReplayServer:
    return make()


# -- logins --------------------------------------------------------------------------


def test_any_login_is_taken(server: ReplayServer, told: list[str], connect: Connect) -> None:
    client = connect(server)
    assert client.log_in() == BANNER + ACCEPTED
    assert server.clients == 1
    client.socket.close()
    until(lambda: server.clients == 0)
    assert [line.partition(" ")[2] for line in told] == ["has logged in", "has gone"]


def test_any_login_by_md5_is_taken(server: ReplayServer, connect: Connect) -> None:
    client = connect(server)
    client.read_until(b"\r\n")
    answer = client.ask("Action: Challenge", "AuthType: MD5", "ActionID: c1")
    assert answer.get("Challenge")
    assert answer.get("ActionID") == "c1"
    answer = client.ask("Action: Login", "AuthType: MD5", "Username: x", "Key: y", "ActionID: l1")
    assert (answer.get("Response"), answer.get("ActionID")) == ("Success", "l1")


@pytest.mark.parametrize(("secret", "right"), [("s", True), ("S", False)])
def test_a_login_that_is_set_is_the_only_one(
    make: Callable[..., ReplayServer], told: list[str], secret: str, right: bool, connect: Connect
) -> None:
    server = make(account=Account("u", "s"))
    client = connect(server)
    client.read_until(b"\r\n")
    answer = client.ask("Action: Login", "Username: u", f"Secret: {secret}")
    assert (answer.get("Response") == "Success", server.clients) == (right, right)
    assert told[0].partition(" ")[2] == (
        "has logged in" if right else "is refused: wrong user or secret"
    )
    if not right:
        assert client.read_to_end() == b""


def test_nothing_is_sent_or_done_before_the_login(server: ReplayServer, connect: Connect) -> None:
    client = connect(server)
    client.read_until(b"\r\n")
    server.broadcast(EVENT)
    answer = client.ask("Action: Ping", "ActionID: 1")
    assert (answer.get("Response"), answer.get("Message")) == ("Error", "Permission denied")
    assert answer.get("ActionID") == "1"


# -- actions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "response", "name", "value"),
    [
        ("Ping", "Success", "Ping", "Pong"),
        ("PING", "Success", "Timestamp", None),
        ("Events", "Success", "Events", "On"),
        ("CoreStatus", "Error", "Message", "This is a replay: nothing is carried out"),
        ("", "Error", "Message", "Missing action in request"),
    ],
)
def test_actions(
    server: ReplayServer, action: str, response: str, name: str, value: str | None, connect: Connect
) -> None:
    client = connect(server)
    client.log_in()
    answer = client.ask(f"Action: {action}", "ActionID: ü 1")
    assert (answer.get("Response"), answer.get("ActionID")) == (response, "ü 1")
    assert list(dict(answer.headers))[:2] == ["Response", "ActionID"]
    if value is None:
        assert re.fullmatch(r"\d+\.\d{6}", answer.get(name) or "")
    else:
        assert answer.get(name) == value


def test_logoff(server: ReplayServer, told: list[str], connect: Connect) -> None:
    client = connect(server)
    client.log_in()
    assert client.ask("Action: Logoff").get("Response") == "Goodbye"
    assert client.read_to_end() == b""
    assert server.clients == 0
    assert told[-1].endswith("has logged off")


# -- the stream ----------------------------------------------------------------------


def test_all_that_are_logged_in_get_the_stream(server: ReplayServer, connect: Connect) -> None:
    clients = [connect(server) for _ in range(3)]
    for client in clients[:2]:
        client.log_in()
    server.broadcast(EVENT)
    server.broadcast(b"")
    server.wait_until_sent()
    for client in clients[:2]:
        assert client.read_until(b"\r\n\r\n") == EVENT
    assert clients[2].log_in() == BANNER + ACCEPTED


def test_the_beginning_of_a_session_is_as_recorded(server: ReplayServer, connect: Connect) -> None:
    answer = b"Response: Success\r\nActionID: of then\r\nMessage: Authentication accepted\r\n\r\n"
    assert server.open(Opening(b"Hello/1.0\r\n", EVENT, answer)) is False
    first, second, third = (connect(server) for _ in range(3))
    assert first.log_in() == b"Hello/1.0\r\n" + EVENT + answer
    assert second.log_in() == b"Hello/1.0\r\n" + answer, "what came early is for the first"
    assert third.log_in("ActionID: mine") == b"Hello/1.0\r\n" + answer.replace(b"of then", b"mine")


def test_a_new_session_sends_all_away_once_they_have_everything(
    server: ReplayServer, connect: Connect
) -> None:
    clients = [connect(server) for _ in range(2)]
    for client in clients:
        client.log_in()
    visitor = connect(server)
    visitor.read_until(b"\r\n")
    server.broadcast(EVENT * 1000)
    clients[0].send("Action: Ping")  # unread when the server closes: must not become a reset
    readers = [gevent.spawn(client.read_to_end) for client in (*clients, visitor)]
    opener = gevent.spawn(server.open, Opening(b"Again/2.0\r\n"))
    gevent.joinall(readers, timeout=WAIT)
    for client in (*clients, visitor):
        client.socket.close()
    assert opener.get(timeout=WAIT) is True
    assert clients[1].received == EVENT * 1000
    assert clients[0].received.startswith(EVENT * 1000)
    assert visitor.received == b""
    assert connect(server).log_in().startswith(b"Again/2.0\r\n")


def test_waiting_for_a_client(server: ReplayServer, told: list[str], connect: Connect) -> None:
    waiting = gevent.spawn(server.wait_for_client)
    until(lambda: told == ["waiting for a client to log in"])
    client = connect(server)
    client.read_until(b"\r\n")
    assert not waiting.ready()
    client.send("Action: Login")
    waiting.get(timeout=WAIT)
    server.wait_for_client()
    assert told.count("waiting for a client to log in") == 1


def test_a_slow_client_slows_the_stream_down(server: ReplayServer, connect: Connect) -> None:
    client = connect(server)
    client.log_in()
    chunk = b"Event: A\r\nX: " + b"x" * 65_000 + b"\r\n\r\n"
    sent = 0

    def play() -> None:
        nonlocal sent
        for _ in range(400):
            server.broadcast(chunk)
            sent += len(chunk)
        server.wait_until_sent()

    playing = gevent.spawn(play)
    until(lambda: sent >= PENDING_BYTES)
    before = -1
    while sent != before:  # until it waits: what the kernel takes is not known
        before = sent
        gevent.sleep(0.1)
    assert sent < 400 * len(chunk)
    received = 0
    while received < 400 * len(chunk):
        received += len(client.socket.recv(1 << 20))
    playing.get(timeout=WAIT)


def test_a_client_that_takes_nothing_is_dropped(
    make: Callable[..., ReplayServer], told: list[str], connect: Connect
) -> None:
    server = make(patience=0.2)
    client = connect(server)
    client.log_in()
    for _ in range(200):
        server.broadcast(b"Event: A\r\nX: " + b"x" * 65_000 + b"\r\n\r\n")
    assert server.clients == 0
    assert told[1].endswith(": it read nothing for 0.2 s")
    client.socket.close()


def test_a_client_that_only_listens_is_not_dropped(
    make: Callable[..., ReplayServer], connect: Connect
) -> None:
    server = make(patience=0.05)
    client = connect(server)
    client.log_in()
    gevent.sleep(0.2)
    server.broadcast(EVENT)
    assert client.read_until(b"\r\n\r\n") == EVENT


def test_a_client_that_was_sent_away_and_stays_is_closed(
    make: Callable[..., ReplayServer], connect: Connect
) -> None:
    server = make(patience=0.1)
    client = connect(server)
    client.log_in()
    assert server.open(Opening()) is True
    assert client.read_to_end() == b""


def test_a_client_that_is_reset_is_forgotten(server: ReplayServer, connect: Connect) -> None:
    client = connect(server)
    client.log_in()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
    until(lambda: server.clients == 0)
    server.broadcast(EVENT)
    server.wait_until_sent()


def test_the_action_id_stands_where_asterisk_puts_it() -> None:
    recorded = "Response: A\r\nactionid: x\r\nB: 1\r\n\r\n"
    assert with_action_id(recorded, Request(())) == recorded
    assert with_action_id(recorded, Request(("ActionID: 7",))) == (
        "Response: A\r\nActionID: 7\r\nB: 1\r\n\r\n"
    )
