"""Queues, parking, conferences, agents, listeners: where callers are."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.scenarios import SCENARIOS
from amiws_gevent.simulator.pbx.style import Style
from tests.support.simulator import EVERY, headers, name_of
from tests.support.stories import by_style, tell

_ROOM_1, _ROOM_2, _ROOM_3 = (f"90{n} -> None conference 801" for n in (1, 2, 3))
_QUEUED = ("4930888888 -> None queued frontdesk-1", "4930999999 -> None queued frontdesk-1")

CALLS = {
    "queue_answered": ["4930123456 -> None queued frontdesk-1", "4930123456 -> 902 talking"],
    "queue_abandoned": [_QUEUED[0], " | ".join(_QUEUED), _QUEUED[0]],
    "park_and_pick_up": [
        "901 -> 902 talking",
        "901 -> 902 parked 701",
        "902 -> None parked 701",
        "902 -> 904 talking",
    ],
    "parking_timeout": [
        "901 -> 902 talking",
        "902 -> None parked 701",
        "902 -> 901 ringing",
        "902 -> 901 talking",
    ],
    "conference": [
        f"{_ROOM_1} | {_ROOM_2}",
        f"{_ROOM_1} | {_ROOM_2} | {_ROOM_3}",
        f"{_ROOM_2} | {_ROOM_3}",
        _ROOM_3,
    ],
    "meetme": [
        f"{_ROOM_1} | {_ROOM_2}",
        f"{_ROOM_1} | {_ROOM_2} | {_ROOM_3}",
        f"{_ROOM_2} | {_ROOM_3}",
        _ROOM_3,
    ],
    "moderated": [
        f"{_ROOM_1} | {_ROOM_2}",
        f"{_ROOM_1} | {_ROOM_2} | {_ROOM_3}",
        f"{_ROOM_1} | {_ROOM_2}",
    ],
    "spy": [
        "901 -> 902 talking",
        "901 -> 902 talking | 904 -> None application ChanSpy",
        "904 -> None application ChanSpy",
    ],
    "agent": ["905 -> None application AgentLogin"],
}


@by_style
@pytest.mark.parametrize("name", CALLS)
def test_the_story_is_told(style: Style, name: str) -> None:
    if SCENARIOS[name].fits(style):
        assert tell(style, name).only(CALLS[name]) == CALLS[name]


@by_style
def test_who_is_muted_and_sent_out(style: Style) -> None:
    told = tell(style, "moderated")
    mutes = [
        name_of(packet) for packet in told.packets if name_of(packet).endswith(("Mute", "mute"))
    ]
    wanted = ["ConfbridgeMute", "ConfbridgeUnmute", "ConfbridgeMute"]
    assert mutes == (wanted if style.stasis else []), "12 and before tell no mutes"


@pytest.mark.parametrize(
    "style", [style for style in EVERY if style.meetme], ids=lambda style: style.name
)
def test_meetme_numbers_its_users(style: Style) -> None:
    told = tell(style, "meetme")
    joins = [headers(packet) for packet in told.packets if name_of(packet) == "MeetmeJoin"]
    assert [join["Usernum"] for join in joins] == ["1", "2", "3"]
    assert ("Linkedid" in joins[0]) is style.stasis
