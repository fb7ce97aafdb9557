"""Sockets one by one: what is sent, what is kept, what counts as lost when they break."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from amiws_plugins.syslog_events import transports
from amiws_plugins.syslog_events.transports import (
    CHUNK,
    LINES_A_TURN,
    Datagrams,
    Stream,
    line_feed,
    octet_counted,
)
from amiws_plugins.syslog_events.units import Target
from gevent import socket as gsocket

from amiws_gevent.plugins.kit import Outbox
from tests.support.greenlets import until
from tests.support.patience import WAIT


def outbox_of(*lines: bytes) -> Outbox[bytes]:
    outbox: Outbox[bytes] = Outbox(100_000, 1 << 30)
    for line in lines:
        outbox.put(line)
    return outbox


def left(outbox: Outbox[bytes]) -> list[bytes]:
    return [outbox.pop() for _ in range(len(outbox))]


def flush(transport: Any, outbox: Outbox[bytes]) -> None:
    """Until nothing is left or the socket takes no more."""
    while transport.flush(outbox):
        gevent.sleep(0)


# -- the local socket


@pytest.fixture
def local(tmp_path: Path) -> Iterator[tuple[Datagrams, gsocket.socket]]:
    """A transport, open, and the daemon's socket."""
    path = str(tmp_path / "log")
    with gsocket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(path)
        daemon.setblocking(False)
        transport = Datagrams(Target("local", path))
        transport.open()
        yield transport, daemon
        transport.close()


def test_a_line_is_a_datagram(local: tuple[Datagrams, gsocket.socket]) -> None:
    transport, daemon = local
    outbox = outbox_of(b"one", b"two\xff")
    assert not transport.flush(outbox)
    assert [daemon.recv(100), daemon.recv(100)] == [b"one", b"two\xff"]
    assert not transport.blocked
    assert len(outbox) == 0


def test_what_a_full_socket_does_not_take_stays(local: tuple[Datagrams, gsocket.socket]) -> None:
    transport, daemon = local
    lines = [b"%d" % number for number in range(2000)]
    outbox = outbox_of(*lines)
    flush(transport, outbox)
    assert transport.blocked
    assert 0 < len(outbox) < len(lines)
    received = []
    while len(received) < len(lines):
        received.append(daemon.recv(100))
        if transport.blocked:
            flush(transport, outbox)
    assert received == lines
    assert transport.give_up(outbox) == 0


