"""Texts with fields, for what plugins write to people: ``{Peer}``, ``{Cause-txt}``.

Fields are looked up among what the plugin gives and nowhere else. There are no attributes, no
indexes and no formats, so that neither a template nor a value can reach into the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.plugins import ServerInfo

MISSING = "-"

Lookup = Callable[[str], Any]
"""What a field is; None for one that there is not."""

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])")


class Template:
    """Text with fields, each the name of something in braces.

    ``{{`` and ``}}`` are braces. What there is not, or is empty, reads ``-``. ValueError tells
    where a brace is wrong.
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

    def value(self, lookup: Lookup) -> Any:
        """As ``text``; but of a template that is one field and nothing else, what that is."""
        if len(self._parts) == 1 and not self._tail and not self._parts[0][0]:
            return lookup(self._parts[0][1])
        return self.text(lookup)

    def text(self, lookup: Lookup) -> str:
        """The text with all fields filled in."""
        made = []
        for literal, field in self._parts:
            made.append(literal)
            made.append(_written(lookup(field)))
        made.append(self._tail)
        return "".join(made)

    def render(self, message: Message, server: ServerInfo) -> str:
        """The text for one event."""
        return self.text(of_message(message, server))


def of_message(message: Message, server: ServerInfo) -> Lookup:
    """Names of headers (in any case), ``server_name`` and ``server_id``.

    Of a header that repeats the first counts.
    """

    def lookup(field: str) -> str | None:
        if field == "server_name":
            return server.name
        return str(server.id) if field == "server_id" else message.get(field)

    return lookup


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return MISSING if value is None or value == "" else str(value)


def _field(name: str) -> str:
    field = name.strip()
    if not field:
        raise ValueError("has an empty field; write {Header} or {server_name}")
    if ":" in field:
        raise ValueError(f"{{{field}}} has a colon: fields take no format, only a header's name")
    return field
