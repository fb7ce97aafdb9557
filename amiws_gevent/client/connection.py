"""The WebSocket, kept open by a thread of its own: login, heartbeats, attempts that back off.

The WebSocket itself is that of the library ``websockets``, which is maintained and typed, and
has a bound on what it keeps unread.
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from amiws_gevent.client.login import ClientError, Login
from amiws_gevent.runtime.backoff import Backoff

SUBPROTOCOL = "amiws.v2"
OPEN_WITHIN = 15.0  # seconds, and so are all here
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
STEADY_AFTER = 10.0  # live for so long: the next loss starts with the first wait again
MISSED_BEATS = 2.5  # two did not come, and the next is late
LARGEST_MESSAGE = 64 * 1024 * 1024  # a reply with a long list

_log = logging.getLogger("amiws_gevent.client")


class Listener(Protocol):
    """Who is told of the connection, in its thread."""

    def hello(self, message: Mapping[str, Any]) -> None: ...

    def message(self, message: Mapping[str, Any]) -> None: ...

    def lost(self, error: ClientError) -> None:
        """It has ended, or could not be opened."""

    def due(self) -> float:
        """Do what is due; seconds until something is again."""


def websocket_url(url: str) -> str:
    """The URL of the WebSocket: of ``http`` makes ``ws``, and the path ``/ws`` if there is none."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"not the URL of a server: {url}")
    path = parts.path if parts.path.strip("/") else "/ws"
    return parts._replace(scheme=scheme, path=path, fragment="").geturl()


class Connection:
    """``tls`` is for ``wss``; without it, what the system trusts."""

    def __init__(
        self,
        url: str,
        login: Login,
        tls: ssl.SSLContext | None,
        listener: Listener,
        backoff: Backoff | None = None,
    ) -> None:
        self._url = websocket_url(url)
        self._login = login
        secure = self._url.startswith("wss:")
        self._tls = (tls or ssl.create_default_context()) if secure else None
        self._listener = listener
        self._backoff = backoff or Backoff(FIRST_WAIT, LONGEST_WAIT)
        self._socket: ClientConnection | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="amiws client", daemon=True)

    def start(self) -> None:
        """Connect, and stay so."""
        self._thread.start()

    def close(self) -> None:
        """End it; an attempt under way is waited for."""
        self._closing.set()
        socket = self._socket
        if socket is not None:
            with suppress(OSError, WebSocketException):
                socket.close()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send it if there is a connection; if not, the listener hears of that."""
        socket = self._socket
        if socket is not None:
            with suppress(OSError, WebSocketException):
                socket.send(json.dumps(message))

    def _run(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                with self._dial() as socket:
                    self._socket = socket
                    began = time.monotonic()
                    self._talk(socket)
            except (OSError, WebSocketException, ClientError) as error:
                self._lost(_as_told(error, urlsplit(self._url).netloc))
            except Exception as error:  # noqa: BLE001 - whatever comes must not end the thread
                _log.exception("connection to %s: a message that is none", self._url)
                self._lost(ClientError("no_answer", f"a message that is none: {error}"))
            if time.monotonic() - began > STEADY_AFTER:
                self._backoff.reset()
            self._closing.wait(self._backoff.next())

    def _lost(self, error: ClientError) -> None:
        self._socket = None
        _log.info("connection to %s: %s", self._url, error)
        self._listener.lost(error)

    def _talk(self, socket: ClientConnection) -> None:
        """Read until the connection ends, which raises."""
        if self._closing.is_set():  # before `close` could see the socket
            raise ClientError("closed", "the client is closed")
        hello = _parse(socket.recv(OPEN_WITHIN))
        if hello.get("op") != "hello":
            raise ClientError("no_answer", "the server does not speak amiws.v2")
        self._listener.hello(hello)
        silence = hello["heartbeat"] / 1000 * MISSED_BEATS
        heard = time.monotonic()
        while not self._closing.is_set():
            wait = min(heard + silence - time.monotonic(), self._listener.due())
            try:
                message = _parse(socket.recv(max(wait, 0)))
            except TimeoutError:
                if time.monotonic() - heard >= silence:
                    raise ClientError("no_answer", "the connection went quiet") from None
                continue
            heard = time.monotonic()
            self._listener.message(message)
        raise ClientError("closed", "the client is closed")

    def _dial(self) -> ClientConnection:
        """A WebSocket; a challenge is answered, once."""
        try:
            return self._connect(self._login.first())
        except InvalidStatus as refusal:
            challenges = refusal.response.headers.get_all("WWW-Authenticate")
            headers = self._login.answer(challenges, self._target())
            if refusal.response.status_code != 401 or headers is None:
                raise
        return self._connect(headers)

    def _connect(self, headers: Mapping[str, str]) -> ClientConnection:
        return connect(
            self._url,
            ssl=self._tls,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers=headers,
            compression=None,
            open_timeout=OPEN_WITHIN,
            close_timeout=2,
            ping_interval=None,  # the heartbeats of the server tell that it is alive
            max_size=LARGEST_MESSAGE,
        )

    def _target(self) -> str:
        parts = urlsplit(self._url)
        return parts.path + (f"?{parts.query}" if parts.query else "")


def _parse(text: str | bytes) -> dict[str, Any]:
    """A message; raises ValueError if it is none."""
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError("a message that is no JSON object")
    return message


def _as_told(error: Exception, address: str) -> ClientError:
    """What has ended a connection to ``address``, or kept it from being opened, for a program."""
    if isinstance(error, ClientError):
        return error
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        body = (error.response.body or b"").decode(errors="replace").partition("\n")[0]
        code = "refused" if 400 <= status < 500 and status != 429 else "no_answer"
        return ClientError(code, f"{address} refused with HTTP status {status}: {body:.200}")
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return ClientError("no_answer", f"closed: {error.rcvd.code} {error.rcvd.reason}".rstrip())
    return ClientError("no_answer", f"{address}: {str(error) or type(error).__name__}")