def test_others_run_between_many_lines(
    local: tuple[Datagrams, gsocket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "LINES_A_TURN", 3)
    outbox = outbox_of(*[b"x"] * 4)
    assert local[0].flush(outbox)
    assert len(outbox) == 1
    assert not local[0].flush(outbox)


def test_without_a_daemon_no_line_is_lost(tmp_path: Path) -> None:
    transport = Datagrams(Target("local", str(tmp_path / "log")))
    with pytest.raises(FileNotFoundError):
        transport.open()
    transport.close()


def test_a_daemon_that_ends_loses_no_line(local: tuple[Datagrams, gsocket.socket]) -> None:
    transport, daemon = local
    daemon.close()
    outbox = outbox_of(b"one", b"two")
    with pytest.raises(ConnectionRefusedError):
        transport.flush(outbox)
    assert transport.give_up(outbox) == 0
    assert left(outbox) == [b"one", b"two"]


def test_a_line_that_is_too_long_is_left_out(local: tuple[Datagrams, gsocket.socket]) -> None:
    transport, daemon = local
    outbox = outbox_of(b"x" * (1 << 20), b"next")
    flush(transport, outbox)
    assert daemon.recv(100) == b"next"
    assert outbox.dropped == 1


def test_a_daemon_with_another_kind_of_socket_is_an_error(tmp_path: Path) -> None:
    with gsocket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.listen()
        transport = Datagrams(Target("local", str(tmp_path / "log")))
        with pytest.raises(OSError, match="rong") as caught:
            transport.open()
        assert caught.value.errno == errno.EPROTOTYPE


# -- UDP


def udp(port: int, host: str = "127.0.0.1") -> Datagrams:
    transport = Datagrams(Target("udp", host=host, port=port))
    transport.open()
    return transport


@pytest.fixture
def receiver() -> Iterator[gsocket.socket]:
    with gsocket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(WAIT)
        yield receiver


def test_udp_sends_bare_lines(receiver: gsocket.socket) -> None:
    transport = udp(receiver.getsockname()[1])
    flush(transport, outbox_of(b"one", b"two"))
    assert [receiver.recv(100), receiver.recv(100)] == [b"one", b"two"]
    transport.close()


def test_of_a_port_without_a_receiver_one_line_is_lost(receiver: gsocket.socket) -> None:
    port = receiver.getsockname()[1]
    transport = udp(port)
    receiver.close()
    outbox = outbox_of(b"one", b"two", b"three")
    with pytest.raises(ConnectionRefusedError):
        transport.flush(outbox)
    assert transport.give_up(outbox) == 1
    transport.close()
    # From then on it waits after one line whether that one is refused too.
    transport.open()
    with pytest.raises(ConnectionRefusedError):
        transport.flush(outbox)
    assert transport.give_up(outbox) == 1
    assert left(outbox) == [b"three"]
    transport.close()


def test_after_a_refusal_one_line_goes_ahead_of_the_others(
    receiver: gsocket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a network the answer that nobody is there takes its time."""
    address = receiver.getsockname()
    transport = udp(address[1])
    receiver.close()
    outbox = outbox_of(b"one", b"two", b"three")
    with pytest.raises(ConnectionRefusedError):
        transport.flush(outbox)
    transport.close()
    pauses = []
    # Of this module alone: whoever else waits in this process is to wait on.
    pausing = {**vars(gevent), "sleep": lambda time: pauses.append((time, len(outbox)))}
    monkeypatch.setattr(transports, "gevent", SimpleNamespace(**pausing))
    with gsocket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(address)
        transport.open()
        assert not transport.flush(outbox)
        assert pauses == [(transports.PROBE_TIME, 1)]
        transport.close()


def test_a_refusal_shows_while_there_is_nothing_to_send(receiver: gsocket.socket) -> None:
    transport = udp(receiver.getsockname()[1])
    receiver.close()
    outbox = outbox_of(b"one")
    transport._send(outbox)
    with pytest.raises(ConnectionRefusedError):
        transport.flush(outbox)
    assert transport.give_up(outbox) == 1
    transport.close()


def test_what_a_receiver_says_is_read_and_left(receiver: gsocket.socket) -> None:
    transport = udp(receiver.getsockname()[1])
    flush(transport, outbox_of(b"one"))
    _, sender = receiver.recvfrom(100)
    receiver.sendto(b"what?", sender)
    flush(transport, outbox_of(b"two"))
    assert receiver.recv(100) == b"two"
    transport.close()


def test_a_backlog_is_sent_at_a_pace(receiver: gsocket.socket) -> None:
    transport = udp(receiver.getsockname()[1])
    outbox = outbox_of(*[b"x"] * (LINES_A_TURN + 1))
    turns = []
    pause = gevent.spawn(lambda: turns.append(len(outbox)))
    assert transport.flush(outbox)
    assert pause.ready()
    assert turns == [1]
    transport.close()


# -- TCP


class Listener:
    """Takes connections, and does with them what a test says."""

    def __init__(self) -> None:
        self.socket = gsocket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.socket.settimeout(WAIT)
        self.port: int = self.socket.getsockname()[1]
        self.target = Target("tcp", host="127.0.0.1", port=self.port)

    def accept(self) -> gsocket.socket:
        accepted, _ = self.socket.accept()
        accepted.settimeout(WAIT)
        return accepted  # type: ignore[no-any-return]


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(transports, "SETTLE_TIME", 0.02)
    made = Listener()
    yield made
    made.socket.close()


def connected(listener: Listener, frame: Any = octet_counted) -> tuple[Stream, gsocket.socket]:
    stream = Stream(listener.target, frame)
    opening = gevent.spawn(stream.open)
    accepted = listener.accept()
    opening.get(timeout=WAIT)
    return stream, accepted


def reset(sock: gsocket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize(
    ("frame", "wire"), [(octet_counted, b"3 one5 t\xc3\xa9wo"), (line_feed, b"one\nt\xc3\xa9wo\n")]
)
def test_lines_are_framed(listener: Listener, frame: Any, wire: bytes) -> None:
    stream, accepted = connected(listener, frame)
    flush(stream, outbox_of(b"one", "téwo".encode()))
    stream.finish()
    stream.close()
    assert b"".join(iter(lambda: accepted.recv(100), b"")) == wire
    accepted.close()


def test_before_writing_a_closed_connection_is_noticed(listener: Listener) -> None:
    stream, accepted = connected(listener)
    outbox = outbox_of(b"one")
    flush(stream, outbox)
    assert accepted.recv(100) == b"3 one"
    accepted.close()
    outbox = outbox_of(b"two", b"three")
    with pytest.raises(ConnectionAbortedError, match="it closed the connection"):
        stream.flush(outbox)
    assert stream.give_up(outbox) == 0  # the other side's system acknowledged the first
    assert left(outbox) == [b"two", b"three"]
    stream.close()


def test_before_writing_a_reset_connection_is_noticed(listener: Listener) -> None:
    stream, accepted = connected(listener)
    reset(accepted)
    outbox = outbox_of(b"two")
    with pytest.raises(ConnectionResetError):
        stream.flush(outbox)
    assert stream.give_up(outbox) == 0
    assert left(outbox) == [b"two"]
    stream.close()


def test_what_a_receiver_says_on_a_stream_is_read_and_left(listener: Listener) -> None:
    stream, accepted = connected(listener)
    accepted.sendall(b"hello" * 10_000)
    flush(stream, outbox_of(b"one"))
    assert accepted.recv(100) == b"3 one"
    stream.close()
    accepted.close()


def fill(stream: Stream, outbox: Outbox[bytes]) -> None:
    """Until the other side's buffer and ours are full."""
    until(lambda: (flush(stream, outbox), stream.blocked)[1])


def test_a_line_that_was_begun_is_never_sent_again(listener: Listener) -> None:
    """Of a connection that breaks while it is full: each line arrived, waits or counts as lost."""
    stream, accepted = connected(listener)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lines = [b"%06d" % number + b"x" * 600 for number in range(40_000)]
    outbox = outbox_of(*lines)
    fill(stream, outbox)
    gevent.sleep(0.05)  # what the kernels move between them on their own
    fill(stream, outbox)
    assert len(outbox) > 1000
    reset(accepted)
    with pytest.raises(OSError, match=r"reset|pipe"):
        until(lambda: flush(stream, outbox))
    lost = stream.give_up(outbox)
    assert stream.give_up(outbox) == 0  # they are counted once
    kept = left(outbox)
    assert kept == lines[len(lines) - len(kept) :]
    assert 0 < lost <= len(lines) - len(kept)
    stream.close()
    # The next connection begins with a whole line, the first that was not begun.
    stream, accepted = connected(listener)
    flush(stream, outbox_of(*kept[:2]))
    wire = octet_counted(kept[0]) + octet_counted(kept[1])
    received = b""
    while len(received) < len(wire):
        received += accepted.recv(4096)
    assert received == wire
    stream.close()
    accepted.close()


class Sock:
    """A socket that takes ``room`` bytes, then nothing, then fails."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken = b""
        self.broken = False

    def recv(self, _size: int) -> bytes:
        if self.broken:
            return b""
        raise BlockingIOError

    def send(self, data: memoryview) -> int:
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.taken += taken
        if not taken:
            raise BlockingIOError
        return len(taken)

    def fileno(self) -> int:
        raise OSError(errno.EBADF, "no descriptor")


def broken_after(room: int, *lines: bytes, secure: Any = None) -> tuple[int, list[bytes], Sock]:
    """Lines that count as lost, and those that wait, of a connection that took so many bytes."""
    stream = Stream(Target("tcp"), line_feed, secure)
    sock = Sock(room)
    stream._socket = sock
    stream._note_answers = lambda: None  # type: ignore[method-assign]
    outbox = outbox_of(*lines)
    while stream.flush(outbox):
        pass
    sock.broken = True
    with pytest.raises(ConnectionAbortedError):
        stream.flush(outbox)
    return stream.give_up(outbox), left(outbox), sock


@pytest.mark.parametrize(
    ("room", "lost", "kept"),
    [
        (0, 0, [b"aa", b"bb", b"cc"]),
        (1, 1, [b"bb", b"cc"]),
        (2, 1, [b"bb", b"cc"]),
        (3, 1, [b"bb", b"cc"]),
        (4, 2, [b"cc"]),
        (6, 2, [b"cc"]),
        (8, 3, []),
        (9, 3, []),
    ],
)
def test_which_lines_were_begun(room: int, lost: int, kept: list[bytes]) -> None:
    assert broken_after(room, b"aa", b"bb", b"cc")[:2] == (lost, kept)


def test_over_tls_nobody_knows_which_lines_were_begun() -> None:
    """OpenSSL may have a record that it has not told of: all lines of it count as begun."""
    assert broken_after(1, b"aa", b"bb", secure=object())[:2] == (2, [])
    rest = [b"x" * CHUNK, b"later"]
    assert broken_after(0, b"aa", *rest, secure=object())[:2] == (1, rest)


def test_a_line_is_finished_before_the_next() -> None:
    stream = Stream(Target("tcp"), line_feed)
    sock = Sock(4)
    stream._socket = sock
    stream._note_answers = lambda: None  # type: ignore[method-assign]
    outbox = outbox_of(b"aaaaaa", b"bb")
    assert not stream.flush(outbox)
    assert stream.blocked
    outbox.put(b"cc")
    sock.room = 100
    while stream.flush(outbox):
        assert not stream.blocked
    assert sock.taken == b"aaaaaa\nbb\ncc\n"
    assert not stream.blocked


def test_a_receiver_that_takes_connections_and_closes_them_gets_no_line(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "SETTLE_TIME", 20.0)
    stream = Stream(listener.target, octet_counted)
    opening = gevent.spawn(stream.open)
    listener.accept().close()
    with pytest.raises(ConnectionAbortedError):
        opening.get(timeout=WAIT)
    stream.close()


def test_nobody_listens(listener: Listener) -> None:
    listener.socket.close()
    stream = Stream(listener.target, octet_counted)
    with pytest.raises(ConnectionRefusedError):
        stream.open()
    stream.close()


def test_a_handshake_that_never_ends_is_left(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "CONNECT_TIME", 0.05)
    stream = Stream(listener.target, octet_counted, lambda sock: sock.recv(1))
    with pytest.raises(TimeoutError, match=r"no connection within 0\.05 s"):
        stream.open()
    stream.close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "x" * 70, "a..b"])
def test_hosts_that_have_no_address(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> None:
        host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(gsocket, "getaddrinfo", nobody)
    for made in (
        Stream(Target("tcp", host=host, port=1), octet_counted),
        Datagrams(Target("udp", host=host)),
    ):
        with pytest.raises(OSError, match=r"not known|is not a host name"):
            made.open()
        made.close()


def test_the_next_address_of_a_host_is_tried(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1)),
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", listener.port)),
    ]
    monkeypatch.setattr(gsocket, "getaddrinfo", lambda *_, **__: answers)
    stream, accepted = connected(listener)
    stream.close()
    accepted.close()


def test_what_the_other_system_acknowledged_is_not_counted_as_lost(listener: Listener) -> None:
    stream, accepted = connected(listener)
    outbox = outbox_of(b"one", b"two")
    flush(stream, outbox)
    assert accepted.recv(100)
    until(lambda: stream._note_answers() or stream._unanswered == 0)
    reset(accepted)
    assert stream.give_up(outbox) == 0
    stream.close()


def test_at_the_end_the_receiver_gets_all_that_was_written(listener: Listener) -> None:
    stream, accepted = connected(listener)
    flush(stream, outbox_of(b"last"))
    accepted.sendall(b"unread")  # closing with something unread would reset the connection
    stream.finish()
    stream.close()
    assert accepted.recv(100) == b"4 last"
    assert accepted.recv(100) == b""
    accepted.close()


@pytest.fixture
def silent() -> Iterator[Any]:
    """The address of a system that answers nothing."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listening,
        socket.create_connection(listening.getsockname()),  # fills the backlog
    ):
        yield listening.getsockname()


def found_at(monkeypatch: pytest.MonkeyPatch, *places: Any) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr(gsocket, "getaddrinfo", lambda *_, **__: answers)


def test_an_address_that_is_silent_leaves_time_for_the_next(
    listener: Listener, silent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_at(monkeypatch, silent, ("127.0.0.1", listener.port))
    monkeypatch.setattr(transports, "CONNECT_TIME", 4.0)
    stream = Stream(listener.target, octet_counted)
    stream.open()
    stream.close()


def test_all_addresses_together_have_the_time_of_one(
    listener: Listener, silent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit must not count as the failure of one address, and be over with it."""
    found_at(monkeypatch, silent, silent)
    monkeypatch.setattr(transports, "CONNECT_TIME", 0.2)
    stream = Stream(listener.target, octet_counted)
    with gevent.Timeout(WAIT), pytest.raises(TimeoutError):
        stream.open()
    stream.close()
