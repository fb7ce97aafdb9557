"""Hints, devices, presence and do-not-disturb."""

from __future__ import annotations

import pytest

from amiws_gevent.state.devices import DevicesPart
from tests.support.fed import Fed, event, response


class Devices(Fed):
    def __init__(self) -> None:
        super().__init__()
        self.part = DevicesPart(self.store)
        self.add(self.part)


@pytest.fixture
def devices() -> Devices:
    return Devices()


HINT = {"Exten": "201", "Context": "hints", "Hint": "SIP/201"}
HINT_WITH_PRESENCE = {**HINT, "Hint": "SIP/201&SIP/9,CustomPresence:201"}


def test_a_hint_has_a_word_beside_its_mask(devices: Devices) -> None:
    devices.say("ExtensionStatus", **HINT, Status=9, StatusText="InUse&Ringing")
    assert devices.get("hint", "201@hints") == {
        "exten": "201",
        "context": "hints",
        "hint": "SIP/201",
        "status": 9,
        "state": "ringing_in_use",
        "presence": None,
        "presence_subtype": None,
        "presence_message": None,
        "since": devices.now,
        "server_since": None,
    }
    since = devices.now
    devices.say("ExtensionStatus", **HINT, Status=9)
    assert devices.some("hint", "201@hints", "since") == (since,)
    devices.say("ExtensionStatus", **HINT, Status=0)
    assert devices.some("hint", "201@hints", "state", "since") == ("idle", devices.now)


@pytest.mark.parametrize("status", [-1, -2])
def test_a_hint_that_is_removed_goes(devices: Devices, status: int) -> None:
    """include/asterisk/pbx.h: AST_EXTENSION_DEACTIVATED and AST_EXTENSION_REMOVED."""
    devices.say("ExtensionStatus", **HINT, Status=1)
    devices.say("ExtensionStatus", **HINT, Status=status)
    assert devices.store.keys("hint") == []


def test_the_presence_of_a_hint_stands_with_it(devices: Devices) -> None:
    """11, main/manager.c: PresenceStatus; its message is not escaped."""
    devices.say("ExtensionStatus", **HINT, Status=0)
    devices.say("PresenceStatus", **HINT, Status="dnd", Subtype="", Message=r"back\in an hour")
    told = devices.some("hint", "201@hints", "state", "presence", "presence_message")
    assert told == ("idle", "dnd", r"back\in an hour")


def test_hints_of_11_are_asked_for_one_by_one(devices: Devices) -> None:
    """11, main/manager.c: action_extensionstate, which says -1 of a hint that is none."""
    devices.store.begin(1)
    devices.part.hint_answered(response(**HINT, Status=8), 1)
    assert devices.some("hint", "201@hints", "state") == ("ringing",)
    devices.part.hint_answered(response(Exten="202", Context="hints", Hint="", Status=-1), 1)
    assert devices.store.keys("hint") == ["201@hints"]
    devices.part.hint_answered(response(Exten="201", Context="hints", Hint="", Status=-1), 1)
    assert devices.store.keys("hint") == []


def test_devices_since_13(devices: Devices) -> None:
    devices.say("DeviceStateChange", Device="PJSIP/1", State="RINGINUSE")
    assert devices.get("device", "PJSIP/1") == {
        "device": "PJSIP/1",
        "status": "RINGINUSE",
        "state": "ringing_in_use",
        "since": devices.now,
        "server_since": None,
    }
    devices.list(
        "DeviceStateList",
        event("DeviceStateChange", Device="PJSIP/2", State="NOT_INUSE"),
    )
    assert devices.get("device", "PJSIP/2") == {
        "device": "PJSIP/2",
        "status": "NOT_INUSE",
        "state": "idle",
        "since": None,
        "server_since": None,
    }
    assert devices.store.keys("device") == ["PJSIP/2"]


def test_channels_of_the_moment_are_no_devices(devices: Devices) -> None:
    """main/core_unreal.c: their state is told and not kept, so no list has it."""
    devices.say("DeviceStateChange", Device="Local/981901236784@default", State="INUSE")
    assert devices.store.keys("device") == []


def test_do_not_disturb_by_the_habit_of_freepbx(devices: Devices) -> None:
    devices.say("DeviceStateChange", Device="Custom:DND201", State="BUSY")
    told = devices.get("do_not_disturb", "Custom:DND201")
    assert (told["number"], told["on"], told["since"]) == ("201", True, devices.now)
    devices.list(
        "DeviceStateList",
        event("DeviceStateChange", Device="Custom:DND201", State="NOT_INUSE"),
        event("DeviceStateChange", Device="Custom:DEVDND202", State="INUSE"),
    )
    assert devices.some("do_not_disturb", "Custom:DND201", "on") == (False,)
    assert devices.some("do_not_disturb", "Custom:DEVDND202", "on", "number") == (True, "202")


def test_do_not_disturb_of_dahdi(devices: Devices) -> None:
    """11 and 18, channels/chan_dahdi.c: dahdi_dnd and publish_dnd_state."""
    devices.say("DNDState", Channel="DAHDI/1", Status="enabled")
    devices.say("DNDState", DAHDIChannel="2", Status="enabled")
    assert [fields["on"] for fields in devices.store.of("do_not_disturb").values()] == [True] * 2
    devices.list("DeviceStateList")
    devices.list(
        "DAHDIShowChannels",
        event("DAHDIShowChannels", DAHDIChannel="2", DND="Disabled", Alarm="No Alarm"),
    )
    assert devices.store.of("do_not_disturb") == {
        "DAHDI/2": {
            "device": "DAHDI/2",
            "number": None,
            "on": False,
            "since": devices.now,  # it changed at some time before, which nobody told
            "server_since": None,
        }
    }


def test_presence_since_13_is_escaped(devices: Devices) -> None:
    """13, main/presencestate.c: presence_state_to_ami."""
    told = {"Presentity": "CustomPresence:201", "Status": "xa", "Subtype": "", "Message": r"a\"b"}
    devices.say("PresenceStateChange", **told)
    assert devices.get("presence", "CustomPresence:201") == {
        "provider": "CustomPresence:201",
        "state": "xa",
        "subtype": None,
        "message": 'a"b',
        "since": devices.now,
        "server_since": None,
    }
    devices.list("PresenceStateList", event("PresenceStateChange", **{**told, "Status": "not_set"}))
    assert devices.some("presence", "CustomPresence:201", "state") == ("not_set",)
    devices.list("PresenceStateList")
    assert devices.store.keys("presence") == []


@pytest.mark.parametrize("last", ["PresenceStateList", "ExtensionStateList"])
def test_a_hint_has_the_presence_of_its_provider_after_a_list(devices: Devices, last: str) -> None:
    """No list has it: what PresenceStatus told before the connection was lost stayed for ever."""
    told = {"Presentity": "CustomPresence:201", "Status": "away", "Subtype": "", "Message": "lunch"}
    items = {
        "ExtensionStateList": event("ExtensionStatus", **HINT_WITH_PRESENCE, Status=0),
        "PresenceStateList": event("PresenceStateChange", **told),
    }
    devices.say("ExtensionStatus", **HINT_WITH_PRESENCE, Status=0)
    devices.say("ExtensionStatus", **{**HINT, "Exten": "202"}, Status=0)
    devices.say("PresenceStatus", **HINT_WITH_PRESENCE, Status="dnd", Subtype="", Message="")
    for action in sorted(items, key=last.__eq__):
        devices.list(action, items[action])
    hint = devices.some("hint", "201@hints", "presence", "presence_message")
    assert hint == ("away", "lunch")
