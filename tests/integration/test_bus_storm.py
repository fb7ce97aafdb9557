"""The bus while everything goes wrong with Redis, one fault after the other, by chance.

Entries have numbers, and a snapshot says the next one. So a follower sees whether each came
once and in order since the snapshot that it was told, which is also what `resume` needs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent
import pytest

from amiws_gevent.bus.api import UNREACHABLE, Bounds, Reply
from amiws_gevent.bus.connection import Away
from amiws_gevent.bus.redis_bus import RedisCollector, RedisEdge
from tests.support.bus import KEYS
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.slow

STREAMS = ("a", "b", "c")


class Publishing:
    """Appends numbers, some small, some large, one at a time or many."""

    def __init__(self, chance: random.Random) -> None:
        self.bus: RedisCollector
        self.next = dict.fromkeys(STREAMS, 0)
        self.losses: list[str] = []
        self._chance = chance

    def run(self) -> None:
        chance = self._chance
        while True:
            if self.bus.writer.waiting < 10**7:
                stream = chance.choice(STREAMS)
                for _ in range(chance.choice([1, 1, 5, 60])):
                    text = b"%d %s" % (self.next[stream], b"x" * chance.choice([0, 10, 2000]))
                    self.bus.writer.append(stream, text)
                    self.next[stream] += 1
            gevent.sleep(chance.choice([0, 0.001, 0.01]))

    def save(self, stream: str) -> None:
        self.bus.writer.save(stream, b"%d" % self.next[stream])

    def on_gained(self, term: int) -> None:
        for stream in STREAMS:
            self.save(stream)

    def on_lost(self, reason: str) -> None:
        self.losses.append(reason)

    def on_connection(self, up: bool, reason: str) -> None:
        pass

    on_broken = on_snapshot_due = save


class Following:
    """Looks at the numbers."""

    def __init__(self) -> None:
        self.next: dict[str, int] = {}
        self.wrong: list[tuple[object, ...]] = []
        self.slow = 0.0

    def on_begin(self, stream: str, snapshot: bytes, earlier: Sequence[bytes]) -> None:
        self.next[stream] = int(snapshot)
        before = [int(entry.split()[0]) for entry in earlier]
        if before != list(range(int(snapshot) - len(before), int(snapshot))):
            self.wrong.append(("earlier", stream, snapshot, before[:1], before[-1:]))

    def on_entries(self, stream: str, entries: Sequence[bytes]) -> None:
        for entry in entries:
            number = int(entry.split()[0])
            if number != self.next[stream]:
                self.wrong.append(("gap", stream, number, self.next[stream]))
            self.next[stream] = number + 1
        gevent.sleep(self.slow)

    def on_broken(self, stream: str, reason: str) -> None:
        del self.next[stream]

    def on_connection(self, up: bool, reason: str) -> None:
        pass

    def on_collector(self, up: bool, reason: str) -> None:
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


def faults(server: RedisServer, follower: Following) -> list[Callable[[], object]]:
    """What may go wrong."""

    def killed() -> None:
        server.kill()
        gevent.sleep(0.3)
        server.start()

    def frozen() -> None:
        server.freeze()
        gevent.sleep(1.2)
        server.thaw()

    def slow() -> None:
        follower.slow = 0.05 - follower.slow

    return [
        killed,
        frozen,
        slow,
        lambda: server.ask("FLUSHALL"),
        lambda: server.ask("SCRIPT", "FLUSH"),
        lambda: server.ask("DEL", KEYS.stream("a")),
        lambda: server.ask("DEL", KEYS.about("b"), KEYS.lease),
        lambda: server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
    ]


@pytest.mark.parametrize("keeps", [True, False], ids=["with its data", "without"])
def test_a_storm(tmp_path: Path, keeps: bool) -> None:
    chance = random.Random(keeps)
    options = ["appendonly yes", "appendfsync always"] if keeps else []
    with RedisServer(tmp_path, options) as server:
        publishing = Publishing(chance)
        bounds = Bounds(entries=2000, bytes=2 * 10**6, age=3.0)
        bus = RedisCollector(server.settings, publishing, bounds, lease_time=1.0)
        publishing.bus = bus
        followers = [Following(), Following()]
        edges = [RedisEdge(server.settings, follower, bounds) for follower in followers]
        asking = Asking(chance, edges)
        bus.callee.serve({"ask": asking.answer})
        bus.start()
        for edge in edges:
            edge.reader.follow(STREAMS)
            edge.start()
        running = [gevent.spawn(publishing.run), gevent.spawn(asking.run)]
        for fault in chance.choices(faults(server, followers[0]), k=12):
            gevent.sleep(chance.uniform(0.1, 0.8))
            try:
                fault()
            except Away:  # the test's own connection was closed by a fault before
                server.hang_up()
        followers[0].slow = 0.0

        until(lambda: bus.health.up and bus.holds() and all(edge.health.up for edge in edges))
        gevent.killall(running)
        until(lambda: not bus.writer.waiting)
        until(lambda: all(follower.next == publishing.next for follower in followers))
        until(lambda: not any(edge.caller.at_work for edge in edges))
        gevent.sleep(0)
        bus.stop()
        for edge in edges:
            edge.stop()

    assert [follower.wrong for follower in followers] == [[], []]
    assert publishing.losses == []
    assert max(asking.done.values()) == 1
    assert {len(told) for told in asking.told.values()} == {1}
    answered = Counter(told[0] for told in asking.told.values())
    assert answered[""]
    unreachable = {question for question, told in asking.told.items() if told == [UNREACHABLE]}
    assert not unreachable & asking.done.keys()
    assert bus.guard.faults == sum(edge.guard.faults for edge in edges) == 0
