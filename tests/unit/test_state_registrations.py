"""Registrations with others. All by Asterisk's source."""

from __future__ import annotations

import pytest

from amiws_gevent.state.registrations import RegistrationsPart
from tests.support.fed import Fed, event


@pytest.fixture
def fed() -> Fed:
    made = Fed()
    made.add(RegistrationsPart(made.store))
    return made


def test_a_trunk_of_sip(fed: Fed) -> None:
    """11, channels/chan_sip.c: handle_response_register, sip_reg_timeout; manager_show_registry."""
    told = {"ChannelType": "SIP", "Username": "us", "Domain": "trunk.example"}
    fed.say("Registry", **told, Status="Registered")
    assert fed.get("registration", "SIP|us|trunk.example") == {
        "technology": "SIP",
        "username": "us",
        "domain": "trunk.example",
        "status": "registered",
        "raw": "Registered",
        "cause": None,
        "name": None,
        "registered_at": None,
        "since": fed.now,
        "server_since": None,
    }
    item = event(
        "RegistryEntry",
        Host="trunk.example",
        Port=5060,
        Username="us",
        Domain="realm.example",
        State="Auth. Sent",
        RegistrationTime=7,
    )
    fed.list("SIPshowregistry", item)
    named = fed.some("registration", "SIP|us|trunk.example", "status", "registered_at")
    assert named == ("auth_sent", 7000)
    fed.list("SIPshowregistry")
    assert fed.store.keys("registration") == []


def test_iax_of_11_names_one_half_only(fed: Fed) -> None:
    """11, channels/chan_iax2.c: iax2_ack_registry says the domain, AUTHREJ the user name."""
    fed.list("IAXregistry", event("RegistryEntry", Host="192.0.2.1:4569", Username="us", State="?"))
    fed.say("Registry", ChannelType="IAX2", Domain="192.0.2.1", Status="Registered")
    key = "IAX2|us|192.0.2.1:4569"
    assert fed.some("registration", key, "status") == ("registered",)
    fed.say("Registry", ChannelType="IAX2", Username="us", Status="Rejected", Cause="<unknown>")
    assert fed.some("registration", key, "status", "cause") == ("rejected", None)
    assert fed.store.keys("registration") == [key]


def test_what_may_be_several_is_one_of_its_own(fed: Fed) -> None:
    fed.list(
        "IAXregistry",
        event("RegistryEntry", Host="192.0.2.1:4569", Username="a", State="Registered"),
        event("RegistryEntry", Host="192.0.2.1:4569", Username="b", State="Registered"),
    )
    fed.say("Registry", ChannelType="IAX2", Domain="192.0.2.1", Status="Registered")
    assert len(fed.store.keys("registration")) == 3
    fed.list("SIPshowregistry")
    assert len(fed.store.keys("registration")) == 3


def test_a_trunk_of_pjsip(fed: Fed) -> None:
    """13, res/res_pjsip_outbound_registration.c: ami_outbound_registration_detail, which has
    items for the AuthDetail of each beside it; the event's user name is the client URI."""
    detail = event(
        "OutboundRegistrationDetail",
        ObjectType="registration",
        ObjectName="trunk",
        ClientUri="sip:us@example.com",
        ServerUri="sip:trunk.example:5060",
        Status="Unregistered",
        NextReg=0,
    )
    auth = event("AuthDetail", ObjectType="auth", ObjectName="trunk", Username="us")
    fed.list("PJSIPShowRegistrationsOutbound", detail, auth)
    fed.say(
        "Registry",
        ChannelType="PJSIP",
        Username="sip:us@example.com",
        Domain="sip:trunk.example:5060",
        Status="Registered",
    )
    (told,) = fed.store.of("registration").values()
    assert (told["name"], told["status"], told["since"]) == ("trunk", "registered", fed.now)
