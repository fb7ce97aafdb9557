"""The client: subscriptions and actions over one connection that comes back by itself."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from amiws_gevent.client.asking import Asking, Reply
from amiws_gevent.client.connection import LONGEST_WAIT, Connection
from amiws_gevent.client.login import ClientError, Login
from amiws_gevent.client.subscription import Subscription
from amiws_gevent.runtime.backoff import Backoff

ACTION_GRACE = 10.0  # seconds; the server keeps an action's time limit, this is for its answer

Server = int | Sequence[int] | Literal["all"]


class Client:
    """A connection to amiws-gevent at ``url`` (``http``, ``https``, ``ws`` or ``wss``).

    A context manager: it is connected when the block begins, or raises ClientError; after that it
    comes back by itself whenever the connection is lost. ``ca_file`` has the certificates that
    ``https`` trusts beside the system's; ``tls`` is a context of the caller's own instead.
    ``queue`` is how much may wait in each subscription. All methods may be called by any thread.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password: str = "",
        token: str | None = None,
        ca_file: str | Path | None = None,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = 30.0,
        queue: int = 10_000,
        backoff: Backoff | None = None,
    ) -> None:
        if ca_file is not None and tls is None:
            tls = ssl.create_default_context()
            tls.load_verify_locations(ca_file)
        self.hello: Mapping[str, Any] = {}
        """What the server said of itself when the connection began."""
        self._connect_timeout = connect_timeout
        self._queue = queue
        self._changed = threading.Condition()
        self._live = False
        self._last_error: ClientError | None = None
        self._last_id = 0
        self._subscriptions: list[Subscription] = []
        self._subscribed: dict[str, Subscription] = {}
        self._beginning: dict[int, Subscription] = {}
        self._asked: dict[int, Asking] = {}
        self._later: list[tuple[float, Subscription]] = []
        login = Login(user, password, token)
        self._connection = Connection(url, login, tls, _Listener(self), backoff)

    def __enter__(self) -> Self:
        self._connection.start()
        try:
            self.wait_connected(self._connect_timeout)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._live

    def wait_connected(self, timeout: float | None = None) -> None:
        """Wait for a connection; raises what stood in the way.

        Before the first connection a refusal (a wrong password, say) is raised at once.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._live:
                error = self._last_error
                left = None if deadline is None else deadline - time.monotonic()
                is_final = error is not None and error.code == "refused" and not self.hello
                if error is not None and (is_final or (left is not None and left <= 0)):
                    raise error
                if left is not None and left <= 0:
                    raise ClientError("no_answer", f"no connection within {timeout:g} s")
                self._changed.wait(left)

    def close(self) -> None:
        """End the connection and all subscriptions."""
        self._connection.close()
        with self._changed:
            subscriptions, self._subscriptions = self._subscriptions, []
            self._last_error = ClientError("closed", "the client is closed")
        for subscription in subscriptions:
            subscription.end()

    def subscribe(self, streams: str | Iterable[str] = "state", **filters: Any) -> Subscription:
        """A view of the servers: ``"state"``, ``"events"``, or a list of both.

        ``filters``: ``server``, ``kind``, ``event``, ``queue``, ``extension``, ``context``, each a
        value or a list. Raises ValueError if the client has an equal subscription.
        """
        named = frozenset([streams] if isinstance(streams, str) else streams)
        subscription = Subscription(named, filters, self._queue, self._close)
        with self._changed:
            if any(_view(one) == _view(subscription) for one in self._subscriptions):
                raise ValueError("there is a subscription with the same streams and filters")
            self._subscriptions.append(subscription)
            requests = [self._begin(subscription)] if self._live else []
        self._send(requests)
        return subscription

    def action(
        self,
        server: Server,
        headers: Mapping[str, Any],
        *,
        timeout: float | None = None,
        wait: bool = False,
        idempotency_key: str | None = None,
    ) -> list[Reply]:
        """Send an action to a server, several, or ``"all"``; a reply for each, as they came.

        ``timeout`` in seconds: what has come until then is the reply. ``wait``, of an Originate:
        until it is known whether it was answered. If the connection is lost meanwhile, the
        outcome of what has not answered is ``unknown``. Raises ClientError if nothing was sent.
        """
        asked = {"timeout": timeout, "wait": wait or None, "idempotency_key": idempotency_key}
        request: dict[str, Any] = {"op": "action", "server": server, "action": dict(headers)}
        request |= {name: value for name, value in asked.items() if value is not None}
        with self._changed:
            if not self._live:
                raise ClientError("not_connected", "not connected; nothing was sent")
            asking = Asking(self._ids(server))
            numbered = self._numbered(request)
            self._asked[self._last_id] = asking
        self._send([numbered])
        return asking.wait(None if timeout is None else timeout + ACTION_GRACE)

    def _ids(self, server: Server) -> list[int]:
        if server == "all":
            return [int(one["id"]) for one in self.hello["servers"]]
        return [server] if isinstance(server, int) else [int(one) for one in server]

    # Requests are made under the lock and sent outside of it: a send may have to wait until the
    # server reads, and that until this client does.

    def _numbered(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._last_id += 1
        return {**request, "id": self._last_id}

    def _begin(self, subscription: Subscription) -> dict[str, Any]:
        request = self._numbered(subscription.request())
        self._beginning[self._last_id] = subscription
        return request

    def _close(self, subscription: Subscription) -> None:
        with self._changed:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
            requests = self._unsubscribe(subscription)
        self._send(requests)

    def _unsubscribe(self, subscription: Subscription) -> list[dict[str, Any]]:
        names = [name for name, one in self._subscribed.items() if one is subscription]
        for name in names:
            del self._subscribed[name]
        return [self._numbered({"op": "unsubscribe", "subscription": name}) for name in names]

    def _send(self, requests: Iterable[Mapping[str, Any]]) -> None:
        for request in requests:
            self._connection.send(request)

    # What the connection tells, in its thread

    def _hello(self, message: Mapping[str, Any]) -> None:
        with self._changed:
            self.hello = message
            self._live = True
            self._last_error = None
            requests = [self._begin(subscription) for subscription in self._subscriptions]
            self._changed.notify_all()
        self._send(requests)

    def _lost(self, error: ClientError) -> None:
        with self._changed:
            self._live = False
            self._last_error = error
            asked, self._asked = self._asked, {}
            self._subscribed.clear()
            self._beginning.clear()
            self._later.clear()
            self._changed.notify_all()
        for asking in asked.values():
            asking.give_up("the connection to amiws-gevent was lost")

    def _due(self) -> float:
        """Ask again for subscriptions that the server wanted to be asked for later."""
        now = time.monotonic()
        with self._changed:
            due = [one for at, one in self._later if at <= now and one in self._subscriptions]
            self._later = [(at, one) for at, one in self._later if at > now]
            requests = [self._begin(subscription) for subscription in due]
            wait = min([at - now for at, _ in self._later], default=LONGEST_WAIT)
        self._send(requests)
        return wait

    def _message(self, message: Mapping[str, Any]) -> None:
        match message.get("op"):
            case "subscribed":
                self._on_subscribed(message)
            case "snapshot" | "state" | "event" | "gap":
                subscription = self._subscribed.get(message["subscription"])
                if subscription is not None:
                    subscription.received(message)
            case "reply":
                self._on_reply(message)
            case "position":
                for name, position in message["positions"].items():
                    if name in self._subscribed:
                        self._subscribed[name].at(position)
            case "error":
                self._on_error(message)

    def _on_subscribed(self, message: Mapping[str, Any]) -> None:
        with self._changed:
            subscription = self._beginning.pop(message["id"], None)
            if subscription is None:
                return
            self._subscribed[message["subscription"]] = subscription
            is_wanted = subscription in self._subscriptions
            requests = [] if is_wanted else self._unsubscribe(subscription)
        self._send(requests)
        subscription.subscribed(message["resumed"], message.get("position"))

    def _on_reply(self, message: Mapping[str, Any]) -> None:
        with self._changed:
            asking = self._asked.get(message["id"])
            if asking is not None and asking.replied(message):
                del self._asked[message["id"]]

    def _on_error(self, message: Mapping[str, Any]) -> None:
        retry_after = message.get("retry_after")
        error = ClientError(message["code"], message["message"], retry_after)
        with self._changed:
            asking = self._asked.pop(message.get("id", ""), None)
            subscription = self._beginning.pop(message.get("id", ""), None)
            if subscription is not None and retry_after is not None:
                self._later.append((time.monotonic() + retry_after, subscription))
        if asking is not None:
            asking.fail(error)
        elif subscription is not None and retry_after is None:
            subscription.refused(error)


class _Listener:
    """What the connection may call of a client."""

    def __init__(self, client: Client) -> None:
        self.hello = client._hello
        self.message = client._message
        self.lost = client._lost
        self.due = client._due


def _view(subscription: Subscription) -> tuple[frozenset[str], frozenset[tuple[str, Any]]]:
    """Equal for equal views, which have one id on a connection. Case matters in all but events."""
    found = set()
    for name, given in subscription.filters.items():
        values = [given] if isinstance(given, str | int) else list(given or ())
        folded = frozenset(
            value.lower() if name == "event" and isinstance(value, str) else value
            for value in values
        )
        if given is not None:
            found.add((name, folded))
    return subscription.streams, frozenset(found)
