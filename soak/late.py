"""Writes as a collector that has lost its lease would: Redis has to refuse it.

Collectors themselves look at their lease before they write, so what they send too late is rare.
"""

from __future__ import annotations

from collections.abc import Iterable

from amiws_gevent.bus.keys import Keys, field
from amiws_gevent.bus.scripts import APPEND, FENCED
from amiws_gevent.crossing.streams import lease_of, stream_of
from tests.support.redis_server import RedisServer


class LateWriter:
    """Remembers under which terms servers are published, and tries to publish under them later."""

    def __init__(self, redis: RedisServer, servers: Iterable[int]) -> None:
        self._redis = redis
        self._keys = Keys(redis.settings.prefix)
        self._streams = [stream_of(server) for server in servers]
        self._fences: dict[str, bytes] = {}

    def remember(self) -> None:
        """The terms of now."""
        self._fences = self._now()

    def attempt(self) -> tuple[int, list[str]]:
        """How often an older term was refused, and the streams that took what it wrote."""
        refused, taken = 0, []
        now = self._now()
        for stream, fence in self._fences.items():
            if now.get(stream) not in (None, fence):
                if self._write(stream, fence) == FENCED:
                    refused += 1
                else:
                    taken.append(stream)
        return refused, taken

    def _write(self, stream: str, fence: bytes) -> object:
        keys = [self._keys.leases, self._keys.stream(stream), self._keys.about(stream)]
        (number,) = self._redis.ask("HMGET", self._keys.about(stream), "n")
        return self._redis.ask(*APPEND(keys, field(lease_of(stream)), fence, number or 0, b"late"))

    def _now(self) -> dict[str, bytes]:
        fences = {
            stream: self._redis.ask("HGET", self._keys.leases, field(lease_of(stream)))
            for stream in self._streams
        }
        return {stream: fence for stream, fence in fences.items() if fence}
