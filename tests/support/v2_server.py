"""A server that speaks ``amiws.v2`` as a test tells it to: word by word, faults included.

It knows no state: the test takes each request and says what is answered.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from tests.support.page_server import PageServer, cut
from tests.support.program import wait_until
from tests.support.web_root import response

Data = dict[str, Any]


class V2Connection:
    """One client. Requests are kept in the order in which they came."""

    def __init__(self, peer: ServerConnection) -> None:
        self.requests: list[Data] = []
        self.close_code: int | None = None
        self.is_over = False
        self._peer = peer
        self._taken = 0

    def run(self) -> None:
        """Read requests until the client leaves."""
        try:
            for text in self._peer:
                self.requests.append(json.loads(text))
        except ConnectionClosed:
            pass  # the test or the client has cut it
        finally:
            self.close_code = self._peer.protocol.close_code
            self.is_over = True

    def take(self, op: str) -> Data:
        """The next request, which must have this ``op``."""
        wait_until(lambda: len(self.requests) > self._taken, f"a request: {op}")
        request = self.requests[self._taken]
        self._taken += 1
        assert request["op"] == op, request
        return request

    def send(self, *messages: Data) -> None:
        """Give messages to the client; it may be gone already."""
        for message in messages:
            self.send_text(json.dumps(message))

    def send_text(self, text: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            self._peer.send(text)

    def hello(self, *servers: Data, heartbeat: int = 60_000, **more: Any) -> None:
        """The first message."""
        limits = {"subscriptions": 16, "message": 262_144, "actions": 32}
        may = {"subscribe": True, "action": True}
        message = {"op": "hello", "protocol": 2, "version": "1", "time": 1_700_000_000_000}
        message |= {"heartbeat": heartbeat, "user": None, "features": [], "limits": limits}
        self.send(message | {"may": may, "servers": list(servers)} | more)

    def subscribed(
        self, name: str = "s-1", *, op: str = "subscribe", resumed: bool = False, position: str = ""
    ) -> Data:
        """Answer the next request, which is for a subscription; the request."""
        request = self.take(op)
        answer = {"op": "subscribed", "id": request["id"], "subscription": name}
        answer |= {"streams": request["streams"], "filters": {}, "resumed": resumed}
        self.send(answer | ({"position": position} if position else {}))
        return request

    def snapshot(self, *items: Data, name: str = "s-1", position: str = "p-1") -> None:
        """A snapshot of one page."""
        page = {"op": "snapshot", "subscription": name, "page": 1, "pages": 1}
        self.send(page | {"items": list(items), "position": position})

    def close(self, code: int = 1001, reason: str = "") -> None:
        """Close in order."""
        self._peer.close(code, reason)

    def cut(self) -> None:
        """Cut the connection without a word."""
        cut(self._peer)


class V2Server(PageServer):
    """Speaks ``amiws.v2`` at any path."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.connections: list[V2Connection] = []
        self.upgrades: list[Request] = []
        self.refusals: list[Response] = []
        """What the next upgrades are refused with."""
        self.page_status = 200
        """Of HTTP requests for ``/``."""
        self.loads = 0
        """How often ``/`` was asked for."""
        super().__init__(port=port, tls=tls, subprotocols=["amiws.v2"])

    def client(self, number: int = 0) -> V2Connection:
        """The connection that was the ``number``-th to open, from 0."""
        wait_until(lambda: len(self.connections) > number, f"connection {number}")
        return self.connections[number]

    def serve_client(self, peer: ServerConnection) -> None:
        connection = V2Connection(peer)
        self.connections.append(connection)
        connection.run()

    def upgrade(self, request: Request) -> Response | None:
        self.upgrades.append(request)
        return self.refusals.pop(0) if self.refusals else None

    def page(self, path: str) -> Response:
        if path.partition("?")[0] == "/":
            self.loads += 1
            if self.page_status != 200:
                return response(self.page_status, b"", "text/plain")
        return super().page(path)
