"""What plugins can have of the program: they ask its servers, tell its clients, read its state.

The roster is given this object when the program is put together. What each plugin may have of it
at once is bounded in `plugins.context`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import gevent

from amiws_gevent.actions import ActionProblem, ActionRequest
from amiws_gevent.actions.request import parse_request
from amiws_gevent.ami import ActionError, Kind, Message
from amiws_gevent.batch import Batch
from amiws_gevent.errors import ConnectionLost, NotConnected, SendBufferFull
from amiws_gevent.feeds.shown import Shown
from amiws_gevent.link import Answer as LinkAnswer
from amiws_gevent.pipeline import Source, make_batch
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.entities import copied
from amiws_gevent.plugins.facilities import (
    ACTION_REFUSED,
    BAD_REQUEST,
    UNKNOWN,
    UNKNOWN_SERVER,
    UNREACHABLE,
    Answer,
    AskError,
)
from amiws_gevent.runtime.log import LogLimiter

MOST_EVENTS = 1000
"""Events of plugins that wait for transforms."""

_log = logging.getLogger("amiws_gevent.plugins")


class Asked(Protocol):
    """What is needed of a link."""

    def ask(
        self, action: tuple[tuple[str, str], ...], *, timeout: float, wait: bool = False
    ) -> LinkAnswer:
        """See `Link.ask`."""


class Feeds(Protocol):
    """What is needed of `feeds.Feeds`."""

    @property
    def shown(self) -> Mapping[int, Shown]: ...

    def show_anew(self) -> None: ...

    def publish(self, batch: Batch) -> None: ...


class _OfKind(Mapping[str, dict[str, Any]]):
    """Entities of a kind at one time; each is copied when it is read."""

    def __init__(self, entities: Mapping[str, Mapping[str, Any]]) -> None:
        self._entities = entities

    def __getitem__(self, key: str) -> dict[str, Any]:
        return copied(self._entities[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entities)

    def __len__(self) -> int:
        return len(self._entities)


class ShownState:
    """The state as clients see it, for plugins (`plugins.facilities.State`)."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    @property
    def servers(self) -> Mapping[int, ServerInfo]:
        return {server: shown.info for server, shown in self._feeds.shown.items()}

    def get(self, server: int, kind: str, id: str, /) -> dict[str, Any] | None:  # noqa: A002
        shown = self._feeds.shown.get(server)
        fields = None if shown is None else shown.current().get(kind, id)
        return None if fields is None else copied(fields)

    def of(self, server: int, kind: str, /) -> Mapping[str, dict[str, Any]]:
        shown = self._feeds.shown.get(server)
        return _OfKind({} if shown is None else shown.current().of(kind))


class ProgramFacilities:
    """Of `plugins.facilities.Facilities`. ``links`` are the servers by id.

    Events of plugins are in the stream of ``proxy``, server 0, after ``transformed``
    (`Pipeline.shown`) has let them pass.
    """

    def __init__(
        self,
        links: Mapping[int, Asked],
        feeds: Feeds,
        proxy: Source,
        transformed: Callable[[ServerInfo, Sequence[Message]], Sequence[Message]],
    ) -> None:
        self.state = ShownState(feeds)
        self._links = links
        self._feeds = feeds
        self._proxy = proxy
        self._transformed = transformed
        self._events: deque[Message] = deque()
        self._publishing: gevent.Greenlet[..., None] | None = None
        self._limiter = LogLimiter()

    def entities(self, server: int) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
        shown = self._feeds.shown.get(server)
        return () if shown is None else shown.current().frozen()

    def show_anew(self) -> None:
        self._feeds.show_anew()

    # -- questions ---------------------------------------------------------------------

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        return self.ask_here(server, parse_ask(server, action, timeout, wait))

    def ask_here(self, server: int, request: ActionRequest) -> Answer:
        """Have one of the links ask; raises AskError."""
        link = self._links.get(server)
        if link is None:
            raise no_server(server)
        try:
            answer = link.ask(request.headers, timeout=request.timeout, wait=request.wait)
        except ConnectionLost as error:
            raise AskError(UNKNOWN, str(error)) from None
        except (NotConnected, SendBufferFull) as error:
            raise AskError(UNREACHABLE, str(error)) from None
        except ActionError as error:
            raise AskError(BAD_REQUEST, error.message) from None
        return _plain(server, answer)

    # -- events ------------------------------------------------------------------------

    def publish(self, event: Message) -> bool:
        if len(self._events) >= MOST_EVENTS or self._proxy.info.id in self._links:
            return False
        self._events.append(event)
        if self._publishing is None:
            self._publishing = gevent.spawn(self._publish_all)
        return True

    def _publish_all(self) -> None:
        """Events in their order; transforms may wait."""
        try:
            while self._events:
                event = self._events.popleft()
                try:
                    self._publish(event)
                except Exception as error:  # noqa: BLE001 - the others are to go on
                    self._limiter.log(
                        _log,
                        logging.ERROR,
                        "publish",
                        "internal error; an event of a plugin is lost",
                        exc_info=error,
                    )
        finally:
            self._publishing = None

    def _publish(self, event: Message) -> None:
        kept = [
            message
            for message in self._transformed(self._proxy.info, [event])
            if message.kind is Kind.EVENT
        ]
        if kept:
            batch = make_batch(self._proxy, self._proxy.advance(), kept)
            batch.of_plugins = True
            self._feeds.publish(batch)


def parse_ask(server: int, action: Mapping[str, Any], timeout: float, wait: bool) -> ActionRequest:
    """What a plugin asks one server for; raises AskError."""
    if type(server) is not int:
        raise AskError(BAD_REQUEST, "server must be the id of a server, a whole number")
    given = {"server": server, "action": action, "timeout": timeout, "wait": wait}
    try:
        return parse_request(given)
    except ActionProblem as problem:
        refused = problem.code == "action_refused"
        raise AskError(ACTION_REFUSED if refused else BAD_REQUEST, problem.message) from None


def no_server(server: int) -> AskError:
    """Of a server that is not in the configuration."""
    return AskError(UNKNOWN_SERVER, f"server {server}: there is no such server")


def _plain(server: int, answer: LinkAnswer) -> Answer:
    response = answer.response
    output: tuple[str, ...] = ()
    if response is not None and response.kind is Kind.COMMAND:
        output = tuple((response.get("Output") or "").removesuffix("\n").split("\n"))
    return Answer(
        server,
        _without_id(response),
        tuple(message for item in answer.items if (message := _without_id(item)) is not None),
        _without_id(answer.end),
        output,
        answer.complete,
        answer.reason,
        answer.refusal,
    )


def _without_id(message: Message | None) -> Message | None:
    """A message without the ActionID, which is the program's own."""
    if message is None or not message.has("ActionID"):
        return message
    return message.replace("ActionID", None)
