"""The subprotocol amiws.v2 in tests: what is wrong with a message, and stand-ins for its feeds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from amiws_gevent.config import Limits
from amiws_gevent.feeds.feed import Subscription, TooMany
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.feeds.paging import StatePage
from amiws_gevent.v2.messages import MESSAGES
from amiws_gevent.v2.requests import REQUESTS
from amiws_gevent.v2.schema import json_schema
from amiws_gevent.v2.service import Service


@functools.cache
def _validator(definition: str) -> Draft202012Validator:
    schema = json_schema()
    return Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]})


def faults(message: dict[str, Any]) -> list[str]:
    """What the specification says against a message; also members that it does not name."""
    model = {**MESSAGES, **REQUESTS}.get(message.get("op", ""))
    if model is None:
        return [f"unknown op: {message!r:.200}"]
    found = [error.message for error in _validator(model.__name__).iter_errors(message)]
    unknown = message.keys() - model.model_fields.keys()
    return found + [f"unknown member {name!r}" for name in sorted(unknown)]


class FakeFeed:
    """Subscriptions by an id that is made of their streams."""

    def __init__(self) -> None:
        self.asked: list[tuple[frozenset[str], Filters, str | None]] = []
        self.held: dict[str, str] = {}
        self.sights: list[Any] = []
        self.closed = False
        self.begins: str | None = None
        self.when_behind: Callable[[], None] = lambda: None
        """Called when a position is given, before it is used."""
        self.refuses: Exception | None = None

    def catch_up(self, streams: frozenset[str], filters: Filters, position: str) -> None:
        self.when_behind()

    def subscribe(
        self, streams: frozenset[str], filters: Filters, position: str | None = None
    ) -> Subscription:
        if self.refuses is not None:
            raise self.refuses
        if len(self.held) == 2:
            raise TooMany("2 subscriptions at most")
        self.asked.append((streams, filters, position))
        made = "-".join(sorted(streams))
        self.held[made] = "p0"
        return Subscription(made, streams, filters.as_json(), position is not None, self.begins)

    def unsubscribe(self, subscription_id: str) -> bool:
        return self.held.pop(subscription_id, None) is not None

    def positions(self) -> dict[str, str]:
        return dict(self.held)

    def use_sight(self, sight: Any) -> None:
        self.sights.append(sight)

    def close(self) -> None:
        self.closed = True


class FakeFeeds:
    """Feeds in the order in which they were opened; ``servers`` are what server 0 has."""

    def __init__(self, servers: Sequence[Mapping[str, Any]]) -> None:
        self.opened: list[FakeFeed] = []
        self._servers = servers
        self.shows_state = True

    def open(
        self, transport: object, fmt: object, sight: object = None, user: object = None
    ) -> FakeFeed:
        self.opened.append(FakeFeed())
        return self.opened[-1]

    def page(self, filters: Filters, kind: str, limit: int, sight: object = None) -> StatePage:
        assert (filters.as_json(), kind) == ({"server": [0]}, "server")
        return StatePage("", [dict(server) for server in self._servers[:limit]], None)


def service(actions: Any = None, servers: Sequence[Mapping[str, Any]] = ()) -> Service:
    """A service with feeds that have nothing, and by default no actions."""
    feeds: Any = FakeFeeds(servers)
    return Service(feeds, actions, Limits())
