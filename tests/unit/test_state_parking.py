"""Parking lots and parked calls, on 11 and since."""

from __future__ import annotations

import pytest

from amiws_gevent.state.parking import ParkingPart
from tests.support.fed import Fed, event


@pytest.fixture
def fed() -> Fed:
    made = Fed()
    made.add(ParkingPart(made.store))
    return made


# 18, res/parking/parking_manager.c: manager_build_parked_call_string.
PARKEE = {
    "ParkeeChannel": "IAX2/202-5500",
    "ParkeeChannelState": "6",
    "ParkeeCallerIDNum": "202",
    "ParkeeCallerIDName": r"B\"en",
    "ParkeeUniqueid": "1.31",
    "ParkerDialString": "IAX2/201",
    "Parkinglot": "default",
    "ParkingSpace": "701",
}
# 11, main/features.c: park_call_full, post_manager_event and manager_parking_status.
OF_11 = {"Exten": "701", "Channel": "SIP/1", "Parkinglot": "default", "CallerIDNum": "101"}


def test_a_call_is_parked_since_12(fed: Fed) -> None:
    fed.say("ParkedCall", **PARKEE, ParkingTimeout=60, ParkingDuration=0)
    assert fed.get("parked_call", "default|701") == {
        "lot": "default",
        "space": "701",
        "channel": "IAX2/202-5500",
        "uniqueid": "1.31",
        "number": "202",
        "name": 'B"en',
        "parker": "IAX2/201",
        "since": fed.now,
        "server_since": None,
        "until": fed.now + 60_000,
    }
    assert fed.get("parking_lot", "default")["name"] == "default"
    fed.say("UnParkedCall", **PARKEE)
    assert fed.store.keys("parked_call") == []


@pytest.mark.parametrize("end", ["UnParkedCall", "ParkedCallTimeOut", "ParkedCallGiveUp"])
def test_a_call_is_parked_in_11(fed: Fed, end: str) -> None:
    fed.say("ParkedCall", **OF_11, From="SIP/2", Timeout=45, Uniqueid="1.1")
    told = fed.some("parked_call", "default|701", "uniqueid", "parker", "until")
    assert told == ("1.1", "SIP/2", fed.now + 45_000)
    # post_manager_event writes UniqueID, and UnParkedCall Uniqueid
    fed.say(end, **OF_11, UniqueID="1.1")
    assert fed.store.keys("parked_call") == []


def test_a_list_of_11_has_no_uniqueid(fed: Fed) -> None:
    item = event("ParkedCall", **OF_11, From="SIP/2", Timeout=40, Duration=5)
    fed.list("ParkedCalls", item)
    told = fed.some("parked_call", "default|701", "uniqueid", "since", "name")
    assert told == (None, fed.now - 5000, None)
    fed.say("ParkedCallTimeOut", **OF_11, UniqueID="1.1")
    assert fed.store.keys("parked_call") == []


def test_a_space_that_was_taken_again_stays_taken(fed: Fed) -> None:
    fed.say("ParkedCall", **{**PARKEE, "ParkeeUniqueid": "1.40"})
    fed.say("UnParkedCall", **PARKEE)
    assert fed.some("parked_call", "default|701", "uniqueid") == ("1.40",)


def test_a_swap_goes_on_waiting(fed: Fed) -> None:
    """18, the same file: another channel comes in for the parked one (attended transfer)."""
    fed.say("ParkedCall", **PARKEE, ParkingTimeout=60)
    since = fed.now
    fed.say("ParkedCallSwap", **{**PARKEE, "ParkeeUniqueid": "1.40"}, ParkingTimeout=50)
    assert fed.some("parked_call", "default|701", "uniqueid", "since") == ("1.40", since)


def test_lots_are_listed(fed: Fed) -> None:
    fed.say("ParkedCall", **PARKEE)
    fed.list(
        "Parkinglots",
        event("Parkinglot", Name="default", StartSpace=701, StopSpace=720, Timeout=60),
        event("Parkinglot", Name="11", StartExten=701, StopExten=720, Timeout=45),
    )
    assert fed.get("parking_lot", "default") == {
        "name": "default",
        "first": "701",
        "last": "720",
        "timeout": 60,
    }
    assert fed.some("parking_lot", "11", "first", "last", "timeout") == ("701", "720", 45)


def test_a_call_that_is_never_taken_back_has_no_such_time(fed: Fed) -> None:
    """22, res/parking/parking_manager.c: parked_call_payload_from_parked_user, with the time limit
    0 of parking_bridge_features.c: parking_set_duration; what is overdue is printed by %lu."""
    fed.say("ParkedCall", **PARKEE, ParkingTimeout=0, ParkingDuration=0)
    assert fed.some("parked_call", "default|701", "until") == (None,)
    waited = event("ParkedCall", **PARKEE, ParkingTimeout=2**64 - 10, ParkingDuration=10)
    fed.list("ParkedCalls", waited)
    assert fed.some("parked_call", "default|701", "until") == (None,)


def test_a_call_that_is_overdue_was_to_be_taken_back_before(fed: Fed) -> None:
    late = event("ParkedCall", **PARKEE, ParkingTimeout=2**64 - 1, ParkingDuration=61)
    fed.list("ParkedCalls", late)
    assert fed.some("parked_call", "default|701", "until") == (fed.now - 1000,)


@pytest.mark.parametrize("version", [11, 12])
def test_another_who_is_in_a_space_is_there_since_he_was_parked(fed: Fed, version: int) -> None:
    """The first space that is free is taken, so it is the same one again and again."""
    if version == 11:
        fed.say("ParkedCall", **OF_11, From="SIP/2", Timeout=45, Uniqueid="1.1")
        other: dict[str, object] = {**OF_11, "Channel": "SIP/3", "Timeout": 35, "Duration": 10}
    else:
        fed.say("ParkedCall", **PARKEE, ParkingTimeout=45, ParkingDuration=0)
        times = {"ParkingTimeout": 35, "ParkingDuration": 10}
        other = {**PARKEE, "ParkeeUniqueid": "1.40", **times}
    since = fed.now
    asked = fed.offset
    fed.list("ParkedCalls", event("ParkedCall", **other), asked=asked - 1, after=600)
    assert fed.some("parked_call", "default|701", "since") == (since,)
    fed.list("ParkedCalls", event("ParkedCall", **other), asked=asked)
    told = fed.some("parked_call", "default|701", "since", "until")
    assert told == (fed.now - 10_000, fed.now + 35_000)
