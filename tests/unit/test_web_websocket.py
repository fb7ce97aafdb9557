"""One client's socket: what offer does when it may not wait, and how a connection ends."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable

import gevent.event
import pytest
from gevent import socket

from amiws_gevent.config import Limits
from amiws_gevent.losses import Losses
from amiws_gevent.web import websocket
from amiws_gevent.web.connection import Reader
from amiws_gevent.web.extensions import Agreement
from amiws_gevent.web.frames import deflated_frames, text_frame
from amiws_gevent.web.websocket import WebSocketClient
from tests.support.deflated import Window, deflated
from tests.support.greenlets import bytes_waiting
from tests.support.patience import WAIT
from tests.support.webserver import FakeSessions, Frame, close_payload, masked, wait_for
from tests.support.ws_line import CLOSE, PING, PONG, Line, MakeLine


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


def test_what_is_for_one_client_alone_is_in_a_window_of_its_own(make_line: MakeLine) -> None:
    line = make_line(agreement=Agreement())
    line.far.rsv1 = True
    text = b"a text that is long enough for that, " * 10
    line.client.send_text(text)
    line.offer(deflated_frames([text, text]))
    line.client.send_text(text)
    frames = [line.far.frame() for _ in range(4)]
    assert frames[0] == frames[1] == frames[3]
    assert len(frames[2].payload) < len(frames[1].payload)
    window = Window()
    assert [window.text(frame.payload, compressed=frame.compressed) for frame in frames] == [
        text
    ] * 4


def test_an_inflater_is_there_only_while_a_message_is_inflated(make_line: MakeLine) -> None:
    line = make_line(agreement=Agreement())
    line.run()
    payload = deflated(b"some text")
    line.far.send(masked(1, payload[:5], fin=False, rsv=4))
    wait_for(lambda: line.client._message is not None, "it has begun")
    line.far.send(masked(0, payload[5:]))
    wait_for(lambda: line.sessions.texts == ["some text"], "it is whole")
    assert line.client._message is None


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
    *texts, _ = reading.get(timeout=WAIT)
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
    line.greenlet.join(WAIT)
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
