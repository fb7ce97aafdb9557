"""Handles clients: when one connects, sends an action, or disconnects."""

from __future__ import annotations

import logging
from collections import Counter
from typing import NamedTuple

from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.hub import Hub
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.plugins.manager import Plugins
from amiws_gevent.runtime.peers import name_of
from amiws_gevent.views import View
from amiws_gevent.web.counts import FELL_BEHIND
from amiws_gevent.web.frames import text_frames
from amiws_gevent.web.websocket import WebSocketClient

CLASSIC = View("classic", text_frames)
"""All that is for everybody, as amiws sends it."""

V2 = View("v2", text_frames)
"""Who asks for ``amiws.v2``; the same messages."""

VIEW_NAMES = (CLASSIC.name, V2.name)

_log = logging.getLogger("amiws_gevent.clients")


class _Subscription(NamedTuple):
    info: ClientInfo
    view: View


class Clients:
    """The web side's ``Sessions``: subscribes clients to the hub, dispatches their actions."""

    def __init__(self, hub: Hub, dispatcher: Dispatcher) -> None:
        self.plugins = Plugins()
        self.opened_clients: Counter[str] = Counter()
        """Clients that connected, by the name of their view."""
        self._hub = hub
        self._dispatcher = dispatcher
        self._subscriptions: dict[WebSocketClient, _Subscription] = {}

    def opened(self, client: WebSocketClient) -> None:
        """Subscribe a client that was accepted."""
        view = CLASSIC if client.subprotocol is None else V2
        info = ClientInfo(client.address, client.user, view.name)
        self._subscriptions[client] = _Subscription(info, view)
        self._hub.add(client.outlet, view)
        self.opened_clients[view.name] += 1
        _log.info("client %s connected", name_of(info))
        self.plugins.client_connected(info)

    def received(self, client: WebSocketClient, text: str) -> None:
        """Send a client's action to its servers, or answer with an error."""
        subscription = self._subscriptions[client]
        self._dispatcher.dispatch(
            text,
            client=name_of(subscription.info),
            authorize=lambda action: self.plugins.authorize_action(action, subscription.info),
            answer=client.send_text,
        )

    def closed(self, client: WebSocketClient, code: int, reason: str) -> None:
        """Forget a client that is gone."""
        subscription = self._subscriptions.pop(client, None)
        if subscription is None:
            return
        info = subscription.info
        self._hub.remove(client.outlet, subscription.view)
        # Hundreds may fall behind at once; web.counts.Laggards logs those, one line a second.
        level = logging.DEBUG if client.close_kind in FELL_BEHIND else logging.INFO
        _log.log(level, "client %s closed: %d %s", name_of(info), code, reason)
        self.plugins.client_disconnected(info, code, reason)
