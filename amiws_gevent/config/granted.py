"""The policy of a configuration, and what `--check` says of what its roles grant."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from amiws_gevent.config.model import Settings
from amiws_gevent.config.problems import Place
from amiws_gevent.policy import Policy, Role, Rule
from amiws_gevent.policy.actions import DANGERS, form_of
from amiws_gevent.policy.model import ANY_ACTION, is_dangerous
from amiws_gevent.policy.policy import servers_named
from amiws_gevent.values import shown


def policy_of(settings: Settings, key: bytes) -> Policy:
    """Who may see and do what; ``key`` are 32 random bytes, the same over reloads."""
    return Policy(
        settings.roles,
        users=settings.users,
        tokens={token.name: token.roles for token in settings.api_tokens},
        anonymous=settings.anonymous_roles,
        servers={host.id: host.name for host in settings.amihosts},
        key=key,
    )


def role_advice(settings: Settings) -> Iterator[tuple[Place, str]]:
    """What roles say that means nothing."""
    servers = {host.id: host.name for host in settings.amihosts}
    for name, role in (settings.roles or {}).items():
        parts = (("see", role.see), ("do", role.do))
        for key, servers_of in ((key, part.servers) for key, each in parts for part in each):
            if servers_of is not None and not servers_named(servers_of, servers):
                yield ("roles", name, key), f"names no server of amihosts: {shown(servers_of[0])}"
        if role.audit and settings.audit is None:
            yield (
                ("roles", name, "audit"),
                "there is no audit to read: nothing is written without the key audit at the top",
            )
        if not (role.see or role.do or role.audit):
            yield ("roles", name), "shows and allows nothing"


def role_report(settings: Settings) -> list[str]:
    """What of the roles `--check` tells besides: what they allow that is dangerous or hidden."""
    found = []
    for name, role in (settings.roles or {}).items():
        texts = (*_of_danger(role), *_of_classic(role), *_of_audit(role))
        found += [f"role {name}: {text}" for text in texts]
    return found


def lacking(settings: Settings, server: int, may: Callable[[str], bool]) -> list[str]:
    """The actions that roles allow on a server and its AMI user may not send, by ``may``."""
    policy = policy_of(settings, b"")
    named = {
        rule.action
        for role in (settings.roles or {}).values()
        for rule in role.do
        if rule.action != ANY_ACTION and server in policy.servers_of(role, rule)
    }
    found = []
    for action in sorted(name for name in named if not may(name)):
        form = form_of(action)
        classes = " or ".join(form.write) if form is not None else ""
        found.append(f"{action} (write = {classes})" if classes else action)
    return found


def _of_classic(role: Role) -> Iterator[str]:
    hiding = ("kinds", "events", "queues", "extensions", "contexts")
    for see in role.see:
        hides = any(getattr(see, name) is not None for name in hiding)
        if see.classic and (hides or (see.numbers, see.names) != ("whole", "whole")):
            yield "opens the classic socket, which shows all of a server, whatever the rest hides"
            return


def _of_audit(role: Role) -> Iterator[str]:
    if role.audit:
        yield "reads the audit trail: all actions of all users, with whole numbers"


def _of_danger(role: Role) -> Iterator[str]:
    granted: dict[str, list[str]] = {}
    for rule in role.do:
        if rule.action == ANY_ACTION:
            yield "allows every action with all headers: who has it controls the PBX"
        elif is_dangerous(rule):
            granted.setdefault(_danger(rule), []).append(rule.action)
    for danger, actions in granted.items():
        yield f"allows {', '.join(dict.fromkeys(actions))}: {danger}"


def _danger(rule: Rule) -> str:
    form = form_of(rule.action)
    if form is None:
        return "not an action of Asterisk that this program knows"
    return DANGERS.get(form.danger, "some headers that it allows can run or read more")
