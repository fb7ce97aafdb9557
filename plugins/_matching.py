"""What the rules of shipped plugins share: which names, servers and values fit.

Names (of events, headers, variables) and server names are compared without
regard to case, values exactly. A text with ``*``, ``?`` or ``[`` is a pattern as in
file names (glob), any other stands for itself. ``fnmatch`` makes expressions of
globs that cannot run away; those that an operator writes are held to
`MAX_MATCHED` and `expression_problem`.
"""

from __future__ import annotations

import fnmatch
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from amiws_gevent.ami import Value
from amiws_gevent.matching import NameSet, Remembered, is_glob
from amiws_gevent.plugins import PluginSettings, ServerInfo, shown

__all__ = [
    "MAX_MATCHED",
    "Expression",
    "HeaderCondition",
    "NameSet",
    "Names",
    "Remembered",
    "ServerSet",
    "Servers",
    "Texts",
    "ValueForm",
    "Values",
    "expression_problem",
    "is_glob",
    "one_or_more",
    "written_as",
]

MAX_MATCHED = 1024
"""Characters of a value that an operator's regular expression is given. It bounds those that take
time in the square of the length; exponential ones are what `expression_problem` looks for."""

MANY = 8
"""A repeat that may happen this often counts as without an end."""


def written_as(pattern: str, allowed: str) -> BeforeValidator:
    """For text that must fit ``pattern`` as a whole; ``allowed`` says so in words."""
    expression = re.compile(pattern)

    def checked(value: object) -> str:
        if not isinstance(value, str) or not expression.fullmatch(value):
            raise ValueError(f"must be {allowed}, not {shown(value)}")
        return value

    return BeforeValidator(checked)


def one_or_more(value: object) -> list[object]:
    """A list as it is, anything else as the one item of a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _names(value: object) -> list[str]:
    """``A``, ``A, B`` and ``[A, B]`` all name events, headers or variables."""
    found: list[str] = []
    for item in one_or_more(value):
        if not isinstance(item, str):
            raise ValueError("must be a name or a list of names")
        found += [name.strip() for name in item.split(",")]
    if not found or not all(found):
        raise ValueError("has an empty name")
    return found


def _texts(value: object) -> list[str]:
    found = one_or_more(value)
    if not found:
        raise ValueError("is empty")
    for item in found:
        if not isinstance(item, str):
            raise ValueError('must be a text or a list of texts ("" for an empty one)')
    return [str(item) for item in found]


def _servers(value: object) -> list[str]:
    """As names, and a text that has commas as a whole too: a server's name may have one in it."""
    whole = [item.strip() for item in one_or_more(value) if isinstance(item, str) and "," in item]
    return _names(value) + whole


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""One name or glob, several with commas between, or a list."""

Servers = Annotated[tuple[str, ...], BeforeValidator(_servers)]
"""Servers by name, glob or id: one, several with commas between, or a list."""

Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
"""One text or a list."""


class ServerSet:
    """Servers by name, glob or id; no item: all servers."""

    def __init__(self, items: Sequence[str]) -> None:
        self.everyone = not items
        self._names = NameSet(items)

    def fits(self, server: ServerInfo) -> bool:
        """Whether an item is the server's name or its id."""
        return self.everyone or self._names.fits(server.name) or self._names.fits(str(server.id))


