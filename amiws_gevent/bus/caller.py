"""Questions to collectors, and the answers: of an edge, or of another collector."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent.event import Event

from amiws_gevent.bus.api import NO_PROBLEM, UNKNOWN, UNREACHABLE, OnAnswer, Problem
from amiws_gevent.bus.connection import Away, Connection
from amiws_gevent.bus.keys import Keys
from amiws_gevent.bus.lane import Lane
from amiws_gevent.bus.scripts import CALL, LISTEN, LOOK, READ, WITHDRAW, Command
from amiws_gevent.bus.worker import Guard, Health, Worker

MOST_CALLS = 2_000
"""Questions of one edge that wait for answers."""

MOST_UNTAKEN = 1_000
MOST_UNTAKEN_BYTES = 32 * 1024 * 1024
"""Questions of all edges that the collector has not taken yet."""

MOST_UNTOLD_BYTES = 16 * 1024 * 1024
"""Bytes of answers that ``on_answer`` was not yet told; then no more are read."""

CALLS_KEPT = 600_000
"""Milliseconds after which questions that nobody takes are gone from Redis."""

ANSWERS_KEPT = 60_000
"""Milliseconds after which the answers of an edge that reads none are gone."""

HOLD_TIME = 2.0
"""Seconds for which a question is held at most, while Redis is there and the way to it is not yet:
other connections may have been faster after an outage."""
MOST_HELD = 256

LOOK_TIME = 1.0
"""Seconds between two looks whether the collector is there, while somebody waits."""

_BLOCK = 1.0
_HELD_WAIT = 0.05  # seconds between two looks whether there is a way for what is held
_COUNT = 64


class _Call:
    """A question that waits for answers."""

    def __init__(
        self,
        lease: str,
        method: str,
        data: bytes,
        identity: int,
        deadline: float,
        on_answer: OnAnswer,
    ) -> None:
        self.lease = lease
        self.method = method
        self.data = data
        self.identity = identity
        self.size = len(data)
        self.deadline = deadline
        self.on_answer = on_answer
        self.entry: bytes | None = None
        """Its entry in Redis, once that is known."""
        self.fence = b""
        """The collector that it is for."""
        self.answers = 0
        self.over = False
        """Nothing more is told: it was cancelled, or has had its last answer."""
        self.withdrawn = False


class RedisCaller:
    """`Caller` over Redis. What it has counted is in its attributes."""

    def __init__(
        self,
        keys: Keys,
        lane: Lane,
        guard: Guard,
        *,
        edge: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.calls = 0
        self.answers = 0
        self.unreachable = 0
        self.unknown = 0
        self.untold = 0
        """Bytes of answers that ``on_answer`` was not yet told."""
        self.told = Event()
        self._keys = keys
        self._lane = lane
        self._guard = guard
        self._edge = edge
        self._clock = clock
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Call] = {}
        self._held: list[tuple[_Call, float]] = []  # until when
        self._news: deque[tuple[_Call, bytes | None, bool, Problem]] = deque()
        self._wake = Event()
        self._looks_at = 0.0
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._listening = False

    @property
    def at_work(self) -> int:
        """Questions that wait for answers."""
        return len(self._waiting)

    def call(
        self, lease: str, method: str, data: bytes, timeout: float, on_answer: OnAnswer
    ) -> Callable[[], None]:
        self.calls += 1
        deadline = self._clock() + timeout
        call = _Call(lease, method, data, next(self._numbers), deadline, on_answer)
        self._waiting[call.identity] = call
        if len(self._waiting) > MOST_CALLS:
            self._end(call, UNREACHABLE)
        else:
            self._ask(call, self._clock() + HOLD_TIME)
        self._wake.set()
        return lambda: self._cancel(call)

    def _ask(self, call: _Call, until: float) -> None:
        """Ask, or hold it ``until`` then at the latest, or end it."""
        now = self._clock()
        if self._listening and self._lane.up:
            keys = [self._keys.calls(call.lease), self._keys.calls_bytes(call.lease)]
            bounds = (MOST_UNTAKEN, MOST_UNTAKEN_BYTES, CALLS_KEPT)
            milliseconds = max(1, round((call.deadline - now) * 1000))
            asked = (self._edge, str(call.identity), call.method, milliseconds, call.data)
            command = CALL(keys, *bounds, *asked, self._keys.leases, call.lease)
            if self._lane.put(command, call.size, lambda reply: self._asked(call, reply, until)):
                return
        elif self._may_hold() and now < min(until, call.deadline):
            self._held.append((call, until))
            return
        self._end(call, UNREACHABLE)

    def _may_hold(self) -> bool:
        return self._lane.redis_is_there and len(self._held) < MOST_HELD

    def _ask_held(self) -> None:
        held, self._held = self._held, []
        for call, until in held:
            if not call.over:
                self._ask(call, until)

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Tell all who wait that they will hear nothing."""
        self._listening = False
        held = {call.identity for call, _ in self._held}
        for call in list(self._waiting.values()):
            self._end(call, UNREACHABLE if call.identity in held else UNKNOWN)
        self._tell_news()
        if self._greenlet is not None:
            self._greenlet.kill()

    # Told by the lane and the listener

    def listening(self, there: bool) -> None:
        """Answers can come; ``there``: and none was lost since they could the last time."""
        if not there:
            for call in list(self._waiting.values()):
                if call.entry is not None:
                    self._withdraw(call)
        self._listening = True

    def deaf(self) -> None:
        """No answers can be read now: nothing more is asked."""
        self._listening = False

    def answered(self, fields: list[bytes]) -> int:
        """An answer as its entry has it; returns its bytes."""
        _, identity, _, number, _, last, _, problem, _, data = fields
        call = self._waiting.get(int(identity))
        if call is not None and int(number) >= call.answers:
            lost = int(number) > call.answers
            call.answers = int(number) + 1
            if lost or problem:
                self._end(call, UNREACHABLE if problem == b"unreachable" else UNKNOWN)
            else:
                self.answers += 1
                self._tell(call, data, last == b"1", NO_PROBLEM)
        return len(data)

    def _asked(self, call: _Call, reply: Any, until: float) -> None:
        if isinstance(reply, Away):
            if not (reply.asked or call.over or self._lane.up):
                self._ask(call, until)  # it was certainly not asked
                self._wake.set()
                return
            self._end(call, UNKNOWN if reply.asked else UNREACHABLE)
        elif not reply:
            self._end(call, UNREACHABLE)
        else:
            call.entry, call.fence = reply
            call.data = b""
            if call.over:
                self._tell_collector(call)

    # What is told

    def _end(self, call: _Call, problem: Problem) -> None:
        if problem == UNREACHABLE:
            self.unreachable += 1
        else:
            self.unknown += 1
        self._tell(call, None, True, problem)

    def _tell(self, call: _Call, data: bytes | None, last: bool, problem: Problem) -> None:
        """Tell it soon, in the one greenlet that tells."""
        if last:
            self._waiting.pop(call.identity, None)
        self.untold += len(data or b"")
        self._news.append((call, data, last, problem))
        self._wake.set()

    def _tell_news(self) -> None:
        while self._news:
            call, data, last, problem = self._news.popleft()
            self.untold -= len(data or b"")
            self.told.set()
            if not call.over:
                call.over = last
                self._guard(call.on_answer, data, last, problem)

    # When it is over

    def _cancel(self, call: _Call) -> None:
        if not call.over:
            call.over = True
            self._waiting.pop(call.identity, None)
            if call.entry is not None:
                self._tell_collector(call)

    def _tell_collector(self, call: _Call) -> None:
        """Nobody waits for answers to ``call``; if Redis is away its time will be over anyway."""
        self._lane.put(self._withdrawal(call), 0, lambda reply: None)

    def _withdraw(self, call: _Call) -> None:
        """Find out whether a question was taken, take it back if not, and tell."""
        if call.withdrawn:
            return
        call.withdrawn = True

        def settled(reply: Any) -> None:
            if call.identity in self._waiting:
                self._end(call, UNREACHABLE if reply == 1 else UNKNOWN)

        if not self._lane.put(self._withdrawal(call), 0, settled):
            settled(None)

    def _withdrawal(self, call: _Call) -> Command:
        keys = [self._keys.calls(call.lease), self._keys.calls_bytes(call.lease)]
        return WITHDRAW(keys, call.entry or b"", call.size, self._edge, str(call.identity))

    def _run(self) -> None:
        while True:
            self._ask_held()
            self._tell_news()
            now = self._clock()
            for call in [one for one in self._waiting.values() if one.deadline <= now]:
                if call.entry is not None:
                    self._withdraw(call)
                elif call.deadline + LOOK_TIME <= now:  # what became of it is still to come
                    self._end(call, UNKNOWN)
            if self._waiting and now >= self._looks_at:
                self._looks_at = now + LOOK_TIME
                self._look()
            if not self._news:
                soonest = min((one.deadline for one in self._waiting.values()), default=now + 60)
                wait = min(max(soonest - now, 0.05), LOOK_TIME)
                if self._held:
                    wait = min(wait, _HELD_WAIT)
                self._wake.wait(wait if self._waiting else None)
                self._wake.clear()

    def _look(self) -> None:
        leases = list(dict.fromkeys(call.lease for call in self._waiting.values()))
        command = LOOK([self._keys.leases], *leases)
        self._lane.put(command, 0, lambda reply: self._looked(leases, reply))

    def _looked(self, leases: Sequence[str], reply: Any) -> None:
        """Whether each collector is still the one that a question was for."""
        if isinstance(reply, Away):
            return
        fences = dict(zip(leases, reply, strict=True))
        for call in list(self._waiting.values()):
            if call.entry is not None and call.fence != fences.get(call.lease, call.fence):
                self._withdraw(call)


