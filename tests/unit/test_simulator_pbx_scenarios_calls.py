"""Two phones and more: what a live model tells of their calls."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.scenarios import SCENARIOS
from amiws_gevent.simulator.pbx.style import Style
from tests.support.stories import by_style, tell

CALLS = {
    "basic": ["901 -> 902 talking"],
    "noanswer": [],
    "busy": [],
    "congestion": [],
    "invalid": [],
    "ringall": ["901 -> 903 talking"],
    "local_channel": ["904 -> 901 ringing", "904 -> 901 talking"],
    "click_to_call": ["901 -> None ringing", "901 -> 902 talking"],
    "pickup": ["901 -> 904 talking"],
    "hold": [
        "901 -> 902 talking",
        "901 -> 902 held",
        "901 -> 902 talking",
        "901 -> 902 held",
        "901 -> 902 talking",
    ],
    "forward": ["901 -> 903 ringing", "901 -> 903 talking"],
    "originate_busy": [],
    "originate_refused": ["901 -> None ringing"],
}


@by_style
@pytest.mark.parametrize("name", CALLS)
def test_the_story_is_told(style: Style, name: str) -> None:
    if SCENARIOS[name].fits(style):
        assert tell(style, name).only(CALLS[name]) == CALLS[name]
