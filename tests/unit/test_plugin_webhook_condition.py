"""Conditions on the live state: how they are written, and when they hold."""

from __future__ import annotations

from typing import Any

import pytest
from amiws_plugins.webhook.condition import KINDS, parse_condition

from amiws_gevent.feeds.filters import ATTRIBUTES


def test_the_kinds_are_those_that_there_are() -> None:
    assert set(KINDS) == ATTRIBUTES.keys()


@pytest.mark.parametrize(
    ("text", "kind", "key", "field", "sign", "value", "seconds"),
    [
        ("queue waiting >= 5", "queue", "*", "waiting", ">=", 5, 0),
        ("queue support waiting>=5 for 60 s", "queue", "support", "waiting", ">=", 5, 60),
        (" queue  sup* waiting = 0 for 2 min ", "queue", "sup*", "waiting", "=", 0, 120),
        ('queue "front desk" waiting < 1.5', "queue", "front desk", "waiting", "<", 1.5, 0),
        (
            "server 1 connection != connected for 5",
            "server",
            "1",
            "connection",
            "!=",
            "connected",
            5,
        ),
        ('agent name = "Anna A"', "agent", "*", "name", "=", "Anna A", 0),
        (
            "queue_member support|* paused = yes",
            "queue_member",
            "support|*",
            "paused",
            "=",
            True,
            0,
        ),
        ("call queue = null", "call", "*", "queue", "=", None, 0),
        ("call caller.number = 201", "call", "*", "caller.number", "=", 201, 0),
    ],
)
def test_a_condition_is_read(
    text: str, kind: str, key: str, field: str, sign: str, value: Any, seconds: float
) -> None:
    made = parse_condition(text)
    assert (made.kind, made.id, made.field, made.sign) == (kind, key, field, sign)
    assert (made.value, made.seconds) == (value, seconds)
    assert made.text == text.strip()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be such as"),
        ("queue", "must be such as"),
        ("queue waiting", "must be such as"),
        ("queue waiting >= ", "must be such as"),
        ("queue support desk waiting >= 5", "must be such as"),
        ("queue waiting >= 5 and paused = no", "must be such as"),
        (5, "must be such as"),
        ("queues waiting >= 5", "there is no kind 'queues'"),
        ("queue waiting >= many", ">= compares with a number"),
        ("queue waiting > yes", "> compares with a number"),
        ("queue waiting > 5 for ever", "the time after `for` must be a time"),
        ("queue waiting > 5 for 0", "the time after `for`"),
    ],
)
def test_a_slip_is_told(text: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "fields", "holds"),
    [
        ("queue waiting >= 5", {"waiting": 5}, True),
        ("queue waiting >= 5", {"waiting": 4}, False),
        ("queue waiting > 5", {"waiting": 5}, False),
        ("queue waiting > 5", {"waiting": 6}, True),
        ("queue waiting <= 5", {"waiting": 5}, True),
        ("queue waiting < 5", {"waiting": 5}, False),
        ("queue waiting < 5", {"waiting": 4}, True),
        ("queue waiting < 5", {"waiting": None}, False),
        ("queue waiting < 5", {"waiting": "4"}, False),
        ("queue waiting < 5", {"waiting": True}, False),
        ("queue waiting < 5", {}, False),
        ("queue waiting != 5", {}, False),
        ("queue waiting = 5", {"waiting": 5}, True),
        ("queue waiting = 1", {"waiting": True}, False),
        ("queue name = 5", {"name": "5"}, True),
        ("queue name = yes", {"name": "yes"}, True),
        ('queue name = "yes"', {"name": "yes"}, True),
        ("queue name != yes", {"name": "no"}, True),
        ("queue incomplete = yes", {"incomplete": True}, True),
        ("queue incomplete = yes", {"incomplete": 1}, False),
        ("queue max = null", {"max": None}, True),
        ("queue max != null", {"max": 0}, True),
        ("call caller.number = 201", {"caller": {"number": "201"}}, True),
        ("call caller.number = 201", {"caller": None}, False),
        ("call caller.number = null", {"caller": None}, True),
    ],
)
def test_when_it_holds(text: str, fields: dict[str, Any], holds: bool) -> None:
    assert parse_condition(text).holds(fields) is holds


def test_an_id_may_be_a_pattern_and_may_have_its_signs() -> None:
    made = parse_condition("queue_member support|* paused = yes")
    assert made.fits("support|SIP/201")
    assert not made.fits("sales|SIP/201")
    assert parse_condition("queue a[1] waiting > 1").fits("a[1]")
