"""Feeds on a real socket, over TLS or not: who reads slowly, and who reads nothing at all."""

from __future__ import annotations

import json
from typing import Any

import gevent
import pytest

from amiws_gevent.feeds.filters import Filters
from amiws_gevent.v2.textframes import TextFrames
from amiws_gevent.web.websocket import SILENT_PINGS
from tests.support.feeds import BOTH, World, expected, merge, name_of
from tests.support.webserver import wait_for
from tests.support.ws_line import Line, MakeLine

PING_INTERVAL = 25.0
FILLER = "x" * 1000
KEYS = 100


class Subscribed:
    """A WebSocket client with a subscription to all, and a world that goes on."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.world = World()
        self.turns = 0
        self.collection: dict[Any, Any] = {}
        self.gaps: list[dict[str, Any]] = []
        feed = self.world.feeds.open(line.client.outlet, TextFrames())
        line.client.outlet.use_source(lambda: feed)
        self.feed = feed
        feed.subscribe(BOTH, Filters())

    def go_on(self) -> None:
        """All entities change, and a server says as much."""
        self.turns += 1
        for key in range(KEYS):
            self.world.server.put("call", str(key), n=self.turns, filler=FILLER)
            self.world.says("News", Filler=FILLER)
        self.world.pass_on()
        self.world.flush()

    def tend(self) -> None:
        """The next look after the client."""
        self.line.now += PING_INTERVAL
        self.line.client.tend(self.line.now, PING_INTERVAL, 60)

    def read_on(self) -> None:
        """Take messages until nothing waits for the client."""
        while self.line.client.outlet.blocked:
            self._take(self.line.far.frame().payload)

    def _take(self, text: bytes) -> None:
        message = json.loads(text) if text.startswith(b"{") else {"op": "pong"}
        if message["op"] == "snapshot":
            merge(self.collection, message["items"])
        elif message["op"] == "state":
            merge(self.collection, message["set"])
            for gone in message["unset"]:
                self.collection.pop(name_of(gone), None)
        elif message["op"] == "gap":
            self.gaps.append(message)


@pytest.mark.parametrize("tls", [False, True])
def test_who_takes_nothing_is_closed_however_much_is_left_out(
    make_line: MakeLine, tls: bool
) -> None:
    one = Subscribed(make_line(tls=tls, client_buffer=100_000))
    one.line.run()
    wait_for(lambda: not one.line.client.outlet.blocked, "in step")
    last_moved = one.line.now
    while not one.line.client.closed:
        one.go_on()
        assert one.feed.pending_bytes <= 100_000
        one.tend()
        assert one.line.now - last_moved <= 2 * SILENT_PINGS * PING_INTERVAL, "it is never closed"
    assert one.line.now - last_moved > SILENT_PINGS * PING_INTERVAL
    assert one.line.client.close_code == 1006


@pytest.mark.parametrize("tls", [False, True])
def test_who_takes_a_little_at_a_time_is_never_closed_and_ends_with_all(
    make_line: MakeLine, tls: bool
) -> None:
    one = Subscribed(make_line(tls=tls, client_buffer=100_000))
    one.line.run()
    for _ in range(30):
        one.go_on()
        gevent.sleep(0)
        one.tend()
        # A moment later it reads, until the kernel takes some more of what waits.
        while one.line.client.outlet.blocked and one.line.client.outlet.moved < one.line.now:
            one._take(one.line.far.frame().payload)
            gevent.sleep(0)
        assert not one.line.client.closed
    one.read_on()
    wait_for(lambda: not one.line.client.outlet.blocked, "all is sent")
    one.world.server.put("call", "last", n=0)
    one.world.flush()
    there = expected(one.world.live, Filters())
    while one.collection != there:
        one._take(one.line.far.frame().payload)
    assert one.gaps, "events were left out"
    assert one.world.feeds.behind == 0
