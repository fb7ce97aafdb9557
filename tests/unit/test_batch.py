"""Positions and what clients are given."""

from __future__ import annotations

from amiws_gevent.batch import Item, Position


def test_an_item_says_where_a_client_stands_that_has_had_it() -> None:
    item = Item(b"frames", 2, {7: Position("epoch", 3)})
    assert item.positions[7] == ("epoch", 3)
