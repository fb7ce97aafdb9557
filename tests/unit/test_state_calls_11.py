"""Calls on Asterisk 11, which has no Linkedid: made by hand of what its source sends.

Each scenario names the places of branch 11 whose events, in that order, it is made of.
"""

from __future__ import annotations

from typing import Any

from amiws_gevent.ami import Kind, Message
from tests.support.state import World, label, line
from tests.unit.test_state_calls import way_of


class Server:
    """Sends what an Asterisk 11 sends."""

    def __init__(self, world: World) -> None:
        self.world = world

    def new(self, uniqueid: str, name: str, state: str, number: str = "", exten: str = "") -> None:
        """main/channel.c, __ast_channel_alloc_ap."""
        self.world.event(
            "Newchannel",
            Channel=name,
            ChannelState="0",
            ChannelStateDesc=state,
            CallerIDNum=number,
            CallerIDName="",
            AccountCode="",
            Exten=exten,
            Context="phones",
            Uniqueid=uniqueid,
        )

    def state(self, uniqueid: str, name: str, state: str, number: str = "") -> None:
        """main/channel.c, ast_setstate."""
        self.world.event(
            "Newstate",
            Channel=name,
            ChannelStateDesc=state,
            CallerIDNum=number,
            CallerIDName="",
            ConnectedLineNum="",
            ConnectedLineName="",
            Uniqueid=uniqueid,
        )

    def dial(self, source: str, target: str, dial_string: str) -> None:
        """apps/app_dial.c, senddialevent."""
        self.world.event(
            "Dial", SubEvent="Begin", UniqueID=source, DestUniqueID=target, Dialstring=dial_string
        )

    def hand_over(self, line: str, other: str) -> None:
        """channels/chan_sip.c, local_attended_transfer."""
        told = {"TransferMethod": "SIP", "TransferType": "Attended"}
        self.world.event("Transfer", **told, Uniqueid=line, TargetUniqueid=other)

    def bridge(self, one: str, two: str, state: str = "Link") -> None:
        """main/channel.c, manager_bridge_event."""
        self.world.event(
            "Bridge", Bridgestate=state, Bridgetype="core", Uniqueid1=one, Uniqueid2=two
        )

    def rename(self, uniqueid: str, old: str, new: str) -> None:
        """main/channel.c, __ast_change_name_nolink."""
        self.world.event("Rename", Channel=old, Newname=new, Uniqueid=uniqueid)

    def hang_up(self, *uniqueids: str) -> None:
        """main/channel.c, ast_hangup."""
        for uniqueid in uniqueids:
            self.world.event("Hangup", Uniqueid=uniqueid, Cause="16")

    def masquerade(self, original: tuple[str, str], clone: tuple[str, str]) -> None:
        """main/channel.c, ast_do_masquerade: the clone's channel goes on as the original.

        It takes the clone's name, the clone gets the original's with <ZOMBIE>.
        """
        (first, name), (second, taken) = original, clone
        self.world.event("Masquerade", Clone=taken, Original=name)
        self.rename(second, taken, f"{taken}<MASQ>")
        self.rename(first, name, taken)
        self.rename(second, f"{taken}<MASQ>", f"{name}<ZOMBIE>")
        self.hang_up(second)

    def talk(self) -> None:
        """201 calls 203, who answers: main/channel.c, apps/app_dial.c dial_exec_full."""
        self.new("1.0", "SIP/201-0", "Ring", "201", "203")
        self.new("1.1", "SIP/203-1", "Down")
        self.dial("1.0", "1.1", "203")
        self.state("1.1", "SIP/203-1", "Ringing", "203")
        self.state("1.1", "SIP/203-1", "Up", "203")
        self.state("1.0", "SIP/201-0", "Up", "201")
        self.bridge("1.0", "1.1")


def one(world: World) -> dict[str, Any]:
    (call,) = world.calls()
    return call


