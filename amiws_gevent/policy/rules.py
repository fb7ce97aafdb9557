"""What may be done: whether an action, as Asterisk will read it, is allowed by one of the rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amiws_gevent.policy.actions import TAKEN_BACK, Form, Holds, form_of, holds_of
from amiws_gevent.policy.model import ANY_ACTION, Rule
from amiws_gevent.policy.patterns import SKIPPED, Attributes, Matcher, matcher, resolved

Pairs = Sequence[tuple[str, str]]

_NAME = re.compile(r"[0-9A-Za-z_-]+")
_BREAKS = re.compile(r"[\r\n\0]")
_ACTION, _ACTION_ID = "action", "actionid"

LONGEST_SHOWN = 60
"""Characters of a value that a refusal shows."""


@dataclass(frozen=True)
class Failure:
    """What no rule allows: an action, or what one of its headers has."""

    action: str
    header: str = ""
    """Its name; "" for the action as a whole."""
    words: str = ""
    """What is wrong with it, such as ``for Queue``, behind which the value may stand."""
    value: str | None = None
    """None where it is not to be shown."""


@dataclass(frozen=True)
class Allowed:
    """A `model.Rule` for one user; equal for users to whom it allows the same."""

    action: str
    servers: frozenset[int] | None
    headers: tuple[tuple[str, tuple[str, ...]], ...]
    """Names as they were written, sorted by their folded form, each with its patterns."""

    @property
    def as_json(self) -> dict[str, Any]:
        """For clients, which hide what would be refused."""
        told: dict[str, Any] = {"action": self.action}
        if self.servers is not None:
            told["servers"] = sorted(self.servers)
        told["with"] = {name: list(patterns) for name, patterns in self.headers}
        return told

    def covers(self, server: int) -> bool:
        """Whether it is for a server."""
        return self.servers is None or server in self.servers

    @cached_property
    def form(self) -> Form | None:
        """What is known of the action."""
        return form_of(self.action)

    @cached_property
    def matchers(self) -> Mapping[str, tuple[str, Holds, Matcher]]:
        """By folded name of a header: the name, what it holds and what may be in it."""
        made = {}
        for name, patterns in self.headers:
            folded = name.lower()
            holds = holds_of(self.form, folded)
            spelt = name if self.form is None else self.form.headers.get(folded, (name,))[0]
            made[folded] = (spelt, holds, matcher(holds, patterns))
        return made


def allowed_of(
    rule: Rule, attributes: Attributes, servers: frozenset[int] | None
) -> Allowed | None:
    """The rule of a user; None where it allows nothing."""
    headers = [
        (name, resolved(patterns, attributes)) for name, patterns in sorted(rule.headers.items())
    ]
    if not all(patterns for _, patterns in headers):
        return None
    form = form_of(rule.action)
    return Allowed(
        rule.action if form is None else form.name,
        servers,
        tuple(sorted(headers, key=lambda header: header[0].lower())),
    )


class Rules:
    """All that a user may do."""

    def __init__(self, allowed: Iterable[Allowed]) -> None:
        self.allowed = tuple(
            sorted(
                set(allowed),
                key=lambda rule: (rule.action, rule.headers, repr(sorted(rule.servers or ()))),
            )
        )
        self._any = [rule for rule in self.allowed if rule.action == ANY_ACTION]
        self._by_action: dict[str, list[Allowed]] = {}
        for rule in self.allowed:
            self._by_action.setdefault(rule.action.lower(), []).append(rule)

    def failure(self, server: int, pairs: Pairs) -> Failure | None:
        """What of an action is not allowed; None: it is."""
        broken = _broken(pairs)
        if broken is not None:
            return broken
        action = action_of(pairs)
        if any(rule.covers(server) for rule in self._any):
            return None
        if not _NAME.fullmatch(action):
            return Failure("this action")
        failures = [
            _failure(rule, action, pairs)
            for rule in self._by_action.get(action.lower(), ())
            if rule.covers(server)
        ]
        if None in failures:
            return None
        # The one that got furthest is what the client meant.
        return (
            max(filter(None, failures), key=lambda each: each[0])[1]
            if failures
            else Failure(action)
        )


def action_of(pairs: Pairs) -> str:
    """The name of the action as Asterisk reads it, which knows none with a blank behind it."""
    return next((value.lstrip(SKIPPED) for name, value in pairs if name.lower() == _ACTION), "")


def _broken(pairs: Pairs) -> Failure | None:
    """What of the headers is not as Asterisk's parser and this one would read it alike."""
    actions = 0
    for name, value in pairs:
        actions += name.lower() == _ACTION
        if not _NAME.fullmatch(name):
            return Failure("an action", name, "with a header whose name is none")
        if _BREAKS.search(value):
            return Failure("an action", name, f"with a line end or NUL in {name}")
    return None if actions == 1 else Failure("what is not one action")


def _failure(rule: Allowed, action: str, pairs: Pairs) -> tuple[int, Failure] | None:
    """How many headers were right, and which one a rule does not allow; None: it allows all."""
    form, matchers = rule.form, rule.matchers
    seen: dict[str, str] = {}
    for name, value in pairs:
        folded = name.lower()
        if folded == _ACTION:
            continue
        read = value.lstrip(SKIPPED)
        holds = holds_of(form, folded)
        if folded in seen and holds is not Holds.ASSIGN:
            spelt = _spelt(form, name)
            return len(seen), Failure(action, spelt, f"with {spelt} given twice")
        if not _fits(form, matchers, folded, read):
            return len(seen), _not_fitting(action, _spelt(form, name), holds, read)
        seen[folded] = read
    return _missing(rule, action, seen)


def _not_fitting(action: str, name: str, holds: Holds, value: str) -> Failure:
    if holds in TAKEN_BACK and value:
        return Failure(action, name, f"for {name}", value)
    return Failure(action, name, f"for this {name}")


def _fits(
    form: Form | None,
    matchers: Mapping[str, tuple[str, Holds, Matcher]],
    folded: str,
    value: str,
) -> bool:
    if folded == _ACTION_ID:
        return True
    named = matchers.get(folded)
    if named is not None and named[2](value):
        return True
    if named is not None and not value:
        return True  # as if it were not there: see _missing
    harmless = form.harmless.get(folded) if form is not None else None
    return named is None and harmless is not None and harmless.fullmatch(value) is not None


def _missing(rule: Allowed, action: str, seen: Mapping[str, str]) -> tuple[int, Failure] | None:
    """Which header must be there, since the rule says what it may be."""
    form = rule.form
    for folded, (name, _, fits) in rule.matchers.items():
        if seen.get(folded):
            continue
        needed = form is None or folded in form.needs
        if needed or (form is not None and folded in form.widens and not fits("")):
            return len(seen), Failure(action, name, f"without {name}")
    return None


def _spelt(form: Form | None, name: str) -> str:
    known = None if form is None else form.headers.get(name.lower())
    return name if known is None else known[0]
