"""What the messages of queues say, as keys and fields of entities.

Origin: ``apps/app_queue.c``. Events name a member's interface ``Interface`` (``Location`` in
11, ``Member`` in its Agent events), lists ``Location``; a member's name is ``MemberName``, in
lists ``Name``; what is ``InCall`` is ``IsInCall`` in lists of 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import caller, flag, since_epoch, text, whole
from amiws_gevent.state.merge import Item
from amiws_gevent.state.vocabulary import device_word

# What is null until something says it.
NEW_QUEUE: Mapping[str, Any] = dict.fromkeys(("strategy", "max", "weight"))
NEW_MEMBER: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            "name",
            "state_interface",
            "status",
            "state",
            "paused",
            "paused_since",
            "reason",
            "calls_taken",
            "last_call",
            "penalty",
            "login_time",
            "membership",
            "ring_in_use",
        )
    ),
    "in_call": False,
}


def _names_of(message: Message) -> tuple[str, str]:
    """The queue and the interface of a member."""
    return message.values.get("Queue", ""), text(message, "Interface", "Location", "Member") or ""


def member_key(message: Message) -> str:
    return "|".join(_names_of(message))


def member_of(message: Message) -> tuple[str, dict[str, Any]]:
    """The key of a member, and what a message says of it."""
    values = message.values
    queue, interface = _names_of(message)
    status = whole(message, "Status")
    said: dict[str, Any] = {
        "name": text(message, "MemberName", "Name"),
        "state_interface": text(message, "StateInterface"),
        "status": status,
        "state": None if status is None else device_word(status),
        "paused": flag(message, "Paused"),
        "in_call": flag(message, "IsInCall" if "IsInCall" in values else "InCall"),
        "calls_taken": whole(message, "CallsTaken"),
        "last_call": since_epoch(message, "LastCall"),
        "penalty": whole(message, "Penalty"),
        "login_time": since_epoch(message, "LoginTime"),
        "membership": text(message, "Membership"),
        "ring_in_use": flag(message, "Ringinuse"),
    }
    fields = {name: value for name, value in said.items() if value is not None}
    if "PausedReason" in values or "Reason" in values:
        fields["reason"] = text(message, "PausedReason", "Reason")
    return f"{queue}|{interface}", {"queue": queue, "interface": interface, **fields}


def listed_caller(item: Message, queue: str, now: int) -> Item:
    since = now - 1000 * (whole(item, "Wait") or 0)
    times = {"since": since, "server_since": None}
    place = {"position": whole(item, "Position") or 1}
    return Item({"queue": queue, **fields_of(item)}, {**times, **place})


def listed_member(item: Message, fields: dict[str, Any], figures: Mapping[str, int]) -> Item:
    """A list says of members of a realtime queue that they are static; their events know better."""
    estimates = {**NEW_MEMBER, **figures}
    if fields.get("membership") == "static":
        estimates["membership"] = fields.pop("membership")
    if fields.get("paused"):
        return Item(fields, {**estimates, "paused_since": since_epoch(item, "LastPause")})
    return Item({**fields, "reason": None, "paused_since": None}, estimates)


def queue_of(item: Message) -> dict[str, Any]:
    return {
        "name": item.get("Queue") or "",
        "strategy": text(item, "Strategy"),
        "max": whole(item, "Max") or None,
        "weight": whole(item, "Weight"),
    }


def caller_of(message: Message) -> tuple[str, str]:
    """The key of a caller, and the queue."""
    return message.get("Uniqueid") or "", message.get("Queue") or ""


def fields_of(message: Message) -> dict[str, Any]:
    who = caller(message)
    return {"channel": who.channel, "number": who.number, "name": who.name}
