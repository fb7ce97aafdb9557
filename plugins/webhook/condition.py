"""A condition on the live state: ``queue support waiting >= 5 for 60 s``."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from amiws_gevent.plugins import Seconds, shown

KINDS = (
    *("agent", "bridge", "call", "channel", "conference", "contact", "device", "do_not_disturb"),
    *("endpoint", "hint", "mailbox", "parked_call", "parking_lot", "participant", "peer"),
    *("presence", "queue", "queue_caller", "queue_member", "registration", "server"),
)
"""Of docs/state.md and docs/state-kinds.md."""

_WORD = r'(?:"[^"]*"|[^\s"=<>!][^\s"]*)'
_FORM = re.compile(
    rf"(?P<kind>\S+)\s+(?:(?P<id>{_WORD})\s+)?(?P<field>[a-z_]+(?:\.[a-z_]+)?)\s*"
    rf"(?P<sign>>=|<=|!=|>|<|=)\s*(?P<value>{_WORD})(?:\s+for\s+(?P<time>.+))?"
)
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")
_WORDS: Mapping[str, Any] = {"null": None, "yes": True, "no": False, "true": True, "false": False}
_SECONDS: TypeAdapter[float] = TypeAdapter(Seconds)


@dataclass(frozen=True)
class Condition:
    """``KIND [ID] FIELD SIGN VALUE [for TIME]``.

    ``id`` may be a pattern (``*`` without one); a text with blanks stands in quotes. Signs are
    ``=``, ``!=``, and for numbers ``>=``, ``<=``, ``>`` and ``<``. Values are numbers, texts,
    ``yes``, ``no`` and ``null``. ``a.b`` is the member ``b`` of the field ``a``.
    """

    kind: str
    id: str
    field: str
    sign: str
    value: Any
    word: str
    """The value as it was written: a text may be ``5`` or ``yes``."""
    seconds: float
    """For so long it must hold."""
    text: str
    """As it was written."""

    def fits(self, key: str) -> bool:
        """Whether it is about the entity with this id."""
        return self.id == key or fnmatch.fnmatchcase(key, self.id)

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether it holds for an entity; never where it has no such field."""
        name, _, member = self.field.partition(".")
        if name not in fields:
            return False
        value = fields[name]
        if member:
            value = value.get(member) if isinstance(value, Mapping) else None
        if self.sign in ("=", "!="):
            return self._is(value) is (self.sign == "=")
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        less, same = value < self.value, value == self.value
        return (same and "=" in self.sign) or (not same and less is (self.sign[0] == "<"))

    def _is(self, value: Any) -> bool:
        if isinstance(value, str):
            return value == self.word
        if isinstance(value, bool) or isinstance(self.value, bool) or self.value is None:
            return value is self.value
        return bool(value == self.value)


def parse_condition(text: object) -> Condition:
    """The condition that a text is; ValueError says what is wrong with it."""
    found = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(
            "must be such as `queue support waiting >= 5 for 60 s`: "
            f"KIND ID FIELD SIGN VALUE for TIME, not {shown(text)}"
        )
    kind = found["kind"]
    if kind not in KINDS:
        raise ValueError(f"there is no kind {shown(kind)} (there are: {', '.join(KINDS)})")
    value = _value(found["value"])
    if found["sign"] not in ("=", "!=") and (
        isinstance(value, bool) or not isinstance(value, int | float)
    ):
        raise ValueError(f"{found['sign']} compares with a number, not with {shown(value)}")
    return Condition(
        kind,
        _unquoted(found["id"] or "*"),
        found["field"],
        found["sign"],
        value,
        _unquoted(found["value"]),
        _seconds(found["time"]),
        found[0],
    )


def _seconds(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        return _SECONDS.validate_python(text.strip())
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"the time after `for` {message}") from None


def _value(text: str) -> Any:
    if text.startswith('"'):
        return _unquoted(text)
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _unquoted(text: str) -> str:
    return text[1:-1] if text.startswith('"') else text
