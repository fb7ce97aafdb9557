"""An action under way, and the replies to it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amiws_gevent.client.login import ClientError

Headers = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What became of an action on one server.

    ``outcome`` is ``answered``, ``refused``, ``timeout``, ``unreachable`` (it was not sent) or
    ``unknown`` (the server may have done it). ``more`` has what only some replies have:
    ``output`` of a Command, ``channel``, ``uniqueid`` and ``call`` of an Originate.
    """

    server: int
    outcome: str
    response: Headers | None = None
    items: Sequence[Headers] = ()
    end: Headers | None = None
    complete: bool = False
    reason: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Reply:
        """The reply that a message has."""
        own = {"server", "outcome", "response", "items", "end", "complete", "reason"}
        passed = own | {"op", "id", "replies"}
        more = {name: value for name, value in message.items() if name not in passed}
        return cls(**{name: message[name] for name in own if name in message}, more=more)


class Asking:
    """Collects replies in one thread, while another waits."""

    def __init__(self, servers: Sequence[int]) -> None:
        self._servers = servers
        self._replies: list[Reply] = []
        self._come = 0
        self._lock = threading.Lock()
        self._error: ClientError | None = None
        self._over = threading.Event()

    def wait(self, seconds: float | None) -> list[Reply]:
        """All replies; those that have not come in time are ``unknown``. Raises ClientError."""
        if not self._over.wait(seconds):
            self.give_up("amiws-gevent did not answer in time")
        if self._error is not None:
            raise self._error
        return self._replies

    def replied(self, message: Mapping[str, Any]) -> bool:
        """Take a ``reply``; whether it was the last."""
        replies: int = message["replies"]
        with self._lock:
            self._come += 1
            if not self._over.is_set():
                self._replies.append(Reply.of(message))
            is_last = self._come >= replies
            if is_last:
                self._over.set()
        return is_last

    def fail(self, error: ClientError) -> None:
        """Nothing was done."""
        self._error = error
        self._over.set()

    def give_up(self, reason: str) -> None:
        """Those that have not answered may have done it."""
        with self._lock:
            if self._over.is_set():
                return
            answered = {reply.server for reply in self._replies}
            missing = [server for server in self._servers if server not in answered]
            self._replies += [Reply(server, "unknown", reason=reason) for server in missing]
            self._over.set()
