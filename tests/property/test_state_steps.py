"""Events between the steps of a list end as events before it, or behind it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import Message
from tests.support.fed import event
from tests.support.listed import LISTS
from tests.support.state import World

KEYS = st.integers(0, 7).map(lambda number: f"17000000.{number}")
BRIDGES = st.sampled_from(["b0", "b1", "b2", "new"])
NAMES = st.sampled_from(["PJSIP/200-00000000", "PJSIP/203-00000003", "PJSIP/9-1"])


def of_channel(name: str, **headers: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    """An event from 12 on, which tells all of its channel."""
    told = {
        "Channel": NAMES,
        "ChannelStateDesc": st.sampled_from(["Ring", "Ringing", "Up"]),
        "CallerIDNum": st.sampled_from(["200", "999", "<unknown>"]),
        "CallerIDName": st.just("Eve"),
        "ConnectedLineNum": st.sampled_from(["201", "<unknown>"]),
        "ConnectedLineName": st.just("<unknown>"),
        "AccountCode": st.just(""),
        "Context": st.just("phones"),
        "Exten": st.sampled_from(["201", "h"]),
        "Uniqueid": KEYS,
        "Linkedid": KEYS,
        **headers,
    }
    return st.fixed_dictionaries(told).map(lambda values: event(name, **values))


def simple(name: str, **headers: Any) -> st.SearchStrategy[Message]:
    told = {
        key: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for key, value in headers.items()
    }
    return st.fixed_dictionaries(told).map(lambda values: event(name, **values))


NUMBERS = st.integers(0, 5).map(str)
IN_BRIDGE = {"BridgeUniqueid": BRIDGES, "BridgeType": st.just("basic")}
EVENTS = st.one_of(
    of_channel("Newchannel"),
    of_channel("Newstate"),
    of_channel("Newexten", Application=st.sampled_from(["Dial", "Playback"])),
    of_channel("Hangup", Cause=st.just("16")),
    of_channel("BridgeEnter", **IN_BRIDGE),
    of_channel("BridgeLeave", **IN_BRIDGE),
    simple("BridgeDestroy", BridgeUniqueid=BRIDGES),
    simple("DeviceStateChange", Device=NUMBERS.map("SIP/{}".format), State="NOT_INUSE"),
    simple("ExtensionStatus", Exten=NUMBERS, Context="phones", Hint="x", Status="0"),
    simple("ExtensionStatus", Exten=NUMBERS, Context="phones", Hint="x", Status="-1"),
    simple(
        "QueueMemberPause",
        Queue=st.sampled_from(["all", "q0", "q1"]),
        Interface=st.sampled_from(["PJSIP/200", "PJSIP/201", "PJSIP/999"]),
        MemberName="Eve",
        Paused=st.sampled_from(["0", "1"]),
    ),
    simple("QueueMemberRemoved", Queue="all", Interface="PJSIP/200"),
    simple("QueueCallerJoin", Queue="all", Uniqueid=KEYS, Position="1"),
    simple("QueueCallerLeave", Queue="all", Uniqueid=KEYS, Position="1"),
    simple("ParkedCallGiveUp", Parkinglot="lot1", ParkingSpace="1", ParkeeUniqueid="17000000.1"),
    simple("ContactStatus", AOR="1", URI="a", ContactStatus="Removed"),
)
KINDS = ("channel", "device", "hint", "queue_member", "parked_call", "contact")


class Still(World):
    """A world in which no time passes, so that worlds with other steps can be compared."""

    def begin(self) -> None:
        self.offset += 1
        self.model.begin(self.offset, self.now)

    def hear(self, events: list[Message]) -> None:
        for one in events:
            self.offset += 1
            self.model.receive([one], self.offset, self.now)


def taken(action: str, before: list[Message], between: list[Message], at: int | None) -> Still:
    """A world that hears of all, and then of some of it; ``at``: ahead of which step of that."""
    world = Still()
    for known, items in LISTS.items():
        world.begin()
        for _ in world.model.receive_list(known, items(8), world.offset - 1):
            pass
    world.hear(before)
    asked = world.offset
    if at is None:
        world.hear(between)
    world.begin()
    steps = world.model.receive_list(action, LISTS[action](6), asked)
    number = -1
    for number, _ in enumerate(steps):
        if number == at:
            world.hear(between)
            world.begin()
    if at is not None and at > number:
        world.hear(between)
    return world


def agree(world: Still) -> None:
    """All that hangs together does."""
    store = world.store
    channels = store.of("channel")
    legs = [leg for call in world.calls() for leg in call["legs"]]
    assert sorted(legs) == sorted(channels)
    for key, bridge in store.of("bridge").items():
        there = {name for name, fields in channels.items() if fields["bridge"] == key}
        # One may have entered that nobody knows, since its Newchannel was lost.
        assert channels.keys() & bridge["members"] == there
    for queue in store.keys("queue"):
        callers = [
            caller for caller in store.of("queue_caller").values() if caller["queue"] == queue
        ]
        assert sorted(caller["position"] for caller in callers) == [*range(1, len(callers) + 1)]
        assert (store.get("queue", queue) or {})["waiting"] == len(callers)


@settings(max_examples=200)
@given(
    action=st.sampled_from(sorted(LISTS)),
    before=st.lists(EVENTS, max_size=4),
    between=st.lists(EVENTS, min_size=1, max_size=4),
    at=st.integers(0, 60),
)
def test_events_amid_a_list_end_as_before_or_behind_it(
    action: str, before: list[Message], between: list[Message], at: int
) -> None:
    amid = taken(action, before, between, at)
    agree(amid)
    ends = [taken(action, before, between, None), taken(action, before, between, 10**6)]
    for kind in KINDS:
        ahead, behind = (world.store.of(kind) for world in ends)
        for key, fields in amid.store.of(kind).items():
            assert fields in (ahead.get(key), behind.get(key)), (kind, key)
        assert amid.store.of(kind).keys() >= ahead.keys() & behind.keys()
