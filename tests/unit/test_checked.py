"""Models tell all mistakes at once; mappings that can be hashed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from amiws_gevent.checked import Checked, Found, Frozen, Given


class Pair(Checked):
    low: int
    high: int = 3

    @classmethod
    def completed(cls, given: Given, context: object) -> list[Found]:
        wrong = isinstance(given.get("low"), int) and given["low"] > given.get("high", 3)
        return [(("low",), "is more than high")] if wrong else []


def problems(given: Mapping[str, object]) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Pair.model_validate(given)
    return sorted((found["loc"], found["msg"]) for found in caught.value.errors())


def test_rules_between_keys_and_each_key_at_once() -> None:
    found = problems({"low": 5, "hihg": 1})
    assert [place for place, _ in found] == [("hihg",), ("low",)]
    assert found[1][1] == "is more than high"


def test_a_key_without_a_value_is_none() -> None:
    assert Pair.model_validate({"low": 1, "high": None}) == Pair(low=1)
    assert problems({"low": None})[0][0] == ("low",)


def test_equal_mappings_have_one_hash() -> None:
    one, other = Frozen({"a": 1, "b": (2,)}), Frozen({"b": (2,), "a": 1})
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other, Frozen({"a": 1})}) == 2
