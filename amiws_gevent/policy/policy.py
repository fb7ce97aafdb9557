"""From roles and users to rights: values that say what a client may see and do.

`Policy.rights` is asked once for a client, and again after a reload. Rights are equal for users to
whom the same is allowed, and their sights for those who see the same, so these share all that is
made for one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.matching import NameSet
from amiws_gevent.policy.model import ANY_ACTION, Role, Rule, User
from amiws_gevent.policy.patterns import Attributes
from amiws_gevent.policy.pseudonyms import Pseudonyms
from amiws_gevent.policy.rules import LONGEST_SHOWN, Allowed, Failure, Pairs, Rules, allowed_of
from amiws_gevent.policy.scope import ALL, Scope, scope_of
from amiws_gevent.policy.sight import Entity, Sight

TOKEN = "token:"  # noqa: S105  # how the identity of a program with a token begins


@dataclass(frozen=True)
class Refusal:
    """Why an action is not sent; ``str()`` is for the client: it names rule and value."""

    text: str
    action: str
    """Its name, as far as it may be shown."""
    header: str
    """The header that was not allowed; "" for the action as a whole."""

    def __str__(self) -> str:
        return self.text


class Rights:
    """What one client may see and do. Equal for clients who may do the same.

    ``sight`` is what it sees alone: clients with equal sights can share what is made for one,
    whatever they may do.
    """

    everything: Rights
    """Of all where no roles are configured: test with ``is``, then nothing has to be asked."""

    def __init__(
        self, roles: Sequence[str], sight: Sight, rules: Rules, *, audit: bool = False
    ) -> None:
        self.roles = tuple(sorted(set(roles)))
        self.sight = sight
        sees_all = sight.is_whole and not sight.is_masked
        self._rules = rules
        self.reads_audit = audit or (sees_all and self.may_any(ANY_ACTION))
        """Whether it may see who did what: all of it, whatever the sight hides."""
        self._key = (self.roles, sight.scopes, rules.allowed, self.reads_audit)
        self._hash = hash(self._key)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Rights) and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def digest(self) -> str:
        """The same for equal rights, in all processes, and for no others."""
        scopes = [scope.order for scope in self.sight.scopes]
        allowed = [rule.as_json for rule in self._rules.allowed]
        text = repr((self.roles, scopes, allowed, self.reads_audit))
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()

    def does_as(self, other: Rights) -> bool:
        """Whether the same may be done, by the same roles; what is seen may be other."""
        own, others = (
            (each.roles, each._rules.allowed, each.reads_audit) for each in (self, other)
        )
        return own == others

    def sees_server(self, server_id: int) -> bool:
        """Whether anything of a server is seen."""
        return self.sight.sees_server(server_id)

    def entity(
        self, kind: str, server_id: int, key: str, fields: Mapping[str, Any]
    ) -> Entity | None:
        """Id and fields of an entity as they are seen, None if it is not: `Sight.entity`."""
        return self.sight.entity(kind, server_id, key, fields)

    def message(self, server_id: int, message: Message) -> Message | None:
        """An event as it is seen, None if it is not: `Sight.message`."""
        return self.sight.message(server_id, message)

    def reply(self, server_id: int, action: str, messages: Sequence[Message]) -> list[Message]:
        """What is seen of an answer, or of a part of it: `Sight.reply`."""
        return self.sight.reply(server_id, action, messages)

    def take_back(self, pairs: Pairs) -> Pairs:
        """The headers of an action with real numbers for pseudonyms; before `may`."""
        return self.sight.take_back(pairs)

    def may(self, server_id: int, pairs: Pairs) -> Refusal | None:
        """Why an action must not be sent to a server; None: it may.

        ``pairs`` are all its headers, ``Action`` among them, in the order in which they are sent.
        """
        failure = self._rules.failure(server_id, pairs)
        return None if failure is None else self._refusal(failure)

    def may_any(self, action: str) -> bool:
        """Whether an action may be sent with some headers to some server."""
        folded = action.lower()
        return any(rule.action.lower() in (folded, "*") for rule in self._rules.allowed)

    def describe(self) -> dict[str, Any]:
        """What may be seen and done, as JSON, for `hello` and `/api/v1/me`.

        ``everything``: no roles are configured. ``do``: each an ``action``, ``servers`` (all
        without it), and ``with``: the headers that it may have, each with patterns. An ``action``
        of ``*`` is any. ``see``: each a mapping as in the configuration, what is unlimited left
        out. ``audit``: whether the audit trail may be read.
        """
        return {
            "everything": False,
            "roles": list(self.roles),
            "see": [_scope_as_json(scope) for scope in self.sight.scopes],
            "do": [rule.as_json for rule in self._rules.allowed],
            "audit": self.reads_audit,
        }

    def _refusal(self, failure: Failure) -> Refusal:
        who = (
            f"your roles ({', '.join(self.roles)}) do not allow"
            if self.roles
            else ("you have no role that allows")
        )
        text = f"{who} {failure.action[:LONGEST_SHOWN]}"
        if failure.words:
            text += f" {failure.words}"
        if failure.value is not None:
            text += f" {_shortened(self.sight.redacted(failure.value))}"
        return Refusal(text, failure.action, failure.header)


class _Everything(Rights):
    """Where no roles are configured: all is seen and done, as amiws has it."""

    def __init__(self) -> None:
        whole = Scope(None, None, None, None, None, None, ALL, classic=True, replies=())
        super().__init__((), Sight([whole], Pseudonyms(b"")), Rules(()))

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Rights.__hash__

    def entity(self, kind: str, server_id: int, key: str, fields: Mapping[str, Any]) -> Entity:
        return key, fields

    def message(self, server_id: int, message: Message) -> Message:
        return message

    def reply(self, server_id: int, action: str, messages: Sequence[Message]) -> list[Message]:
        return list(messages)

    def may(self, server_id: int, pairs: Pairs) -> None:
        return None

    def may_any(self, action: str) -> bool:
        return True

    def describe(self) -> dict[str, Any]:
        return {"everything": True}


Rights.everything = _Everything()


class Policy:
    """All roles, and who has them. ``key`` are 32 random bytes, the same while the program runs.

    ``roles`` None: none are configured, and everybody may do everything. ``tokens`` has the
    roles of programs by the token's name, ``anonymous`` those of whoever did not log in,
    ``servers`` the names of the servers by id.
    """

    def __init__(
        self,
        roles: Mapping[str, Role] | None,
        *,
        users: Mapping[str, User],
        tokens: Mapping[str, Sequence[str]],
        anonymous: Sequence[str],
        servers: Mapping[int, str],
        key: bytes,
    ) -> None:
        self._roles = roles
        self._users = users
        self._tokens = tokens
        self._anonymous = anonymous
        self._servers = servers
        self._pseudonyms = Pseudonyms(key)
        self._known: dict[Rights, Rights] = {}
        self._sights: dict[Sight, Sight] = {}

    @property
    def is_configured(self) -> bool:
        """Whether there are roles."""
        return self._roles is not None

    def rights(self, identity: str | None) -> Rights:
        """The rights of a user by name, of a program by ``token:NAME``, of nobody by None.

        Who has no roles may see and do nothing. Equal rights are the same object. Names of users
        that come from elsewhere must not have a colon, as those of an htdigest file have not.
        """
        if self._roles is None:
            return Rights.everything
        names, attributes = self._held(identity)
        scopes: list[Scope] = []
        allowed: list[Allowed] = []
        audit = False
        for name in names:
            role = self._roles.get(name)
            if role is not None:
                scopes += self._scopes(role, attributes)
                allowed += self._allowed(role, attributes)
                audit = audit or role.audit
        made = Sight(scopes, self._pseudonyms)
        sight = self._sights.setdefault(made, made)
        rights = Rights(names, sight, Rules(allowed), audit=audit)
        return self._known.setdefault(rights, rights)

    def _held(self, identity: str | None) -> tuple[Sequence[str], Attributes]:
        if identity is None:
            return self._anonymous, {}
        if identity.startswith(TOKEN):
            return self._tokens.get(identity.removeprefix(TOKEN), ()), {}
        user = self._users.get(identity)
        return ((), {}) if user is None else (user.roles, user.values)

    def _scopes(self, role: Role, attributes: Attributes) -> Iterator[Scope]:
        for see in role.see:
            servers = self._named(see.servers)
            scope = scope_of(see, attributes, servers)
            if scope is not None:
                yield scope

    def _allowed(self, role: Role, attributes: Attributes) -> Iterator[Allowed]:
        for rule in role.do:
            servers = self._seen(role) if rule.servers is None else self._named(rule.servers)
            made = allowed_of(rule, attributes, servers)
            if made is not None:
                yield made

    def servers_of(self, role: Role, rule: Rule) -> frozenset[int]:
        """The servers that a rule of a role is for."""
        named = self._seen(role) if rule.servers is None else self._named(rule.servers)
        return frozenset(self._servers) if named is None else named

    def _seen(self, role: Role) -> frozenset[int] | None:
        """The servers that a role sees, which its actions may go to; None: all."""
        sets = [self._named(see.servers) for see in role.see]
        if not sets or None in sets:
            return None
        return frozenset().union(*(each for each in sets if each is not None))

    def _named(self, patterns: Sequence[str] | None) -> frozenset[int] | None:
        return None if patterns is None else servers_named(patterns, self._servers)


def servers_named(patterns: Sequence[str], servers: Mapping[int, str]) -> frozenset[int]:
    """The ids of the servers that patterns name, by name in any case or by id."""
    names = NameSet(patterns)
    return frozenset(
        number for number, name in servers.items() if names.fits(name) or names.fits(str(number))
    )


def _scope_as_json(scope: Scope) -> dict[str, Any]:
    numbers, names = scope.level
    from_levels = ("whole", "masked", "none")
    told: dict[str, Any] = {"numbers": from_levels[numbers], "names": from_levels[names]}
    for name, value in (
        ("servers", scope.servers),
        ("kinds", scope.kinds),
        ("events", scope.events),
        ("queues", scope.queue),
        ("extensions", scope.extension),
        ("contexts", scope.context),
    ):
        if value is not None:
            told[name] = sorted(value)
    return told


def _shortened(text: str) -> str:
    plain = "".join(sign if sign.isprintable() else "�" for sign in text)
    return plain if len(plain) <= LONGEST_SHOWN else plain[: LONGEST_SHOWN - 1] + "…"
