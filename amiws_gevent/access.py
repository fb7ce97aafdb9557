"""Who may see and do what, by the configuration in force; a reload brings another policy.

All ways in and out ask here: `Access.rights_of` gives a client's rights as they are now. A client
that stays open is closed once they are others than those that it began with.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from amiws_gevent.config import Settings, policy_of
from amiws_gevent.identity import Identity
from amiws_gevent.policy import Policy, Rights

RightsOf = Callable[[Identity], Rights]
"""The rights of a client, as they are now."""

CHANGED = "its rights have changed"
"""Why a client is closed."""

_MOST_KNOWN = 20_000  # users: a proxy may name any number of them

_Target = TypeVar("_Target")


def everything(_identity: Identity) -> Rights:
    """Of all, where no roles are configured."""
    return Rights.everything


class Access:
    """``key`` makes pseudonyms; it is the same while the program runs.

    Before the first `use` nobody may see or do anything.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self._policy = Policy({}, users={}, tokens={}, anonymous=(), servers={}, key=self._key)
        self._known: dict[str | None, Rights] = {}
        self._servers: tuple[int, ...] = ()

    def use_key(self, key: bytes) -> None:
        """Have the next policy make pseudonyms with another key."""
        self._key = key

    def prepare(self, settings: Settings) -> Policy:
        """What `use` takes."""
        return policy_of(settings, self._key)

    def use(self, policy: Policy, servers: Sequence[int]) -> None:
        """From now on this policy decides, on these servers (by id). Never yields."""
        self._policy = policy
        self._servers = tuple(servers)
        self._known = {}

    def rights_of(self, identity: Identity) -> Rights:
        """What a client may see and do now; the same object for equal rights."""
        user = identity.user
        known = self._known.get(user)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[user] = self._policy.rights(user)
        return known

    def roles_of(self, identity: Identity) -> Sequence[str]:
        """The names of the roles that a client has."""
        return self.rights_of(identity).roles

    def sees_all(self, identity: Identity) -> bool:
        """Whether nothing is hidden from a client."""
        return sees_all(self.rights_of(identity))

    def may_read_audit(self, identity: Identity) -> bool:
        """Whether a client may see who did what: it tells of all servers and all users."""
        return self.rights_of(identity).reads_audit

    def classic_servers(self, rights: Rights) -> frozenset[int] | None:
        """The servers whose messages the classic socket shows a client; None: all."""
        if rights is Rights.everything:
            return None
        shown = frozenset(filter(rights.sight.classic, self._servers))
        return None if len(shown) == len(self._servers) and shown else shown

    def classic_refusal(self, identity: Identity) -> str:
        """Why a client may not have the classic socket; empty: it may."""
        rights = self.rights_of(identity)
        if self.classic_servers(rights) != frozenset():
            return ""
        return (
            f"{who(rights)} the classic socket, which shows all of a server; connect with the "
            "subprotocol amiws.v2"
        )


def sees_all(rights: Rights) -> bool:
    """Whether nothing is hidden from a client."""
    if rights is Rights.everything:
        return True
    return rights.sight.is_whole and not rights.sight.is_masked


def who(rights: Rights) -> str:
    """The beginning of a refusal."""
    if rights.roles:
        return f"your roles ({', '.join(rights.roles)}) do not allow"
    return "you have no role that allows"


def seen(rights: Rights, targets: Mapping[int, _Target]) -> Mapping[int, _Target]:
    """Those of some servers (by id) that a client knows of."""
    if rights is Rights.everything:
        return targets
    return {server: target for server, target in targets.items() if rights.sees_server(server)}
