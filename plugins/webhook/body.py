"""The body of requests as the operator wants it, in place of the plugin's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from .._template import Lookup, Template

JSON, TEXT = "application/json", "text/plain; charset=utf-8"


class Body:
    """A text, or lists and mappings of texts, of which JSON is made; each text is a template.

    A text that is one field and nothing else keeps its type in JSON. ValueError says what is wrong.
    """

    def __init__(self, given: Any) -> None:
        self._made = _templates(given)
        self.content_type = TEXT if isinstance(given, str) else JSON

    def bytes(self, lookup: Lookup) -> bytes:
        """The body with all fields filled in."""
        if isinstance(self._made, Template):
            return self._made.text(lookup).encode("utf-8", "replace")
        return orjson.dumps(_filled(self._made, lookup))


def of_entity(fields: Mapping[str, Any]) -> Lookup:
    """Fields of an entity; ``a.b`` is the member ``b`` of the field ``a``."""

    def lookup(field: str) -> Any:
        name, _, member = field.partition(".")
        value = fields.get(name)
        if member:
            return value.get(member) if isinstance(value, Mapping) else None
        return value

    return lookup


def _templates(given: Any) -> Any:
    if isinstance(given, str):
        return Template(given)
    if isinstance(given, Mapping):
        return {str(name): _templates(one) for name, one in given.items()}
    if isinstance(given, list | tuple):
        return [_templates(one) for one in given]
    raise ValueError("must be a text, or lists and keys of texts")


def _filled(made: Any, lookup: Lookup) -> Any:
    if isinstance(made, Template):
        value = made.value(lookup)
        return _clean(value) if isinstance(value, str) else value
    if isinstance(made, dict):
        return {name: _filled(one, lookup) for name, one in made.items()}
    return [_filled(one, lookup) for one in made]


def _clean(text: str) -> str:
    """The text in valid UTF-8."""
    return text.encode("utf-8", "replace").decode()
