"""Who is at a leg."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.state.people import (
    Call,
    Identity,
    Leg,
    identify,
    is_behind,
    is_person,
    is_real,
)
from amiws_gevent.state.store import Entity


def channel(name: str, state: str = "ring", **more: Any) -> dict[str, Any]:
    blank = {
        "caller_number": None,
        "caller_name": None,
        "connected_number": None,
        "application": None,
        "created": 0,
    }
    return {**blank, "name": name, "state": state, **more}


def leg(fields: dict[str, Any]) -> Leg:
    return Leg("1.0", Entity(fields, 0), Call("1.0", 0))


@pytest.mark.parametrize(
    ("fields", "dial_string", "who"),
    [
        (channel("SIP/201-1", caller_number="201"), "", ("201", None, None)),
        (channel("IAX2/201-1"), "", ("201", None, None)),
        (
            channel("SIP/gw-1", caller_number="+4930123", caller_name="K"),
            "",
            ("+4930123", "K", "gw"),
        ),
        (channel("SIP/anna-1", caller_number="201"), "", ("201", None, None)),
        (channel("SIP/203-1", "down"), "203", ("203", None, None)),
        (channel("SIP/gw-1", "down"), "+4930123@gw", ("+4930123", None, "gw")),
        (channel("SIP/anna-1", "down"), "anna", ("anna", None, None)),
        (
            channel("SIP/anna-1", "down", caller_number="203", caller_name="Anna"),
            "anna",
            ("203", "Anna", None),
        ),
        (channel("DAHDI/i1/030123-5", "down"), "g1/030123", ("030123", None, "i1")),
        (channel("Local/3001@sim-0000;1", "down"), "3001@sim", ("3001", None, None)),
    ],
)
def test_a_leg_s_person_is_known_by_what_there_is(
    fields: dict[str, Any], dial_string: str, who: Identity
) -> None:
    found = leg(fields)
    found.dial_string = dial_string
    assert identify(found) == who


def test_a_number_that_was_guessed_from_what_was_dialled_is_nobody_s() -> None:
    fields = channel("IAX2/203-1", "down")
    found = leg(fields)
    fields["caller_number"], fields["caller_name"] = "299", "Group"
    assert identify(found) == ("203", None, None)


def test_a_member_s_name_is_that_of_the_queue() -> None:
    fields = channel("IAX2/202-1", "down")
    found = leg(fields)
    found.hint = "Ben Agent"
    assert identify(found) == ("202", "Ben Agent", None)


def test_halves_of_local_channels_are_no_people_once_they_lead_to_somebody() -> None:
    front = leg(channel("Local/201@a-0;1", "down"))
    back = leg(channel("Local/201@a-0;2", "ring"))
    assert not is_person(front)
    front.half, back.half = back, front
    assert [is_person(front), is_person(back)] == [True, False]
    back.served = True
    assert [is_person(front), is_person(back)] == [False, False]


def test_of_a_half_that_nobody_is_at_the_state_says_nothing_unless_it_was_dialled() -> None:
    front = leg(channel("Local/201@a-0;1", "down"))
    back = leg(channel("Local/201@a-0;2", "ring"))
    phone = leg(channel("SIP/201-1", "down"))
    front.half, back.half = back, front
    assert [is_behind(front), is_behind(back), is_behind(phone)] == [False, True, False]
    back.served = True
    assert [is_behind(front), is_behind(back)] == [True, True]
    front.dialled_by = "2.0"  # who hears it ring
    assert [is_behind(front), is_behind(back)] == [False, True]


@pytest.mark.parametrize("name", ["Parked/SIP/1-1", "SIP/1-1<ZOMBIE>", "SIP/1-1<MASQ>", "Snoop/1"])
def test_channels_that_asterisk_makes_for_itself_are_no_people(name: str) -> None:
    assert not is_real(name)
    assert is_real("SIP/1-1")
