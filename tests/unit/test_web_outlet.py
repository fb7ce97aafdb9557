"""The writing side of a socket without any protocol: who goes next, and what a source may do."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import trustme
from gevent import socket, ssl

from amiws_gevent.batch import Item
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.web.backlog import ITEM_COST, Backlog
from amiws_gevent.web.outlet import Outlet, Source
from tests.support.patience import WAIT
from tests.support.webserver import wait_for

LIMIT = 100_000


def line(text: str) -> bytes:
    """A frame of this test's protocol, in which each frame is a line."""
    return text.encode() + b"\n"


def line_end(lines: bytes, offset: int) -> int:
    return lines.index(b"\n", max(offset - 1, 0)) + 1 if offset else 0


class Latest:
    """Gives the newest in the place of all that was offered before it."""

    def __init__(self) -> None:
        self._data: bytes | None = None

    @property
    def pending_bytes(self) -> int:
        return 0 if self._data is None else len(self._data) + ITEM_COST

    def push(self, item: Item, room: int, /) -> bool:
        self._data = item.data
        return True

    def pull(self) -> bytes | None:
        data, self._data = self._data, None
        return data


class Owned:
    """An outlet on one end of a pair of sockets, and what it tells its owner."""

    def __init__(self, make_source: Callable[[], Source]) -> None:
        self.near, self.far = self._pair()
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.behind: list[int] = []
        self.lost: list[OSError] = []
        self.outlet = Outlet(
            self.near,
            self,
            limit=LIMIT,
            make_source=make_source,
            spread=lambda work: work(),
            clock=lambda: 7.0,
        )

    def _pair(self) -> tuple[Any, Any]:
        return socket.socketpair()

    def fell_behind(self, pending: int) -> None:
        self.behind.append(pending)

    def connection_lost(self, error: OSError) -> None:
        self.lost.append(error)

    def offer(self, text: str) -> None:
        self.outlet.offer(Item(line(text), 1, {}))

    def block(self) -> int:
        """Offer numbers until they wait; how many."""
        for number in range(100_000):
            self.offer(f"{number} {'x' * 1000}")
            if self.outlet.blocked:
                return number + 1
        raise AssertionError("never blocked")

    def read(self) -> list[str]:
        """The first words of all lines that come, to the end of the input."""
        received = b""
        while data := self.far.recv(65536):
            received += data
        return [text.split(" ")[0] for text in received.decode().splitlines()]

    def close(self) -> None:
        self.outlet.release()
        self.near.close()
        self.far.close()


Make = Callable[[Callable[[], Source]], Owned]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Owned] = []

    def make_one(make_source: Callable[[], Source]) -> Owned:
        made.append(Owned(make_source))
        return made[-1]

    yield make_one
    for owned in made:
        owned.close()


@pytest.fixture
def owned(make: Make) -> Owned:
    return make(Backlog)


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_a_source_may_give_the_newest_alone(make: Make) -> None:
    owned = make(Latest)
    count = owned.block()
    for state in range(10_000):
        owned.offer(f"state{state} {'x' * 1000}")
        assert owned.outlet.pending_bytes < 4000
    reading = gevent.spawn(owned.read)
    wait_for(lambda: not owned.outlet.blocked, "all is sent")
    owned.offer("direct")
    owned.outlet.end()
    assert reading.get(timeout=WAIT) == [*numbers(count), "state9999", "direct"]
    assert owned.behind == []


def test_a_source_lasts_until_all_is_sent(make: Make) -> None:
    made: list[Source] = []

    def make_source() -> Source:
        made.append(Backlog())
        return made[-1]

    owned = make(make_source)
    owned.offer("not blocked")
    gevent.spawn(owned.read)
    for times in (1, 2):
        owned.block()
        assert len(made) == times - 1, "made when it is needed"
        owned.offer("kept")
        owned.offer("kept")
        wait_for(lambda: not owned.outlet.blocked, "all is sent")
        assert len(made) == times


def test_who_goes_first_while_it_is_blocked(owned: Owned) -> None:
    count = owned.block()
    owned.offer("offered1")
    owned.outlet.send(line("sent1"))
    owned.outlet.send_next(line("next1"))
    owned.outlet.send(line("sent2"))
    owned.offer("offered2")
    owned.outlet.send_next(line("next2"))
    owned.outlet.finish(line("last"))
    owned.outlet.send_next(line("late"))
    owned.outlet.send(line("late"))
    owned.offer("late")
    owned.outlet.end()
    expected = ["next2", "sent1", "sent2", "offered1", "offered2", "last"]
    assert owned.read() == numbers(count) + expected


def test_all_that_waits_is_counted_until_it_is_sent(owned: Owned) -> None:
    owned.block()
    before = owned.outlet.pending_bytes
    assert before > ITEM_COST
    owned.offer("a")
    owned.outlet.send(line("bb"))
    owned.outlet.send_next(line("ccc"))
    owned.outlet.send_next(line("dddd"))
    owned.outlet.finish(line("eeeee"))
    assert owned.outlet.pending_bytes == before + 2 + 3 + 5 + 6 + 4 * ITEM_COST
    gevent.spawn(owned.read)
    wait_for(lambda: not owned.outlet.blocked, "all is sent")
    assert owned.outlet.pending_bytes == 0
    assert owned.outlet.moved == 7.0


