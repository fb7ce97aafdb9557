"""The kinds of the live model but channels, bridges and calls, with what lists tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from amiws_gevent.state.parts import make_model
from tests.support.fed import Fed

KINDS: Mapping[str, tuple[str, ...]] = {
    "QueueStatus": ("queue", "queue_member", "queue_caller"),
    "ParkedCalls": ("parked_call",),
    "ConfbridgeListRooms": ("conference",),
    "ExtensionStateList": ("hint",),
    "DeviceStateList": ("device",),
}
# What a list does not tell, or only estimates: times of before, and what was counted.
UNTOLD = {
    *("since", "server_since", "until", "paused_since", "ring_in_use"),
    *("day", "entered", "answered", "answered_in_level", "abandoned", "longest_wait"),
    *("last_abandoned", "incomplete", "counted_since"),
    *("missed", "talk_time", "pause_time"),
}


def model() -> Fed:
    fed = Fed()
    fed.model = make_model(fed.store, day_of=lambda _: "today")
    return fed


class Fact(NamedTuple):
    """One field of an entity, or the entity itself with no name."""

    kind: str
    key: str
    name: str
    value: Any


def facts(fed: Fed, kinds: Iterable[str]) -> list[Fact]:
    found = []
    for kind in kinds:
        for key, fields in fed.store.of(kind).items():
            found.append(Fact(kind, key, "", None))
            found += [
                Fact(kind, key, name, value) for name, value in fields.items() if name not in UNTOLD
            ]
    return found


def unlike(fed: Fed, wanted: list[Fact], kinds: Iterable[str]) -> list[Fact]:
    """What one has and the other has not."""
    have = facts(fed, kinds)
    return [fact for fact in wanted if fact not in have] + [
        fact for fact in have if fact not in wanted
    ]
