"""A write under an older term, as a soak tries it, is refused; one under the newest is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from amiws_gevent.bus.keys import Keys, field
from amiws_gevent.crossing.streams import lease_of, stream_of
from soak.late import LateWriter
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow


def test_an_older_term_is_refused(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        keys = Keys(redis.settings.prefix)

        def holds(server: int, fence: str) -> None:
            redis.ask("HSET", keys.leases, field(lease_of(stream_of(server))), fence)

        late = LateWriter(redis, [1, 2, 3])
        holds(1, "1 first")
        holds(2, "2 first")
        late.remember()
        assert late.attempt() == (0, [])
        holds(1, "3 second")
        assert late.attempt() == (1, [])
