"""Channels: what Asterisk says of each. Who talks to whom is told by the calls.

A channel is made by Newchannel or a list alone: an event of one that is not known, such as
one that comes after its Hangup, makes no ghost. From 12 on each event carries all that is
known of its channel; 11 says what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from amiws_gevent.ami import Message
from amiws_gevent.state.bridges import KIND as BRIDGE
from amiws_gevent.state.bridges import LINKING, remove_member, seat_members
from amiws_gevent.state.channelnews import (
    News,
    all_news,
    fill,
    news_of_account,
    news_of_dialplan,
    news_of_item,
    news_of_people,
)
from amiws_gevent.state.compact import Forms
from amiws_gevent.state.part import Headers, Part, Steps, TakeList, TakeNews
from amiws_gevent.state.store import Entity, Store
from amiws_gevent.state.words import (
    INTERN,
    age,
    filled,
    last_words,
    local_base,
    milliseconds,
    number,
)

KIND: Final = "channel"


class Follower(Part):
    """Who is told of each change of a channel: the calls.

    A class and no protocol: where it is compiled, its methods are called without a look-up. As with
    `Part`, what is not overridden does nothing.
    """

    def channel_changed(self, key: str, fields: dict[str, Any], values: Headers) -> None:
        """An event with these headers, which are most of all, has changed these fields."""

    def channel_found(self, entity: Entity) -> None:
        """A list has made a channel."""

    def channel_missed(self, key: str) -> None:
        """A channel has gone, as a list does not have it."""

    def look_again(self, keys: Iterable[str]) -> None:
        """A list has said something of these channels."""


MOST_LINKED: Final = 50
"""Members of a bridge that are all looked at when one enters; it takes 25 µs."""

_MOST_EARLY: Final = 100  # as many as can be under way at once between two queues of the server

# AST_CHAN_TP_INTERNAL: no event tells of them, of the lists Status alone.
_HIDDEN: Final = ("Announcer/", "CBAnn/", "CBRec/", "Message/", "Recorder/", "Surrogate/")

_BLANK: Final[dict[str, Any]] = {
    "uniqueid": None,
    "name": None,
    "state": "unknown",
    "caller_number": None,
    "caller_name": None,
    "connected_number": None,
    "connected_name": None,
    "context": None,
    "exten": None,
    "application": None,
    "account": None,
    "linkedid": None,
    "created": None,
    "server_created": None,
    "answered": None,
    "server_answered": None,
    "bridge": None,
    "hold": False,
    "hangup_cause": None,
}

FIELDS: Final = tuple(_BLANK)

_FRESH: Final = Forms().template(KIND, _BLANK)

_NEWS: Final[Mapping[str, News]] = {
    "newstate": all_news,
    "newcallerid": news_of_people,
    "newconnectedline": news_of_people,
    "newexten": news_of_dialplan,
    "newaccountcode": news_of_account,
}


def uniqueid(values: Headers) -> str:
    """The key of a message's channel, however its version spells it; "" for none."""
    return values.get("Uniqueid") or values.get("UniqueID") or ""


def who_has(store: Store, channel: str) -> dict[str, str | None]:
    """Whose a channel is now, as fields of who waits with it; nothing if it is not known."""
    known = store.get(KIND, channel)
    if known is None:
        return {}
    names = {"channel": "name", "number": "caller_number", "name": "caller_name"}
    return {name: known[source] for name, source in names.items()}


def put_who_has(store: Store, kind: str, values: Headers) -> None:
    """Whoever waits with the event's channel is another since a transfer, or has got a name."""
    key = uniqueid(values)
    if key in store.entities(kind):
        store.put(kind, key, **who_has(store, key))


