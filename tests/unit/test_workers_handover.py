"""What a process is told at its start, over a channel."""

from __future__ import annotations

import json

from amiws_gevent.config import Source
from amiws_gevent.workers.handover import Beginning, Seat


def test_it_comes_as_it_was() -> None:
    source = Source("/a.yaml", "/", "secret: s3cret", {"workers": None})
    seat = Seat(1, 8, ((4, 5), (6, 7)))
    told = Beginning(
        source, foreground=True, alone=False, private_files=("/pid",), listener=3, seat=seat
    )
    assert told.descriptors == [3, 8, 4, 5, 6, 7]
    assert Beginning.of(json.loads(json.dumps(told.as_data()))) == told
    assert "s3cret" not in repr(told)


def test_a_collector_inherits_nothing() -> None:
    told = Beginning(Source(), foreground=True, alone=False)
    assert Beginning.of(json.loads(json.dumps(told.as_data()))) == told
    assert told.descriptors == []
