from __future__ import annotations

from amiws_gevent.state.part import Part
from amiws_gevent.state.store import Store


def test_a_part_takes_nothing_unless_it_says_so() -> None:
    part = Part(Store())
    assert (part.events, part.lists) == ({}, {})
    part.tick()
    assert list(part.reset()) == []
