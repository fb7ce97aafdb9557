"""What can be wrong with a configuration, and how it is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from amiws_gevent.errors import StartError
from amiws_gevent.values import shown

_KINDS = {
    "bool": "must be yes or no",
    "int": "must be a whole number",
    "float": "must be a number",
    "string": "must be text, not a list or a mapping",
    "list": 'must be a list, each item beginning with "- "',
    "mapping": "must be a mapping, lines of `key: value` under it",
}
_KIND_OF = {
    **dict.fromkeys(("bool_parsing", "bool_type"), "bool"),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "int"),
    **dict.fromkeys(("float_parsing", "float_type"), "float"),
    "string_type": "string",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "dataclass_type"), "mapping"),
}
"""Pydantic's kinds of errors that it tells in the words of Python."""

# The names and indexes that lead to a value: ("amihosts", 1, "port").
Place = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend (or, as a warning, to know) in a configuration file.

    ``line`` counts from 1; 0 when the problem is the file as a whole.
    ``key_path`` is as people write it, ``amihosts[1].port``; empty for the file.
    """

    line: int
    key_path: str
    message: str

    def told(self, file: Path) -> str:
        """``FILE:LINE: KEY: message``, without the parts that do not apply."""
        where = f"{file}:{self.line}" if self.line else str(file)
        return ": ".join(part for part in (where, self.key_path, self.message) if part)


class ConfigError(StartError):
    """The configuration cannot be used; ``str()`` has one problem a line.

    ``path`` is the file, ``problems`` are in the order of its lines, and
    ``warnings`` are those found on the way: an unknown key is often the cause
    of a missing one.
    """

    exit_status = 78

    def __init__(
        self, path: Path, problems: Iterable[Problem], warnings: Iterable[str] = ()
    ) -> None:
        self.path = path
        self.problems = sorted(problems)
        self.warnings = list(warnings)
        super().__init__(path, self.problems, self.warnings)

    def __str__(self) -> str:
        return "\n".join(problem.told(self.path) for problem in self.problems)


def key_path(place: Sequence[str | int]) -> str:
    """A place as people write it: ``("amihosts", 1, "port")`` is ``amihosts[1].port``.

    A key that is no name (a file can have any) is quoted and shortened.
    """
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if re.fullmatch(r"[\w.-]{1,40}", step) else shown(step)
            text += f".{name}" if text else name
    return text


def worded(kind: str, message: str) -> str:
    """Pydantic's message, for people who know YAML and no Python."""
    if kind in _KIND_OF:
        return _KINDS[_KIND_OF[kind]]
    return re.sub(r"^[A-Z][a-z]+ should ", "must ", message.removeprefix("Value error, "))
