"""Conferences with their participants: ConfBridge, and MeetMe (to 20).

Origin: ``apps/app_confbridge.c``, ``apps/confbridge/confbridge_manager.c``,
``apps/app_meetme.c``. To 12 ConfBridge tells no mutes, and lists name participants by their
channels alone. MeetMe has no event for a conference that begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.state.headers import caller, flag, whole
from amiws_gevent.state.merge import Item, ListedPart

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
    def lists(self) -> Mapping[str, Callable[[Sequence[Message], int], None]]:
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
        parties = sum(fields["conference"] == key for fields in self._participants().values())
        if parties == 0:
            fresh = _fresh(application, name)
            self.renew(CONFERENCE, key, **{**fresh, **self.since(message)})

    def _ended(self, message: Message) -> None:
        self._remove_conference("|".join(_conference_of(message)))

    def _remove_conference(self, key: str) -> None:
        self.store.remove(CONFERENCE, key)
        for participant, fields in self._participants().items():
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
            "user": whole(message, "Usernum"),
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
        for key, fields in self._participants().items():
            if fields["channel"] == channel and (uniqueid is None or fields["uniqueid"] is None):
                return key
        return uniqueid or channel or ""

    def _participants(self) -> dict[str, Mapping[str, Any]]:
        return self.store.of(PARTICIPANT)

    # -- lists -----------------------------------------------------------------------

    def _rooms(self, application: str, items: Sequence[Message], asked: int) -> None:
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
        # Whoever has joined since is in a conference that there is.
        joined = {
            fields["conference"]
            for key, fields in self._participants().items()
            if self.store.born(PARTICIPANT, key) > asked
        }
        merged = self.merge(
            CONFERENCE,
            rooms,
            asked,
            lambda known: (
                known["application"] == application
                and f"{application}|{known['name']}" not in joined
            ),
        )
        for key in merged.removed:
            self._remove_conference(key)

    def _listed(self, application: str, items: Sequence[Message], asked: int) -> None:
        """Each list is of one conference. An empty one does not say of which; that one is not
        among the rooms either."""
        conferences = {f"{application}|{item.get('Conference') or ''}" for item in items}
        participants = {}
        for item in items:
            fields = {
                "conference": f"{application}|{item.get('Conference') or ''}",
                **{name: value for name, value in caller(item)._asdict().items() if value},
                "user": whole(item, "UserNumber"),
                "admin": flag(item, "Admin"),
                "marked": flag(item, "MarkedUser"),
                "waiting": flag(item, "Waiting"),
                "muted": _muted(item),
            }
            if item.has("Talking"):
                fields["talking"] = flag(item, "Talking")  # MeetMe has "Not monitored" too
            participants[self._find(item)] = Item(fields, _PARTICIPANT)
        self.merge(
            PARTICIPANT, participants, asked, lambda known: known["conference"] in conferences
        )
        for key in conferences:
            there = [1 for known in self._participants().values() if known["conference"] == key]
            if self.store.get(CONFERENCE, key) is not None:
                self.store.put(CONFERENCE, key, parties=len(there))


def _conference_of(message: Message) -> tuple[str, str]:
    """The application, and the name of the conference."""
    name = message.get("Meetme")
    return (CONFBRIDGE, message.get("Conference") or "") if name is None else (MEETME, name)


def _fresh(application: str, name: str) -> dict[str, Any]:
    return {**_CONFERENCE, "name": name, "application": application}


def _muted(item: Message) -> bool:
    """MeetMe says "By admin" and "By self"."""
    return (item.get("Muted") or "").casefold() not in ("", "no")
