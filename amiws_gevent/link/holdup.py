"""How long a server may be silent because it is busy with actions.

Asterisk reads the next action of a session, and sends its events, only when the previous
action is done (``manager.c``, do_message). An ``Originate`` without ``Async`` is done when
somebody answers or its ``Timeout`` is over. The session sends a Ping after each such
action: actions are done in order, so the pong shows that the action before it is done.
"""

from __future__ import annotations

from collections import deque

LONGEST = 3600.0
"""Seconds without an answer after which a server no longer counts as busy, whatever the
number of its actions and whatever time clients allow for them."""


class Holdup:
    """The actions that block one session, in order. Times are in seconds on one clock."""

    def __init__(self) -> None:
        self._actions: deque[tuple[int, float]] = (
            deque()
        )  # the number of the Ping after it, and its seconds
        self._since = 0.0  # when the first of them began
        self._reported = False

    @property
    def until(self) -> float:
        """When all of them must be done; 0.0 if there are none."""
        if not self._actions:
            return 0.0
        return self._since + min(LONGEST, sum(seconds for _, seconds in self._actions))

    def began(self, ping: int, seconds: float, now: float) -> None:
        """An action was sent that may take ``seconds``, and after it the Ping of that number."""
        if not self._actions:
            self._since = now
            self._reported = False
        self._actions.append((ping, seconds))

    def answered(self, ping: int, now: float) -> None:
        """The Ping of that number was answered."""
        while self._actions and self._actions[0][0] <= ping:
            self._actions.popleft()
            self._since = now

    def is_news(self) -> bool:
        """True once for each time that the server is blocked."""
        reported, self._reported = self._reported, True
        return not reported
