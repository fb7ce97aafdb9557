"""The reader of a connection, and the ways to part from one."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import gevent
import pytest
from gevent import socket

from amiws_gevent.web.connection import (
    HeadTooLarge,
    Reader,
    answer_and_close,
    hang_up,
    peer_names,
    refusal_bytes,
    tls_object,
)
from amiws_gevent.web.listener import open_listener
from tests.support.patience import WAIT

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Ends:
    """Both ends of a connection, and the reader of one."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.far.settimeout(WAIT)
        self.reader = Reader(self.near, time.monotonic)


class Dripping:
    """A socket on which each byte comes by itself."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def recv(self, size: int) -> bytes:
        return bytes(itertools.islice(self._bytes, 1))


def dripping(data: bytes) -> Reader:
    sock: Any = Dripping(data)
    return Reader(sock, time.monotonic)


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = Ends()
    yield both
    both.near.close()
    both.far.close()


def test_what_is_behind_a_head_is_kept(ends: Ends) -> None:
    ends.far.sendall(HEAD + HEAD + b"\x81\x80rest")
    assert ends.reader.read_head(1000) == HEAD
    assert ends.reader.read_head(1000) == HEAD
    assert ends.reader.read(2) == b"\x81\x80"
    assert ends.reader.read(4) == b"rest"


@pytest.mark.parametrize(
    "head", [HEAD, b"GET / HTTP/1.1\n\n", b"GET /\nA: b\n\r\n", b"GET /\r\nA: b\r\n\n"]
)
def test_a_head_byte_by_byte(head: bytes) -> None:
    reader = dripping(b"\r\n\n" + head + b"x")
    assert reader.read_head(1000) == head
    assert reader.read() == b"x"


@pytest.mark.parametrize("data", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost"])
def test_an_end_before_the_head_ends(data: bytes) -> None:
    assert dripping(data).read_head(1000) == data.lstrip(b"\r\n")


@pytest.mark.parametrize("data", [b"x" * 100, b"A: b\r\n" * 20, b"\r\n" * 50])
def test_a_head_without_an_end(ends: Ends, data: bytes) -> None:
    ends.far.sendall(data)
    with pytest.raises(HeadTooLarge):
        ends.reader.read_head(100)


def test_a_head_of_just_the_limit(ends: Ends) -> None:
    ends.far.sendall(HEAD)
    assert ends.reader.read_head(len(HEAD)) == HEAD


def test_wait_tells_the_first_byte_and_takes_none(ends: Ends) -> None:
    ends.far.sendall(b"\x16\x03")
    assert ends.reader.wait() == ends.reader.wait() == 0x16
    assert ends.reader.read(2) == b"\x16\x03"
    ends.far.close()
    assert ends.reader.wait() == -1


def test_reads_of_any_size(ends: Ends) -> None:
    data = bytes(range(256)) * 2000
    gevent.spawn(lambda: (ends.far.sendall(data), ends.far.shutdown(socket.SHUT_WR)))
    sizes = itertools.cycle([1, 2, 4, 70000, 3, 65536])
    read = b"".join(iter(lambda: ends.reader.read(next(sizes)), b""))
    assert read == data


def test_many_small_reads_of_one_buffer_are_no_slower(ends: Ends) -> None:
    """A buffer that is copied for each read of a few bytes would take some 100 times as long."""
    ends.far.sendall(b"x" * 60000)
    assert ends.reader.wait() == ord("x")
    begun = time.process_time()
    for _ in range(30000):
        assert len(ends.reader.read(2)) == 2
    assert time.process_time() - begun < 2


def test_lines() -> None:
    lines = iter(dripping(b"one\ntwo\n\nthree").readline, b"")
    assert list(lines) == [b"one\n", b"two\n", b"\n", b"three"]


def test_lines_of_at_most_a_size(ends: Ends) -> None:
    ends.far.sendall(b"one\ntwo\nthree")
    ends.far.shutdown(socket.SHUT_WR)
    sizes = [2, 0, 5, 100, 3, 100, 100]
    lines = [ends.reader.readline(size) for size in sizes]
    assert lines == [b"on", b"", b"e\n", b"two\n", b"thr", b"ee", b""]


def test_past_the_deadline(ends: Ends) -> None:
    ends.reader.deadline = time.monotonic() + 0.05
    ends.far.sendall(b"G")
    with pytest.raises(TimeoutError):
        ends.reader.read_head(1000)
    assert ends.reader.closed
    assert ends.reader.wait() == -1


def test_the_deadline_is_for_all_bytes_together(ends: Ends) -> None:
    def drip() -> None:
        while True:
            gevent.sleep(0.02)
            ends.far.sendall(b"x")

    dripping = gevent.spawn(drip)
    ends.reader.deadline = time.monotonic() + 0.2
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        ends.reader.read_head(1000)
    assert time.monotonic() - begun < WAIT
    dripping.kill()


@pytest.mark.slow
def test_without_a_deadline_it_goes_on(ends: Ends) -> None:
    ends.reader.deadline = time.monotonic() + 1
    ends.far.sendall(HEAD)
    ends.reader.read_head(1000)
    ends.reader.deadline = None
    ends.near.settimeout(None)
    gevent.spawn_later(1.1, ends.far.sendall, b"late")
    assert ends.reader.read(4) == b"late"


def test_heard_is_when_bytes_came() -> None:
    near, far = socket.socketpair()
    now = 5.0
    reader = Reader(near, lambda: now)
    assert reader.heard == 5.0
    far.sendall(b"ab")
    now = 7.0
    reader.read(1)
    now = 9.0
    reader.read(1)  # was there already
    assert reader.heard == 7.0
    far.close()
    assert reader.wait() == -1
    assert reader.heard == 7.0
    near.close()


def test_nothing_is_held_while_it_waits(ends: Ends) -> None:
    ends.far.sendall(HEAD + b"ab")
    ends.reader.read_head(1000)
    ends.reader.read(2)
    assert ends.reader._buffer == b""


def test_discard(ends: Ends) -> None:
    ends.far.sendall(b"x" * 1000)
    ends.reader.wait()
    assert not ends.reader.discard(0)
    assert ends.reader._buffer == b""
    ends.far.sendall(b"x" * 1000)
    assert not ends.reader.discard(1000)
    ends.far.sendall(b"x" * 10)
    ends.far.shutdown(socket.SHUT_WR)
    assert ends.reader.discard(1000)


def test_discard_within_a_time(ends: Ends) -> None:
    with pytest.raises(TimeoutError):
        ends.reader.discard(1000, 0.02)


def test_an_error_closes(ends: Ends) -> None:
    ends.near.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        ends.reader.wait()
    assert ends.reader.closed


def test_hang_up_ends_the_output_and_never_raises(ends: Ends) -> None:
    hang_up(ends.near)
    assert ends.far.recv(10) == b""
    ends.far.sendall(b"still")
    assert ends.reader.read(5) == b"still"
    ends.near.close()
    hang_up(ends.near)


def test_a_last_answer_is_read_though_more_was_sent() -> None:
    """TCP, since there a close with bytes unread resets the connection."""
    listener = open_listener("127.0.0.1", 0)
    far = socket.create_connection(listener.getsockname(), timeout=WAIT)
    near, _ = listener.accept()
    far.sendall(b"x" * 100_000)
    parting = gevent.spawn(answer_and_close, near, Reader(near, time.monotonic), b"no")
    gevent.sleep(0)
    far.sendall(b"x" * 100_000)
    assert far.recv(10) == b"no"
    assert far.recv(10) == b""
    far.close()
    parting.join(WAIT)
    assert parting.successful()
    near.close()
    listener.close()


def test_a_last_answer_to_one_who_is_gone(ends: Ends) -> None:
    ends.far.close()
    answer_and_close(ends.near, ends.reader, b"no")


def test_refusal() -> None:
    answer = refusal_bytes(HTTPStatus.SERVICE_UNAVAILABLE, "full", ("Retry-After", "5"))
    assert answer == (
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\nRetry-After: 5\r\n\r\n"
        b"503 full\n"
    )


@pytest.mark.parametrize(
    ("address", "names"),
    [
        (("192.0.2.1", 99), ("192.0.2.1", "192.0.2.1:99")),
        (("::ffff:192.0.2.1", 99, 0, 0), ("192.0.2.1", "192.0.2.1:99")),
        (("2001:db8::1", 99, 0, 0), ("2001:db8::1", "[2001:db8::1]:99")),
        (("::ffff:1", 99, 0, 0), ("::ffff:1", "[::ffff:1]:99")),
        ("", ("unix", "unix")),
    ],
)
def test_peer_names(address: object, names: tuple[str, str]) -> None:
    assert peer_names(address) == names


def test_a_plain_socket_has_no_tls(ends: Ends) -> None:
    assert tls_object(ends.near) is None
