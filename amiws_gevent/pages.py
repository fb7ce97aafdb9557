"""The pages: what is done when one comes, says something, or goes."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from typing import NamedTuple

from amiws_gevent.dispatch import Dispatcher
from amiws_gevent.hub import CLASSIC, V2, Hub
from amiws_gevent.pluginapi import ClientInfo
from amiws_gevent.plugins import Plugins
from amiws_gevent.web.websocket import WebSocketClient

# Why pages close, in words for counting. A page may send any code, so no others count.
CLOSE_CAUSES = {
    1000: "normal",
    1001: "going away",
    1002: "protocol error",
    1003: "not text",
    1005: "no code",
    1006: "connection lost",
    1007: "not UTF-8",
    1008: "against the rules",
    1009: "message too big",
    1011: "internal error",
    1013: "too slow",
}
SILENT = ("1006", "silent")
OTHER_END = ("other", "other")
ENDS = (*((str(code), cause) for code, cause in CLOSE_CAUSES.items()), SILENT, OTHER_END)
"""All that `cause_of_close` gives."""

_log = logging.getLogger("amiws_gevent.pages")


class _Subscription(NamedTuple):
    info: ClientInfo
    token: str | None


class Pages:
    """The web side's ``Sessions``: subscribes pages to the hub, dispatches their actions."""

    def __init__(self, hub: Hub, dispatcher: Dispatcher) -> None:
        self.plugins = Plugins()
        self.opened_pages: Counter[str] = Counter()
        """Pages that came, by view."""
        self.closed_pages: Counter[tuple[str, str]] = Counter()
        """Pages that went, by close code and cause, as `cause_of_close` has them."""
        self._hub = hub
        self._dispatcher = dispatcher
        self._subscriptions: dict[WebSocketClient, _Subscription] = {}

    def opened(self, client: WebSocketClient) -> None:
        """Subscribe a page whose upgrade was let through."""
        view, token = CLASSIC, None
        if client.subprotocol is not None:
            view, token = V2, secrets.token_urlsafe(12)
        info = ClientInfo(client.address, client.user, view)
        self._subscriptions[client] = _Subscription(info, token)
        self._hub.add(client, view, token)
        self.opened_pages[view] += 1
        _log.info("page %s connected", name_of(info))
        self.plugins.client_connected(info)

    def received(self, client: WebSocketClient, text: str) -> None:
        """Carry a page's action to the servers it is for, or say why not."""
        subscription = self._subscriptions[client]
        for answer in self._dispatcher.dispatch(
            text,
            page=name_of(subscription.info),
            token=subscription.token,
            authorize=lambda action: self.plugins.authorize_action(action, subscription.info),
        ):
            client.send_text(answer)

    def closed(self, client: WebSocketClient, code: int, reason: str) -> None:
        """Forget a page that is gone."""
        subscription = self._subscriptions.pop(client, None)
        if subscription is None:
            return
        info = subscription.info
        self._hub.remove(client, info.view, subscription.token)
        self.closed_pages[cause_of_close(code, reason)] += 1
        _log.info("page %s closed: %d %s", name_of(info), code, reason)
        self.plugins.client_disconnected(info, code, reason)


def cause_of_close(code: int, reason: str) -> tuple[str, str]:
    """Code and cause of a page's end, of few values each, whatever pages send."""
    if code not in CLOSE_CAUSES:
        return OTHER_END
    if code == 1006 and reason.startswith("no byte came"):
        return SILENT
    return str(code), CLOSE_CAUSES[code]


def name_of(client: ClientInfo) -> str:
    """A page as the log names it: its address, and its user if it has one."""
    return f"{client.address} ({client.user})" if client.user else client.address
