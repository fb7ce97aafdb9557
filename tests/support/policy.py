"""Rights of a user with one role, in the words of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amiws_gevent.ami import Kind, Message
from amiws_gevent.policy import Policy, Rights, Role, Sight, User

KEY = bytes(range(32))
SERVERS = {1: "pbx1", 2: "Berlin", 30: "pbx3"}


def policy(roles: Mapping[str, Any] | None, **more: Any) -> Policy:
    """A policy of roles and users as the file has them."""
    users = {name: User.model_validate(user) for name, user in more.get("users", {}).items()}
    return Policy(
        None if roles is None else {name: Role.model_validate(r) for name, r in roles.items()},
        users=users,
        tokens=more.get("tokens", {}),
        anonymous=more.get("anonymous", ()),
        servers=more.get("servers", SERVERS),
        key=more.get("key", KEY),
    )


def rights(see: Any = (), do: Any = (), **user: Any) -> Rights:
    """Rights of a user with a role "agent" that shows and allows this."""
    role = {"see": see, "do": do}
    return policy({"agent": role}, users={"bob": {"roles": "agent", **user}}).rights("bob")


def sight(*see: Any) -> Sight:
    """What is seen by such mappings."""
    return rights(list(see)).sight


def event(name: str, **headers: str) -> Message:
    """An event, with ``__`` for a hyphen in names of headers."""
    named = [(header.replace("__", "-"), value) for header, value in headers.items()]
    return Message(Kind.EVENT, [("Event", name), *named])


def action(name: str, *pairs: tuple[str, str], **headers: str) -> list[tuple[str, str]]:
    """The headers of an action."""
    return [("Action", name), *headers.items(), *pairs]


def refusal(given: Rights, name: str, *pairs: tuple[str, str], **headers: str) -> str:
    """What is said of an action for server 1; "" if it may be sent."""
    found = given.may(1, action(name, *pairs, **headers))
    return "" if found is None else str(found)
