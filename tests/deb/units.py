"""Unit files of systemd, as far as those of the package go."""

from __future__ import annotations

import shlex
from collections import defaultdict
from pathlib import Path

Unit = dict[str, list[str]]
"""Each key with its values, in their order; sections have no key in common."""


def read(path: Path) -> Unit:
    """The keys of a unit file."""
    found: Unit = defaultdict(list)
    for line in path.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found[key].append(value)
    return dict(found)


def one(unit: Unit, key: str, default: str = "") -> str:
    """The last value of a key, which is the one that counts where there can be only one."""
    return unit.get(key, [default])[-1]


def is_on(unit: Unit, key: str) -> bool:
    return one(unit, key) in ("yes", "true", "on", "1")


def command(unit: Unit, key: str, **variables: str) -> list[str]:
    """The words of a command, with variables such as $MAINPID."""
    words = shlex.split(one(unit, key))
    return [variables.get(word.removeprefix("$"), word) for word in words]
