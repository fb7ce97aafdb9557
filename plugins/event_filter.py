"""Allows and denies messages by event name, server and header values; the first rule wins.

One line ends a flood::

    plugins:
    - event_filter:
        deny: [VarSet, "RTCP*"]

One line lets a few through (all other events are dropped)::

    - event_filter:
        allow: [Newchannel, Newstate, Hangup, "Queue*"]

Both together are read in this order: what ``deny`` names is dropped, what ``allow``
names passes, other events are dropped. The general form is a list of rules,
asked from the top; the first that fits decides, and all that a rule says must
fit::

    - event_filter:
        rules:
        - allow: Hangup                       # one name or a list; "*" for all events
          headers: {CallerIDNum: "0049*"}     # a text with * ? [ is a glob, others are exact
        - deny: [Hangup, Newchannel]
          servers: [pbx2, "branch-*", 7]      # names, globs or ids; without it: all servers
        - deny: "*"
          headers:
            Channel: {regex: "^PJSIP/trunk"}  # is somewhere in the value
            Context: {is: [from-a, from-b]}   # exactly, even if it had a * in it
            "*CallerIDName": {glob: "test*", ignore_case: true}
        - deny: "*"
          kind: [prompt, unknown]             # other messages than events
        default: allow                        # or deny: for events that no rule fits

``rules`` come before ``deny`` and ``allow`` if there are both. ``default`` is ``deny`` with
an ``allow`` outside of ``rules``, else ``allow``.

- Event, header and server names are compared without regard to case, values
  exactly (unless ``ignore_case``).
- ``server:`` is an older name of ``servers:``.
- A header that repeats fits if any of its values does. A header that is missing
  fits nothing, not even ``"*"``; ``is: ""`` fits one that is there and empty.
- Several headers must all fit; of a list of values any.
- Responses, output of commands, queues, banners and unknown text are never dropped,
  not by ``default`` either, unless a rule names their ``kind``: ``response``, ``command``,
  ``queue``, ``prompt``, ``unknown``, ``action``. They have no event name: write ``deny: "*"``.
- Events that answer an action (items of lists, and what ends them) are never dropped, whatever
  a rule says. They are those with an ``ActionID``, but for OriginateResponse, SIPQualifyPeerDone
  and UserEvent, which go to everybody; and, since items of an action without ``ActionID`` have
  none, those without ``Privilege``: what Asterisk sends to everybody always has one.
- A regular expression sees the first 1,024 characters of a value. It cannot be cut off
  once it runs, so one that could take for ever (a repeat inside a repeat) is refused;
  not all of these are found.
- It only ever drops. What it lets through, plugins listed after it may drop.
- Headers are seen as the server sent them, even if ``mask`` changes them for clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

from amiws_plugins._matching import (
    HeaderCondition,
    Names,
    NameSet,
    Remembered,
    Servers,
    ServerSet,
    Values,
    one_or_more,
)
from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from amiws_gevent.ami import Kind, Message, may_be_answer
from amiws_gevent.plugins import PluginContext, PluginSettings, ServerInfo, SettingError

KNOWN_EVENTS = 1024
"""Event names whose decision is kept: several times what Asterisk has."""

EVENT = Kind.EVENT

KindName = Literal["unknown", "prompt", "action", "event", "response", "command", "queue"]


def _kinds(value: object) -> list[object]:
    return [item.lower() if isinstance(item, str) else item for item in one_or_more(value)]


class RuleSettings(PluginSettings):
    """One rule: ``deny`` or ``allow`` with event names, and what else must fit."""

    deny: Names = Field(default=(), description="Drop these events: names or globs.")
    allow: Names = Field(default=(), description="Let these events pass: names or globs.")
    servers: Servers = Field(
        default=(),
        validation_alias=AliasChoices("servers", "server"),
        description="Only of these servers: names, globs or ids.",
    )
    kind: Annotated[tuple[KindName, ...], BeforeValidator(_kinds)] = Field(
        default=("event",),
        description='Kinds of message; for kinds other than events write deny: "*".',
    )
    headers: dict[str, Values] = Field(
        default={}, description="Header names (or globs) and what a value must be; all must fit."
    )

    @model_validator(mode="after")
    def _is_one_rule(self) -> Self:
        if bool(self.deny) == bool(self.allow):
            raise ValueError("must have either deny or allow, with names of events")
        if not self.kind:
            raise SettingError("kind", "is empty; leave it out to mean events")
        if "*" not in self.names and self.kind != ("event",):
            raise ValueError('only events have names; with other kinds the name must be "*"')
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The event names of the rule, whatever it does with them."""
        return self.deny or self.allow


