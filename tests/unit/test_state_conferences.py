"""Conferences and who is in them. What no capture has is by Asterisk's source."""

from __future__ import annotations

import pytest

from amiws_gevent.state.conferences import ConferencesPart
from tests.support.fed import Fed, event
from tests.support.state import World

ROOM = "confbridge|801"


@pytest.fixture
def fed() -> Fed:
    made = Fed()
    made.add(ConferencesPart(made.store))
    return made


def join(fed: Fed, uniqueid: str, **more: object) -> None:
    fed.say(
        "ConfbridgeJoin",
        Conference="801",
        Channel=f"SIP/{uniqueid}",
        ChannelState="6",
        Uniqueid=uniqueid,
        CallerIDNum=uniqueid,
        CallerIDName="<unknown>",
        **more,
    )


def of_channel(fed: Fed, name: str, uniqueid: str, **more: object) -> None:
    fed.say(name, Conference="801", Channel=f"SIP/{uniqueid}", Uniqueid=uniqueid, **more)


def test_a_conference_of_18(fed: Fed) -> None:
    fed.say("ConfbridgeStart", Conference="801", BridgeUniqueid="b")
    start = fed.now
    join(fed, "1", Admin="Yes", Muted="No")
    assert fed.get("conference", ROOM) == {
        "name": "801",
        "application": "confbridge",
        "parties": 1,
        "locked": False,
        "muted": False,
        "recording": False,
        "since": start,
        "server_since": None,
    }
    assert fed.get("participant", "1") == {
        "conference": ROOM,
        "channel": "SIP/1",
        "uniqueid": "1",
        "number": "1",
        "name": None,
        "user": None,
        "admin": True,
        "marked": None,
        "waiting": None,
        "muted": False,
        "talking": False,
        "since": fed.now,
        "server_since": None,
    }
    of_channel(fed, "ConfbridgeTalking", "1", TalkingStatus="on")
    of_channel(fed, "ConfbridgeMute", "1", Admin="Yes")
    assert fed.some("participant", "1", "talking", "muted") == (True, True)
    of_channel(fed, "ConfbridgeUnmute", "1", Admin="Yes")
    of_channel(fed, "ConfbridgeTalking", "1", TalkingStatus="off")
    assert fed.some("participant", "1", "talking", "muted") == (False, False)
    fed.say("ConfbridgeRecord", Conference="801")
    assert fed.some("conference", ROOM, "recording") == (True,)
    fed.say("ConfbridgeStopRecord", Conference="801")
    assert fed.some("conference", ROOM, "recording") == (False,)
    fed.say("ConfbridgeEnd", Conference="801")
    assert fed.store.keys("conference") == fed.store.keys("participant") == []


def test_parties_are_those_who_are_in(fed: Fed) -> None:
    for uniqueid in ("1", "2", "2"):
        join(fed, uniqueid)
    assert fed.some("conference", ROOM, "parties") == (2,)
    for uniqueid in ("1", "1"):
        of_channel(fed, "ConfbridgeLeave", uniqueid)
    assert fed.some("conference", ROOM, "parties") == (1,)


def test_a_leave_of_another_conference_takes_nobody_out(fed: Fed) -> None:
    join(fed, "1")
    fed.say("ConfbridgeLeave", Conference="802", Channel="SIP/1", Uniqueid="1")
    assert fed.store.keys("participant") == ["1"]


def test_a_join_may_come_before_the_start(fed: Fed) -> None:
    join(fed, "1")
    fed.say("ConfbridgeStart", Conference="801")
    assert fed.some("conference", ROOM, "parties") == (1,)


def test_a_conference_of_11(fed: Fed) -> None:
    """11, apps/app_confbridge.c: send_join_event, action_confbridgelist, of which the list has
    no Uniqueid, and action_confbridgelistrooms, which does not say whether it is muted."""
    fed.say("ConfbridgeStart", Conference="801")
    told = {"Channel": "SIP/1", "Uniqueid": "1", "Conference": "801"}
    fed.say("ConfbridgeJoin", **told, CallerIDnum="101", CallerIDname="Anna")
    assert fed.some("participant", "1", "number", "name", "admin") == ("101", "Anna", None)
    items = [
        event(
            "ConfbridgeList",
            Conference="801",
            CallerIDNum="101",
            CallerIDName="<no name>",
            Channel=f"SIP/{number}",
            Admin="No",
            MarkedUser="Yes",
            Muted="Yes",
        )
        for number in (1, 2)
    ]
    fed.list(
        "ConfbridgeListRooms",
        event("ConfbridgeListRooms", Conference="801", Parties=2, Marked=2, Locked="Yes"),
    )
    assert fed.some("conference", ROOM, "parties", "locked", "muted") == (2, True, False)
    fed.list("ConfbridgeList", *items)
    assert fed.some("participant", "1", "uniqueid", "name", "marked") == ("1", "Anna", True)
    assert fed.some("participant", "SIP/2", "uniqueid", "muted", "talking") == (None, True, False)
    fed.say("ConfbridgeLeave", Channel="SIP/2", Uniqueid="2", Conference="801")
    assert fed.store.keys("participant") == ["1"]
    assert fed.some("conference", ROOM, "parties") == (1,)


