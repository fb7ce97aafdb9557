"""Parking lots and the calls that are parked in them.

Origin: ``main/features.c`` (11), ``res/parking/parking_manager.c`` (12 and later), which tells
all of the parked channel with the prefix ``Parkee``. Lists of 11 have no Uniqueid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import caller, text, whole
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Steps, TakeList

LOT, PARKED = "parking_lot", "parked_call"

_SIGN: Final = 2**63
"""From here on a ``long`` of the server that is printed by ``%lu`` is negative."""

# What is null until something says it.
_LOT: Final[Mapping[str, Any]] = dict.fromkeys(("first", "last", "timeout"))
_PARKED: Final[Mapping[str, Any]] = dict.fromkeys(
    ("uniqueid", "parker", "since", "server_since", "until")
)


class ParkingPart(ListedPart):
    """The kinds ``parking_lot`` and ``parked_call`` (key lot|space)."""

    kinds = (LOT, PARKED)

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {
            "parkedcall": self._parked,
            "parkedcallswap": self._parked,
            "unparkedcall": self._unparked,
            "parkedcalltimeout": self._unparked,
            "parkedcallgiveup": self._unparked,
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {"parkedcalls": self._listed, "parkinglots": self._lots_listed}

    def _parked(self, message: Message) -> None:
        key, fields = _parked_of(message)
        if self.store.get(LOT, fields["lot"]) is None:
            self.store.put(LOT, fields["lot"], name=fields["lot"], **_LOT)
        known = self.store.get(PARKED, key)
        swapped = known is not None and message.name.lower() == "parkedcallswap"
        # another channel takes the place of one that goes on waiting
        times = dict(self.since(message))
        if known is not None and swapped:
            times = {name: known[name] for name in times}
        times["until"] = self._until(message)
        self.renew(PARKED, key, **{**_PARKED, **fields, **times})

    def _unparked(self, message: Message) -> None:
        """A space may have been taken again before this is told."""
        key, fields = _parked_of(message)
        known = self.store.get(PARKED, key)
        ids = {known and known["uniqueid"], fields.get("uniqueid")} - {None}
        if known is not None and len(ids) < 2:
            self.store.remove(PARKED, key)

    def _until(self, message: Message) -> int | None:
        """When it will be taken back: what is left is told in seconds.

        Of one that is never taken back (from 12 on, ``parkingtime = 0``) as much as it has waited
        is told to be overdue, and written as a number without a sign.
        """
        left = whole(message, "ParkingTimeout")
        if left is None:
            left = whole(message, "Timeout")
        elif left >= _SIGN:
            left -= 2 * _SIGN
        waited = whole(message, "ParkingDuration")
        if left is None or (waited is not None and left + waited <= 0):
            return None
        return self.now + 1000 * left

    def _listed(self, items: Sequence[Message], asked: int) -> Steps:
        now, parked = self.now, {}
        for item in items:
            key, fields = _parked_of(item)
            waited = whole(item, "ParkingDuration") or whole(item, "Duration") or 0
            times = {"since": now - 1000 * waited, "until": self._until(item)}
            parked[key] = Item(fields, {**_PARKED, **times})
            self._take_space(key, parked[key], asked)
            yield
        yield from self.merge(PARKED, parked, asked)

    def _take_space(self, key: str, item: Item, asked: int) -> None:
        """A space may have been left and taken again while the server was not heard."""
        known = self.store.get(PARKED, key)
        if known is None or self.store.born(PARKED, key) > asked:
            return
        name = "uniqueid" if known["uniqueid"] and "uniqueid" in item.fields else "channel"
        if known[name] != item.fields[name]:
            self.store.put(PARKED, key, **{**item.estimates, **item.fields})

    def _lots_listed(self, items: Sequence[Message], asked: int) -> Steps:
        lots = {}
        for item in items:
            name = item.get("Name") or ""
            lots[name] = Item(
                {
                    "name": name,
                    "first": text(item, "StartSpace", "StartExten"),
                    "last": text(item, "StopSpace", "StopExten"),
                    "timeout": whole(item, "Timeout"),
                }
            )
            yield
        yield from self.merge(LOT, lots, asked)


def _parked_of(message: Message) -> tuple[str, dict[str, Any]]:
    """The key of a parked call, and what a message says of it."""
    lot = message.get("Parkinglot") or ""
    space = text(message, "ParkingSpace", "Exten") or ""
    who = caller(message, "Parkee" if message.has("ParkeeChannel") else "")
    fields: dict[str, Any] = {
        "lot": lot,
        "space": space,
        "channel": who.channel,
        "number": who.number,
        "name": who.name,
    }
    if who.uniqueid is not None:
        fields["uniqueid"] = who.uniqueid
    parker = text(message, "ParkerDialString", "From")
    if parker is not None:
        fields["parker"] = parker
    return f"{lot}|{space}", fields
