"""Queues, members and callers, on Asterisk 11 and on those since; what the figures count."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amiws_gevent.ami import Message
from amiws_gevent.state import queues as queues_module
from amiws_gevent.state.queues import QueuesPart
from tests.support.fed import START, Fed, event, finish
from tests.support.state import World, line


class Queues(Fed):
    def __init__(self) -> None:
        super().__init__()
        self.part = QueuesPart(self.store, day_of=lambda ms: str(ms // 86_400_000))
        self.add(self.part)

    def join(self, uniqueid: str, position: int, queue: str = "q") -> None:
        self.say(
            "QueueCallerJoin",
            Channel=f"IAX2/{uniqueid}",
            CallerIDNum=uniqueid,
            CallerIDName="<unknown>",
            Uniqueid=uniqueid,
            Queue=queue,
            Position=position,
        )

    def leave(self, uniqueid: str, position: int, queue: str = "q") -> None:
        self.say("QueueCallerLeave", Uniqueid=uniqueid, Queue=queue, Position=position)

    def positions(self) -> dict[str, int]:
        return {key: fields["position"] for key, fields in self.store.of("queue_caller").items()}


@pytest.fixture
def queues() -> Queues:
    return Queues()


def member(**headers: object) -> Message:
    """An item of QueueStatus."""
    base = {"Queue": "q", "Name": "Anna", "Location": "SIP/1", "Status": 1, "Paused": 0}
    return event("QueueMember", **{**base, **headers})


# -- members ---------------------------------------------------------------------------


def test_a_member_of_11(queues: Queues) -> None:
    """11, apps/app_queue.c: add_to_queue, then update_status."""
    queues.say(
        "QueueMemberAdded",
        Queue="q",
        Location="SIP/1",
        MemberName="Anna",
        StateInterface="SIP/1",
        Membership="dynamic",
        Penalty=2,
        CallsTaken=0,
        LastCall=0,
        Status=1,
        Paused=0,
    )
    assert queues.get("queue_member", "q|SIP/1") == {
        "queue": "q",
        "interface": "SIP/1",
        "name": "Anna",
        "state_interface": "SIP/1",
        "membership": "dynamic",
        "penalty": 2,
        "calls_taken": 0,
        "last_call": None,
        "status": 1,
        "state": "idle",
        "paused": False,
        "paused_since": None,
        "reason": None,
        "in_call": False,
        "login_time": None,
        "answered": 0,
        "missed": 0,
        "talk_time": 0,
        "pause_time": 0,
        "ring_in_use": None,
    }
    queues.say("QueueMemberStatus", Queue="q", Location="SIP/1", Status=6, InCall=1, LastCall=9)
    named = queues.some("queue_member", "q|SIP/1", "state", "in_call", "last_call", "name")
    assert named == ("ringing", True, 9000, "Anna")


def test_a_pause_of_11_has_its_reason_in_another_header(queues: Queues) -> None:
    """11, apps/app_queue.c: ql_pause_member, with and without a reason."""
    queues.list("QueueStatus", event("QueueParams", Queue="q"), member(IsInCall=1))
    told = {"Queue": "q", "Location": "SIP/1", "MemberName": "Anna"}
    queues.say("QueueMemberPaused", **told, Paused=1, Reason="Lunch")
    paused = queues.some("queue_member", "q|SIP/1", "paused", "reason", "paused_since", "in_call")
    assert paused == (True, "Lunch", queues.now, True)
    queues.say("QueueMemberPaused", **told, Paused=0)
    paused = queues.some("queue_member", "q|SIP/1", "paused", "reason", "paused_since")
    assert paused == (False, None, None)


def test_a_pause_of_22_keeps_its_reason_in_the_event_that_ends_it(queues: Queues) -> None:
    told = {"Queue": "q", "Interface": "SIP/1", "MemberName": "Anna", "PausedReason": "Lunch"}
    queues.say("QueueMemberPause", **told, Paused=1, LastPause=START // 1000 + 90)
    since = queues.some("queue_member", "q|SIP/1", "reason", "paused_since")
    assert since == ("Lunch", START + 90_000)  # nobody knows how long it was so
    queues.say("QueueMemberStatus", **told, Paused=1, Status=5)
    assert queues.some("queue_member", "q|SIP/1", "reason", "paused_since") == since
    queues.say("QueueMemberPause", **told, Paused=0)
    assert queues.some("queue_member", "q|SIP/1", "reason", "paused_since") == (None, None)


def test_a_list_tells_since_when_one_is_paused_if_nothing_better_is_known(queues: Queues) -> None:
    queues.list("QueueStatus", member(Paused=1, LastPause=77))
    assert queues.some("queue_member", "q|SIP/1", "paused", "paused_since") == (True, 77_000)
    queues.say("QueueMemberPause", Queue="q", Interface="SIP/1", Paused=0)
    queues.say("QueueMemberPause", Queue="q", Interface="SIP/1", Paused=1)
    at = queues.now
    queues.list("QueueStatus", member(Paused=1, LastPause=78))
    assert queues.some("queue_member", "q|SIP/1", "paused_since") == (at,)


def test_penalty_and_ringinuse_change_alone(queues: Queues) -> None:
    """11: both events name the queue and the location, and the one value."""
    queues.list("QueueStatus", member(Penalty=1))
    queues.say("QueueMemberPenalty", Queue="q", Location="SIP/1", Penalty=5)
    queues.say("QueueMemberRinginuse", Queue="q", Location="SIP/1", Ringinuse=0)
    named = queues.some("queue_member", "q|SIP/1", "penalty", "ring_in_use", "name")
    assert named == (5, False, "Anna")


def test_one_who_is_added_again_is_new(queues: Queues) -> None:
    queues.list("QueueStatus", member(Paused=1, PausedReason="Lunch"))
    queues.say("QueueMemberAdded", Queue="q", Interface="SIP/1", MemberName="Ben", Paused=0)
    assert queues.some("queue_member", "q|SIP/1", "name", "reason") == ("Ben", None)
    queues.say("QueueMemberRemoved", Queue="q", Interface="SIP/1")
    assert queues.store.keys("queue_member") == []


def test_a_member_in_a_call_is_told_by_the_agent_events(queues: Queues) -> None:
    """No QueueMemberStatus comes when one is connected: seen in queue_answered (22)."""
    queues.list("QueueStatus", member())
    for name, header, in_call in (
        ("AgentConnect", "Interface", True),
        ("AgentComplete", "Interface", False),
        ("AgentConnect", "Member", True),  # 11
        ("AgentComplete", "Member", False),
    ):
        queues.say(name, Queue="q", Uniqueid="1", HoldTime=3, **{header: "SIP/1"})
        assert queues.some("queue_member", "q|SIP/1", "in_call") == (in_call,)


def test_a_member_of_a_realtime_queue_stays_one(queues: Queues) -> None:
    """22, apps/app_queue.c: queue_member_blob_create says "realtime", manager_queues_status not."""
    queues.list("QueueStatus", member(Membership="static"))
    assert queues.some("queue_member", "q|SIP/1", "membership") == ("static",)
    queues.say("QueueMemberStatus", Queue="q", Interface="SIP/1", Membership="realtime")
    queues.list("QueueStatus", member(Membership="static"))
    assert queues.some("queue_member", "q|SIP/1", "membership") == ("realtime",)


# -- callers ---------------------------------------------------------------------------


def test_positions_shift_when_somebody_leaves(queues: Queues) -> None:
    for number in (1, 2, 3):
        queues.join(str(number), number)
    queues.join("other", 1, queue="other")
    queues.leave("2", 2)
    assert queues.positions() == {"1": 1, "3": 2, "other": 1}
    assert queues.some("queue", "q", "waiting") == (2,)
    queues.leave("2", 2)  # said twice
    assert queues.positions() == {"1": 1, "3": 2, "other": 1}


def test_one_of_priority_comes_before_others(queues: Queues) -> None:
    queues.join("1", 1)
    queues.join("2", 2)
    queues.join("first", 1)
    assert queues.positions() == {"1": 2, "2": 3, "first": 1}
    queues.join("first", 1)  # said twice
    assert queues.positions() == {"1": 2, "2": 3, "first": 1}


def test_a_leave_of_the_queue_before_does_not_take_a_caller_out_of_this_one(
    queues: Queues,
) -> None:
    queues.join("1", 1, queue="a")
    queues.join("1", 1, queue="b")
    queues.leave("1", 1, queue="a")
    assert queues.some("queue_caller", "1", "queue") == ("b",)


def test_join_and_leave_of_11(queues: Queues) -> None:
    """11, apps/app_queue.c: join_queue says "unknown" without brackets, leave_queue little."""
    queues.say(
        "Join",
        Channel="SIP/t-1",
        CallerIDNum="unknown",
        CallerIDName="unknown",
        ConnectedLineNum="unknown",
        Queue="q",
        Position=1,
        Count=1,
        Uniqueid="1.1",
    )
    assert queues.get("queue_caller", "1.1") == {
        "queue": "q",
        "position": 1,
        "channel": "SIP/t-1",
        "number": None,
        "name": None,
        "since": queues.now,
        "server_since": None,
    }
    queues.say("Leave", Channel="SIP/t-1", Queue="q", Count=0, Position=1, Uniqueid="1.1")
    assert queues.store.keys("queue_caller") == []


def test_a_list_says_how_long_one_has_waited(queues: Queues) -> None:
    entry = event("QueueEntry", Queue="q", Position=1, Uniqueid="1", CallerIDNum="1", Wait=9)
    queues.list("QueueStatus", event("QueueParams", Queue="q", Max=0, Strategy="ringall"), entry)
    assert queues.some("queue_caller", "1", "since") == (queues.now - 9000,)
    since = queues.now - 9000
    queues.list("QueueStatus", event("QueueParams", Queue="q"), entry, after=2)
    assert queues.some("queue_caller", "1", "since") == (since,)
    assert queues.some("queue", "q", "strategy", "max", "waiting", "entered") == (
        *(None, None),
        *(1, 1),
    )


def test_what_ended_since_the_list_was_asked_for_does_not_come_back(queues: Queues) -> None:
    queues.join("1", 1)
    asked = queues.offset
    queues.leave("1", 1)
    params = event("QueueParams", Queue="q")
    queues.list("QueueStatus", params, event("QueueEntry", Queue="q", Uniqueid="1"), asked=asked)
    assert queues.store.keys("queue_caller") == []
    assert queues.some("queue", "q", "entered", "waiting") == (1, 0)


def test_an_old_reason_does_not_come_back_for_one_who_was_added_anew(queues: Queues) -> None:
    queues.list("QueueStatus", member(Paused=1, PausedReason="Lunch", LastPause=7))
    asked = queues.offset
    queues.say("QueueMemberRemoved", Queue="q", Interface="SIP/1")
    queues.say("QueueMemberAdded", Queue="q", Interface="SIP/1", Paused=0)
    lunch = member(Paused=1, PausedReason="Lunch", LastPause=7)
    queues.list("QueueStatus", lunch, asked=asked)
    told = queues.some("queue_member", "q|SIP/1", "paused", "reason", "paused_since")
    assert told == (False, None, None)


def test_a_line_is_right_when_a_list_comes_amid_the_joins(queues: Queues) -> None:
    """The server wrote the list after both had joined; the second one's event comes behind."""
    asked = queues.offset
    queues.join("1", 1)
    entries = [
        event("QueueEntry", Queue="q", Position=position, Uniqueid=uniqueid)
        for position, uniqueid in ((1, "first"), (2, "1"))
    ]
    queues.list("QueueStatus", event("QueueParams", Queue="q"), *entries, asked=asked)
    assert queues.positions() == {"1": 2, "first": 1}
    queues.join("first", 1)
    assert queues.positions() == {"1": 2, "first": 1}
    assert queues.some("queue", "q", "entered") == (2,)


