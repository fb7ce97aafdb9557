"""Dictionaries of one form that share their keys, as those of instances do in CPython.

Each takes half the memory of one that stands alone. It is a plain dict; if another Python
does not share keys, it only takes more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MOST_FORMS: Final = 1_000  # forms have names of the program's own; this is far more than it has


class Forms:
    """Packs dictionaries by the name of their form, whose names come in one order."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def template(self, form: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A dict to be copied: faster than packing where few fields differ from it.

        CPython gives the first dicts of a form room for 30 names, and each one after it has less
        (3.11: ``_PyObject_InitializeDict``); copies have as much as what they are of.
        """
        template = self.pack(form, fields)
        for _ in range(30):
            template = self.pack(form, fields)
        return template

    def pack(self, form: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """A dict of its own with these fields. A ``copy()`` of it shares the keys as well."""
        packed = self.empty(form)
        for name, value in fields.items():  # update() would make keys of its own
            packed[name] = value
        return packed

    def empty(self, form: str) -> dict[str, Any]:
        """A dict of its own to be filled, name by name; it may lack some of its form."""
        packer = self._classes.get(form)
        if packer is None:
            if len(self._classes) >= MOST_FORMS:
                return {}
            packer = self._classes[form] = type(form, (), {})
        empty: dict[str, Any] = packer().__dict__
        return empty