def test_a_call_from_ringing_to_its_end() -> None:
    world = World()
    server = Server(world)
    server.new("1.0", "SIP/201-0", "Ring", "201", "203")
    server.new("1.1", "SIP/203-1", "Down")
    server.dial("1.0", "1.1", "203")
    server.state("1.1", "SIP/203-1", "Ringing", "203")
    assert line(one(world)) == "201 -> 203 ringing"
    server.state("1.1", "SIP/203-1", "Up", "203")
    server.state("1.0", "SIP/201-0", "Up", "201")
    server.bridge("1.0", "1.1")
    assert line(one(world)) == "201 -> 203 talking"
    server.bridge("1.0", "1.1", "Unlink")
    server.hang_up("1.1")
    world.event("Dial", SubEvent="End", UniqueID="1.0", DialStatus="ANSWER")
    server.hang_up("1.0")
    assert world.calls() == []
    call = world.ended[-1]
    assert way_of(call.fields) == ["dialled 201 203", "rang 203", "answered 203", "ended 16"]


def test_hold_by_the_phone() -> None:
    """channels/chan_sip.c, change_hold_state."""
    world = World()
    Server(world).talk()
    world.event("Hold", Status="On", Channel="SIP/203-1", Uniqueid="1.1")
    assert line(one(world)) == "201 -> 203 held"
    world.event("Hold", Status="Off", Channel="SIP/203-1", Uniqueid="1.1")
    assert line(one(world)) == "201 -> 203 talking"


def test_a_pickup_is_a_masquerade_of_the_phone_that_rang() -> None:
    """main/features.c, ast_do_pickup: the picker's channel goes on as that which rang."""
    world = World()
    server = Server(world)
    server.new("1.0", "SIP/201-0", "Ring", "201", "203")
    server.new("1.1", "SIP/203-1", "Down")
    server.dial("1.0", "1.1", "203")
    server.state("1.1", "SIP/203-1", "Ringing", "203")
    server.new("1.2", "SIP/204-2", "Ring", "204", "*8")
    server.state("1.2", "SIP/204-2", "Up", "204")
    world.event("Pickup", Channel="SIP/204-2", TargetChannel="SIP/203-1")
    server.masquerade(("1.1", "SIP/203-1"), ("1.2", "SIP/204-2"))
    server.state("1.1", "SIP/204-2", "Up", "204")
    server.state("1.0", "SIP/201-0", "Up", "201")
    server.bridge("1.0", "1.1")
    assert line(one(world)) == "201 -> 204 talking"
    server.hang_up("1.1", "1.0")
    assert "picked_up 204 203" in way_of(world.ended[-1].fields)
    assert world.calls() == []


def test_an_attended_transfer_by_the_phone_makes_one_call_of_two() -> None:
    """channels/chan_sip.c, local_attended_transfer: 203 has two calls and joins their ends."""
    world = World()
    server = Server(world)
    server.talk()
    world.event("Hold", Status="On", Channel="SIP/203-1", Uniqueid="1.1")
    server.new("1.2", "SIP/203-2", "Ring", "203", "204")
    server.new("1.3", "SIP/204-3", "Down")
    server.dial("1.2", "1.3", "204")
    server.state("1.3", "SIP/204-3", "Up", "204")
    server.state("1.2", "SIP/203-2", "Up", "203")
    server.bridge("1.2", "1.3")
    assert {line(call) for call in world.calls()} == {"201 -> 203 held", "203 -> 204 talking"}
    server.hand_over("1.1", "1.2")
    server.masquerade(("1.2", "SIP/203-2"), ("1.0", "SIP/201-0"))
    server.bridge("1.2", "1.3")
    server.hang_up("1.1")
    call = one(world)
    assert {label(call["caller"]), label(call["callee"])} == {"201", "204"}
    assert call["phase"] == "talking"
    assert "transferred 203 201 204 attended" in way_of(call)
    server.hang_up("1.2", "1.3")
    assert world.calls() == []


