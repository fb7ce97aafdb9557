"""Bridges, from 12 on: who is mixed with whom. In 11 there are none.

This part stands before that of the channels, which says where a channel is: what is known
of a channel here is what was so before the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from amiws_gevent.ami import Message
from amiws_gevent.state.part import Part
from amiws_gevent.state.store import Store
from amiws_gevent.state.words import filled, known, milliseconds

KIND = "bridge"

LINKING = frozenset({"basic", "stasis"})
"""Types whose members get the oldest Linkedid: main/bridge_basic.c, res/stasis/stasis_bridge.c."""

CONFERENCE = "ConfBridge"
"""The creator of a conference's bridge, which has the name of the conference (13 on)."""


class Bridges(Part):
    """The kind ``bridge``."""

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {
            "bridgecreate": self._created,
            "bridgeenter": self._entered,
            "bridgeleave": self._left,
            "bridgedestroy": self._destroyed,
            "hangup": self._hung_up,
        }

    @property
    def lists(self) -> Mapping[str, Callable[[Sequence[Message], int], None]]:
        return {"bridgelist": self._listed}

    def reset(self) -> None:
        for bridge in self.store.keys(KIND):
            self.store.remove(KIND, bridge)

    def _created(self, message: Message) -> None:
        values = message.values
        bridge = filled(values.get("BridgeUniqueid", ""))
        if bridge and self.store.get(KIND, bridge) is None:
            self._add(bridge, values)

    def _add(self, bridge: str, values: Mapping[str, str]) -> None:
        self.store.put(
            KIND,
            bridge,
            type=filled(values.get("BridgeType", "")),
            technology=filled(values.get("BridgeTechnology", "")),
            creator=known(values.get("BridgeCreator", "")),
            name=known(values.get("BridgeName", "")),
            members=[],
            created=self.now,
            server_created=milliseconds(values.get("Timestamp")),
        )

    def _entered(self, message: Message) -> None:
        values = message.values
        bridge = filled(values.get("BridgeUniqueid", ""))
        channel = filled(values.get("Uniqueid", ""))
        if not bridge or not channel:
            return
        self._leave(channel, bridge)
        if (fields := self.store.get(KIND, bridge)) is None:
            self._add(bridge, values)
            fields = self.store.get(KIND, bridge) or {}
        swapped = values.get("SwapUniqueid")
        members = [member for member in fields["members"] if member not in (channel, swapped)]
        self.store.put(
            KIND,
            bridge,
            technology=filled(values.get("BridgeTechnology", "")),
            members=[*members, channel],
        )

    def _leave(self, channel: str, stays: str) -> None:
        """Take a channel out of where it was, whose leaving was not told."""
        was = (self.store.get("channel", channel) or {}).get("bridge")
        if was is not None and was != stays:
            self._remove_member(was, channel)

    def _left(self, message: Message) -> None:
        values = message.values
        bridge = values.get("BridgeUniqueid", "")
        self._remove_member(bridge, values.get("Uniqueid", ""))

    def _hung_up(self, message: Message) -> None:
        self._leave(message.values.get("Uniqueid", ""), "")

    def _remove_member(self, bridge: str, channel: str) -> None:
        fields = self.store.get(KIND, bridge)
        if fields is not None and channel in fields["members"]:
            members = [member for member in fields["members"] if member != channel]
            self.store.put(KIND, bridge, members=members)

    def _destroyed(self, message: Message) -> None:
        self._remove(message.values.get("BridgeUniqueid", ""))

    def _remove(self, bridge: str) -> None:
        for member in (self.store.get(KIND, bridge) or {}).get("members", ()):
            if (self.store.get("channel", member) or {}).get("bridge") == bridge:
                self.store.put("channel", member, bridge=None)
        self.store.remove(KIND, bridge)

    def _listed(self, items: Sequence[Message], asked: int) -> None:
        found = set()
        for values in (item.values for item in items if item.name == "BridgeListItem"):
            bridge = values.get("BridgeUniqueid", "")
            found.add(bridge)
            if self.store.get(KIND, bridge) is not None:
                technology = filled(values.get("BridgeTechnology", ""))
                self.store.merge(KIND, bridge, asked, technology=technology)
            elif bridge and not self.store.may_have_gone(KIND, bridge, asked):
                self._add(bridge, values)
        for bridge in self.store.keys(KIND):
            if bridge not in found and self.store.born(KIND, bridge) <= asked:
                self._remove(bridge)
        seat_members(self.store)


def seat_members(store: Store) -> None:
    """Make the members of all bridges those channels that say so."""
    seats: dict[str, list[str]] = {bridge: [] for bridge in store.keys(KIND)}
    for channel, fields in store.of("channel").items():
        if fields["bridge"] in seats:
            seats[fields["bridge"]].append(channel)
    for bridge, members in seats.items():
        before = (store.get(KIND, bridge) or {})["members"]
        if set(before) != set(members):
            store.put(KIND, bridge, members=_in_order(before, members))


def _in_order(before: Iterable[str], members: list[str]) -> list[str]:
    stayed = [member for member in before if member in members]
    return stayed + [member for member in members if member not in stayed]
