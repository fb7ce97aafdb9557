"""Numbers of callers alone and inside of texts."""

from __future__ import annotations

import pytest

from amiws_gevent.masking.numbers import Numbers

NUMBERS = Numbers(6, lambda number: "#" * len(number))


@pytest.mark.parametrize("stays", ["201", "<unknown>", "anonymous", "", "*98", "12345"])
def test_extensions_and_what_says_nothing_stay(stays: str) -> None:
    assert NUMBERS.whole(stays) == stays


def test_a_number_is_masked_whole() -> None:
    assert NUMBERS.whole("+49 30 1234") == "#" * 11


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Local/0301234567@out-00000001;1", "Local/##########@out-00000001;1"),
        ("sip:+49301234567@10.0.0.1:5060", "sip:############@10.0.0.1:5060"),
        ("1795371260.16", "1795371260.16"),
        ("PJSIP/204-0000001f", "PJSIP/204-0000001f"),
        ("support|PJSIP/204", "support|PJSIP/204"),
    ],
)
def test_numbers_in_names(text: str, masked: str) -> None:
    assert NUMBERS.within(text) == masked