def test_what_waits_has_a_bound(owned: Owned) -> None:
    owned.block()
    owned.outlet.send(line("x" * 40_000))
    while not owned.behind:
        before = owned.outlet.pending_bytes
        assert before <= LIMIT
        owned.offer("x" * 1000)
    assert owned.behind == [before], "it is the owner who ends it"
    owned.outlet.send(line("x" * LIMIT))
    assert owned.behind == [before] * 2


def test_what_waits_is_dropped_but_for_a_frame_that_is_begun(owned: Owned) -> None:
    sent = 0
    while not owned.outlet.blocked:
        owned.outlet.offer(
            Item(b"".join(line(f"{sent + n} {'x' * 100}") for n in range(50)), 50, {})
        )
        sent += 50
    owned.offer("offered")
    owned.outlet.send(line("sent"))
    owned.outlet.send_next(line("next"))
    owned.outlet.finish(line("last"), line_end)
    assert owned.outlet.pending_bytes <= 300 + 2 * ITEM_COST
    owned.outlet.end()
    *whole, last = owned.read()
    assert last == "last"
    assert whole == numbers(len(whole))
    assert sent - 50 <= len(whole) < sent


def test_what_is_not_begun_is_dropped_altogether(owned: Owned) -> None:
    def full(data: bytes) -> int:
        raise BlockingIOError

    owned.outlet._send = full
    owned.offer("first")
    owned.offer("second")
    owned.outlet.finish(line("last"), line_end)
    owned.outlet.end()
    assert owned.outlet.pending_bytes == 0
    assert owned.read() == ["last"]


def test_a_wait_ends_once_some_is_sent_and_when_nothing_more_will_be(owned: Owned) -> None:
    for end in (
        lambda: owned.far.recv(8192),
        lambda: owned.outlet.finish(line("last")),
        owned.outlet.abort,
    ):
        if not owned.outlet.blocked:
            owned.block()
        waiting = gevent.spawn(owned.outlet.wait_until_some_is_sent)
        wait_for(lambda: owned.outlet.awaited, "it waits")
        while not waiting.ready():
            end()
            gevent.sleep(0)
        assert not owned.outlet.awaited


@pytest.mark.parametrize("blocked", [False, True])
def test_a_connection_that_is_lost(owned: Owned, blocked: bool) -> None:
    if blocked:
        owned.block()
        owned.offer("waits")
    owned.far.close()
    if not blocked:
        owned.offer("x")
    wait_for(lambda: owned.lost, "it is told")
    assert len(owned.lost) == 1


def test_cut_off_it_keeps_nothing(owned: Owned) -> None:
    count = owned.block()
    owned.offer("offered")
    owned.outlet.send(line("sent"))
    owned.outlet.abort()
    assert (owned.outlet.pending_bytes, owned.outlet.blocked) == (0, False)
    owned.offer("late")
    owned.outlet.send(line("late"))
    assert len(owned.read()) <= count
    assert (owned.behind, owned.lost) == ([], [])


def test_what_is_released_is_no_garbage() -> None:
    """What takes a collection to free keeps the AMI readers waiting."""
    gc.collect()
    gc.disable()
    try:
        owned = Owned(Backlog)
        owned.block()
        owned.close()
        gone = weakref.ref(owned)
        del owned
        assert gone() is None
    finally:
        gc.enable()


class Scripted:
    """A source that gives what it was told to, as the outlet asks for it."""

    def __init__(self, *given: bytes | None) -> None:
        self.given = list(given)
        self.pushed: list[Item] = []
        self.pulled = 0

    @property
    def pending_bytes(self) -> int:
        return 0

    def push(self, item: Item, room: int, /) -> bool:
        self.pushed.append(item)
        self.given.append(item.data)
        return True

    def pull(self) -> bytes | None:
        self.pulled += 1
        return self.given.pop(0) if self.given else None


class OverTls(Owned):
    """Neither side has begun the handshake."""

    def _pair(self) -> tuple[Any, Any]:
        near, far = super()._pair()
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(trust)
        later = {"do_handshake_on_connect": False}
        return (
            context.wrap_socket(near, server_side=True, **later),
            trust.wrap_socket(far, server_hostname="localhost", **later),
        )


