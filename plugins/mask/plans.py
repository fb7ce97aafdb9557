"""What is done with each header: decided once for each name, then only looked up.

The order for one header is that of `Masker`'s docstring. What depends on the
message beside the header's own value (callers named again in a text, the
variable that a ``Value`` belongs to) comes last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from amiws_plugins._matching import NameSet, Remembered, ServerSet
from amiws_plugins.mask import scans
from amiws_plugins.mask.settings import PROTECTED, RuleSettings, Settings

from amiws_gevent.ami import Kind, Message, Value
from amiws_gevent.masking.headers import CALLER_VARIABLES, PARTS, STATISTICS, Part
from amiws_gevent.masking.numbers import Numbers
from amiws_gevent.masking.styles import Look, Mask, style_of
from amiws_gevent.plugins import ServerInfo

# Values remembered with their masked form, for each way of masking.
KNOWN_VALUES = 4096
LONGEST_KNOWN = 256  # characters
KNOWN_HEADERS = 1024
KNOWN_EVENTS = 1024
SHORTEST_CALLER = 3  # characters of a caller that is looked for in texts

# How much of one message is searched. Past these bounds all is redacted, so that no message
# takes more than some 0.1 s, in which nothing else would be served. No event of Asterisk comes
# near them.
MOST_HEADERS = 2000
"""Headers: twice what an event may have. Of a response that has more the rest is left out."""
MOST_CHARACTERS = 800_000
"""Characters of values longer than `LONGEST_KNOWN`: command output of 5,000 lines of 120."""
LINE = 40
"""Characters that a line counts as more than it has."""
MOST_CALLERS = 64
"""Callers that one message names: more than twice those of AttendedTransfer."""
MOST_MENTIONS = 1000
"""Times that they are named in its texts."""

EVENT = Kind.EVENT
_CALLERS = frozenset({Part.NUMBER, Part.NAME, Part.BOTH})
_NUMBERED = re.compile(r"[A-Za-z]+-\d{6}(-\d{6})?")  # Line-000001-000003 of GetConfig
_OF_COMMANDS = frozenset({"output", "text"})

Pair = tuple[str, Value | None]
Key = str | Kind | None
"""What rules are asked about: the name of an event, another kind of message, the live state."""


class Plan:
    """What is done with the headers of one name.

    ``values`` gives for a value what it becomes (None: the header goes). ``before``
    and ``after`` are its two halves; between them a value is searched for the
    message's own callers, if it is ``is_searched``. ``is_whole``: numbers are masked too.
    """

    __slots__ = ("after", "before", "is_searched", "is_whole", "name", "part", "values")

    def __init__(
        self,
        name: str,
        part: Part | None,
        before: Mask,
        after: Mask,
        values: Remembered[str, str | None],
    ) -> None:
        self.name = name
        self.part = part
        self.before = before
        self.after = after
        self.values = values
        self.is_searched = False
        self.is_whole = False


class _Rule:
    """One rule, ready to be asked."""

    def __init__(self, settings: RuleSettings, look: Look) -> None:
        self.headers = NameSet(settings.headers or ("*",)) if not settings.variables else None
        self.variables = NameSet(settings.variables) if settings.variables else None
        self.events = NameSet(settings.events) if settings.events else None
        self.servers = ServerSet(settings.servers)
        self.removes = settings.removes
        self.keeps = settings.action == "keep"
        if settings.text is not None:
            look = Look(settings.text, look.fill, look.key, look.hash_length)
        self.mask: Mask = (lambda _value: "") if settings.removes else look.mask(settings.style)
        self.is_pattern = settings.pattern is not None
        if settings.pattern is not None:
            flags = re.IGNORECASE if settings.ignore_case else re.NOFLAG
            expression = re.compile(settings.pattern, flags)
            self.mask = scans.matched(expression, self.mask, look.text, luhn=settings.luhn)

    def concerns(self, event: str | None, server: ServerInfo) -> bool:
        """Whether the rule is for this event (None: another kind of message) of this server."""
        if not self.servers.fits(server):
            return False
        return self.events is None or (event is not None and self.events.fits(event))

    def concerns_state(self, server: ServerInfo) -> bool:
        """Whether the rule is for the live state of this server."""
        return self.servers.fits(server) and (self.events is None or not self.keeps)


class _Presets:
    """``callers``, ``dialled`` and ``cards``, each a mask or None."""

    def __init__(self, settings: Settings, look: Look) -> None:
        self.number = self.name = self.both = self.labels = None
        self.within: Numbers | None = None
        self.dialled: Mask | None = None
        self.variables: list[tuple[NameSet, Callable[[str], Mask]]] = []
        self.cards = scans.cards(_styled(settings.cards, look)) if settings.cards else None
        if settings.dialled:
            self.within = Numbers(settings.shortest, _styled(settings.dialled, look))
            self.dialled = self.within.within
        if settings.callers is not None:
            numbers = Numbers(settings.shortest, _styled(settings.callers.numbers, look))
            if settings.callers.numbers != "keep":
                self.within = numbers
            self.number = numbers.whole
            self.name = scans.caller_name(look.mask(style_of(settings.callers.names)))
            self.both = scans.name_and_number(self.name, self.number)
            self.labels = scans.labelled(self.name, self.both)
            self.variables = [(NameSet(CALLER_VARIABLES), self._variable)]
        self.texts = self.within.within if self.within else None

    def _variable(self, name: str) -> Mask:
        folded = name.casefold()
        mask = self.name if "name" in folded else self.both if "all" in folded else self.number
        assert mask is not None
        return mask

    def steps(self, name: str, part: Part | None) -> list[Mask]:
        """What is done with the values of a header."""
        texts: list[Mask | None] = [self.cards]
        if part is Part.NOTHING:
            texts = []
        elif part is Part.NUMBER and self.number is not None:
            texts = [self.number]
        elif part is Part.NAME and self.name is not None:
            texts = [self.name]
        elif part is Part.BOTH and self.both is not None:
            texts = [self.both]
        elif part is Part.DIALLED:
            texts.append(self.dialled)
        elif part not in _CALLERS:
            if name.casefold() in _OF_COMMANDS:
                texts.insert(0, self.labels)
            texts.append(self.texts)
        return [step for step in texts if step is not None]


def _styled(word: str, look: Look) -> Mask:
    mask = look.mask(style_of(word))
    return scans.digits_of(mask) if word == "hash" else mask


class _Scope:
    """The plans of all headers of messages that the same rules are for."""

    def __init__(self, masker: Masker, rules: Sequence[_Rule], *, is_user_event: bool) -> None:
        self._masker = masker
        self._rules = [rule for rule in rules if rule.headers is not None]
        self._is_user_event = is_user_event
        chosen: list[tuple[NameSet, Callable[[str], Mask]]] = [
            (rule.variables, lambda _name, mask=rule.mask: mask)  # type: ignore[misc]
            for rule in rules
            if rule.variables is not None
        ]
        self.chosen = scans.Variables(chosen, masker.look.text)
        self.variables = scans.Variables([*chosen, *masker.presets.variables], masker.look.text)
        self._assignments: tuple[Mask, ...] = ()
        if chosen or masker.presets.variables:
            self._assignments = (self.variables.within,)
        self.plans: Remembered[str, Plan | None] = Remembered(self._plan, KNOWN_HEADERS)

    def _plan(self, name: str) -> Plan | None:
        if name.casefold() in PROTECTED:
            return None
        masker = self._masker
        part = masker.part_of(name)
        before: list[Mask] = []
        for rule in self._rules:
            assert rule.headers is not None
            if not rule.headers.fits(name):
                continue
            if rule.is_pattern:
                before.append(rule.mask)
            elif rule.keeps:
                return masker.plan(name, None, before, []) if before else None
            else:
                return masker.whole_plan(name, part, None if rule.removes else [*before, rule.mask])
        mask = self.chosen.mask_of(name) if self._is_user_event else None
        if mask is not None:
            return masker.whole_plan(name, part, [mask])
        if part not in _CALLERS:
            before += self._assignments
        if part is None and self._is_user_event:
            part = Part.TEXT
        return masker.plan(name, part, before, masker.presets.steps(name, part))


class Masker:
    """Masks messages. For one header, in this order:

    1. rules, from the top: one with a pattern masks what it finds, and the next
       is asked; another one decides, and nothing below is done;
    2. the values of ``variables``, in the forms in which Asterisk sends them;
    3. card numbers, callers, dialled numbers.
    """

    def __init__(self, settings: Settings) -> None:
        self.look = settings.look()
        rules = list(settings.rules)
        if settings.variables:
            rules.append(RuleSettings(variables=settings.variables))
        self._rules = [_Rule(rule, self.look) for rule in rules]
        self.presets = _Presets(settings, self.look)
        self._parts = [(part, NameSet(names)) for part, names in PARTS]
        self._statistics = NameSet(STATISTICS)
        self._scopes: dict[tuple[object, ...], _Scope] = {}
        self._servers: dict[int, tuple[ServerInfo, Remembered[Key, _Scope]]] = {}
        self._memories: dict[tuple[Mask, ...] | None, Remembered[str, str | None]] = {}

    def masked(self, message: Message, server: ServerInfo) -> Message | None:
        """The message with all that is to be masked; None where that is nothing."""
        headers = message.headers
        scope = self._scope(self._key_of(message, headers), server)
        if len(headers) <= MOST_HEADERS:
            pairs = self._masked(scope, headers)
            return None if pairs is None else _message(message.kind, pairs)
        headers = headers[:MOST_HEADERS]
        return _message(message.kind, self._masked(scope, headers) or headers)

    def values(
        self, headers: Sequence[tuple[str, str]], server: ServerInfo
    ) -> list[str | None] | None:
        """Values of the live state, masked, each under the header that it comes from.

        In the same order; None where all stay. Past MOST_HEADERS all are redacted. A rule for
        some events is for these as well, since the state comes of events; but for one that keeps.
        """
        pairs = self._masked(self._scope(None, server), headers[:MOST_HEADERS])
        if pairs is None and len(headers) <= MOST_HEADERS:
            return None
        made = [None if value is None else str(value) for _, value in pairs or headers]
        return made[:MOST_HEADERS] + [self.look.text] * (len(headers) - MOST_HEADERS)

    def _masked(self, scope: _Scope, headers: Sequence[tuple[str, Value]]) -> list[Pair] | None:
        """The headers as they are to be shown, a value None for one that goes; None: all stay."""
        plans = scope.plans
        pairs: list[Pair] = []
        searched: list[tuple[int, Plan, str]] = []
        changed = False
        room = MOST_CHARACTERS
        for pair in headers:
            name, value = pair
            plan = plans[name]
            if plan is None:
                pairs.append(pair)
                continue
            if not isinstance(value, str) and not plan.is_whole:
                pairs.append(pair)
                continue
            text = whole = str(value)
            if len(whole) > LONGEST_KNOWN:
                text, room = self._looked_at(whole, room)
            if plan.is_searched and text:
                searched.append((len(pairs), plan, text))
            new = plan.values[text]
            if new != whole or plan.name != name:
                changed = True
                pairs.append((plan.name, new))
            else:
                pairs.append(pair)
        if searched and self._search(scope, headers, pairs, searched):
            changed = tuple(pairs) != tuple(headers)
        return pairs if changed else None

    def _looked_at(self, text: str, room: int) -> tuple[str, int]:
        """A long text, its lines past ``room`` characters redacted; and the room that is left."""
        size = len(text) + LINE * text.count("\n")
        if size <= room:
            return text, room - size
        end = 0
        while (newline := text.find("\n", end)) >= 0 and room >= newline + 1 - end + LINE:
            room -= newline + 1 - end + LINE
            end = newline + 1
        return text[:end] + self.look.text, 0

    def _search(
        self,
        scope: _Scope,
        headers: Sequence[tuple[str, Value]],
        pairs: list[Pair],
        searched: Sequence[tuple[int, Plan, str]],
    ) -> bool:
        """Mask in ``pairs`` what the message's other headers tell; whether that changed them."""
        callers, variables = self._told(scope, headers, pairs)
        if not (callers or variables):
            return False
        within = self.presets.within
        in_texts = [one for one in callers if within is None or not within.covers(one[0])]
        mask_of_value = self._mask_of_value(scope, variables)
        changed = False
        mentions = 0 if len(callers) <= MOST_CALLERS else MOST_MENTIONS + 1
        for index, plan, value in searched:
            new = None
            if plan.part is Part.VALUE and mask_of_value is not None:
                new = mask_of_value(plan, value)
            elif mentions > MOST_MENTIONS:
                new = self.look.text
            else:
                told = callers if plan.part is Part.DIALLED else in_texts
                found = sum([value.count(original) for original, _ in told])
                mentions += found
                if mentions > MOST_MENTIONS:
                    new = self.look.text
                elif found:
                    new = scans.own_callers(plan.before(value), told, plan.after)
            if new is not None and new != pairs[index][1]:
                pairs[index] = (pairs[index][0], new)
                changed = True
        return changed

    def _told(
        self, scope: _Scope, headers: Sequence[tuple[str, Value]], pairs: Sequence[Pair]
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """Callers that the message names, with their masks, longest first; and variables."""
        callers: dict[str, str] = {}
        variables: list[str] = []
        for (name, value), (_, new) in zip(headers, pairs, strict=True):
            plan = scope.plans[name]
            if not isinstance(value, str):
                continue
            if name.casefold() == "variable":  # whatever a rule does with it
                variables.append(value)
            elif (
                plan is not None
                and plan.part in _CALLERS
                and new != value
                and len(value) >= SHORTEST_CALLER
            ):
                callers[value] = self.look.text if new is None else str(new)
        return sorted(callers.items(), key=lambda one: -len(one[0])), variables

    def _mask_of_value(
        self, scope: _Scope, variables: Sequence[str]
    ) -> Callable[[Plan, str], str] | None:
        """What a value of these variables becomes; None: what any text does."""
        for variable in variables:
            mask = scope.variables.mask_of(variable)
            if mask is not None:
                return lambda _plan, value: mask(value)
        if any(self._statistics.fits(variable) for variable in variables):
            return lambda plan, value: plan.before(value)
        return None

    def _scope(self, key: Key, server: ServerInfo) -> _Scope:
        known = self._servers.get(server.id)
        if known is None or known[0] is not server:  # new, or renamed by a reload
            scopes: Remembered[Key, _Scope] = Remembered(
                lambda key: self._scope_of(key, server), KNOWN_EVENTS
            )
            known = self._servers[server.id] = (server, scopes)
        return known[1][key]

    def _key_of(self, message: Message, headers: Sequence[tuple[str, Value]]) -> Key:
        if message.kind is not EVENT:
            return message.kind
        if headers and headers[0][0] == "Event":  # message.name would fold the names of all
            return str(headers[0][1])
        return message.name

    def _scope_of(self, key: Key, server: ServerInfo) -> _Scope:
        event = key if isinstance(key, str) else None
        rules = tuple(
            rule
            for rule in self._rules
            if (rule.concerns_state(server) if key is None else rule.concerns(event, server))
        )
        is_user_event = event is not None and event.casefold() == "userevent"
        known = self._scopes.get((rules, is_user_event))
        if known is None:
            known = _Scope(self, rules, is_user_event=is_user_event)
            self._scopes[rules, is_user_event] = known
        return known

    def part_of(self, name: str) -> Part | None:
        """What a header of that name holds; None where nothing is known of it."""
        return next((part for part, names in self._parts if names.fits(name)), None)

    def plan(
        self, name: str, part: Part | None, before: Sequence[Mask], after: Sequence[Mask]
    ) -> Plan | None:
        """A plan of these steps; None where there is nothing to do."""
        shown = self.shown_name(name)
        plan = Plan(shown, part, _one(before), _one(after), self._memory((*before, *after)))
        searches_callers = self.presets.number is not None
        plan.is_searched = (
            (part is Part.TEXT and searches_callers)
            or (part is Part.DIALLED and searches_callers and self.presets.dialled is None)
            or part is Part.VALUE
        )
        nothing = shown == name and not (before or after or plan.is_searched)
        return None if nothing else plan

    def whole_plan(self, name: str, part: Part | None, steps: Sequence[Mask] | None) -> Plan:
        """A plan that masks any value; None for the steps: the header goes."""
        memory = self._memory(None if steps is None else tuple(steps))
        known = part if part in _CALLERS else None
        plan = Plan(self.shown_name(name), known, _same, _same, memory)
        plan.is_whole = True
        return plan

    def shown_name(self, name: str) -> str:
        """The header's name without numbers: ``ChanVariable(SIP/15145550199-…)`` has one."""
        if self.presets.texts is None or _NUMBERED.fullmatch(name):
            return name
        return self.presets.texts(name)

    def _memory(self, steps: tuple[Mask, ...] | None) -> Remembered[str, str | None]:
        """Values with what these steps make of them, shared by all headers that take them."""
        known = self._memories.get(steps)
        if known is None:
            answer: Callable[[str], str | None] = _gone if steps is None else _one(steps)
            known = Remembered(answer, KNOWN_VALUES, LONGEST_KNOWN)
            self._memories[steps] = known
        return known


def _same(value: str) -> str:
    return value


def _gone(_value: str) -> None:
    return None


def _one(steps: Sequence[Mask]) -> Mask:
    """The steps as one."""
    if not steps:
        return _same
    if len(steps) == 1:
        return steps[0]

    def run(value: str) -> str:
        for step in steps:
            value = step(value)
        return value

    return run


def _message(kind: Kind, pairs: Sequence[Pair]) -> Message:
    kept = [(name, value) for name, value in pairs if value is not None]
    unique = dict(kept)
    return Message(kind, unique if len(unique) == len(kept) else kept)
