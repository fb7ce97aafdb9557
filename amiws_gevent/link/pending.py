"""The program's actions on one connection that the server has not yet answered.

Asterisk finishes each action of a session before it reads the next (``main/manager.c``,
``session_do``). So answers come in the order of the actions, and all items of a list come
between its response and its end. A response also ends all actions sent before it, whether
they were answered or not (``IAXnetstats`` never is).

They are Ping, Logoff and queries, for clients too. The answer goes to the action's taker, if
it has one, and is not passed on. The answer to a Ping ends no other action that has a response,
since a proxy in front of the server may answer it by itself. Actions of the classic socket are
not kept here: all clients get their answers.

One event may tell later what became of an action (`ami.lists.ListForm.later`). It goes to all
sessions, and takes another way through Asterisk than the response: it may overtake it.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from amiws_gevent.ami import BROADCASTS, OWN_ACTION_ID, Kind, Message, has_action_id
from amiws_gevent.ami.lists import begins_list, ends_list, is_bare_item, is_refusal, list_form

LIMIT = 1000
"""Actions that are remembered, and as many that are answered and wait for an event."""

_EVENT = Kind.EVENT
_RESPONSES = frozenset({Kind.RESPONSE, Kind.COMMAND})
_TEXTS = frozenset({Kind.QUEUE, Kind.UNKNOWN})


class Taker(Protocol):
    """Who waits for the answer to an action."""

    def take(self, message: Message, *, ends: bool) -> bool:
        """A message of the answer; ``ends``: the event that ends a list, or came later.

        False for: no more of it. Then nothing else is called.
        """

    def over(self, reason: str) -> None:
        """No more comes; ``reason`` says why the answer is not whole, "" if it is."""

    def lost(self, reason: str) -> None:
        """The connection has ended before."""


class _Asked:
    __slots__ = ("action_id", "form", "is_ping", "later", "name", "taker")

    def __init__(self, action_id: str, name: str, taker: Taker | None, later: str) -> None:
        self.action_id = action_id  # as it was sent
        self.name = name  # of the action
        self.form = list_form(name)
        self.is_ping = name.lower() == "ping"
        self.later = later  # the event that is still to come; "": none
        self.taker = taker

    def take(self, message: Message, *, ends: bool = False) -> None:
        if self.taker is not None and not self.taker.take(message, ends=ends):
            self.taker = None

    def over(self, reason: str = "") -> None:
        if self.taker is not None:
            self.taker.over(reason)
            self.taker = None


class Pending:
    """The actions under way; past ``limit`` the oldest is forgotten."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._asked: deque[_Asked] = deque()
        self._list: _Asked | None = None  # answered, and its items are coming
        self._answered: dict[str, _Asked] = {}  # by ActionID; an event is to come later
        self._late = False  # answers may come to actions that are no longer kept here

    def add(
        self, action_id: str, name: str, taker: Taker | None = None, *, later: str = ""
    ) -> None:
        """Remember an action that was sent just now, with an ActionID of ours.

        With ``later`` its answer is whole when that event has come as well.
        """
        if len(self._asked) >= self._limit:
            self._evict()
        self._asked.append(_Asked(action_id, name, taker, later))

    def receive(self, messages: list[Message]) -> list[Message]:
        """Process what the server has sent; returns the messages to pass on."""
        if not (self._asked or self._answered or self._list or self._late):
            return messages
        kept = []
        for message in messages:
            if message.kind is _EVENT and self._list is None and not has_action_id(message):
                kept.append(message)  # as nearly all, which costs a third of the rest
            elif (passed := self._receive(message)) is not None:
                kept.append(passed)
        return kept

    def cancel(self, taker: Taker) -> None:
        """Stop waiting for an answer; what still comes of it is discarded."""
        for asked in self._all():
            if asked.taker is taker:
                asked.taker = None
                self._answered.pop(asked.action_id, None)

    def fail(self, server: str, reason: str) -> None:
        """Forget all, since the connection has ended, and tell who waits."""
        under_way = self._all()
        self._asked.clear()
        self._answered.clear()
        self._list = None
        self._late = False
        for asked in under_way:
            if asked.taker is not None:
                asked.taker.lost(
                    f"the outcome of {asked.name} is unknown: the connection to server {server}"
                    f" ended before the answer was complete ({reason})"
                )

    def _evict(self) -> None:
        """Forget the oldest, of those that nobody waits for if there is one."""
        oldest = next((one for one in self._asked if one.taker is None), self._asked[0])
        self._asked.remove(oldest)
        self._leave(oldest, f"more than {self._limit} actions are under way")

    def _all(self) -> list[_Asked]:
        first = [] if self._list is None else [self._list]
        return [*self._answered.values(), *first, *self._asked]

    def _leave(self, asked: _Asked, reason: str) -> None:
        """Stop waiting for an action without a complete answer."""
        self._late = True
        asked.over(reason)

    # -- what comes ------------------------------------------------------------------

    def _receive(self, message: Message) -> Message | None:
        """The message to pass on; None if it is for the program only."""
        if message.kind is Kind.EVENT:
            return self._event(message)
        if message.kind in _RESPONSES:
            return self._response(message)
        if message.kind in _TEXTS:
            return self._text(message)
        return message

    def _response(self, response: Message) -> Message | None:
        action_id = response.get("ActionID") or ""
        asked = next((one for one in self._asked if one.action_id == action_id), None)
        if self._list is not None and (asked is None or not asked.is_ping):
            self._leave(self._list, "the next answer came before the end of the list")
            self._list = None
        if asked is not None:
            self._remove(asked)
            asked.take(response)
            if begins_list(asked.form, response):
                self._list = asked
            elif asked.later and asked.taker is not None and not is_refusal(asked.form, response):
                self._await(asked)
            else:
                asked.over()
        return None if action_id.startswith(OWN_ACTION_ID) else response

    def _remove(self, answered: _Asked) -> None:
        """Remove an answered action, and those sent before it that its answer ends."""
        waiting = list(self._asked)
        place = waiting.index(answered)
        stay = []
        for asked in waiting[:place]:
            if asked.form.unanswered or asked.is_ping:
                asked.over()
            elif answered.is_ping:
                stay.append(asked)
            else:
                self._leave(asked, "the server answered a later action and not this one")
        self._asked = deque([*stay, *waiting[place + 1 :]])

    def _await(self, asked: _Asked) -> None:
        if len(self._answered) >= self._limit:
            oldest = self._answered.pop(next(iter(self._answered)))
            oldest.over(f"more than {self._limit} actions wait for {asked.later}")
        self._answered[asked.action_id] = asked

    def _event(self, event: Message) -> Message | None:
        if not has_action_id(event):
            return self._bare_event(event)
        action_id = event.get("ActionID") or ""
        name = event.name.lower()
        if name in BROADCASTS:
            self._later(action_id, name, event)
            return event
        if self._list is not None and action_id == self._list.action_id:
            self._listed(self._list, event)
        elif (asked := self._at_work()) is not None and action_id == asked.action_id:
            asked.take(event)
        return None if action_id.startswith(OWN_ACTION_ID) else event

    def _later(self, action_id: str, name: str, event: Message) -> None:
        """Give an event for all sessions to who waits for it, before or behind the response."""
        asked = self._answered.get(action_id)
        if asked is not None and asked.later == name:
            del self._answered[action_id]
            asked.take(event, ends=True)
            asked.over()
            return
        for asked in self._asked:
            if asked.action_id == action_id and asked.later == name:
                asked.take(event, ends=True)
                asked.later = ""

    def _bare_event(self, event: Message) -> Message | None:
        if self._list is None or not is_bare_item(self._list.form, event):
            return event
        self._listed(self._list, event)
        return None

    def _listed(self, asked: _Asked, event: Message) -> None:
        ends = ends_list(asked.form, event)
        asked.take(event, ends=ends)
        if ends:
            self._list = None
            asked.over()

    def _text(self, message: Message) -> Message | None:
        asked = self._at_work()
        if asked is None:
            return message
        asked.take(message)
        return None

    def _at_work(self) -> _Asked | None:
        """The query without a response that the server is answering now.

        The session sends a Ping before and one after it, so everything between the two
        pongs belongs to it.
        """
        first = next((one for one in self._asked if one.form.unanswered or one.is_ping), None)
        return first if first is not None and not first.is_ping else None