def test_who_is_handed_over_to_a_queue_is_who_he_was() -> None:
    """channels/chan_sip.c, local_attended_transfer, while the second line waits in a queue."""
    world = World()
    server = Server(world)
    server.new("1.0", "SIP/trunk-0", "Ring", "030123456", "200")
    server.new("1.1", "SIP/203-1", "Down")
    server.dial("1.0", "1.1", "203")
    server.state("1.1", "SIP/203-1", "Up")
    server.state("1.0", "SIP/trunk-0", "Up", "030123456")
    server.bridge("1.0", "1.1")
    server.new("1.2", "SIP/203-2", "Ring", "203", "700")
    server.state("1.2", "SIP/203-2", "Up", "203")
    joins = {"Channel": "SIP/203-2", "CallerIDNum": "203", "Queue": "support", "Position": "1"}
    world.event("Join", **joins, Uniqueid="1.2")
    server.hand_over("1.1", "1.2")
    server.masquerade(("1.2", "SIP/203-2"), ("1.0", "SIP/trunk-0"))
    changed = {"CallerIDNum": "030123456", "CallerIDName": "Kunde"}
    world.event("NewCallerid", Channel="SIP/trunk-0", **changed, Uniqueid="1.2")
    server.hang_up("1.1")
    call = one(world)
    assert line(call) == "030123456 -> None queued support"
    assert (call["caller"]["name"], call["trunk"]) == ("Kunde", "trunk")
    assert "queued 030123456 support" in way_of(call)
    waits = world.some("queue_caller", "1.2", "channel", "number", "name")
    assert waits == ("SIP/trunk-0", "030123456", "Kunde")


def test_a_blind_transfer_by_the_phone() -> None:
    """channels/chan_sip.c, handle_request_refer; main/pbx.c, ast_async_goto."""
    world = World()
    server = Server(world)
    server.talk()
    world.event(
        "Transfer",
        TransferMethod="SIP",
        TransferType="Blind",
        Uniqueid="1.1",
        TargetUniqueid="1.0",
        TransferExten="204",
    )
    server.bridge("1.0", "1.1", "Unlink")
    server.hang_up("1.1")
    server.new("1.4", "SIP/204-4", "Down")
    server.dial("1.0", "1.4", "204")
    server.state("1.4", "SIP/204-4", "Ringing", "204")
    call = one(world)
    assert line(call) == "201 -> 204 ringing"
    assert label(call["called"]) == "203"
    assert way_of(call)[-2:] == ["transferred 203 201 204 blind", "rang 204"]


def test_a_queue_with_a_local_member() -> None:
    """apps/app_queue.c, join_queue, ring_entry, try_calling, leave_queue; channels/chan_local.c.

    A queue sends no Dial in 11. With ``eventwhencalled`` AgentCalled names both channels.
    """
    world = World()
    server = Server(world)
    server.new("1.0", "SIP/gw-0", "Ring", "+4930123456", "600")
    server.state("1.0", "SIP/gw-0", "Up", "+4930123456")
    world.event("Join", Channel="SIP/gw-0", Queue="support", Position="1", Uniqueid="1.0")
    assert line(one(world)) == "+4930123456 -> None queued support"
    server.new("1.1", "Local/201@agents-0;1", "Down")
    server.new("1.2", "Local/201@agents-0;2", "Ring")
    world.event(
        "AgentCalled",
        Queue="support",
        AgentCalled="Local/201@agents/n",
        AgentName="Anna Agent",
        ChannelCalling="SIP/gw-0",
        DestinationChannel="Local/201@agents-0;1",
        Uniqueid="1.0",
    )
    server.new("1.3", "SIP/201-3", "Down")
    server.dial("1.2", "1.3", "201")
    server.state("1.3", "SIP/201-3", "Ringing", "201")
    call = one(world)
    assert line(call) == "+4930123456 -> 201 queued support"
    assert call["callee"]["name"] == "Anna Agent"
    for uniqueid in ("1.3", "1.2", "1.1"):
        server.state(uniqueid, "", "Up")
    server.bridge("1.2", "1.3")
    world.event("Leave", Queue="support", Uniqueid="1.0")
    world.event("AgentConnect", Uniqueid="1.0", BridgedChannel="1.1", MemberName="Anna Agent")
    server.bridge("1.0", "1.1")
    call = one(world)
    assert line(call) == "+4930123456 -> 201 talking"
    assert call["callee"]["name"] == "Anna Agent"
    server.hang_up("1.0", "1.1", "1.2", "1.3")
    assert world.calls() == []


