"""Finds callers' numbers: alone, or inside of names of channels, of devices and of other texts."""

from __future__ import annotations

import re

from amiws_gevent.masking.headers import UNSAID
from amiws_gevent.masking.styles import Mask

# The counter at the end of a channel's name.
_COUNTER = r"(?:00[0-9a-f]{6}(?![0-9A-Za-z@])|[0-9a-f]{8}(?=;[12](?!\d)))"
# Long digits that are no telephone number, told by their form alone:
_NO_NUMBERS = rf"""
    (?<![0-9A-Za-z])[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}(?![0-9A-Za-z])  # a UUID
    | (?<![0-9A-Za-z])0x[0-9A-Fa-f]+            # an address in memory, an SSRC
    | (?<![^-])1[5-9]\d{{8}}\.\d{{1,7}}\Z       # Uniqueid: seconds (2017 to 2033), a counter
    | (?<=-){_COUNTER}
    | (?<![\d.])\d{{1,2}}\.\d{{6}}(?![\d.])     # a figure as C prints it
"""
# What may stand between the digits of a number that begins with a plus sign.
_BETWEEN = rf"(?:(?!-{_COUNTER})[ .()/-])"
_ALONE = re.compile(r"[0-9*#+(][0-9*#+() ./-]*")


def is_number(value: str) -> bool:
    """Whether a value that is a caller's number or name is a number.

    Who has no number is shown by the name (``main/callerid.c``, ast_callerid_merge).
    """
    return _ALONE.fullmatch(value) is not None


class Numbers:
    """Masks callers' numbers: alone, or as runs of at least ``shortest`` digits in a text."""

    def __init__(self, shortest: int, mask: Mask) -> None:
        self._mask = mask
        self._shortest = shortest
        self._extension = re.compile(rf"[0-9*#]{{1,{shortest - 1}}}" if shortest > 1 else r"(?!)")
        self._pattern = re.compile(
            rf"(?P<no>{_NO_NUMBERS}) | \+\d(?:{_BETWEEN}{{0,2}}\d){{{shortest - 1},}}"
            rf"| \d{{{shortest},}}",
            re.VERBOSE,
        )

    def whole(self, value: str) -> str:
        """A value that is a caller's number; short ones are extensions and stay."""
        if value.lower() in UNSAID or self._extension.fullmatch(value):
            return value
        return self._mask(value)

    def within(self, text: str) -> str:
        """A text with all numbers in it masked."""
        return self._pattern.sub(self._found, text)

    def covers(self, value: str) -> bool:
        """Whether `within` would mask all of a value wherever it stands."""
        return value.isdecimal() and len(value) >= self._shortest

    def _found(self, found: re.Match[str]) -> str:
        return found[0] if found["no"] is not None else self._mask(found[0])