def test_a_room_that_is_not_listed_goes_with_all_who_were_in(fed: Fed) -> None:
    join(fed, "1")
    fed.list("MeetmeListRooms")
    assert fed.store.keys("conference") == [ROOM]
    fed.list("ConfbridgeListRooms")
    assert fed.store.keys("conference") == fed.store.keys("participant") == []


def test_a_room_stays_that_somebody_joined_since_the_rooms_were_asked_for(fed: Fed) -> None:
    join(fed, "1")
    asked = fed.offset
    join(fed, "2")
    fed.list("ConfbridgeListRooms", asked=asked)
    assert fed.store.keys("conference") == [ROOM]
    fed.list("ConfbridgeListRooms")
    assert fed.store.keys("conference") == []


def test_one_who_is_not_listed_goes(fed: Fed) -> None:
    join(fed, "1")
    join(fed, "2")
    fed.list(
        "ConfbridgeList",
        event("ConfbridgeList", Conference="801", Uniqueid="2", Channel="SIP/2", Talking="Yes"),
    )
    assert fed.store.keys("participant") == ["2"]
    assert fed.some("participant", "2", "talking", "number") == (True, "2")
    assert fed.some("conference", ROOM, "parties") == (1,)


def test_meetme_of_11(fed: Fed) -> None:
    """11, apps/app_meetme.c: conf_run. MeetmeMute and MeetmeTalking have a Status,
    MeetmeList "By admin" and "By self"."""
    told = {"Channel": "DAHDI/1", "Uniqueid": "1", "Meetme": "600", "Usernum": "1"}
    fed.say("MeetmeJoin", **told, CallerIDnum="101", CallerIDname="Anna")
    assert fed.some("conference", "meetme|600", "application", "parties") == ("meetme", 1)
    fed.say("MeetmeMute", **told, Status="on")
    fed.say("MeetmeTalking", **told, Status="on")
    assert fed.some("participant", "1", "muted", "talking", "user") == (True, True, 1)
    fed.list(
        "MeetmeList",
        event(
            "MeetmeList",
            Conference="600",
            UserNumber=1,
            Channel="DAHDI/1",
            Muted="By self",
            Talking="Not monitored",
        ),
    )
    assert fed.some("participant", "1", "muted", "talking", "name") == (True, False, "Anna")
    fed.say("MeetmeLeave", **told, Duration="5")
    fed.say("MeetmeEnd", Meetme="600")
    assert fed.store.keys("conference") == fed.store.keys("participant") == []


def test_meetme_of_13_has_the_number_of_a_user_in_another_header(fed: Fed) -> None:
    """13, apps/app_meetme.c: meetme_stasis_cb."""
    fed.say("MeetmeJoin", Meetme="600", Channel="DAHDI/1", ChannelState="6", Uniqueid="1", User=3)
    assert fed.some("participant", "1", "user") == (3,)


def test_who_is_in_a_conference_has_the_number_that_his_channel_has() -> None:
    """By a feature code the transferer's Local channel is in it: it is told whom it is now.

    main/bridge_basic.c, and the NewCallerid of Local/203;2 in scenarios/attended_transfer.raw.
    """
    world = World()
    local = {"Uniqueid": "1.3", "Channel": "Local/801@in-1;2", "ChannelState": "6"}
    world.event("Newchannel", **local, CallerIDNum="201")
    world.event("ConfbridgeJoin", **local, Conference="801", CallerIDNum="201")
    world.event("NewCallerid", **local, CallerIDNum="301", CallerIDName="Anna")
    assert world.some("participant", "1.3", "number", "name") == ("301", "Anna")
