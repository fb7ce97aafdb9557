"""The words that say in the settings how a value is masked."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from amiws_gevent.masking.styles import SHORTENED, WORDS

_YES = frozenset({"true", "yes", "on"})


def _word(value: object) -> object:
    word = str(value).strip().lower()
    if word in _YES:
        return "redact"
    if word in WORDS or SHORTENED.fullmatch(word):
        return word
    raise ValueError("must be redact, hash, keep, or what to show: last4, first2 …")


StyleWord = Annotated[str, BeforeValidator(_word)]
"""``redact``, ``hash``, ``keep``, ``lastN`` or ``firstN``; ``true`` is ``redact``."""