# -- figures ---------------------------------------------------------------------------


def abandon(queues: Queues, uniqueid: str, position: int) -> None:
    queues.say("QueueCallerAbandon", Queue="q", Uniqueid=uniqueid, Position=position, HoldTime=8)


@pytest.mark.parametrize("order", ["abandon first", "leave first"])
def test_one_who_gives_up_is_counted_once(queues: Queues, order: str) -> None:
    """11's Abandon names the Uniqueid and no number; whose it was is known from before."""
    queues.join("1", 1)
    if order == "leave first":
        queues.leave("1", 1)
    abandon(queues, "1", 1)
    abandon(queues, "1", 1)
    if order == "abandon first":
        queues.leave("1", 1)
    counts = queues.some("queue", "q", "entered", "abandoned", "answered", "longest_wait")
    assert counts == (1, 1, 0, 8)
    if order == "abandon first":
        (told,) = queues.get("queue", "q")["last_abandoned"]
        assert (told["number"], told["wait"], told["position"]) == ("1", 8, 1)


def test_an_answer_within_the_service_level(queues: Queues) -> None:
    for uniqueid, hold in (("1", 20), ("2", 21)):
        queues.join(uniqueid, 1)
        queues.leave(uniqueid, 1)
        queues.say("AgentConnect", Queue="q", Uniqueid=uniqueid, Interface="SIP/1", HoldTime=hold)
    counts = queues.some("queue", "q", "entered", "answered", "answered_in_level", "longest_wait")
    assert counts == (2, 2, 1, 21)


