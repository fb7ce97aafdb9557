"""The country and the trunk prefix of a server."""

from __future__ import annotations

import pytest

from amiws_gevent.config.fields import country, trunk_prefix


def test_a_country_is_two_letters_in_any_case() -> None:
    assert [country("de"), country("NO")] == ["DE", "NO"]


@pytest.mark.parametrize("wrong", ["", "DEU", "D", "4", "D1", "ÄÖ", "DE\n"])
def test_other_texts_are_no_country(wrong: str) -> None:
    with pytest.raises(ValueError, match="two letters|text|empty|control"):
        country(wrong)


def test_a_trunk_prefix_is_digits_as_they_are_written() -> None:
    assert [trunk_prefix("0"), trunk_prefix("009"), trunk_prefix(""), trunk_prefix(9)] == [
        "0",
        "009",
        "",
        "9",
    ]


@pytest.mark.parametrize("wrong", ["x", "1 2", "-1", "123456789", "0\n", "٣"])
def test_other_texts_are_no_trunk_prefix(wrong: str) -> None:
    with pytest.raises(ValueError, match="up to 8 digits"):
        trunk_prefix(wrong)
