"""Calls through Local channels that stay (``/n``), as FreePBX has for the members of its queues.

To Asterisk, who talks with such a member is a half of the Local channel: it is that which is
parked and transferred (``res/parking/parking_bridge_features.c``, ``main/bridge.c``).
"""

from __future__ import annotations

import pytest

from tests.support.state import World, label, line
from tests.unit.test_state_calls import way_of
from tests.unit.test_state_callview import call, dial, new, state

CUSTOMER = "030123456"


def bridge(world: World, name: str, *uniqueids: str, swaps: str = "") -> None:
    for uniqueid in uniqueids:
        world.event(
            "BridgeEnter",
            BridgeUniqueid=name,
            BridgeType="basic",
            Uniqueid=uniqueid,
            SwapUniqueid=swaps,
        )


def leave(world: World, name: str, *uniqueids: str) -> None:
    for uniqueid in uniqueids:
        world.event("BridgeLeave", BridgeUniqueid=name, Uniqueid=uniqueid)


def hang_up(world: World, *uniqueids: str) -> None:
    for uniqueid in uniqueids:
        world.event("Hangup", Uniqueid=uniqueid, Cause="16")


def local(world: World, number: str, first: str, second: str, caller: str) -> None:
    """``caller`` dials a Local channel."""
    name = f"Local/{number}@agents-00000001"
    new(world, first, f"{name};1", "Down", CallerIDNum=number)
    new(world, second, f"{name};2", CallerIDNum=CUSTOMER, Exten=number)
    dial(world, caller, first, f"{number}@agents/n")


def waits(world: World) -> None:
    """Somebody from outside waits in a queue."""
    new(world, "1.0", "PJSIP/trunk-00000001", CallerIDNum=CUSTOMER, Exten="600")
    state(world, "1.0", "Up")
    world.event("QueueCallerJoin", Uniqueid="1.0", Queue="support", Position="1")


def talks(world: World) -> None:
    """He talks with Anna, who is 201."""
    waits(world)
    local(world, "201", "1.1", "1.2", "1.0")
    anna = {"Queue": "support", "DestUniqueid": "1.1", "MemberName": "Anna Agent"}
    world.event("AgentCalled", Uniqueid="1.0", **anna)
    new(world, "1.3", "PJSIP/201-00000002", "Down")
    dial(world, "1.2", "1.3")
    for uniqueid in ("1.3", "1.2", "1.1"):
        state(world, uniqueid, "Up")
    bridge(world, "b", "1.3", "1.2")
    world.event("QueueCallerLeave", Uniqueid="1.0", Queue="support", Position="1")
    world.event("AgentConnect", Uniqueid="1.0", **anna)
    bridge(world, "a", "1.1", "1.0")
    assert line(call(world)) == f"{CUSTOMER} -> 201 talking"
    assert call(world)["callee"]["name"] == "Anna Agent"


def last_step(world: World) -> str:
    return way_of(call(world))[-1]


@pytest.fixture
def world() -> World:
    return World()


def test_whom_a_member_parks_is_the_caller(world: World) -> None:
    talks(world)
    leave(world, "b", "1.3", "1.2")
    space = {"ParkeeUniqueid": "1.2", "ParkingSpace": "701", "Parkinglot": "default"}
    world.event("ParkedCall", **space, ParkerDialString="PJSIP/201")
    hang_up(world, "1.3")
    assert line(call(world)) == f"{CUSTOMER} -> None parked 701"
    assert last_step(world) == f"parked {CUSTOMER} 201 701"

    new(world, "1.7", "PJSIP/204-00000003", Linkedid="1.7", Exten="701")
    state(world, "1.7", "Up")
    world.event("UnParkedCall", **space, RetrieverUniqueid="1.7")
    bridge(world, "c", "1.2", "1.7")
    assert line(call(world)) == f"{CUSTOMER} -> 204 talking"
    assert last_step(world) == f"retrieved {CUSTOMER} 204"


def test_whom_a_member_sends_on_is_the_caller_and_the_other_is_not_that_member(
    world: World,
) -> None:
    talks(world)
    leave(world, "b", "1.3")
    sent = {"TransfererUniqueid": "1.3", "TransfereeUniqueid": "1.2", "Extension": "203"}
    world.event("BlindTransfer", Result="Success", **sent)
    assert last_step(world) == f"transferred 201 {CUSTOMER} 203 blind"
    leave(world, "b", "1.2")
    hang_up(world, "1.3")
    new(world, "1.4", "PJSIP/203-00000004", "Down", CallerIDName="Clara")
    dial(world, "1.2", "1.4")
    state(world, "1.4", "Ringing")
    assert line(call(world)) == f"{CUSTOMER} -> 203 ringing"
    assert call(world)["callee"]["name"] == "Clara"