def test_a_wait_that_the_server_does_not_tell_is_the_one_that_was_seen(queues: Queues) -> None:
    queues.join("1", 1)
    queues.say("QueueCallerAbandon", Queue="q", Uniqueid="1", Position=1, after=5)
    assert queues.some("queue", "q", "longest_wait") == (5,)


def test_a_wait_is_not_negative_when_the_clock_was_set_back(queues: Queues) -> None:
    queues.join("1", 1)
    queues.say("QueueCallerAbandon", Queue="q", Uniqueid="1", Position=1, after=-3600)
    (told,) = queues.get("queue", "q")["last_abandoned"]
    assert told["wait"] == 0
    queues.join("2", 1)
    queues.say("AgentConnect", Queue="q", Uniqueid="2", Interface="SIP/1", after=-3600)
    assert queues.some("queue", "q", "longest_wait", "answered_in_level") == (0, 1)


def test_a_tick_begins_the_day(queues: Queues) -> None:
    queues.join("1", 1)
    queues.tick(after=86_400)
    assert queues.some("queue", "q", "entered", "incomplete", "waiting") == (0, False, 1)


def test_a_restart_of_the_server_loses_no_figures(queues: Queues) -> None:
    queues.join("1", 1)
    finish(queues.part.reset())
    assert queues.store.keys("queue") == []
    queues.join("2", 1)
    assert queues.some("queue", "q", "entered", "waiting") == (2, 1)


