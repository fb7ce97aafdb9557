"""Server-Sent Events: what a subscription gets, as an answer that does not end.

A stream is a client of `feeds` as a WebSocket is, and the iterable of a WSGI answer: the greenlet
of its connection sends what is next, and only then asks the feed for more. So a slow reader waits
alone, and what waits for it is bounded by the feed. A client that takes nothing at all is cut off
by the time limit of writing (`limits.idle_time`).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson
from gevent.event import Event

from amiws_gevent.batch import Item
from amiws_gevent.feeds.encoding import with_position
from amiws_gevent.feeds.feed import Feed
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.sights import sight_of
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.policy import Sight
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.runtime.peers import name_of
from amiws_gevent.web.frames import (
    ABNORMAL,
    GOING_AWAY,
    LOGIN_ENDED,
    LOGOUT,
    TRY_AGAIN_LATER,
)
from amiws_gevent.web.hangup import MakeHangup
from amiws_gevent.web.verdict import LOGGED_OUT, LOGIN_GONE, Grant

HEARTBEAT = 15.0  # seconds of silence after which a stream says that it is still there
RETRY = 2000  # milliseconds after which browsers open a stream again
PIECE = 16 * 1024  # bytes that a client must take within the time limit of writing

# Why a stream ended
LEFT = "the client left"
STOPPING = "amiws-gevent stops"
TOO_SLOW = "too much waits for it"

_CODES = {
    LEFT: ABNORMAL,
    STOPPING: GOING_AWAY,
    LOGIN_GONE: LOGIN_ENDED,
    LOGGED_OUT: LOGOUT,
    TOO_SLOW: TRY_AGAIN_LATER,
}
"""What plugins are told: HTTP has no close codes, so that of a WebSocket which ended so."""

_OP = re.compile(rb'\{\s*"op"\s*:\s*"([a-z_]+)"')

_log = logging.getLogger("amiws_gevent.api")


@dataclass(frozen=True)
class EventStreamFormat:
    """JSON messages as events: ``event`` is their op, ``id`` a position, once in a batch."""

    def encode(self, texts: Sequence[bytes], position: str | None, /) -> bytes:
        """``texts`` are one line each; ``position`` is that of the last."""
        parts = [event(text) for text in texts]
        if position is not None and parts:
            parts[-1] = b"id: %s\n%s" % (position.encode(), parts[-1])
        return b"".join(parts)


FORMAT = EventStreamFormat()


def event(text: bytes) -> bytes:
    """One message as an event without an ``id``."""
    found = _OP.match(text)
    return b"event: %s\ndata: %s\n\n" % (found[1] if found else b"message", text)


def heartbeat(position: str | None) -> bytes:
    """What keeps proxies and clients from taking silence for death.

    The ``id`` alone moves the position at which a client goes on, and no event is seen.
    """
    return b": still here\n" + (b"id: %s\n" % position.encode() if position else b"") + b"\n"


class Stream:
    """One client's stream: feeds' transport, and the iterable of its answer.

    ``limit``: bytes that may wait for it. ``close`` is called by WSGI in the end, also if it was
    never iterated.
    """

    def __init__(
        self,
        client: ClientInfo,
        grant: Grant,
        on_close: Callable[[Stream], None],
        *,
        limit: int,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self.client = client
        self.grant = grant
        self.reason = LEFT
        self._on_close: Callable[[Stream], None] | None = on_close
        self._limit = limit
        self._heartbeat = heartbeat
        self._feed: Feed | None = None
        self._first = b""
        self._next: bytes | None = None
        self._busy = True  # something is being sent, or the feed has something
        self._ended = False
        self._wake = Event()

    def open(
        self,
        feeds: Feeds,
        streams: frozenset[str],
        filters: Filters,
        position: str | None,
        sight: Sight | None = None,
    ) -> None:
        """Subscribe to what ``sight`` shows (None: all); the first event tells to what."""
        feed = self._feed = feeds.open(self, FORMAT, limit=1, sight=sight, user=self.client.user)
        made = feed.subscribe(streams, filters, position)
        told = {
            "op": "subscribed",
            "subscription": made.id,
            "streams": sorted(made.streams),
            "filters": made.filters,
            "resumed": made.resumed,
        }
        text = with_position(orjson.dumps(told), made.position)
        self._first = b"retry: %d\n\n%s" % (RETRY, FORMAT.encode([text], made.position))

    def is_over(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._ended

    def use_sight(self, sight: Sight | None) -> None:
        """The client sees this from now on; what it was to be sent as before is dropped."""
        if self._feed is None or sight_of(sight) == self._feed.sight:
            return
        self._next = None
        self._feed.use_sight(sight)

    # Of the feed

    def offer(self, item: Item) -> None:
        """Send an item, or have the feed keep it; never blocks."""
        if self._ended or self._feed is None:
            return
        if self._busy:
            if not self._feed.push(item, self._limit - len(self._next or b"")):
                self.end(TOO_SLOW)
            return
        self._busy = True
        self._next = item.data
        self._wake.set()

    def pump(self) -> None:
        """The feed has something to send; bytes may be empty, and more come later."""
        self._busy = True
        self._wake.set()

    # Of the answer

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        while not self.is_over():
            data = self._take()
            if data is None:
                self._busy = False
                self._wake.clear()
                if not self._wake.wait(self._heartbeat):
                    yield heartbeat(self._position())
                continue
            for start in range(0, len(data), PIECE):
                yield data[start : start + PIECE]
                if self.is_over():
                    return
            yield_to_loop()

    def end(self, reason: str) -> None:
        """Have the answer end, from any greenlet."""
        if not self._ended:
            self._ended = True
            self.reason = reason
            self._wake.set()

    def close(self) -> None:
        """The answer has ended."""
        self._ended = True
        if self._feed is not None:
            self._feed.close()
            self._feed = None
        if self._on_close is not None:
            self._on_close(self)
            self._on_close = None

    def _take(self) -> bytes | None:
        if self._next is not None:
            data, self._next = self._next, None
            return data
        return self._feed.pull() if self._feed is not None else None

    def _position(self) -> str | None:
        """Where the one subscription is."""
        positions = self._feed.positions() if self._feed is not None else {}
        return next(iter(positions.values()), None)


class Streams:
    """All streams of the program; a reload keeps them."""

    def __init__(self, feeds: Feeds, *, heartbeat: float = HEARTBEAT) -> None:
        self.opened: Counter[str] = Counter()
        """Streams that were opened, by what they are of."""
        self.plugins = Plugins()
        self.end_of: Callable[[Grant], str | None] = lambda _: None
        """Why the login of a stream that is being opened has ended meanwhile; or None."""
        self.stopping = False
        self._feeds = feeds
        self._heartbeat = heartbeat
        self._open: dict[Stream, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def counts(self) -> Counter[str]:
        """How many streams there are, by what they are of."""
        return Counter([stream.client.view for stream in self._open])

    def open(
        self,
        client: ClientInfo,
        grant: Grant,
        filters: Filters,
        position: str | None,
        *,
        limit: int,
        watch: MakeHangup | None = None,
        sight: Sight | None = None,
    ) -> Stream:
        """Begin a stream of what ``client.view`` names; the caller sends and closes it.

        The client sees what ``sight`` shows; None: all.
        """
        stream = Stream(client, grant, self._closed, limit=limit, heartbeat=self._heartbeat)
        try:
            stream.open(self._feeds, frozenset({client.view}), filters, position, sight)
            hangup = watch(lambda: stream.end(LEFT)) if watch is not None else None
        except BaseException:
            stream.close()
            raise
        self._open[stream] = hangup.close if hangup is not None else _nothing
        self.opened[client.view] += 1
        _log.info("stream of %s to %s begins", client.view, name_of(client))
        self.plugins.client_connected(client)
        reason = self.end_of(grant)
        if reason is not None:
            stream.end(reason)
        return stream

    def check(self, end_of: Callable[[Grant], str | None]) -> None:
        """End those whose login has ended; ``end_of`` says why, or None."""
        for stream in list(self._open):
            reason = end_of(stream.grant)
            if reason is not None:
                stream.end(reason)

    def use_sights(self, sight_of_client: Callable[[ClientInfo], Sight]) -> None:
        """Show each client what it sees by now."""
        for stream in list(self._open):
            stream.use_sight(sight_of_client(stream.client))

    def stop(self) -> None:
        """End all; new ones are to be refused."""
        self.stopping = True
        for stream in list(self._open):
            stream.end(STOPPING)

    def _closed(self, stream: Stream) -> None:
        stop_watching = self._open.pop(stream, None)
        if stop_watching is not None:
            stop_watching()
            client = stream.client
            _log.info("stream of %s to %s ends: %s", client.view, name_of(client), stream.reason)
            self.plugins.client_disconnected(client, _CODES[stream.reason], stream.reason)


def _nothing() -> None:
    """There is no connection to watch."""
