"""One client's socket: what offer does when it may not wait, and how a connection ends."""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gevent.event
import pytest
import trustme
from gevent import socket, ssl

from amiws_gevent.batch import Item
from amiws_gevent.config import Limits
from amiws_gevent.web import websocket
from amiws_gevent.web.backlog import ITEM_COST, Backlog, Losses, LossyBacklog
from amiws_gevent.web.connection import Reader
from amiws_gevent.web.frames import text_frame, text_frames
from amiws_gevent.web.listener import open_listener
from amiws_gevent.web.websocket import WebSocketClient
from tests.support.greenlets import bytes_waiting
from tests.support.webserver import FakeSessions, Frame, Peer, close_payload, masked, wait_for

SMALL = 16 * 1024  # bytes of a socket's buffer, so that little blocks it
CLOSE, PING, PONG = 8, 9, 10


class Far(Peer):
    """The client's end of a connection that is there already."""

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.socket.settimeout(10)
        self.buffer = b""


class Line:
    """A WebSocketClient and the client at the other end of it, over TLS or not."""

    def __init__(
        self,
        *,
        tls: bool = False,
        losses: Losses | None = None,
        spread: Callable[[Callable[[], None]], None] = lambda work: work(),
        **limits: Any,
    ) -> None:
        with open_listener("127.0.0.1", 0) as listener:
            far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            far.connect(listener.getsockname())
            near, _ = listener.accept()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            near, far = handshake(near, far)
        self.now = 1000.0
        self.far = Far(far)
        self.client = WebSocketClient(
            near,
            Reader(near, lambda: self.now),
            address="192.0.2.1:99",
            user="ann",
            subprotocol=None,
            limits=Limits(**limits),
            make_source=partial(LossyBacklog, losses, text_frame) if losses else Backlog,
            spread=spread,
            clock=lambda: self.now,
        )
        self.near = near
        self.sessions: Any = FakeSessions()
        self.greenlet: gevent.Greenlet[..., None] | None = None

    def run(self, sessions: Any = None, pace: Callable[[], object] = lambda: None) -> None:
        self.sessions = sessions or self.sessions
        self.greenlet = gevent.spawn(self.client.run, self.sessions, pace)
        gevent.sleep(0)

    def offer(self, data: bytes, messages: int = 1) -> None:
        """As the hub does."""
        self.client.outlet.offer(Item(data, messages, {}))

    def block(self, size: int = 1000) -> int:
        """Offer numbered texts until they wait; how many."""
        for number in range(100_000):
            self.offer(text_frame(b"%d " % number + b"x" * size))
            if self.client.pending_bytes:
                return number + 1
        raise AssertionError("never blocked")

    def texts(self) -> list[bytes]:
        """The numbers of all texts that come until the end, which is a Close frame."""
        *texts, last = self.far.frames()
        assert last.opcode == CLOSE
        return [text.payload.split(b" ")[0] for text in texts]

    def end(self) -> None:
        if self.greenlet is not None:
            self.client.abort("the test is over")
            self.greenlet.join(60)
            assert self.greenlet.successful()
        self.client._release()
        self.far.socket.close()


def handshake(near: Any, far: Any) -> tuple[Any, Any]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trust)
    serving = gevent.spawn(context.wrap_socket, near, server_side=True)
    return_far = trust.wrap_socket(far, server_hostname="localhost")
    return serving.get(timeout=60), return_far


MakeLine = Callable[..., Line]


@pytest.fixture
def make_line() -> Iterator[MakeLine]:
    lines = []

    def make(**options: Any) -> Line:
        lines.append(Line(**options))
        return lines[-1]

    yield make
    for line in lines:
        line.end()


