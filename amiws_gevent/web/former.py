"""Former passwords, as HA1s.

A client that still sends one, such as a wallboard that was not given the new password, is
not guessing, so it does not count as a failed login. This outlives a reload, which reads
the users anew.
"""

from __future__ import annotations

from collections.abc import Mapping

MOST_FORMER = 10_000  # users whose password before the last change is remembered


class FormerPasswords:
    """Keeps each user's HA1 of before the last change.

    A new realm clears it: an HA1 is valid for its realm alone.
    """

    def __init__(self) -> None:
        self._realm = ""
        self._users: Mapping[str, bytes] = {}
        self._former: dict[str, bytes] = {}

    def users_are(self, realm: str, users: Mapping[str, bytes]) -> None:
        """Take the users with their HA1 as they are now; the caller must not change them."""
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
        """The user's HA1 before the last change or removal; None without one."""
        return self._former.get(user)
