"""What edges share, in tests: where Redis is away, and where time passes in Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.shared import RedisShared
from amiws_gevent.bus.sharing import Logout, SharedEvents, Unshared
from tests.support.bus import health
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.redis_server import RedisServer

KEYS = Keys("amiws")

BUCKETS = ("failures", "failures-all", "actions-user", "actions-address", "work")


def key(name: str) -> bytes:
    return KEYS.shared(name)


def pass_time(server: RedisServer, seconds: float) -> None:
    """Have all buckets in Redis leak for so long; nothing that was refused then is told."""
    for name in BUCKETS:
        found = server.ask("ZRANGE", key(name), 0, -1, "WITHSCORES")
        for member, score in zip(found[::2], found[1::2], strict=True):
            server.ask("ZADD", key(name), str(int(float(score) - seconds * 1e6)), member)


class Events:
    """`SharedEvents` that remember what they were told."""

    def __init__(self, *waiting: Logout) -> None:
        self.secrets: list[bytes] = []
        self.begun = 0
        self.logouts: list[Logout] = []
        self.forgotten: float | None = None
        self.waiting = list(waiting)

    def use_secret(self, secret: bytes) -> None:
        if self.secrets[-1:] != [secret]:
            self.secrets.append(secret)

    def begin_logouts(self) -> None:
        self.begun += 1

    def take_logouts(self, logouts: Sequence[Logout], forgotten: float | None) -> None:
        self.logouts += logouts
        self.forgotten = forgotten

    def untold(self, most: int) -> Sequence[Logout]:
        return self.waiting[:most]

    def told(self, logouts: Sequence[Logout]) -> None:
        self.waiting = [one for one in self.waiting if one not in logouts]

    @property
    def names(self) -> list[tuple[str, bytes]]:
        return [(one.user, one.session) for one in self.logouts]


class Away:
    """`Sharing` without Redis."""

    unshared = 0

    def start(self, events: SharedEvents) -> None:
        pass

    def wait(self, timeout: float) -> bool:
        return False

    def stop(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        def away(*_arguments: object, **_named: object) -> Any:
            raise Unshared("it is away")

        return away


def is_back(edge: RedisShared) -> bool:
    """Whether it has found Redis again: a connection that was lost is noticed by who uses it."""
    try:
        edge.pieces("", [0], 1.0)
    except Unshared:
        return False
    return True


@contextmanager
def sharing(
    server: RedisServer, events: SharedEvents | None = None, patience: float = WAIT
) -> Iterator[RedisShared]:
    """What an edge shares by that Redis; it is connected when the block begins."""
    made = RedisShared(server.settings, health(), patience)
    made.start(events or Events())
    try:
        until(lambda: made.health.up)
        yield made
    finally:
        made.stop()
