"""Batches, positions and items: plain data."""

from __future__ import annotations

import pickle

from amiws_gevent.ami import Kind, Message
from amiws_gevent.batch import Batch, Item, Position
from amiws_gevent.plugins.api import ServerInfo


def batch() -> Batch:
    messages = [
        Message(Kind.EVENT, [("Event", "Status"), ("ChanVariable", "a"), ("ChanVariable", "b")]),
        Message(Kind.QUEUE, [("Queue", "q"), ("Calls", 2), ("Ratio", 0.5)]),
    ]
    server = ServerInfo(7, "büro", True)
    return Batch(server, Position("epoch", 3), messages, [b"first", b"second"])


def test_a_batch_crosses_to_another_process() -> None:
    sent = batch()
    got = pickle.loads(pickle.dumps(sent))
    assert got == sent
    assert got is not sent
    assert got.server == ServerInfo(7, "büro", True)
    assert got.position == ("epoch", 3)
    assert got.messages[0].getall("ChanVariable") == ["a", "b"]
    assert got.json == [b"first", b"second"]


def test_batches_differ_in_what_they_hold() -> None:
    other = batch()
    other.position = Position("epoch", 4)
    assert other != batch()


def test_a_batch_is_as_long_as_its_messages_and_as_large_as_their_json() -> None:
    assert (len(batch()), batch().size) == (2, 11)


def test_an_item_says_where_a_client_stands_that_has_had_it() -> None:
    item = Item(b"frames", 2, {7: Position("epoch", 3)})
    assert item.positions[7] == ("epoch", 3)