def test_figures_go_on_after_the_programs_restart(queues: Queues) -> None:
    queues.join("1", 1)
    abandon(queues, "1", 1)
    again = Queues()
    again.part.figures.restore(json.loads(json.dumps(queues.part.figures.export())), queues.now)
    again.list("QueueStatus", event("QueueParams", Queue="q", Strategy="ringall"))
    counts = again.some("queue", "q", "entered", "abandoned", "incomplete", "strategy")
    assert counts == (1, 1, True, "ringall")


def test_a_connection_that_was_lost_makes_figures_incomplete(queues: Queues) -> None:
    queues.join("1", 1)
    queues.tick(after=86_400)
    queues.store.begin(queues.offset + 1)
    queues.part.interrupted(queues.now + 5)
    told = queues.some("queue", "q", "incomplete", "counted_since")
    assert told == (True, queues.now + 5)


def test_in_a_line_that_is_far_too_long_nobody_moves_up(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues_module, "MOST_SHIFTED", 3)
    for number in (1, 2, 3, 4):
        queues.join(str(number), number)
    queues.leave("1", 1)
    assert queues.positions() == {"2": 2, "3": 3, "4": 4}
    assert queues.some("queue", "q", "waiting") == (3,)
    queues.leave("2", 2)
    assert queues.positions() == {"3": 2, "4": 3}


