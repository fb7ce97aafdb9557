"""Server-Sent Events over a real web server, with feeds that the test moves."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from amiws_gevent.api import streams as module
from amiws_gevent.api.streams import FORMAT, PIECE, Stream, event, heartbeat
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.web.server import WebServer
from amiws_gevent.web.verdict import NOBODY
from tests.support.api import FakeFeed, World, item
from tests.support.plugins import entry, running
from tests.support.webserver import Peer, configure, make_settings, serving, wait_for

CLIENT = ClientInfo("127.0.0.1", None, "state")


class Listener(Peer):
    """A client of a stream: its events, out of the chunks of HTTP."""

    events = b""

    def ask(self, target: str = "/api/v1/state", headers: str = "") -> dict[str, str]:
        self.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
        return self.head()

    def head(self) -> dict[str, str]:
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        assert lines[0] == "HTTP/1.1 200 OK", lines
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}

    def chunk(self) -> bytes:
        size = int(self._until(b"\r\n"), 16)
        data = self.take(size)
        assert self.take(2) == b"\r\n"
        return data

    def event(self) -> dict[str, str]:
        """The next block of lines, by their fields."""
        while b"\n\n" not in self.events:
            chunk = self.chunk()
            assert chunk, f"ended after {self.events!r}"
            self.events += chunk
        block, _, self.events = self.events.partition(b"\n\n")
        return dict(line.split(": ", 1) for line in block.decode().split("\n"))

    def begin(self) -> None:
        assert self.event() == {"retry": "2000"}
        assert self.event()["event"] == "subscribed"

    def ends(self) -> bool:
        """The rest is read; whether the answer ended as it should."""
        return self.rest().endswith(b"0\r\n\r\n")


@contextmanager
def listening(world: World, **limits: Any) -> Iterator[WebServer]:
    settings = make_settings(limits=limits)
    with serving(settings, app=world.app(settings)) as server:
        yield server


@contextmanager
def stream_of(world: World, server: WebServer, **more: Any) -> Iterator[tuple[Listener, FakeFeed]]:
    with Listener(server.port, **more) as listener:
        listener.ask()
        listener.begin()
        yield listener, world.feeds.feeds[-1]


def test_what_a_stream_begins_with() -> None:
    world = World()
    with listening(world) as server, Listener(server.port) as listener:
        headers = listener.ask("/api/v1/state?kind=queue&queue=a,b&queue=c&server=1")
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-store"
        assert headers["transfer-encoding"] == "chunked"
        assert listener.event() == {"retry": "2000"}
        told = listener.event()
        assert told["event"] == "subscribed"
        filters = '{"server":[1],"kind":["queue"],"queue":["a","b","c"]}'
        assert f'"filters":{filters}' in told["data"]
        assert "id" not in told
        ((streams, parsed, position),) = world.feeds.feeds[0].subscribed
        assert (streams, position) == (frozenset({"state"}), None)
        assert parsed.queue == frozenset("abc")
        assert world.feeds.feeds[0].limit == 1, "a stream is one subscription"


def test_it_begins_at_a_position_if_that_is_known() -> None:
    world = World()
    with listening(world) as server, Listener(server.port) as listener:
        listener.ask("/api/v1/events?last_event_id=p1")
        assert listener.event() == {"retry": "2000"}
        told = listener.event()
        assert (told["id"], '"position":"p1"' in told["data"]) == ("p1", True)


def test_messages_come_as_they_are_told_with_an_id_for_each_batch() -> None:
    world = World()
    with listening(world) as server, stream_of(world, server) as (listener, feed):
        feed.tell({"op": "state", "n": 1}, {"op": "state", "n": 2}, position="p2")
        assert listener.event() == {"event": "state", "data": '{"op":"state","n":1}'}
        assert listener.event() == {"id": "p2", "event": "state", "data": '{"op":"state","n":2}'}
        feed.keep({"op": "gap", "n": 3})
        feed.keep({"op": "snapshot", "n": 4}, position="p4")
        assert listener.event()["event"] == "gap"
        assert listener.event()["id"] == "p4"
        feed.tell({"op": "state", "n": 5}, position="p5")
        assert listener.event()["id"] == "p5"


@pytest.mark.parametrize(
    ("target", "headers", "position"),
    [
        ("/api/v1/events", "Last-Event-ID: p7\r\n", "p7"),
        ("/api/v1/events?last_event_id=p8", "", "p8"),
        ("/api/v1/events?last_event_id=p8", "Last-Event-ID: p7\r\n", "p7"),
        ("/api/v1/events", "Last-Event-ID: \r\n", None),
    ],
)
def test_where_a_stream_goes_on(target: str, headers: str, position: str | None) -> None:
    world = World()
    with listening(world) as server, Listener(server.port) as listener:
        listener.ask(target, headers)
        listener.begin()
        ((streams, _, asked),) = world.feeds.feeds[0].subscribed
        assert (streams, asked) == (frozenset({"events"}), position)
        assert world.feeds.caught_up == ([] if position is None else [(streams, position)])


def test_silence_is_told_with_the_position() -> None:
    world = World(heartbeat=0.01)
    with listening(world) as server, stream_of(world, server) as (listener, feed):
        feed.position = "p9"
        assert listener.event().get("id") in ("p0", "p9")
        while (told := listener.event())["id"] == "p0":
            pass
        assert told == {"": "still here", "id": "p9"}


def test_a_client_that_leaves_is_noticed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    with listening(world) as server:
        with stream_of(world, server) as (_, feed):
            assert len(world.streams) == 1
        wait_for(lambda: not len(world.streams), "the end of the stream")
        assert feed.closed
        wait_for(lambda: not server.connections, "the end of the connection")
    assert "stream of state to 127.0.0.1 begins" in caplog.text
    assert "stream of state to 127.0.0.1 ends: the client left" in caplog.text


def test_a_reader_that_stands_still_is_cut_off_and_delays_nobody() -> None:
    world = World()
    big = {"op": "state", "x": "x" * 200_000}
    with (
        listening(world, idle_time=0.3) as server,
        stream_of(world, server, receive_buffer=4096) as (_, stalled),
        stream_of(world, server) as (listener, feed),
    ):
        for _ in range(10):
            stalled.keep(big)
        for n in range(20):
            feed.tell({"op": "state", "n": n}, position=f"p{n}")
            assert listener.event()["id"] == f"p{n}"
        wait_for(lambda: stalled.closed, "the end of the stalled stream")
        assert not feed.closed
        assert len(world.streams) == 1


def test_nothing_now_is_not_nothing_more() -> None:
    """A feed may need another turn of the loop to go on."""
    world = World()
    with listening(world) as server, stream_of(world, server) as (listener, feed):
        feed.waiting += [b"", b""]
        feed.keep({"op": "state"}, position="p1")
        assert listener.event()["id"] == "p1"


def test_a_slow_reader_gets_all_in_order() -> None:
    world = World()
    with (
        listening(world) as server,
        stream_of(world, server, receive_buffer=4096) as (listener, feed),
    ):
        for n in range(8):
            feed.tell({"op": "state", "n": n, "x": "x" * 100_000}, position=f"p{n}")
        assert feed.waiting, "it is behind"
        for n in range(8):
            assert listener.event()["id"] == f"p{n}"


def test_a_client_for_which_too_much_waits_is_closed() -> None:
    world = World(limit=300_000)
    with (
        listening(world) as server,
        stream_of(world, server, receive_buffer=4096) as (listener, feed),
    ):
        for _ in range(8):
            feed.tell({"op": "state", "x": "x" * 100_000})
        listener.rest()
        assert feed.closed


def test_a_stop_ends_streams_and_opens_none() -> None:
    world = World()
    with listening(world) as server:
        with stream_of(world, server) as (listener, _), Peer(server.port) as late:
            world.streams.stop()
            assert listener.ends()
            answer = late.request("GET /api/v1/state HTTP/1.1")
            assert answer.status == 503
            assert answer.headers["retry-after"] == "5"
        server.stop(0.2)


def test_those_whose_login_is_gone_end() -> None:
    world = World()
    with (
        listening(world) as server,
        stream_of(world, server) as (listener, _),
    ):
        world.streams.check(lambda grant: None if grant == NOBODY else module.LOGIN_GONE)
        assert len(world.streams) == 1
        world.streams.check(lambda _: module.LOGIN_GONE)
        assert listener.ends()


def test_a_login_that_ends_while_the_stream_begins() -> None:
    world = World()
    world.streams.end_of = lambda _: module.LOGGED_OUT
    with listening(world) as server, stream_of(world, server) as (listener, _):
        assert listener.ends()
    assert len(world.streams) == 0


def test_a_head_opens_nothing() -> None:
    world = World()
    with listening(world) as server, Peer(server.port) as peer:
        peer.send("HEAD /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"text/event-stream" in peer.rest()
        assert world.feeds.feeds == []


def test_a_next_request_on_the_connection_is_no_end() -> None:
    """Nobody sends one, since the answer says that the connection ends; it must do no harm."""
    world = World()
    with listening(world) as server, stream_of(world, server) as (listener, feed):
        listener.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        feed.tell({"op": "state"}, position="p1")
        assert listener.event()["id"] == "p1"
        assert not feed.closed
        world.streams.stop()


def test_http_1_0_has_no_chunks() -> None:
    world = World()
    with listening(world) as server, Listener(server.port) as listener:
        listener.send("GET /api/v1/state HTTP/1.0\r\n\r\n")
        assert "transfer-encoding" not in listener.head()
        listener.take(len(b"retry: 2000\n\n"))
        world.streams.stop()
        assert listener.rest().startswith(b"event: subscribed\n")


def test_a_stream_that_was_never_sent_is_closed_too() -> None:
    world = World()
    stream = world.streams.open(CLIENT, b"", module.Filters(), None, limit=1)
    stream.close()
    stream.close()
    assert world.feeds.feeds[0].closed
    assert len(world.streams) == 0
    stream.offer(item(FORMAT, {"op": "state"}))
    stream.pump()


def test_a_feed_that_cannot_be_had_leaves_nothing() -> None:
    world = World()

    def refuse(*_: object) -> None:
        raise RuntimeError("no")

    class Feed(FakeFeed):
        subscribe = refuse  # type: ignore[assignment]

    made: list[Feed] = []

    def opened(transport: Stream, fmt: Any, *, limit: int, sight: Any, user: Any) -> Feed:
        made.append(Feed(transport, fmt, limit))
        return made[0]

    world.feeds.open = opened  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        world.streams.open(CLIENT, b"", module.Filters(), None, limit=1)
    assert made[0].closed
    assert len(world.streams) == 0


def test_pieces_are_small_enough_to_be_taken_in_time() -> None:
    world = World()
    stream = world.streams.open(CLIENT, b"", module.Filters(), None, limit=1 << 20)
    world.feeds.feeds[0].keep({"op": "state", "x": "x" * 3 * PIECE})
    parts = iter(stream)
    sizes = [len(next(parts)) for _ in range(5)]
    assert sizes[1:4] == [PIECE] * 3
    assert 0 < sizes[4] < PIECE
    stream.close()
    assert next(parts, None) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"op":"gap","a":1}', b"gap"),
        (b'{ "op" : "state"}', b"state"),
        (b'{"a":1,"op":"x"}', b"message"),
        (b'{"op":"x\\n"}', b"message"),
    ],
)
def test_the_type_of_an_event_is_the_op(text: bytes, told: bytes) -> None:
    assert event(text) == b"event: %s\ndata: %s\n\n" % (told, text)


def test_what_is_sent_has_whole_lines() -> None:
    assert FORMAT.encode([], "p") == b""
    assert FORMAT.encode([b'{"op":"a"}'], None) == b'event: a\ndata: {"op":"a"}\n\n'
    assert heartbeat(None) == b": still here\n\n"
    assert heartbeat("p1") == b": still here\nid: p1\n\n"
    assert hash(FORMAT) == hash(module.EventStreamFormat())


def test_a_reload_keeps_streams(tmp_path: Any) -> None:
    world = World()
    with listening(world) as server, stream_of(world, server) as (listener, feed):
        settings = make_settings()
        configure(server, settings, app=world.app(settings))
        feed.tell({"op": "state"}, position="p1")
        assert listener.event()["id"] == "p1"


def test_plugins_are_told_who_came_and_went(tmp_path: Path) -> None:
    world = World()
    plugins = world.streams.plugins = running(
        entry(
            tmp_path,
            """
            CALLS = []
            def amiws_client_connected(client):
                CALLS.append((client.view, client.user))
            def amiws_client_disconnected(client, code, reason):
                CALLS.append((client.view, code, reason))
            """,
        )
    )
    (plugin,) = plugins.running
    plugin.start()
    try:
        alice = ClientInfo("192.0.2.7", "alice", "events")
        for client, ends in (
            (alice, None),
            (CLIENT, module.LOGIN_GONE),
            (CLIENT, module.TOO_SLOW),
            (CLIENT, module.STOPPING),
        ):
            stream = world.streams.open(client, NOBODY, module.Filters(), None, limit=1)
            if ends is not None:
                stream.end(ends)
            stream.close()
            stream.close()
        assert plugin.queue.drain(10)
        assert plugin.code.plugin.CALLS == [  # type: ignore[attr-defined]
            ("events", "alice"),
            ("events", 1006, module.LEFT),
            ("state", None),
            ("state", 4401, module.LOGIN_GONE),
            ("state", None),
            ("state", 1013, module.TOO_SLOW),
            ("state", None),
            ("state", 1001, module.STOPPING),
        ]
    finally:
        plugins.stop()
