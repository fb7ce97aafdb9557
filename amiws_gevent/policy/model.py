"""Roles and users as the configuration has them: what may be seen, what may be done.

Frozen values, equal by content. `policy` makes rights of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from amiws_gevent.ami.eventnames import EVENT_NAMES
from amiws_gevent.checked import COMPUTED, Checked, Found, Frozen, Given
from amiws_gevent.matching import is_glob
from amiws_gevent.policy import patterns
from amiws_gevent.policy.actions import DANGEROUS, Form, Holds, form_of, holds_of
from amiws_gevent.state.dimensions import ATTRIBUTES
from amiws_gevent.values import shown

EVERYTHING = "everything"

ANY_ACTION = "*"
"""As the name of an action: any, with any headers."""

LEVELS = ("whole", "masked", "none")
"""How much of numbers or names is seen, the most first."""

MOST = 256
"""Patterns of one list."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_OPEN = frozenset({"userevent", "aocmessage", "updateconfig"})
"""Actions with headers that are in no table."""

_TEXTS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": ["string", "number", "boolean"]},
        {"type": "array", "items": {"type": ["string", "number", "boolean"]}},
    ]
}
_FLAG_SCHEMA: dict[str, Any] = {"type": ["boolean", "string"]}


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _texts(value: object) -> tuple[str, ...]:
    """One text or a list of them, as patterns."""
    found = _listed(value)
    if not found:
        raise ValueError("is empty, so it names nothing")
    if len(found) > MOST:
        raise ValueError(f"has more than {MOST} items")
    for each in found:
        if not isinstance(each, str):
            raise ValueError(f"must be a text or a list of texts, not {shown(each)}")
        wrong = patterns.problem(Holds.NAME, each)
        if wrong is not None:
            raise ValueError(f"{shown(each)} {wrong}")
    return tuple(map(str, found))


def _values(value: object) -> tuple[str, ...]:
    found = _listed(value)
    for each in found:
        if not isinstance(each, str) or not each or not each.isprintable():
            raise ValueError(f"must be a text or a list of texts, not {shown(each)}")
    return tuple(map(str, found))


def _names(value: object) -> tuple[str, ...]:
    found = _listed(value)
    for each in found:
        if not isinstance(each, str) or not _NAME.fullmatch(each):
            raise ValueError(f"must be names of roles, not {shown(each)}")
    return tuple(dict.fromkeys(map(str, found)))


def _kinds(value: object) -> tuple[str, ...]:
    found = _texts(value)
    for each in found:
        if each not in ATTRIBUTES:
            raise ValueError(f"{shown(each)} is no kind; there are {', '.join(ATTRIBUTES)}")
    return found


def _events(value: object) -> tuple[str, ...]:
    found = _texts(value)
    known = {name.casefold() for name in EVENT_NAMES}
    for each in found:
        if not is_glob(each) and each.casefold() not in known:
            raise ValueError(f"{shown(each)} is no event of Asterisk")
    return found


def _level(value: object) -> str:
    word = str(value).lower()
    if word not in LEVELS:
        raise ValueError(f"must be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}, not {shown(value)}")
    return word


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in ("yes", "no", "true", "false", "on", "off"):
        raise ValueError(f"must be yes or no, not {shown(value)}")
    return word in ("yes", "true", "on")


Patterns = Annotated[tuple[str, ...], BeforeValidator(_texts), WithJsonSchema(_TEXTS_SCHEMA)]
"""One pattern or a list: see `patterns`."""
Values = Annotated[tuple[str, ...], BeforeValidator(_values), WithJsonSchema(_TEXTS_SCHEMA)]
RoleNames = Annotated[tuple[str, ...], BeforeValidator(_names), WithJsonSchema(_TEXTS_SCHEMA)]
Kinds = Annotated[tuple[str, ...], BeforeValidator(_kinds), WithJsonSchema(_TEXTS_SCHEMA)]
Events = Annotated[tuple[str, ...], BeforeValidator(_events), WithJsonSchema(_TEXTS_SCHEMA)]
Level = Annotated[
    Literal["whole", "masked", "none"],
    BeforeValidator(_level),
    WithJsonSchema({"enum": list(LEVELS)}),
]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema(_FLAG_SCHEMA)]