def test_a_parked_call_and_a_conference() -> None:
    """main/features.c, park_call_full and parked_call_exec; apps/app_meetme.c."""
    world = World()
    server = Server(world)
    server.talk()
    world.event("ParkedCall", Exten="701", Parkinglot="default", From="SIP/201-0", Uniqueid="1.1")
    server.bridge("1.0", "1.1", "Unlink")
    server.hang_up("1.0")
    assert line(one(world)) == "203 -> None parked 701"
    server.new("1.5", "SIP/204-5", "Ring", "204", "701")
    server.state("1.5", "SIP/204-5", "Up", "204")
    where = {"Exten": "701", "Parkinglot": "default"}
    world.event("UnParkedCall", **where, From="SIP/204-5", Uniqueid="1.1")
    server.bridge("1.1", "1.5")
    assert line(one(world)) == "203 -> 204 talking"
    assert way_of(one(world))[-2:] == ["parked 203 201 701", "retrieved 203 204"]
    server.hang_up("1.1", "1.5")
    server.new("1.6", "SIP/201-6", "Ring", "201", "800")
    server.state("1.6", "SIP/201-6", "Up", "201")
    world.event("MeetmeJoin", Uniqueid="1.6", Meetme="800")
    assert line(one(world)) == "201 -> None conference 800"
    world.event("MeetmeLeave", Uniqueid="1.6", Meetme="800")
    world.event("MeetmeEnd", Meetme="800")
    server.hang_up("1.6")
    assert world.calls() == []


def test_who_listens_is_a_call_of_his_own() -> None:
    """apps/app_chanspy.c, channel_spy: names alone."""
    world = World()
    server = Server(world)
    server.talk()
    server.new("1.7", "SIP/204-7", "Ring", "204", "962")
    server.state("1.7", "SIP/204-7", "Up", "204")
    world.event("Newexten", Application="ChanSpy", Extension="962", Uniqueid="1.7")
    world.event("ChanSpyStart", SpyerChannel="SIP/204-7", SpyeeChannel="SIP/203-1")
    spying = world.calls()[1]
    assert (line(spying), spying["listens_to"]) == ("204 -> None application ChanSpy", "203")
    world.event("ChanSpyStop", SpyerChannel="SIP/204-7")
    assert world.calls()[1]["listens_to"] is None


def test_lists_say_who_is_bridged_with_whom() -> None:
    """main/manager.c, action_coreshowchannels and generate_status."""
    world = World()
    item = {"Event": "CoreShowChannel", "ChannelStateDesc": "Up", "Duration": "00:00:05"}
    items = [
        Message(Kind.EVENT, {**item, "Channel": name, "UniqueID": key, **more})
        for name, key, more in (
            (
                "SIP/201-0",
                "1.0",
                {
                    "CallerIDnum": "201",
                    "Extension": "203",
                    "Application": "Dial",
                    "BridgedUniqueID": "1.1",
                },
            ),
            (
                "SIP/203-1",
                "1.1",
                {"CallerIDnum": "203", "Application": "AppDial", "BridgedUniqueID": "1.0"},
            ),
        )
    ]
    world.listed("CoreShowChannels", items)
    assert line(one(world)) == "201 -> 203 talking"
    world.listed("CoreShowChannels", [])
    assert world.calls() == []
