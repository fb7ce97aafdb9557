"""The messages of feeds, as JSON that is put together from pieces."""

from __future__ import annotations

import json

from amiws_gevent.feeds import encoding


def test_events_with_the_position_on_the_last() -> None:
    made = [json.loads(text) for text in encoding.events("S", [b'{"a":1}', b'{"b":2}'], "P")]
    assert made == [
        {"op": "event", "subscription": "S", "message": {"a": 1}},
        {"op": "event", "subscription": "S", "message": {"b": 2}, "position": "P"},
    ]
    assert encoding.events("S", [], "P") == []


def test_state() -> None:
    entity = encoding.entity(1, "call", "7", {"phase": None})
    gone = encoding.gone(1, "call", "8", {"cause": 16})
    left = encoding.gone(1, "call", "9", None)
    assert json.loads(encoding.state("S", [entity], [gone, left], None)) == {
        "op": "state",
        "subscription": "S",
        "set": [{"server": 1, "kind": "call", "id": "7", "phase": None}],
        "unset": [
            {"server": 1, "kind": "call", "id": "8", "last": {"cause": 16}},
            {"server": 1, "kind": "call", "id": "9"},
        ],
    }


def test_snapshot() -> None:
    entity = encoding.entity(1, "call", "7", {})
    assert json.loads(encoding.snapshot("S", 2, 3, [entity, entity], "P")) == {
        "op": "snapshot",
        "subscription": "S",
        "page": 2,
        "pages": 3,
        "items": [{"server": 1, "kind": "call", "id": "7"}] * 2,
        "position": "P",
    }


def test_gap() -> None:
    known = {"op": "gap", "subscription": "S", "stream": "events"}
    assert json.loads(encoding.gap("S", "events", "slow", lost=3)) == {
        **known,
        "reason": "slow",
        "lost": 3,
    }
    assert json.loads(encoding.gap("S", "events", "history", server=2)) == {
        **known,
        "reason": "history",
        "lost": None,
        "server": 2,
    }


def test_any_value_becomes_valid_json() -> None:
    odd = {"a\ud800": ["\udfff", 2**70, -(2**63), True, None, 0.5, {"b": ("x\ud83d\ude00",)}]}
    text = encoding.to_json(odd)
    assert json.loads(text.decode()) == {
        "a\ufffd": ["\ufffd", str(2**70), -(2**63), True, None, 0.5, {"b": ["x😀"]}]
    }