# -- who leaves otherwise than by an answer, or without a word --------------------------


class Server(World):
    """All parts, as a caller's channel and bridge count here."""

    def caller(self, uniqueid: str, number: str, name: str = "<unknown>") -> None:
        self.event(
            "Newchannel",
            Channel=f"PJSIP/{number}-0000000{uniqueid[-1]}",
            ChannelState="6",
            ChannelStateDesc="Up",
            CallerIDNum=number,
            CallerIDName=name,
            Uniqueid=uniqueid,
            Linkedid=uniqueid,
        )

    def join(self, uniqueid: str, number: str, queue: str = "q", position: int = 1) -> None:
        told = {"Uniqueid": uniqueid, "Queue": queue, "Position": str(position)}
        channel = f"PJSIP/{number}-0000000{uniqueid[-1]}"
        self.event("QueueCallerJoin", Channel=channel, CallerIDNum=number, **told)

    def counts(self, queue: str = "q") -> tuple[Any, ...]:
        return self.some("queue", queue, "entered", "answered", "abandoned", "waiting")


@pytest.mark.parametrize("status", sorted(queues_module.NOT_ABANDONED))
def test_who_is_sent_on_has_not_given_up(status: str) -> None:
    """apps/app_queue.c, queue_exec: record_abandoned, leave_queue, set_queue_result (11 to 22).

    The server tells of one who has waited too long, or whose queue is empty, as of one who has hung
    up; only QUEUESTATUS tells them apart.
    """
    server = Server()
    for uniqueid, position in (("1.1", 1), ("1.2", 2)):
        server.join(uniqueid, "301", position=position)
    for uniqueid in ("1.1", "1.2"):
        told = {"Queue": "q", "Uniqueid": uniqueid, "Position": "1"}
        server.event("QueueCallerAbandon", **told, HoldTime="30")
        server.event("QueueCallerLeave", **told)
    assert server.counts() == (2, 0, 2, 0)
    for _ in range(2):
        server.event("VarSet", Uniqueid="1.1", Variable="QUEUESTATUS", Value=status)
    assert server.counts() == (2, 0, 1, 0)
    (last,) = server.get("queue", "q")["last_abandoned"]
    assert last["uniqueid"] == "1.2"


def test_a_queue_that_nobody_could_enter_says_nothing_of_who_gave_up_before() -> None:
    """His next queue is full, and the one before had told that he hung up: a Uniqueid again."""
    server = Server()
    server.join("1.1", "301")
    server.event("QueueCallerAbandon", Queue="q", Uniqueid="1.1", Position="1", HoldTime="30")
    server.event("VarSet", Uniqueid="1.1", Variable="QUEUESTATUS", Value="FULL")
    server.event("VarSet", Uniqueid="1.1", Variable="OTHER", Value="TIMEOUT")
    assert server.counts() == (1, 0, 1, 1)


@pytest.mark.parametrize("left", [False, True])
def test_a_caller_who_is_passed_to_a_queue_waits_in_the_place_of_who_passed_him(left: bool) -> None:
    """main/bridge.c, ast_bridge_transfer_attended: 201 talks to 301, calls the queue on another
    line, and transfers 301 while that line waits; then channel_do_masquerade swaps the Uniqueids.
    Whoever is passed may have left the bridge before it is told: another thread does that.
    """
    server = Server()
    server.caller("1.1", "301", "Anna")
    server.caller("1.2", "201")
    for uniqueid in ("1.1", "1.2"):
        server.event("BridgeEnter", Uniqueid=uniqueid, BridgeUniqueid="b", BridgeType="basic")
    server.join("1.0", "300")
    server.caller("1.3", "201")
    server.join("1.3", "201", position=2)
    if left:
        server.event("BridgeLeave", Uniqueid="1.1", BridgeUniqueid="b")
    server.event(
        "AttendedTransfer",
        Result="Success",
        OrigTransfererUniqueid="1.2",
        OrigTransfererLinkedid="1.1",
        OrigBridgeUniqueid="b",
        SecondTransfererUniqueid="1.3",
        DestType="App",
        DestApp="Queue",
    )
    for uniqueid in ("1.2", "1.1"):
        server.event("BridgeLeave", Uniqueid=uniqueid, BridgeUniqueid="b")
    server.event("Newexten", Uniqueid="1.1", Context="in", Exten="800", Application="Queue")
    for uniqueid in ("1.3", "1.2"):
        server.event("Hangup", Uniqueid=uniqueid)
    assert [line(call) for call in server.calls()] == ["301 -> None queued q"]
    told = server.some("queue_caller", "1.1", "number", "name", "position", "channel", "queue")
    assert told == ("301", "Anna", 2, "PJSIP/301-00000001", "q")
    assert server.store.keys("queue_caller") == ["1.0", "1.1"]
    server.event("QueueCallerLeave", Queue="q", Uniqueid="1.1", Position="2")
    server.event("AgentConnect", Queue="q", Uniqueid="1.1", Interface="SIP/1", HoldTime="9")
    assert server.counts() == (2, 1, 0, 1)


