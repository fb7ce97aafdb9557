"""Patterns of roles, and how each kind of value is held to them.

A pattern is a text, or has ``*``, ``?`` and ``[…]`` as in names of files. What a wildcard may stand
for depends on what the value is: in a dial string it is no ``/`` and no ``@``, so that ``PJSIP/2*``
names phones and never a number behind a trunk. ``{user.NAME}`` stands for each value of an
attribute of the user; wildcards in these are plain signs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from amiws_gevent.policy.actions import Holds

Matcher = Callable[[str], bool]
"""Whether a value is allowed; "" is one that is not there."""

Attributes = Mapping[str, Sequence[str]]
"""What is known of a user: one or more values for each name."""

ATTRIBUTE = re.compile(r"\{user\.([a-z][a-z0-9_]*)\}")

LONGEST = 200
"""Characters of a value that names something: Asterisk copies a dial string into 256 bytes and a
context into 80, and takes what fits for the whole."""
LONGEST_PLACE = 79  # an extension or context: AST_MAX_EXTENSION, AST_MAX_CONTEXT

SKIPPED = "".join(map(chr, range(0x21)))
"""What Asterisk skips before a value (``ast_skip_blanks``)."""

_ANY = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
_PLACE = "[0-9A-Za-z*#+._-]"
_ARGUMENTS = "[0-9A-Za-z_. +:=-]"  # no comma, which begins another one, and nothing of a shell
_WILD: Mapping[Holds, str] = {
    Holds.NAME: _ANY,
    Holds.NUMBER: "[0-9.+-]",
    Holds.TEXT: _ANY,
    Holds.CHANNEL: "[!%'()+\\-./:;<=>@\\[\\]_~*#0-9A-Za-z]",
    Holds.MEMBER: "[!%'()+\\-./:;<=>@\\[\\]_~*#0-9A-Za-z]",
    Holds.DIAL: "[0-9A-Za-z_.+*#-]",
    Holds.CONTEXT: "[0-9A-Za-z_.-]",
    Holds.EXTEN: _PLACE,
    Holds.PRIORITY: "[0-9A-Za-z_-]",
    Holds.VARIABLE: "[0-9A-Za-z_]",
    Holds.VARIABLES: "[0-9A-Za-z_]",
    Holds.APPLICATION: "[0-9A-Za-z_]",
    Holds.DATA: _ARGUMENTS,
    Holds.COMMAND: "[0-9A-Za-z_. +:=@/-]",
    Holds.FILE: "[0-9A-Za-z_.-]",
    Holds.OPTIONS: "[0-9A-Za-z]",
}
"""What a wildcard stands for, each of its characters."""

_EVALUATED = re.compile(r"\$[{\[]")
"""A function or expression of the dialplan, in any value."""

_LOCAL = re.compile(
    rf"local/(?P<exten>{_PLACE}{{1,79}})(?:@(?P<context>[0-9A-Za-z_.-]{{1,79}}?))?"
    r"(?P<serial>-[0-9a-f]{8};[12])?(?:/[A-Za-z]{0,8})?",
    re.IGNORECASE,
)
_LOCAL_PATTERN = re.compile(
    r"local/(?P<exten>[^@/]*)(?:@(?P<context>[^@/]*))?(?:/[A-Za-z]*)?", re.IGNORECASE
)
_HIDDEN_LOCAL = re.compile(r"(?:^|[^0-9a-z])local/", re.IGNORECASE)
_SERIAL = re.compile(r"-[0-9a-f]+(?:;[12])?")
_NO_CONTEXT = "default"  # of a Local channel that names none (``main/core_local.c``, local_alloc)

_CHANNELS = frozenset({Holds.DIAL, Holds.CHANNEL, Holds.MEMBER})

_RISKY = re.compile(
    r"(?:__?)?(?:\w*(?:CONTEXT|EXEC|GOSUB|MACRO|GOTO|FEATURES?|CALLBACK|HANDLER|HEADER)\w*"
    r"|AGI\w*|BRIDGE\w*|DIAL\w*|LOCAL\w*|MONITOR\w*|SIP\w*|TRANSFER\w*|VM\w*)",
    re.IGNORECASE | re.ASCII,
)
"""Variables that applications obey: ``TRANSFER_CONTEXT``, ``MONITOR_EXEC``, …"""


def attributes_of(pattern: str) -> frozenset[str]:
    """The names of the user's attributes that a pattern uses."""
    return frozenset(ATTRIBUTE.findall(pattern))


def resolved(patterns: Iterable[str], attributes: Attributes) -> tuple[str, ...]:
    """The patterns with the attributes' values in them, each once and sorted.

    One with an attribute that the user has not is left out.
    """
    found = set()
    for pattern in patterns:
        names = sorted(attributes_of(pattern))
        for values in itertools.product(*(attributes.get(name, ()) for name in names)):
            given = dict(zip(names, values, strict=True))
            found.add(_filled(pattern, given))
    return tuple(sorted(found))


