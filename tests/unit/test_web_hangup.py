"""A client that leaves while its answer is made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gevent import socket

from amiws_gevent.web.hangup import Hangup
from tests.support.greenlets import until


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_the_end_is_told_once(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    told: list[int] = []
    hangup = Hangup(ours, lambda: told.append(1))
    assert told == []
    theirs.close()
    until(lambda: told)
    assert told == [1]
    hangup.close()
    hangup.close()


def test_a_reset_is_an_end(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    told: list[int] = []
    ours.send(b"unread")
    Hangup(ours, lambda: told.append(1))
    theirs.close()  # with unread bytes: a reset
    until(lambda: told)


def test_what_comes_is_left_where_it_is(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    told: list[int] = []
    hangup = Hangup(ours, lambda: told.append(1))
    theirs.send(b"next")
    until(lambda: hangup._watcher is None)
    assert ours.recv(10) == b"next"
    assert told == []


def test_who_has_closed_it_hears_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    told: list[int] = []
    Hangup(ours, lambda: told.append(1)).close()
    heard: list[int] = []
    Hangup(ours, lambda: heard.append(1))
    theirs.close()
    until(lambda: heard)
    assert told == []
