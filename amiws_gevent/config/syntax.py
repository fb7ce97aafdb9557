"""Explains YAML errors to the author of the file.

PyYAML says where parsing failed, in its own terms. Common mistakes are few: a tab, no space
after a colon, a line that begins in the wrong column, a second document. They are looked
for in the lines near the place. No message shows a value: it may be a secret.
"""

from __future__ import annotations

import re

import yaml

# PyYAML quotes tokens and single signs, which help, and names of anchors and
# tags, which may be the start of a secret that was not put in quotes.
_HARMLESS = re.compile(r"'(<[a-z ]+>|[^\w\s]|\\[nrt])'")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_QUOTES_ADVICE = (
    "; a value that begins with one of * & ! % @ ` or has a : or # in it must be in quotes"
)

_NOT_YAML = "is not YAML: "
_KEY = re.compile(r"(\s*(?:-\s+)*)[\w.-]+\s*:(?:\s|$)")
_NO_BLANK_AFTER_COLON = re.compile(r"\s*(?:-\s+)*([A-Za-z_]\w*):(?=[^\s/:])")
_NO_BLANK_AFTER_DASH = re.compile(r"\s*-([A-Za-z_]\w*)\s*:")
_ANOTHER_DOCUMENT = re.compile(r"(---|\.\.\.)(\s|$)")


def explained(text: str, error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """The line, from 1 (0: none), and what is wrong in it."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return 0, _as_told(error)
    lines = [*text.splitlines(), ""]
    at = min(mark.line, len(lines) - 1)
    before = _before(lines, at)
    for found in (
        _second_document(lines, at, before, error),
        _tab(lines[at], at, mark.column, error),
        _blank(lines, at, before, error),
        _indentation(lines, at, before, mark.column, error),
    ):
        if found is not None:
            return found
    return mark.line + 1, _as_told(error)


def missing_blank(line: str) -> str | None:
    """What is wrong with ``key:value`` or ``-key: value``; None if the line is neither."""
    colon = _NO_BLANK_AFTER_COLON.match(line)
    if colon is not None:
        return f'needs a space after the colon of {colon[1]}: write "{colon[1]}: …"'
    dash = _NO_BLANK_AFTER_DASH.match(line)
    if dash is not None:
        return f'needs a space after the dash before {dash[1]}: write "- {dash[1]}: …"'
    return None


Told = tuple[int, str]


def _second_document(
    lines: list[str], at: int, before: int | None, error: yaml.MarkedYAMLError
) -> Told | None:
    if "document" not in f"{error.context} {error.problem}":
        return None
    for line in (at, before):
        if line is not None and (found := _ANOTHER_DOCUMENT.match(lines[line])):
            return line + 1, (
                f'begins a second document ("{found[1]}"); a configuration has only one: '
                "remove the line"
            )
    return None


def _tab(line: str, at: int, column: int, error: yaml.MarkedYAMLError) -> Told | None:
    if "'\\t'" not in str(error.problem):
        return None
    if line[:column].isspace() or column == 0:
        return (
            at + 1,
            f"{_NOT_YAML}begins with a tab; indent with spaces instead",
        )
    return at + 1, f"{_NOT_YAML}has a tab where a space must be"


def _blank(
    lines: list[str], at: int, before: int | None, error: yaml.MarkedYAMLError
) -> Told | None:
    begun = error.context_mark.line if error.context_mark else at
    for line in dict.fromkeys((begun, before, at)):
        if line is not None and line < len(lines):
            slip = missing_blank(lines[line])
            if slip is not None:
                return line + 1, _NOT_YAML + slip
    return None


def _indentation(
    lines: list[str], at: int, before: int | None, found_at: int, error: yaml.MarkedYAMLError
) -> Told | None:
    """A key in a column in which none can begin, told beside the key above it."""
    here = _KEY.match(lines[at])
    above = None if before is None else _KEY.match(lines[before])
    if here is None or above is None or before is None:
        return None
    if found_at > here.end():  # behind another colon: it is about the value
        return None
    column, column_above = len(here[1]) + 1, len(above[1]) + 1
    if column == column_above or not re.search("mapping|block end", str(error.problem)):
        return None
    return at + 1, (
        f"{_NOT_YAML}is indented wrongly: its key begins in column {column}, that of line "
        f"{before + 1} in column {column_above}; keys of one mapping begin in the same column"
    )


def _before(lines: list[str], at: int) -> int | None:
    """The line above with anything in it but a comment."""
    for line in range(at - 1, -1, -1):
        if lines[line].strip() and not lines[line].lstrip().startswith("#"):
            return line
    return None


def _as_told(error: yaml.MarkedYAMLError) -> str:
    words = [_discreet(text) for text in (error.problem, error.context) if text]
    return f"{_NOT_YAML}{' '.join(words)}{_QUOTES_ADVICE}"


def _discreet(text: str) -> str:
    return _QUOTED.sub(lambda quoted: quoted[0] if _HARMLESS.fullmatch(quoted[0]) else "…", text)
