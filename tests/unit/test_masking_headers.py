"""Which headers hold callers."""

from __future__ import annotations

import pytest

from amiws_gevent.masking.headers import PARTS, UNSAID, Part
from amiws_gevent.matching import NameSet


def part_of(name: str) -> Part | None:
    return next((part for part, names in PARTS if NameSet(names).fits(name)), None)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("CallerIDNum", Part.NUMBER),
        ("DestConnectedLineNum", Part.NUMBER),
        ("TransfererCallerIDName", Part.NAME),
        ("CallerID", Part.BOTH),
        ("Exten", Part.DIALLED),
        ("AppData", Part.TEXT),
        ("Value", Part.VALUE),
        ("ChannelState", Part.NOTHING),
        ("Queue", None),
    ],
)
def test_headers(name: str, part: Part | None) -> None:
    assert part_of(name) is part


def test_the_tables_are_folded() -> None:
    names = [name for _, names in PARTS for name in names]
    assert [name for name in [*names, *UNSAID] if name != name.casefold()] == []
