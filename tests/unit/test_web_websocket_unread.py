"""A client that asks, or is told, and does not read: it is not heard, or it loses messages."""

from __future__ import annotations

import json

import gevent
import pytest

from amiws_gevent.losses import Losses
from amiws_gevent.web.backlog import ITEM_COST
from amiws_gevent.web.frames import text_frame, text_frames
from tests.support.patience import WAIT
from tests.support.webserver import Frame, close_payload, masked, wait_for
from tests.support.ws_line import CLOSE, PING, PONG, Line, MakeLine

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
    asking.join(WAIT)
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
