"""Channels equal what the server lists, and no order of events makes a ghost."""

from __future__ import annotations

from typing import Any

import pytest

from amiws_gevent.ami import Kind, Message
from tests.support.fed import finish
from tests.support.state import CAPTURES, SCENARIOS, World, channels_of, messages_of, replay

FILES = [f"scenarios/{name}" for name in SCENARIOS] + [
    "asterisk-13.38.raw",
    "asterisk-18.raw",
    "asterisk-22.11.raw",
]

# A header of a list, the field, and what the field is where the server knows nothing.
LISTED = {
    "Channel": "name",
    "CallerIDNum": "caller_number",
    "CallerIDName": "caller_name",
    "ConnectedLineNum": "connected_number",
    "ConnectedLineName": "connected_name",
    "Context": "context",
    "Exten": "exten",
    "AccountCode": "account",
    "Accountcode": "account",
    "Linkedid": "linkedid",
    "Application": "application",
    "BridgeId": "bridge",
    "BridgeID": "bridge",
}
NOTHING = ("", "<unknown>", "(null)")


def expected(item: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for header, field in LISTED.items():
        if (value := item.get(header)) is not None:
            fields[field] = None if value in NOTHING else value.replace('\\"', '"')
    fields["state"] = (item.get("ChannelStateDesc") or "").lower()
    return fields


def new(world: World, uniqueid: str = "1.0", name: str = "SIP/201-1", **headers: str) -> None:
    world.event(
        "Newchannel",
        **{
            "Channel": name,
            "ChannelStateDesc": "Ring",
            "CallerIDNum": "201",
            "CallerIDName": "",
            "Uniqueid": uniqueid,
            "Linkedid": uniqueid,
            **headers,
        },
    )


def channel(world: World, key: str = "1.0") -> dict[str, Any]:
    fields = world.store.get("channel", key)
    assert fields is not None
    return dict(fields)


@pytest.mark.parametrize("name", FILES)
def test_channels_are_what_each_list_says(name: str) -> None:
    world = World()
    lists = 0
    for asked in replay(world, messages_of(name)):
        if asked.action in ("CoreShowChannels", "Status"):
            lists += 1
            have = world.store.of("channel")
            want = {key: expected(item) for key, item in channels_of(asked).items()}
            seen = {
                key: {field: fields[field] for field in want.get(key, {})}
                for key, fields in have.items()
            }
            assert seen == want
    assert lists > 1
    assert world.store.of("channel") == {}


def test_a_busy_server_leaves_nothing_behind() -> None:
    assert (CAPTURES / "asterisk-22.11-busy.raw.gz").is_file()
    world = World()
    world.feed(*messages_of("asterisk-22.11-busy.raw.gz"))
    assert {kind: world.store.of(kind) for kind in ("channel", "bridge", "call")} == {
        "channel": {},
        "bridge": {},
        "call": {},
    }


def test_only_newchannel_makes_a_channel() -> None:
    world = World()
    for event in ("Newstate", "NewCallerid", "Newexten", "Hold", "Hangup", "HangupRequest"):
        world.event(event, Channel="SIP/201-1", Uniqueid="1.0", Linkedid="1.0", Cause="16")
    world.event("BridgeLeave", BridgeUniqueid="b", Uniqueid="1.0")
    world.event("Newchannel", Channel="SIP/201-1", Uniqueid="")
    assert world.store.of("channel") == {}


def test_what_overtakes_a_newchannel_is_not_lost() -> None:
    world = World()
    world.event("Rename", Channel="SIP/201-1", Newname="SIP/202-1", Uniqueid="1.0")
    world.event("BridgeEnter", BridgeUniqueid="b", BridgeType="basic", Uniqueid="1.0")
    new(world)
    assert (channel(world)["name"], channel(world)["bridge"]) == ("SIP/202-1", "b")
    world.event("Hangup", Uniqueid="1.0", Cause="16")
    world.event("Rename", Channel="SIP/201-1", Newname="SIP/202-1", Uniqueid="1.0")
    new(world)
    assert channel(world)["name"] == "SIP/201-1"


def test_what_overtook_a_newchannel_that_never_comes_is_bounded() -> None:
    world = World()
    for number in range(300):
        world.event("Rename", Newname="SIP/9-9", Uniqueid=f"1.{number}")
    new(world, "1.0")
    new(world, "1.299", name="SIP/299-1")
    assert channel(world, "1.0")["name"] == "SIP/201-1"
    assert channel(world, "1.299")["name"] == "SIP/9-9"


def test_a_bridge_that_was_left_before_the_newchannel_is_none() -> None:
    world = World()
    for way in ("BridgeLeave", "BridgeDestroy"):
        world.event("BridgeEnter", BridgeUniqueid="b", BridgeType="basic", Uniqueid=way)
        world.event(way, BridgeUniqueid="b", Uniqueid=way)
        new(world, way)
        assert channel(world, way)["bridge"] is None


def test_a_key_that_comes_again_is_another_channel() -> None:
    world = World()
    new(world)
    world.event("Newstate", ChannelStateDesc="Up", Uniqueid="1.0", Linkedid="1.0")
    assert channel(world)["answered"] == world.now
    new(world, name="SIP/201-2")
    assert channel(world)["answered"] is None
    assert channel(world)["created"] == world.now
    new(world, name="SIP/201-2", CallerIDNum="7")  # the same again
    assert channel(world)["created"] == world.now - 10
    world.event("Hangup", Uniqueid="1.0", Cause="16", **{"Cause-txt": "Normal Clearing"})
    new(world, name="SIP/201-3")
    assert channel(world)["caller_number"] == "201"


def test_the_last_words_of_a_channel_are_the_cause() -> None:
    world = World()
    new(world)
    world.event("HangupRequest", Uniqueid="1.0", Linkedid="1.0", Cause="17")
    assert channel(world)["hangup_cause"] == 17
    world.event("HangupRequest", Uniqueid="1.0", Linkedid="1.0")
    assert channel(world)["hangup_cause"] == 17
    world.event("Hangup", Uniqueid="1.0", Cause="17", **{"Cause-txt": "User busy"})
    (change,) = [one for one in world.store.changes(0) or () if one.kind == "channel"]
    assert change.last == {"cause": 17, "cause_text": "User busy"}


def test_hold_of_11_says_on_or_off_and_later_ones_have_two_events() -> None:
    world = World()
    new(world)
    held = []
    for event, status in (("Hold", "On"), ("Hold", "Off"), ("Hold", ""), ("Unhold", "")):
        world.event(event, Uniqueid="1.0", **({"Status": status} if status else {}))
        held.append(channel(world)["hold"])
    assert held == [True, False, True, False]


@pytest.mark.parametrize(
    ("name", "linkedid", "shown"),
    [
        ("<unknown>", "1.0", None),
        ("unknown", None, None),
        ("", None, None),
        (r"A \"B\" \\ C\t", "1.0", 'A "B" \\ C\t'),
        (r"DOMAIN\user", None, r"DOMAIN\user"),
    ],
)
def test_names_are_unescaped_from_12_on(name: str, linkedid: str | None, shown: str | None) -> None:
    world = World()
    headers = {"Uniqueid": "1.0", "Channel": "SIP/1-1", "CallerIDName": name}
    world.event("Newchannel", **headers, **({} if linkedid is None else {"Linkedid": linkedid}))
    assert channel(world)["caller_name"] == shown


def test_the_server_s_time_stands_beside_ours() -> None:
    world = World()
    new(world, Timestamp="1700000000.5")
    world.event("Newstate", Uniqueid="1.0", ChannelStateDesc="Up", Timestamp="1700000002.25")
    fields = channel(world)
    assert (fields["created"], fields["server_created"]) == (world.now - 10, 1_700_000_000_500)
    assert (fields["answered"], fields["server_answered"]) == (world.now, 1_700_000_002_250)
    new(world, "1.1", Timestamp="soon")
    assert channel(world, "1.1")["server_created"] is None


def item(uniqueid: str, **headers: str) -> Message:
    named = {"Event": "CoreShowChannel", "Channel": f"SIP/{uniqueid}", "Uniqueid": uniqueid}
    return Message(Kind.EVENT, {**named, "Linkedid": uniqueid, **headers})


def test_a_list_heals_what_was_lost() -> None:
    world = World()
    new(world)
    new(world, "1.1")
    world.listed("CoreShowChannels", [item("1.1", ChannelStateDesc="Up", Duration="01:00:05")])
    assert set(world.store.of("channel")) == {"1.1"}
    assert channel(world, "1.1")["state"] == "up"
    world.listed("Status", [item("1.2", Duration="00:01:05"), item("1.1")])
    assert channel(world, "1.2")["created"] == world.now - 65_000


def test_a_list_does_not_undo_what_came_since_it_was_asked() -> None:
    world = World()
    new(world, "old")
    new(world, "ended")
    asked = world.offset
    world.event("Hangup", Uniqueid="ended")
    new(world, "young", name="SIP/9-9")
    world.event("Newstate", Uniqueid="old", ChannelStateDesc="Up")
    items = [item("old", Channel="SIP/201-1", ChannelStateDesc="Ring"), item("ended")]
    world.listed("CoreShowChannels", items, asked)
    assert set(world.store.of("channel")) == {"old", "young"}
    assert channel(world, "old")["state"] == "up"


def test_channels_that_are_hidden_from_events_are_none() -> None:
    world = World()
    world.listed("Status", [item("1.0", Channel="CBAnn/1-00000004;1")])
    assert world.store.of("channel") == {}


def test_after_a_restart_of_the_server_nothing_is_left() -> None:
    world = World()
    new(world)
    world.event("BridgeCreate", BridgeUniqueid="b", BridgeType="basic")
    for part in world.model.parts:
        finish(part.reset())
    assert [world.store.of(kind) for kind in ("channel", "bridge", "call")] == [{}, {}, {}]
    assert len(world.ended) == 1
