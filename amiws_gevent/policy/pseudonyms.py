"""What stands for a telephone number in ids: the same for the same number, and taken back.

A pseudonym is the number itself, encrypted so that equal numbers are equal (a synthetic IV, as in
RFC 5297): no table grows with the calls, and what nobody was shown is not taken back.
"""

from __future__ import annotations

import hmac
import re

from amiws_gevent.masking.numbers import Numbers
from amiws_gevent.masking.styles import LETTERS
from amiws_gevent.matching import Remembered

SHORTEST = 6
"""Digits of a number; shorter ones are extensions and stay, as for the plugin `mask`."""

_BLOCK = 16  # bytes; so a pseudonym does not tell how long the number is
_TAG = 8  # bytes
_END = b"\x80"
_KNOWN = 20_000

_DIGITS = str.maketrans("ghijklmnop", "0123456789")
_PSEUDONYM = re.compile(rf"#[a-p]{{{2 * _TAG}}}(?:[a-p]{{{2 * _BLOCK}}})+")


class Pseudonyms:
    """Those of one run of the program, whose secret ``key`` is 32 random bytes."""

    def __init__(self, key: bytes) -> None:
        self._tag_key = hmac.digest(key, b"tag", "sha256")
        self._text_key = hmac.digest(key, b"text", "sha256")
        self._numbers = Numbers(SHORTEST, Remembered(self._made, _KNOWN).__getitem__)
        self.within = Remembered(self._numbers.within, _KNOWN, longest=1024).__getitem__
        """A text with a pseudonym in place of each number in it."""

    def taken_back(self, text: str) -> str:
        """The text with the numbers again that pseudonyms in it stand for.

        As it is if one of them would be seen then. Long digits that are no number by their form
        have no pseudonym: behind ``0x`` a number would come back, in a refusal or an id, as it is.
        """
        numbers = list(filter(None, map(self._number, _PSEUDONYM.finditer(text))))
        if not numbers:
            return text
        made = _PSEUDONYM.sub(lambda found: self._number(found) or found[0], text)
        seen = self.within(made)
        return text if any(number in seen for number in numbers) else made

    def _made(self, number: str) -> str:
        plain = number.encode() + _END
        plain += bytes(-len(plain) % _BLOCK)
        tag = self._tag(plain)
        return "#" + (tag + self._mixed(tag, plain)).hex().translate(LETTERS)

    def _number(self, found: re.Match[str]) -> str | None:
        """The number that a pseudonym stands for; None if nobody was shown that."""
        letters = found[0][1:]
        given = bytes.fromhex(letters.translate(_DIGITS))
        plain = self._mixed(given[:_TAG], given[_TAG:])
        if not hmac.compare_digest(given[:_TAG], self._tag(plain)):
            return None
        return plain.rstrip(b"\0").removesuffix(_END).decode()

    def _tag(self, plain: bytes) -> bytes:
        return hmac.digest(self._tag_key, plain, "sha256")[:_TAG]

    def _mixed(self, tag: bytes, text: bytes) -> bytes:
        """The text encrypted, or decrypted again."""
        stream = b"".join(
            hmac.digest(self._text_key, tag + place.to_bytes(4, "big"), "sha256")
            for place in range(0, len(text), 32)
        )
        return bytes(one ^ other for one, other in zip(text, stream, strict=False))