class See(Checked):
    """What may be seen. All that is given must fit; of several such mappings one must."""

    servers: Patterns | None = Field(
        default=None, description="Servers, by name or id.", json_schema_extra={COMPUTED: "all"}
    )
    kinds: Kinds | None = Field(
        default=None,
        description="Kinds of entities of the state. The entities of the servers themselves are "
        "always seen.",
        json_schema_extra={COMPUTED: "all"},
    )
    events: Events | None = Field(
        default=None,
        description="Names of events, with wildcards, in any case.",
        json_schema_extra={COMPUTED: "all"},
    )
    queues: Patterns | None = Field(
        default=None,
        description="Queues. Then only what names one of them is seen: entities, events and items "
        "of replies that have a queue.",
        json_schema_extra={COMPUTED: "all"},
    )
    extensions: Patterns | None = Field(
        default=None, description="The same for extensions.", json_schema_extra={COMPUTED: "all"}
    )
    contexts: Patterns | None = Field(
        default=None, description="The same for contexts.", json_schema_extra={COMPUTED: "all"}
    )
    numbers: Level = Field(
        default="whole",
        description="Callers' numbers: `whole`; `masked`, the last four digits alone; `none`.",
    )
    names: Level = Field(default="whole", description="Callers' names: `whole`, `masked`, `none`.")
    classic: Flag = Field(
        default=False,
        description="Whether the classic socket is open where anything is limited or masked: it "
        "shows all of every server.",
        json_schema_extra={COMPUTED: "no; yes if nothing is limited or masked"},
    )
    replies: Patterns | None = Field(
        default=None,
        description="Actions whose replies are seen as they are, although something is limited or "
        "masked: `Getvar`, `Command`, `DBGet`.",
    )


class Rule(Checked):
    """An action that may be sent, and what its headers may be."""

    action: Annotated[str, WithJsonSchema({"type": "string"})] = Field(
        description='Name of the action, in any case; `"*"` is any action with any headers.'
    )
    servers: Patterns | None = Field(
        default=None,
        description="Servers that it may be sent to, by name or id.",
        json_schema_extra={COMPUTED: "those that the role sees; all if it shows nothing"},
    )
    headers: Annotated[Mapping[str, Patterns], AfterValidator(Frozen)] = Field(
        default={},
        alias="with",
        description="The headers that it may have, each with what may be in it: a pattern or a "
        "list. Other headers are refused.",
        json_schema_extra={COMPUTED: "none"},
    )

    @classmethod
    def completed(cls, given: Given, context: object) -> list[Found]:
        action, headers = given.get("action"), given.get("with", {})
        if not isinstance(action, str):
            return []
        if action == ANY_ACTION:
            wrong = "means nothing beside any action, which may have all headers"
            return [(("with",), wrong)] if headers else []
        if not _HEADER.fullmatch(action):
            return [(("action",), f"must be the name of an action, not {shown(action)}")]
        if not isinstance(headers, Mapping):
            return []
        return list(_problems(action, headers))


def _problems(action: str, headers: Mapping[str, object]) -> list[Found]:
    """What is wrong with the headers of a rule."""
    form = form_of(action)
    found: list[Found] = []
    seen: set[str] = set()
    for name, value in headers.items():
        place = ("with", name)
        folded = name.lower()
        wrong = _header_problem(action, form, name)
        if wrong is not None:
            found.append((place, wrong))
        elif folded in seen:
            found.append((place, "is given twice, in another spelling"))
        else:
            holds = holds_of(form, folded)
            needs = form is not None and folded in form.needs
            found += [(place, text) for text in _pattern_problems(holds, value, needs=needs)]
        seen.add(folded)
    for needed in form.needs if form is not None else ():
        if needed not in seen and form is not None:
            name = form.headers[needed][0]
            found.append((("action",), f"{form.name} needs {name} under `with:`: say which"))
    return found


def _header_problem(action: str, form: Form | None, name: str) -> str | None:
    if not _HEADER.fullmatch(name):
        return "is no name of a header"
    if name.lower() in ("action", "actionid"):
        return "cannot be limited here"
    if form is None or form.name.lower() in _OPEN or name.lower() in form.headers:
        return None
    known = ", ".join(spelt for spelt, _ in form.headers.values())
    return f"is no header of {action}" + (f"; there are {known}" if known else ", which has none")


