"""What a call tells of itself at moments that no capture has."""

from __future__ import annotations

from typing import Any

from amiws_gevent.ami import Kind, Message
from tests.support.state import World, label, line


def new(world: World, uniqueid: str, name: str, state: str = "Ring", **headers: str) -> None:
    number = name.partition("/")[2].partition("-")[0]
    known = {"CallerIDNum": number, "CallerIDName": "", "Exten": "203", "Linkedid": "1.0"}
    world.event(
        "Newchannel",
        Channel=name,
        ChannelStateDesc=state,
        Uniqueid=uniqueid,
        **{**known, **headers},
    )


def state(world: World, uniqueid: str, word: str) -> None:
    world.event("Newstate", Uniqueid=uniqueid, ChannelStateDesc=word)


def dial(world: World, source: str, target: str, dial_string: str = "") -> None:
    world.event("DialBegin", Uniqueid=source, DestUniqueid=target, DialString=dial_string)


def bridge(world: World, *uniqueids: str) -> None:
    for uniqueid in uniqueids:
        world.event("BridgeEnter", BridgeUniqueid="b", BridgeType="basic", Uniqueid=uniqueid)


def talk(world: World) -> None:
    """201 talks with 203."""
    new(world, "1.0", "SIP/201-1")
    new(world, "1.1", "SIP/203-1", "Down")
    dial(world, "1.0", "1.1")
    state(world, "1.1", "Up")
    state(world, "1.0", "Up")
    bridge(world, "1.1", "1.0")


def call(world: World) -> dict[str, Any]:
    (only,) = world.calls()
    return only


def test_hold_says_who_waits() -> None:
    world = World()
    talk(world)
    world.event("Hold", Uniqueid="1.1")
    assert line(call(world)) == "201 -> 203 held"
    assert [label(person) for person in call(world)["held"]] == ["201"]
    world.event("Unhold", Uniqueid="1.1")
    assert (line(call(world)), call(world)["held"]) == ("201 -> 203 talking", [])


def test_both_wait_who_have_put_each_other_on_hold() -> None:
    world = World()
    talk(world)
    world.event("Hold", Uniqueid="1.1")
    world.event("Hold", Uniqueid="1.0")
    assert {label(person) for person in call(world)["held"]} == {"201", "203"}
    world.event("Unhold", Uniqueid="1.1")
    assert [label(person) for person in call(world)["held"]] == ["203"]


def test_each_phase_has_its_beginning() -> None:
    world = World()
    new(world, "1.0", "SIP/201-1")
    began = world.now
    world.event("NewCallerid", Uniqueid="1.0", CallerIDName="Anna")
    assert (call(world)["since"], call(world)["created"]) == (began, began)
    new(world, "1.1", "SIP/203-1", "Down")
    dial(world, "1.0", "1.1")
    state(world, "1.1", "Ringing")
    assert (call(world)["phase"], call(world)["since"]) == ("ringing", world.now)
    assert call(world)["answered"] is None
    state(world, "1.1", "Up")
    assert (call(world)["phase"], call(world)["answered"]) == ("talking", world.now)


def test_a_call_to_the_outside_names_the_number_and_the_trunk() -> None:
    world = World()
    new(world, "1.0", "SIP/201-1", Exten="0030123456")
    new(world, "1.1", "SIP/gw-1", "Down", CallerIDNum="<unknown>")
    dial(world, "1.0", "1.1", "030123456@gw")
    assert line(call(world)) == "201 -> 030123456 dialling"
    assert (call(world)["trunk"], call(world)["dialled"]) == ("gw", "0030123456")


def test_a_call_from_the_outside_names_the_trunk_also_where_its_channel_was_down_at_first() -> None:
    """As of chan_sip up to 13: channels/chan_sip.c, handle_request_invite."""
    world = World()
    new(world, "1.0", "SIP/gw-1", "Down", CallerIDNum="030123456", Exten="600")
    state(world, "1.0", "Ring")
    assert (line(call(world)), call(world)["trunk"]) == ("030123456 -> None dialling", "gw")
    assert call(world)["dialled"] == "600"


