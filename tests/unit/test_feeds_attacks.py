"""Who subscribes and comes back without end: others get all of theirs, and what is kept is bounded.

The hub runs as in the program, in its greenlet; each client reads in one of its own. What is
counted is what came, never how long it took.
"""

from __future__ import annotations

import random
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import Greenlet

from amiws_gevent.feeds.feed import MOST_SUBSCRIPTIONS
from amiws_gevent.feeds.history import MOST_SELECTIONS
from amiws_gevent.feeds.positions import LONGEST, MOST_LAYOUTS
from amiws_gevent.feeds.views import MOST_KEPT
from amiws_gevent.runtime.loop import yield_to_loop
from tests.support.feeds import BOTH, EVENTS, STATE, Client, World, expected
from tests.support.patience import WAIT

ENTITIES = 200
ROUNDS = 10
"""Of what the server says and changes while a storm goes on."""


class Storm:
    """A world whose server goes on, with two honest clients: of events, and of the state."""

    def __init__(self) -> None:
        self.world = World()
        self.random = random.Random(1)
        self.said = 0
        self.over = False
        self.attackers: list[Greenlet[..., None]] = []
        for number in range(ENTITIES):
            self.put(number, 0)
        self.world.flush()
        self.world.hub.start()
        self.listener, self.watcher = self.world.client(), self.world.client()
        self.listener.subscribe(EVENTS)
        self.watched = self.watcher.subscribe(STATE).id
        self.honest = [gevent.spawn(self._read, one) for one in (self.listener, self.watcher)]

    def put(self, number: int, n: int) -> None:
        queue, exten = str(number % 7), str(number % 11)
        self.world.server.put("queue_caller", str(number), queue=queue, number=exten, n=n)

    def _read(self, client: Client) -> None:
        while True:
            client.transport.turn()
            yield_to_loop()

    def attack(self, attack: Callable[[], None]) -> None:
        """Have this done until the storm is over, with others' turns between."""

        def attacks() -> None:
            while not self.over:
                attack()
                yield_to_loop()

        self.attackers.append(gevent.spawn(attacks))

    def rage(self) -> None:
        """The server goes on meanwhile; then all attackers stop."""
        for n in range(1, ROUNDS + 1):
            for number in range(0, ENTITIES, 3):
                self.put(number, n)
            for _ in range(3):
                self.world.says(f"E{self.said}", Queue=str(self.said % 7))
                self.said += 1
            self.world.hub.stir()
            for _ in range(2):
                yield_to_loop()
        self.over = True
        gevent.joinall(self.attackers, raise_error=True)

    def check(self) -> None:
        """Both honest clients have all that there was, once and in order."""
        self.wait_for(lambda: len(self.listener.events()) >= self.said)
        assert self.listener.events() == [f"E{number}" for number in range(self.said)]
        there = expected(self.world.live, self.world.feeds._views.states()[0].filters)
        self.wait_for(lambda: self.watcher.collections[self.watched] == there)
        assert self.watcher.gaps() == self.listener.gaps() == []

    def check_bounds(self) -> None:
        feeds = self.world.feeds
        assert len(feeds._positions._layouts) <= MOST_LAYOUTS
        assert len(feeds._views.states()) <= MOST_KEPT + feeds.subscriptions
        entries = list(feeds.history._entries)
        assert max(len(entry._selected) for entry in entries) <= MOST_SELECTIONS

    @staticmethod
    def wait_for(condition: Callable[[], bool]) -> None:
        with gevent.Timeout(WAIT):
            while not condition():
                gevent.sleep(0.001)

    def close(self) -> None:
        self.over = True
        gevent.killall([*self.attackers, *self.honest])
        self.world.hub.stop()


@pytest.fixture
def storm() -> Iterator[Storm]:
    made = Storm()
    yield made
    made.close()


def old_positions(storm: Storm, count: int) -> list[str]:
    """Of different times and filters."""
    found: list[str] = []
    for number in range(count):
        client = storm.world.client()
        client.subscribe(BOTH, queue=str(number % 7))
        storm.wait_for(lambda client=client: not reads(client))  # type: ignore[misc]
        found += client.feed.positions().values()
        client.close()
        storm.world.says("before", Queue="no")
        storm.put(number, -1)
        storm.world.hub.stir()
    storm.listener.messages.clear()
    return found


def reads(client: Client) -> bool:
    client.transport.turn()
    return client.transport.pumping


