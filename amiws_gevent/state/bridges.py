"""Bridges, from 12 on: who is mixed with whom. In 11 there are none.

This part stands before that of the channels, which says where a channel is: what is known
of a channel here is what was so before the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from amiws_gevent.ami import Message
from amiws_gevent.state.part import Headers, Part, Steps, TakeList, TakeNews
from amiws_gevent.state.store import Store
from amiws_gevent.state.words import filled, known, milliseconds

KIND: Final = "bridge"

LINKING: Final = frozenset({"basic", "stasis"})
"""Types whose members get the oldest Linkedid: main/bridge_basic.c, res/stasis/stasis_bridge.c."""

CONFERENCE: Final = "ConfBridge"
"""The creator of a conference's bridge, which has the name of the conference (13 on)."""


LookAgain = Callable[[Iterable[str]], None]
"""Is told of channels of which a list has said something that matters to their calls."""


class Bridges(Part):
    """The kind ``bridge``."""

    def __init__(self, store: Store, look_again: LookAgain) -> None:
        super().__init__(store)
        self._look_again = look_again
        self._channels = store.entities("channel")

    @property
    def news(self) -> Mapping[str, TakeNews]:
        return {
            "bridgecreate": self._created,
            "bridgeenter": self._entered,
            "bridgeleave": self._left,
            "bridgedestroy": self._destroyed,
            "hangup": self._hung_up,
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {"bridgelist": self._listed}

    def reset(self) -> Steps:
        for bridge in self.store.keys(KIND):
            self.store.remove(KIND, bridge)
            yield

    def _created(self, values: Headers) -> None:
        bridge = filled(values.get("BridgeUniqueid", ""))
        if bridge and self.store.get(KIND, bridge) is None:
            self._add(bridge, values)

    def _add(self, bridge: str, values: Headers) -> None:
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

    def _entered(self, values: Headers) -> None:
        bridge = filled(values.get("BridgeUniqueid", ""))
        channel = filled(values.get("Uniqueid", ""))
        if not bridge or not channel:
            return
        self._leave(channel, bridge)
        if (fields := self.store.get(KIND, bridge)) is None:
            self._add(bridge, values)
            fields = self.store.get(KIND, bridge) or {}
        swapped = values.get("SwapUniqueid")
        members: list[str] = fields["members"]
        if channel in members or swapped in members:
            members = [member for member in members if member not in (channel, swapped)]
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
            remove_member(self.store, was, channel)

    def _left(self, values: Headers) -> None:
        bridge = values.get("BridgeUniqueid", "")
        remove_member(self.store, bridge, values.get("Uniqueid", ""))

    def _hung_up(self, values: Headers) -> None:
        channel = self._channels.get(values.get("Uniqueid", ""))
        if channel is not None and channel.fields["bridge"] is not None:
            self._leave(channel.fields["uniqueid"], "")

    def _destroyed(self, values: Headers) -> None:
        self._remove(values.get("BridgeUniqueid", ""))

    def _remove(self, bridge: str) -> None:
        for member in (self.store.get(KIND, bridge) or {}).get("members", ()):
            if (self.store.get("channel", member) or {}).get("bridge") == bridge:
                self.store.put("channel", member, bridge=None)
        self.store.remove(KIND, bridge)

    def _listed(self, items: Sequence[Message], asked: int) -> Steps:
        found = set()
        for item in items:
            if item.name == "BridgeListItem":
                found.add(item.values.get("BridgeUniqueid", ""))
                self._take_item(item.values, asked)
            yield
        for bridge in self.store.keys(KIND):
            if bridge not in found and 0 < self.store.born(KIND, bridge) <= asked:
                self._look_again((self.store.get(KIND, bridge) or {})["members"])
                self._remove(bridge)
            yield
        yield from seat_members(self.store, self._look_again)

    def _take_item(self, values: Headers, asked: int) -> None:
        bridge = values.get("BridgeUniqueid", "")
        if self.store.get(KIND, bridge) is not None:
            technology = filled(values.get("BridgeTechnology", ""))
            self.store.merge(KIND, bridge, asked, technology=technology)
        elif bridge and not self.store.may_have_gone(KIND, bridge, asked):
            self._add(bridge, values)


def remove_member(store: Store, bridge: str, channel: str) -> None:
    """A channel is in that bridge no more, if it was."""
    fields = store.get(KIND, bridge)
    if fields is not None and channel in fields["members"]:
        members = fields["members"].copy()  # it may have thousands
        members.remove(channel)
        store.put(KIND, bridge, members=members)


def seat_members(store: Store, look_again: LookAgain) -> Steps:
    """Make the members of all bridges those channels that say so.

    Each bridge for itself: who has come or gone between two steps was told by an event, which
    has changed bridge and channel.
    """
    seats: dict[str, list[str]] = {}
    for channel in store.keys("channel"):
        bridge = (store.get("channel", channel) or {}).get("bridge")
        if bridge is not None:
            seats.setdefault(bridge, []).append(channel)
        yield
    for bridge in store.keys(KIND):
        fields = store.get(KIND, bridge)
        if fields is not None:
            before = fields["members"]
            members = [
                member
                for member in dict.fromkeys((*before, *seats.get(bridge, ())))
                if (store.get("channel", member) or {}).get("bridge") == bridge
            ]
            if members != before:
                store.put(KIND, bridge, members=members)
                look_again((*before, *members))
        yield