def test_one_who_does_not_answer_is_out_and_the_next_may_ring() -> None:
    world = World()
    new(world, "1.0", "SIP/201-1")
    new(world, "1.1", "SIP/203-1", "Down")
    dial(world, "1.0", "1.1")
    state(world, "1.1", "Ringing")
    world.event("DialEnd", Uniqueid="1.0", DestUniqueid="1.1", DialStatus="NOANSWER")
    assert (call(world)["ringing"], label(call(world)["callee"])) == ([], "203")
    new(world, "1.2", "SIP/204-1", "Down")
    dial(world, "1.0", "1.2")
    assert [label(person) for person in call(world)["ringing"]] == ["204"]


def test_nobody_rings_when_the_one_who_was_called_is_busy() -> None:
    """The caller hears that, and the dialplan goes on."""
    world = World()
    new(world, "1.0", "SIP/201-1")
    new(world, "1.1", "SIP/203-1", "Down")
    dial(world, "1.0", "1.1")
    state(world, "1.1", "Ringing")
    world.event("DialEnd", Uniqueid="1.0", DestUniqueid="1.1", DialStatus="BUSY")
    world.event("Hangup", Uniqueid="1.1", Cause="17")
    world.event("Newexten", Uniqueid="1.0", Application="PlayTones")
    assert line(call(world)) == "201 -> 203 dialling PlayTones"
    state(world, "1.0", "Up")
    world.event("Newexten", Uniqueid="1.0", Application="WaitExten")
    assert (call(world)["phase"], label(call(world)["called"])) == ("application", "203")


def test_who_stays_when_the_other_has_hung_up_may_hear_an_application() -> None:
    world = World()
    talk(world)
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.1")
    world.event("Hangup", Uniqueid="1.1", Cause="16")
    assert line(call(world)) == "201 -> 203 talking"  # it comes to its end
    world.event("Newexten", Uniqueid="1.0", Application="VoiceMail")
    assert line(call(world)) == "201 -> 203 application VoiceMail"


def test_the_cause_of_a_call_is_that_of_its_caller() -> None:
    world = World()
    talk(world)
    world.event("Hangup", Uniqueid="1.1", Cause="26")
    world.event("Hangup", Uniqueid="1.0", Cause="16", **{"Cause-txt": "Normal Clearing"})
    (ended,) = world.ended
    assert (ended.cause, ended.cause_text, ended.ended) == (16, "Normal Clearing", world.now)


def test_steps_have_the_server_s_time_where_it_sends_one() -> None:
    world = World()
    new(world, "1.0", "SIP/201-1", Timestamp="1700000000.5")
    (step,) = call(world)["way"]
    assert (step["at"], step["server_at"]) == (world.now, 1_700_000_000_500)
    assert call(world)["server_created"] == 1_700_000_000_500


def test_each_time_has_the_server_s_beside_it_where_it_sends_one() -> None:
    world = World()
    new(world, "1.0", "SIP/201-1", Timestamp="1700000000.5")
    assert call(world)["server_since"] == 1_700_000_000_500
    new(world, "1.1", "SIP/203-1", "Down", Timestamp="1700000001.0")
    dial(world, "1.0", "1.1")
    stamped = {"Uniqueid": "1.1", "ChannelStateDesc": "Up", "Timestamp": "1700000004.25"}
    world.event("Newstate", **stamped)
    told = call(world)
    assert (told["since"], told["server_since"]) == (world.now, 1_700_000_004_250)
    assert (told["answered"], told["server_answered"]) == (world.now, 1_700_000_004_250)
    bridge(world, "1.1", "1.0")
    world.event("Hold", Uniqueid="1.1")  # without one
    assert (call(world)["since"], call(world)["server_since"]) == (world.now, None)


def test_what_is_not_other_is_no_change() -> None:
    world = World()
    talk(world)
    before = world.store.changed_at("call", "1.0")
    state(world, "1.0", "Up")
    world.event("Newexten", Uniqueid="1.1", Application="AppDial")
    assert world.store.changed_at("call", "1.0") == before


def test_all_whose_end_was_lost_go_with_the_next_list() -> None:
    world = World()
    new(world, "1.0", "SIP/201-1")
    for uniqueid in ("1.1", "1.2"):
        new(world, uniqueid, f"SIP/20{uniqueid[-1]}-1", "Down")
        dial(world, "1.0", uniqueid)
        state(world, uniqueid, "Ringing")
    item = {"Event": "CoreShowChannel", "Channel": "SIP/201-1", "Uniqueid": "1.0"}
    world.listed("CoreShowChannels", [Message(Kind.EVENT, item)])
    assert (call(world)["legs"], call(world)["ringing"]) == (["1.0"], [])
    world.listed("CoreShowChannels", [])
    assert world.calls() == []
    assert len(world.ended) == 1


