"""The actions sent on one connection that the server has not yet answered.

Asterisk finishes each action of a session before it reads the next (``main/manager.c``,
``session_do``). So answers come in the order of the actions, and all items of a list come
between its response and its end. A response also ends all actions sent before it, whether
they were answered or not (``IAXnetstats`` never is).

The actions are those of clients and the program's own: Ping, Logoff and queries. The answer
to one of the program's own goes to its taker, if it has one, and is not passed on. Such an
answer does not end actions of clients, since a proxy may answer Ping by itself.

Actions of clients without an ActionID, as on the classic socket, are not kept here.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from amiws_gevent.ami import BROADCASTS, Kind, Message, error_response
from amiws_gevent.ami.lists import begins_list, ends_list, is_bare_item, list_form
from amiws_gevent.routing import OWN_ACTION_ID

LIMIT = 1000
"""Actions of clients that are remembered, and as many of the program's own; their
ActionIDs are at most 1 KB each."""

_RESPONSES = frozenset({Kind.RESPONSE, Kind.COMMAND})
_TEXTS = frozenset({Kind.QUEUE, Kind.UNKNOWN})


class Taker(Protocol):
    """Who waits for the answer to an action of the program's own."""

    def take(self, message: Message, *, ends: bool) -> bool:
        """A message of the answer; ``ends``: the event that ends a list.

        False for: no more of it. Then nothing else is called.
        """

    def over(self, reason: str) -> None:
        """No more comes; ``reason`` says why the answer is not whole, "" if it is."""

    def lost(self, reason: str) -> None:
        """The connection has ended before."""


class _Asked:
    __slots__ = ("action_id", "form", "name", "own", "taker")

    def __init__(self, action_id: str, name: str, own: bool, taker: Taker | None) -> None:
        self.action_id = action_id  # as it was sent
        self.name = name  # of the action
        self.form = list_form(name)
        self.own = own
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
        self._own = 0  # of the asked, how many are the program's own
        self._late = False  # answers to our own actions may come that are no longer kept here

    def __len__(self) -> int:
        """How many answers clients wait for."""
        return sum(not asked.own for asked in self._all())

    def add(self, action_id: str, name: str) -> None:
        """Remember an action of a client that was sent just now."""
        self._add(_Asked(action_id, name, own=False, taker=None))

    def add_own(self, action_id: str, name: str, taker: Taker | None = None) -> None:
        """Remember one of the program's own, with an ActionID that says so."""
        self._add(_Asked(action_id, name, own=True, taker=taker))

    def receive(self, messages: list[Message]) -> list[Message]:
        """Process what the server has sent; returns the messages to pass on.

        An item of a list that carries no ActionID (those of ``IAXpeers``) gets that of its
        action, so that it reaches the client like all others.
        """
        if not self._asked and self._list is None and not self._late:
            return messages
        return [kept for message in messages if (kept := self._receive(message)) is not None]

    def forget(self, prefix: str) -> None:
        """Forget the actions whose ActionID begins with ``prefix``."""
        self._asked = deque(a for a in self._asked if not a.action_id.startswith(prefix))
        if self._list is not None and self._list.action_id.startswith(prefix):
            self._list = None

    def cancel(self, taker: Taker) -> None:
        """Stop waiting for an answer; what still comes of it is discarded."""
        for asked in self._all():
            if asked.taker is taker:
                asked.taker = None

    def fail(self, server: str, reason: str) -> list[Message]:
        """Forget all, since the connection has ended; returns error answers for clients."""
        under_way = self._all()
        self._asked.clear()
        self._list = None
        self._own = 0
        self._late = False
        answers = []
        for asked in under_way:
            text = (
                f"the outcome of {asked.name} is unknown: the connection to server {server}"
                f" ended before the answer was complete ({reason})"
            )
            if not asked.own:
                answers.append(error_response(text, asked.action_id))
            elif asked.taker is not None:
                asked.taker.lost(text)
        return answers

    def _all(self) -> list[_Asked]:
        """In the order in which they were asked."""
        return [*([] if self._list is None else [self._list]), *self._asked]

    def _add(self, asked: _Asked) -> None:
        if (self._own if asked.own else len(self._asked) - self._own) >= self._limit:
            oldest = next(other for other in self._asked if other.own == asked.own)
            self._asked.remove(oldest)
            self._own -= oldest.own
            self._leave(oldest, f"more than {self._limit} actions are under way")
        self._asked.append(asked)
        self._own += asked.own

    def _leave(self, asked: _Asked, reason: str) -> None:
        """Stop waiting for an action without a complete answer."""
        self._late = self._late or asked.own
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
        own = action_id.startswith(OWN_ACTION_ID)
        if self._list is not None and (self._list.own or not own):
            self._leave(self._list, "the next answer came before the end of the list")
            self._list = None
        asked = self._answered(action_id)
        if asked is not None:
            asked.take(response)
            if begins_list(asked.form, response):
                self._list = asked
            else:
                asked.over()
        return None if own else response

    def _answered(self, action_id: str) -> _Asked | None:
        """Remove the answered action and those sent before it."""
        waiting = list(self._asked)
        ids = [asked.action_id for asked in waiting]
        if action_id not in ids:
            return None
        place = ids.index(action_id)
        answered = waiting[place]
        # An answer to our own action does not end a client's: see above.
        before = [asked for asked in waiting[:place] if answered.own and not asked.own]
        self._asked = deque([*before, *waiting[place + 1 :]])
        self._own = sum(asked.own for asked in self._asked)
        for asked in waiting[:place]:
            if asked.form.unanswered:
                asked.over()
            elif asked.own:
                self._leave(asked, "the server answered a later action and not this one")
        return answered

    def _event(self, event: Message) -> Message | None:
        if self._list is None and not self._own and not self._late:
            return event
        if not event.has("ActionID"):
            return self._bare_event(event)
        action_id = event.get("ActionID") or ""
        if event.name.lower() in BROADCASTS:
            return event
        if self._list is not None and action_id == self._list.action_id:
            self._listed(self._list, event)
        elif (asked := self._at_work()) is not None and action_id == asked.action_id:
            asked.take(event)
        return None if action_id.startswith(OWN_ACTION_ID) else event

    def _bare_event(self, event: Message) -> Message | None:
        asked = self._list
        if asked is None or not is_bare_item(asked.form, event):
            return event
        self._listed(asked, event)
        return None if asked.own else event.replace("ActionID", asked.action_id)

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
        """The program's own query without a response that the server is answering now.

        The session sends a Ping before and one after it, so everything between the two
        pongs belongs to it.
        """
        if not self._own:
            return None
        first = next((asked for asked in self._asked if asked.own), None)
        return first if first is not None and first.form.unanswered else None
