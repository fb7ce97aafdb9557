"""Calls: what people call one, from the legs that belong together.

From 12 on those with one Linkedid do, and those that meet in a bridge that gives its members
the oldest; in 11 those that dial each other or are bridged. The key of a call is the Linkedid
that it has had longest (in 11 the Uniqueid of its oldest channel): it stays through transfers,
pickup, parking and the end of Local channels. Where two calls become one, the older stays.

This part stands behind those of the bridges and channels, which have taken each event before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from amiws_gevent.ami import Message
from amiws_gevent.state.applications import DIALLING, PLUMBING
from amiws_gevent.state.bridges import CONFERENCE, LINKING
from amiws_gevent.state.callview import KIND, refresh
from amiws_gevent.state.channels import FIELDS, Follower, uniqueid
from amiws_gevent.state.company import company_of
from amiws_gevent.state.part import Headers, Steps, TakeEvent, TakeNews
from amiws_gevent.state.people import Call, Leg, identify, is_behind, is_person, is_real
from amiws_gevent.state.store import Entity, Store
from amiws_gevent.state.way import Moment, Way, lengthened, step
from amiws_gevent.state.words import age, device_of, known, last_words, local_base, milliseconds

MOST_LEGS = 250
"""Of one call: each event of a leg has all looked at, which takes half a millisecond then. What
would belong to a full call becomes one of its own."""

MOST_IN_A_ROW: Final = 5
"""Local channels through which somebody is looked for."""

# Applications that say nothing of the call that runs them.
_SILENT: Final = (PLUMBING - DIALLING) | {None}

_NOT_ANSWERED: Final = frozenset(
    {"BUSY", "CANCEL", "CHANUNAVAIL", "CONGESTION", "NOANSWER", "ABORT", "DONTCALL", "INVALIDARGS"}
)

# What a field of a channel says of its call: which one it is, and of the leg how it is, what it
# does, where in the dialplan, and who is at it. To look for each name takes five times as long.
_WHICH: Final = 1
_STATE: Final = 2
_DOES: Final = 4
_WHERE: Final = 8
_WHO: Final = 16
_SAYS: Final[dict[str, int]] = {
    **dict.fromkeys(FIELDS, 0),
    "linkedid": _WHICH,
    "bridge": _WHICH,
    "hold": _WHICH,
    "name": _WHICH,
    "state": _STATE,
    "application": _DOES,
    "exten": _WHERE,
    "caller_number": _WHO,
    "caller_name": _WHO,
}


class Ended(NamedTuple):
    """A call that is over, with all that it told last; ``way`` ends with its end."""

    key: str
    fields: Mapping[str, Any]
    ended: int
    cause: int | None
    cause_text: str | None
    merged_into: str | None


class Calls(Follower):
    """The kind ``call``; ``ended`` gets each call that is over.

    ``started`` gets the time at which a call began, with 1; or with -1 if what seemed to be a call
    was a channel of another one.
    """

    def __init__(
        self,
        store: Store,
        ended: Callable[[Ended], None] | None = None,
        started: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__(store)
        self._channels = store.entities("channel")
        self._ended = ended
        self._started = started
        self._legs: dict[str, Leg] = {}
        self._calls: dict[str, Call] = {}
        """By Linkedid; a call that took in others has several."""
        self._moving: tuple[str, Leg | None] = "", None
        """Who gave away a name last, and that name."""
        self._locals: dict[str, Leg] = {}
        """The halves of Local channels that wait for the other, by the name of both."""

    @property
    def news(self) -> Mapping[str, TakeNews]:
        return {
            "newchannel": self._created,
            "rename": self._renamed,
            "hangup": self._hung_up,
            "bridgeenter": self._entered,
            "bridgeleave": self._left,
            "bridge": self._bridged,
            "dialbegin": self._dials,
            "dialend": self._dialled,
            "dial": self._dials_or_dialled,
        }

    @property
    def events(self) -> Mapping[str, TakeEvent]:
        return {
            "blindtransfer": self._transferred_blindly,
            "attendedtransfer": self._transferred,
            "transfer": self._transferred_by_phone,
            "pickup": self._picked_up,
            "queuecallerjoin": self._queued,
            "join": self._queued,
            "queuecallerleave": self._unqueued,
            "leave": self._unqueued,
            "queuecallerabandon": self._abandoned,
            "agentcalled": self._member_called,
            "agentconnect": self._member_connected,
            "parkedcall": self._parked,
            "parkedcallswap": self._took_place,
            "unparkedcall": self._unparked,
            "parkedcalltimeout": self._unparked,
            "parkedcallgiveup": self._unparked,
            "confbridgejoin": self._joined,
            "meetmejoin": self._joined,
            "confbridgeleave": self._parted,
            "meetmeleave": self._parted,
            "chanspystart": self._listens,
            "chanspystop": self._stopped_listening,
        }

    def call_of(self, channel: str) -> str | None:
        """The key of the call that a channel belongs to, by its Uniqueid; None if it has none."""
        leg = self._legs.get(channel)
        return None if leg is None else leg.call.key

    def reset(self) -> Steps:
        for key in list(self._legs):
            if key in self._legs:
                self._drop(self._legs[key], (self.now, None))
            yield
        self._locals.clear()

    # Legs come and go

    def _created(self, values: Headers) -> None:
        key = uniqueid(values)
        entity = self._channels.get(key)
        if entity is None:
            return
        leg = self._legs.get(key)
        if leg is not None and leg.entity is not entity:
            leg = self._begin_anew(leg, entity, values)
        self._refresh(self._add(entity) if leg is None else leg, values)

    def _begin_anew(self, old: Leg, entity: Entity, values: Headers) -> Leg:
        """A key comes again, and the end of the channel that had it was lost. If a call began with
        that it is over; those of it who are there all the same have the Linkedid of the new one."""
        before = list(old.call.legs.values()) if old.call.key == old.key else [old]
        for leg in before:
            self._drop(leg, self._moment(values))
        begun = self._add(entity)
        for leg in before:
            if leg.key != old.key and leg.entity.fields:
                self._refresh(self._add(leg.entity), values)
        return begun

    def _add(self, entity: Entity) -> Leg:
        channel = entity.fields
        key = channel["uniqueid"]
        base = local_base(channel["name"] or "")
        half = None if base is None else self._locals.get(base)
        call = self._call_for(key, channel, half)
        leg = Leg(key, entity, call)
        call.legs[key] = self._legs[key] = leg
        call.regrouped = True
        if base is not None:
            if half is None:
                self._locals[base] = leg
            else:
                del self._locals[base]
                leg.half, half.half = half, leg
                self._join(half.call, call)
        return leg

    def _call_for(self, key: str, channel: dict[str, Any], half: Leg | None) -> Call:
        linkedid = channel["linkedid"]
        call = self._calls.get(linkedid or key)
        if call is None and linkedid is None and half is not None:
            call = half.call
        if call is not None and len(call.legs) >= MOST_LEGS:
            linkedid, call = key, self._calls.get(key)
        if call is None:
            call = Call(linkedid or key, channel["created"])
            self._alias(call, linkedid or key)
            self._count(call, 1)
        return call

    def _count(self, call: Call, by: int) -> None:
        if self._started is not None:
            self._started(call.created, by)

    def _alias(self, call: Call, linkedid: str) -> None:
        self._calls[linkedid] = call
        if linkedid != call.key:
            call.linkedids = (*call.linkedids, linkedid)

    def _hung_up(self, values: Headers) -> None:
        leg = self._legs.get(uniqueid(values))
        if leg is None:
            return
        call = leg.call
        caller = None if call.entity is None else call.entity.fields["caller"]
        if call.cause is None or (caller is not None and caller["channel"] == leg.key):
            words = last_words(values.get("Cause"), values.get("Cause-txt"))
            call.cause, call.cause_text = words["cause"], words["cause_text"]
        self._drop(leg, self._moment(values))

    def _drop(self, leg: Leg, moment: Moment) -> None:
        call = leg.call
        del self._legs[leg.key], call.legs[leg.key]
        if leg.half is not None:
            leg.half.half = None
        elif leg.base is not None and self._locals.get(leg.base) is leg:
            del self._locals[leg.base]
        call.regrouped = True
        if call.legs:
            refresh(call, self.store, moment)
        else:
            self._end(call, moment)

    def _end(self, call: Call, moment: Moment, merged_into: str | None = None) -> None:
        for linkedid in (call.key, *call.linkedids):
            if self._calls.get(linkedid) is call:
                del self._calls[linkedid]
        told = self.store.get(KIND, call.key)
        last = {"ended": self.now, "cause": call.cause, "cause_text": call.cause_text}
        if merged_into is not None:
            last = {"ended": self.now, "merged_into": merged_into}
        self.store.remove(KIND, call.key, last)
        if self._ended is None or told is None:
            return
        fields = dict(told)
        if merged_into is None:
            end = step("ended", moment, cause=call.cause, text=call.cause_text)
            fields["way"] = lengthened(fields["way"], [end])
        self._ended(Ended(call.key, fields, self.now, call.cause, call.cause_text, merged_into))

    def _join(self, one: Call, other: Call) -> None:
        """Make two calls one: the older stays, and has the legs of both by their age.

        Unless that would be too large a one.
        """
        if one is other or len(one.legs) + len(other.legs) > MOST_LEGS:
            return
        old, new = sorted((one, other), key=self._age)
        for linkedid in (new.key, *new.linkedids):
            self._alias(old, linkedid)
        new.linkedids = ()
        if len(new.legs) == 1 or all(leg.local or leg.dialled_by for leg in new.legs.values()):
            self._count(new, -1)  # no call of its own: one that was dialled (11), or picks up
        for leg in new.legs.values():
            leg.call = old
        old.met |= new.met
        legs = [*old.legs.values(), *new.legs.values()]
        legs.sort(key=lambda leg: leg.created)
        old.legs = {leg.key: leg for leg in legs}
        old.regrouped = True
        fields = self.store.get(KIND, old.key)
        if fields is not None and self.store.get(KIND, new.key) is not None:
            self.store.put(KIND, old.key, merged=[*fields["merged"], new.key][-10:])
        self._end(new, (self.now, None), merged_into=old.key)

    def _age(self, call: Call) -> tuple[int, int]:
        return age(call.key) or (call.created // 1000, 0)

    # What happens to a leg

    def _moment(self, values: Headers) -> Moment:
        return self.now, milliseconds(values.get("Timestamp"))

    def _refresh(self, leg: Leg, values: Headers, steps: Way | None = None) -> None:
        linkedid = leg.entity.fields.get("linkedid")
        if linkedid is not None and self._calls.get(linkedid) is not leg.call:
            self._follow_linkedid(leg, linkedid)
        refresh(leg.call, self.store, self._moment(values), steps)

    def _follow_linkedid(self, leg: Leg, linkedid: str) -> None:
        """Who has another Linkedid now is of the call that has it."""
        call = self._calls.get(linkedid)
        if call is None:
            self._alias(leg.call, linkedid)
        else:
            self._join(call, leg.call)

    def _step(self, values: Headers, what: str, **details: Any) -> Way:
        return [step(what, self._moment(values), **details)]

    def _number(self, key: str | None) -> str | None:
        """The number of who is at a leg, or heard through it; None if it is none of ours."""
        leg = self._legs.get(key or "")
        for _ in range(MOST_IN_A_ROW):
            beyond = None if leg is None or is_person(leg) else self._beyond(leg)
            if beyond is None:
                break
            leg = beyond
        return None if leg is None or not leg.channel else identify(leg)[0]

    def _beyond(self, leg: Leg) -> Leg | None:
        """Who dials, or is bridged with, the other half of a Local channel."""
        half = leg.half
        if half is None:
            return None
        met = self._others_in(half.channel.get("bridge"), half.key, leg.key)
        return self._legs.get(half.dialled_by or half.peer or (met[0] if met else ""))

    def channel_changed(self, key: str, fields: dict[str, Any], values: Headers) -> None:
        """An event with these headers has changed these fields of a channel.

        Nearly all is in the dialplan, and says nothing of the call.
        """
        leg = self._legs.get(key)
        if leg is None:
            return
        said = 0
        for name in fields:
            said |= _SAYS[name]
        if not said:
            return
        if said & _STATE and fields["state"] == "ring":
            leg.calls()
        if (
            said & _WHICH
            or (said & _STATE and (fields["state"] == "ring" or not is_behind(leg)))
            or (said & _DOES and fields["application"] not in _SILENT)
            or (said & _WHERE and self._may_be_dialled(leg))
            or (said & _WHO and not leg.local and is_person(leg))
        ):
            self._refresh(leg, values)

    def _may_be_dialled(self, leg: Leg) -> bool:
        """Whether where a leg goes in the dialplan may be what was dialled in its call."""
        if leg.dialled and leg.entity.fields["state"] != "up":
            return False
        entity = leg.call.entity
        return entity is None or entity.fields["dialled"] is None

    def _renamed(self, values: Headers) -> None:
        """A channel has become another: of a phone, the one that it is named after now.

        In a masquerade that one has given its name away just before.
        """
        leg, name = self._legs.get(uniqueid(values)), values.get("Newname", "")
        was = values.get("Channel", "")
        if leg is None or leg.local:
            return
        leg.real = is_real(name)
        if name.endswith("<MASQ>"):
            self._moving = was, leg
        elif device_of(name) != device_of(was):
            leg.become(self._moving[1] if self._moving[0] == name else None)
        self._refresh(leg, values)

    def _entered(self, values: Headers) -> None:
        leg = self._legs.get(uniqueid(values))
        bridge = self.store.get("bridge", values.get("BridgeUniqueid", ""))
        if leg is None or bridge is None:
            return
        self._gather(bridge, leg)
        self._serve(leg)
        self._refresh(leg, values)

    def _left(self, values: Headers) -> None:
        leg = self._legs.get(uniqueid(values))
        if leg is not None:
            leg.left = values.get("BridgeUniqueid")
            if values.get("BridgeCreator") == CONFERENCE:
                leg.place("conference", None)
            self._refresh(leg, values)

    def _gather(self, bridge: dict[str, Any], entered: Leg | None = None) -> None:
        """Those in a bridge are of one call, or in a conference.

        Where many are, only who has just ``entered`` is looked at.
        """
        members = bridge["members"]
        if entered is not None and len(members) > MOST_LEGS:
            members = [entered.key]
        if bridge["type"] in LINKING:
            self._join_all(members)
            self._meet(members)
        elif bridge["creator"] == CONFERENCE:
            for key in members:
                if (leg := self._legs.get(key)) is not None:
                    leg.place("conference", leg.places.get("conference") or bridge["name"])

    def _meet(self, members: Iterable[str]) -> None:
        """Those that dialled each other have met: from now on they hear who is where they are."""
        keys = set(members)
        for key in keys:
            leg = self._legs.get(key)
            if leg is not None and leg.dialled_by in keys:
                leg.dialled_by = None

    def _serve(self, leg: Leg) -> None:
        """A half of a Local channel that dials or is bridged is no person, nor is its other."""
        if leg.local and not leg.dialled:
            leg.served = True

    def _join_all(self, keys: Iterable[str]) -> None:
        legs = [self._legs[key] for key in keys if key in self._legs]
        for leg in legs[1:]:
            self._join(legs[0].call, leg.call)

    def _bridged(self, values: Headers) -> None:
        """11: two channels are linked, or are not any more."""
        keys = [values.get("Uniqueid1", ""), values.get("Uniqueid2", "")]
        legs = [self._legs[key] for key in keys if key in self._legs]
        if len(legs) < 2:
            return
        linked = values.get("Bridgestate") == "Link"
        for leg, peer in zip(legs, reversed(keys), strict=True):
            leg.peer = peer if linked else None
            if linked:
                self._serve(leg)
        if linked:
            self._join_all(keys)
            self._meet(keys)
        self._refresh(legs[0], values)

    # Dialling

    def _dials_or_dialled(self, values: Headers) -> None:
        if values.get("SubEvent") == "Begin":
            self._dials(values)

    def _dials(self, values: Headers) -> None:
        source = self._legs.get(uniqueid(values))
        leg = self._legs.get(values.get("DestUniqueid") or values.get("DestUniqueID") or "")
        if leg is None:
            return
        leg.dial_string = values.get("DialString") or values.get("Dialstring") or ""
        if source is None and leg.local:
            return  # Originate: nobody dials, and a Local channel tells by its name whom it calls
        if source is not None:
            leg.dialled, leg.dialled_by = True, source.key
            self._serve(source)
            if source.half is not None:
                leg.hint = leg.hint or source.half.hint
            self._join(source.call, leg.call)
        self._refresh(leg, values)

    def _dialled(self, values: Headers) -> None:
        leg = self._legs.get(values.get("DestUniqueid", ""))
        if leg is not None and values.get("DialStatus") in _NOT_ANSWERED:
            leg.dialled_by = None
            self._refresh(leg, values)

    # Transfers and pickup

    def _transferred_blindly(self, message: Message) -> None:
        values = message.values
        if values.get("Result", "Success") != "Success":
            return
        by, who = values.get("TransfererUniqueid"), values.get("TransfereeUniqueid")
        self._tell_transfer(values, by, who, values.get("Extension"), "blind")

    def _transferred(self, message: Message) -> None:
        values = message.values
        if values.get("Result", "Success") != "Success":
            return
        by = values.get("OrigTransfererUniqueid")
        second = values.get("SecondTransfererUniqueid")
        who, target = values.get("TransfereeUniqueid"), values.get("TransferTargetUniqueid")
        if who is None and by != second:
            who, target = self._ends(values, by or "", second or "")
        self._join_all(key for key in (by, second, who, target) if key)
        if values.get("DestType") == "App":
            self._take_over(second, who)
        to = self._number(target) or self._partner(who or by, without=(by, second))
        self._tell_transfer(values, by, who, to, "attended")

    def _ends(self, values: Headers, by: str, second: str) -> tuple[str | None, str | None]:
        """Who is transferred to whom, if a phone with a line to each did it: that is not told.

        Whoever was moved to the other's bridge is the last one there.
        """
        origin, goal = values.get("OrigBridgeUniqueid"), values.get("DestBridgeUniqueid")
        met = self._others_in(goal or origin, by, second) or self._gone_from(origin, by)
        if len(met) == 2:
            return (met[0], met[1]) if goal == origin else (met[1], met[0])
        asked = self._others_in(values.get("SecondBridgeUniqueid"), by, second)
        leg = self._legs.get(second)
        if leg is not None and not asked:
            asked = [other.key for other in leg.call.legs.values() if other.dialled_by == second]
        return (met[0] if met else None), (asked[0] if asked else None)

    def _others_in(self, bridge: str | None, by: str, second: str) -> list[str]:
        members = (self.store.get("bridge", bridge or "") or {}).get("members", ())
        return [key for key in members if key not in (by, second)]

    def _gone_from(self, bridge: str | None, by: str) -> list[str]:
        """Who has talked to him in a bridge and left it, on the way to where he is transferred."""
        leg = self._legs.get(by)
        if leg is None or bridge is None:
            return []
        return [key for key, other in leg.call.legs.items() if other.left == bridge and key != by]

    def _take_over(self, key: str | None, heir: str | None) -> None:
        """A channel goes on in the place of another: who rings, rings for it now.

        If the other waits in a queue, it waits there now, and no event says so.
        """
        leg, gone = self._legs.get(heir or ""), self._legs.get(key or "")
        if leg is not None:
            for other in leg.call.legs.values():
                if other.dialled_by == key:
                    other.dialled_by = heir
            if gone is not None and gone.places:
                leg.places, gone.places = gone.places, {}

    def _partner(self, key: str | None, without: Sequence[str | None]) -> str | None:
        """The number of whom somebody is with now, or who rings for him."""
        leg = self._legs.get(key or "")
        if leg is None:
            return None
        talking, ringing = company_of(leg, self.store)
        found = [other.key for other in (*talking, *ringing) if other.key not in without]
        return self._number(found[0]) if found else None

    def _transferred_by_phone(self, message: Message) -> None:
        """11: chan_sip's transfers; of an attended one the target is the phone's other channel."""
        values = message.values
        by, target = values.get("Uniqueid"), values.get("TargetUniqueid")
        if values.get("TransferType") == "Attended":
            self._join_all(key for key in (by, target) if key)
            who, to = self._peer(by), self._number(self._peer(target))
            self._tell_transfer(values, by, who, to, "attended")
        else:
            self._tell_transfer(values, by, target, values.get("TransferExten"), "blind")

    def _peer(self, key: str | None) -> str | None:
        leg = self._legs.get(key or "")
        return None if leg is None else leg.peer

    def _tell_transfer(
        self,
        values: Headers,
        by: str | None,
        who: str | None,
        to: str | None,
        how: str,
    ) -> None:
        steps = self._step(
            values, "transferred", by=self._number(by), who=self._number(who), to=to, how=how
        )
        moved = self._legs.get(who or "")
        if moved is not None and moved.half is not None:
            moved.half.hint = None  # whom it dials from now on is not that member of the queue
        leg = self._legs.get(by or "") or moved
        if leg is not None:
            self._refresh(leg, values, steps)

    def _picked_up(self, message: Message) -> None:
        values = message.values
        key = uniqueid(values) or self._named(values.get("Channel"))
        target = values.get("TargetUniqueid") or self._named(values.get("TargetChannel"))
        leg, rung = self._legs.get(key), self._legs.get(target)
        if leg is None or rung is None:
            return
        steps = self._step(values, "picked_up", who=self._number(key), of=self._number(target))
        leg.talked = True
        leg.dialled_by = rung.dialled_by
        rung.dialled_by = None
        self._join(leg.call, rung.call)
        self._refresh(leg, values, steps)

    def _named(self, name: str | None) -> str:
        """The key of a channel by its name: 11 says no more at a pickup."""
        for leg in self._legs.values() if name else ():
            if leg.channel.get("name") == name:
                return leg.key
        return ""

    # Queues, parking, conferences, listening

    def _place(
        self,
        key: str,
        where: str,
        what: str | None,
        values: Headers,
        steps: Way | None = None,
    ) -> None:
        if (leg := self._legs.get(key)) is not None:
            leg.place(where, what)
            self._refresh(leg, values, steps)

    def _queued(self, message: Message) -> None:
        values = message.values
        self._place(uniqueid(values), "queue", values.get("Queue"), values)

    def _unqueued(self, message: Message) -> None:
        values = message.values
        self._place(uniqueid(values), "queue", None, values)

    def _abandoned(self, message: Message) -> None:
        values = message.values
        key = uniqueid(values)
        who = self._number(key)
        steps = self._step(values, "abandoned", who=who, queue=values.get("Queue"))
        self._place(key, "queue", None, values, steps)

    def _member_called(self, message: Message) -> None:
        """In 11 nothing else tells whom a queue dials, and that by the name of the channel."""
        values = message.values
        source = self._legs.get(uniqueid(values))
        key = values.get("DestUniqueid") or self._named(values.get("DestinationChannel"))
        leg = self._legs.get(key)
        if source is not None and leg is not None and leg.dialled_by is None:
            leg.dialled, leg.dialled_by = True, source.key
            self._join(source.call, leg.call)
            self._refresh(leg, values)
        self._name_member(leg, values)

    def _member_connected(self, message: Message) -> None:
        values = message.values
        key = values.get("DestUniqueid") or values.get("BridgedChannel") or ""
        self._name_member(self._legs.get(key), values)

    def _name_member(self, leg: Leg | None, values: Headers) -> None:
        name = known(values.get("MemberName") or values.get("AgentName") or "")
        if leg is not None and name is not None and leg.hint != name:
            for named in (leg, *company_of(leg, self.store).talking):
                if named.dialled:
                    named.hint = name
            self._refresh(leg, values)

    def _parked(self, message: Message) -> None:
        values = message.values
        key = values.get("ParkeeUniqueid") or uniqueid(values)
        slot = values.get("ParkingSpace") or values.get("Exten")
        by = device_of(values.get("ParkerDialString") or values.get("From") or "") or None
        steps = self._step(values, "parked", who=self._number(key), by=by, slot=slot)
        self._place(key, "parking", slot, values, steps)

    def _took_place(self, message: Message) -> None:
        """The channel whose place it took goes, or is elsewhere from now on."""
        values = message.values
        slot = values.get("ParkingSpace")
        leg = self._legs.get(values.get("ParkeeUniqueid", ""))
        for other in () if leg is None else leg.call.legs.values():
            if other.places.get("parking") == slot:
                other.place("parking", None)
        self._place(values.get("ParkeeUniqueid", ""), "parking", slot, values)

    def _unparked(self, message: Message) -> None:
        values = message.values
        key = values.get("ParkeeUniqueid") or uniqueid(values)
        retriever = values.get("RetrieverUniqueid") or self._named(values.get("From"))
        steps = None
        if (leg := self._legs.get(retriever)) is not None:
            leg.talked = True
            steps = self._step(
                values, "retrieved", who=self._number(key), by=self._number(retriever)
            )
        self._place(key, "parking", None, values, steps)

    def _joined(self, message: Message) -> None:
        values = message.values
        room = values.get("Conference") or values.get("Meetme")
        self._place(uniqueid(values), "conference", room, values)

    def _parted(self, message: Message) -> None:
        values = message.values
        self._place(uniqueid(values), "conference", None, values)

    def _listens(self, message: Message) -> None:
        values = message.values
        key = values.get("SpyerUniqueid") or self._named(values.get("SpyerChannel"))
        spied = values.get("SpyeeUniqueid") or self._named(values.get("SpyeeChannel"))
        self._place(key, "listens_to", self._number(spied), values)

    def _stopped_listening(self, message: Message) -> None:
        values = message.values
        key = values.get("SpyerUniqueid") or self._named(values.get("SpyerChannel"))
        self._place(key, "listens_to", None, values)
