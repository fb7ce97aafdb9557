"""What a server has been asked and has not yet answered, on one connection.

Asterisk runs the actions of a session one after the other (``main/manager.c``,
``session_do``), each to its end, before it reads the next. So answers come in the order of
the actions; all items of a list come between its response and its end; and with any
response all that was asked before it is over, whether it was answered or not (the action
``IAXnetstats`` never is).

What is asked without an ActionID of its own, as on the classic socket, is not in here.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from amiws_gevent.ami import Kind, Message, error_response

LIMIT = 1000
"""Actions of one connection that are remembered; their ActionIDs are at most 1 KB each."""

_RESPONSES = frozenset({Kind.RESPONSE, Kind.COMMAND})


class _Asked(NamedTuple):
    action_id: str
    """As it was sent."""
    name: str
    """Of the action, for people."""


class Pending:
    """The actions under way; past ``limit`` the oldest is forgotten."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._asked: deque[_Asked] = deque(maxlen=limit)
        self._list: _Asked | None = None  # answered, and its items are coming

    def __len__(self) -> int:
        return len(self._asked) + (self._list is not None)

    def add(self, action_id: str, name: str) -> None:
        """Remember an action that was sent just now."""
        self._asked.append(_Asked(action_id, name))

    def receive(self, messages: list[Message]) -> list[Message]:
        """Take note of what the server has sent; returns it as it is to be passed on.

        An item of a list that carries no ActionID (those of ``IAXpeers``) gets that of its
        action, so that it finds its way like all others.
        """
        if not self:
            return messages
        return [self._receive(message) for message in messages]

    def forget(self, prefix: str) -> None:
        """Forget the actions whose ActionID begins with ``prefix``."""
        kept = [asked for asked in self._asked if not asked.action_id.startswith(prefix)]
        self._asked = deque(kept, maxlen=self._asked.maxlen)
        if self._list is not None and self._list.action_id.startswith(prefix):
            self._list = None

    def fail(self, server: str, reason: str) -> list[Message]:
        """Forget all: the connection is over. Returns the answers to those who asked."""
        listed = [] if self._list is None else [self._list]
        under_way = [*listed, *self._asked]
        self._asked.clear()
        self._list = None
        return [
            error_response(
                f"the outcome of {asked.name} is unknown: the connection to server {server}"
                f" ended before the answer was complete ({reason})",
                asked.action_id,
            )
            for asked in under_way
        ]

    def _receive(self, message: Message) -> Message:
        if message.kind in _RESPONSES:
            self._answered(message)
        elif self._list is not None and message.kind is Kind.EVENT:
            return self._listed(message, self._list)
        return message

    def _answered(self, response: Message) -> None:
        self._list = None
        action_id = response.get("ActionID")
        if not any(asked.action_id == action_id for asked in self._asked):
            return
        while (asked := self._asked.popleft()).action_id != action_id:
            pass  # it was over before, without an answer
        if (response.get("EventList") or "").casefold() == "start":
            self._list = asked

    def _listed(self, event: Message, asked: _Asked) -> Message:
        if event.has("ActionID"):
            if event.has("EventList") and event.get("ActionID") == asked.action_id:
                self._list = None
            return event
        if event.has("Privilege"):  # news in between
            return event
        return event.replace("ActionID", asked.action_id)
