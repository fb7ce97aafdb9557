"""Ports that are kept for edges."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from gevent import socket

from amiws_gevent.config import Settings
from amiws_gevent.errors import ListenError
from amiws_gevent.web.listener import open_listener
from amiws_gevent.workers.ports import Ports
from tests.support.patience import WAIT
from tests.support.webserver import make_settings


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def settings(**keys: Any) -> Settings:
    return make_settings(**{"ws_host": "127.0.0.1", "ws_port": 0, **keys})


def is_free(port: int) -> bool:
    try:
        open_listener("127.0.0.1", port).close()
    except ListenError:
        return False
    return True


def test_edges_share_what_nobody_else_gets(stack: ExitStack) -> None:
    ports = Ports(settings(metrics_listen="127.0.0.1:0"))
    stack.callback(ports.close)
    told = ports.replaced()
    assert not is_free(told["ws_port"])
    with pytest.raises(ListenError, match=r"set another ws_port"):
        Ports(settings(ws_port=told["ws_port"]))
    edges = [
        stack.enter_context(open_listener("127.0.0.1", told["ws_port"], shared=True))
        for _ in range(2)
    ]
    for edge in edges:
        edge.settimeout(WAIT)
    port = int(told["metrics_listen"].rpartition(":")[2])
    stack.enter_context(open_listener("127.0.0.1", port, shared=True))
    assert not is_free(told["ws_port"])
    stack.enter_context(socket.create_connection(("127.0.0.1", told["ws_port"]), WAIT))


def test_nobody_is_sent_to_a_port_that_is_only_kept(stack: ExitStack) -> None:
    ports = Ports(settings())
    stack.callback(ports.close)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports.web.number), WAIT)


def test_from_one_configuration_to_the_next(stack: ExitStack) -> None:
    before = Ports(settings(metrics_listen="127.0.0.1:0"))
    stack.callback(before.close)
    assert before.metrics is not None
    now = Ports(settings(metrics_listen="[::1]:0"), before)
    stack.callback(now.close)
    assert now.metrics is not None
    assert now.web is before.web
    assert now.replaced()["metrics_listen"] == f"[::1]:{now.metrics.number}"
    before.close(now)
    assert is_free(before.metrics.number)
    assert not is_free(now.web.number)
    now.close()
    assert is_free(now.web.number)


def test_the_same_port_at_another_address(stack: ExitStack) -> None:
    before = Ports(settings())
    stack.callback(before.close)
    number = before.web.number
    stack.enter_context(open_listener("127.0.0.1", number, shared=True))
    now = Ports(settings(ws_host="0.0.0.0", ws_port=number), before)
    stack.callback(now.close)
    stack.enter_context(open_listener("0.0.0.0", number, shared=True))


def test_what_fails_keeps_what_there_was(stack: ExitStack) -> None:
    before = Ports(settings())
    stack.callback(before.close)
    taken = stack.enter_context(open_listener("127.0.0.1", 0)).getsockname()[1]
    with pytest.raises(ListenError, match="metrics_listen"):
        Ports(settings(metrics_listen=f"127.0.0.1:{taken}"), before)
    assert not is_free(before.web.number)
    with pytest.raises(ListenError, match="metrics_listen"):
        Ports(settings(metrics_listen=f"127.0.0.1:{taken}"))


def test_connections_wait_for_the_next_edge_of_a_name(stack: ExitStack) -> None:
    ports = Ports(settings())
    stack.callback(ports.close)
    listener = ports.web.listener_of("edge-1")
    assert ports.web.listener_of("edge-1") is listener
    first = socket.socket(fileno=os.dup(listener.fileno()))
    first.close()  # it ends
    address = "127.0.0.1", ports.web.number
    waiting = stack.enter_context(socket.create_connection(address, WAIT))
    second = stack.enter_context(socket.socket(fileno=os.dup(listener.fileno())))
    second.settimeout(WAIT)
    accepted, peer = second.accept()
    assert peer == waiting.getsockname()
    accepted.close()
    second.close()
    ports.web.release("edge-1")
    ports.web.release("edge-1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, WAIT)
    assert ports.web.listener_of("edge-1") is not listener