def test_hundreds_come_back_again_and_again_with_old_positions(storm: Storm) -> None:
    positions = old_positions(storm, 20)
    assert len(set(positions)) > 10
    storm.wait_for(lambda: not storm.world.hub.passes.waiting)
    storm.listener.messages.clear()
    outcomes = set()

    def attacker() -> Callable[[], None]:
        client = storm.world.client()

        def attack() -> None:
            nonlocal client
            filters = {"queue": str(storm.random.randrange(7))}
            made = client.subscribe(BOTH, storm.random.choice(positions), **filters)
            outcomes.add(made.resumed)
            for _ in range(storm.random.randrange(4)):
                client.transport.turn()
            if storm.random.random() < 0.3:
                client.close()
                client = storm.world.client()

        return attack

    for _ in range(200):
        storm.attack(attacker())
    storm.rage()
    storm.check()
    storm.check_bounds()
    assert outcomes == {True, False}


def garbled(storm: Storm, true: str) -> Iterator[str]:
    """Positions that nobody was given."""
    chance = storm.random
    while True:
        cut = chance.randrange(1, len(true))
        other = chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        yield true[:cut]
        yield true[:cut] + other + true[cut + 1 :]
        yield true + true
        yield urlsafe_b64encode(chance.randbytes(chance.randrange(60))).decode().rstrip("=")
        yield "\N{SNOWMAN}" + true
        yield true + "A" * chance.choice([1, LONGEST, 100 * LONGEST])
        yield "\x80" * 20 + "=" * 3


def test_forged_positions_tell_a_gap_or_what_is_true_and_nothing_is_kept_of_them(
    storm: Storm,
) -> None:
    storm.wait_for(lambda: bool(storm.watcher.feed.positions()))
    (true,) = storm.watcher.feed.positions().values()
    layouts = len(storm.world.feeds._positions._layouts)
    texts = garbled(storm, true)
    done = []

    def attack() -> None:
        client = storm.world.client()
        made = client.subscribe(STATE, next(texts))
        while client.transport.turn():
            yield_to_loop()
        if not made.resumed:
            assert client.ops()[0] == "gap"
        client.close()
        done.append(made.resumed)

    for _ in range(50):
        storm.attack(attack)
    storm.rage()
    storm.check()
    storm.check_bounds()
    assert len(done) >= 50
    assert done.count(False) > len(done) / 2
    assert len(storm.world.feeds._positions._layouts) <= layouts + 1, "of the clients' own"


def test_who_subscribes_and_unsubscribes_in_a_loop(storm: Storm) -> None:
    turns = []

    def attacker() -> Callable[[], None]:
        client = storm.world.client()

        def attack() -> None:
            queue = str(storm.random.randrange(10_000))
            made = client.subscribe(BOTH, queue=queue)
            client.transport.turn()
            assert client.feed.unsubscribe(made.id)
            client.collections.clear()
            turns.append(queue)

        return attack

    for _ in range(50):
        storm.attack(attacker())
    storm.rage()
    storm.check()
    storm.check_bounds()
    assert len(set(turns)) > MOST_KEPT
    assert storm.world.feeds.subscriptions == 2
    assert len(storm.world.feeds._views.states()) <= MOST_KEPT + 1


def test_500_clients_each_with_16_filters_that_nobody_else_has(storm: Storm) -> None:
    clients = []
    for number in range(500):
        client = storm.world.client(room=1000)
        for one in range(MOST_SUBSCRIPTIONS):
            client.subscribe(BOTH, queue=[str(number % 7), f"{number}-{one}"])
        client.transport.blocked = number % 2 == 0  # every other one never reads
        clients.append(client)
        if not number % 50:
            yield_to_loop()
    others = [client for client in clients if not client.transport.blocked]
    storm.attack(lambda: [client.transport.turn() for client in others] and None)
    storm.rage()
    storm.check()
    storm.check_bounds()
    assert storm.world.feeds.subscriptions == 2 + 500 * MOST_SUBSCRIPTIONS
    waiting = [client.feed.pending_bytes for client in clients]
    assert max(waiting) <= 1000
    for client in clients:
        client.close()
    assert storm.world.feeds.subscriptions == 2
    assert len(storm.world.feeds._views.states()) <= MOST_KEPT + 1
    assert storm.world.hub.counts() == {"v2": 1}
