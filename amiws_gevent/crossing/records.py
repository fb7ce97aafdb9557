"""The last records of all collectors' audits as one list, the newest first.

Each collector numbers the records of its own files. In the list of all they have numbers made of
their time, so that who has some of it can ask for what is before or behind. A record of the list
has two members more: ``collector``, and ``number``, which it has in that collector's files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

from amiws_gevent.audit.recent import MOST
from amiws_gevent.audit.trail import Trail

_SPREAD = 32
"""Records of one millisecond that keep their order, and collectors that are told apart."""

_LAST = 2**53 - 1


def numbered(
    trail: Trail,
    collector: str,
    *,
    number: int,
    after: int,
    before: int,
    what: str,
    user: str,
    action: str,
) -> dict[str, Any] | None:
    """What `Trail.last` gives of this collector, with numbers in the list of all."""
    told = trail.last(MOST, after=0, before=_LAST, what=what, user=user, action=action)
    if told is None:
        return None
    items = [_renumbered(record, collector) for record in told["items"]]
    chosen = [record for record in items if after < record["seq"] < before]
    return {**told, "items": chosen[:number]}


def _renumbered(record: Mapping[str, Any], collector: str) -> dict[str, Any]:
    own = record["seq"]
    milliseconds = round(datetime.fromisoformat(record["time"]).timestamp() * 1000)
    place = own % _SPREAD * _SPREAD + crc32(collector.encode()) % _SPREAD
    seq = milliseconds * _SPREAD**2 + place
    return {**record, "seq": seq, "collector": collector, "number": own}


def merged(told: Sequence[Mapping[str, Any]], number: int) -> dict[str, Any]:
    """One answer made of those of several collectors: ``number`` records at most."""
    items = sorted((one for each in told for one in each["items"]), key=lambda one: -one["seq"])
    return {
        "writing": all(each["writing"] for each in told),
        "refusing": any(each["refusing"] for each in told),
        "reason": "; ".join(dict.fromkeys(each["reason"] for each in told if each["reason"])),
        "items": items[:number],
    }
