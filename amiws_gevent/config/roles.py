"""Roles in the file: what contradicts itself between them, and where it stands.

What one role or user may be is said by `policy.model`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from amiws_gevent.checked import Found, Given
from amiws_gevent.config.problems import Place
from amiws_gevent.config.suggest import nearest
from amiws_gevent.policy import Role, Rule, See, User
from amiws_gevent.policy.patterns import attributes_of
from amiws_gevent.values import shown

_OWN = frozenset({"interface", "extension", "queues", "contexts"})


def located(raw: Mapping[str, Any], place: Place) -> Place:
    """The place in the file of one in the models: there one item may stand for a list of it."""
    found: list[str | int] = []
    value: Any = raw
    for step in place:
        if isinstance(step, int) and not isinstance(value, list | tuple):
            continue
        if isinstance(step, str) and step == "[key]":
            break
        found.append(step)
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
    return tuple(found)


def unknown_key_of_roles(place: Place) -> str:
    """What is said of a key that neither a role nor a user has."""
    parts: dict[str, type[BaseModel]] = {"see": See, "do": Rule}
    whole: type[BaseModel] = User if place[0] == "users" else Role
    known = parts.get(str(place[2]), whole) if len(place) > 3 else whole
    names = [field.alias or name for name, field in known.model_fields.items()]
    meant = nearest(str(place[-1]), names)
    advice = f'; did you mean "{meant}"?' if meant else f"; there are {', '.join(names)}"
    return f"unknown key{advice}"


def role_problems(given: Given) -> Iterator[Found]:
    """Names of roles that there are not, and attributes that a user of a role lacks."""
    roles = given.get("roles")
    for place, names, attributes in _holders(given):
        if roles is None:
            yield place, "needs roles at the top, which says what they may see and do"
            continue
        for name in names if isinstance(roles, Mapping) else ():
            if name not in roles:
                meant = nearest(name, roles)
                advice = f'; did you mean "{meant}"?' if meant else ""
                yield place, f"there is no role {shown(name)}{advice}"
            else:
                for lacking in sorted(_attributes(roles[name]) - attributes):
                    yield place, f"the role {name} needs the attribute {lacking}, which is missing"


def _holders(given: Given) -> Iterator[tuple[Place, list[str], set[str]]]:
    """Who has roles: where that stands, their names, and the attributes that are there."""
    users, tokens = given.get("users"), given.get("api_tokens")
    for name, user in users.items() if isinstance(users, Mapping) else ():
        yield ("users", name, "roles"), _names(user), _attributes_of(user)
    for index, token in enumerate(tokens if isinstance(tokens, list | tuple) else ()):
        names = _names(token)
        if names:
            yield ("api_tokens", index, "roles"), names, set()
    anonymous = _listed(given.get("anonymous_roles"))
    if anonymous:
        yield ("anonymous_roles",), anonymous, set()


def _names(holder: object) -> list[str]:
    roles = holder.get("roles") if isinstance(holder, Mapping) else getattr(holder, "roles", ())
    return _listed(roles)


def _attributes_of(user: object) -> set[str]:
    if isinstance(user, User):
        return set(user.values)
    if not isinstance(user, Mapping):
        return set()
    more = user.get("attributes")
    others = {name for name, value in more.items() if value} if isinstance(more, Mapping) else set()
    return others | {name for name in _OWN if user.get(name)}


def _attributes(role: object) -> set[str]:
    """The attributes that a role uses, whatever else is wrong with it."""
    if isinstance(role, Role):
        return set(role.attributes)
    if isinstance(role, str):
        return set(attributes_of(role))
    if isinstance(role, Mapping):
        parts = [value for name, value in role.items() if name != "description"]
    else:
        parts = list(role) if isinstance(role, list | tuple) else []
    return set().union(*map(_attributes, parts))


def _listed(value: object) -> list[str]:
    listed: Sequence[object] = value if isinstance(value, list | tuple) else [value]
    return [str(each) for each in listed if isinstance(each, str)]
