"""What all models have: all that is wrong is told at once, and nothing is as no key."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from amiws_gevent.config import rules
from amiws_gevent.config.checked import Checked, written
from amiws_gevent.values import Size


class Example(Checked):
    one: Size
    other: Size = written("1 KiB", "Another.")

    @classmethod
    def completed(cls, given: rules.Given, context: object) -> list[rules.Found]:
        return [(("other",), "is odd")] if given.get("other") == "3" else []


def test_faults_of_fields_and_rules_come_together() -> None:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate({"one": "x", "other": "3"})
    assert {error["loc"] for error in caught.value.errors()} == {("one",), ("other",)}


def test_a_default_is_read_as_the_file_is() -> None:
    assert Example.model_validate({"one": "2k", "other": None}).other == 1024
