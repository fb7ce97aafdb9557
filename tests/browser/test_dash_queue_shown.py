"""How queues are shown: to screen readers, on narrow screens, to who may do little."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.dashboard import NOW, Dashboard, fits, server

HOSTILE = "<img src=x onerror=alert(1)>"


def entities() -> list[dict[str, Any]]:
    """A queue with all that the view knows to show."""
    gone = {"uniqueid": "0.1", "number": "491", "name": None, "position": 1, "wait": 75, "at": NOW}
    queue = {"server": 1, "kind": "queue", "id": "sales", "name": "sales", "waiting": 3}
    day = {"day": "2023-11-14", "entered": 20, "answered": 12, "answered_in_level": 6}
    more = {"service_level": 20, "abandoned": 5, "longest_wait": 75, "last_abandoned": [gone]}
    member = {"server": 1, "kind": "queue_member", "queue": "sales", "calls_taken": 3}
    member |= {"penalty": 0, "last_call": NOW, "reason": None, "paused_since": None}
    states = ("idle", "in_use", "on_hold", "ringing", "unavailable", "unknown", "idle")
    return [
        server(1, "pbx"),
        queue | day | more | {"incomplete": True, "counted_since": NOW},
        {**queue, **day, **more, "id": "support", "incomplete": False, "counted_since": None},
        *(
            {"server": 1, "kind": "queue_caller", "id": f"1.{n}", "queue": "sales"}
            | {"channel": f"PJSIP/{n}-1", "number": "+49301234567", "name": HOSTILE}
            | {"position": n, "since": NOW - wait, "server_since": None}
            for n, wait in enumerate((90_000, 40_000, 1_000), 1)
        ),
        *(
            member
            | {"id": f"sales|PJSIP/20{n}", "interface": f"PJSIP/20{n}", "name": f"Anna {n}"}
            | {"state_interface": f"PJSIP/20{n}", "state": state, "in_call": state == "in_use"}
            | {"paused": n == 6, "membership": "dynamic", "login_time": NOW}
            for n, state in enumerate(states)
        ),
        {"server": 1, "kind": "channel", "id": "7.1", "uniqueid": "7.1", "bridge": "b"}
        | {"name": "PJSIP/201-00000001", "state": "up", "connected_name": "Ida"},
    ]


@pytest.mark.parametrize("sync", ["live", "stale"])
@pytest.mark.parametrize(
    "view", ["queues", "queues?server=1&queue=sales", "wall", "wall?all=1", "wall?queue=sales"]
)
def test_axe_finds_nothing(page: Page, console_errors: list[str], view: str, sync: str) -> None:
    with Dashboard(*entities(), server(1, "pbx", sync=sync)) as dashboard:
        dashboard.open(page, view)
        expect(page.get_by_text("sales").locator("visible=true").first).to_be_visible()
        expect(page.get_by_text("Loading")).to_have_count(0)
        assert console_errors == []  # before axe, whose own style the policy forbids
        assert violations(page) == []


@pytest.mark.parametrize("view", ["queues", "queues?server=1&queue=sales", "wall"])
def test_nothing_is_wider_than_the_screen(page: Page, view: str) -> None:
    with Dashboard(*entities()) as dashboard:
        dashboard.open(page, view)
        expect(page.get_by_text("sales").locator("visible=true").first).to_be_visible()
        for width in (1920, 1280, 768, 390, 320):
            fits(page, width)


def test_what_the_viewer_may_not_do_is_not_there(page: Page) -> None:
    with Dashboard(*entities(), may=["QueuePause"]) as dashboard:
        dashboard.open(page, "queues?server=1&queue=sales")
        expect(page.get_by_role("button", name=re.compile("^Pause:"))).to_have_count(6)
        for name in ("Hang up", "Redirect", "Call back", "Remove", "Agent", "Listen"):
            expect(page.get_by_role("button", name=re.compile(f"^{name}"))).to_have_count(0)
        expect(page.locator(".queue-members")).not_to_contain_text("To listen")


def test_figures_that_members_have_become_columns(page: Page) -> None:
    everything = entities()
    figures = {"answered": 11, "missed": 2, "talk_time": 3725, "pause_time": 61}
    everything = [one | figures if one["kind"] == "queue_member" else one for one in everything]
    with Dashboard(*everything) as dashboard:
        dashboard.open(page, "queues?server=1&queue=sales")
        heads = ["Agent", "Calls taken", "Answered", "Missed", "Talked", "Paused"]
        table = page.locator(".queue-agents table")
        expect(table.locator("thead th")).to_have_text([*heads, "Logged in at", "Last call"])
        cells = table.locator("tbody tr").first.locator("th, td")
        for place, text in enumerate(("Anna 0", "3", "11", "2", "1:02:05", "1:01")):
            expect(cells.nth(place)).to_have_text(text)
