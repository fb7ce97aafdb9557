"""What a process is told at its start, over a channel."""

from __future__ import annotations

import json

from amiws_gevent.config import Source
from amiws_gevent.workers.handover import Beginning


def test_it_comes_as_it_was() -> None:
    source = Source("/a.yaml", "/", "secret: s3cret", {"workers": None})
    told = Beginning(source, foreground=True, alone=False, private_files=("/pid",))
    assert Beginning.of(json.loads(json.dumps(told.as_data()))) == told
    assert "s3cret" not in repr(told)
