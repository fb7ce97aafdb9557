"""What goes on around calls: what is told of it, and that it ends as it began."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.scenarios import SCENARIOS
from amiws_gevent.simulator.pbx.style import Style
from tests.support.simulator import EVERY, STYLES, headers, name_of
from tests.support.stories import Told, by_style, tell

CALLS = {
    "pause": [],
    "unreachable": [],
    "registration": [],
    "branch": [],
    "presence": [],
    "do_not_disturb": [],
    "messages": ["904 -> None application VoiceMailMain"],
}


@by_style
@pytest.mark.parametrize("name", CALLS)
def test_the_story_is_told(style: Style, name: str) -> None:
    if SCENARIOS[name].fits(style):
        assert tell(style, name).only(CALLS[name]) == CALLS[name]


def headers_of(told: Told, event: str) -> list[dict[str, str]]:
    return [headers(packet) for packet in told.packets if name_of(packet) == event]


@by_style
def test_presence_is_told_by_what_the_version_has(style: Style) -> None:
    event = "PresenceStateChange" if style.stasis else "PresenceStatus"
    away, back = headers_of(tell(style, "presence"), event)
    assert (away["Status"], back["Status"]) == ("away", "available")
    message = away["Message"]
    assert message.startswith("Zahnarzt")
    assert ('\\"' in message) is style.stasis, "escaped from 13 on, bare in a hint"


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_a_phone_that_wants_no_calls_refuses_one(style: Style) -> None:
    told = tell(style, "do_not_disturb")
    states = [e["State"] for e in headers_of(told, "DeviceStateChange") if "DND" in e["Device"]]
    assert states == ["INUSE", "NOT_INUSE"]
    assert [event["DialStatus"] for event in headers_of(told, "DialEnd")] == ["BUSY"]
    (known,) = told.listener.fed.store.of("do_not_disturb").values()
    assert (known["number"], known["on"]) == ("902", False)


@pytest.mark.parametrize(
    "style", [style for style in EVERY if style.branch], ids=lambda style: style.name
)
def test_a_branch_by_iax_is_a_peer(style: Style) -> None:
    told = tell(style, "branch")
    peer = told.listener.fed.store.of("peer")[f"IAX2/{style.branch}"]
    assert (peer["technology"], peer["status"]) == ("IAX2", "reachable")
    seen = [(e["ChannelType"], e["PeerStatus"]) for e in headers_of(told, "PeerStatus")]
    assert seen == [("IAX2", "Unreachable"), ("IAX2", "Reachable")]