def test_an_attended_transfer_by_the_phone_makes_one_call_of_two() -> None:
    """From 12 on: main/bridge.c, ast_bridge_transfer_attended, the transferer is swapped out."""
    world = World()
    talk(world)  # 201 with 203
    world.event("Hold", Uniqueid="1.1")
    new(world, "2.0", "SIP/203-2", Linkedid="2.0", Exten="204")
    new(world, "2.1", "SIP/204-1", "Down", Linkedid="2.0")
    dial(world, "2.0", "2.1")
    state(world, "2.1", "Up")
    for uniqueid in ("2.1", "2.0"):
        world.event("BridgeEnter", BridgeUniqueid="c", BridgeType="basic", Uniqueid=uniqueid)
    assert [line(one) for one in world.calls()] == ["201 -> 203 held", "203 -> 204 talking"]
    swapped = {"BridgeUniqueid": "c", "BridgeType": "basic", "SwapUniqueid": "2.0"}
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.0")
    world.event("BridgeEnter", **swapped, Uniqueid="1.0", Linkedid="1.0")
    world.event(
        "AttendedTransfer",
        Result="Success",
        OrigTransfererUniqueid="1.1",
        SecondTransfererUniqueid="2.0",
        TransfereeUniqueid="1.0",
        TransferTargetUniqueid="2.1",
    )
    for uniqueid in ("1.1", "2.0"):
        world.event("Hangup", Uniqueid=uniqueid, Cause="16")
    assert line(call(world)) == "201 -> 204 talking"
    assert (call(world)["merged"], label(call(world)["called"])) == (["2.0"], "203")
    assert [step for step in call(world)["way"] if step["what"] == "transferred"] == [
        {
            "what": "transferred",
            "at": world.now - 20,
            "by": "203",
            "who": "201",
            "to": "204",
            "how": "attended",
        }
    ]
    assert world.ended[0].merged_into == "1.0"


def test_a_blonde_transfer_leaves_the_other_ringing() -> None:
    """From 12 on: AttendedTransfer to an application, while the target still rings."""
    world = World()
    talk(world)
    new(world, "2.0", "SIP/203-2", Linkedid="2.0", Exten="204")
    new(world, "2.1", "SIP/204-1", "Down", Linkedid="2.0")
    dial(world, "2.0", "2.1")
    state(world, "2.1", "Ringing")
    world.event(
        "AttendedTransfer",
        Result="Success",
        OrigTransfererUniqueid="1.1",
        SecondTransfererUniqueid="2.0",
        TransfereeUniqueid="1.0",
        DestType="App",
        DestApp="Dial",
    )
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.1")
    for uniqueid in ("1.1", "2.0"):
        world.event("Hangup", Uniqueid=uniqueid, Cause="16")
    assert len(world.calls()) == 1
    world.event("DialBegin", Uniqueid="1.0", DestUniqueid="2.1")
    assert line(call(world)) == "201 -> 204 ringing"


def test_a_transfer_that_failed_is_none() -> None:
    world = World()
    talk(world)
    for event in ("BlindTransfer", "AttendedTransfer"):
        world.event(event, Result="Fail", TransfererUniqueid="1.0", OrigTransfererUniqueid="1.0")
    assert [step["what"] for step in call(world)["way"]] == ["dialled", "answered"]


def test_originate_whose_phone_refuses_is_a_call_with_its_cause() -> None:
    """main/dial.c, begin_dial_channel and monitor_dial: DialEnd, then Hangup."""
    world = World()
    new(world, "1.0", "SIP/201-1", "Down", CallerIDNum="<unknown>", Exten="s")
    world.event("DialBegin", DestUniqueid="1.0", DialString="201")
    assert line(call(world)) == "201 -> None dialling"
    world.event("DialEnd", DestUniqueid="1.0", DialStatus="BUSY")
    world.event("OriginateResponse", Response="Failure", Reason="5", Uniqueid="1.0")
    world.event("Hangup", Uniqueid="1.0", Cause="17", **{"Cause-txt": "User busy"})
    assert world.calls() == []
    assert (world.ended[0].cause, world.ended[0].fields["answered"]) == (17, None)