@pytest.fixture
def line(make_line: MakeLine) -> Line:
    return make_line()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets long to answer a Close frame."""
    monkeypatch.setattr(websocket, "CLOSE_TIME", 0.05)


# What it is told


def test_what_is_offered_is_sent_at_once(line: Line) -> None:
    line.offer(text_frame(b"now"))
    assert line.far.socket._sock.recv(100) == text_frame(b"now"), "without the event loop"
    assert line.client.pending_bytes == 0
    assert line.client.outlet._watcher is None


def test_texts_and_frames_go_the_same_way(line: Line) -> None:
    line.client.send_text("grüße")
    line.client.send_text(b"bytes")
    line.offer(text_frame(b"offered"))
    line.far.send(masked(PING, b"ping"))
    line.run()
    frames = [line.far.frame() for _ in range(4)]
    assert frames == [
        Frame(1, "grüße".encode()),
        Frame(1, b"bytes"),
        Frame(1, b"offered"),
        Frame(PONG, b"ping"),
    ]


def test_a_lone_surrogate_does_not_raise(line: Line) -> None:
    line.client.send_text("\ud800")
    assert line.far.frame() == Frame(1, b"?")


@pytest.mark.parametrize("tls", [False, True])
def test_what_blocks_waits_and_comes_in_order(make_line: MakeLine, tls: bool) -> None:
    line = make_line(tls=tls)
    line.run()
    count = line.block()
    for number in range(count, count + 500):
        line.offer(text_frame(b"%d " % number))
    assert line.client.pending_bytes > 500 * 4
    numbers = [line.far.frame().payload.split(b" ")[0] for _ in range(count + 500)]
    assert numbers == [b"%d" % number for number in range(count + 500)]
    wait_for(lambda: line.client.outlet._watcher is None, "an end of the watching")
    assert line.client.pending_bytes == 0
    assert line.client.outlet._source is None
    line.offer(text_frame(b"direct again"))
    assert line.far.frame() == Frame(1, b"direct again")


@pytest.mark.parametrize("tls", [False, True])
def test_what_waits_goes_on_only_when_there_is_time(make_line: MakeLine, tls: bool) -> None:
    later: list[Callable[[], None]] = []
    line = make_line(tls=tls, spread=later.append)
    count = line.block()
    reading = gevent.spawn(line.far.frames)
    wait_for(lambda: later, "room in the socket")
    waits = line.client.pending_bytes
    gevent.sleep(0.05)
    assert len(later) == 1, "it is told once"
    assert line.client.pending_bytes == waits
    line.client.close(1000)
    while line.client.pending_bytes:
        later.pop(0)()
        wait_for(lambda: later or not line.client.pending_bytes, "room again")
    line.client.abort("all is sent")
    *texts, _ = reading.get(timeout=60)
    assert [text.payload.split(b" ")[0] for text in texts] == [b"%d" % n for n in range(count)]


def test_one_who_was_cut_off_while_waiting_for_time(make_line: MakeLine) -> None:
    later: list[Callable[[], None]] = []
    line = make_line(spread=later.append)
    line.block()
    gevent.spawn(line.far.frames)
    wait_for(lambda: later, "room in the socket")
    line.client.abort("gone")
    later.pop()()
    assert line.client.pending_bytes == 0
    assert not later


@pytest.mark.parametrize("tls", [False, True])
def test_a_buffer_larger_than_all_others(make_line: MakeLine, tls: bool) -> None:
    line = make_line(tls=tls, client_buffer=1000)
    line.run()
    text = bytes(range(97, 123)) * 100_000
    line.offer(text_frame(text))
    assert line.client.pending_bytes > 1000, "one buffer may be larger than the bound"
    assert line.far.frame() == Frame(1, text)
    assert not line.client.closed


def test_what_waits_is_not_copied(line: Line) -> None:
    line.block()
    shared = text_frame(b"shared by all")
    line.offer(shared)
    source = line.client.outlet._source
    assert source is not None
    assert source.pull() is shared


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_too_slow(make_line: MakeLine, tls: bool, size: int) -> None:
    line = make_line(tls=tls, client_buffer=100_000)
    line.run()
    sent = line.block(size)
    while not line.client.closed:
        line.offer(text_frame(b"%d " % sent + b"x" * size))
        sent += 1
        assert line.client.pending_bytes <= max(100_000, size + 300)
    assert line.client.close_code == 1013
    assert line.client.pending_bytes <= max(size, 65536 * tls) + 300, "freed at once"
    before = line.client.pending_bytes
    line.offer(text_frame(b"too late"))
    assert line.client.pending_bytes == before
    texts = list(iter(line.far.frame, Frame(CLOSE, close_payload(1013, line.client.close_reason))))
    line.far.send(masked(CLOSE, close_payload(1013)))
    assert line.far.rest() == b""
    assert {text.fin for text in texts} == {True}
    assert 0 < len(texts) < sent
    assert [int(text.payload.split(b" ")[0]) for text in texts] == list(range(len(texts)))
    wait_for(lambda: line.sessions.ends, "the end")
    assert line.sessions.ends[0][0] == 1013
    assert line.sessions.ends[0][1].startswith("too slow: ")


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_never_reads_is_cut_off(make_line: MakeLine, tls: bool) -> None:
    line = make_line(tls=tls, client_buffer=10_000)
    line.run()
    line.block(5000)
    line.offer(text_frame(b"x" * 10_000))
    assert line.client.closed
    wait_for(lambda: line.client.pending_bytes == 0, "all is freed")
    wait_for(lambda: line.sessions.ends, "the end")
    assert line.sessions.ends[0][0] == 1013
    assert line.far.is_cut()


def test_small_buffers_count_as_what_they_cost(make_line: MakeLine) -> None:
    line = make_line(client_buffer=100_000)
    line.block()
    while not line.client.closed:
        answers = line.client.outlet._answers
        line.client.send_text(b"")
    assert answers is not None
    waits = list(iter(answers.pull, None))
    assert len(waits) > 1000
    assert sum(map(sys.getsizeof, waits)) < 100_000


# A client that asks and does not read


def test_of_pings_without_end_one_is_answered(make_line: MakeLine) -> None:
    line = make_line()
    line.sessions.echo = False
    line.run()
    count = line.block() + 1
    line.client.send_text(b"x" * 300_000)
    waits = line.client.pending_bytes
    for number in range(5000):
        line.far.send(masked(PING, b"%d" % number))
    line.far.send(masked(1, b"that was all"))
    wait_for(lambda: line.sessions.texts, "all are heard")
    assert line.client.pending_bytes < waits + 1000
    line.client.close()
    frames = list(iter(line.far.frame, Frame(CLOSE, close_payload(1000))))
    pongs = [frame.payload for frame in frames if frame.opcode == PONG]
    assert len(frames) == count + len(pongs)
    assert pongs[-1] == b"4999"
    assert len(pongs) <= 3


def test_pings_do_not_make_a_client_too_slow(make_line: MakeLine) -> None:
    line = make_line(client_buffer=10)
    line.run()
    line.block()
    line.far.send(masked(PING, b"x" * 100) + masked(1, b"a", fin=False))
    wait_for(lambda: line.client._message is not None, "the ping is heard")
    assert not line.client.closed


def test_pings_that_come_while_closing_are_not_answered(line: Line) -> None:
    line.run()
    count = line.block()
    line.client.close()
    line.far.send(masked(PING, b"late") + masked(CLOSE))
    frames = line.far.frames()
    assert [frame.opcode for frame in frames] == [1] * count + [CLOSE]


def is_deaf(line: Line) -> bool:
    return line.client.outlet.awaited


@pytest.mark.parametrize("tls", [False, True])
def test_who_asks_and_does_not_read_is_not_heard_until_it_does(
    make_line: MakeLine, tls: bool
) -> None:
    line = make_line(tls=tls, client_buffer=400_000)
    line.run()
    questions = [b"%d " % number + b"x" * 1000 for number in range(3000)]
    asking = gevent.spawn(lambda: [line.far.send(masked(1, text)) for text in questions])
    wait_for(lambda: is_deaf(line), "it is not heard any more")
    heard = len(line.sessions.texts)
    assert heard < 3000
    assert line.client.pending_bytes < 200_000 + 1100 + ITEM_COST
    answers = [line.far.frame().payload for _ in questions]
    assert answers == questions, "and then all of it"
    asking.join(60)
    assert not line.client.closed


def test_one_whose_backlog_stays_is_heard_as_it_reads(make_line: MakeLine) -> None:
    """As with ``drop`` on a network that is slower than the stream."""
    line = make_line(losses=Losses(), client_buffer=100_000)
    line.sessions.echo = False
    line.run()

    def refill() -> None:
        while line.client.pending_bytes < 99_000:
            line.offer(text_frame(b"x" * 1000))

    line.block()
    refill()
    line.far.send(masked(PING, b"there?") + masked(1, b"an action") + masked(CLOSE))
    opcodes = []
    while CLOSE not in opcodes:
        opcodes.append(line.far.frame().opcode)
        if not line.client.closed:
            refill()
            assert line.client.pending_bytes > 50_000, "half of what may"
    assert PONG in opcodes
    assert line.sessions.texts == ["an action"]


def test_one_who_is_not_heard_is_not_silent_if_it_reads(make_line: MakeLine) -> None:
    line = make_line(client_buffer=400_000)
    line.run()
    line.block()
    line.client.send_text(b"x" * 300_000)
    line.far.send(masked(1, b"a") + masked(1, b"b"))
    wait_for(lambda: is_deaf(line), "it is not heard any more")
    for _ in range(5):
        pending = line.client.pending_bytes
        line.now += 60
        line.far.take(0)
        while line.client.pending_bytes == pending:
            line.far._more()
            gevent.sleep(0)
        line.client.tend(line.now + 20, 25, 600)
        line.client.tend(line.now + 50, 25, 600)
    assert not line.client.closed


def test_one_who_is_not_heard_and_reads_nothing_is_gone_in_the_end(make_line: MakeLine) -> None:
    line = make_line(client_buffer=400_000)
    line.run()
    line.block()
    line.client.send_text(b"x" * 300_000)
    line.far.send(masked(1, b"a") * 10)
    wait_for(lambda: is_deaf(line), "it is not heard any more")
    for seconds in (25, 50, 63):
        line.client.tend(line.now + seconds, 25, 60)
    wait_for(lambda: line.sessions.ends == [(1006, "the client read nothing for 63 s")], "the end")


@pytest.mark.parametrize("how", ["vanishes", "is too slow"])
def test_one_who_is_not_heard_may_end(make_line: MakeLine, how: str) -> None:
    line = make_line(client_buffer=400_000)
    line.run()
    line.block()
    line.client.send_text(b"x" * 300_000)
    line.far.send(masked(1, b"a") + masked(1, b"b"))
    wait_for(lambda: is_deaf(line), "it is not heard any more")
    if how == "vanishes":
        line.far.socket.close()  # with bytes unread: a reset
    else:
        line.client.send_text(b"x" * 300_000)
        line.far.send(masked(CLOSE))
        assert line.far.frames()[-1].opcode == CLOSE
    wait_for(lambda: line.sessions.ends, "the end")
    assert line.sessions.ends[0][0] == (1006 if how == "vanishes" else 1013)


def test_a_message_that_has_begun_is_heard_to_its_end(make_line: MakeLine) -> None:
    line = make_line(client_buffer=400_000)
    line.run()
    line.far.send(masked(1, b"a", fin=False))
    wait_for(lambda: line.client._message is not None, "it has begun")
    line.block()
    line.client.send_text(b"x" * 300_000)
    line.far.send(masked(0, b"b"))
    wait_for(lambda: line.sessions.texts == ["ab"], "it is whole")


def dropped(frame: Frame) -> int:
    """How many messages a notice speaks of; 0 for another frame."""
    if b"MessagesDropped" not in frame.payload:
        return 0
    return int(json.loads(frame.payload)["data"]["Count"])


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("size", [10, 1000, 30_000])
def test_a_client_that_would_rather_lose_messages(
    make_line: MakeLine, tls: bool, size: int
) -> None:
    """What it gets is numbered without a gap but where it is told of one."""
    losses, bound = Losses(), 50 * size + 2000
    line = make_line(tls=tls, losses=losses, client_buffer=bound)
    line.run()
    count = line.block(size)
    for _ in range(300):
        batch = [b"%d " % number + b"x" * size for number in range(count, count + 5)]
        line.offer(text_frames(batch), 5)
        count += 5
        assert line.client.pending_bytes < bound + 200
    assert not line.client.closed
    seen, gaps = read_numbers(line, count)
    line.offer(text_frame(b"%d " % count))
    assert line.far.frame().payload == b"%d " % count, "and then it goes on"
    assert seen == count
    assert gaps == losses.messages > 0
    assert losses.messages == 5 * losses.buffers, "whole batches"
    assert line.client.pending_bytes == 0


def read_numbers(line: Line, end: int) -> tuple[int, int]:
    """Read numbered texts, and gaps that account for all that are missing, up to ``end``."""
    expected = gaps = 0
    while expected < end:
        frame = line.far.frame()
        if count := dropped(frame):
            gaps += count
            expected += count
        else:
            assert int(frame.payload.split(b" ")[0]) == expected
            expected += 1
    return expected, gaps


def test_each_gap_is_told_in_its_place(make_line: MakeLine) -> None:
    line = make_line(losses=Losses(), client_buffer=50_000)
    line.run()
    count = line.block()
    gaps = 0
    for _ in range(20):  # read a part, and fall behind again
        for _ in range(80):
            line.offer(text_frame(b"%d " % count + b"x" * 1000))
            count += 1
        line.far.take(0)
        pending = line.client.pending_bytes
        line.far._more()
        wait_for(lambda p=pending: line.client.pending_bytes < p, "some is sent")
    _, lost = read_numbers(line, count)
    gaps += lost
    assert gaps > 100


def test_what_is_for_one_client_alone_is_never_left_out(make_line: MakeLine) -> None:
    losses = Losses()
    line = make_line(losses=losses, client_buffer=100_000)
    line.run()
    count = line.block()
    while not losses.messages:
        line.offer(text_frame(b"%d " % count + b"x" * 5000))
        count += 1
    line.client.send_text(b"the answer")
    assert not line.client.closed
    assert losses.messages == 1
    texts = [line.far.frame().payload for _ in range(count + 1)]
    assert b"the answer" in texts
    assert b"MessagesDropped" in texts[-1]


@pytest.mark.parametrize("losses", [None, Losses()], ids=["close", "drop"])
def test_more_for_one_client_alone_than_it_may_have(
    make_line: MakeLine, losses: Losses | None
) -> None:
    line = make_line(losses=losses, client_buffer=10_000)
    line.offer(text_frame(b"x" * 1_000_000))
    assert line.client.pending_bytes > 10_000, "one item may be larger than the bound"
    line.client.send_text(b"x" * 4000)
    assert not line.client.closed
    line.client.send_text(b"x" * 7000)
    assert line.client.close_code == 1013


@pytest.mark.slow
def test_a_client_that_loses_messages_is_closed_all_the_same(make_line: MakeLine) -> None:
    line = make_line(losses=Losses(), client_buffer=1000)
    line.run()
    count = line.block()
    line.offer(text_frame(b"x" * 2000))
    line.client.close(1001, "bye")
    frames = line.far.frames()
    assert frames[-1] == Frame(CLOSE, close_payload(1001, "bye"))
    assert [dropped(frame) for frame in frames[:-1]] == [0] * count + [1]


def test_close_comes_behind_what_waits(line: Line) -> None:
    line.run()
    count = line.block()
    line.client.close(1001, "bye")
    line.offer(text_frame(b"behind"))
    frames = [line.far.frame() for _ in range(count + 1)]
    assert frames[-1] == Frame(CLOSE, close_payload(1001, "bye"))
    line.far.send(masked(CLOSE, close_payload(1001)))
    assert line.far.rest() == b""
    wait_for(lambda: line.sessions.ends == [(1001, "bye")], "the end")


def test_a_client_that_closes_gets_its_answer_though_much_waits(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_TIME", 600.0)
    line.run()
    count = line.block()
    for _ in range(50):
        line.offer(text_frame(b"unread"))
    line.far.send(masked(CLOSE, close_payload(1000)))
    wait_for(lambda: line.client.closed, "closed")
    texts = line.texts()  # the end comes with the last byte
    assert texts == [b"%d" % number for number in range(len(texts))]
    assert len(texts) <= count
    wait_for(lambda: line.sessions.ends == [(1000, "")], "the end")


def test_senders_do_not_mix_their_bytes(line: Line) -> None:
    line.run()

    def talk(letter: bytes) -> None:
        for _ in range(40):
            line.offer(text_frame(letter * 3000))
            gevent.sleep(0)

    for letter in b"abcd":
        gevent.spawn(talk, bytes([letter]))
    texts: list[bytes] = []
    pongs: list[bytes] = []
    for number in range(160):
        if number % 10 == 0:
            line.far.send(masked(PING, b"%d" % number))
        frame = line.far.frame()
        (pongs if frame.opcode == PONG else texts).append(frame.payload)
    while len(texts) < 160 or pongs[-1:] != [b"150"]:
        frame = line.far.frame()
        (pongs if frame.opcode == PONG else texts).append(frame.payload)
    assert all(len(text) == 3000 and len(set(text)) == 1 for text in texts)
    assert sorted(pongs, key=int) == pongs


@pytest.mark.parametrize("tls", [False, True])
def test_offer_after_the_end_does_nothing(make_line: MakeLine, tls: bool) -> None:
    line = make_line(tls=tls)
    line.run()
    line.client.abort("over")
    line.offer(text_frame(b"x"))
    wait_for(lambda: line.greenlet is not None and line.greenlet.dead, "the end")
    line.offer(text_frame(b"x"))
    line.client.send_text("x")
    line.client.close(1000)
    line.client.abort("again")
    assert line.client.pending_bytes == 0
    assert line.sessions.ends == [(1006, "over")]


@pytest.mark.parametrize("tls", [False, True])
def test_offer_to_one_who_is_gone_does_not_raise(make_line: MakeLine, tls: bool) -> None:
    line = make_line(tls=tls)
    line.far.socket.close()  # with nobody reading on our side
    wait_for(lambda: line.offer(text_frame(b"x")) or line.client.closed, "noticed")
    assert line.client.close_reason.startswith("connection lost: ")
    assert line.client.close_code == 1006


def test_a_blocked_client_that_vanishes(line: Line) -> None:
    line.run()
    line.block()
    line.offer(text_frame(b"waits"))
    line.far.socket.close()  # with bytes unread: a reset
    wait_for(lambda: line.sessions.ends, "the end")
    assert line.sessions.ends[0][0] == 1006
    assert line.client.pending_bytes == 0


def test_garbage_collection_sends_nothing(line: Line) -> None:
    near, far = socket.socketpair()
    client = WebSocketClient(
        near,
        Reader(near, time.monotonic),
        address="x",
        user=None,
        subprotocol=None,
        limits=Limits(),
    )
    del client
    gc.collect()
    far._sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        far._sock.recv(10)
    near.close()
    far.close()


def test_ten_thousand_of_them_are_small(line: Line) -> None:
    assert not hasattr(line.client, "__dict__")


# What is due


def test_pings(line: Line) -> None:
    line.client.tend(line.now + 24.9, 25, 60)
    line.client.send_text("only this")
    line.client.tend(line.now + 25, 25, 60)
    line.client.tend(line.now + 26, 25, 60)
    line.client.tend(line.now + 50, 25, 60)
    line.client.close()
    assert [line.far.frame().opcode for _ in range(4)] == [1, PING, PING, CLOSE]


def test_a_shorter_interval_counts_from_the_last_ping(line: Line) -> None:
    line.client.tend(line.now + 20, 5, 60)
    assert line.far.frame().opcode == PING


def test_no_ping_behind_what_waits(line: Line) -> None:
    line.block()
    pending = line.client.pending_bytes
    line.client.tend(line.now + 25, 25, 60)
    assert line.client.pending_bytes == pending


def test_silence_is_the_end(line: Line) -> None:
    line.run()
    for seconds in (25, 50, 62.5):
        line.client.tend(line.now + seconds, 25, 60)
    assert not line.client.closed
    line.client.tend(line.now + 63, 25, 60)
    assert (line.client.closed, line.client.close_code) == (True, 1006)
    wait_for(lambda: line.sessions.ends == [(1006, "the client sent nothing for 63 s")], "the end")
    line.client.tend(line.now + 99, 25, 60)  # nothing is due any more


def test_silence_is_the_end_for_one_who_does_not_read_either(line: Line) -> None:
    line.run()
    line.block()
    for seconds in (25, 50, 63):
        line.client.tend(line.now + seconds, 25, 60)
    wait_for(lambda: line.sessions.ends == [(1006, "the client sent nothing for 63 s")], "the end")


def test_a_process_that_stood_still_asks_before_it_cuts_off(line: Line) -> None:
    line.run()
    line.client.tend(line.now + 3600, 25, 60)
    line.client.tend(line.now + 3602, 25, 60)
    assert not line.client.closed
    assert line.far.frame().opcode == PING


@pytest.mark.parametrize("data", [masked(PONG), b"\x81"], ids=["pong", "half a frame"])
def test_any_byte_is_a_sign_of_life(line: Line, data: bytes) -> None:
    line.run()
    for seconds in (25, 50):
        line.client.tend(line.now + seconds, 25, 600)
    line.now += 60
    line.far.send(data)
    wait_for(lambda: line.client._reader.heard == line.now, "the bytes are there")
    line.client.tend(line.now + 20, 25, 600)
    line.client.tend(line.now + 63, 25, 600)
    assert not line.client.closed


def test_a_shrinking_backlog_is_a_sign_of_life(line: Line) -> None:
    line.run()
    line.block()
    for _ in range(100):
        line.offer(text_frame(b"x" * 1000))
    for seconds in (25, 50):
        line.client.tend(line.now + seconds, 25, 600)
    line.now += 60
    pending = line.client.pending_bytes
    line.far.take(50_000)
    wait_for(lambda: line.client.pending_bytes < pending, "some is sent")
    line.client.tend(line.now + 63, 25, 600)
    assert not line.client.closed


@pytest.mark.parametrize("losses", [None, Losses()], ids=["close", "drop"])
def test_one_who_sends_but_reads_nothing(make_line: MakeLine, losses: Losses | None) -> None:
    line = make_line(losses=losses)
    line.run()
    line.block()
    line.client.send_text(b"x" * 100_000)
    while not line.client.closed:
        line.now += 30
        line.far.send(masked(1, b"an action"))
        wait_for(lambda: line.client._reader.heard == line.now, "the bytes are there")
        line.client.tend(line.now, 25, 600)
        assert line.now < 1130, "the kernel may take some the first time, but no more"
    wait_for(lambda: line.sessions.ends, "the end")
    code, reason = line.sessions.ends[0]
    assert (code, reason[:27]) == (1006, "the client read nothing for")
    assert line.client.close_kind == "silent"


def test_one_who_has_read_all_is_not_silent_at_once(line: Line) -> None:
    line.run()
    line.block()
    line.client.send_text(b"x" * 100_000)
    for seconds in (25, 50):
        line.client.tend(line.now + seconds, 25, 600)
    line.now += 60
    while line.client.pending_bytes:
        line.far._more()
        gevent.sleep(0)
    line.client.tend(line.now + 3, 25, 600)
    assert not line.client.closed


@pytest.mark.parametrize(
    "data",
    [masked(1, b"x" * 50)[:-1], masked(1, b"x", fin=False), masked(1, b"", fin=False)],
    ids=["frame", "fragment", "empty fragment"],
)
def test_a_message_that_never_ends(make_line: MakeLine, data: bytes) -> None:
    line = make_line(ping_interval=1000)
    line.run()
    line.far.send(data)
    wait_for(lambda: line.client._message is not None, "a message has begun")
    line.client.tend(line.now + 60, 100, 60)
    assert not line.client.closed
    line.client.tend(line.now + 61, 100, 60)
    assert line.far.frame().payload[:2] == close_payload(1008)
    assert line.far.rest() == b""
    line.far.socket.close()
    wait_for(lambda: line.sessions.ends == [(1008, "a message took longer than 60 s")], "the end")


def test_a_message_that_ends_in_time(line: Line) -> None:
    line.run()
    line.far.send(masked(1, b"a", fin=False))
    line.far.send(masked(0, b"b"))
    assert line.far.frame() == Frame(1, b"ab")
    line.client.tend(line.now + 100, 100, 60)
    assert not line.client.closed


# How it ends


def test_the_fields_of_a_client(line: Line) -> None:
    client = line.client
    assert (client.address, client.user, client.subprotocol) == ("192.0.2.1:99", "ann", None)


@pytest.mark.parametrize("how", ["closes", "ends its output", "sends half a frame and closes"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_vanishes(make_line: MakeLine, how: str, tls: bool) -> None:
    line = make_line(tls=tls)
    line.run()
    if how == "sends half a frame and closes":
        line.far.send(masked(1, b"hello")[:4])
    if how == "ends its output":
        line.far.socket._sock.shutdown(socket.SHUT_WR)
        assert line.far.is_cut()
    else:
        line.far.socket.close()
    wait_for(lambda: line.sessions.ends, "the end")
    code, reason = line.sessions.ends[0]
    assert code == 1006
    assert reason.startswith("connection lost: ")


@pytest.mark.usefixtures("hurry")
def test_a_close_that_is_not_answered(line: Line) -> None:
    line.run()
    line.client.close(1001, "bye")
    assert line.far.frame() == Frame(CLOSE, close_payload(1001, "bye"))
    assert line.far.is_cut()
    wait_for(lambda: line.sessions.ends == [(1001, "bye")], "the end")


@pytest.mark.usefixtures("hurry")
def test_one_who_sends_on_and_on_after_its_fault(line: Line) -> None:
    line.run()
    line.far.send(b"\x81\x05hello")  # without a mask
    with pytest.raises(ConnectionError):
        line.far.send(b"\0" * (100 << 20))
    assert line.sessions.ends == [(1002, "a frame without a mask")]


def test_closed_comes_once_whatever_follows(line: Line) -> None:
    line.run()
    line.client.close(4000, "first")
    line.client.close(4001, "second")
    line.client.abort("third")
    wait_for(lambda: line.greenlet is not None and line.greenlet.dead, "the end")
    assert line.sessions.ends == [(4000, "first")]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (masked(CLOSE, close_payload(1000)), "by_client"),
        (masked(CLOSE, close_payload(1001)), "by_client"),
        (masked(CLOSE), "by_client"),
        (b"\x81\x05hello", "protocol"),
        (masked(1, b"\xff"), "protocol"),
        (masked(2, b"x"), "protocol"),
        (masked(1, b"x" * 2000), "too_big"),
        (None, "lost"),
    ],
    ids=["normal", "away", "no code", "unmasked", "no UTF-8", "binary", "too big", "vanished"],
)
def test_the_kind_of_an_end_that_the_client_makes(
    make_line: MakeLine, sent: bytes | None, kind: str
) -> None:
    line = make_line(client_message=1000)
    line.run()
    if sent is None:
        line.far.socket.close()
    else:
        line.far.send(sent)
    wait_for(lambda: line.client.closed, "the end")
    assert line.client.close_kind == kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1001, "going_away"),
        (1011, "error"),
        (1013, "slow"),
        (1000, "by_server"),
        (4000, "by_server"),
    ],
)
def test_the_kind_of_an_end_that_we_make(line: Line, code: int, kind: str) -> None:
    line.client.close(code)
    line.client.abort("later")
    assert line.client.close_kind == kind


def test_each_text_and_the_end_wait_for_their_turn(line: Line) -> None:
    told: list[object] = []

    class Told(FakeSessions):
        def received(self, client: WebSocketClient, text: str) -> None:
            told.append(text)

        def closed(self, client: WebSocketClient, code: int, reason: str) -> None:
            told.append(code)

    line.greenlet = gevent.spawn(line.client.run, Told(), lambda: told.append("wait"))
    line.far.send(masked(1, b"a") + masked(PING) + masked(1, b"b") + masked(CLOSE))
    line.greenlet.join(60)
    assert told == ["wait", "wait", "a", "wait", "b", "wait", 1005]  # the first: to read


@pytest.mark.parametrize("tls", [False, True])
def test_what_a_client_sends_stays_in_the_kernel_until_its_turn(
    make_line: MakeLine, tls: bool
) -> None:
    line = make_line(tls=tls)
    left_there = []
    turn = gevent.event.Event()

    def pace() -> None:
        left_there.append(bytes_waiting(line.near))
        turn.wait()

    line.run(pace=pace)
    line.far.send(masked(PING, b"there?"))
    wait_for(lambda: left_there, "the ping")
    assert left_there[0] >= len(masked(PING, b"there?"))
    turn.set()
    assert line.far.frame().payload == b"there?"


def test_what_tls_holds_already_is_not_waited_for(
    make_line: MakeLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amiws_gevent.web.connection._CHUNK", 8)
    line = make_line(tls=True)
    line.run()
    line.far.send(masked(PING, b"a record that is read in parts"))
    assert line.far.frame().payload == b"a record that is read in parts"


class BadSessions(FakeSessions):
    """Each hook raises."""

    def opened(self, client: WebSocketClient) -> None:
        super().opened(client)
        raise RuntimeError("opened")

    def closed(self, client: WebSocketClient, code: int, reason: str) -> None:
        super().closed(client, code, reason)
        raise RuntimeError("closed")


def test_sessions_that_raise(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    line.run(BadSessions())
    assert line.far.frame() == Frame(CLOSE, close_payload(1011, "internal error"))
    line.far.send(masked(CLOSE, close_payload(1011)))
    assert line.far.rest() == b""
    wait_for(lambda: line.greenlet is not None and line.greenlet.dead, "the end")
    assert line.sessions.ends == [(1011, "internal error")]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == [
        "client 192.0.2.1:99: internal error in opened()",
        "client 192.0.2.1:99: internal error in closed()",
    ]
    assert all(record.exc_info for record in errors)


def test_sessions_that_raise_on_a_text_lose_that_text_alone(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    class Picky(FakeSessions):
        def received(self, client: WebSocketClient, text: str) -> None:
            if text == "bad":
                raise ValueError(text)
            super().received(client, text)

    line.run(Picky())
    line.far.send(masked(1, b"bad") + masked(1, b"good"))
    assert line.far.frame() == Frame(1, b"good")
    assert "internal error in received()" in caplog.text


@pytest.mark.parametrize(
    "flood",
    [masked(PONG) * 4000, masked(1, b"x") * 4000, masked(1, b"x" * 60000) * 20],
    ids=["control frames", "texts", "large texts"],
)
def test_a_flood_from_one_lets_others_have_their_turn(line: Line, flood: bytes) -> None:
    turns = 0

    class Counting(FakeSessions):
        def received(self, client: WebSocketClient, text: str) -> None:
            pass

    class AllThere(Reader):
        """As if the flood were always faster than the reader."""

        def _receive(self) -> bytes:
            nonlocal flood
            data, flood = flood, b""
            return data

    def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    line.client._reader = AllThere(line.near, time.monotonic)
    others = gevent.spawn(other)
    line.client.run(Counting())
    others.kill()
    assert turns >= 4
