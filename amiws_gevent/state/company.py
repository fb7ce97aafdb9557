"""Who can hear whom in a call, and who rings for whom."""

from __future__ import annotations

from typing import Final, NamedTuple

from amiws_gevent.state.people import Leg, is_person
from amiws_gevent.state.store import Store


class Company(NamedTuple):
    """The people that somebody talks with, and those that ring for him."""

    talking: list[Leg]
    ringing: list[Leg]


NOBODY: Final = Company([], [])  # never changed


def company_of(start: Leg, store: Store) -> Company:
    """Whom a leg reaches, through bridges, halves of Local channels and dialling."""
    legs = start.call.legs
    if len(legs) == 1:
        return NOBODY
    children: dict[str, list[Leg]] = {}
    for leg in legs.values():
        if leg.dialled_by is not None:
            children.setdefault(leg.dialled_by, []).append(leg)
    seen = {start.key}
    bridges: set[str] = set()  # of which all are seen
    talking = _spread([start], seen, bridges, children, store, rings=False)
    ringing: list[Leg] = []
    if children:
        ringing = _spread([start, *talking], seen, bridges, children, store, rings=True)
    if not talking and not ringing:
        return NOBODY
    return Company(_people(talking), _people(ringing))


def _people(legs: list[Leg]) -> list[Leg]:
    """Those that are people, and whose channel has not gone while their call was not told."""
    return [leg for leg in legs if is_person(leg) and leg.entity.fields]


def _spread(
    starts: list[Leg],
    seen: set[str],
    bridges: set[str],
    children: dict[str, list[Leg]],
    store: Store,
    *,
    rings: bool,
) -> list[Leg]:
    """Those whom these reach by sound or, with ``rings``, by what rings too."""
    found: list[Leg] = []
    todo = list(starts)
    while todo:
        for other in _neighbours(todo.pop(), bridges, children, store, rings):
            if other.key not in seen:
                seen.add(other.key)
                found.append(other)
                todo.append(other)
    return found


def _neighbours(
    leg: Leg, bridges: set[str], children: dict[str, list[Leg]], store: Store, rings: bool
) -> list[Leg]:
    found: list[Leg] = []
    legs, channel = leg.call.legs, leg.entity.fields
    if not channel:
        return found
    bridge = channel["bridge"]
    if bridge is not None:
        if bridge not in bridges:
            bridges.add(bridge)
            members = (store.get("bridge", bridge) or {}).get("members", ())
            found = [legs[key] for key in members if key in legs]
    elif leg.peer in legs:
        found.append(legs[leg.peer])
    if leg.half is not None and leg.half.key in legs:
        found.append(leg.half)
    if children:
        for child in children.get(leg.key, ()):
            if rings or child.entity.fields.get("state") == "up":
                found.append(child)
        if leg.dialled_by in legs and (rings or channel["state"] == "up"):
            found.append(legs[leg.dialled_by])
    return found