def _filled(pattern: str, given: Mapping[str, str]) -> str:
    return ATTRIBUTE.sub(lambda name: _plain(given[name[1]]), pattern)


def _plain(text: str) -> str:
    """A pattern for a text that may have signs of patterns in it."""
    return re.sub(r"[*?\[]", lambda sign: f"[{sign[0]}]", text)


def is_plain(pattern: str) -> bool:
    """Whether a pattern stands for one text."""
    return not re.search(r"[*?]|\[", re.sub(r"\[[*?\[]\]", "", pattern))


def is_any(pattern: str) -> bool:
    """Whether a pattern says nothing."""
    return not pattern.strip("*?")


def expression(pattern: str, wild: str = _ANY, flags: int = 0) -> re.Pattern[str]:
    """The pattern as a regular expression for the whole of a value."""
    made, at = "", 0
    while at < len(pattern):
        sign = pattern[at]
        end = pattern.find("]", at + 2) if sign == "[" else -1
        if sign == "*":
            made += f"{wild}*"
        elif sign == "?":
            made += wild
        elif end > 0:
            inner = pattern[at + 1 : end]
            denied = inner[0] in "!^" and len(inner) > 1
            inner = re.sub(r"[\\\]\[^&~|]", r"\\\g<0>", inner[denied:])
            made += f"(?={wild})[{'^' if denied else ''}{inner}]" if denied else f"[{inner}]"
            at = end
        else:
            made += re.escape(sign)
        at += 1
    return re.compile(made, flags)


def problem(holds: Holds, pattern: str) -> str | None:
    """Why a pattern cannot be for such a value; None: it can."""
    if re.search(r"[\x00-\x1f\x7f]", pattern):
        return "must not have control characters"
    if "[" in pattern and not _sound(pattern):
        return "is not a pattern: [ needs a ] behind it, and ranges from low to high"
    bare = ATTRIBUTE.sub("0", pattern)
    if "{user." in bare:
        return "names an attribute in a form that is none: write {user.name}"
    check = _PROBLEMS.get(holds)
    if check is None or (holds in _CHANNELS and ATTRIBUTE.match(pattern) and "&" not in pattern):
        return None  # the technology is that of the user's own interface
    return check(bare)


def _sound(pattern: str) -> bool:
    try:
        expression(ATTRIBUTE.sub("0", pattern))
    except re.error:
        return False
    return not re.search(r"\[[^\]]*$", pattern)


def _local_problem(bare: str) -> str | None:
    found = _LOCAL_PATTERN.fullmatch(bare)
    if found is None:
        return "must be Local/EXTENSION@CONTEXT, and options behind a slash"
    if is_any(found["context"] or _NO_CONTEXT):
        return "says any context; name the contexts that a Local channel may run in"
    return None


def _dial_problem(bare: str) -> str | None:
    technology, slash, rest = bare.partition("/")
    if "&" in bare:
        return "must be one channel, without &"
    if not slash or not is_plain(technology) or not technology:
        return "must begin with a technology, such as PJSIP/2*"
    if technology.lower() == "local":
        return _local_problem(bare)
    return "must say more than any channel" if is_any(rest) else None


def _member_problem(bare: str) -> str | None:
    return _local_problem(bare) if bare.lower().startswith("local/") else None


def _place_problem(bare: str) -> str | None:
    return "says any; name which" if bare and is_any(bare) else None


def _name_problem(bare: str) -> str | None:
    return None if is_plain(bare) and bare else "must be the name of one application"


def _own_problem(bare: str) -> str | None:
    return "says any; write what it may be" if bare and is_any(bare) else None


def _assign_problem(bare: str) -> str | None:
    name = bare.partition("=")[0]
    return "says any variable; name which" if bare and is_any(name) else None


_PROBLEMS: Mapping[Holds, Callable[[str], str | None]] = {
    Holds.DIAL: _dial_problem,
    Holds.CHANNEL: _member_problem,
    Holds.MEMBER: _member_problem,
    Holds.CONTEXT: _place_problem,
    Holds.EXTEN: _place_problem,
    Holds.APPLICATION: _name_problem,
    Holds.DATA: _own_problem,
    Holds.COMMAND: _own_problem,
    Holds.FILE: _own_problem,
    Holds.OPTIONS: _own_problem,
    Holds.ASSIGN: _assign_problem,
    Holds.VARIABLE: _assign_problem,
    Holds.VARIABLES: _assign_problem,
}


