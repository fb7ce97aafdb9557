"""What of an entity is its queue, extension and context."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.state.dimensions import ATTRIBUTES, BY_FIELD, PARTS, found


@pytest.mark.parametrize(
    ("dimension", "kind", "fields", "values"),
    [
        ("queue", "call", {"queue": "support"}, ["support"]),
        ("queue", "call", {"queue": None}, []),
        (
            "extension",
            "call",
            {"caller": {"number": "201"}, "ringing": [{"number": "202"}]},
            ["201", "202"],
        ),
        ("extension", "queue_member", {"interface": "PJSIP/204"}, ["204"]),
        ("extension", "queue_member", {"interface": "Agent/204"}, []),
        ("extension", "mailbox", {"mailbox": "201@default"}, ["201"]),
        ("context", "mailbox", {"mailbox": "201@default"}, ["default"]),
    ],
)
def test_found(dimension: str, kind: str, fields: dict[str, Any], values: list[str]) -> None:
    assert list(found(dimension, kind, fields)) == values


def test_the_tables_name_dimensions() -> None:
    names = {name for dimensions in ATTRIBUTES.values() for name in dimensions}
    assert names == set(BY_FIELD)
    assert {kind for kind, _ in PARTS} <= set(ATTRIBUTES)
