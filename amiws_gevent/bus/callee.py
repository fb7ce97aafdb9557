"""The collector's side of the questions of edges, and of other collectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from amiws_gevent.bus.api import NO_PROBLEM, UNKNOWN, UNREACHABLE, Handler, Problem
from amiws_gevent.bus.connection import Away, Connection, Refusal
from amiws_gevent.bus.keys import Keys, field
from amiws_gevent.bus.lane import Lane
from amiws_gevent.bus.leases import Leases, boot_time
from amiws_gevent.bus.scripts import ANSWER, FENCED, TAKE, Command
from amiws_gevent.bus.worker import Guard, Health, Worker

MOST_AT_WORK = 5_000
"""Questions of all edges that are being answered."""

MOST_UNREAD = 10_000
MOST_UNREAD_BYTES = 32 * 1024 * 1024
"""Answers that one edge has not read yet."""

_BLOCK = 1.0  # seconds, also between two looks whether this collector has the lease
_RETRY = 0.1
_COUNT = 16

_Key = tuple[str, bytes]  # edge and id


class _Question(NamedTuple):
    """A question as its entry has it."""

    fence: bytes
    edge: str
    identity: bytes
    method: str
    milliseconds: int
    life: bytes
    """Of the Redis that was asked; see `scripts.TAKE`."""
    data: bytes

    @classmethod
    def of(cls, fields: list[bytes]) -> _Question | None:
        """None for what no edge of ours has written."""
        try:
            _, fence, _, edge, _, identity, _, method, _, milliseconds, _, life, _, data = fields
            asked = edge.decode(), identity, method.decode(), int(milliseconds)
            return cls(fence, *asked, life, data)
        except ValueError:
            return None


class _Found(NamedTuple):
    """An entry of the calls of a lease."""

    id: bytes
    size: int
    question: _Question | None

    @classmethod
    def of(cls, entry: Any) -> _Found:
        """As Redis tells it."""
        identity, fields = entry
        return cls(identity, len(fields[-1]), _Question.of(fields))

    @property
    def milliseconds(self) -> int:
        """When it was asked, by the clock of Redis."""
        return int(self.id.partition(b"-")[0])

    @property
    def life(self) -> bytes:
        """Of the Redis that was asked."""
        return b"" if self.question is None else self.question.life


class RedisReply:
    """`Reply` over Redis."""

    def __init__(
        self, callee: RedisCallee, lease: str, key: _Key, deadline: float, fence: bytes
    ) -> None:
        self.lease = lease
        self.deadline = deadline
        self.cancelled = False
        self._callee = callee
        self._key = key
        self._fence = fence
        self._number = 0
        self._over = False
        self._on_cancel: list[Callable[[], None]] = []

    @property
    def expired(self) -> bool:
        return self.cancelled or not self._callee.permits(self.deadline, self.lease, self._fence)

    def on_cancel(self, do: Callable[[], None]) -> None:
        self._on_cancel.append(do)
        if self.cancelled:
            self.cancel()

    def send(self, data: bytes, last: bool = False) -> None:
        self.put(data, last, NO_PROBLEM)

    def put(self, data: bytes, last: bool, problem: Problem) -> None:
        """Queue an answer, or a problem, which is the last."""
        if not self._over and not self.cancelled:
            self._over = last
            self._number += 1
            self._callee.answer(self._key, self, self._number - 1, data, last, problem)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.cancelled = True
        to_do, self._on_cancel = self._on_cancel, []
        if not self._over:
            for do in to_do:
                self._callee.guard(do)


class RedisCallee(Worker):
    """`Callee` over Redis. What it has counted is in its attributes."""

    def __init__(
        self,
        keys: Keys,
        connection: Connection,
        health: Health,
        leases: Leases,
        lane: Lane,
        guard: Guard,
        *,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        super().__init__("calls", connection, health)
        self.taken = 0
        self.refused = 0
        """Questions that were answered UNREACHABLE: late, or of no method that is there."""
        self.fenced = 0
        """How often Redis refused to give questions, since another has a newer term."""
        self.answers = 0
        self.lost = 0
        """Answers that did not reach their edge: it does not read, or Redis was away too long."""
        self.guard = guard
        self._keys = keys
        self._leases = leases
        self._lane = lane
        self._clock = clock
        self._methods: Mapping[str, Handler] = {}
        self._at_work: dict[_Key, RedisReply] = {}
        self._first = True

    @property
    def at_work(self) -> int:
        """Questions that are being answered."""
        return len(self._at_work)

    def serve(self, methods: Mapping[str, Handler]) -> None:
        self._methods = dict(methods)

    def end(self, lease: str) -> None:
        """The lease is lost: nobody waits for answers of this collector any more."""
        for key in [key for key, reply in self._at_work.items() if reply.lease == lease]:
            self._cancel(key)

    def permits(self, deadline: float, lease: str, fence: bytes) -> bool:
        """Whether what was asked for may still be done."""
        leases = self._leases
        return self._clock() < deadline and leases.holds(lease) and leases.fence(lease) == fence

    def answer(
        self, key: _Key, reply: RedisReply, number: int, data: bytes, last: bool, problem: Problem
    ) -> None:
        """Queue an answer."""
        if last:
            self._at_work.pop(key, None)
        edge, identity = key
        command = ANSWER(
            [self._keys.answers(edge), self._keys.answers_bytes(edge)],
            *(MOST_UNREAD, MOST_UNREAD_BYTES, identity, number, int(last), problem, data),
        )

        def answered(outcome: Any) -> None:
            if outcome == 1:
                self.answers += 1
                return
            self.lost += 1
            if outcome == 0:
                self._cancel(key)

        if not self._lane.put(command, len(data), answered):
            self.lost += 1

    # In the greenlet

    def opened(self) -> None:
        self._first = True

    def turn(self) -> float:
        self._cancel_late()
        leases = self._leases
        held = [lease for lease in leases.held if leases.holds(lease)]
        if not held:
            return _RETRY if leases.held else _BLOCK
        block = 1 if self._first else round(_BLOCK * 1000)  # a turn has to tell that all is well
        self._first = False
        by_key = {self._keys.calls(lease): lease for lease in held}
        # What was taken is gone, so that the oldest is what nobody took yet.
        words = ("XREAD", "COUNT", _COUNT, "BLOCK", block, "STREAMS")
        found = self.connection.ask(*words, *by_key, *["0-0"] * len(held))
        if not found:
            return 0.0
        return self._take({by_key[key]: [*map(_Found.of, entries)] for key, entries in found})

    def _take(self, found: Mapping[str, list[_Found]]) -> float:
        """Make questions ours, of several leases at once."""
        asked_at = self._clock()
        fences = {lease: self._leases.fence(lease) or b"" for lease in found}
        takes = [self._taking(lease, fences[lease], found[lease]) for lease in found]
        (seconds, microseconds), *replies = self._asked([("TIME",), *takes])
        now = int(seconds) * 1000 + int(microseconds) // 1000
        wait = 0.0
        for (lease, entries), taken in zip(found.items(), replies, strict=True):
            if taken == FENCED:
                self.fenced += 1
                self._leases.doubt()
                wait = _RETRY
                continue
            for one, outcome in zip(entries, taken, strict=True):
                if outcome:
                    due = asked_at - (now - one.milliseconds) / 1000
                    self._received(lease, one.question, due, fences[lease], outcome == 2)
        return wait

    def _asked(self, commands: Sequence[Command]) -> list[Any]:
        replies = self.connection.ask_all(commands)
        for reply in replies:
            if isinstance(reply, Refusal):
                raise Away(reply.reason)
        return replies

    def _taking(self, lease: str, fence: bytes, entries: Sequence[_Found]) -> Command:
        keys = [self._keys.leases, self._keys.calls(lease), self._keys.calls_bytes(lease)]
        words = [word for one in entries for word in (one.id, one.size, one.life)]
        return TAKE(keys, field(lease), fence, *words)

    def _received(
        self, lease: str, question: _Question | None, asked_at: float, fence: bytes, again: bool
    ) -> None:
        """A question that is ours alone: begin to answer it. ``again``: if it was not begun before,
        as far as Redis knows, which has older data than it had."""
        if question is None:
            self.refused += 1
            return
        key = (question.edge, question.identity)
        if not question.method:
            self._cancel(key)
            return
        deadline = asked_at + question.milliseconds / 1000
        reply = RedisReply(self, lease, key, deadline, fence)
        if again:
            if key not in self._at_work:
                reply.put(b"", True, UNKNOWN)
            return
        self.taken += 1
        handler = self._methods.get(question.method)
        full = len(self._at_work) >= MOST_AT_WORK
        # What was asked of the collector before this one, its edge may count as lost by now.
        if handler is None or full or question.fence != fence or reply.expired:
            self.refused += 1
            reply.put(b"", True, UNREACHABLE)
            return
        self._at_work[key] = reply
        faults = self.guard.faults
        self.guard(handler, question.data, reply)
        if self.guard.faults > faults:
            reply.put(b"", True, UNKNOWN)

    def _cancel(self, key: _Key) -> None:
        reply = self._at_work.pop(key, None)
        if reply is not None:
            reply.cancel()

    def _cancel_late(self) -> None:
        now = self._clock()
        for key in [key for key, reply in self._at_work.items() if reply.deadline <= now]:
            self._cancel(key)
