"""Agents who log in. All by Asterisk's source."""

from __future__ import annotations

import pytest

from amiws_gevent.state.agents import AgentsPart
from tests.support.fed import Fed, event


@pytest.fixture
def fed() -> Fed:
    made = Fed()
    made.add(AgentsPart(made.store))
    return made


def test_an_agent_of_11(fed: Fed) -> None:
    """11, channels/chan_agent.c: login_exec, action_agents."""
    fed.say("Agentlogin", Agent="1001", Channel="SIP/1", Uniqueid="1.1")
    assert fed.get("agent", "1001") == {
        "agent": "1001",
        "name": None,
        "state": "idle",
        "channel": "SIP/1",
        "uniqueid": "1.1",
        "logged_in": fed.now,
        "talking_to": None,
        "since": fed.now,
        "server_since": None,
    }
    logged_in = fed.now
    item = event(
        "Agents",
        Agent="1001",
        Name="Anna",
        Status="AGENT_ONCALL",
        LoggedInChan="SIP/1",
        LoggedInTime=1,
        TalkingTo="n/a",
        TalkingToChan="SIP/9",
    )
    fed.list("Agents", item)
    told = fed.some("agent", "1001", "name", "state", "logged_in", "talking_to")
    assert told == ("Anna", "on_call", logged_in, "SIP/9")
    fed.say("Agentlogoff", Agent="1001", Logintime=9, Uniqueid="1.1")
    told = fed.some("agent", "1001", "state", "channel", "logged_in", "since")
    assert told == ("logged_off", None, None, fed.now)


def test_an_agent_of_13_is_in_a_call_by_his_device(fed: Fed) -> None:
    """13, apps/app_agent_pool.c: action_agents; agent_pvt_devstate_get."""
    off = event("Agents", Agent="1001", Name="Anna", Status="AGENT_LOGGEDOFF")
    fed.list("Agents", off)
    assert fed.some("agent", "1001", "state", "channel") == ("logged_off", None)
    fed.say("AgentLogin", Agent="1001", Channel="PJSIP/1", ChannelState="6", Uniqueid="1.1")
    for state, word in (
        ("INUSE", "on_call"),
        ("NOT_INUSE", "idle"),
        ("UNKNOWN", "idle"),
        ("UNAVAILABLE", "logged_off"),
    ):
        fed.say("DeviceStateChange", Device="Agent:1001", State=state)
        assert fed.some("agent", "1001", "state") == (word,)
    fed.say("DeviceStateChange", Device="Agent:1002", State="INUSE")
    assert fed.store.keys("agent") == ["1001"]


def test_a_list_of_13_has_the_channel_and_the_login(fed: Fed) -> None:
    item = event(
        "Agents",
        Agent="1001",
        Name="Anna",
        Status="AGENT_IDLE",
        LoggedInTime=7,
        Channel="PJSIP/1",
        ChannelState="6",
        Uniqueid="1.1",
    )
    fed.list("Agents", item)
    told = fed.some("agent", "1001", "state", "channel", "uniqueid", "logged_in", "since")
    assert told == ("idle", "PJSIP/1", "1.1", 7000, None)
    fed.list("Agents")
    assert fed.store.keys("agent") == []


def test_one_whose_logoff_was_lost_has_no_channel_after_the_next_list(fed: Fed) -> None:
    fed.say("AgentLogin", Agent="1001", Channel="PJSIP/1", ChannelState="6", Uniqueid="1.1")
    fed.list("Agents", event("Agents", Agent="1001", Name="Anna", Status="AGENT_LOGGEDOFF"))
    told = fed.some("agent", "1001", "state", "channel", "uniqueid", "logged_in", "since")
    assert told == ("logged_off", None, None, None, fed.now)


def test_who_talks_to_nobody_any_more_is_not_told_to(fed: Fed) -> None:
    """13, apps/app_agent_pool.c: a list says to whom, and the device alone that it is over."""
    talks = {"Status": "AGENT_ONCALL", "TalkingToChan": "PJSIP/9", "Channel": "PJSIP/1"}
    fed.list("Agents", event("Agents", Agent="1001", Name="Anna", **talks))
    fed.say("DeviceStateChange", Device="Agent:1001", State="INUSE")
    assert fed.some("agent", "1001", "state", "talking_to") == ("on_call", "PJSIP/9")
    fed.say("DeviceStateChange", Device="Agent:1001", State="NOT_INUSE")
    assert fed.some("agent", "1001", "state", "talking_to") == ("idle", None)
