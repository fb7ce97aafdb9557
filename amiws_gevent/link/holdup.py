"""How long a server may be silent because of the actions that it is at work on.

Asterisk reads the next action of a session, and sends its events, only once the one
before is done (``manager.c``, do_message), and an ``Originate`` without ``Async`` is done
when somebody has picked up or its ``Timeout`` is over. Behind each such action the
session sends a Ping: since actions are done in order, its pong tells that the one before
it is done, whatever its own answer looks like.
"""

from __future__ import annotations

from collections import deque

LONGEST = 3600.0
"""Seconds without an answer after which a server is no more believed to be at work, however
many actions it has and however long a client says that they may take."""


class Holdup:
    """The actions that hold up one session, in order. Times are in seconds on one clock."""

    def __init__(self) -> None:
        self._actions: deque[tuple[int, float]] = deque()  # the Ping behind it, its seconds
        self._since = 0.0  # when the first of them was begun
        self._told = False

    @property
    def until(self) -> float:
        """When all of them must be done; 0.0 if there are none."""
        if not self._actions:
            return 0.0
        return self._since + min(LONGEST, sum(seconds for _, seconds in self._actions))

    def began(self, ping: int, seconds: float, now: float) -> None:
        """An action was sent that may take ``seconds``, with the Ping of that number behind it."""
        if not self._actions:
            self._since = now
            self._told = False
        self._actions.append((ping, seconds))

    def answered(self, ping: int, now: float) -> None:
        """The Ping of that number was answered."""
        while self._actions and self._actions[0][0] <= ping:
            self._actions.popleft()
            self._since = now

    def is_news(self) -> bool:
        """True once for each time in which the server is held up."""
        told, self._told = self._told, True
        return not told