def test_the_caller_is_held_while_a_member_consults_by_the_keys_of_the_phone(world: World) -> None:
    talks(world)
    new(world, "1.4", "Local/203@phones-00000002;1", "Down")
    new(world, "1.5", "Local/203@phones-00000002;2")
    bridge(world, "c", "1.4")
    new(world, "1.6", "PJSIP/203-00000007", "Down")
    dial(world, "1.5", "1.6")
    state(world, "1.6", "Ringing")
    leave(world, "b", "1.3")
    bridge(world, "c", "1.3")
    assert line(call(world)) == f"{CUSTOMER} -> 201 held"
    assert [label(person) for person in call(world)["held"]] == [CUSTOMER]


def test_whom_a_member_s_phone_hands_over_is_the_caller(world: World) -> None:
    talks(world)
    new(world, "2.0", "PJSIP/201-00000005", Linkedid="2.0", Exten="203")
    new(world, "2.1", "PJSIP/203-00000006", "Down", Linkedid="2.0", CallerIDName="Clara")
    dial(world, "2.0", "2.1")
    for uniqueid in ("2.1", "2.0"):
        state(world, uniqueid, "Up")
    bridge(world, "c", "2.1", "2.0")
    leave(world, "b", "1.2")
    bridge(world, "c", "1.2", swaps="2.0")
    world.event(
        "AttendedTransfer",
        Result="Success",
        OrigTransfererUniqueid="1.3",
        OrigBridgeUniqueid="b",
        SecondTransfererUniqueid="2.0",
        SecondBridgeUniqueid="c",
        DestBridgeUniqueid="c",
    )
    assert last_step(world) == f"transferred 201 {CUSTOMER} 203 attended"
    hang_up(world, "2.0", "1.3")
    assert line(call(world)) == f"{CUSTOMER} -> 203 talking"


def test_who_is_forwarded_to_a_queue_waits_in_it(world: World) -> None:
    """``apps/app_dial.c``, do_forward: 201's phone sends its caller to 600."""
    new(world, "1.0", "PJSIP/204-00000001", CallerIDNum="204", Exten="201")
    local(world, "600", "1.1", "1.2", "1.0")
    for uniqueid in ("1.2", "1.1", "1.0"):
        state(world, uniqueid, "Up")
    bridge(world, "a", "1.1", "1.0")
    world.event("QueueCallerJoin", Uniqueid="1.2", Queue="support", Position="1")
    assert (call(world)["phase"], call(world)["queue"]) == ("queued", "support")
    new(world, "1.3", "PJSIP/203-00000002", "Down")
    dial(world, "1.2", "1.3")
    state(world, "1.3", "Ringing")
    assert line(call(world)) == "204 -> 203 queued support"
    state(world, "1.3", "Up")
    world.event("QueueCallerLeave", Uniqueid="1.2", Queue="support", Position="1")
    assert line(call(world)) == "204 -> 203 talking"


def test_between_two_rounds_nobody_rings_for_who_waits(world: World) -> None:
    waits(world)
    new(world, "1.1", "PJSIP/203-00000002", "Down")
    dial(world, "1.0", "1.1")
    state(world, "1.1", "Ringing")
    assert line(call(world)) == f"{CUSTOMER} -> 203 queued support"
    world.event("DialEnd", DestUniqueid="1.1", DialStatus="NOANSWER")
    hang_up(world, "1.1")
    assert line(call(world)) == f"{CUSTOMER} -> None queued support"
    assert call(world)["called"] is None


def test_who_gives_up_behind_a_forwarding_is_the_caller(world: World) -> None:
    """Before anybody has answered, too."""
    new(world, "1.0", "PJSIP/204-00000001", CallerIDNum="204", Exten="201")
    local(world, "600", "1.1", "1.2", "1.0")
    world.event("QueueCallerJoin", Uniqueid="1.2", Queue="support", Position="1")
    world.event("QueueCallerAbandon", Uniqueid="1.2", Queue="support", Position="1")
    assert last_step(world) == "abandoned 204 support"


