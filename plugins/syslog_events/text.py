"""What a line says to people where its rule has no template: key=value pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .rfc5424 import escape_controls

LONGEST_KEY = 64

_BARE = re.compile(r'[^\s="\\]+')
_NOT_KEY = re.compile(r'[^\x21-\x7e]|[="\\]')


def pairs(items: Iterable[tuple[str, str]], most: int) -> str:
    """``name=value name="other value"`` of at most ``most`` bytes of UTF-8, in whole pairs.

    As logfmt has it: a value with a blank, ``=``, ``"``, a backslash or a control
    character, and an empty one, stands in quotes with ``"`` and backslash escaped.
    ``...`` stands for pairs that do not fit.
    """
    made: list[str] = []
    left = most - len(" ...")
    whole = True
    for name, value in items:
        if len(value) < left:
            pair = f"{_NOT_KEY.sub('_', name[:LONGEST_KEY]) or '_'}={_quoted(value)}"
            size = len(pair.encode()) + 1
            if size <= left:
                left -= size
                made.append(pair)
                continue
        whole = False
    return " ".join(made if whole else [*made, "..."])


def _quoted(value: str) -> str:
    if _BARE.fullmatch(value) and escape_controls(value) == value:
        return value
    doubled = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape_controls(doubled)}"'
