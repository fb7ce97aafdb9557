"""Conferences with their participants: ConfBridge, and MeetMe (to 20).

Origin: ``apps/app_confbridge.c``, ``apps/confbridge/confbridge_manager.c``,
``apps/app_meetme.c``. To 12 ConfBridge tells no mutes, and lists name participants by their
channels alone. MeetMe has no event for a conference that begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.state.channels import put_who_has
from amiws_gevent.state.headers import caller, flag, whole
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Headers, Steps, TakeList, TakeNews

CONFERENCE, PARTICIPANT = "conference", "participant"
CONFBRIDGE, MEETME = "confbridge", "meetme"

# What is null until something says it.
_CONFERENCE: Mapping[str, Any] = {
    "parties": 0,
    "locked": False,
    "muted": False,
    "recording": False,
    "since": None,
    "server_since": None,
}
_PARTICIPANT: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            *("uniqueid", "channel", "number", "name", "user", "admin", "marked", "waiting"),
            *("since", "server_since"),
        )
    ),
    "muted": False,
    "talking": False,
}


class ConferencesPart(ListedPart):
    """The kinds ``conference`` (key application|name) and ``participant``.

    A participant's key is the Uniqueid of its channel, or the channel's name where nothing
    has told the Uniqueid.
    """

    kinds = (CONFERENCE, PARTICIPANT)

    @property
    def news(self) -> Mapping[str, TakeNews]:
        return {"newcallerid": self._changed, "rename": self._changed}

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {
            "confbridgestart": self._started,
            "confbridgeend": self._ended,
            "confbridgejoin": self._joined,
            "confbridgeleave": self._left,
            "confbridgetalking": lambda message: self._mark(message, "talking", "TalkingStatus"),
            "confbridgemute": lambda message: self._set(message, muted=True),
            "confbridgeunmute": lambda message: self._set(message, muted=False),
            "confbridgerecord": lambda message: self._record(message, True),
            "confbridgestoprecord": lambda message: self._record(message, False),
            "meetmejoin": self._joined,
            "meetmeleave": self._left,
            "meetmeend": self._ended,
            "meetmetalking": lambda message: self._mark(message, "talking", "Status"),
            "meetmemute": lambda message: self._mark(message, "muted", "Status"),
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {
            "confbridgelistrooms": lambda items, asked: self._rooms(CONFBRIDGE, items, asked),
            "meetmelistrooms": lambda items, asked: self._rooms(MEETME, items, asked),
            "confbridgelist": lambda items, asked: self._listed(CONFBRIDGE, items, asked),
            "meetmelist": lambda items, asked: self._listed(MEETME, items, asked),
        }

    # -- events ----------------------------------------------------------------------

    def _started(self, message: Message) -> None:
        """A join may come first."""
        application, name = _conference_of(message)
        key = f"{application}|{name}"
        parties = sum(fields["conference"] == key for _, fields in self._participants())
        if parties == 0:
            fresh = _fresh(application, name)
            self.renew(CONFERENCE, key, **{**fresh, **self.since(message)})

    def _ended(self, message: Message) -> None:
        self._remove_conference("|".join(_conference_of(message)))

    def _remove_conference(self, key: str) -> None:
        self.store.remove(CONFERENCE, key)
        for participant, fields in list(self._participants()):
            if fields["conference"] == key:
                self.store.remove(PARTICIPANT, participant)

    def _joined(self, message: Message) -> None:
        application, name = _conference_of(message)
        conference = f"{application}|{name}"
        key, who = self._find(message), caller(message)
        if self.store.get(PARTICIPANT, key) is not None:
            self._leave(key)
        if self.store.get(CONFERENCE, conference) is None:
            fresh = _fresh(application, name)
            self.store.put(CONFERENCE, conference, **{**fresh, **self.since(message)})
        fields = {
            "conference": conference,
            **who._asdict(),
            "user": whole(message, "User" if message.has("User") else "Usernum"),  # from 12 on, 11
            "admin": flag(message, "Admin"),
            "muted": bool(flag(message, "Muted")),
            **self.since(message),
        }
        self.store.put(PARTICIPANT, who.uniqueid or key, **{**_PARTICIPANT, **fields})
        self._count(conference, 1)

    def _left(self, message: Message) -> None:
        key = self._find(message)
        known = self.store.get(PARTICIPANT, key)
        if known is not None and known["conference"] == "|".join(_conference_of(message)):
            self._leave(key)

    def _leave(self, key: str) -> None:
        known = self.store.get(PARTICIPANT, key)
        if known is not None:
            self.store.remove(PARTICIPANT, key)
            self._count(known["conference"], -1)

    def _count(self, conference: str, by: int) -> None:
        known = self.store.get(CONFERENCE, conference)
        if known is not None:
            self.store.put(CONFERENCE, conference, parties=max(0, known["parties"] + by))

    def _mark(self, message: Message, field: str, header: str) -> None:
        self._set(message, **{field: bool(flag(message, header))})

    def _set(self, message: Message, **fields: bool) -> None:
        """Mute of a whole conference names no channel."""
        if not message.has("Channel"):
            self._put_conference(message, **fields)
            return
        key = self._find(message)
        if self.store.get(PARTICIPANT, key) is not None:
            self.store.put(PARTICIPANT, key, **fields)

    def _record(self, message: Message, recording: bool) -> None:
        self._put_conference(message, recording=recording)

    def _put_conference(self, message: Message, **fields: bool) -> None:
        key = "|".join(_conference_of(message))
        if self.store.get(CONFERENCE, key) is not None:
            self.store.put(CONFERENCE, key, **fields)

    def _find(self, message: Message) -> str:
        """The key under which a participant is known, or that it would get."""
        uniqueid, channel = message.get("Uniqueid"), message.get("Channel")
        if uniqueid is not None and self.store.get(PARTICIPANT, uniqueid) is not None:
            return uniqueid
        for key, fields in self._participants():
            if fields["channel"] == channel and (uniqueid is None or fields["uniqueid"] is None):
                return key
        return uniqueid or channel or ""

    def _changed(self, values: Headers) -> None:
        put_who_has(self.store, PARTICIPANT, values)

    def _participants(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return ((key, entity.fields) for key, entity in self.store.entities(PARTICIPANT).items())

    # -- lists -----------------------------------------------------------------------

    def _rooms(self, application: str, items: Sequence[Message], asked: int) -> Steps:
        rooms = {}
        for item in items:
            name = item.get("Conference") or ""
            fields: dict[str, Any] = {
                "name": name,
                "application": application,
                "parties": whole(item, "Parties"),
                "locked": flag(item, "Locked"),
            }
            if item.has("Muted"):
                fields["muted"] = flag(item, "Muted")
            rooms[f"{application}|{name}"] = Item(fields, _CONFERENCE)
            yield
        for key, room in rooms.items():
            self.take(CONFERENCE, key, room, asked)
            yield
        for key in self.store.keys(CONFERENCE):
            if key not in rooms and key.startswith(f"{application}|"):
                self._miss_room(key, asked)
            yield

    def _miss_room(self, key: str, asked: int) -> None:
        """Whoever has joined since is in a conference that there is."""
        inside = [name for name, fields in self._participants() if fields["conference"] == key]
        older = all(self.store.born(PARTICIPANT, name) <= asked for name in inside)
        if older and self.miss(CONFERENCE, key, asked):
            self._remove_conference(key)

    def _listed(self, application: str, items: Sequence[Message], asked: int) -> Steps:
        """Each list is of one conference. An empty one does not say of which; that one is not
        among the rooms either."""
        conferences = set()
        participants = set()
        for item in items:
            conference = f"{application}|{item.get('Conference') or ''}"
            conferences.add(conference)
            fields = {
                "conference": conference,
                **{name: value for name, value in caller(item)._asdict().items() if value},
                "user": whole(item, "UserNumber"),
                "admin": flag(item, "Admin"),
                "marked": flag(item, "MarkedUser"),
                "waiting": flag(item, "Waiting"),
                "muted": _muted(item),
            }
            if item.has("Talking"):
                fields["talking"] = flag(item, "Talking")  # MeetMe has "Not monitored" too
            key = self._find(item)
            self.take(PARTICIPANT, key, Item(fields, _PARTICIPANT), asked)
            participants.add(key)
            yield
        for key in self.store.keys(PARTICIPANT):
            known = self.store.get(PARTICIPANT, key)
            listed = known is not None and known["conference"] in conferences
            if listed and key not in participants:
                self.miss(PARTICIPANT, key, asked)
            yield
        for key in conferences:
            there = sum(known["conference"] == key for _, known in self._participants())
            if self.store.get(CONFERENCE, key) is not None:
                self.store.put(CONFERENCE, key, parties=there)
            yield


def _conference_of(message: Message) -> tuple[str, str]:
    """The application, and the name of the conference."""
    name = message.get("Meetme")
    return (CONFBRIDGE, message.get("Conference") or "") if name is None else (MEETME, name)


def _fresh(application: str, name: str) -> dict[str, Any]:
    return {**_CONFERENCE, "name": name, "application": application}


def _muted(item: Message) -> bool:
    """MeetMe says "By admin" and "By self"."""
    return (item.get("Muted") or "").casefold() not in ("", "no")