def test_who_was_left_while_the_other_consults_is_held() -> None:
    """As in captures/scenarios/attended_transfer, but by the phone that was called."""
    world = World()
    talk(world)
    new(world, "1.2", "Local/204@phones-00000001;1", "Down")
    new(world, "1.3", "Local/204@phones-00000001;2")
    world.event("BridgeEnter", BridgeUniqueid="c", BridgeType="basic", Uniqueid="1.2")
    new(world, "1.4", "SIP/204-1", "Down")
    dial(world, "1.3", "1.4")
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.1")
    world.event("BridgeEnter", BridgeUniqueid="c", BridgeType="basic", Uniqueid="1.1")
    state(world, "1.4", "Ringing")
    assert line(call(world)) == "201 -> 203 held"
    assert [label(person) for person in call(world)["held"]] == ["201"]
    world.event("DialEnd", DestUniqueid="1.4", DialStatus="BUSY")
    for uniqueid in ("1.4", "1.3", "1.2"):
        world.event("Hangup", Uniqueid=uniqueid, Cause="17")
    world.event("BridgeLeave", BridgeUniqueid="c", Uniqueid="1.1")
    bridge(world, "1.1")
    assert (line(call(world)), call(world)["held"]) == ("201 -> 203 talking", [])
    held = [step for step in call(world)["way"] if step["what"] in ("held", "resumed")]
    assert [(step["what"], step.get("who")) for step in held] == [
        ("held", "201"),
        ("resumed", None),
    ]


def test_who_hangs_up_has_not_held_the_other() -> None:
    world = World()
    talk(world)
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.1")
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.0")
    for uniqueid in ("1.1", "1.0"):
        world.event("Hangup", Uniqueid=uniqueid, Cause="16")
    assert [step["what"] for step in world.ended[0].fields["way"]] == [
        "dialled",
        "answered",
        "ended",
    ]


def test_who_is_handed_over_to_a_queue_is_who_he_was() -> None:
    """203 has somebody from outside on the line, waits in a queue on another, and leaves him there:
    ``DestType: App``, then a masquerade (main/bridge.c, ast_bridge_transfer_attended). From 12 on
    that swaps the Uniqueids and tells no names: see scenarios/pickup.raw."""
    world = World()
    outside = {"CallerIDNum": "030123456", "CallerIDName": "Kunde"}
    new(world, "1.0", "PJSIP/trunk-00000001", Exten="200", **outside)
    new(world, "1.1", "PJSIP/203-00000002", "Down")
    dial(world, "1.0", "1.1")
    for uniqueid in ("1.1", "1.0"):
        state(world, uniqueid, "Up")
    bridge(world, "1.1", "1.0")
    new(world, "2.0", "PJSIP/203-00000003", Linkedid="2.0", Exten="700")
    state(world, "2.0", "Up")
    world.event("QueueCallerJoin", Uniqueid="2.0", Queue="support", Position="1")
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.0")
    world.event(
        "AttendedTransfer",
        Result="Success",
        OrigTransfererUniqueid="1.1",
        OrigBridgeUniqueid="b",
        SecondTransfererUniqueid="2.0",
        DestType="App",
        DestApp="Queue",
    )
    world.event("Newexten", Uniqueid="1.0", Context="in", Exten="700", Application="Queue")
    world.event("Hangup", Uniqueid="2.0", Cause="16")
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.1")
    world.event("Hangup", Uniqueid="1.1", Cause="16")
    assert line(call(world)) == "030123456 -> None queued support"
    assert (call(world)["caller"]["name"], call(world)["trunk"]) == ("Kunde", "trunk")
    assert [step["what"] for step in call(world)["way"]] == [
        *("dialled", "answered", "queued", "transferred"),
    ]


def test_a_key_that_comes_again_begins_another_call_whatever_ends_were_lost() -> None:
    """Originate may choose keys (main/manager.c, action_originate: ChannelId)."""
    world = World()
    talk(world)  # 201 with 203, of whom no end is told
    new(world, "1.0", "SIP/205-7", Exten="206")
    assert line(call(world)) == "205 -> None dialling"
    assert (call(world)["legs"], call(world)["called"]) == (["1.0", "1.1"], None)
    assert len(world.ended) == 1
    item = {
        "Event": "CoreShowChannel",
        "Channel": "SIP/205-7",
        "Uniqueid": "1.0",
        "Linkedid": "1.0",
    }
    world.listed("CoreShowChannels", [Message(Kind.EVENT, item)])
    assert call(world)["legs"] == ["1.0"]
    assert line(call(world)) == "205 -> None dialling"