def test_two_local_channels_in_a_row_lead_to_the_caller(world: World) -> None:
    talks(world)
    leave(world, "b", "1.3")
    hang_up(world, "1.3")
    local(world, "205", "1.4", "1.5", "1.2")
    state(world, "1.4", "Up")
    leave(world, "b", "1.2")
    bridge(world, "c", "1.2", "1.4")
    space = {"ParkeeUniqueid": "1.5", "ParkingSpace": "701", "Parkinglot": "default"}
    world.event("ParkedCall", **space, ParkerDialString="PJSIP/205")
    assert label(call(world)["caller"]) == CUSTOMER
    assert last_step(world) == f"parked {CUSTOMER} 205 701"


def test_who_picks_up_a_member_s_call_is_not_that_member(world: World) -> None:
    """The phone that rang goes on as that of who picks up: ``main/pickup.c``, ast_do_pickup."""
    waits(world)
    local(world, "201", "1.1", "1.2", "1.0")
    anna = {"Queue": "support", "DestUniqueid": "1.1", "MemberName": "Anna Agent"}
    world.event("AgentCalled", Uniqueid="1.0", **anna)
    new(world, "1.3", "PJSIP/201-00000002", "Down")
    dial(world, "1.2", "1.3")
    new(world, "1.9", "PJSIP/204-00000009", CallerIDName="Dora", Exten="*8")
    world.event("Pickup", Uniqueid="1.9", TargetUniqueid="1.3")
    world.event(
        "Rename", Uniqueid="1.3", Channel="PJSIP/201-00000002", Newname="PJSIP/204-00000009"
    )
    hang_up(world, "1.9")
    world.event("NewCallerid", Uniqueid="1.3", CallerIDNum="204", CallerIDName="Dora")
    for uniqueid in ("1.3", "1.2", "1.1"):
        state(world, uniqueid, "Up")
    bridge(world, "b", "1.3", "1.2")
    world.event("QueueCallerLeave", Uniqueid="1.0", Queue="support", Position="1")
    world.event("AgentConnect", Uniqueid="1.0", **anna)
    assert line(call(world)) == f"{CUSTOMER} -> 204 talking"
    assert call(world)["callee"]["name"] == "Dora"


def test_a_local_channel_that_is_dialled_has_begun_no_call_of_its_own(world: World) -> None:
    """In 11, which says by Dial alone that it belongs to another."""

    channels = (("1.0", "SIP/201-0"), ("1.1", "Local/205@x-0;1"), ("1.2", "Local/205@x-0;2"))
    for uniqueid, name in channels:
        words = {"Uniqueid": uniqueid, "Channel": name, "ChannelStateDesc": "Ring"}
        world.event("Newchannel", **words)
    world.event("Dial", SubEvent="Begin", UniqueID="1.0", DestUniqueID="1.1")
    world.tick()
    begun = world.get("server", "server")["calls_by_minute"]
    assert (len(world.calls()), sum(begun)) == (1, 1)


def test_a_phone_that_originate_calls_through_a_local_channel_rings_and_answers(
    world: World,
) -> None:
    new(world, "1.1", "Local/203@phones-00000001;1", "Down")
    new(world, "1.2", "Local/203@phones-00000001;2")
    world.event("DialBegin", DestUniqueid="1.1", DialString="203@phones/n")
    new(world, "1.3", "PJSIP/203-00000002", "Down", Exten="")
    dial(world, "1.2", "1.3")
    state(world, "1.3", "Ringing")
    assert line(call(world)) == "203 -> None ringing"
    for uniqueid in ("1.3", "1.2", "1.1"):
        state(world, uniqueid, "Up")
    assert way_of(call(world)) == ["rang 203", "answered 203"]


def test_who_takes_the_place_of_a_half_that_is_parked_is_parked(world: World) -> None:
    """From 13 on, ``res/parking/parking_manager.c``: the Local channel is taken out."""
    talks(world)
    leave(world, "b", "1.3", "1.2")
    space = {"ParkingSpace": "701", "Parkinglot": "default"}
    world.event("ParkedCall", ParkeeUniqueid="1.2", **space, ParkerDialString="PJSIP/201")
    hang_up(world, "1.3")
    leave(world, "a", "1.0")
    world.event("ParkedCallSwap", ParkeeUniqueid="1.0", **space, ParkerDialString="PJSIP/201")
    hang_up(world, "1.2", "1.1")
    assert line(call(world)) == f"{CUSTOMER} -> None parked 701"
    world.event("ParkedCallGiveUp", ParkeeUniqueid="1.0", **space)
    assert call(world)["parking"] is None
