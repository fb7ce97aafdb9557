"""Lists of what not each version has: IAX2 peers, MeetMe, presence; and the frame of each list."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx import phones
from amiws_gevent.simulator.pbx.style import STYLE_11, STYLE_13, STYLE_22, Style
from tests.support.simulator import (
    EVERY,
    STARTED,
    answer,
    answered_events,
    headers,
    simulation,
    split,
)


@pytest.mark.parametrize("style", [STYLE_11, STYLE_13], ids=lambda style: style.name)
def test_a_branch_is_a_peer_of_iax_and_no_peer_of_sip(style: Style) -> None:
    made = simulation(style)
    (peer,) = answered_events(made, "Action: IAXpeerlist", "ActionID: a")
    assert (peer["ObjectName"], peer["ActionID"]) == (style.branch, "a")
    (bare,) = answered_events(made, "Action: IAXpeers", "ActionID: a")
    assert "ActionID" not in bare, "as Asterisk has it"
    names = {item["ObjectName"] for item in answered_events(made, "Action: SIPpeers")}
    assert style.branch not in names
    assert set(style.trunks) <= names


@pytest.mark.parametrize("style", [STYLE_13, STYLE_22], ids=lambda style: style.name)
def test_presence_is_listed_as_it_was_told(style: Style) -> None:
    made = simulation(style)
    assert answered_events(made, "Action: PresenceStateList") == []
    phone = made.scripts.staff[0]
    phones.presence(made.switch, phone, "dnd", "back at 3?")
    (event,) = map(headers, made.drain())
    (item,) = answered_events(made, "Action: PresenceStateList")
    assert (item["Presentity"], item["Status"]) == (f"CustomPresence:{phone.number}", "dnd")
    assert item["Message"] == event["Message"] == "back at 3\\?"


@pytest.mark.parametrize("style", EVERY, ids=lambda style: style.name)
def test_no_conference_is_an_error_of_its_words(style: Style) -> None:
    made = simulation(style)
    for action in ("ConfbridgeListRooms", *(("MeetmeListRooms", "MeetmeList") * style.meetme)):
        assert headers(answer(made, f"Action: {action}"))["Message"] == "No active conferences."


def test_channels_of_11_say_with_whom_they_talk() -> None:
    made = simulation(STYLE_11, rate=1.0)
    made.advance(STARTED + 60)
    items = answered_events(made, "Action: CoreShowChannels")
    peers = {item["UniqueID"]: item["BridgedUniqueID"] for item in items}
    talking = {key: peer for key, peer in peers.items() if peer}
    assert len(talking) > 3
    assert all(peers[peer] == key for key, peer in talking.items())
    text = answer(made, "Action: Status")
    told = {h["Uniqueid"]: h.get("BridgedUniqueid", "") for h in map(headers, split(text)[1:-1])}
    assert told == peers
