"""What a line says to people: a template, or key=value pairs.

A template's fields are looked up among the event's headers and nowhere else:
``{Peer}``, ``{Cause-txt}``. There are no attributes, no indexes and no formats, so
that neither a template nor a value can reach into the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from amiws_gevent.ami import Message
from amiws_gevent.plugins import ServerInfo

from .rfc5424 import escape_controls

MISSING = "-"
LONGEST_KEY = 64

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])")
_BARE = re.compile(r'[^\s="\\]+')
_NOT_KEY = re.compile(r'[^\x21-\x7e]|[="\\]')

_SERVER_FIELDS: dict[str, Callable[[ServerInfo], str]] = {
    "server_name": lambda server: server.name,
    "server_id": lambda server: str(server.id),
}


class Template:
    """Text with fields: names of headers (in any case), ``server_name`` and ``server_id``.

    ``{{`` and ``}}`` are braces. A header that the event has not, or that is empty,
    reads ``-``; of one that repeats the first counts. ValueError tells where a brace is
    wrong.
    """

    def __init__(self, text: str) -> None:
        self._parts: list[tuple[str, str]] = []  # literal text, and the field after it
        literal, position = "", 0
        for token in _TOKEN.finditer(text):
            literal += text[position : token.start()]
            position = token.end()
            if token[2]:
                raise ValueError(
                    f"has a {token[2]} without its partner at {text[token.start() :]!r:.40}; "
                    "write {{ and }} for braces"
                )
            if token[1] is None:
                literal += token[0][0]
                continue
            self._parts.append((literal, _field(token[1])))
            literal = ""
        self._tail = literal + text[position:]

    def render(self, message: Message, server: ServerInfo) -> str:
        """The text for one event."""
        made = []
        for literal, field in self._parts:
            own = _SERVER_FIELDS.get(field)
            value = own(server) if own else message.get(field)
            made.append(literal)
            made.append(value or MISSING)
        made.append(self._tail)
        return "".join(made)


def _field(name: str) -> str:
    field = name.strip()
    if not field:
        raise ValueError("has an empty field; write {Header} or {server_name}")
    if ":" in field:
        raise ValueError(f"{{{field}}} has a colon: fields take no format, only a header's name")
    return field


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
