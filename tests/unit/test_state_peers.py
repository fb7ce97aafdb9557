"""Peers of SIP and IAX, endpoints of PJSIP with their contacts. All by Asterisk's source."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.ami import Message
from amiws_gevent.state.peers import PeersPart
from tests.support.fed import Fed, event


@pytest.fixture
def peers() -> Fed:
    fed = Fed()
    fed.add(PeersPart(fed.store))
    return fed


def peer_status(peers: Fed, status: str, **more: Any) -> None:
    peers.say("PeerStatus", ChannelType="SIP", Peer="SIP/101", PeerStatus=status, **more)


def listed(**headers: object) -> Message:
    """11, channels/chan_sip.c: _sip_show_peers."""
    base = {"Channeltype": "SIP", "ObjectName": "101", "Dynamic": "yes"}
    return event("PeerEntry", **{**base, **headers})


def test_a_sip_peer_of_11_registers_and_goes(peers: Fed) -> None:
    """11, channels/chan_sip.c: parse_register_contact, expire_register."""
    peer_status(peers, "Registered", Address="192.0.2.7:5061")
    assert peers.get("peer", "SIP/101") == {
        "name": "101",
        "technology": "SIP",
        "status": "registered",
        "raw": "Registered",
        "registered": True,
        "address": "192.0.2.7",
        "port": 5061,
        "dynamic": None,
        "latency": None,
        "cause": None,
        "rejected": None,
        "description": None,
        "since": peers.now,
        "server_since": None,
    }
    peer_status(peers, "Unregistered", Cause="Expired")
    told = peers.some("peer", "SIP/101", "status", "registered", "address", "cause")
    assert told == ("unregistered", False, None, "Expired")


def test_addresses_of_ipv6_and_of_iax(peers: Fed) -> None:
    """Brackets by ast_sockaddr_stringify; 11, channels/chan_iax2.c has the port for itself."""
    peer_status(peers, "Registered", Address="[2001:db8::7]:5060")
    assert peers.some("peer", "SIP/101", "address", "port") == ("2001:db8::7", 5060)
    peers.say(
        "PeerStatus",
        ChannelType="IAX2",
        Peer="IAX2/x",
        PeerStatus="Registered",
        Address="192.0.2.1",
        Port=4569,
    )
    assert peers.some("peer", "IAX2/x", "address", "port") == ("192.0.2.1", 4569)
    peer_status(peers, "Registered", Address="2001:db8::7")
    assert peers.some("peer", "SIP/101", "address", "port") == ("2001:db8::7", None)


def test_a_peer_that_lags(peers: Fed) -> None:
    """11, channels/chan_sip.c: handle_response_peerpoke, sip_poke_noanswer (Time: -1)."""
    peer_status(peers, "Lagged", Time=2500)
    assert peers.some("peer", "SIP/101", "status", "latency") == ("lagged", 2500)
    peer_status(peers, "Unreachable", Time=-1)
    assert peers.some("peer", "SIP/101", "status", "latency") == ("unreachable", None)


@pytest.mark.parametrize("status", ["Reachable", "Unreachable", "Lagged"])
def test_who_registers_once_more_is_reached_as_before(peers: Fed, status: str) -> None:
    """11 to 18, channels/chan_sip.c: parse_register_contact tells each registration, and
    handle_response_peerpoke what has changed."""
    peer_status(peers, "Registered", Address="192.0.2.7:5061")
    peer_status(peers, status, Time=7)
    since = peers.now
    peer_status(peers, "Registered", Address="192.0.2.8:5061")
    told = peers.some("peer", "SIP/101", "status", "raw", "since", "address", "registered")
    assert told == (status.lower(), status, since, "192.0.2.8", True)
    peer_status(peers, "Unregistered", Cause="Expired")
    peer_status(peers, "Registered", Address="192.0.2.8:5061")
    assert peers.some("peer", "SIP/101", "status") == ("registered",)


def test_who_is_rejected_is_what_he_was(peers: Fed) -> None:
    """Anybody can try any name: no peer is made of it."""
    peer_status(peers, "Rejected", Cause="URI_NOT_FOUND", Address="198.51.100.9", Port="5060")
    assert peers.store.keys("peer") == []
    peer_status(peers, "Registered", Address="192.0.2.7:5061")
    peer_status(peers, "Rejected", Cause="AUTH_SECRET_FAILED", Address="198.51.100.9")
    told = peers.some("peer", "SIP/101", "status", "address", "cause", "rejected")
    assert told == ("registered", "192.0.2.7", "AUTH_SECRET_FAILED", peers.now)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Status": "OK (12 ms)", "IPaddress": "192.0.2.7"}, ("reachable", True, 12)),
        ({"Status": "LAGGED (3000 ms)", "IPaddress": "192.0.2.7"}, ("lagged", True, 3000)),
        ({"Status": "UNREACHABLE", "IPaddress": "192.0.2.7"}, ("unreachable", True, None)),
        ({"Status": "UNKNOWN", "IPaddress": "-none-"}, ("unregistered", False, None)),
        ({"Status": "Unmonitored", "IPaddress": "192.0.2.7"}, ("registered", True, None)),
        (
            {"Status": "Unmonitored", "IPaddress": "192.0.2.7", "Dynamic": "no"},
            ("unmonitored", None, None),
        ),
    ],
)
def test_a_list_tells_the_same_words(
    peers: Fed, headers: dict[str, str], told: tuple[object, ...]
) -> None:
    peers.list("SIPpeers", listed(IPport="5060", **headers))
    assert peers.some("peer", "SIP/101", "status", "registered", "latency") == told


def test_a_list_of_one_technology_leaves_the_other(peers: Fed) -> None:
    """13, channels/chan_iax2.c: IAXpeerlist says "IAX", and IAXpeers "name/username"."""
    peers.list("SIPpeers", listed(Status="OK (1 ms)", IPaddress="192.0.2.1", IPport="5060"))
    iax = {"IPaddress": "(null)", "Port": "0", "Dynamic": "yes", "Status": "UNKNOWN"}
    peers.list("IAXpeerlist", event("PeerEntry", Channeltype="IAX", ObjectName="x", **iax))
    peers.list("IAXpeers", event("PeerEntry", Channeltype="IAX2", ObjectName="x/user", **iax))
    assert peers.store.keys("peer") == ["SIP/101", "IAX2/x"]
    peers.list("SIPpeers")
    assert peers.store.keys("peer") == ["IAX2/x"]


def test_an_endpoint_is_listed_and_its_device_tells_what_it_does(peers: Fed) -> None:
    """13, res/res_pjsip/pjsip_configuration.c: format_ami_endpoints, which has the state as a
    text; persistent_endpoint_update_state (PeerStatus)."""
    item = event(
        "EndpointList",
        ObjectType="endpoint",
        ObjectName="201",
        Transport="",
        Aor="201, desk",
        DeviceState="Unavailable",
        ActiveChannels="",
    )
    peers.list("PJSIPShowEndpoints", item)
    peers.say("PeerStatus", ChannelType="PJSIP", Peer="PJSIP/201", PeerStatus="Reachable")
    peers.say("DeviceStateChange", Device="PJSIP/201", State="ONHOLD")
    peers.say("DeviceStateChange", Device="PJSIP/999", State="ONHOLD")
    assert peers.store.of("endpoint") == {
        "201": {
            "name": "201",
            "aors": ["201", "desk"],
            "transport": None,
            "state": "on_hold",
            "device_state": "ONHOLD",
            "reachable": "reachable",
            "since": peers.now - 2000,
            "server_since": None,
        }
    }
    peers.list("PJSIPShowEndpoints")
    assert peers.store.keys("endpoint") == []


CONTACT = {"URI": "sip:201@192.0.2.7", "AOR": "201", "EndpointName": "201"}


def contact(peers: Fed, status: str, **more: object) -> None:
    peers.say("ContactStatus", **CONTACT, ContactStatus=status, **more)


@pytest.mark.parametrize("first", ["Created", "NonQualified"])
def test_a_contact_of_13_and_of_16(peers: Fed, first: str) -> None:
    """res/res_pjsip/pjsip_options.c, the labels of 13 and 16; main/stasis_endpoints.c."""
    contact(peers, first, RoundtripUsec="0")
    assert peers.get("contact", "201|sip:201@192.0.2.7") == {
        "aor": "201",
        "uri": "sip:201@192.0.2.7",
        "endpoint": "201",
        "status": "unqualified",
        "raw": first,
        "latency_us": None,
        "user_agent": None,
        "expires": None,
        "since": peers.now,
        "server_since": None,
    }
    contact(peers, "Reachable", RoundtripUsec="1500")
    told = peers.some("contact", "201|sip:201@192.0.2.7", "status", "latency_us")
    assert told == ("reachable", 1500)
    contact(peers, "Updated")  # to 15: registered again
    assert peers.some("contact", "201|sip:201@192.0.2.7", "status") == ("reachable",)
    contact(peers, "Removed")
    assert peers.store.keys("contact") == []


def test_contacts_are_listed_by_13_and_by_16(peers: Fed) -> None:
    """13, res/res_pjsip/pjsip_options.c: ast_sip_format_contact_ami. 18, the same file:
    format_contact_list_for_ami, with the fields of a sorcery object in camel case."""
    peers.list(
        "PJSIPShowRegistrationInboundContactStatuses",
        event(
            "ContactStatusDetail",
            AOR="201",
            URI="sip:201@192.0.2.7",
            UserAgent="Phone 1",
            RegExpire=1800000000,
            Status="Reachable",
            RoundtripUsec="N/A",
            EndpointName="201",
        ),
    )
    told = peers.get("contact", "201|sip:201@192.0.2.7")
    assert (told["user_agent"], told["expires"]) == ("Phone 1", 1800000000000)
    peers.list(
        "PJSIPShowContacts",
        event(
            "ContactList",
            ObjectType="contact",
            ObjectName="201;@3c3b7d",
            Uri="sip:201@192.0.2.7",
            UserAgent="Phone 1",
            ExpirationTime=1800000000,
            Endpoint="201",
            Status="Reachable",
            RoundtripUsec="N/A",
        ),
    )
    assert peers.store.of("contact") == {"201|sip:201@192.0.2.7": told}


def test_whether_an_endpoint_is_reached_is_right_again_when_it_was_not_heard(peers: Fed) -> None:
    """channels/chan_pjsip.c: chan_pjsip_devicestate, 13 to 22. A phone that is in a call may be
    unreachable all the same."""

    def listed_as(state: str) -> tuple[object, ...]:
        item = event("EndpointList", ObjectName="201", Aor="201", DeviceState=state)
        peers.list("PJSIPShowEndpoints", item)
        return peers.some("endpoint", "201", "reachable", "since")

    peers.say("PeerStatus", ChannelType="PJSIP", Peer="PJSIP/201", PeerStatus="Reachable")
    assert listed_as("Unavailable") == ("unreachable", peers.now)
    since = peers.now
    assert listed_as("In use") == ("unreachable", since)
    assert listed_as("Not in use") == ("reachable", peers.now)
