"""Each scenario by itself: what a live model tells of it, and that it leaves nothing behind."""

from __future__ import annotations

from itertools import pairwise

import pytest

from amiws_gevent.simulator.pbx.repertoire import only
from amiws_gevent.simulator.pbx.scenarios import SCENARIOS
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import Style
from tests.support.agreement import Listener
from tests.support.simulator import STARTED, STYLES
from tests.support.state import line

CALLS = {
    "basic": ["901 -> 902 talking"],
    "noanswer": [],
    "busy": [],
    "congestion": [],
    "invalid": [],
    "ringall": ["901 -> 903 talking"],
    "queue_answered": ["4930123456 -> None queued frontdesk-1", "4930123456 -> 902 talking"],
    "queue_abandoned": [
        "4930888888 -> None queued frontdesk-1",
        "4930888888 -> None queued frontdesk-1 | 4930999999 -> None queued frontdesk-1",
        "4930888888 -> None queued frontdesk-1",
    ],
    "blind_transfer": [
        "901 -> 902 talking",
        "902 -> 903 ringing",
        "902 -> 903 talking",
    ],
    "attended_transfer": [
        "901 -> 902 talking",
        "901 -> 903 ringing",
        "901 -> 903 talking",
        "902 -> 903 talking",
    ],
    "park_and_pick_up": [
        "901 -> 902 talking",
        "901 -> 902 parked 701",
        "902 -> None parked 701",
        "902 -> 904 talking",
    ],
    "conference": [
        "901 -> None conference 801 | 902 -> None conference 801",
        "901 -> None conference 801 | 902 -> None conference 801 | 903 -> None conference 801",
        "902 -> None conference 801 | 903 -> None conference 801",
        "903 -> None conference 801",
    ],
    "local_channel": ["904 -> 901 ringing", "904 -> 901 talking"],
    "click_to_call": ["901 -> None ringing", "901 -> 902 talking"],
    "pickup": ["901 -> 904 talking"],
    "spy": [
        "901 -> 902 talking",
        "901 -> 902 talking | 904 -> None application ChanSpy",
        "904 -> None application ChanSpy",
    ],
    "hold": [
        "901 -> 902 talking",
        "901 -> 902 held",
        "901 -> 902 talking",
        "901 -> 902 held",
        "901 -> 902 talking",
    ],
    "blonde": [
        "901 -> 902 talking",
        "901 -> 902 held | 902 -> 903 ringing",
        "901 -> 903 ringing",
        "901 -> 903 talking",
    ],
    "phone_transfer": [
        "901 -> 902 talking",
        "901 -> 902 held | 902 -> 903 ringing",
        "901 -> 902 held | 902 -> 903 talking",
        "901 -> 903 talking",
    ],
    "forward": ["901 -> 903 ringing", "901 -> 903 talking"],
    "merge": [
        "901 -> 902 talking",
        "901 -> 903 ringing",
        "901 -> 903 talking",
        "902 -> 903 talking",
    ],
    "originate_busy": [],
    "originate_refused": ["901 -> None ringing"],
    "parking_timeout": [
        "901 -> 902 talking",
        "902 -> None parked 701",
        "902 -> 901 ringing",
        "902 -> 901 talking",
    ],
    "pause": [],
    "unreachable": [],
    "registration": [],
    "messages": ["904 -> None application VoiceMailMain"],
    "agent": ["905 -> None application AgentLogin"],
}
"""What is told of the calls, without the moments in which a phone is only dialled and without how
the first call of two phones begins. Of ``applications`` the order is a matter of chance."""

_BEGINNING = "901 -> 902 ringing"


def seen(listener: Listener) -> str:
    calls = sorted(line(dict(call)) for call in listener.fed.store.of("call").values())
    return " | ".join(call.replace("+", "") for call in calls)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_story_is_told_and_nothing_is_left(style: Style, name: str) -> None:
    made = Simulation(style, started=STARTED, rate=0.001, programme=only([name]))
    listener = Listener(made)
    listener.learn()
    at_first = made.switch.told_devices.copy()
    told = [""]
    due: float | None = STARTED
    while due is not None:
        listener.hear(made.advance(due))
        made.quiet()
        assert listener.differences() == []
        told.append(seen(listener))
        due = made.next_due
    changes = [after for before, after in pairwise(told) if after != before]
    known = CALLS.get(name)
    if known is not None:
        assert [c for c in changes if c in known and c != _BEGINNING] == known
    else:
        assert max(len(c.split(" | ")) for c in changes) == 3
        assert any("901 -> None application Milliwatt" in calls for calls in changes)
    assert listener.left() == []
    assert (made.switch.channels, made.switch.bridges, made.switch.calls) == ({}, {}, {})
    assert set(made.switch.told_devices.values()) <= {
        "NOT_INUSE",
        *at_first.values(),
    }


def test_each_scenario_has_a_story() -> None:
    assert SCENARIOS.keys() - CALLS.keys() == {"applications"}
    for scenario in SCENARIOS.values():
        assert scenario.told
        assert scenario.play.__name__ == scenario.name
