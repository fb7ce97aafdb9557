"""What edges share, over Redis.

Requests ask through one connection, each waiting for its own answer. A second connection hears of
logouts, and of the secret of nonces. While Redis is away nobody waits for it: each is told at once.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gevent.event import AsyncResult, Event

from amiws_gevent.bus import shared_scripts as scripts
from amiws_gevent.bus.connection import Away, Connection, Refusal
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.lane import REPLY_TIME, Lane
from amiws_gevent.bus.scripts import Argument, Command
from amiws_gevent.bus.sharing import (
    LOGOUTS_AT_ONCE,
    PATIENCE,
    SKEW,
    Failures,
    Full,
    Logout,
    NonceUse,
    Rate,
    SharedEvents,
    Unshared,
)
from amiws_gevent.bus.worker import Health, Worker
from amiws_gevent.config import Redis
from amiws_gevent.runtime.log import LogLimiter

_log = logging.getLogger("amiws_gevent.bus")

MOST_NONCES = 100_000  # whose counts are kept; some 300 bytes each

MOST_LOGOUTS = 16_384

MOST_LIST_BYTES = 64 * 1024 * 1024
"""Of all lists of which pages may still be asked for, compressed."""

KEPT = 24 * 3600.0
"""Seconds that all stays in Redis once no edge looks at it any more, logouts as long as needed."""

_PLACES = {"user": 1, "address": 2}
_WHOSE = {place: whose for whose, place in _PLACES.items()}
_LISTS = ("lists", "lists-order")
_ONE_HOUR = 3600.0
_BLOCK = 1000  # milliseconds


class RedisShared:
    """`Sharing` over Redis. What it has counted is in its attributes.

    ``health`` is that of all connections of the edge: a loss of Redis is one.
    """

    def __init__(self, settings: Redis, health: Health, patience: float = PATIENCE) -> None:
        self.unshared = 0
        """How often a caller had to go by what its own process knows."""
        self.health = health
        self._patience = patience
        self._keys = Keys(settings.prefix)
        self._lane = _SharedLane(Connection(settings, "amiws-edge-shared", patience), health)
        logouts = Connection(settings, "amiws-edge-logouts", REPLY_TIME)
        self._news = _News(self._keys, logouts, health)
        self._me = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._limiter = LogLimiter()

    def start(self, events: SharedEvents) -> None:
        self._news.events = events
        self._news.start()
        self._lane.start()

    def wait(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        told: bool = self._news.all_told.wait(timeout)
        asks: bool = self._lane.there.wait(max(0.0, end - time.monotonic()))
        return told and asks

    def stop(self) -> None:
        self._news.stop()
        self._lane.stop()

    # Logins

    def spend(self, use: NonceUse) -> bool:
        lives, ahead = _milliseconds(use.lifetime + 2 * SKEW), _milliseconds(2 * SKEW)
        command = scripts.SPEND(
            self._named("login", "counts", "nonces"),
            *(use.secret, use.nonce, _milliseconds(use.issued), use.number),
            *(lives, ahead, use.window, MOST_NONCES),
        )
        return bool(self._ask(command))

    def judge(self, failures: Failures, *, wrong: bool) -> float:
        user, network, is_near, entries = failures
        command = scripts.JUDGE(
            self._named("failures", "failures-of", "failures-all"),
            *(network.name, _bytes(user.name), entries),
            *(*_limits(user), *_limits(network), int(is_near), int(wrong)),
            _expiry((user, network)),
        )
        wait: int = self._ask(command)
        return max(0, wait) / 1e6

    def tell_logouts(self, logouts: Sequence[Logout]) -> None:
        self._ask(_log_out(self._keys, logouts))

    # Actions

    def take(self, rates: Mapping[str, Rate], entries: int) -> tuple[str, float] | None:
        arguments: list[Argument] = []
        for whose, rate in rates.items():
            arguments += (_PLACES[whose], _bytes(rate.name), *_limits(rate))
        keys = self._named("actions-user", "actions-address")
        place, wait = self._ask(scripts.TAKE(keys, entries, _expiry(rates.values()), *arguments))
        return (_WHOSE[place], wait / 1e6) if place else None

    def work_begins(self, bounds: Mapping[str, tuple[str, int]], longest: float) -> str:
        names = [_bytes(f"{whose}:{name}") for whose, (name, _) in bounds.items()]
        work = b"\n".join((f"{self._me}:{next(self._numbers)}".encode(), *names))
        pairs: list[Argument] = []
        for name, (_, most) in zip(names, bounds.values(), strict=True):
            pairs += (name, most)
        keys, kept = self._named("work", "at-work"), _milliseconds(longest + _ONE_HOUR)
        full = self._ask(scripts.BEGIN(keys, work, round(longest * 1e6), kept, *pairs))
        if full:
            raise Full(list(bounds)[full - 1])
        return work.decode("utf-8", "surrogatepass")

    def work_ends(self, work: str) -> None:
        command = scripts.END(self._named("work", "at-work"), _bytes(work))
        self._lane.put(command, len(work), lambda reply: None)

    # Lists

    def keep_piece(self, entry: str, number: int, data: bytes, time: float) -> bool:
        kept = _milliseconds(time)
        command = scripts.KEEP(self._named(*_LISTS), entry, number, data, MOST_LIST_BYTES, kept)
        return bool(self._ask(command, len(data)))

    def pieces(self, entry: str, numbers: Sequence[int], time: float) -> list[bytes | None]:
        command = scripts.PIECES(self._named(*_LISTS), entry, _milliseconds(time), *numbers)
        found: list[bytes | None] = self._ask(command)
        return found

    def _named(self, *names: str) -> list[bytes]:
        return [self._keys.shared(name) for name in names]

    def _ask(self, command: Command, size: int = 100) -> Any:
        """The reply. Raises Unshared."""
        result: AsyncResult[Any] = AsyncResult()
        reason = self.health.reason or "too much waits for it"
        if self._lane.put(command, size, result.set):
            reply = result.wait(self._patience)
            if result.ready() and not isinstance(reply, Away):
                return reply
            reason = str(reply or f"it does not answer within {self._patience:g} s")
        self.unshared += 1
        self._limiter.log(
            *(_log, logging.WARNING, "unshared"),
            "logins, logouts, limits of actions and lists are not shared with other edges now, and "
            "this one goes by what it knows: Redis: %s",
            reason,
        )
        raise Unshared(reason)


def _limits(rate: Rate) -> tuple[int, int]:
    return round(rate.interval * 1e6), rate.most


def _expiry(rates: Iterable[Rate]) -> int:
    """Milliseconds after which no bucket can have anything any more."""
    return _milliseconds(max(_ONE_HOUR, *(2 * rate.interval * rate.most for rate in rates)))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class _SharedLane(Lane):
    """Has the scripts of what edges share."""

    def __init__(self, connection: Connection, health: Health) -> None:
        super().__init__("shared", connection, health, keep=False)
        self.there = Event()
        """Commands are taken."""

    def opened(self) -> None:
        _load(self.connection)
        self.there.set()

    def away(self, away: Away) -> None:
        self.there.clear()
        super().away(away)


def _load(connection: Connection) -> None:
    commands: list[Command] = [("SCRIPT", "LOAD", script.text) for script in scripts.SHARED]
    for reply in connection.ask_all(commands):
        if isinstance(reply, Refusal):
            raise Away(reply.reason)


class _News(Worker):
    """Hears of logouts, and tells those that Redis may not have."""

    events: SharedEvents

    def __init__(self, keys: Keys, connection: Connection, health: Health) -> None:
        super().__init__("logouts", connection, health)
        self.all_told = Event()
        """What Redis had at the last connection was told."""
        self._keys = keys
        self._secret = b""
        """What Redis has, as long as it keeps its data."""
        self._known = b"0"
        self._position = b"0-0"
        self._first = True

    def opened(self) -> None:
        _load(self.connection)
        self._secret, self._position, self._first = b"", b"0-0", True
        self._take_all()
        self.all_told.set()

    def away(self, away: Away) -> None:
        self.all_told.clear()

    def turn(self) -> float:
        self._tell()
        news = self._keys.shared("news")
        block = 1 if self._first else _BLOCK  # a turn has to tell that all is well
        self._first = False
        found = self.connection.ask("XREAD", "BLOCK", block, "STREAMS", news, self._position)
        if found:
            self._position = found[0][1][-1][0]
        self._take_all()
        return 0.0

    def _take_all(self) -> None:
        """What is new, and the secret, which must not expire while somebody uses it."""
        keys = [self._keys.shared(name) for name in ("login", "logouts", "until")]
        kept = _milliseconds(KEPT)
        more = True
        while more:
            secret, known, forgotten, found = self.connection.ask(
                *scripts.FOLLOW(keys, secrets.token_bytes(32), self._known, kept, LOGOUTS_AT_ONCE)
            )
            if secret != self._secret:  # or this connection is new
                self._secret, self._known = secret, b"0"
                self.events.use_secret(secret)
                self.events.begin_logouts()
                continue
            self._known = known
            before = None if forgotten < 0 else forgotten / 1000
            self.events.take_logouts([_logout(*one) for one in found], before)
            more = len(found) == LOGOUTS_AT_ONCE

    def _tell(self) -> None:
        while logouts := self.events.untold(LOGOUTS_AT_ONCE):
            self.connection.ask(*_log_out(self._keys, logouts))
            self.events.told(logouts)


def _log_out(keys: Keys, logouts: Iterable[Logout]) -> Command:
    arguments: list[Argument] = []
    for one in logouts:
        name = b64encode(one.session) + b" " + _bytes(one.user)
        arguments += (name, _milliseconds(one.age), _milliseconds(one.rest))
    named = [keys.shared(name) for name in ("login", "logouts", "until", "news")]
    return scripts.LOG_OUT(named, MOST_LOGOUTS, _milliseconds(KEPT), *arguments)


def _logout(name: bytes, age: int, rest: int) -> Logout:
    session, _, user = name.partition(b" ")
    text = user.decode("utf-8", "surrogatepass")
    return Logout(text, b64decode(session), age / 1000, rest / 1000)
