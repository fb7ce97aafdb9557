"""What clients have lost because they read too slowly, by the user who had logged in."""

from __future__ import annotations

from collections import Counter

MOST_USERS = 100
"""Who are counted by name."""

OTHERS = "(others)"
"""All further ones together."""


class Losses:
    """Counts ``messages`` in ``buffers``, and messages by the name of the user."""

    def __init__(self) -> None:
        self.messages = 0
        self.buffers = 0
        self.by_user: Counter[str] = Counter()
        """"" stands for those who did not have to log in."""

    def add(self, messages: int, user: str | None = None) -> None:
        """One client lost a buffer with ``messages`` messages."""
        self.messages += messages
        self.buffers += 1
        name = user or ""
        if name not in self.by_user and len(self.by_user) >= MOST_USERS:
            name = OTHERS
        self.by_user[name] += messages