def _pattern_problems(holds: Holds, value: object, *, needs: bool) -> list[str]:
    try:
        texts = _texts(value)
    except ValueError:
        return []  # the field says so itself
    found = []
    for text in texts:
        wrong = patterns.problem(holds, text)
        if wrong is None and needs and not text:
            wrong = "is for a header that must be there"
        if wrong is not None:
            found.append(f"{shown(text)} {wrong}" if text else f"an empty text {wrong}")
    return found


def _see(value: object) -> object:
    if isinstance(value, str) and value.lower() == EVERYTHING:
        return [{}]
    if isinstance(value, str):
        raise ValueError(f"must be `{EVERYTHING}`, a mapping or a list of mappings")
    return _listed(value)


def _do(value: object) -> object:
    if isinstance(value, str) and value.lower() == EVERYTHING:
        return [{"action": ANY_ACTION}]
    return [{"action": each} if isinstance(each, str) else each for each in _listed(value)]


class Role(Checked):
    """A role: several of one user add up."""

    description: Annotated[str, WithJsonSchema({"type": "string"})] = Field(
        default="", description="What it is for; for people."
    )
    see: Annotated[
        tuple[See, ...],
        BeforeValidator(_see),
        WithJsonSchema({"type": ["string", "object", "array", "null"]}),
    ] = Field(
        default=(),
        description="What it shows: `everything`, a mapping of what follows, or a list of "
        "mappings, of which any suffices.",
        json_schema_extra={COMPUTED: "nothing"},
    )
    do: Annotated[
        tuple[Rule, ...],
        BeforeValidator(_do),
        WithJsonSchema({"type": ["string", "object", "array", "null"]}),
    ] = Field(
        default=(),
        description="Actions that it allows: `everything`, or a list of names, and of mappings of "
        "what follows.",
        json_schema_extra={COMPUTED: "nothing"},
    )
    audit: Flag = Field(
        default=False,
        description="Whether the last records of [the audit trail](audit.md) may be read: all of "
        "them, whatever `see` hides. Who sees and may do everything may read them in any case.",
        json_schema_extra={COMPUTED: "no"},
    )

    @property
    def attributes(self) -> frozenset[str]:
        """The names of the users' attributes that it uses."""
        found: set[str] = set()
        for see in self.see:
            for listed in (see.queues, see.extensions, see.contexts):
                found.update(*map(patterns.attributes_of, listed or ()))
        for rule in self.do:
            for listed in rule.headers.values():
                found.update(*map(patterns.attributes_of, listed))
        return frozenset(found)


class User(Checked):
    """What is known of a user besides the password."""

    roles: RoleNames = Field(description="Roles of the user; what they allow adds up.")
    interface: Values = Field(
        default=(),
        description="Phones, such as `PJSIP/204`; `{user.interface}` in patterns.",
        json_schema_extra={COMPUTED: "none"},
    )
    extension: Values = Field(
        default=(),
        description="Extensions; `{user.extension}`.",
        json_schema_extra={COMPUTED: "none"},
    )
    queues: Values = Field(
        default=(), description="Queues; `{user.queues}`.", json_schema_extra={COMPUTED: "none"}
    )
    contexts: Values = Field(
        default=(), description="Contexts; `{user.contexts}`.", json_schema_extra={COMPUTED: "none"}
    )
    attributes: Annotated[Mapping[str, Values], AfterValidator(Frozen)] = Field(
        default={},
        description="Others, each with a value or a list: `{user.NAME}`.",
        json_schema_extra={COMPUTED: "none"},
    )

    @property
    def values(self) -> Mapping[str, tuple[str, ...]]:
        """All attributes that the user has, by name."""
        own = {
            "interface": self.interface,
            "extension": self.extension,
            "queues": self.queues,
            "contexts": self.contexts,
        }
        return {name: given for name, given in {**self.attributes, **own}.items() if given}


def is_dangerous(rule: Rule) -> bool:
    """Whether a rule grants what can run something, or reads or changes what a page need not."""
    form = form_of(rule.action)  # none of ANY_ACTION
    if form is None or form.danger:
        return True
    return any(holds_of(form, name.lower()) in DANGEROUS for name in rule.headers)
