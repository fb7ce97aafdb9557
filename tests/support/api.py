"""The HTTP API over fakes: feeds and actions that a test moves by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import flask
import orjson

from amiws_gevent.actions import ActionRequest, Reply
from amiws_gevent.actions.request import parse_request
from amiws_gevent.api.blueprint import Api
from amiws_gevent.api.streams import EventStreamFormat, Stream, Streams
from amiws_gevent.audit.trail import Trail
from amiws_gevent.batch import Item
from amiws_gevent.config import Settings
from amiws_gevent.feeds.feed import Subscription
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.paging import StatePage
from amiws_gevent.plugins.api import ClientInfo, RequestInfo
from amiws_gevent.web.app import create_app
from amiws_gevent.web.gate import Gate
from amiws_gevent.web.loginwatch import LoginWatch
from amiws_gevent.web.server import WebServer
from tests.support.webserver import FakeSessions


class FakeFeed:
    """Keeps what it is given, and gives what the test has put into ``waiting``."""

    def __init__(self, transport: Stream, fmt: EventStreamFormat, limit: int) -> None:
        self.transport = transport
        self.format = fmt
        self.limit = limit
        self.waiting: list[bytes] = []
        self.position = "p0"
        self.subscribed: list[tuple[frozenset[str], Filters, str | None]] = []
        self.takes = True
        self.sight: Any = None
        self.closed = False

    @property
    def pending_bytes(self) -> int:
        return sum(map(len, self.waiting))

    def push(self, item: Item, room: int, /) -> bool:
        self.waiting.append(item.data)
        return self.takes and self.pending_bytes <= room

    def pull(self) -> bytes | None:
        return self.waiting.pop(0) if self.waiting else None

    def subscribe(
        self, streams: frozenset[str], filters: Filters, position: str | None = None
    ) -> Subscription:
        self.subscribed.append((streams, filters, position))
        self.transport.pump()
        return Subscription("s-1", streams, filters.as_json(), position is not None, position)

    def positions(self) -> dict[str, str]:
        return {"s-1": self.position}

    def close(self) -> None:
        self.closed = True

    # What a test does

    def tell(self, *messages: dict[str, Any], position: str | None = None) -> None:
        """As the hub does for a client that is not behind."""
        self.transport.offer(item(self.format, *messages, position=position))

    def keep(self, *messages: dict[str, Any], position: str | None = None) -> None:
        """As the feed does for one that is."""
        self.waiting.append(item(self.format, *messages, position=position).data)
        self.transport.pump()


def item(fmt: EventStreamFormat, *messages: dict[str, Any], position: str | None = None) -> Item:
    texts = [orjson.dumps(message) for message in messages]
    return Item(fmt.encode(texts, position), len(texts), {})


@dataclass
class FakeFeeds:
    """Remembers the feeds that were opened, and gives ``lists`` by their kinds."""

    feeds: list[FakeFeed] = field(default_factory=list)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[Filters, str, int, str | None]] = field(default_factory=list)
    caught_up: list[tuple[frozenset[str], str]] = field(default_factory=list)
    """Streams and position, as of before a feed was opened."""

    def catch_up(self, streams: frozenset[str], filters: Filters, position: str) -> None:
        self.caught_up.append((streams, position))

    def open(
        self, transport: Any, fmt: Any, *, limit: int, sight: Any = None, user: Any = None
    ) -> FakeFeed:
        self.feeds.append(FakeFeed(transport, fmt, limit))
        return self.feeds[-1]

    def page(
        self, filters: Filters, kind: str, limit: int, after: str | None, sight: Any = None
    ) -> StatePage | None:
        self.asked.append((filters, kind, limit, after))
        if after == "old":
            return None
        items = self.lists.get(kind, [])
        start = int(after or 0)
        rest = str(start + limit) if start + limit < len(items) else None
        return StatePage("p1", items[start : start + limit], rest)


class FakeSubmission:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class FakeActions:
    """Checks requests as the real service does; ``answer`` says what is replied, and when."""

    answer: Callable[[ActionRequest, Callable[[Reply, int], None]], None]
    requests: list[tuple[ActionRequest, ClientInfo]] = field(default_factory=list)
    submissions: list[FakeSubmission] = field(default_factory=list)

    def parse(self, given: Mapping[str, Any], client: ClientInfo) -> ActionRequest:
        return parse_request(given)

    def submit(
        self, request: ActionRequest, client: ClientInfo, reply: Callable[[Reply, int], None]
    ) -> Any:
        self.requests.append((request, client))
        self.submissions.append(FakeSubmission())
        self.answer(request, reply)
        return self.submissions[-1]


def answers(request: ActionRequest, reply: Callable[[Reply, int], None]) -> None:
    """All servers answer at once, the last first."""
    servers: Sequence[int] = request.servers or (1, 2)
    for server in sorted(servers, reverse=True):
        reply(
            Reply(server, "answered", complete=True, response={"Response": "Success"}),
            len(servers),
        )


@dataclass
class World:
    """An API with its fakes, and an application with it."""

    feeds: FakeFeeds = field(default_factory=FakeFeeds)
    answer: Callable[[ActionRequest, Callable[[Reply, int], None]], None] = answers
    refusal: str | None = None
    """Of ``amiws_authorize_client``."""
    heartbeat: float = 15.0
    limit: int = 1 << 20

    def __post_init__(self) -> None:
        self.actions = FakeActions(self.answer)
        self.asked: list[tuple[RequestInfo, str | None]] = []
        feeds: Any = self.feeds
        self.streams = Streams(feeds, heartbeat=self.heartbeat)
        self.audit = Trail()
        self.api = Api(feeds, self.actions, self.streams, self.audit)

    def authorize(self, request: RequestInfo, user: str | None) -> str | None:
        self.asked.append((request, user))
        return self.refusal

    def app(self, settings: Settings) -> flask.Flask:
        self.gate = Gate(settings)
        watch = LoginWatch(WebServer(FakeSessions()), self.streams)
        log_out = partial(watch.log_out, self.gate, settings.logout_url)
        routes = self.api.blueprint(
            self.authorize, log_out, stream_limit=self.limit, compression=settings.compression
        )
        return create_app(settings, self.gate, blueprints=[routes])
