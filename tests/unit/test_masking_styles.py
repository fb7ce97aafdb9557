"""How masked values look."""

from __future__ import annotations

import pytest

from amiws_gevent.masking.styles import Look, Style, shorten, style_of


@pytest.mark.parametrize(
    ("word", "masked"),
    [
        ("redact", "***"),
        ("keep", "0301234567"),
        ("last4", "******4567"),
        ("first3", "030*******"),
        ("last9", "*****34567"),
    ],
)
def test_the_words(word: str, masked: str) -> None:
    mask = Look().mask(style_of(word))
    assert mask("0301234567") == masked
    assert mask("") == ""


def test_a_hash_is_letters_of_the_key() -> None:
    mask, other = (Look(key=key).mask(Style("hash")) for key in (b"a" * 16, b"b" * 16))
    assert mask("201") == mask("201") != other("201")
    assert mask("201").startswith("#")
    assert mask("201")[1:].isalpha()


def test_never_more_than_half_is_shown() -> None:
    assert shorten("1234", 9, 9, "*") == "12**"
    assert shorten("1", 1, 1, "*") == "*"
