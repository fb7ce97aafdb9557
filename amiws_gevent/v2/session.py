"""One client's session on ``amiws.v2``: reads its requests, and answers each.

It has no greenlet: ``received`` is called in that of the client, replies come from those of
``actions``, and what a subscription has from ``feeds`` as the client reads. docs/protocol.md says
what the messages are.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import orjson

from amiws_gevent import __version__
from amiws_gevent.actions import ActionProblem, ActionRequest, Reply, Submission
from amiws_gevent.feeds.feed import Feed, NoState, TooMany
from amiws_gevent.feeds.filters import FilterError, Filters
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.policy import Rights, Sight
from amiws_gevent.v2.codes import RequestError
from amiws_gevent.v2.messages import (
    Error,
    Hello,
    Limits,
    May,
    Message,
    Pong,
    Position,
    ServerEntity,
    Subscribed,
    Unsubscribed,
    encode,
)
from amiws_gevent.v2.requests import (
    Action,
    Id,
    Ping,
    Resume,
    Subscribe,
    Unsubscribe,
    check,
    id_of,
    load_object,
)
from amiws_gevent.web.admission import TokenBucket

SUBSCRIPTION_RATE = 4.0
"""A second, of one client; as many may come at once as it may have, and some more. To begin one may
mean to look through all entities, which takes 80 ms for 50,000, in steps of a millisecond."""

_log = logging.getLogger("amiws_gevent.v2")


class Peer(Protocol):
    """What a session needs of its client."""

    @property
    def blocked(self) -> bool:
        """Whether something waits for it."""

    def send_text(self, text: bytes) -> None:
        """Send this client alone a message; never blocks or raises."""


class Actions(Protocol):
    """What a session needs of `ActionService`."""

    def parse(self, given: Mapping[str, Any], client: ClientInfo) -> ActionRequest: ...

    def submit(
        self, request: ActionRequest, client: ClientInfo, reply: Callable[[Reply, int], None]
    ) -> Submission: ...


@dataclass
class Shared:
    """What all sessions have in common; the composition keeps it up to date."""

    actions: Actions
    servers: Callable[[Sight], Sequence[Mapping[str, Any]]]
    """The entities of the servers that are seen, for ``hello``; may yield."""
    features: Callable[[], Sequence[str]]
    """What there is, for ``hello``."""
    limits: Limits
    heartbeat: float
    """Seconds."""
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    errors: Counter[str] = field(default_factory=Counter)
    """Requests that were answered by an error, by its code."""

    def now(self) -> int:
        """Milliseconds since 1970."""
        return round(self.clock() * 1000)


class _Asked:
    """An action that is at work."""

    __slots__ = ("id", "replies", "submission")

    def __init__(self, request_id: Id) -> None:
        self.id = request_id
        self.replies = 0
        """That have come."""
        self.submission: Submission | None = None


class Session:
    """``feed`` has the client's subscriptions, and shows what ``rights`` let it see.

    The session closes it.
    """

    def __init__(
        self,
        client: Peer,
        info: ClientInfo,
        feed: Feed,
        shared: Shared,
        rights: Rights = Rights.everything,
    ) -> None:
        self.info = info
        self.rights = rights
        self._client = client
        self._feed = feed
        self._shared = shared
        self._asked: dict[_Asked, None] = {}
        self._begun = TokenBucket(shared.monotonic)
        self._closed = False

    def open(self) -> None:
        """Say hello; the first call."""
        shared = self._shared
        servers = self._servers()
        self._send(
            Hello(
                op="hello",
                protocol=2,
                version=__version__,
                time=shared.now(),
                heartbeat=round(shared.heartbeat * 1000),
                user=self.info.user,
                features=list(shared.features()),
                limits=shared.limits,
                may=_may(self.rights),
                servers=[ServerEntity.model_validate(server) for server in servers],
            )
        )

    def _servers(self) -> Sequence[Mapping[str, Any]]:
        """Those that it sees, by the rights that it has when they are found."""
        while True:
            rights = self.rights
            servers = self._shared.servers(rights.sight)
            if rights is self.rights:
                return servers

    def use_rights(self, rights: Rights) -> None:
        """The client has these from now on; if it sees something else, it gets that anew."""
        self.rights = rights
        self._feed.use_sight(rights.sight)

    def received(self, text: str) -> None:
        """Do what a message of the client asks for, and answer it."""
        given: Mapping[str, Any] = {}
        try:
            given = load_object(text)
            self._do(given)
        except (RequestError, ActionProblem) as problem:
            self._refuse(given, problem.code, problem.message, problem.retry_after)
        except FilterError as error:
            self._refuse(given, "bad_filter", str(error))
        except TooMany as error:
            self._refuse(given, "too_many_subscriptions", str(error))
        except NoState as error:
            self._refuse(given, error.code, str(error))
        except Exception:  # noqa: BLE001 - a fault of ours must not leave a request unanswered
            _log.exception("client %s: internal error in a request", self.info.address)
            self._refuse(given, "internal", "internal error")

    def close(self) -> None:
        """The client has left."""
        self._closed = True
        self._feed.close()
        for asked in self._asked:
            if asked.submission is not None:
                asked.submission.cancel()
        self._asked.clear()

    def beat(self, now: int, made: dict[object, bytes]) -> bool:
        """Of `heartbeat.Beating`. What waits for a blocked client says as well that we live."""
        if self._closed:
            return True
        if self._client.blocked:
            return False
        positions = self._feed.positions()
        key = tuple(sorted(positions.items()))
        text = made.get(key)
        if text is None:
            text = made[key] = encode(Position(op="position", time=now, positions=positions))
        self._client.send_text(text)
        return True

    # What the client asks for

    def _do(self, given: Mapping[str, Any]) -> None:
        match check(given):
            case Subscribe() as request:
                self._subscribe(request, given, None)
            case Resume() as request:
                self._subscribe(request, given, request.position)
            case Unsubscribe() as request:
                self._unsubscribe(request)
            case Action() as request:
                self._act(request.id, given)
            case Ping() as request:
                self._send(Pong(op="pong", id=request.id, time=self._shared.now()))

    def _subscribe(
        self, request: Subscribe | Resume, given: Mapping[str, Any], position: str | None
    ) -> None:
        wait = self._begun.wait(SUBSCRIPTION_RATE)
        if wait > 0:
            text = f"more than {SUBSCRIPTION_RATE:.0f} subscriptions a second"
            raise RequestError("too_many_requests", text, math.ceil(wait * 1000) / 1000)
        filters = Filters.parse(given.get("filters") or {})
        self._begun.take()
        streams = frozenset(request.streams)
        if position is not None:
            self._feed.catch_up(streams, filters, position)
            if self._closed:
                return
        made = self._feed.subscribe(streams, filters, position)
        answer = {"id": request.id, "subscription": made.id, "streams": sorted(made.streams)}
        more: dict[str, Any] = {"filters": made.filters, "resumed": made.resumed}
        if made.position is not None:
            more["position"] = made.position
        self._send(Subscribed.model_validate({"op": "subscribed", **answer, **more}))

    def _unsubscribe(self, request: Unsubscribe) -> None:
        if not self._feed.unsubscribe(request.subscription):
            raise RequestError("unknown_subscription", "there is no such subscription")
        self._send(
            Unsubscribed(op="unsubscribed", id=request.id, subscription=request.subscription)
        )

    def _act(self, request_id: Id, given: Mapping[str, Any]) -> None:
        request = self._shared.actions.parse(given, self.info)
        asked = _Asked(request_id)
        tell = partial(self._reply, asked)
        asked.submission = self._shared.actions.submit(request, self.info, tell)
        self._asked[asked] = None

    # What it gets

    def _reply(self, asked: _Asked, reply: Reply, replies: int) -> None:
        asked.replies += 1
        if asked.replies == replies:
            self._asked.pop(asked, None)
        members = {"op": "reply", "id": asked.id, "replies": replies, **reply.as_json()}
        self._client.send_text(orjson.dumps(members))

    def _refuse(
        self, given: Mapping[str, Any], code: str, text: str, retry_after: float | None = None
    ) -> None:
        self._shared.errors[code] += 1
        told: dict[str, Any] = {"code": code, "message": text}
        request_id = id_of(given)
        if request_id is not None:
            told["id"] = request_id
        if retry_after is not None:
            told["retry_after"] = retry_after
        self._send(Error(op="error", **told))

    def _send(self, message: Message) -> None:
        self._client.send_text(encode(message))


def _may(rights: Rights) -> May:
    told = rights.describe()
    action: bool | list[str] = True
    if not told["everything"]:
        names = {rule["action"] for rule in told["do"]}
        action = True if "*" in names else sorted(names)
    return May(subscribe=True, action=action, rights=told)
