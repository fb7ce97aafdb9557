"""What waits for a client, what is left out of it, and how the client is told."""

from __future__ import annotations

import json
import sys

from amiws_gevent.web.backlog import ITEM_COST, Backlog, Losses, lost_frame
from amiws_gevent.web.frames import PONG, frame, text_frame, text_frames


def told(data: bytes | memoryview | None) -> int:
    """The number of messages that a notice speaks of."""
    assert isinstance(data, bytes)
    assert data[0] == 0x81
    payload = json.loads(data[data.index(b"{") :])
    return int(payload["data"]["Count"])


def test_the_notice_is_a_message_like_any_other() -> None:
    notice = lost_frame(123)
    text = (
        b'{"type":3,"server_id":0,"server_name":"amiws-gevent","ssl":false,'
        b'"data":{"Event":"MessagesDropped","Count":"123"}}'
    )
    assert notice == text_frame(text)


def test_losses_count_messages_and_buffers() -> None:
    losses = Losses()
    three = text_frames([b"a", b"b" * 1000, b"c" * 70_000])
    assert losses.add(three) == 3
    assert losses.add(three) == 3
    assert losses.add(frame(PONG, b"")) == 0
    assert losses.add(text_frame(b"")) == 1
    assert (losses.messages, losses.buffers) == (7, 4)


def test_a_buffer_that_many_lose_is_counted_once() -> None:
    class Once(bytes):
        looked_at = 0

        def __len__(self) -> int:
            Once.looked_at += 1
            return super().__len__()

    losses = Losses()
    shared = Once(text_frames([b"x"] * 5))
    assert losses.add(shared) == 5
    looked_at = Once.looked_at
    assert losses.add(shared) == 5
    assert Once.looked_at == looked_at


def test_a_gap_is_told_in_its_place() -> None:
    backlog = Backlog([b"rest"])
    grown = backlog.leave_out(7)
    backlog.append(b"later")
    assert [backlog[0], told(backlog[1]), backlog[2]] == [b"rest", 7, b"later"]
    assert grown == len(backlog[1]) + ITEM_COST


def test_losses_with_nothing_between_them_are_one_gap() -> None:
    backlog = Backlog([b"rest"])
    grown = sum(backlog.leave_out(count) for count in (5, 0, 6, 1000))
    assert len(backlog) == 2
    assert told(backlog[1]) == 1011
    assert grown == len(backlog[1]) + ITEM_COST
    backlog.append(b"between")
    backlog.leave_out(2)
    assert told(backlog[3]) == 2


def test_nothing_lost_is_not_told() -> None:
    backlog = Backlog([b"rest"])
    assert backlog.leave_out(0) == 0
    assert list(backlog) == [b"rest"]


def test_what_may_be_on_its_way_is_not_changed() -> None:
    backlog = Backlog([b"rest"])
    backlog.leave_out(1)
    backlog.popleft()
    notice = backlog[0]
    backlog.leave_out(2)
    assert backlog[0] is notice
    assert [told(part) for part in backlog] == [1, 2]
    backlog.leave_out(3)
    assert [told(part) for part in backlog] == [1, 5]


def test_giving_up_keeps_the_frame_that_is_begun() -> None:
    frames = text_frames([b"a" * 10, b"b" * 10, b"c" * 10])
    for sent, rest in ((0, 0), (1, 11), (11, 1), (12, 0), (13, 11)):
        backlog = Backlog([memoryview(frames)[sent:]])
        backlog.append(b"more")
        assert backlog.give_up(0) == (rest + ITEM_COST if rest else 0)
        assert b"".join(backlog) == frames[sent : sent + rest]


def test_giving_up_keeps_what_tls_has_to_be_given_again() -> None:
    frames = text_frames([b"a" * 10, b"b" * 10, b"c" * 10])
    backlog = Backlog([frames])
    assert backlog.give_up(13) == 24 + ITEM_COST
    assert Backlog([memoryview(frames)[12:]]).give_up(1000) == 24 + ITEM_COST


def pong(number: int) -> bytes:
    return frame(PONG, b"%d" % number)


def test_only_the_newest_ping_is_answered_and_next() -> None:
    backlog = Backlog([b"rest", b"waits"])
    grown = sum(backlog.answer_ping(pong(number)) for number in range(1000))
    assert list(backlog) == [b"rest", pong(999), b"waits"]
    assert grown == len(pong(999)) + ITEM_COST


def test_a_pong_that_may_be_on_its_way_is_not_changed() -> None:
    backlog = Backlog([b"rest"])
    backlog.answer_ping(pong(1))
    backlog.popleft()
    for number in (2, 3):
        backlog.answer_ping(pong(number))
    assert list(backlog) == [pong(1), pong(3)]


def test_pongs_do_not_part_gaps_that_are_one() -> None:
    backlog = Backlog([b"rest"])
    for number in range(10):
        backlog.leave_out(1)
        backlog.answer_ping(pong(number))
    assert [backlog[0], backlog[1], told(backlog[2])] == [b"rest", pong(9), 10]


def test_what_is_counted_is_no_less_than_the_memory() -> None:
    for size in (0, 2, 33, 127, 300):
        backlog = Backlog(frame(PONG, b"x" * size) for _ in range(1000))
        memory = sys.getsizeof(backlog) + sum(map(sys.getsizeof, backlog))
        assert memory <= sum(map(len, backlog)) + len(backlog) * ITEM_COST
