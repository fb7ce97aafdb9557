"""The view of calls: who talks with whom, found, sorted, and handled."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.dashboard import NOW, Dashboard, call, channel, person, server

HOSTILE = "<img src=x onerror=alert(1)>"


def rows(page: Page) -> Locator:
    return page.locator(".calls .table-body .table-row")


@pytest.fixture
def one() -> Iterator[Dashboard]:
    names = [channel("1.1", "PJSIP/201-00000001"), channel("1.2", "PJSIP/301-00000002")]
    with Dashboard(server(1, "pbx-one"), call(1), *names) as dashboard:
        yield dashboard


def test_a_call_comes_changes_and_goes(page: Page, console_errors: list[str]) -> None:
    anna, ben = person("201", "Anna"), person("305", "Ben")
    with Dashboard(server(1, "pbx-one")) as dashboard:
        dashboard.open(page)
        expect(page.get_by_text("No calls at the moment.")).to_be_visible()
        expect(page).to_have_title(re.compile("^0 calls . amiws-gevent$"))
        ringing = call(5, "ringing", caller=anna, callee=ben, ringing=[ben], queue=None)
        dashboard.put(ringing)
        expect(rows(page).locator(".chip")).to_have_text("Ringing")
        expect(rows(page).locator(".who")).to_have_text(["Anna", "Ben"])
        expect(rows(page).locator(".number")).to_have_text(["201", "305"])
        expect(page).to_have_title(re.compile("^1 call . amiws-gevent$"))
        dashboard.put({**ringing, "phase": "talking", "ringing": []})
        expect(rows(page).locator(".chip")).to_have_text("Talking")
        dashboard.remove(ringing, ended=NOW, cause=17, cause_text="User busy")
        expect(rows(page).locator(".chip")).to_have_text("Ended")
        expect(rows(page).locator(".where")).to_have_text("User busy")
        expect(page).to_have_title(re.compile("^0 calls . amiws-gevent$"))
        expect(page.get_by_text("No calls at the moment.")).to_be_visible()
    assert console_errors == []


def test_who_was_called_and_is_left_alone_is_not_called_by_himself(page: Page) -> None:
    ben = person("902", "Ben", "1.2")
    left = {"caller": ben, "callee": None, "called": ben, "dialled": "902"}
    parked = call(1, "parked", parking="701", **left)
    phone = channel("1.2", "PJSIP/902-00000002")
    with Dashboard(server(1, "pbx-one"), parked, phone) as dashboard:
        dashboard.open(page)
        expect(rows(page).locator(".caller .who")).to_have_text("Ben")
        expect(rows(page).locator(".where")).to_have_text("slot 701")
        expect(rows(page).locator(".called")).to_have_text("")
        rows(page).click()
        expect(page.locator(".detail-people .who")).to_have_text(["Ben"])
        page.locator(".detail").get_by_role("button", name="Hang up").click()
        expect(page.get_by_role("dialog").locator("p")).to_have_text("Ben")


def test_a_hostile_name_is_shown_as_that_text(page: Page, console_errors: list[str]) -> None:
    hostile = person(HOSTILE, HOSTILE, "1.1")
    way = [{"what": "queued", "at": NOW, "who": HOSTILE, "queue": HOSTILE}]
    with Dashboard(
        server(1, HOSTILE), call(1, "queued", caller=hostile, queue=HOSTILE, way=way)
    ) as d:
        d.open(page)
        expect(rows(page).locator(".caller .who")).to_have_text(HOSTILE)
        expect(rows(page).locator(".where")).to_have_text(HOSTILE)
        rows(page).click()
        expect(page.locator(".detail .way")).to_contain_text(
            f"{HOSTILE} waits in the queue {HOSTILE}"
        )
        expect(page.locator("img:not(.logo)")).to_have_count(0)
    assert console_errors == []


def test_who_is_called_by_several_phones_is_said(page: Page) -> None:
    phones = [person("301", "Ada"), person("302"), person("303")]
    with Dashboard(server(1, "pbx"), call(1, "queued", callee=None, ringing=phones)) as dashboard:
        dashboard.open(page)
        expect(rows(page).locator(".called .who")).to_have_text(re.compile(r"Ada\s+and 2 more"))


def test_words_states_and_servers_narrow_the_list(page: Page) -> None:
    calls = [
        call(1, caller=person("201", "Zoë Müller")),
        call(2, "queued", queue="support", callee=None),
        call(3, "ringing", on=2),
    ]
    with Dashboard(server(1, "pbx-one"), server(2, "pbx-two"), *calls) as dashboard:
        dashboard.open(page)
        expect(rows(page)).to_have_count(3)
        search = page.get_by_role("searchbox")
        search.fill("müller zoë")
        expect(rows(page).locator(".caller .who")).to_have_text("Zoë Müller")
        search.fill("SUPPORT")
        expect(rows(page).locator(".chip")).to_have_text("In queue")
        search.fill("nobody")
        expect(page.get_by_text("No call matches.")).to_be_visible()
        search.fill("")
        page.get_by_role("button", name="1 Ringing").click()
        expect(rows(page).locator(".server")).to_have_text("pbx-two")
        page.get_by_role("button", name="1 Ringing").click()
        page.get_by_role("combobox", name="Server").select_option(label="pbx-one")
        expect(rows(page)).to_have_count(2)


def test_rows_stay_under_the_pointer_while_calls_come_and_go(page: Page) -> None:
    calls = [call(number) for number in (1, 2, 3)]
    with Dashboard(server(1, "pbx"), *calls) as dashboard:
        dashboard.open(page)
        page.get_by_role("button", name="Caller").click()
        callers = rows(page).locator(".caller .who")
        expect(callers).to_have_text(["201", "202", "203"])
        rows(page).nth(1).hover()
        dashboard.put(call(9, caller=person("100")))
        expect(callers).to_have_text(["201", "202", "203", "100"])
        page.get_by_role("searchbox").hover()
        expect(callers).to_have_text(["100", "201", "202", "203"])


def test_five_thousand_calls_are_a_few_elements(page: Page) -> None:
    calls = [call(number, caller=person(str(20_000 + number))) for number in range(5000)]
    with Dashboard(server(1, "pbx"), *calls) as dashboard:
        dashboard.open(page)
        table = page.get_by_role("table", name="Active calls")
        expect(table).to_have_attribute("aria-rowcount", "5001")
        assert rows(page).count() < 80
        rows(page).first.focus()
        page.keyboard.press("End")
        last = page.locator(".table-row:focus")
        expect(last).to_have_attribute("aria-rowindex", "5001")
        expect(last.locator(".caller .who")).to_have_text("24999")
        page.keyboard.press("ArrowUp")
        expect(page.locator(".table-row:focus .caller .who")).to_have_text("24998")
        page.keyboard.press("Home")
        expect(page.locator(".table-row:focus .caller .who")).to_have_text("20000")


def type_unfocused(page: Page, text: str) -> None:
    """Another filter, while the focus stays where it is."""
    page.get_by_role("searchbox").evaluate(
        """(search, text) => {
            search.value = text;
            search.dispatchEvent(new InputEvent("input", { bubbles: true }));
        }""",
        text,
    )


def test_rows_that_come_take_the_elements_of_those_that_leave(page: Page) -> None:
    with Dashboard(server(1, "pbx"), *(call(number) for number in range(1, 9))) as dashboard:
        dashboard.open(page)
        callers = rows(page).locator(".caller .who")
        page.get_by_role("searchbox").fill("201")
        expect(callers).to_have_text(["201"])
        rows(page).evaluate("(row) => { row.isTheFirst = true; }")
        page.get_by_role("searchbox").fill("20")
        expect(callers).to_have_count(8)
        # In the order of the rows, for who reads them one after the other.
        expect(callers).to_have_text([f"20{number}" for number in range(1, 9)])
        assert rows(page).first.evaluate("(row) => row.isTheFirst === true")
        page.get_by_role("searchbox").fill("205")
        expect(callers).to_have_text(["205"])
        rows(page).evaluate("(row) => { row.isOf205 = true; }")
        page.get_by_role("searchbox").fill("206")
        expect(callers).to_have_text(["206"])
        assert rows(page).evaluate("(row) => row.isOf205 === true")


def test_what_has_the_focus_or_the_pointer_never_becomes_another_call(page: Page) -> None:
    """A key or a click would else do to that call what was meant for the one that is gone."""
    with Dashboard(server(1, "pbx"), call(1), call(2), call(3)) as dashboard:
        dashboard.open(page)
        callers = rows(page).locator(".caller .who")
        page.get_by_role("searchbox").fill("201")
        expect(callers).to_have_text(["201"])
        page.get_by_role("button", name="Hang up the call of 201").focus()
        type_unfocused(page, "202")
        expect(callers).to_have_text(["202"])
        expect(page.locator(".table-row :focus")).to_have_count(0)
        rows(page).hover()
        rows(page).evaluate("(row) => { row.isOf202 = true; }")
        type_unfocused(page, "203")
        expect(callers).to_have_text(["203"])
        assert not rows(page).evaluate("(row) => row.isOf202 === true")


def test_a_call_has_its_story_by_keyboard(page: Page, one: Dashboard) -> None:
    way = [
        {"what": "dialled", "at": NOW, "who": "201", "to": "301"},
        {"what": "transferred", "at": NOW, "by": "301", "who": "201", "to": "302", "how": "blind"},
        {"what": "something_new", "at": NOW},
    ]
    one.put(call(1, trunk="carrier", way=way, legs=["1.1", "1.2"]))
    one.open(page)
    rows(page).first.focus()
    page.keyboard.press("Enter")
    detail = page.get_by_role("region", name="Call")
    expect(detail.get_by_role("heading", name="Call", exact=True)).to_be_focused()
    expect(detail.locator(".way").first.locator("span")).to_have_text(
        ["201 dials 301", "301 transfers 201 to 302 unannounced", "something_new"]
    )
    expect(detail.locator(".legs strong")).to_have_text(
        ["PJSIP/201-00000001", "PJSIP/301-00000002"]
    )
    expect(detail).to_contain_text("carrier")
    page.keyboard.press("Escape")
    expect(detail).to_have_count(0)


def test_a_story_stays_after_the_end(page: Page, one: Dashboard) -> None:
    one.open(page, "calls?call=1+1.1")
    expect(page.locator(".detail .person").first).to_contain_text("201")
    one.remove(call(1), ended=NOW, cause=16, cause_text="Normal Clearing")
    expect(page.locator(".detail .facts")).to_contain_text("Normal Clearing")
    expect(page.locator(".detail .buttons")).to_have_count(0)
    expect(rows(page)).to_have_count(0)
    expect(page.locator(".detail .person").first).to_contain_text("201")


def test_hang_up_is_asked_for_once_more_and_its_answer_shown(page: Page, one: Dashboard) -> None:
    one.open(page)
    press = page.get_by_role("button", name="Hang up the call of 201")
    press.click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert one.actions == []
    press.click()
    expect(page.get_by_role("dialog")).to_contain_text("201 and 301")
    page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
    assert one.wait_action("Hangup") == {"Action": "Hangup", "Channel": "PJSIP/201-00000001"}
    expect(page.get_by_role("status")).to_contain_text("The call was hung up.")
    one.reply = {"outcome": "refused", "reason": "No such channel"}
    press.click()
    page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("status")).to_contain_text("pbx-one refused: No such channel")


def test_redirect_and_park_name_the_right_channels(page: Page, one: Dashboard) -> None:
    one.open(page, "calls?call=1+1.1")
    page.get_by_role("button", name="Redirect 301").click()
    page.get_by_label("Extension").fill("205")
    page.get_by_label("Context").fill("internal")
    page.get_by_role("dialog").get_by_role("button", name="Redirect").click()
    to = {"Exten": "205", "Context": "internal", "Priority": 1}
    assert one.wait_action("Redirect") == {
        "Action": "Redirect",
        "Channel": "PJSIP/301-00000002",
        **to,
    }
    page.get_by_role("button", name="Park 201").click()
    page.get_by_role("dialog").get_by_role("button", name="Park").click()
    parked = one.wait_action("Park")
    assert (parked["Channel"], parked["TimeoutChannel"]) == (
        "PJSIP/201-00000001",
        "PJSIP/301-00000002",
    )


def test_the_own_phone_rings_to_listen_pick_up_and_call(page: Page, one: Dashboard) -> None:
    one.put(call(2, "ringing", ringing=[person("301", None, "1.2")], callee=None))
    one.open(page, "calls?call=1+1.1")
    expect(page.get_by_role("button", name="Listen")).to_have_count(0)  # with what?
    page.get_by_role("button", name="Preferences").click()
    page.get_by_label("Your phone").fill("PJSIP/299")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Listen").click()
    page.get_by_role("dialog").get_by_role("button", name="Listen").click()
    spied = one.wait_action("Originate")
    assert spied["Channel"] == "PJSIP/299"
    assert (spied["Application"], spied["Data"]) == ("ChanSpy", "PJSIP/301-00000002,qE")
    rows(page).filter(has_text="Ringing").click()
    page.get_by_role("button", name="Pick up").click()
    page.get_by_role("dialog").get_by_role("button", name="Pick up").click()
    expect(page.get_by_role("status")).to_contain_text("You have the call.")
    picked = one.wait_action("Originate")
    assert (picked["Application"], picked["Data"]) == ("PickupChan", "PJSIP/301-00000002")
    page.get_by_role("button", name="New call").click()
    page.get_by_label("Number", exact=True).fill("+49301234")
    page.get_by_role("dialog").get_by_role("button", name="New call").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    dialled = one.wait_action("Originate")
    assert (dialled["Channel"], dialled["Exten"]) == ("PJSIP/299", "+49301234")


def test_what_is_not_allowed_is_not_offered(page: Page) -> None:
    names = [channel("1.1", "PJSIP/201-00000001"), channel("1.2", "PJSIP/301-00000002")]
    with Dashboard(server(1, "pbx"), call(1), *names, may=["redirect"]) as dashboard:
        dashboard.open(page, "calls?call=1+1.1")
        expect(page.get_by_role("button", name="Redirect 201")).to_be_visible()
        for name in ("Hang up", "Park", "New call", "Listen"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
