"""Transfers: who talks to whom afterwards."""

from __future__ import annotations

import pytest

from amiws_gevent.simulator.pbx.scenarios import SCENARIOS
from amiws_gevent.simulator.pbx.style import Style
from tests.support.stories import by_style, tell

CALLS = {
    "blind_transfer": ["901 -> 902 talking", "902 -> 903 ringing", "902 -> 903 talking"],
    "attended_transfer": [
        "901 -> 902 talking",
        "901 -> 903 ringing",
        "901 -> 903 talking",
        "902 -> 903 talking",
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
    "merge": [
        "901 -> 902 talking",
        "901 -> 903 ringing",
        "901 -> 903 talking",
        "902 -> 903 talking",
    ],
}


@by_style
@pytest.mark.parametrize("name", CALLS)
def test_the_story_is_told(style: Style, name: str) -> None:
    if SCENARIOS[name].fits(style):
        assert tell(style, name).only(CALLS[name]) == CALLS[name]
