"""What servers answer to actions of the classic socket, found by their ActionIDs.

These answers go to all clients and belong to none, so nobody waits for them. An action without an
ActionID has none that could be told from others.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from amiws_gevent.ami import Kind, Message
from amiws_gevent.audit.trail import ANSWERED, REFUSED, Audited

MOST = 10_000
"""Actions that are remembered; the oldest are forgotten."""


class Awaited:
    """Actions that were sent, by server and ActionID, until their first answer."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: OrderedDict[tuple[int, str], deque[Audited]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, server: int, action_id: str, audited: Audited) -> None:
        """An action was sent."""
        self._waiting.setdefault((server, action_id), deque()).append(audited)
        self._count += 1
        while self._count > self._most:
            _, forgotten = self._waiting.popitem(last=False)
            self._count -= len(forgotten)

    def heard(self, server: int, messages: Sequence[Message]) -> None:
        """Look for answers in what a server has said."""
        if not self._count:
            return
        for message in messages:
            if message.kind is not Kind.EVENT:
                self._take(server, message)

    def _take(self, server: int, message: Message) -> None:
        key = server, message.get("ActionID") or ""
        waiting = self._waiting.get(key)
        if waiting is None:
            return
        audited = waiting.popleft()  # a server answers in order
        self._count -= 1
        if not waiting:
            del self._waiting[key]
        refused = (message.get("Response") or "").strip().lower() == "error"
        reason = (message.get("Message") or "") if refused else ""
        audited.result(server, REFUSED if refused else ANSWERED, reason)