class Listener(Worker):
    """Reads the answers to an edge's questions."""

    def __init__(
        self, keys: Keys, connection: Connection, health: Health, caller: RedisCaller, edge: str
    ) -> None:
        super().__init__("answers", connection, health)
        self._keys = [keys.answers(edge), keys.answers_bytes(edge)]
        self._caller = caller
        self._position = b"0-0"
        self._first = True

    def opened(self) -> None:
        self._position = b"0-0"  # what was not confirmed comes again; its numbers tell
        self._first = True

    def away(self, away: Away) -> None:
        self._caller.deaf()

    def turn(self) -> float:
        there = self.connection.ask(*LISTEN(self._keys, ANSWERS_KEPT))
        self._caller.listening(there == 1)
        block = 1 if self._first else round(_BLOCK * 1000)  # a turn has to tell that all is well
        self._first = False
        found = self.connection.ask(
            *("XREAD", "COUNT", _COUNT, "BLOCK", block, "STREAMS", self._keys[0], self._position)
        )
        if not found:
            return 0.0
        entries = found[0][1]
        size = sum(self._caller.answered(fields) for _, fields in entries if fields[1])
        self._position = entries[-1][0]
        self.connection.ask(*READ(self._keys, self._position, size))
        while self._caller.untold > MOST_UNTOLD_BYTES:
            self._caller.told.clear()
            self._caller.told.wait()
        return 0.0
