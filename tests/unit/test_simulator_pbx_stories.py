"""The kinds of call that come by themselves: each by itself, and how often they come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from amiws_gevent.simulator.pbx import stories
from amiws_gevent.simulator.pbx.stories import STORIES, Story
from amiws_gevent.simulator.pbx.style import STYLE_13, STYLE_22
from tests.support.simulator import STARTED, headers, simulation

pytestmark = pytest.mark.slow

Event = dict[str, str]


def calls_begun(events: list[Event]) -> Iterator[Event]:
    """The channels with which calls begin: not the second line of a phone that is in one."""
    phones: Counter[str] = Counter()
    for event in events:
        phone = event.get("Channel", "").rpartition("-")[0]
        if event["Event"] == "Newchannel":
            if event["Uniqueid"] == event["Linkedid"] and not (
                phone[-3:].isdigit() and phones[phone]
            ):
                yield event
            phones[phone] += 1
        elif event["Event"] == "Hangup":
            phones[phone] -= 1


def first_events(monkeypatch: pytest.MonkeyPatch, story: Story) -> list[tuple[Event, Event]]:
    """Of each call of a PBX that has but this kind: its first channel, its first application."""
    monkeypatch.setattr(stories, "STORIES", ((1, story),))
    found = []
    for style in (STYLE_13, STYLE_22):
        events = [headers(packet) for packet in simulation(style).advance(STARTED + 600)]
        begun = list(calls_begun(events))
        applications: dict[str, Event] = {}
        for event in events:
            if event["Event"] == "Newexten" and event["Application"] != "Answer":
                applications.setdefault(event["Uniqueid"], event)
        found += [(e, applications[e["Uniqueid"]]) for e in begun if e["Uniqueid"] in applications]
    assert len(found) > 200
    return found


def test_calls_to_a_queue_come_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for channel, application in first_events(monkeypatch, stories.call_to_queue):
        assert channel["Context"] == "from-trunk"
        assert application["Application"] == "Queue"


def test_calls_to_a_desk_come_from_outside_and_ring_a_phone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for channel, application in first_events(monkeypatch, stories.call_to_desk):
        assert channel["Context"] == "from-trunk"
        assert application["Application"] == "Dial"
        assert application["AppData"].partition(",")[0].partition("/")[2].isdigit()


def test_calls_out_go_from_a_phone_over_a_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    for channel, application in first_events(monkeypatch, stories.call_out):
        assert channel["Context"] == "from-internal"
        assert len(channel["Exten"]) >= 7
        assert channel["Exten"] in application["AppData"]
        assert any(word in application["AppData"] for word in ("trunk", "carrier", "branch"))


def test_calls_inside_go_from_phone_to_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    for channel, application in first_events(monkeypatch, stories.call_inside):
        assert channel["Context"] == "from-internal"
        assert f"/{channel['Exten']}," in application["AppData"]
        assert channel["CallerIDNum"] != channel["Exten"]


def test_each_kind_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(share for share, _ in STORIES) == 100
    told: Counter[Story] = Counter()
    scripts = simulation(rate=0).scripts
    scripts.rng = random.Random(1)

    def counted(story: Story) -> Story:
        return lambda scripts, call: told.update([story]) or iter(())  # type: ignore[return-value]

    monkeypatch.setattr(stories, "STORIES", [(share, counted(story)) for share, story in STORIES])
    call = scripts.switch.new_call()
    for _ in range(10_000):
        stories.any_call(scripts, call)
    for share, story in STORIES:
        assert told[story] / 100 == pytest.approx(share, abs=2)