class Settings(PluginSettings):
    """What stands under ``event_filter:``."""

    deny: Names = Field(default=(), description="Drop these events: names or globs.")
    allow: Names = Field(
        default=(), description="Let these events pass: names or globs; others are dropped."
    )
    rules: Annotated[tuple[RuleSettings, ...], BeforeValidator(one_or_more)] = Field(
        default=(), description="Rules, asked before deny and allow; the first that fits decides."
    )
    default: Literal["allow", "deny"] | None = Field(
        default=None,
        description="For events that no rule fits; without it deny if there is an allow "
        "outside of rules, else allow.",
    )

    @model_validator(mode="after")
    def _drops_something(self) -> Self:
        if not (self.deny or self.allow or self.rules):
            raise ValueError("drops nothing: give deny, allow or rules")
        if not self.drops_the_rest and not self.deny and not any(r.deny for r in self.rules):
            raise ValueError("drops nothing: with rules that only allow, set default: deny")
        return self

    @property
    def drops_the_rest(self) -> bool:
        """Whether events that no rule fits are dropped."""
        return self.default == "deny" if self.default else bool(self.allow)


class _Rule:
    """One rule, ready to be asked."""

    def __init__(self, settings: RuleSettings) -> None:
        self.drops = bool(settings.deny)
        self.names = NameSet(settings.names)
        self.servers = ServerSet(settings.servers)
        self.kinds = frozenset(Kind[kind.upper()] for kind in settings.kind)
        self.conditions = [HeaderCondition(*header) for header in settings.headers.items()]

    def may_fit(self, kind: Kind, name: str, server: ServerInfo) -> bool:
        """Whether all but the headers fits."""
        return (
            kind in self.kinds
            and (kind is not Kind.EVENT or self.names.fits(name))
            and self.servers.fits(server)
        )


class _Decision(NamedTuple):
    """``rules`` are those that the headers decide on, ``drops`` is what holds if none fits."""

    rules: tuple[_Rule, ...]
    drops: bool


class _ServerDecisions:
    """What was decided for one server: by event name, and by kind for what has none."""

    def __init__(self, server: ServerInfo, rules: Sequence[_Rule], drops_the_rest: bool) -> None:
        self.server = server
        self._rules = rules
        self._drops_the_rest = drops_the_rest
        self.events = Remembered(self._decide_event, KNOWN_EVENTS)
        self.kinds = Remembered(self._decide_kind, len(Kind))

    def _decide_event(self, name: str) -> _Decision:
        return self._decide(Kind.EVENT, name, self._drops_the_rest)

    def _decide_kind(self, kind: Kind) -> _Decision:
        return self._decide(kind, "", False)

    def _decide(self, kind: Kind, name: str, drops_the_rest: bool) -> _Decision:
        asked: list[_Rule] = []
        for rule in self._rules:
            if not rule.may_fit(kind, name, self.server):
                continue
            if not rule.conditions:
                return _Decision(tuple(asked), rule.drops)
            asked.append(rule)
        return _Decision(tuple(asked), drops_the_rest)


class Plugin:
    """Drops messages that the rules deny; the next plugin decides about the others."""

    def __init__(self) -> None:
        self._rules: Sequence[_Rule] = ()
        self._drops_the_rest = False
        self._known: dict[int, _ServerDecisions] = {}

    def amiws_settings(self) -> type[Settings]:
        """The settings described above."""
        return Settings

    def amiws_startup(self, context: PluginContext) -> None:
        """Make the rules ready."""
        settings: Settings = context.settings
        rules = list(settings.rules)
        if settings.deny:
            rules.append(RuleSettings(deny=settings.deny))
        if settings.allow:
            rules.append(RuleSettings(allow=settings.allow))
        self._rules = [_Rule(rule) for rule in rules]
        self._drops_the_rest = settings.drops_the_rest

    def amiws_filter_message(self, message: Message, server: ServerInfo) -> bool | None:
        """False for what a rule (or the default) denies; names are decided on once."""
        known = self._known.get(server.id)
        if known is None or known.server is not server:
            known = self._learn(server)
        if message.kind is EVENT:
            rules, drops = known.events[message.name]
        else:
            rules, drops = known.kinds[message.kind]
        if rules:
            headers = message.headers
            for rule in rules:
                if all(condition.fits(headers) for condition in rule.conditions):
                    drops = rule.drops
                    break
        if drops and not (message.kind is EVENT and may_be_answer(message)):
            return False
        return None

    def _learn(self, server: ServerInfo) -> _ServerDecisions:
        """Decisions for a server that is new, or that a reload has renamed."""
        known = _ServerDecisions(server, self._rules, self._drops_the_rest)
        self._known[server.id] = known
        return known
