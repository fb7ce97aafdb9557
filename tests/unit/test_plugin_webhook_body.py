"""The operator's own body: templates in text and in JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from amiws_plugins.webhook.body import JSON, TEXT, Body, of_entity

QUEUE = {"name": 'sup"port', "waiting": 5, "incomplete": False, "caller": {"number": "201"}}


def made(given: Any, fields: dict[str, Any] = QUEUE) -> Any:
    return json.loads(Body(given).bytes(of_entity(fields)))


def test_a_text_is_sent_as_it_is() -> None:
    body = Body("{name}: {waiting} of {max} {{now}}")
    assert body.bytes(of_entity(QUEUE)) == b'sup"port: 5 of - {now}'
    assert body.content_type == TEXT


def test_texts_in_json_are_written_as_json_has_them() -> None:
    given = {
        "text": "{name} has {waiting}",
        "to": ["a", "{caller.number}"],
        "deep": {"x": "{name}"},
    }
    assert made(given) == {
        "text": 'sup"port has 5',
        "to": ["a", "201"],
        "deep": {"x": 'sup"port'},
    }
    assert Body(given).content_type == JSON


def test_one_field_alone_keeps_its_type() -> None:
    given = {
        "waiting": "{waiting}",
        "incomplete": "{incomplete}",
        "max": "{max}",
        "more": "{waiting} ",
    }
    assert made(given) == {"waiting": 5, "incomplete": False, "max": None, "more": "5 "}


def test_no_value_reaches_beyond_its_place() -> None:
    hostile = {"name": '"},{"x":"\\', "caller": {"number": "{name}"}}
    assert made({"a": "{name}", "b": "{caller.number}"}, hostile) == {
        "a": '"},{"x":"\\',
        "b": "{name}",
    }
    assert made({"a": "{name.__class__}"}, hostile) == {"a": None}


def test_text_that_is_no_unicode_is_sent_all_the_same() -> None:
    assert made({"a": "{name}!", "b": "{name}"}, {"name": "\ud800"}) == {"a": "?!", "b": "?"}
    assert Body("{name}").bytes(of_entity({"name": "\ud800"})) == b"?"


@pytest.mark.parametrize("given", ["{", "a } b", "{}", "{a:>5}", {"a": ["{"]}, 5, {"a": 5}, None])
def test_a_slip_is_told(given: Any) -> None:
    with pytest.raises(ValueError, match=r"brace|partner|empty field|colon|must be"):
        Body(given)
