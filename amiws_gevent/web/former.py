"""The passwords before the present ones, as HA1s.

Who tries one knew what once was right, and does not guess: a wallboard that nobody has
told the new password. So this outlives what reads the users: a reload makes that anew.
"""

from __future__ import annotations

from collections.abc import Mapping

MOST_FORMER = 10_000  # users whose password before the last change is remembered


class FormerPasswords:
    """Told each change of the users, it has those that a change took away.

    Those of another realm are forgotten: an HA1 is good for its realm alone.
    """

    def __init__(self) -> None:
        self._realm = ""
        self._users: Mapping[str, bytes] = {}
        self._former: dict[str, bytes] = {}

    def users_are(self, realm: str, users: Mapping[str, bytes]) -> None:
        """The users with their HA1 from here on; not to be changed any more."""
        if realm != self._realm:
            self._realm, self._users = realm, {}
            self._former.clear()
        for user, ha1 in self._users.items():
            if users.get(user) != ha1:
                self._former.pop(user, None)  # the last changed comes last
                self._former[user] = ha1
        self._users = users
        while len(self._former) > MOST_FORMER:
            del self._former[next(iter(self._former))]

    def ha1(self, user: str) -> bytes | None:
        """That of before the last change, or before the user was removed."""
        return self._former.get(user)
