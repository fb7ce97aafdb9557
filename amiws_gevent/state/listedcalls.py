"""Calls as lists tell of them: who came before us, and what events have not told.

Lists say what channels and bridges there are, who waits in which queue, and who is parked. Who
dialled whom is guessed where no event has said it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from amiws_gevent.ami import Message
from amiws_gevent.state.applications import DIALLING
from amiws_gevent.state.calls import Calls
from amiws_gevent.state.callview import KIND, Moment
from amiws_gevent.state.channels import uniqueid
from amiws_gevent.state.people import Call, Leg, was_dialled
from amiws_gevent.state.words import age


class ListedCalls(Calls):
    """The kind ``call``, of events and of lists."""

    @property
    def lists(self) -> Mapping[str, Callable[[Sequence[Message], int], None]]:
        return {
            "coreshowchannels": self._listed,
            "status": self._listed,
            "bridgelist": self._bridges_listed,
            "queuestatus": self._queues_listed,
            "parkedcalls": self._parked_listed,
        }

    def _listed(self, items: Sequence[Message], asked: int) -> None:
        moment = Moment(self.now, None)
        for leg in [leg for leg in self._legs.values() if not leg.channel]:
            self._drop(leg, moment)
        changed = set(self.store.changed("channel"))
        channels = self.store.entities("channel").items()
        new = [(key, entity) for key, entity in channels if key not in self._legs]
        new.sort(key=lambda one: age(one[0]) or (one[1].fields["created"] // 1000, 0))
        for key, entity in new:
            self._add(entity)
            changed.add(key)
        self._link_peers(items)
        self._take_anew(changed)

    def _bridges_listed(self, items: Sequence[Message], asked: int) -> None:
        bridges = [self.store.get("bridge", key) or {} for key in self.store.changed("bridge")]
        members = {member for bridge in bridges for member in bridge["members"]}
        self._take_anew(members & self._legs.keys())

    def _take_anew(self, changed: set[str]) -> None:
        """Look again at the calls of these legs, of which a list has said something."""
        for bridge in self.store.of("bridge").values():
            if changed.intersection(bridge["members"]):
                self._gather(bridge)
        calls = {self._legs[key].call.key: self._legs[key].call for key in changed}
        for call in calls.values():
            self._find_dialling(call)
            for leg in list(call.legs.values()):
                self._refresh(leg, {})

    def _link_peers(self, items: Sequence[Message]) -> None:
        """11: who is bridged with whom is said by the channels alone."""
        for values in (item.values for item in items):
            leg, peer = self._legs.get(uniqueid(values)), values.get("BridgedUniqueID")
            peer = peer or values.get("BridgedUniqueid")
            if leg is not None and peer:
                leg.peer = peer
                self._join_all((leg.key, peer))

    def _find_dialling(self, call: Call) -> None:
        """Guess who dials whom, where no event has said it."""
        for leg in call.legs.values():
            channel = leg.channel
            if not channel:
                continue
            if channel["application"] in DIALLING:
                self._serve(leg)
            if was_dialled(channel) and channel["state"] != "up" and leg.dialled_by is None:
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

    def _queues_listed(self, items: Sequence[Message], asked: int) -> None:
        waiting = {
            uniqueid(item.values): item.values.get("Queue")
            for item in items
            if item.name == "QueueEntry"
        }
        self._place_listed("queue", waiting, asked)

    def _parked_listed(self, items: Sequence[Message], asked: int) -> None:
        slots = {
            item.values.get("ParkeeUniqueid") or uniqueid(item.values): (
                item.values.get("ParkingSpace") or item.values.get("Exten")
            )
            for item in items
            if item.name == "ParkedCall"
        }
        self._place_listed("parking", slots, asked)

    def _place_listed(self, where: str, found: Mapping[str, str | None], asked: int) -> None:
        """Put legs where a list says that they are, unless their call has changed since."""
        for key, leg in list(self._legs.items()):
            if leg.places.get(where) == found.get(key):
                continue
            if self.store.changed_at(KIND, leg.call.key) <= asked:
                self._place(key, where, found.get(key), {})