class TestPumpOverTls:
    def make(self, *given: bytes) -> tuple[OverTls, Scripted]:
        source = Scripted(*given)
        return OverTls(lambda: source), source

    def test_what_was_pulled_waits_for_what_tls_must_read_first(self) -> None:
        owned, source = self.make(line("one"), b"", line("two"))
        owned.outlet.pump()
        wait_for(lambda: owned.outlet._watcher.events == 1, "it waits for the client's hello")
        owned.outlet.pump()
        owned.offer("offered")
        assert source.pulled == 1
        reading = gevent.spawn(owned.read)
        wait_for(lambda: not owned.outlet.blocked, "all is sent")
        owned.offer("direct")
        owned.outlet.end()
        assert reading.get(timeout=WAIT) == ["one", "two", "offered", "direct"]
        assert owned.lost == []
        owned.close()

    def test_while_the_client_takes_nothing_nothing_more_is_pulled(self) -> None:
        many = [line(f"{number} {'x' * 1000}") for number in range(1000)]
        owned, source = self.make(*many)
        shaking = gevent.spawn(owned.near.do_handshake)
        owned.far.do_handshake()
        shaking.get(timeout=WAIT)
        owned.outlet.pump()
        wait_for(lambda: isinstance(owned.outlet._rest, bytes) and owned.outlet._rest, "blocked")
        pulled = source.pulled
        assert 1 < pulled < 500
        for _ in range(100):
            yield_to_loop()
        assert source.pulled == pulled
        assert owned.outlet.pending_bytes < 3000
        reading = gevent.spawn(owned.read)
        wait_for(lambda: not owned.outlet.blocked, "all is sent")
        owned.outlet.end()
        assert reading.get(timeout=WAIT) == numbers(1000)
        owned.close()


class TestPump:
    """A source that has something to send of its own."""

    def test_it_is_pulled_from_the_loop_behind_what_is_for_this_client(self, make: Make) -> None:
        source = Scripted(line("one"), line("two"))
        owned = make(lambda: source)
        owned.outlet.pump()
        assert source.pulled == 0
        assert owned.outlet.blocked
        owned.outlet.send(line("answer"))
        owned.offer("offered")
        wait_for(lambda: not owned.outlet.blocked, "all is sent")
        assert [item.data for item in source.pushed] == [line("offered")]
        owned.offer("direct")
        owned.outlet.end()
        assert owned.read() == ["answer", "one", "two", "offered", "direct"]

    def test_empty_bytes_ask_for_another_turn(self, make: Make) -> None:
        source = Scripted(line("one"), b"", b"", line("two"), b"")
        owned = make(lambda: source)
        owned.outlet.pump()
        turns = 0
        while owned.outlet.blocked:
            yield_to_loop()
            turns += 1
            assert turns < 1000
        assert turns >= 4
        assert owned.outlet.pending_bytes == 0
        owned.outlet.end()
        assert owned.read() == ["one", "two"]

    def test_a_socket_that_takes_nothing_is_waited_for(self, make: Make) -> None:
        source = Scripted(line("one"))
        owned = make(lambda: source)
        count = owned.block()
        owned.outlet.pump()
        yield_to_loop()
        assert source.pulled == 0
        reading = gevent.spawn(owned.read)
        wait_for(lambda: not owned.outlet.blocked, "all is sent")
        owned.outlet.end()
        assert reading.get(timeout=WAIT) == [*numbers(count), "one"]

    def test_pumping_twice_is_as_once(self, make: Make) -> None:
        source = Scripted(line("one"))
        owned = make(lambda: source)
        owned.outlet.pump()
        owned.outlet.pump()
        assert owned.outlet.pending_bytes == ITEM_COST
        wait_for(lambda: not owned.outlet.blocked, "all is sent")
        assert owned.outlet.pending_bytes == 0

    def test_it_may_end_before_anything_was_pulled(self, make: Make) -> None:
        source = Scripted(line("one"))
        owned = make(lambda: source)
        owned.outlet.pump()
        owned.outlet.finish(line("last"), line_end)
        owned.outlet.end()
        assert owned.read() == ["last"]

    def test_what_waits_is_sent_before_the_last_bytes(self, make: Make) -> None:
        source = Scripted(line("one"), b"", line("two"))
        owned = make(lambda: source)
        owned.outlet.pump()
        owned.outlet.finish(line("last"))
        owned.outlet.end()
        assert owned.read() == ["one", "two", "last"]

    def test_once_it_closes_nothing_is_begun(self, make: Make) -> None:
        source = Scripted(line("one"))
        owned = make(lambda: source)
        owned.outlet.finish(line("last"))
        owned.outlet.pump()
        owned.outlet.end()
        assert owned.read() == ["last"]
        assert source.pulled == 0

    def test_another_source_may_be_used(self, make: Make) -> None:
        owned = make(Backlog)
        source = Scripted(line("one"))
        owned.outlet.use_source(lambda: source)
        owned.outlet.pump()
        wait_for(lambda: not owned.outlet.blocked, "all is sent")
        assert source.pulled == 2

    def test_a_source_that_takes_long_gives_others_their_turn(self, make: Make) -> None:
        """The clock goes on by a second with each look at it."""
        source = Scripted(*[line(str(number)) for number in range(5)])
        owned = make(lambda: source)
        owned.outlet._clock = iter(range(10**6)).__next__
        owned.outlet.pump()
        turns = 0
        while owned.outlet.blocked:
            yield_to_loop()
            turns += 1
        assert turns >= 5
