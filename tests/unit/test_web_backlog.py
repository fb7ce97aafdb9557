"""What is kept for a client that is slow, what is left out of it, and how the client is told."""

from __future__ import annotations

import json
import sys

import pytest

from amiws_gevent.batch import Item
from amiws_gevent.losses import Losses
from amiws_gevent.web.backlog import ITEM_COST, Backlog, LossyBacklog, lost_message
from amiws_gevent.web.frames import PONG, frame, text_frame
from amiws_gevent.web.outlet import Source


def item(data: bytes = b"", messages: int = 1) -> Item:
    return Item(data, messages, {})


def pulled(source: Source) -> list[bytes]:
    return list(iter(source.pull, None))


def told(data: bytes) -> int:
    """The number of messages that a notice speaks of; it is framed by `frame_of`."""
    assert data[:1] == b"<"
    return int(json.loads(data[1:])["data"]["Count"])


def frame_of(message: bytes) -> bytes:
    return b"<" + message


def lossy() -> LossyBacklog:
    return LossyBacklog(Losses(), frame_of, "anna")


def test_the_notice_is_a_message_like_any_other() -> None:
    assert lost_message(123) == (
        b'{"type":3,"server_id":0,"server_name":"amiws-gevent","ssl":false,'
        b'"data":{"Event":"MessagesDropped","Count":"123"}}'
    )


@pytest.mark.parametrize("source", [Backlog(), lossy()], ids=["close", "drop"])
def test_all_is_kept_in_order_while_there_is_room(source: Source) -> None:
    offered = [item(b"a" * size) for size in (1, 2000, 0, 30)]
    room = 0
    for each in offered:
        room += len(each.data) + ITEM_COST
        assert source.push(each, room)
        assert source.pending_bytes == room
    for each in offered:
        assert source.pull() is each.data
        room -= len(each.data) + ITEM_COST
        assert source.pending_bytes == room
    assert source.pull() is None


def test_one_refuses_what_there_is_no_room_for() -> None:
    backlog = Backlog()
    assert backlog.push(item(b"kept"), 100)
    assert not backlog.push(item(b"x" * 40), 100)
    assert not backlog.push(item(b""), -1000), "something else may have all room"
    assert pulled(backlog) == [b"kept"]


def test_the_other_counts_it_and_tells_in_its_place() -> None:
    backlog = lossy()
    assert backlog.push(item(b"before"), 1000)
    for messages in (3, 5, 1000):
        assert backlog.push(item(b"lost", messages), 0)
    assert backlog.push(item(b"between"), 1000)
    assert backlog.push(item(b"lost too", 2), 0)
    assert backlog.pending_bytes == 4 * ITEM_COST + len(b"beforebetween")
    before, first, between, second = pulled(backlog)
    assert (before, between) == (b"before", b"between")
    assert [told(first), told(second)] == [1008, 2]
    assert backlog.pending_bytes == 0
    assert (backlog.losses.messages, backlog.losses.buffers) == (1010, 4)
    assert backlog.losses.by_user == {"anna": 1010}


def test_a_buffer_without_messages_is_not_missed() -> None:
    backlog = lossy()
    assert backlog.push(item(b"control", 0), 0)
    assert pulled(backlog) == []
    assert (backlog.losses.messages, backlog.pending_bytes) == (0, 0)


def test_what_is_told_already_is_not_changed() -> None:
    backlog = lossy()
    backlog.push(item(messages=1), 0)
    first = backlog.pull()
    backlog.push(item(messages=2), 0)
    backlog.push(item(messages=3), 0)
    assert first is not None
    assert [told(first), *map(told, pulled(backlog))] == [1, 5]


def test_nobody_looks_into_what_is_lost() -> None:
    class Sealed(bytes):
        def __getitem__(self, index: object) -> int:
            raise AssertionError("it is read")

    backlog = lossy()
    backlog.push(item(Sealed(text_frame(b"x") * 5), 5), 0)
    assert backlog.losses.messages == 5


def test_what_is_counted_is_no_less_than_the_memory() -> None:
    for size in (0, 2, 33, 127, 300):
        backlog = Backlog()
        for _ in range(1000):
            backlog.push(item(frame(PONG, b"x" * size)), 1 << 20)
        memory = sys.getsizeof(backlog._buffers) + sum(map(sys.getsizeof, backlog._buffers))
        assert memory <= backlog.pending_bytes
