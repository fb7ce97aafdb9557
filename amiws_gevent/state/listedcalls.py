"""Calls as lists tell of them: who came before us, and what events have not told.

Lists say what channels and bridges there are, who waits in which queue, and who is parked. Who
dialled whom is guessed where no event has said it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from amiws_gevent.ami import Message
from amiws_gevent.state.applications import DIALLING
from amiws_gevent.state.calls import Calls, Ended
from amiws_gevent.state.callview import KIND, refresh
from amiws_gevent.state.channels import uniqueid
from amiws_gevent.state.part import Headers, Steps, TakeList
from amiws_gevent.state.people import Call, Leg, is_person, was_dialled
from amiws_gevent.state.store import Entity, Store
from amiws_gevent.state.words import age


class ListedCalls(Calls):
    """The kind ``call``, of events and of lists.

    A channel that a list has made is a leg at once, so that events find it; its call is looked at
    when all channels of the list are there.
    """

    def __init__(
        self,
        store: Store,
        ended: Callable[[Ended], None] | None = None,
        started: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__(store, ended, started)
        self._behind: dict[str, None] = {}
        """Legs whose calls are to be looked at again; more than one list's, if one was left."""

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {
            "coreshowchannels": self._listed,
            "status": self._listed,
            "bridgelist": self._bridges_listed,
            "queuestatus": self._queues_listed,
            "parkedcalls": self._parked_listed,
        }

    # What the channels and bridges say of a list (`channels.Follower`)

    def channel_found(self, entity: Entity) -> None:
        self._behind[self._add(entity).key] = None

    def channel_missed(self, key: str) -> None:
        leg = self._legs.get(key)
        if leg is not None:
            self._drop(leg, (self.now, None))

    def look_again(self, keys: Iterable[str]) -> None:
        self._behind.update(dict.fromkeys(keys))

    def _listed(self, items: Sequence[Message], asked: int) -> Steps:
        for item in items:
            self._link_peers(item.values)
            self._note_who_rings(item.values)
            yield
        yield from self._catch_up()

    def _note_who_rings(self, values: Headers) -> None:
        """The event that says for whom may have been lost."""
        leg = self._legs.get(uniqueid(values))
        if leg is not None and _is_rung_for_nobody(leg):
            self._behind[leg.key] = None

    def _bridges_listed(self, items: Sequence[Message], asked: int) -> Steps:
        yield from self._catch_up()

    def _link_peers(self, values: Headers) -> None:
        """11: who is bridged with whom is said by the channels alone."""
        peer = values.get("BridgedUniqueID") or values.get("BridgedUniqueid")
        leg, other = self._legs.get(uniqueid(values)), self._legs.get(peer or "")
        if leg is None or other is None or (leg.peer == peer and leg.call is other.call):
            return
        leg.peer = peer
        self._join(leg.call, other.call)
        self._behind[leg.key] = None

    def _catch_up(self) -> Steps:
        """Look again at the calls of which lists have said something."""
        for key in self.store.keys("bridge"):
            bridge = self.store.get("bridge", key)
            if bridge is not None and not self._behind.keys().isdisjoint(bridge["members"]):
                self._gather(bridge)
            yield
        seen = set()
        for key in list(self._behind):
            leg = self._legs.get(key)
            if leg is not None and leg.call not in seen:
                seen.add(self._look_at(leg.call))
            del self._behind[key]
            yield

    def _look_at(self, call: Call) -> Call:
        """Bring a call up to date by all that its legs say; the call that came of it."""
        self._find_dialling(call)
        self._put_in_order(call)
        legs = list(call.legs.values())
        for leg in legs:
            linkedid = leg.entity.fields.get("linkedid")
            if linkedid is not None:
                self._follow_linkedid(leg, linkedid)
        call = legs[0].call
        refresh(call, self.store, (self.now, None))
        return call

    def _put_in_order(self, call: Call) -> None:
        """Have the oldest leg first: it may be known by a list alone, and be the caller's."""
        legs = sorted(call.legs.values(), key=_age)
        call.legs = {leg.key: leg for leg in legs}
        call.regrouped = True
        entity = call.entity
        first = next((leg for leg in legs if is_person(leg)), None)
        if entity is None or first is None or first.entity.born <= entity.born:
            return
        caller = entity.fields["caller"]
        if caller is not None and caller["channel"] != first.key:
            call.met = False
            told = ("caller", "callee", "called", "dialled")
            self.store.put(KIND, call.key, **dict.fromkeys(told))

    def _find_dialling(self, call: Call) -> None:
        """Guess who dials whom, where no event has said it."""
        for leg in call.legs.values():
            channel = leg.channel
            if not channel:
                continue
            if channel["application"] in DIALLING:
                self._serve(leg)
            if _is_rung_for_nobody(leg):
                leg.dialled_by = self._who_dials(call, leg)

    def _who_dials(self, call: Call, leg: Leg) -> str | None:
        found = None
        for other in call.legs.values():
            channel = other.channel
            if other is leg or other is leg.half or channel.get("application") not in DIALLING:
                continue
            if found is None or (other.local and other.device == leg.device):
                found = other.key
        return found

    def _queues_listed(self, items: Sequence[Message], asked: int) -> Steps:
        waiting: dict[str, str | None] = {}
        for item in items:
            if item.name == "QueueEntry":
                waiting[uniqueid(item.values)] = item.values.get("Queue")
            yield
        yield from self._place_listed("queue", waiting, asked)

    def _parked_listed(self, items: Sequence[Message], asked: int) -> Steps:
        slots: dict[str, str | None] = {}
        for item in items:
            values = item.values
            if item.name == "ParkedCall":
                key = values.get("ParkeeUniqueid") or uniqueid(values)
                slots[key] = values.get("ParkingSpace") or values.get("Exten")
            yield
        yield from self._place_listed("parking", slots, asked)

    def _place_listed(self, where: str, found: Mapping[str, str | None], asked: int) -> Steps:
        """Put legs where a list says that they are, unless their call has changed since."""
        for key in list(self._legs):
            leg = self._legs.get(key)
            if (
                leg is not None
                and leg.places.get(where) != found.get(key)
                and self.store.changed_at(KIND, leg.call.key) <= asked
            ):
                self._place(key, where, found.get(key), {})
            yield


def _is_rung_for_nobody(leg: Leg) -> bool:
    """Whether a channel was dialled, is not answered, and nothing has said who dials it."""
    channel = leg.channel
    return (
        bool(channel)
        and leg.dialled_by is None
        and channel["state"] != "up"
        and was_dialled(channel)
    )


def _age(leg: Leg) -> tuple[int, int]:
    return age(leg.key) or (leg.created // 1000, 0)
