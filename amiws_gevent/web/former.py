"""Former passwords, as HA1s.

A client that still sends one, such as a wallboard that was not given the new password, is
not guessing, so it does not count as a failed login. This outlives a reload.
"""

from __future__ import annotations

from collections.abc import Mapping

MOST_FORMER = 10_000  # users whose password before the last change is remembered


class FormerPasswords:
    """Keeps each user's HA1 of before the last change.

    A writer may have emptied the file for a moment. So of who is gone the HA1 is kept beside the
    one before it, and forgotten as soon as it is right again.
    A new realm clears it: an HA1 is valid for its realm alone.
    """

    def __init__(self) -> None:
        self._realm = ""
        self._users: Mapping[str, bytes] = {}
        self._former: dict[str, tuple[bytes, ...]] = {}

    def users_are(self, realm: str, users: Mapping[str, bytes]) -> None:
        """Take the users with their HA1 as they are now; the caller must not change them."""
        if realm != self._realm:
            self._realm, self._users = realm, {}
            self._former.clear()
        for user, ha1 in self._users.items():
            if user not in users:
                self._remember(user, (ha1, *self.ha1s(user)[:1]))
            elif users[user] != ha1:
                self._remember(user, (ha1,))
        for user, ha1 in users.items():
            if user not in self._users and (kept := self.ha1s(user)):
                self._remember(user, kept[1:] if kept[0] == ha1 else kept[:1])
        self._users = users
        while len(self._former) > MOST_FORMER:
            del self._former[next(iter(self._former))]

    def ha1s(self, user: str) -> tuple[bytes, ...]:
        """The user's HA1 before the last change; of who is gone the last HA1 comes first."""
        return self._former.get(user, ())

    def _remember(self, user: str, ha1s: tuple[bytes, ...]) -> None:
        self._former.pop(user, None)  # the last changed comes last
        if ha1s:
            self._former[user] = ha1s
