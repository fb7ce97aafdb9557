"""Connections that are handed from one edge to another; all in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import gevent
import pytest
from gevent import socket

from amiws_gevent.workers import spread
from amiws_gevent.workers.handover import Seat
from amiws_gevent.workers.spread import MOST_PLACES, Neighbours, Places, fewest_of
from tests.support.patience import WAIT
from tests.support.webserver import Peer, make_settings, serving, wait_for


@pytest.mark.parametrize(
    ("counts", "own", "to"),
    [
        ([10, 0], 0, 1),
        ([0, 10], 1, 0),
        ([0, 10], 0, None),
        ([7, 0], 0, None),  # not worth it
        ([100, 92], 0, None),  # not over 1.1 times the mean
        ([111, 90], 0, 1),
        ([111, 90, 80], 0, 2),
        ([111, 90, 300], 0, None),
        ([10], 0, None),
        ([0, 0], 0, None),
    ],
)
def test_the_rule(counts: list[int], own: int, to: int | None) -> None:
    assert fewest_of(counts, own) == to


class Site:
    """Places, and edges that have some of them."""

    def __init__(self, stack: ExitStack) -> None:
        self.places = Places(2)
        stack.callback(self.places.close)
        self.stack = stack

    def edge(self, number: int, connections: int = 0) -> Neighbours:
        seat = self.places.take(number)
        assert seat is not None
        inherited = tuple((os.dup(sends), os.dup(takes)) for sends, takes in seat.ends)
        made = Neighbours(replace(seat, ends=inherited))
        for end in (*made._sending, *made._taking):  # a process closes them by its end
            self.stack.enter_context(end)
        made.count(connections)
        return made

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """A client, and its connection as it was accepted."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), WAIT)
            accepted, _ = listener.accept()
        return self.stack.enter_context(client), self.stack.enter_context(accepted)


@pytest.fixture
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack)


def test_who_has_too_many_hands_over_to_who_has_the_fewest(site: Site) -> None:
    full, empty = site.edge(0, 100), site.edge(1, 10)
    client, accepted = site.pair()
    assert full.hand_over(accepted)
    accepted.close()
    assert full.receive() is None
    found = empty.receive()
    assert found is not None
    connection, address = found
    assert address == client.getsockname()
    assert not os.get_inheritable(connection.fileno())
    client.sendall(b"hello")
    assert connection.recv(5) == b"hello"
    connection.close()
    assert empty.receive() is None
    assert not empty.hand_over(connection)


def test_what_waits_counts(site: Site) -> None:
    full, _empty = site.edge(0, 20), site.edge(1)
    _, accepted = site.pair()
    handed = 0
    while full.hand_over(accepted):
        handed += 1
    assert handed == 13  # 20 and 13: less than 8 apart


def test_one_that_ended_is_counted_as_empty_and_has_what_waits_when_it_comes_again(
    site: Site,
) -> None:
    lives = site.edge(0, 20)
    site.edge(1, 20)
    client, accepted = site.pair()
    assert not lives.hand_over(accepted)
    site.places.ended(1)
    assert lives.hand_over(accepted)
    found = site.edge(1).receive()
    assert found is not None
    assert found[1] == client.getsockname()
    found[0].close()


def test_what_waits_for_one_that_does_not_come_is_closed(site: Site) -> None:
    lives = site.edge(0, 20)
    site.edge(1)
    client, accepted = site.pair()
    assert lives.hand_over(accepted)
    accepted.close()
    site.places.release(1)
    client.settimeout(WAIT)
    assert client.recv(1) == b""
    _, accepted = site.pair()
    assert not lives.hand_over(accepted)
    site.places.take(1)
    assert lives.hand_over(accepted)


def test_one_that_is_spared_keeps_what_waits(site: Site) -> None:
    lives, silent = site.edge(0, 20), site.edge(1)
    _, accepted = site.pair()
    assert lives.hand_over(accepted)
    site.places.spare(1)
    assert not lives.hand_over(accepted)
    found = silent.receive()
    assert found is not None
    found[0].close()


def test_one_whose_place_is_not_in_use_keeps_its_own(site: Site) -> None:
    leaves = site.edge(0, 20)
    site.edge(1)
    site.places.spare(0)
    assert not leaves.hand_over(site.pair()[1])


def test_if_too_many_wait_the_connection_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "QUEUE_BYTES", 1)  # the kernel makes it a few thousand
    small = Site(site.stack)
    full, _ = small.edge(0, 1_000_000), small.edge(1)
    _, accepted = site.pair()
    handed = 0
    while full.hand_over(accepted):
        handed += 1
    assert 0 < handed < 100


def test_a_client_that_has_left_meanwhile_is_none(site: Site) -> None:
    full, empty = site.edge(0, 20), site.edge(1)
    with socket.socket() as not_connected:
        assert full.hand_over(not_connected)
    assert empty.receive() is None


def test_a_message_without_a_connection_is_none(site: Site) -> None:
    """As the kernel delivers it if there is no descriptor left."""
    edge = site.edge(1)
    seat = site.places.take(1)
    assert seat is not None
    os.write(seat.ends[1][0], b"\0")
    assert edge.receive() is None
    os.write(seat.ends[1][0], b"\0")
    site.places.release(1)


def test_more_edges_than_places(site: Site) -> None:
    assert site.places.take(MOST_PLACES) is None
    site.places.ended(MOST_PLACES)
    site.places.release(MOST_PLACES)
    many = Places(MOST_PLACES + 1)
    assert isinstance(many.take(MOST_PLACES), Seat)
    many.close()
    many.release(0)  # a timer that comes late
    assert many.take(0) is None


def test_two_web_servers(site: Site) -> None:
    """What is handed over is served as what was accepted, by its own address, and counted."""
    edges = [site.edge(number) for number in range(2)]
    with (
        serving(make_settings(), spread=edges[0]) as first,
        serving(make_settings(limits={"header_time": WAIT}), spread=edges[1]) as second,
        ExitStack() as stack,
    ):
        peers = [stack.enter_context(Peer(first.port)) for _ in range(40)]
        wait_for(lambda: first.connections + second.connections == 40, "all are there")
        assert first.connections <= 24
        for peer in peers:
            assert peer.request("GET /x HTTP/1.1").status == 200
        stack.close()
        wait_for(lambda: not first.connections + second.connections, "all have left")
        assert list(site.places._memory.counts[:2]) == [0, 0]


def test_nothing_is_taken_while_accepting_is_paused(site: Site) -> None:
    edges = [site.edge(0, 20), site.edge(1)]
    with serving(make_settings(), spread=edges[1]) as server:
        acceptor = server._endpoint._acceptor
        assert acceptor is not None
        acceptor.stop_accepting()
        _, accepted = site.pair()
        assert edges[0].hand_over(accepted)
        accepted.close()
        for _ in range(5):
            gevent.sleep(0)
        assert server.connections == 0
        acceptor.start_accepting()
        wait_for(lambda: server.connections == 1, "it is taken")
        site.stack.close()
        wait_for(lambda: server.connections == 0, "it has left")
