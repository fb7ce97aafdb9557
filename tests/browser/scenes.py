"""AMI events as real servers send them (the header names of the captures), for the page's tests."""

from __future__ import annotations

from tests.browser.fakes import Data, FakePbx

DOWN, RING, RINGING, UP = "0", "4", "5", "6"


def old_and_new() -> tuple[FakePbx, FakePbx]:
    """Two servers, of the oldest and the newest style."""
    return (
        FakePbx(1, "pbx-berlin", "13.38.3", "2.10.6"),
        FakePbx(2, "pbx-lyon", "22.11.0", "11.0.0"),
    )


def channel(
    uniqueid: str, name: str, state: str, number: str, person: str = "<unknown>", **more: str
) -> Data:
    """The headers that describe a channel; ``Linkedid`` is its own unless given."""
    return {
        "Channel": name,
        "ChannelState": state,
        "CallerIDNum": number,
        "CallerIDName": person,
        "ConnectedLineNum": "<unknown>",
        "ConnectedLineName": "<unknown>",
        "Exten": "",
        "Uniqueid": uniqueid,
        "Linkedid": uniqueid,
        **more,
    }


def destination(headers: Data) -> Data:
    """The headers of a dialled channel in Dial and Agent events."""
    return {f"Dest{name}": value for name, value in headers.items()}


CALLER = channel("1.1", "PJSIP/trunk-00000001", RING, "+4930123456789", "Jürgen", Exten="201")
CALLEE = channel("1.2", "PJSIP/201-00000002", DOWN, "201", "Anna Weber", Linkedid="1.1")


def rings() -> list[Data]:
    """CALLER dials CALLEE, whose phone rings."""
    return [
        {"Event": "Newchannel", **CALLER},
        {"Event": "Newchannel", **CALLEE},
        {"Event": "DialBegin", **CALLER, **destination(CALLEE), "DialString": "201"},
        {"Event": "Newstate", **CALLEE, "ChannelState": RINGING},
    ]


def answers() -> list[Data]:
    """CALLEE takes the call of ``rings``."""
    caller, callee = {**CALLER, "ChannelState": UP}, {**CALLEE, "ChannelState": UP}
    return [
        {"Event": "Newstate", **callee},
        {"Event": "Newstate", **caller},
        {"Event": "DialEnd", **caller, **destination(callee), "DialStatus": "ANSWER"},
        {"Event": "BridgeEnter", "BridgeUniqueid": "b-1", **callee},
        {"Event": "BridgeEnter", "BridgeUniqueid": "b-1", **caller},
    ]


def ends(cause: str = "16") -> list[Data]:
    """Both channels of ``rings`` hang up."""
    return [
        {"Event": "Hangup", **CALLEE, "Cause": cause},
        {"Event": "Hangup", **CALLER, "Cause": cause},
    ]


def listed(headers: Data, application: str, data: str, duration: str, bridge: str = "") -> Data:
    """A channel as an item of CoreShowChannels."""
    return {
        **headers,
        "Application": application,
        "ApplicationData": data,
        "Duration": duration,
        "BridgeId": bridge,
    }


def list_of_a_call() -> list[Data]:
    """CALLER and CALLEE in a list, talking for twelve and a half minutes."""
    caller, callee = {**CALLER, "ChannelState": UP}, {**CALLEE, "ChannelState": UP}
    return [
        listed(caller, "Dial", "PJSIP/201,30", "00:12:31", "b-1"),
        listed(callee, "AppDial", "(Outgoing Line)", "00:12:29", "b-1"),
    ]
