"""A listening socket moves, or stays as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from gevent import socket, ssl

from amiws_gevent.config import ListenAddress
from amiws_gevent.errors import ListenError
from amiws_gevent.web.endpoint import Endpoint
from amiws_gevent.web.listener import open_listener
from tests.support.patience import WAIT

HERE = ListenAddress("127.0.0.1", 0)
TLS: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


class FakeAcceptor:
    """Holds the socket, and takes nothing from it."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.listener = listener
        self.tls = tls
        self.port = listener.getsockname()[1]
        self.closed = False

    def close(self) -> None:
        self.closed = True
        self.listener.close()


class World:
    def __init__(self, **more: Any) -> None:
        self.acceptors: list[FakeAcceptor] = []
        self.endpoint = Endpoint(self._accept, **more)

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> Any:
        self.acceptors.append(FakeAcceptor(listener, tls))
        return self.acceptors[-1]

    def move(self, address: ListenAddress | None, tls: Any = None) -> int | None:
        self.endpoint.move(address, tls).finish()
        return self.endpoint.port

    @property
    def open(self) -> list[FakeAcceptor]:
        return [acceptor for acceptor in self.acceptors if not acceptor.closed]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.endpoint.close()
    assert made.open == []
    gc.collect()  # a socket that nobody has closed is a ResourceWarning, and that an error


def listens(port: int | None) -> bool:
    assert port is not None
    try:
        socket.create_connection(("127.0.0.1", port), timeout=WAIT).close()
    except ConnectionRefusedError:
        return False
    return True


def test_nothing_is_used_before_a_move_is_finished(world: World) -> None:
    move = world.endpoint.move(HERE)
    assert (world.endpoint.port, world.endpoint.address, world.acceptors) == (None, None, [])
    move.finish()
    assert world.endpoint.address == HERE
    assert listens(world.endpoint.port)


def test_to_the_same_address_it_only_takes_the_new_tls(world: World) -> None:
    port = world.move(HERE, TLS)
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert world.move(HERE, other) == port
    (acceptor,) = world.acceptors
    assert acceptor.tls is other


@pytest.mark.parametrize("tls", [(None, TLS), (TLS, None)], ids=["to TLS", "from TLS"])
def test_tls_begins_and_ends_on_the_queue_that_there_is(world: World, tls: tuple[Any, Any]) -> None:
    port = world.move(HERE, tls[0])
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT):
        assert world.move(HERE, tls[1]) == port
        (acceptor,) = world.open
        assert acceptor.tls is tls[1]
        acceptor.listener.settimeout(WAIT)
        acceptor.listener.accept()[0].close()  # who had come before


def test_to_nowhere_and_back(world: World) -> None:
    old = world.move(HERE)
    assert world.move(None) is None
    assert not listens(old)
    assert world.move(None) is None
    assert listens(world.move(HERE))


def test_the_same_port_of_another_address(world: World) -> None:
    port = world.move(HERE)
    assert port is not None
    assert world.move(ListenAddress("", port)) == port
    assert listens(port)
    assert len(world.open) == 1


@pytest.mark.parametrize("where", ["another port", "the same port", "TLS", "nowhere", "as it is"])
def test_undone_it_listens_as_before(world: World, where: str) -> None:
    port = world.move(HERE)
    assert port is not None
    address = {
        "another port": ListenAddress("localhost", 0),
        "the same port": ListenAddress("", port),
        "nowhere": None,
    }.get(where, HERE)
    world.endpoint.move(address, TLS if where == "TLS" else None).undo()
    assert (world.endpoint.port, world.endpoint.address) == (port, HERE)
    assert listens(port)
    (acceptor,) = world.open
    assert acceptor.tls is None


def test_the_first_move_undone(world: World) -> None:
    port = open_listener("127.0.0.1", 0)
    number = port.getsockname()[1]
    port.close()
    world.endpoint.move(ListenAddress("127.0.0.1", number)).undo()
    assert world.endpoint.port is None
    assert not listens(number)


@pytest.mark.parametrize("same", [True, False], ids=["the same port", "another port"])
def test_what_cannot_be_opened_leaves_it_where_it_was(world: World, same: bool) -> None:
    port = world.move(HERE)
    assert port is not None
    with pytest.raises(ListenError, match=r"ws_host 192\.0\.2\.1 is not an address"):
        world.endpoint.move(ListenAddress("192.0.2.1", port if same else 0))
    assert (world.endpoint.port, world.endpoint.address) == (port, HERE)
    assert listens(port)
    assert len(world.open) == 1


def test_errors_name_the_keys_that_it_was_given() -> None:
    world = World(host_key="metrics_listen", port_key="metrics_listen")
    with pytest.raises(ListenError, match=r"^metrics_listen 192\.0\.2\.1"):
        world.endpoint.move(ListenAddress("192.0.2.1", 0))


def test_a_listener_of_the_callers_is_that_of_the_first_move_alone() -> None:
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    world = World(listener=listener)
    assert world.move(HERE) == port
    assert world.move(ListenAddress("localhost", 0)) != port
    world.endpoint.close()