def test_who_waits_has_the_number_that_his_channel_has() -> None:
    """By a feature code the transferer's Local channel waits: it is told whom it is now.

    main/bridge_basic.c, and the NewCallerid of Local/203;2 in scenarios/attended_transfer.raw.
    """
    server = Server()
    server.caller("1.3", "201")
    server.join("1.3", "201")
    changed = {"CallerIDNum": "301", "CallerIDName": "Anna", "ChannelState": "6"}
    told = {"ConnectedLineNum": "", "ConnectedLineName": "", "Linkedid": "1.1"}
    server.event("NewCallerid", Uniqueid="1.3", **changed, **told)
    server.event("Rename", Uniqueid="1.3", Newname="SIP/301-1")
    assert server.some("queue_caller", "1.3", "number", "name", "channel") == (
        *("301", "Anna"),
        "SIP/301-1",
    )


def test_who_hangs_up_waits_no_more_even_if_his_leaving_was_lost() -> None:
    server = Server()
    for uniqueid, position in (("1.1", 1), ("1.2", 2)):
        server.join(uniqueid, "301", position=position)
    server.event("Hangup", Uniqueid="1.1")
    assert server.some("queue_caller", "1.2", "position") == (1,)
    assert server.counts() == (2, 0, 0, 1)


def test_a_queue_that_was_left_without_a_word_has_one_less_who_waits(queues: Queues) -> None:
    queues.join("1", 1, queue="a")
    queues.join("2", 2, queue="a")
    queues.join("1", 1, queue="b")
    assert queues.some("queue", "a", "waiting") == (1,)
    assert queues.positions() == {"2": 1, "1": 1}


def test_one_who_is_sent_back_is_counted_again_though_his_leaving_was_lost(queues: Queues) -> None:
    for _ in range(2):
        queues.join("1", 1)
        queues.say("AgentConnect", Queue="q", Uniqueid="1", Interface="SIP/1", HoldTime=3)
    assert queues.some("queue", "q", "entered", "answered", "waiting") == (2, 2, 1)


def test_one_who_left_while_the_program_did_not_run_is_counted_when_he_is_back(
    queues: Queues,
) -> None:
    queues.join("1", 1)
    again = Queues()
    again.part.figures.restore(json.loads(json.dumps(queues.part.figures.export())), queues.now)
    again.list("QueueStatus", event("QueueParams", Queue="q"))
    assert list(again.part.figures.inside) == []
    again.join("1", 1)
    assert again.some("queue", "q", "entered") == (2,)


def test_one_who_waits_while_the_program_starts_anew_is_counted_once(queues: Queues) -> None:
    queues.join("1", 1)
    again = Queues()
    again.part.figures.restore(json.loads(json.dumps(queues.part.figures.export())), queues.now)
    entry = event("QueueEntry", Queue="q", Position=1, Uniqueid="1", Wait=9)
    again.list("QueueStatus", event("QueueParams", Queue="q"), entry)
    assert again.some("queue", "q", "entered", "waiting") == (1, 1)
