"""The legs of calls, and the people at their ends.

A leg is a channel as its call sees it. At most legs there is a person, known by a number.
Halves of Local channels are no people, unless nothing real is behind them: then the pair
is one, known by the number that was called. Nor are the channels that Asterisk makes for
itself, and those that are left over from a masquerade.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from amiws_gevent.state.store import Entity
from amiws_gevent.state.words import (
    device_of,
    dialled_number,
    is_outside,
    is_phone,
    local_base,
)

Channel = dict[str, Any]
"""The fields of a channel."""

# Made by main/bridge.c, main/features.c, main/pbx.c, apps/confbridge/, res/stasis/ and others.
_INTERNAL: Final = (
    "Announcer/",
    "AsyncGoto/",
    "Bridge/",
    "CBAnn/",
    "CBRec/",
    "Message/",
    "Parked/",
    "Recorder/",
    "Snoop/",
    "Surrogate/",
    "Transfered/",
)
_DIALLED_BY: Final = ("AppDial", "AppQueue")  # what a channel that was dialled says it runs
_NOWHERE: Final[Mapping[str, str]] = {}


class Call:
    """The legs of one call, the oldest first, and what its entity does not tell."""

    __slots__ = (
        "cause",
        "cause_text",
        "created",
        "entity",
        "key",
        "legs",
        "linkedids",
        "met",
        "placed",
        "regrouped",
        "turned",
    )

    def __init__(self, key: str, created: int) -> None:
        self.key = key
        self.created = created
        self.entity: Entity | None = None
        """That which tells of it; None before it is told."""
        self.legs: dict[str, Leg] = {}
        self.regrouped = True
        """Whether it may have other legs than were told last."""
        self.turned = False
        """Whether it was found since then that somebody calls who seemed to be called."""
        self.linkedids: tuple[str, ...] = ()
        """Those that mean this call, besides its key."""
        self.met = False
        """Whether anybody has talked with anybody."""
        self.placed = False
        """Whether anybody was in a queue, conference or such when it was told last."""
        self.cause: int | None = None
        self.cause_text: str | None = None


class Leg:
    """One channel of a call: ``entity`` is that of the channel."""

    __slots__ = (
        "_device",
        "_name",
        "base",
        "call",
        "created",
        "dial_string",
        "dialled",
        "dialled_by",
        "entity",
        "half",
        "hint",
        "key",
        "left",
        "own_number",
        "peer",
        "places",
        "rang",
        "real",
        "served",
        "talked",
    )

    def __init__(self, key: str, entity: Entity, call: Call) -> None:
        channel = entity.fields
        name = channel["name"] or ""
        self.key = key
        self.entity = entity
        self.call = call
        self.created: int = channel["created"]
        self.base = local_base(name)
        """What the names of both halves of a Local channel have in common; None for others."""
        self._name: str | None = None
        self._device = ""
        self.real = self.base is None and is_real(name)
        self.half: Leg | None = None
        """The other half of a Local channel."""
        self.dialled = was_dialled(channel)
        """Whether the server called it, and not it the server."""
        self.own_number: str | None = channel["caller_number"] if self.dialled else None
        """What its configuration calls it; a later number was guessed from what was dialled."""
        self.dialled_by: str | None = None
        """The channel that dials, or has dialled, this one."""
        self.dial_string = ""
        self.hint: str | None = None
        """The name that a queue has for the member at this leg."""
        self.peer: str | None = None
        """The channel that it is bridged with, in 11."""
        self.left: str | None = None
        """The bridge that it has left last."""
        self.places: Mapping[str, str] = _NOWHERE
        """Where it is, by the field of a call that says so: queue, conference, parking …"""
        self.rang = False
        self.talked = False
        self.served = False
        """Of the second half of a Local channel: whether it has ever called anybody."""

    @property
    def local(self) -> bool:
        """Whether it is a half of a Local channel."""
        return self.base is not None

    @property
    def channel(self) -> Channel:
        """The fields of its channel as they are now; empty if the channel is gone."""
        return self.entity.fields

    @property
    def device(self) -> str:
        """What its channel is named after: a phone or trunk."""
        name = self.entity.fields["name"]
        if name is not self._name:
            self._name, self._device = name, device_of(name or "")
        return self._device

    def calls(self) -> None:
        """It calls the server. Up to 13 ``chan_sip`` makes its channel in the state Down, as if
        the server called it (``handle_request_invite``)."""
        if self.dialled_by is None and self.dialled:
            self.dialled, self.own_number = False, None
            self.call.turned = True

    def become(self, other: Leg | None) -> None:
        """It is the channel of another one now, if it is known of which leg. A phone is known by
        its number, whatever caller ID it has."""
        self.dialled, self.own_number, self.hint = True, None, None
        if other is None:
            return
        self.talked = self.talked or other.talked
        if not is_phone(self.device):
            self.dialled, self.own_number = other.dialled, other.own_number
            self.dial_string, self.hint = other.dial_string, other.hint

    def place(self, where: str, what: str | None) -> None:
        """It is in a queue, conference or such now; None for not any more."""
        places = {**self.places}
        places.pop(where, None)
        if what is not None:
            places[where] = what
        self.places = places or _NOWHERE


Identity = tuple[str, str | None, str | None]
"""Who is at a leg: number and name, and the trunk through which."""


def is_real(name: str) -> bool:
    """Whether a channel of that name may have a person at its end."""
    return not name.startswith(_INTERNAL) and not name.endswith(("<ZOMBIE>", "<MASQ>"))


def was_dialled(channel: Channel) -> bool:
    """Whether the server made a channel in order to call somebody."""
    application = channel["application"] or ""
    return channel["state"] in ("down", "ringing", "dialing") or application.startswith(_DIALLED_BY)


def is_person(leg: Leg) -> bool:
    """Whether a leg stands for somebody."""
    return leg.real or (leg.half is not None and _is_front(leg, leg.half))


def is_behind(leg: Leg) -> bool:
    """Whether the state of a leg says nothing: nobody is at it, and nobody has dialled it.

    Who has dialled somebody hears by that leg's state whether it rings.
    """
    return leg.local and leg.dialled_by is None and not is_person(leg)


def _is_front(leg: Leg, half: Leg) -> bool:
    """Whether nothing real is behind the two halves of a Local channel, and of them this is the
    one that stands for both: the one that is called."""
    return leg.dialled and not (half.served or half.dialled or leg.served) and leg.local


def identify(leg: Leg) -> Identity:
    """Who is at a leg; only for one that is a person, and whose channel is there."""
    device = leg.device
    if leg.local:
        return device, leg.hint, None
    channel = leg.entity.fields
    if not leg.dialled:
        return _calling(channel, device)
    if is_phone(device):
        named = channel["caller_name"] if channel["caller_number"] == device else None
        return device, leg.hint or named, None
    trunk, _, last = device.rpartition("/")
    if trunk and is_phone(last):
        return last, leg.hint, trunk
    if called := dialled_number(leg.dial_string, device):
        return called, leg.hint, device
    return leg.own_number or device, leg.hint or _own_name(leg, channel), None


def _calling(channel: Channel, device: str) -> Identity:
    number = channel["caller_number"]
    if number is not None and number == channel["connected_number"] and is_phone(device):
        number = None  # Originate has given it the number that it is to call
    if number is None:
        return device, channel["caller_name"], None
    trunk = device if not is_phone(device) and is_outside(number) else None
    return number, channel["caller_name"], trunk


def _own_name(leg: Leg, channel: Channel) -> str | None:
    name: str | None = channel["caller_name"] if leg.own_number else None
    return name
