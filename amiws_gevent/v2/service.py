"""Opens the sessions of ``amiws.v2`` clients, and keeps what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent

from amiws_gevent import config
from amiws_gevent.access import RightsOf, everything
from amiws_gevent.actions import MOST_OF_A_CLIENT
from amiws_gevent.feeds.feed import MOST_SUBSCRIPTIONS
from amiws_gevent.feeds.feeds import Feeds
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.policy import Sight
from amiws_gevent.v2.heartbeat import Heartbeat
from amiws_gevent.v2.messages import Limits
from amiws_gevent.v2.session import Actions, Session, Shared
from amiws_gevent.v2.textframes import TextFrames
from amiws_gevent.web.websocket import WebSocketClient

FEATURES = ("events", "resume", "actions", "idempotency")

PROXY = Filters(server=frozenset({0}))

_ALL = 1_000_000  # more servers than there can be


class Service:
    """Clients have their heartbeat from ``start`` on.

    ``rights_of`` is asked once for each client; `Session.use_rights` gives it others.
    ``has_audit``: whether there is an audit trail.
    """

    def __init__(
        self,
        feeds: Feeds,
        actions: Actions,
        limits: config.Limits,
        rights_of: RightsOf = everything,
        has_audit: Callable[[], bool] = lambda: False,
    ) -> None:
        self._feeds = feeds
        self._rights_of = rights_of
        self._has_audit = has_audit
        self._heartbeat = Heartbeat(limits.ping_interval)
        self._shared = Shared(
            actions, self._servers, self._features, _limits(limits), limits.ping_interval
        )

    @property
    def errors(self) -> Counter[str]:
        """Requests that were answered by an error, by its code."""
        return self._shared.errors

    def configure(self, limits: config.Limits) -> None:
        """Hold sessions to other limits; those that are open were told the earlier ones."""
        self._shared.limits = _limits(limits)
        self._shared.heartbeat = self._heartbeat.interval = limits.ping_interval

    def start(self) -> gevent.Greenlet[..., None]:
        """Begin the heartbeat; the caller watches whether its greenlet dies."""
        return self._heartbeat.start()

    def stop(self) -> None:
        """End the heartbeat."""
        self._heartbeat.stop()

    def open(self, client: WebSocketClient, info: ClientInfo) -> Session:
        """The session of a client that was accepted; says hello to it."""
        rights = self._rights_of(info.identity)
        feed = self._feeds.open(
            client.outlet, TextFrames(client.encode), sight=rights.sight, user=info.user
        )
        client.outlet.use_source(lambda: feed)
        session = Session(client, info, feed, self._shared, rights)
        session.open()
        self._heartbeat.add(session)
        return session

    def close(self, session: Session) -> None:
        """The client of a session has left."""
        self._heartbeat.remove(session)
        session.close()

    def _features(self) -> Sequence[str]:
        state = ("state",) if self._feeds.shows_state else ()
        audit = ("audit",) if self._has_audit() else ()
        return (*state, *FEATURES, *audit)

    def _servers(self, sight: Sight) -> Sequence[Mapping[str, Any]]:
        """The entities of the servers, as clients see them."""
        page = self._feeds.page(PROXY, "server", _ALL, sight=sight)
        return [] if page is None else page.items


def _limits(limits: config.Limits) -> Limits:
    return Limits(
        subscriptions=MOST_SUBSCRIPTIONS,
        message=limits.client_message,
        actions=MOST_OF_A_CLIENT,
    )
