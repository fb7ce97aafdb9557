"""Phones, carriers and mailboxes: told and listed as each version does."""

from __future__ import annotations

from amiws_gevent.simulator.pbx import phones
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22
from tests.support.simulator import answered_events, headers, simulation


def test_a_sip_peer_that_answers_no_more() -> None:
    pbx = simulation(STYLE_13, rate=0)
    device = pbx.switch.devices["SIP/215"]
    phones.reach(pbx.switch, device, False)
    peer, state, hint = map(headers, pbx.drain())
    assert (peer["Peer"], peer["PeerStatus"], peer["Time"]) == ("SIP/215", "Unreachable", "-1")
    assert (state["State"], hint["StatusText"]) == ("UNAVAILABLE", "Unavailable")
    assert not device.free
    entry = next(i for i in answered_events(pbx, "Action: SIPpeers") if i["ObjectName"] == "215")
    assert entry["Status"] == "UNREACHABLE"
    phones.reach(pbx.switch, device, True)
    peer, *_ = map(headers, pbx.drain())
    assert peer["PeerStatus"] == "Reachable"
    entry = next(i for i in answered_events(pbx, "Action: SIPpeers") if i["ObjectName"] == "215")
    assert entry["Status"] == f"OK ({peer['Time']} ms)"


def test_a_pjsip_contact_that_answers_no_more() -> None:
    pbx = simulation(STYLE_22, rate=0)
    phones.reach(pbx.switch, pbx.switch.devices["PJSIP/215"], False)
    contact, peer, *_ = map(headers, pbx.drain())
    assert (contact["Event"], contact["ContactStatus"]) == ("ContactStatus", "Unreachable")
    assert (peer["Event"], peer["ChannelType"]) == ("PeerStatus", "PJSIP")
    listed = answered_events(pbx, "Action: PJSIPShowContacts")
    assert [i["Uri"] for i in listed if i["Status"] == "Unreachable"] == [contact["URI"]]
    endpoints = answered_events(pbx, "Action: PJSIPShowEndpoints")
    states = {i["ObjectName"]: i["DeviceState"] for i in endpoints}
    assert (states["215"], states["216"]) == ("Unavailable", "Not in use")


def test_a_carrier_that_rejects_the_server() -> None:
    for style, action in (
        (STYLE_13, "SIPshowregistry"),
        (STYLE_22, "PJSIPShowRegistrationsOutbound"),
    ):
        pbx = simulation(style, rate=0)
        phones.register(pbx.switch, pbx.switch.registrations[0], False)
        (event,) = map(headers, pbx.drain())
        assert (event["Event"], event["Status"]) == ("Registry", "Rejected")
        listed = answered_events(pbx, f"Action: {action}")
        states = [item.get("State") or item["Status"] for item in listed]
        assert states == ["Rejected", "Registered"]


def test_messages_wait_for_somebody() -> None:
    pbx = simulation(rate=0)
    phones.messages(pbx.switch, pbx.switch.devices["PJSIP/215"], 2, 1)
    (event,) = map(headers, pbx.drain())
    assert (event["Mailbox"], event["Waiting"], event["New"]) == ("215@default", "1", "2")
    boxes = answered_events(pbx, "Action: VoicemailUsersList")
    (box,) = [item for item in boxes if item["VoiceMailbox"] == "215"]
    assert (box["NewMessageCount"], box["OldMessageCount"]) == ("2", "1")