def matcher(holds: Holds, patterns: Sequence[str]) -> Matcher:
    """What says of a value, as Asterisk will read it, whether one of the patterns allows it."""
    plain = frozenset(_text_of(each) for each in patterns if is_plain(each))
    expressions = [expression(each, _WILD.get(holds, _ANY)) for each in patterns]

    def fits(value: str) -> bool:
        return any(each.fullmatch(value) for each in expressions)

    if holds is Holds.ASSIGN:
        return _assignments(patterns)
    if holds in (Holds.VARIABLE, Holds.VARIABLES):
        return _variables(patterns, plain, several=holds is Holds.VARIABLES)
    if holds in _CHANNELS:
        return _channels(holds, patterns, plain, fits)
    if holds is Holds.APPLICATION:
        folded = {each.lower() for each in plain}
        return lambda value: value.isascii() and (value.lower() in folded)
    return lambda value: value in plain or (_is_harmless(holds, value) and fits(value))


def _text_of(pattern: str) -> str:
    """The text that a plain pattern stands for."""
    return re.sub(r"\[([*?\[])\]", r"\1", pattern)


def _is_harmless(holds: Holds, value: str) -> bool:
    """Whether a value has nothing that only a pattern without wildcards may allow."""
    if _EVALUATED.search(value):
        return False
    if holds is Holds.TEXT:
        return True
    if holds is Holds.NAME:  # also of actions that nobody knows, which may call what it says
        return _HIDDEN_LOCAL.search(value) is None
    if holds is Holds.FILE and ".." in value:
        return False
    if holds in (Holds.CONTEXT, Holds.EXTEN) and len(value) > LONGEST_PLACE:
        return False
    return value.isascii()


def _channels(
    holds: Holds, patterns: Sequence[str], plain: frozenset[str], fits: Matcher
) -> Matcher:
    """For names of channels and dial strings: those of Local channels part by part."""
    local = [
        (expression(found["exten"], _PLACE), expression(found["context"] or _NO_CONTEXT, _PLACE))
        for found in map(_LOCAL_PATTERN.fullmatch, patterns)
        if found is not None
    ]

    def allowed(value: str) -> bool:
        if not value.isascii() or len(value) > LONGEST or _EVALUATED.search(value):
            return False
        if not value.lower().startswith("local/"):
            # Those of Local channels have no @ that a wildcard of another could stand for.
            if holds is not Holds.CHANNEL:
                return fits(value)
            if value.startswith("/"):  # of Hangup: a regular expression for names of channels
                return value in plain
            serial = _SERIAL.search(value, value.rfind("-")) if "-" in value else None
            return fits(value) or (
                serial is not None and serial.end() == len(value) and fits(value[: serial.start()])
            )
        found = _LOCAL.fullmatch(value)
        if found is None or (found["serial"] and holds is Holds.DIAL):
            return False
        exten, context = found["exten"], found["context"] or _NO_CONTEXT
        return any(one.fullmatch(exten) and other.fullmatch(context) for one, other in local)

    return allowed


def _variables(patterns: Sequence[str], plain: frozenset[str], *, several: bool) -> Matcher:
    """For names of variables; a function, or what an application obeys, as it is written alone."""
    wild = [
        expression(each, _WILD[Holds.VARIABLE], re.ASCII) for each in patterns if not is_plain(each)
    ]

    def one(name: str) -> bool:
        if name in plain:
            return True
        if name.startswith("_") or "(" in name or _RISKY.fullmatch(name):
            return False
        return any(each.fullmatch(name) for each in wild)

    if not several:
        return one
    return lambda value: all(map(one, value.split(",")))


def _assignments(patterns: Sequence[str]) -> Matcher:
    """For ``NAME=value``, several with commas between them.

    Asterisk takes commas in quotes and brackets for a part of the value, and 1.4 has ``|`` for the
    comma. Here each begins another one: of what Asterisk can take for a name none is overlooked.
    """
    rules = []
    for pattern in patterns:
        name, equals, value = pattern.partition("=")
        plain = frozenset({_text_of(name)} if is_plain(name) else ())
        named = _variables((name,), plain, several=False)
        rules.append((named, expression(value if equals else "*").fullmatch))

    def one(part: str) -> bool:
        name, equals, value = part.partition("=")
        if not equals or _EVALUATED.search(value):
            return False
        return any(named(name) and fits(value) for named, fits in rules)

    return lambda value: value == "" or all(map(one, re.split("[,|]", value)))


@dataclass(frozen=True)
class Texts:
    """Names or globs for what is seen; equal for equal patterns."""

    patterns: tuple[str, ...]

    def matcher(self) -> Matcher:
        """Whether a text is one of them."""
        plain = frozenset(_text_of(each) for each in self.patterns if is_plain(each))
        wild = [expression(each) for each in self.patterns if not is_plain(each)]
        if not wild:
            return plain.__contains__
        known: dict[str, bool] = {}

        def fits(text: str) -> bool:
            answer = known.get(text)
            if answer is None:
                answer = text in plain or any(each.fullmatch(text) for each in wild)
                if len(known) > 10_000:
                    known.clear()
                known[text] = answer
            return answer

        return fits

    def __iter__(self) -> Iterator[str]:
        return iter(self.patterns)