def expression_problem(pattern: str) -> str | None:
    """Why a regular expression is not taken; None: it is.

    Refused are those that do not compile, and repeats that hold a repeat
    (``(\\d+)*``): on a text that nearly fits they try every way of sharing it out,
    which stops the program. A possessive inner repeat (``(\\d++)*``) has one way.
    Alternatives that overlap (``(a|a)*``) are not found.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, Warning, OverflowError, RecursionError) as error:
        return f"is not a valid regular expression: {error}"
    if _has_nested_repeat(pattern):
        return (
            "has a repeat inside a repeat, which can take forever on a long value; "
            "make the inner one possessive (\\d++ instead of \\d+)"
        )
    return None


_TOKEN = re.compile(
    r"""(?P<skip> \\. | \[\^?\]?(?:\\.|[^\]\\])*+\] | \(\?\#[^)]*+\) )
      | (?P<open> \((?:\?(?:P<\w+>|P=\w+|<?[=!]|[a-zA-Z-]*:|>|\(\w+\)))? )
      | (?P<close> \) )
      | (?P<repeat> (?: [*+] | \{\d*,?\d*\} ) [+?]? )""",
    re.VERBOSE | re.DOTALL,
)


def _has_nested_repeat(pattern: str) -> bool:
    # For each open group: whether it is atomic, and whether it holds a repeat that gives back.
    groups = [[False, False]]
    closed = [False, False]  # the group that ended just before this token
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        position = token.end() if token else position + 1
        last, closed = closed, [False, False]
        if token is None or token["skip"]:
            continue
        if token["open"]:
            groups.append([token["open"] == "(?>", False])
        elif token["close"] and len(groups) > 1:  # more, in the comments of a (?x)
            atomic, repeats = groups.pop()
            closed = [atomic, repeats and not atomic]
            groups[-1][1] |= closed[1]
        elif token["repeat"] and _is_many(token["repeat"]):
            if last[1]:
                return True
            if not token["repeat"].endswith("++") and not token["repeat"].endswith("*+"):
                groups[-1][1] = True
    return False


def _is_many(repeat: str) -> bool:
    if repeat[0] != "{":
        return True
    least, comma, most = repeat.rstrip("+?")[1:-1].partition(",")
    if comma and not most:
        return True
    return int(most or least or 0) >= MANY


def _expression(text: str) -> str:
    problem = expression_problem(text)
    if problem:
        raise ValueError(problem)
    return text


Expression = Annotated[str, AfterValidator(_expression)]
"""A regular expression that compiles and is not known to run away."""


def _expressions(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        _expression(value)
    return values


class ValueForm(PluginSettings):
    """What one value may be: any of the texts under ``is``, ``glob`` and ``regex``."""

    exact: Texts = Field(default=(), alias="is", description="The whole value, one text or a list.")
    glob: Texts = Field(default=(), description="Patterns with * ? [ for the whole value.")
    regex: Annotated[Texts, AfterValidator(_expressions)] = Field(
        default=(), description="Regular expressions that fit somewhere in the value."
    )
    ignore_case: bool = Field(default=False, description="Compare without regard to case.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, str):
            return {"glob" if is_glob(value) else "is": value}
        if not isinstance(value, dict | ValueForm):
            raise ValueError('must be a text ("" for an empty one), or have is, glob or regex')
        return value

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.exact or self.glob or self.regex):
            raise ValueError("must have is, glob or regex")
        return self

    def compiled(self) -> Callable[[str], bool]:
        """A function that tells whether a value fits."""
        exact = frozenset(map(str.casefold if self.ignore_case else str, self.exact))
        flags = re.IGNORECASE if self.ignore_case else re.NOFLAG
        globs = [re.compile(fnmatch.translate(glob), flags).match for glob in self.glob]
        regexes = [re.compile(regex, flags).search for regex in self.regex]
        fold = self.ignore_case

        def fits(value: str) -> bool:
            if (value.casefold() if fold else value) in exact:
                return True
            if any(glob(value) for glob in globs):
                return True
            return any(regex(value[:MAX_MATCHED]) for regex in regexes)

        return fits


Values = Annotated[tuple[ValueForm, ...], BeforeValidator(one_or_more)]
"""One form of value or a list, any of which fits."""


class HeaderCondition:
    """Fits a message in which some header with one of the names has a value that fits."""

    def __init__(self, name: str, forms: Sequence[ValueForm]) -> None:
        self._names = NameSet([name])
        self._forms = [form.compiled() for form in forms]

    def fits(self, headers: Iterable[tuple[str, Value]]) -> bool:
        """Whether one does: of a header that repeats any value counts; none that is missing."""
        return any(
            self._names.fits(name) and any(form(str(value)) for form in self._forms)
            for name, value in headers
        )
