"""The sockets of a simulated server: slow clients, those that go, the end, the port."""

from __future__ import annotations

import argparse
import socket
import struct
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket as gsocket

from amiws_gevent.simulator.serving.listener import Connection, Listener, port
from amiws_gevent.simulator.serving.session import Session
from tests.support.greenlets import until
from tests.support.patience import WAIT

BANNER = "Hello/1.0\r\n"
PING = b"Action: Ping\r\n\r\n"
LOGIN = b"Action: Login\r\n\r\n"
LOGOFF = b"Action: Logoff\r\n\r\n"
GOODBYE = b"Response: Goodbye\r\nMessage: Thanks for all the fish.\r\n\r\n"


class Visitor(Session):
    """A session with whoever comes."""

    def __init__(self, connection: Connection[Visitor]) -> None:
        self.gone = False
        super().__init__(connection.say, banner=BANNER, account=None)

    def on_gone(self) -> None:
        self.gone = True


class Bench:
    """Starts listeners and clients; all are closed at the end of the test."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self._listeners: list[Listener[Visitor]] = []
        self._clients: list[gsocket.socket] = []

    def listen(self, *, limit: int = 1 << 20, patience: float = WAIT) -> Listener[Visitor]:
        listener = Listener(
            "127.0.0.1",
            0,
            Visitor,
            limit=limit,
            patience=patience,
            dropped=lambda connection, why: self.dropped.append(f"{connection}: {why}"),
        )
        self._listeners.append(listener)
        listener.start()
        return listener

    def client(self, listener: Listener[Visitor], *, buffer: int = 1 << 20) -> gsocket.socket:
        """A client that is logged in, its answers read; ``buffer`` is for what it receives."""
        client = gsocket.socket()
        self._clients.append(client)
        client.settimeout(WAIT)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect(("127.0.0.1", listener.port))
        client.sendall(LOGIN)
        read_until(client, b"accepted\r\n\r\n")
        return client

    def close(self) -> None:
        for listener in self._listeners:
            listener.stop()
        for client in self._clients:
            client.close()
        for listener in self._listeners:
            until(lambda listener=listener: not listener.connections)  # type: ignore[misc]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def read_until(client: gsocket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        data = client.recv(65536)
        assert data, received
        received += data
    return received


def rest(client: gsocket.socket) -> bytes:
    received = bytearray()
    while data := client.recv(1 << 20):
        received += data
    return bytes(received)


def only(listener: Listener[Visitor]) -> Connection[Visitor]:
    (connection,) = listener.connections
    return connection


def test_actions_are_answered_however_they_are_cut(bench: Bench) -> None:
    client = bench.client(bench.listen())
    for piece in (b"Action: P", b"ing\r\n", b"\r", b"\nAction: Ping\r\nActionID: 2\r\n\r\n"):
        client.sendall(piece)
        gevent.sleep(0)
    received = b""
    while received.count(b"\r\n\r\n") < 2:
        received += client.recv(65536)
    first, second, _ = received.split(b"\r\n\r\n")
    assert first.startswith(b"Response: Success\r\nPing: Pong\r\n")
    assert second.startswith(b"Response: Success\r\nActionID: 2\r\n")


def test_who_is_logged_in_is_active_until_it_goes(bench: Bench) -> None:
    listener = bench.listen()
    client = bench.client(listener)
    connection = only(listener)
    assert listener.active == [connection]
    assert str(connection) == "{}:{}".format(*client.getsockname())
    assert (connection.local, connection.remote) == (client.getpeername(), client.getsockname())
    client.close()
    until(lambda: not listener.connections)
    assert (connection.session.gone, connection.session.over) == (True, True)
    assert bench.dropped == []


def test_a_reset_is_an_end_too(bench: Bench) -> None:
    listener = bench.listen()
    client = bench.client(listener)
    connection = only(listener)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    until(lambda: not listener.connections)
    assert connection.session.gone


def test_who_closes_its_sending_half_still_gets_its_answers(bench: Bench) -> None:
    listener = bench.listen(limit=64 << 20)
    client = bench.client(listener)
    data = b"x" * (32 << 20)  # more than the kernel takes
    only(listener).offer(data)
    client.sendall(PING)
    client.shutdown(socket.SHUT_WR)
    gevent.sleep(0.05)  # the server sees the end while it has still to send
    received = rest(client)
    assert (received[: len(data)] == data, b"Ping: Pong" in received[len(data) :]) == (True, True)


def test_after_the_goodbye_nothing_is_read_or_sent_and_no_reset_costs_what_waits(
    bench: Bench,
) -> None:
    listener = bench.listen()
    client = bench.client(listener, buffer=4096)
    connection = only(listener)
    data = b"x" * 60_000  # the kernel of the server takes it, not that of the client
    connection.offer(data)
    client.sendall(LOGOFF + PING)
    until(lambda: connection.session.over)
    connection.offer(b"late")
    client.sendall(PING)  # unread when the server closes, it would make that a reset
    connection.sent.wait(WAIT)
    gevent.sleep(0.01)  # a server that closed at once would have done so
    assert rest(client) == data + GOODBYE
    assert not connection.session.gone
    client.close()
    until(lambda: not listener.connections)


def test_who_stays_after_the_goodbye_is_closed(bench: Bench) -> None:
    listener = bench.listen(patience=0.05)
    client = bench.client(listener)
    client.sendall(LOGOFF)
    until(lambda: not listener.connections)
    assert rest(client) == GOODBYE


def test_a_client_for_which_too_much_waits_is_dropped(bench: Bench) -> None:
    listener = bench.listen(limit=100_000)
    client = bench.client(listener)
    connection = only(listener)
    connection.offer(b"x" * 100_000)
    assert (connection.pending_bytes, bench.dropped) == (100_000, [])
    connection.offer(b"x")
    assert bench.dropped == [f"{connection}: it does not read, and 100000 bytes wait for it"]
    assert (connection.session.over, connection.pending_bytes) == (True, 0)
    connection.offer(b"x" * 200_000)
    assert len(bench.dropped) == 1
    until(lambda: not listener.connections)
    assert not connection.session.gone
    assert rest(client) == b""


def test_a_client_that_takes_nothing_is_dropped_and_others_are_not(bench: Bench) -> None:
    listener = bench.listen(limit=64 << 20, patience=0.1)
    bench.client(listener)
    slow = only(listener)
    slow.offer(b"x" * (32 << 20))  # more than the kernel takes
    until(lambda: bench.dropped)
    assert bench.dropped == [f"{slow}: it read nothing for 0.1 s"]
    until(lambda: not listener.connections)
    other = bench.client(listener)
    other.sendall(PING)
    assert b"Pong" in other.recv(65536)


def test_stop_lets_them_take_what_waits(bench: Bench) -> None:
    listener = bench.listen()
    clients = [bench.client(listener) for _ in range(3)]
    for connection in listener.connections:
        connection.offer(b"the end")
    listener.stop(grace=WAIT)
    assert [rest(client) for client in clients] == [b"the end"] * 3
    listener.stop()


def test_stop_does_not_wait_for_who_does_not_read(bench: Bench) -> None:
    listener = bench.listen(limit=64 << 20)
    bench.client(listener)
    only(listener).offer(b"x" * (32 << 20))
    listener.stop(grace=0.01)
    until(lambda: not listener.connections)


def test_a_connection_that_was_accepted_as_it_stopped_is_closed(bench: Bench) -> None:
    listener = bench.listen()
    listener.stop()
    ours, theirs = gsocket.socketpair()
    listener._serve(ours, ("127.0.0.1", 1))
    assert theirs.recv(1) == b""
    theirs.close()


def test_each_change_is_told() -> None:
    changes: list[int] = []
    listener = Listener(
        "127.0.0.1",
        0,
        Visitor,
        limit=1000,
        patience=WAIT,
        dropped=lambda *_: None,
        changed=lambda: changes.append(len(listener.connections)),
    )
    listener.start()
    client = gsocket.create_connection(("127.0.0.1", listener.port), timeout=WAIT)
    until(lambda: changes == [1])  # the banner was taken
    client.close()
    until(lambda: changes == [1, 0])
    listener.stop()


def test_a_port_in_use_is_told_and_nothing_is_left_open(bench: Bench) -> None:
    taken = bench.listen()
    other = Listener("127.0.0.1", taken.port, Visitor, limit=1, patience=1, dropped=lambda *_: None)
    with pytest.raises(OSError, match="in use"):
        other.start()
    other.stop()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_an_address_of_ipv6() -> None:
    listener = Listener("::1", 0, Visitor, limit=1000, patience=WAIT, dropped=lambda *_: None)
    if not has_ipv6():
        return
    listener.start()
    with gsocket.create_connection(("::1", listener.port), timeout=WAIT) as client:
        assert read_until(client, b"\r\n") == BANNER.encode()
        assert len(only(listener).remote) == 2
    listener.stop()


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("5038", 5038), ("65535", 65535)])
def test_ports(text: str, number: int) -> None:
    assert port(text) == number


@pytest.mark.parametrize(
    ("text", "error"),
    [("-1", argparse.ArgumentTypeError), ("65536", argparse.ArgumentTypeError), ("x", ValueError)],
)
def test_what_is_no_port(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        port(text)
