"""Who can hear whom in a call, and who rings for whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from amiws_gevent.state.people import Leg, is_person
from amiws_gevent.state.store import Store


class Company(NamedTuple):
    """The people that somebody talks with, and those that ring for him."""

    talking: list[Leg]
    ringing: list[Leg]


def company_of(start: Leg, store: Store) -> Company:
    """Whom a leg reaches, through bridges, halves of Local channels and dialling."""
    call = start.call
    if len(call.legs) == 1:
        return Company([], [])
    children: dict[str, list[Leg]] = {}
    for leg in call.legs.values():
        if leg.dialled_by is not None:
            children.setdefault(leg.dialled_by, []).append(leg)
    seen = {start.key}
    talking = _spread([start], seen, children, store, rings=False)
    ringing: list[Leg] = []
    if children:
        ringing = _spread([start, *talking], seen, children, store, rings=True)
    return Company(_people(talking, store), _people(ringing, store))


def _people(legs: list[Leg], store: Store) -> list[Leg]:
    """Those that are people, and whose channel has not gone while their call was not told."""
    return [leg for leg in legs if is_person(leg) and store.get("channel", leg.key) is not None]


def _spread(
    starts: list[Leg], seen: set[str], children: dict[str, list[Leg]], store: Store, *, rings: bool
) -> list[Leg]:
    found: list[Leg] = []
    todo = list(starts)
    while todo:
        leg = todo.pop()
        for other, is_up in _neighbours(leg, children, store):
            if other.key not in seen and (is_up or rings):
                seen.add(other.key)
                found.append(other)
                todo.append(other)
    return found


def _neighbours(
    leg: Leg, children: dict[str, list[Leg]], store: Store
) -> Iterator[tuple[Leg, bool]]:
    """The legs next to one, and whether sound passes between them."""
    legs = leg.call.legs
    channel = store.get("channel", leg.key)
    if channel is None:
        return
    for key in _room(leg, channel["bridge"], store):
        if key in legs:
            yield legs[key], True
    if leg.half is not None and leg.half.key in legs:
        yield leg.half, True
    for child in children.get(leg.key, ()):
        yield child, _is_up(child, store)
    if leg.dialled_by in legs:
        yield legs[leg.dialled_by], channel["state"] == "up"


def _room(leg: Leg, bridge: str | None, store: Store) -> list[str]:
    if bridge is not None:
        members: list[str] = (store.get("bridge", bridge) or {}).get("members", [])
        return members
    return [] if leg.peer is None else [leg.peer]


def _is_up(leg: Leg, store: Store) -> bool:
    channel: Any = store.get("channel", leg.key)
    return channel is not None and channel["state"] == "up"
