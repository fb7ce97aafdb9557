"""docs/state-kinds.md names exactly the kinds and fields that the parts make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amiws_gevent.ami import Message
from amiws_gevent.state.servers import ServersPart
from tests.support.fed import Fed, event
from tests.support.kinds import model

PAGE = Path(__file__).parent.parent.parent / "docs" / "state-kinds.md"


def documented() -> dict[str, set[str]]:
    """The fields by kind: what stands in the first column of the kind's table."""
    sections = re.findall(
        r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    return {
        kind: {
            name
            for row in re.findall(r"^\| ([^|]*) \|", text, re.M)
            for name in re.findall(r"`(\w+)`", row)
        }
        for kind, text in sections
    }


SAID: list[Message] = [
    event("QueueMemberAdded", Queue="q", Interface="SIP/1"),
    event("QueueCallerJoin", Queue="q", Uniqueid="1", Position=1),
    event("ExtensionStatus", Exten="1", Context="hints", Status=0),
    event("DeviceStateChange", Device="Custom:DND1", State="INUSE"),
    event("PresenceStateChange", Presentity="CustomPresence:1", Status="away"),
    event("PeerStatus", ChannelType="SIP", Peer="SIP/1", PeerStatus="Registered"),
    event("PeerStatus", ChannelType="PJSIP", Peer="PJSIP/1", PeerStatus="Reachable"),
    event("ContactStatus", AOR="1", URI="sip:1", ContactStatus="Reachable"),
    event("Registry", ChannelType="SIP", Username="u", Domain="d", Status="Registered"),
    event("ConfbridgeJoin", Conference="1", Channel="SIP/1", Uniqueid="1"),
    event("ParkedCall", Parkinglot="default", ParkingSpace=701, ParkeeChannel="SIP/1"),
    event("MessageWaiting", Mailbox="1@default", Waiting=1, New=1, Old=0),
    event("AgentLogin", Agent="1", Channel="SIP/1", Uniqueid="1"),
    event("FullyBooted", Uptime=1, LastReload=1),
]
LISTED: list[tuple[str, Message]] = [
    ("QueueStatus", event("QueueMember", Queue="q", Location="SIP/1")),
    ("QueueStatus", event("QueueEntry", Queue="q", Uniqueid="1", Position=1)),
    ("QueueStatus", event("QueueParams", Queue="q")),
    ("ExtensionStateList", event("ExtensionStatus", Exten="1", Context="hints", Status=0)),
    ("DeviceStateList", event("DeviceStateChange", Device="Custom:DND1", State="INUSE")),
    ("PresenceStateList", event("PresenceStateChange", Presentity="x", Status="away")),
    ("SIPpeers", event("PeerEntry", ObjectName="1", Dynamic="yes", Status="OK (1 ms)")),
    ("PJSIPShowEndpoints", event("EndpointList", ObjectName="1", DeviceState="In use")),
    ("PJSIPShowContacts", event("ContactList", ObjectName="1;@f", Uri="sip:1")),
    ("SIPshowregistry", event("RegistryEntry", Username="u", Host="d", State="Registered")),
    ("ConfbridgeListRooms", event("ConfbridgeListRooms", Conference="1", Parties=1)),
    ("ConfbridgeList", event("ConfbridgeList", Conference="1", Channel="SIP/1")),
    ("Parkinglots", event("Parkinglot", Name="default")),
    ("ParkedCalls", event("ParkedCall", Parkinglot="default", ParkingSpace=701)),
    ("VoicemailUsersList", event("VoicemailUserEntry", VMContext="default", VoiceMailbox="1")),
    ("Agents", event("Agents", Agent="1", Status="AGENT_IDLE")),
]


def by_events() -> Fed:
    fed = model()
    for message in SAID:
        fed.receive(message)
    return fed


def by_lists() -> Fed:
    fed = model()
    for action, item in LISTED:
        single = model()
        single.list(action, item)
        for kind in documented():
            for key, fields in single.store.of(kind).items():
                fed.store.put(kind, key, **fields)
    ServersPart(fed.store).greeted("Asterisk Call Manager/11.0.0")
    return fed


@pytest.mark.parametrize("made", [by_events, by_lists], ids=["events", "lists"])
def test_the_page_names_what_there_is(made: object) -> None:
    assert callable(made)
    store = made().store
    told = {kind: {*fields} for kind in documented() for fields in store.of(kind).values()}
    assert told == documented()


def test_no_field_is_named_as_what_clients_get_beside_the_fields() -> None:
    for kind, fields in documented().items():
        assert not fields & {"server", "kind", "id"}, kind
