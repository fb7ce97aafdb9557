"""How a value looks once it is masked: a fixed text, shortened, or a keyed hash."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Mask = Callable[[str], str]

SHORTENED = re.compile(r"(first|last)([1-9]\d?)")

WORDS = frozenset({"redact", "hash", "keep"})

# Hashes are letters alone: no digit of one can be taken for a part of a number.
LETTERS = str.maketrans("0123456789", "ghijklmnop")


@dataclass(frozen=True)
class Style:
    """What is done with a value; ``first`` and ``last`` are the characters still shown."""

    action: Literal["redact", "hash", "keep", "shorten"]
    first: int = 0
    last: int = 0


def style_of(word: str) -> Style:
    """The style of a word: one of WORDS, ``lastN`` or ``firstN``, in small letters."""
    shortened = SHORTENED.fullmatch(word)
    if shortened is None:
        return Style(word)  # type: ignore[arg-type]  # one of WORDS
    count = int(shortened[2])
    return Style("shorten", *((count, 0) if shortened[1] == "first" else (0, count)))


@dataclass(frozen=True)
class Look:
    """``text`` stands for a redacted value, ``fill`` for each hidden character of a shortened one.

    ``key`` is that of hashes, ``hash_length`` their letters (4 bits each).
    """

    text: str = "***"
    fill: str = "*"
    key: bytes = b""
    hash_length: int = 12

    def mask(self, style: Style) -> Mask:
        """The function that masks in a style; an empty value stays empty."""
        if style.action == "keep":
            return _same
        if style.action == "hash":
            return self.hashed
        if style.action == "shorten":
            return lambda value: shorten(value, style.first, style.last, self.fill)
        return lambda value: self.text if value else value

    def hashed(self, value: str) -> str:
        """``#`` and letters: HMAC-SHA256 of the value; the same value gives the same letters."""
        if not value:
            return value
        digest = hmac.digest(self.key, value.encode("utf-8", "surrogatepass"), "sha256")
        return "#" + digest.hex()[: self.hash_length].translate(LETTERS)


def _same(value: str) -> str:
    return value


def shorten(value: str, first: int, last: int, fill: str) -> str:
    """The value with all but its ends filled; never more than half of it is shown."""
    half = len(value) // 2
    first = min(first, half)
    last = min(last, half - first)
    end = len(value) - last
    return value[:first] + fill * (end - first) + value[end:]
