"""The bus while everything goes wrong with Redis and with collectors, by chance.

Three collectors share leases with a stream each. An entry has the term of its collector and a
number, and a snapshot says the next one. So a follower sees whether each came once and in order
since the snapshot that it was told, which is also what `resume` needs, and that nobody published
under an older term than the one before.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from amiws_gevent.bus.api import UNREACHABLE, Bounds, Reply
from amiws_gevent.bus.connection import Away
from amiws_gevent.bus.leases import boot_time
from amiws_gevent.bus.redis_bus import RedisCollector, RedisEdge
from amiws_gevent.bus.worker import Worker
from tests.support.bus import KEYS, lease_of
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow

LEASES = tuple(f"server-{i}" for i in range(6))
LEASE_TIME = 1.0
BOUNDS = Bounds(entries=2000, bytes=2 * 10**6, age=3.0)

_Place = tuple[int, int]  # term, and number of the next entry


def stream_of(lease: str) -> str:
    return f"{lease}.s"


class Publishing:
    """A collector that appends numbers, some small, some large, one at a time or many."""

    def __init__(self, server: RedisServer, chance: random.Random) -> None:
        self.next: dict[str, _Place] = {}
        self.tails: list[tuple[str, bytes | None, list[bytes]]] = []
        self.paused_at: float | None = None
        self._chance = chance
        self._goes_on = Event()
        self._goes_on.set()
        self.bus = RedisCollector(
            server.settings,
            self,
            BOUNDS,
            lease_of=lease_of,
            lease_time=LEASE_TIME,
            clock=lambda: boot_time() if self.paused_at is None else self.paused_at,
        )
        self.bus.want(LEASES)
        turn = self.bus.leases.turn

        def waiting() -> float:
            self._goes_on.wait()
            return turn()

        self.bus.leases.turn = waiting  # type: ignore[method-assign]
        self.running = gevent.spawn(self._run)

    def workers(self) -> tuple[Worker, ...]:
        bus = self.bus
        asking = (bus.asker.lane, bus.asker.listener)
        return bus.leases, bus.writer, bus.lane, bus.callee, *asking

    @contextmanager
    def paused(self) -> Iterator[None]:
        """As one that stands still: its clock too. What it writes later comes late."""
        self._goes_on.clear()
        self.paused_at = boot_time()
        yield
        self.paused_at = None
        self._goes_on.set()

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """It cannot reach Redis, and knows it."""

        def away(*_: object) -> None:
            raise Away("it is cut off")

        for worker in self.workers():
            worker.connection.open = away  # type: ignore[method-assign]
            worker.connection.ask_all = away  # type: ignore[method-assign,assignment]
        yield
        for worker in self.workers():
            del worker.connection.open, worker.connection.ask_all  # type: ignore[misc]

    def _run(self) -> None:
        chance = self._chance
        while True:
            if self.next and self.bus.waiting < 10**7:
                lease = chance.choice(list(self.next))
                for _ in range(chance.choice([1, 1, 5, 60])):
                    self._append(lease)
            gevent.sleep(chance.choice([0, 0.001, 0.01]))

    def _append(self, lease: str) -> None:
        term, number = self.next[lease]
        text = b"%d %d %s" % (term, number, b"x" * self._chance.choice([0, 10, 2000]))
        self.bus.writer.append(stream_of(lease), text)
        self.next[lease] = term, number + 1

    def acts_for(self) -> set[str]:
        return {lease for lease in self.next if self.bus.holds(lease)}

    def introduce(self) -> None:
        """Say something in each stream, by which its readers know the term."""
        for lease, (_, number) in list(self.next.items()):
            if number == 0:
                self._append(lease)

    def _save(self, lease: str) -> None:
        if lease in self.next:
            self.bus.writer.save(stream_of(lease), b"%d %d" % self.next[lease])

    def on_gained(self, lease: str, term: int) -> None:
        def on_tail(snapshot: bytes | None, entries: Sequence[bytes]) -> None:
            self.tails.append((lease, snapshot, list(entries)))
            self.next[lease] = term, 0
            self._save(lease)

        self.bus.writer.tail(stream_of(lease), on_tail)

    def on_lost(self, lease: str, reason: str) -> None:
        self.next.pop(lease, None)

    def on_yield(self, lease: str, reason: str) -> None:
        self.next.pop(lease, None)
        self.bus.give_back(lease)

    def on_connection(self, up: bool, reason: str) -> None:
        pass

    def on_broken(self, stream: str) -> None:
        self._save(lease_of(stream))

    on_snapshot_due = on_broken


class Following:
    """Looks at the terms and numbers.

    If Redis never comes back with older data, terms never go back, also where a stream begins anew.
    """

    def __init__(self, keeps: bool) -> None:
        self.next: dict[str, _Place] = {}
        self._keeps = keeps
        self._newest: dict[str, int] = {}
        self.wrong: list[tuple[object, ...]] = []
        self.slow = 0.0

    def on_begin(self, stream: str, snapshot: bytes, earlier: Sequence[bytes]) -> None:
        term, number = map(int, snapshot.split())
        places = [self._place(entry) for entry in earlier]
        before = places[0] if places else (0, 0)
        for place in places:
            self._look(stream, before, place)
            before = place[0], place[1] + 1
        if (places and before[0] == term and before[1] != number) or before[0] > term:
            self.wrong.append(("snapshot", stream, snapshot, before))
        self.next[stream] = term, number
        self._look_at_term(stream, term)

    def on_entries(self, stream: str, entries: Sequence[bytes]) -> None:
        for entry in entries:
            place = self._place(entry)
            self._look(stream, self.next[stream], place)
            self.next[stream] = place[0], place[1] + 1
            self._look_at_term(stream, place[0])
        gevent.sleep(self.slow)

    def _place(self, entry: bytes) -> _Place:
        term, number, *_ = entry.split()
        return int(term), int(number)

    def _look(self, stream: str, due: _Place, found: _Place) -> None:
        """The next one of its term, or one of a newer term."""
        if found[0] < due[0] or (found[0] == due[0] and found != due):
            self.wrong.append(("order", stream, due, found))

    def _look_at_term(self, stream: str, term: int) -> None:
        if self._keeps and term < self._newest.get(stream, 0):
            self.wrong.append(("term", stream, self._newest[stream], term))
        self._newest[stream] = term

    def on_broken(self, stream: str, reason: str) -> None:
        del self.next[stream]

    def on_connection(self, up: bool, reason: str) -> None:
        pass

    def on_collector(self, lease: str, up: bool, reason: str) -> None:
        pass


class Asking:
    """Asks questions, and knows of each how often it was done, and what was told."""

    def __init__(self, chance: random.Random, edges: Sequence[RedisEdge]) -> None:
        self.done: Counter[bytes] = Counter()
        self.told: dict[bytes, list[str]] = {}
        self._chance = chance
        self._edges = edges

    def run(self) -> None:
        while True:
            gevent.sleep(self._chance.choice([0, 0.005, 0.05]))
            question = b"%d" % len(self.told)
            told = self.told[question] = []
            edge = self._chance.choice(self._edges)
            cancel = edge.caller.call(
                self._chance.choice(LEASES),
                "ask",
                question,
                self._chance.choice([0.05, 1.0, 5.0]),
                lambda data, last, problem, told=told: told.append(problem),  # type: ignore[misc]
            )
            if self._chance.random() < 0.1:
                cancel()
                told.append("cancelled")

    def answer(self, question: bytes, reply: Reply) -> None:
        self.done[question] += 1
        gevent.spawn_later(self._chance.choice([0, 0.01, 0.3]), reply.send, question, True)


class Storm:
    """All of it, and what may go wrong."""

    def __init__(self, server: RedisServer, chance: random.Random, keeps: bool) -> None:
        self.server = server
        self.chance = chance
        self.followers = [Following(keeps), Following(keeps)]
        self.edges = [
            RedisEdge(server.settings, follower, BOUNDS, lease_of=lease_of)
            for follower in self.followers
        ]
        self.asking = Asking(chance, self.edges)
        self.collectors = [self._collector() for _ in range(3)]
        self.gone: list[Publishing] = []
        self.twice: list[str] = []
        for edge in self.edges:
            edge.reader.follow(map(stream_of, LEASES))
            edge.start()
        self.running = [gevent.spawn(self.asking.run), gevent.spawn(self._watch)]

    def _collector(self) -> Publishing:
        made = Publishing(self.server, self.chance)
        made.bus.callee.serve({"ask": self.asking.answer})
        made.bus.start()
        return made

    def _watch(self) -> None:
        """No two may act for one server. Who stands still does not act."""
        while True:
            awake = [one.bus for one in self.collectors if one.paused_at is None]
            for lease in LEASES:
                if sum(bus.holds(lease) for bus in awake) > 1:
                    self.twice.append(lease)
            gevent.sleep(0.001)

    def faults(self) -> list[Callable[[], object]]:
        """What may go wrong, each once."""
        ask = self.server.ask
        return [
            self._killed,
            self._killed,
            self._older,
            self._frozen,
            self._slow,
            self._paused,
            self._paused,
            self._cut_off,
            self._dies,
            self._ends,
            lambda: ask("FLUSHALL"),
            lambda: ask("SCRIPT", "FLUSH"),
            lambda: ask("DEL", KEYS.stream(stream_of(LEASES[0]))),
            lambda: ask("DEL", KEYS.about(stream_of(LEASES[1])), KEYS.members),
            lambda: ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
        ]

    def _killed(self) -> None:
        self.server.kill()
        gevent.sleep(0.3)
        self.server.start()

    def _older(self) -> None:
        """Redis comes back as it was a while ago."""
        self.server.keep_data()
        gevent.sleep(self.chance.uniform(0.1, 1.5))
        self._killed()

    def _frozen(self) -> None:
        self.server.freeze()
        gevent.sleep(1.2)
        self.server.thaw()

    def _slow(self) -> None:
        follower = self.followers[0]
        follower.slow = 0.05 - follower.slow

    def _paused(self) -> None:
        """Another follows, and what it says late is refused."""
        until(lambda: self._one_that_acts().acts_for())
        one = self._one_that_acts()
        leases, refusals = one.acts_for(), one.bus.refusals
        others = [other for other in self.collectors if other is not one]
        with one.paused():
            until(lambda: any(other.next.keys() & leases for other in others))
            until(lambda: one.bus.refusals > refusals)

    def _cut_off(self) -> None:
        with self._one_that_acts().cut_off():
            gevent.sleep(1.5 * LEASE_TIME)

    def _one_that_acts(self) -> Publishing:
        return max(self.collectors, key=lambda one: len(one.acts_for()))

    def _dies(self) -> None:
        collector = self._take_one()
        for worker in collector.workers():
            worker.stop()
        collector.bus.leases.held.clear()
        self._replace()

    def _ends(self) -> None:
        self._take_one().bus.stop()
        self._replace()

    def _take_one(self) -> Publishing:
        self.gone.append(self.collectors.pop(self.chance.randrange(len(self.collectors))))
        self.gone[-1].running.kill()
        return self.gone[-1]

    def _replace(self) -> None:
        self.collectors.append(self._collector())

    def is_over(self) -> bool:
        """Whether all is as if nothing had been."""
        buses = [collector.bus for collector in self.collectors]
        every = [*buses, *self.edges]
        held = Counter(lease for bus in buses for lease in bus.held if bus.holds(lease))
        return all(bus.health.up for bus in every) and held == dict.fromkeys(LEASES, 1)

    def is_told(self) -> bool:
        """Whether both followers know all, now that nothing more is said."""
        for collector in self.collectors:
            collector.introduce()
        nexts = {
            stream_of(lease): place for one in self.collectors for lease, place in one.next.items()
        }
        return all(follower.next == nexts for follower in self.followers)


def test_storms(tmp_path: Path) -> None:
    """Of a Redis that keeps its data, and of one that does not: at once, since they mostly wait."""
    storms = [gevent.spawn(a_storm, tmp_path / str(keeps), keeps) for keeps in (True, False)]
    try:
        gevent.joinall(storms, raise_error=True)
    finally:
        gevent.killall(storms)


def a_storm(folder: Path, keeps: bool) -> None:
    chance = random.Random(keeps)
    options = ["appendonly yes", "appendfsync always"] if keeps else []
    with RedisServer(folder, options) as server:
        storm = Storm(server, chance, keeps)
        until(storm.is_over)
        faults = storm.faults()
        for fault in chance.sample(faults, len(faults)):
            gevent.sleep(chance.uniform(0.1, 0.8))
            try:
                fault()
            except Away:  # the test's own connection was closed by a fault before
                server.hang_up()
        storm.followers[0].slow = 0.0

        until(storm.is_over)
        gevent.killall([one.running for one in storm.collectors] + storm.running[:1])
        until(storm.is_told)
        until(lambda: not any(edge.caller.at_work for edge in storm.edges))
        gevent.sleep(0)
        buses = [one.bus for one in (*storm.collectors, *storm.gone)]
        for bus in buses:
            bus.stop()
        for edge in storm.edges:
            edge.stop()
        gevent.killall(storm.running)

    assert storm.twice == []
    assert [follower.wrong for follower in storm.followers] == [[], []]
    assert sum(bus.refusals for bus in buses) > 0
    asking = storm.asking
    assert max(asking.done.values()) == 1
    assert {len(told) for told in asking.told.values()} == {1}
    answered = Counter(told[0] for told in asking.told.values())
    assert answered[""]
    unreachable = {question for question, told in asking.told.items() if told == [UNREACHABLE]}
    assert not unreachable & asking.done.keys()
    assert sum(bus.guard.faults for bus in (*buses, *storm.edges)) == 0
