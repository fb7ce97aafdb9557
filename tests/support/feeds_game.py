"""Random clients of random streams, who read as they like: for property tests of feeds.

In the end each has what a fresh snapshot says, and each event of its view once, in order, or told
as a gap with the right number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

import amiws_gevent.feeds.changed as changed_module
import amiws_gevent.feeds.deltas as deltas_module
import amiws_gevent.feeds.feeds as feeds_module
import amiws_gevent.feeds.pages as pages_module
import amiws_gevent.feeds.shown as shown_module
import amiws_gevent.feeds.sights as sights_module
import amiws_gevent.feeds.stateview as stateview_module
import amiws_gevent.feeds.subscriber as subscriber_module
import amiws_gevent.hub as hub_module
from amiws_gevent.ami import Message
from amiws_gevent.batch import Batch
from amiws_gevent.feeds.feeds import Feeds, Showing
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.history import Bounds
from amiws_gevent.hub import Hub
from amiws_gevent.policy import Sight
from tests.support.feeds import BOTH, EVENTS, STATE, Client, FakeServer, World, expected, merge

CHOICES: list[dict[str, Any]] = [
    {},
    {"server": 1},
    {"kind": "queue_caller"},
    {"queue": "a"},
    {"extension": ["1", "2"]},
    {"queue": ["a", "b"], "server": [1, 2]},
    {"event": "E", "queue": "a"},
    {"context": "x"},
]
RIGHTS: list[dict[str, Any]] = [
    {},
    {},
    {"server": 2},
    {"queue": ["a", "c"]},
    {"kind": "queue_caller", "event": "F"},
    {"extension": ["0", "1"], "context": "y"},
]
"""What a user may see at all."""

STREAMS = [BOTH, STATE, EVENTS]


class Expected:
    """What one client must have had of the events, and what it was told that it has not."""

    def __init__(self, published: list[tuple[int, int]]) -> None:
        self.due = {server: [n for at, n in published if at == server] for server in (1, 2)}
        self.debt = 0
        self.excused = {1: False, 2: False}

    def copy(self) -> Expected:
        made = Expected([])
        made.due = {server: list(numbers) for server, numbers in self.due.items()}
        made.debt, made.excused = self.debt, dict(self.excused)
        return made

    def gap(self, message: dict[str, Any]) -> None:
        if message["lost"] is not None:
            self.debt += message["lost"]
            return
        for server in self.excused:
            if message.get("server", server) == server:
                self.excused[server] = True

    def event(self, server: int, number: int) -> None:
        due = self.due[server]
        assert number in due, f"event {number} comes twice, late, or for no reason"
        skipped = due.index(number)
        del due[: skipped + 1]
        if self.excused[server]:
            self.excused[server] = False
        else:
            self.debt -= skipped

    def end(self) -> None:
        """All has come."""
        for server, due in self.due.items():
            if not self.excused[server]:
                self.debt -= len(due)


class Member:
    """One subscription of one user, over all its connections."""

    def __init__(
        self,
        game: Game,
        streams: frozenset[str],
        filters: Filters,
        kind: str | None = None,
        sight: Sight | None = None,
    ) -> None:
        self.game = game
        self.sight = sight
        self.streams = streams
        self.filters = filters
        self.counted = True
        self.missed = 0
        """How often the hub has dropped what it may see: at most as often it is told so."""
        self.collection: dict[Any, Any] = {}
        self.position: str | None = None
        if kind is not None:
            self.list(kind)
        self.connect()

    def list(self, kind: str) -> None:
        """Begin with a list of one kind."""
        self.filters = self.filters.of_kind(kind)
        self.now = self.saved = Expected([])
        page = self.game.world.feeds.page(self.filters, kind, 3, sight=self.sight)
        while page is not None:
            self.position = page.position
            merge(self.collection, page.items)
            self.check_rights()
            if page.next is None:
                return
            page = self.game.world.feeds.page(self.filters, kind, 3, page.next, self.sight)
        raise AssertionError("the list has no end")

    def connect(self) -> None:
        make = self.game.next_kind()
        client = self.client = make(self.game.world.feeds, room=self.game.room, sight=self.sight)
        client.on_message = self.told
        if self.position is None:
            self.now = Expected([])
            self.counted = True
        else:
            self.now = self.saved.copy()
        self.saved = self.now.copy()
        resumes = self.position
        subscription = client.subscribe_to(self.filters, self.streams, resumes)
        self.id = subscription.id
        client.collections[self.id] = self.collection
        self.unsaved = 0

    def begin_again(self) -> None:
        self.now = Expected([])
        self.saved = self.now.copy()
        self.counted, self.unsaved, self.position = True, 0, None
        self.client.subscribe_to(self.filters, self.streams)

    def use_sight(self, sight: Sight) -> None:
        """Another one, by a reload."""
        if sight == self.sight:
            return
        self.sight = sight
        if self.streams != STATE:  # what it then gets of the events is not reckoned here
            self.position = None
        if self.connected:
            self.now, self.counted, self.unsaved = Expected([]), False, 0
            self.now.excused = {1: True, 2: True}
            self.client.feed.use_sight(sight)

    def told(self, message: dict[str, Any]) -> None:
        self.game.hears(self, message)
        if message["op"] == "gap" and message["stream"] == "events":
            if message["reason"] == "busy":
                assert self.missed, "nothing that it may see was dropped"
                self.missed -= 1
            self.now.gap(message)
            self.counted = self.counted and message["lost"] is not None
        elif message["op"] == "event":
            envelope = message["message"]
            self.now.event(envelope["server_id"], int(envelope["data"]["Count"]))
            self.unsaved += 1
        if "position" in message:
            self.position = message["position"]
            self.saved = self.now.copy()
            self.unsaved = 0
        self.collection = self.client.collections[self.id]
        self.check_rights()

    def sees(self, batch: Batch) -> bool:
        """Whether it would see something of a batch, but for its other filters."""
        server = batch.server.id
        return self.filters.has_server(server) and any(
            self.sight is None or self.sight.message(server, message) is not None
            for message in batch.messages
        )

    def check_rights(self) -> None:
        for (server, kind, _), entity in self.collection.items():
            assert self.filters.entity(server, kind, entity), "it may not see that"

    def beat(self) -> None:
        position = self.client.feed.positions().get(self.id)
        if position is not None:
            self.position = position
            self.saved = self.now.copy()
            self.unsaved = 0

    def published(self, server: int, number: int) -> None:
        for one in (self.now, self.saved):
            one.due[server].append(number)

    def leave(self) -> None:
        assert not self.unsaved, "each event comes with a position, or before one"
        self.client.close()

    @property
    def connected(self) -> bool:
        return not self.client.transport.closed


class Asking:
    """In place of gevent, for the greenlets that ask plugins: they run when it is their turn."""

    class Asked:
        def __init__(self, work: Callable[[], None]) -> None:
            self.work = work
            self.killed = False

        def kill(self, *, block: bool) -> None:
            self.killed = True

    def __init__(self) -> None:
        self.waiting: list[Asking.Asked] = []

    def spawn(self, work: Callable[[], None]) -> Asked:
        self.waiting.append(self.Asked(work))
        return self.waiting[-1]

    def take(self) -> list[Callable[[], None]]:
        waiting, self.waiting = self.waiting, []
        return [asked.work for asked in waiting if not asked.killed]


class Game:
    choices = CHOICES
    names: Sequence[str] = "EF"
    """Of events."""
    kinds: Sequence[type[Client]] = (Client,)
    """Of clients, which come in turn."""

    def __init__(self) -> None:
        self.asking = Asking()
        self.room = 1500
        self.world = World(1, 2, bounds=Bounds(12, 1 << 20, 300.0), tombstones=8)
        self.members: list[Member] = []
        self.number = 0
        self.connected = 0
        self.hub_works = False
        self.depth = 0
        self.moves: Iterator[tuple[int, int, int]] = iter(())

    def next_kind(self) -> type[Client]:
        """Of the next client that connects."""
        self.connected += 1
        return self.kinds[self.connected % len(self.kinds)]

    # What may happen

    def put(self, a: int, b: int) -> None:
        server = self.server(a)
        kind = ["queue_caller", "channel"][b % 2]
        fields: dict[str, Any] = {"n": a * b % 5}
        if b % 2:
            fields |= {"context": "xy"[b % 7 % 2], "exten": self.extension(a)}
        else:
            fields |= {"queue": "abc"[b % 5 % 3], "number": self.extension(a)}
        server.put(kind, self.key(a), **fields)

    def remove(self, a: int, b: int) -> None:
        self.server(a).remove(["queue_caller", "channel"][b % 2], self.key(a), cause=16)

    def extension(self, a: int) -> str:
        """Of an entity."""
        return str(a % 4)

    def key(self, a: int) -> str:
        """Of an entity."""
        return str(a // 2 % 6)

    def headers(self, a: int) -> dict[str, str]:
        """More of an event."""
        return {}

    def sight(self, a: int) -> Sight | None:
        """Of a new client."""
        return None

    def seen(self, member: Member, server: int, message: Message) -> Message | None:
        """What a member may see of an event."""
        return message if member.sight is None else member.sight.message(server, message)

    def hears(self, member: Member, message: dict[str, Any]) -> None:
        """A client is told something."""

    def say(self, a: int, b: int) -> None:
        source = self.server(a)
        queue = "abc"[b % 3]
        name = self.names[b % 2]
        self.number += 1
        batch = source.says(name, Count=str(self.number), Queue=queue, **self.headers(a))
        for member in self.members:
            wanted = member.filters.has_server(source.info.id)
            message = self.seen(member, source.info.id, batch.messages[0])
            if message is None or member.streams == STATE or not wanted:
                continue
            if member.filters.message(message):
                member.published(source.info.id, self.number)
        self.world.feeds.publish(batch)

    def overload(self, a: int, b: int) -> None:
        """More is said than may wait for a pass: of that all but the last is dropped."""
        passes = self.world.hub.passes
        limit, told = passes.limit, passes.on_dropped

        def dropped(batches: Sequence[Batch]) -> None:
            for member in self.members:
                member.missed += member.streams != STATE and any(map(member.sees, batches))
            told(batches)

        passes.limit, passes.on_dropped = 1, dropped
        self.say(a, b)
        passes.limit, passes.on_dropped = limit, told

    def flush(self, a: int, b: int) -> None:
        self.as_hub(self.world.flush)

    def pass_on(self, a: int, b: int) -> None:
        self.as_hub(self.world.pass_on)

    def as_hub(self, work: Callable[[], None]) -> None:
        """What the hub's one greenlet does: not amid what it does already."""
        if self.hub_works:
            return
        self.hub_works = True
        try:
            work()
        finally:
            self.hub_works = False

    def join(self, a: int, b: int) -> None:
        if len(self.members) < 5:
            rights = Filters.parse(RIGHTS[a // 3 % len(RIGHTS)])
            chosen = Filters.parse(self.choices[b % len(self.choices)]).within(rights)
            self.members.append(Member(self, STREAMS[a % 3], chosen, sight=self.sight(a)))

    def list_and_listen(self, a: int, b: int) -> None:
        if len(self.members) < 5:
            chosen = Filters.parse(self.choices[b % len(self.choices)])
            kind = ["queue_caller", "channel"][a % 2]
            self.members.append(Member(self, STATE, chosen, kind, self.sight(a)))

    def begin_again(self, a: int, b: int) -> None:
        """It subscribes once more to what it has, and forgets what it was told before."""
        member = self.member(a)
        if member is not None and member.connected:
            member.begin_again()

    def leave(self, a: int, b: int) -> None:
        member = self.member(a)
        if member is not None and member.connected and not self.depth:
            member.leave()

    def come_back(self, a: int, b: int) -> None:
        member = self.member(a)
        if member is not None and not member.connected:
            member.connect()

    def block(self, a: int, b: int) -> None:
        member = self.member(a)
        if member is not None:
            member.client.transport.blocked = bool(b % 2)

    def turn(self, a: int, b: int) -> None:
        for member in self.members[:: a % 2 + 1]:
            member.client.transport.turn()

    def beat(self, a: int, b: int) -> None:
        member = self.member(a)
        if member is not None and member.connected:
            member.beat()

    def pass_time(self, a: int, b: int) -> None:
        self.world.now += [0.1, 3.0, 200.0][a % 3]

    def restart_server(self, a: int, b: int) -> None:
        if b % 4 or self.hub_works:  # rare: it costs everything
            return
        self.pass_on(0, 0)
        server = a % 2 + 1
        made = FakeServer(server, tombstones=8)
        self.world.servers[server] = self.world.live.servers[server] = made
        self.flush(0, 0)

    def restart_program(self, a: int, b: int) -> None:
        if b % 4 or self.depth:
            return
        for member in self.members:
            if member.connected:
                member.leave()
        self.world.hub = Hub(limit=1 << 20)
        moves, self.moves = self.moves, iter(())  # nobody comes amid a restart
        for server in (1, 2):
            self.restart_server(server - 1, 0)
        self.moves = moves
        self.asking.take()  # the greenlets of the program before are gone
        self.world.feeds = Feeds(
            self.world.hub, self.world.live, Bounds(12, 1 << 20, 300.0), clock=lambda: 0.0
        )
        self.world.flush()

    def plugins_work(self, a: int, b: int) -> None:
        """The greenlets that ask plugins come to their turn."""
        for asking in self.asking.take():
            asking()

    def show_otherwise(self, a: int, b: int) -> None:
        if b % 4 == 0 and not self.hub_works:
            transform = (lambda _server, entities: list(entities)) if a % 2 else None
            self.world.feeds.use(Showing(transform, (a % 2,)))

    def server(self, a: int) -> FakeServer:
        return self.world.servers[a % 2 + 1]

    def member(self, a: int) -> Member | None:
        return self.members[a % len(self.members)] if self.members else None

    # How it goes

    OPS = (
        put, put, put, put, remove, say, say, say, flush, flush, pass_on, pass_on, join, leave,
        come_back, block, turn, turn, turn, beat, pass_time, restart_server, restart_program,
        show_otherwise, plugins_work, plugins_work, list_and_listen, begin_again, overload,
    )  # fmt: skip

    def play(self, moves: list[tuple[int, int, int]]) -> None:
        self.moves = iter(moves)
        for op, a, b in self.moves:
            self.OPS[op % len(self.OPS)](self, a, b)

    def amid(self) -> None:
        """In place of the hub's yielding: something else happens amid its work."""
        if self.depth == 2:  # amid a list, which may be amid a pass
            return
        self.depth += 1
        try:
            for op, a, b in self.moves:
                self.OPS[op % len(self.OPS)](self, a, b)
                if b % 2:
                    break
        finally:
            self.depth -= 1

    def settle(self) -> None:
        for member in self.members:
            if not member.connected:
                member.connect()
            member.client.transport.blocked = False
        for _ in range(4):
            self.world.pass_on()
            self.plugins_work(0, 0)
            self.world.flush()
            for member in self.members:
                member.client.read()

    def check(self) -> None:
        for member in self.members:
            assert not member.client.transport.pumping
            if member.streams != EVENTS:
                there = expected(self.world.live, member.filters, member.sight)
                assert member.client.collections[member.id] == there
            if member.streams != STATE:
                member.now.end()
                if member.counted:
                    assert member.now.debt == 0
        assert self.world.feeds.behind == 0


def in_small_pieces(patch: pytest.MonkeyPatch) -> None:
    """So that few clients and entities are many."""
    patch.setattr(deltas_module, "CHUNK", 2)
    patch.setattr(changed_module, "CHUNK", 2)
    patch.setattr(sights_module, "STEP", 2)
    patch.setattr(shown_module, "MOST_NAMES", 6)
    patch.setattr(pages_module, "PAGE", 2)
    patch.setattr(pages_module, "MOST_MADE", 2)
    patch.setattr(stateview_module, "STEP", 2)
    patch.setattr(subscriber_module, "PAGES_PER_TURN", 2)
    patch.setattr(hub_module, "CLIENTS_PER_TURN", 1)
    patch.setattr(hub_module, "TURN", -1.0)


def play(game: Game, moves: list[tuple[int, int, int]]) -> None:
    """Play, let all come to rest, and check."""
    with pytest.MonkeyPatch.context() as patch:
        in_small_pieces(patch)
        patch.setattr(hub_module, "yield_to_loop", game.amid)
        patch.setattr(feeds_module, "yield_to_loop", game.amid)
        patch.setattr(changed_module, "yield_to_loop", game.amid)
        patch.setattr(changed_module, "gevent", game.asking)
        game.play(moves)
        game.moves = iter(())
        game.settle()
    game.check()