class Channels(Part):
    """The kind ``channel``; stands behind the bridges and before the calls."""

    def __init__(self, store: Store, follower: Follower) -> None:
        super().__init__(store)
        self._follower = follower
        self._entities = store.entities(KIND)
        self._early: dict[str, dict[str, Any]] = {}
        """What overtook the Newchannel of a channel, the oldest first."""

    @property
    def news(self) -> Mapping[str, TakeNews]:
        return {
            "newchannel": self._created,
            "hangup": self._hung_up,
            "rename": self._renamed,
            "hold": self._held,
            "unhold": self._unheld,
            "hanguprequest": self._told_to_hang_up,
            "softhanguprequest": self._told_to_hang_up,
            "bridgeenter": self._entered,
            "bridgeleave": self._left,
            "bridgedestroy": self._bridge_destroyed,
            **{name: self._change_by(news) for name, news in _NEWS.items()},
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {"coreshowchannels": self._listed, "status": self._listed}

    def reset(self) -> Steps:
        for channel in self.store.keys(KIND):
            self._miss(channel)
            yield

    def _remove(self, channel: str) -> bool:
        """Take a channel away of whose end no event tells; whether it was there."""
        there = self.store.get(KIND, channel)
        if there is None:
            return False
        if there["bridge"] is not None:
            remove_member(self.store, there["bridge"], channel)
        return self.store.remove(KIND, channel)

    def _miss(self, channel: str) -> None:
        if self._remove(channel):
            self._follower.channel_missed(channel)

    def _created(self, values: Headers) -> None:
        channel = INTERN(uniqueid(values))
        if not channel:
            return
        there = self.store.get(KIND, channel)
        if there is not None and there["name"] != values.get("Channel"):
            self._remove(channel)  # the key comes again, the end of the last was lost
            there = None
        if there is None:
            made = _FRESH.copy()
            fill(made, values)
            self._complete(made, channel, values)
            made["created"] = self.now
            if "Timestamp" in values:
                made["server_created"] = _stamp(values)
            if self._early:
                made.update(self._early.pop(channel, {}))
            self.store.make(KIND, channel, made)
        elif fields := all_news(values, there):
            self.store.put(KIND, channel, **fields)
            self._note_answer(channel, values)

    def _complete(self, made: dict[str, Any], channel: str, values: Headers) -> None:
        """Add what follows from the fields of a new channel that are told."""
        made["uniqueid"] = channel
        if made["state"] == "up":
            made["answered"], made["server_answered"] = self.now, _stamp(values)

    def _change_by(self, news: News) -> TakeNews:
        """Takes the news of an event; a closure, since most events are these."""
        entities = self._entities

        def change(values: Headers) -> None:
            try:
                channel = values["Uniqueid"]
                entity = entities[channel]
            except KeyError:  # it has another spelling, or is not known
                channel = uniqueid(values)
                found = entities.get(channel)
                if found is None:
                    return
                entity = found
            if fields := news(values, entity.fields):
                self._put_news(channel, entity, fields, values)

        return change

    def _put_news(
        self, channel: str, entity: Entity, fields: dict[str, Any], values: Headers
    ) -> None:
        if "state" in fields and fields["state"] == "up" and entity.fields["answered"] is None:
            fields["answered"] = self.now
            if (stamp := milliseconds(values.get("Timestamp"))) is not None:
                fields["server_answered"] = stamp
        self.store.update(KIND, channel, entity, fields)
        self._follower.channel_changed(channel, fields, values)

    def _note_answer(self, channel: str, values: Headers) -> None:
        fields = self.store.get(KIND, channel) or {}
        if fields["state"] == "up" and fields["answered"] is None:
            stamp = milliseconds(values.get("Timestamp"))
            self.store.put(KIND, channel, answered=self.now, server_answered=stamp)

    def _put_or_keep(self, channel: str, **fields: Any) -> None:
        """Change a channel, or keep the change for when it comes."""
        if self.store.get(KIND, channel) is not None:
            self.store.put(KIND, channel, **fields)
        elif channel and self.store.gone(KIND, channel) == 0:
            self._early.setdefault(channel, {}).update(fields)
            for oldest in list(islice(self._early, max(0, len(self._early) - _MOST_EARLY))):
                del self._early[oldest]

    def _renamed(self, values: Headers) -> None:
        if name := values.get("Newname"):
            self._put_or_keep(uniqueid(values), name=name)

    def _held(self, values: Headers) -> None:
        """11 says On or Off with the same event."""
        self._hold(values, values.get("Status") != "Off")

    def _unheld(self, values: Headers) -> None:
        self._hold(values, False)

    def _hold(self, values: Headers, hold: bool) -> None:
        channel = uniqueid(values)
        entity = self._entities.get(channel)
        if entity is None:
            return
        fields = all_news(values, entity.fields)
        if entity.fields["hold"] != hold:
            fields["hold"] = hold
        if fields:
            self._put_news(channel, entity, fields, values)

    def _told_to_hang_up(self, values: Headers) -> None:
        cause = number(values.get("Cause"))
        entity = None if cause is None else self._entities.get(uniqueid(values))
        if entity is not None and cause != entity.fields["hangup_cause"]:
            self.store.update(KIND, entity.fields["uniqueid"], entity, {"hangup_cause": cause})

    def _hung_up(self, values: Headers) -> None:
        channel = uniqueid(values)
        if self._early:
            self._early.pop(channel, None)
        self.store.remove(KIND, channel, last_words(values.get("Cause"), values.get("Cause-txt")))

    def _entered(self, values: Headers) -> None:
        channel, bridge = uniqueid(values), filled(values.get("BridgeUniqueid", ""))
        there = self.store.get(KIND, channel)
        if there is None:
            self._put_or_keep(channel, bridge=bridge)
            return
        self.store.put(KIND, channel, **{**all_news(values, there), "bridge": bridge})
        if swapped := values.get("SwapUniqueid"):
            self._take_out(swapped, bridge)
        if bridge and values.get("BridgeType") in LINKING:
            self._link(bridge, channel)

    def _link(self, bridge: str, entered: str) -> None:
        """Give all members the oldest Linkedid: the server does, and tells it of no one.

        Where many are, all but who has just entered have been given one.
        """
        named = (self.store.get(BRIDGE, bridge) or {}).get("members", ())
        if len(named) > MOST_LINKED and self._follows(entered, named[0]):
            named = (named[0], entered)
        members = [
            (member, fields)
            for member in named
            if (fields := self.store.get(KIND, member)) is not None
        ]
        linkedids = {fields["linkedid"] for _, fields in members if fields["linkedid"]}
        if len(linkedids) < 2:
            return
        oldest = min(linkedids, key=self._age)
        for member, _ in members:
            self.store.put(KIND, member, linkedid=oldest)

    def _follows(self, entered: str, first: str) -> bool:
        """Whether of two members the first has the older Linkedid, or the same."""
        one, other = self.store.get(KIND, first), self.store.get(KIND, entered)
        if one is None or other is None or not one["linkedid"] or not other["linkedid"]:
            return False
        return self._age(one["linkedid"]) <= self._age(other["linkedid"])

    def _age(self, linkedid: str) -> tuple[int, int]:
        known_age = age(linkedid)
        if known_age is not None:
            return known_age
        return ((self.store.get(KIND, linkedid) or {}).get("created") or 0) // 1000, 0

    def _left(self, values: Headers) -> None:
        channel = uniqueid(values)
        there = self.store.get(KIND, channel)
        if there is None:
            self._early.pop(channel, None)
            return
        fields = all_news(values, there)
        if there["bridge"] == values.get("BridgeUniqueid"):
            fields.update(bridge=None, hold=False)  # whom it held is no more with it
        self.store.put(KIND, channel, **fields)

    def _take_out(self, channel: str, bridge: str | None) -> None:
        there = self.store.get(KIND, channel)
        if there is not None and there["bridge"] == bridge:
            self.store.put(KIND, channel, bridge=None)

    def _bridge_destroyed(self, values: Headers) -> None:
        bridge = values.get("BridgeUniqueid")
        for early in self._early.values():
            if early.get("bridge") == bridge:
                del early["bridge"]

    def _listed(self, items: Sequence[Message], asked: int) -> Steps:
        now = self.now  # when the list came: what it tells is as old as it said then
        together: dict[str, dict[str, Headers]] = {}
        found = set()
        for item in items:
            values = item.values
            name = values.get("Channel", "")
            if item.name in ("CoreShowChannel", "Status") and not name.startswith(_HIDDEN):
                channel = INTERN(uniqueid(values))
                found.add(channel)
                key = values.get("Linkedid") or local_base(name) or channel
                together.setdefault(key, {})[channel] = values
            yield
        for channels in together.values():  # of each call the oldest first
            for channel in sorted(channels, key=self._age) if len(channels) > 1 else channels:
                self._take_item(channel, channels[channel], asked, now)
                yield
        for channel in self.store.keys(KIND):
            if channel not in found and 0 < self.store.born(KIND, channel) <= asked:
                self._miss(channel)
            yield
        yield from seat_members(self.store, self._follower.look_again)

    def _take_item(self, channel: str, values: Headers, asked: int, now: int) -> None:
        there = self.store.get(KIND, channel)
        if there is not None:
            fields = news_of_item(values, there)
            if fields and self.store.merge(KIND, channel, asked, **fields):
                self._note_answer(channel, values)
                self._follower.look_again((channel,))
        elif channel and not self.store.may_have_gone(KIND, channel, asked):
            made = _FRESH.copy()
            for name, value in news_of_item(values, _BLANK).items():
                made[name] = value
            self._complete(made, channel, values)
            made["created"] = now - 1000 * _seconds(values)
            self._follower.channel_found(self.store.make(KIND, channel, made))


def _stamp(values: Headers) -> int | None:
    """The time of the server, if it says so."""
    return milliseconds(values.get("Timestamp"))


def _seconds(values: Headers) -> int:
    """How long a channel of a list has been there: ``Seconds``, or ``Duration`` as h:m:s."""
    if (seconds := number(values.get("Seconds"))) is not None:
        return seconds
    total = 0
    for piece in values.get("Duration", "").split(":"):
        total = total * 60 + (number(piece) or 0)
    return total
