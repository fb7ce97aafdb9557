"""Serves web_root over HTTP and WebSockets at any path, on one loopback port, in plain threads."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from tests.support.program import wait_until
from tests.support.web_root import file_response, response


class PageServer(ABC):
    """What a page or client speaks to; subclasses say what its WebSockets hear.

    ``more_pages`` is HTML by path, beside the files of web_root.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        subprotocols: Sequence[str] = (),
    ) -> None:
        self.more_pages: dict[str, str] = {}
        self._lock = threading.Lock()
        self._open: set[ServerConnection] = set()
        self._scheme = "http" if tls is None else "https"
        self._server: Server = serve(
            self._serve,
            "127.0.0.1",
            port,
            ssl=tls,
            process_request=self._request,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            compression=None,
            close_timeout=1,
        )
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        for peer in self.peers():
            cut(peer)
        self._thread.join()
        wait_until(lambda: not self._open, "no client")

    def peers(self) -> list[ServerConnection]:
        """The WebSockets that are open."""
        with self._lock:
            return list(self._open)

    @abstractmethod
    def serve_client(self, peer: ServerConnection) -> None:
        """What happens on one WebSocket; it is closed afterwards."""

    def upgrade(self, request: Request) -> Response | None:
        """A WebSocket is asked for: None takes it, a response refuses."""
        return None

    def page(self, path: str) -> Response:
        """Something else is asked for."""
        return file_response(path.partition("?")[0])

    def _serve(self, peer: ServerConnection) -> None:
        with self._lock:
            self._open.add(peer)
        try:
            self.serve_client(peer)
        finally:
            with self._lock:
                self._open.discard(peer)

    def _request(self, _peer: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return self.upgrade(request)
        if html := self.more_pages.get(request.path.partition("?")[0]):
            return response(200, html.encode(), "text/html")
        return self.page(request.path)


def cut(peer: ServerConnection) -> None:
    """End a connection without a word."""
    with contextlib.suppress(OSError):
        peer.socket.shutdown(socket.SHUT_RDWR)
