from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import gevent
import pytest
import trustme
from gevent import socket as gsocket
from gevent.ssl import SSLContext

from amiws_gevent.errors import SendBufferFull
from amiws_gevent.link.wire import LARGEST_READ, Wire
from tests.support.greenlets import bytes_waiting, until
from tests.support.leaks import open_descriptors
from tests.support.patience import WAIT

LIMIT = 8 * 1024 * 1024


class Pair:
    """A wire and its peer (a gevent socket); plain TCP on loopback, or TLS over it."""

    def __init__(self, tls: bool, limit: int = LIMIT) -> None:
        listener = gsocket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        near = gsocket.create_connection(listener.getsockname())
        self.peer, _ = listener.accept()
        listener.close()
        if tls:
            near = self._secure(near)
        self.raw = near
        self.wire = Wire(near, limit)

    def _secure(self, near: gsocket.socket) -> gsocket.socket:
        authority = trustme.CA()
        ours, theirs = SSLContext(ssl.PROTOCOL_TLS_CLIENT), SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.configure_trust(ours)
        authority.issue_cert("localhost").configure_cert(theirs)
        peer = gevent.spawn(theirs.wrap_socket, self.peer, server_side=True)
        secured = ours.wrap_socket(near, server_hostname="localhost")
        self.peer = peer.get(timeout=WAIT)
        return secured

    def read_until(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.wire.read()
            assert part
            data += part
        return data

    def receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self.peer.recv(1 << 20)
            assert part
            data += part
        return bytes(data)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    made = Pair(request.param)
    with gevent.Timeout(WAIT):
        yield made
    made.wire.close()
    made.peer.close()


@pytest.fixture
def plain() -> Iterator[Pair]:
    made = Pair(tls=False)
    with gevent.Timeout(WAIT):
        yield made
    made.wire.close()
    made.peer.close()


def has_ended(wire: Wire) -> bool:
    """Whether reading tells the end, in order or as an error."""
    try:
        return wire.read() == b""
    except OSError:
        return True


def numbered(size: int) -> bytes:
    return b"".join(b"%015d\n" % number for number in range(size // 16))


def test_reads_what_comes_and_its_end(pair: Pair) -> None:
    pair.peer.sendall(b"one")
    assert pair.wire.read() == b"one"
    pair.peer.sendall(b"two")
    pair.peer.close()
    assert pair.wire.read() == b"two"
    assert pair.wire.read() == b""
    assert pair.wire.read() == b""


def test_a_stream_comes_whole_in_reads_of_bounded_size(pair: Pair) -> None:
    data = numbered(8 * LARGEST_READ)
    sending = gevent.spawn(pair.peer.sendall, data)
    parts = []
    while sum(map(len, parts)) < len(data):
        parts.append(pair.wire.read())
    sending.get()
    assert b"".join(parts) == data
    assert max(map(len, parts)) <= LARGEST_READ


def test_a_waiting_burst_is_read_in_large_parts(pair: Pair) -> None:
    data = numbered(4 * LARGEST_READ)
    pair.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * LARGEST_READ)
    sending = gevent.spawn(pair.peer.sendall, data)
    until(lambda: bytes_waiting(pair.raw) > LARGEST_READ + 32 * 1024)
    first = pair.wire.read()
    assert LARGEST_READ * 3 // 4 <= len(first) <= LARGEST_READ
    assert first + pair.read_until(len(data) - len(first)) == data
    sending.get()


def test_a_reset_is_an_error(plain: Pair) -> None:
    plain.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    plain.peer.close()
    with pytest.raises(ConnectionResetError):
        plain.wire.read()


def test_bytes_before_a_reset_are_not_lost(pair: Pair) -> None:
    pair.peer.sendall(b"last words")
    pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert pair.wire.read() == b"last words"
    pair.peer.close()
    assert has_ended(pair.wire)


@pytest.mark.slow
def test_a_peer_that_never_pauses_leaves_turns_to_others(pair: Pair) -> None:
    data = numbered(1 << 20)
    ended = False

    def flood() -> None:
        while not ended:
            pair.peer.sendall(data)

    turns = []

    def other() -> None:
        while not ended:
            gevent.sleep(0)
            turns.append(1)

    greenlets = [gevent.spawn(flood), gevent.spawn(other)]
    gevent.sleep(0)
    before_each = []
    for _ in range(100):
        before = len(turns)
        assert pair.wire.read()
        before_each.append(len(turns) - before)
    ended = True
    assert min(before_each) >= 1
    pair.wire.shutdown()
    gevent.killall(greenlets)


def test_writes_go_out_at_once_without_a_greenlet(pair: Pair) -> None:
    pair.wire.write(b"one")
    assert pair.wire.pending_bytes == 0
    assert pair.wire._writer is None
    assert pair.peer.recv(10) == b"one"


def test_what_the_peer_does_not_take_waits_and_comes_in_order(pair: Pair) -> None:
    data = numbered(6 * 1024 * 1024)
    for start in range(0, len(data), 100_000):
        pair.wire.write(data[start : start + 100_000])
    assert pair.wire.pending_bytes > 0
    received = pair.receive(len(data))
    assert received == data
    until(lambda: pair.wire._writer is None)
    assert pair.wire.pending_bytes == 0
    pair.wire.write(b"after")
    assert pair.peer.recv(10) == b"after"


def test_a_write_does_not_overtake_what_waits(plain: Pair) -> None:
    data = numbered(6 * 1024 * 1024)
    plain.wire.write(data)
    assert plain.wire.pending_bytes > 0
    received = b""
    while bytes_waiting(plain.peer):  # none of this lets the writer have its turn
        received += plain.peer.recv(1 << 20)
    plain.wire.write(b"after")
    received += plain.receive(len(data) + 5 - len(received))
    assert received == data + b"after"


def test_past_the_limit_a_write_is_refused_whole() -> None:
    pair = Pair(tls=False, limit=100_000)
    chunk = b"x" * 60_000
    sent = 0
    while pair.wire.pending_bytes <= 40_000:
        pair.wire.write(chunk)
        sent += len(chunk)
    with pytest.raises(SendBufferFull):
        pair.wire.write(chunk)
    assert pair.wire.pending_bytes <= 100_000
    assert pair.receive(sent) == b"x" * sent
    pair.wire.close()
    assert pair.peer.recv(10) == b""
    pair.peer.close()


def test_another_limit_holds_at_once() -> None:
    pair = Pair(tls=False, limit=10)
    with pytest.raises(SendBufferFull):
        pair.wire.write(b"x" * 11)
    pair.wire.limit = 11
    pair.wire.write(b"x" * 11)
    assert pair.receive(11) == b"x" * 11
    pair.wire.close()
    pair.peer.close()


def test_reading_goes_on_while_writes_wait(pair: Pair) -> None:
    for _ in range(60):
        pair.wire.write(b"x" * 100_000)
    assert pair.wire.pending_bytes > 0
    pair.peer.sendall(b"still here")
    assert pair.wire.read() == b"still here"


def test_shutdown_wakes_the_reader(pair: Pair) -> None:
    gevent.spawn(pair.wire.shutdown)
    assert has_ended(pair.wire)  # an error when a ticket of TLS comes behind it


def test_shutdown_of_a_connection_that_is_gone_is_no_error(plain: Pair) -> None:
    plain.wire.shutdown()
    plain.wire.shutdown()
    plain.peer.close()
    plain.wire.shutdown()


def test_a_write_to_a_connection_that_broke_raises(plain: Pair) -> None:
    plain.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    plain.peer.close()
    assert has_ended(plain.wire)
    with pytest.raises(OSError, match=r"reset|pipe"):
        plain.wire.write(b"x")


def test_a_connection_that_breaks_while_bytes_wait_wakes_the_reader(plain: Pair) -> None:
    for _ in range(60):
        plain.wire.write(b"x" * 100_000)
    plain.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    plain.peer.close()
    assert has_ended(plain.wire)
    until(lambda: plain.wire._writer is None)
    with pytest.raises(OSError, match=r"reset|pipe"):
        plain.wire.write(b"x")


def test_close_ends_the_writer_and_frees_the_descriptors() -> None:
    before = open_descriptors()
    pair = Pair(tls=False)
    for _ in range(60):
        pair.wire.write(b"x" * 100_000)
    writer = pair.wire._writer
    assert writer is not None
    pair.wire.close()
    pair.peer.close()
    assert writer.dead
    until(lambda: open_descriptors() <= before)
