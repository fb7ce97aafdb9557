"""The views of phones, trunks, conferences, servers and charts, and of what they are made."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.dashboard import NOW, Dashboard, call, fits, person, server

Data = dict[str, Any]


def hint(number: str, state: str, *, on: int = 1, **more: Any) -> Data:
    known = {"presence": None, "presence_message": None, "since": NOW, "hint": f"PJSIP/{number}"}
    given = {"server": on, "kind": "hint", "id": f"{number}@x", "exten": number, "context": "x"}
    return {**given, **known, "state": state, **more}


def peer(name: str, status: str, *, on: int = 1, **more: Any) -> Data:
    given = {"server": on, "kind": "peer", "id": f"SIP/{name}", "name": name, "technology": "SIP"}
    known = {"description": None, "latency": 12, "address": "192.0.2.1", "cause": None}
    return {**given, **known, "status": status, "since": NOW, **more}


def registration(name: str, status: str, cause: str | None = None) -> Data:
    given = {"server": 1, "kind": "registration", "id": f"SIP|{name}|d", "technology": "SIP"}
    return {**given, "name": None, "username": name, "domain": "d", "status": status} | {
        "cause": cause,
        "since": NOW,
    }


def tile(page: Page, number: str) -> Locator:
    return page.locator(".tile").filter(has=page.get_by_text(number, exact=True))


def test_phones_are_put_together_by_their_number(page: Page) -> None:
    talk = call(1, caller=person("201"), callee=person("202", "Ben"))
    quiet = {"server": 1, "kind": "do_not_disturb", "id": "Custom:DND203", "device": "x"}
    box = {"server": 1, "kind": "mailbox", "id": "201@default", "mailbox": "201@default"}
    with Dashboard(
        server(1, "pbx"),
        *(hint("201", "in_use"), hint("203", "idle"), peer("201", "reachable", description="Ada")),
        *(peer("204", "unreachable"), peer("carrier", "reachable"), talk),
        {**quiet, "on": True, "number": "203", "since": NOW},
        {**box, "name": "Ada", "waiting": True, "new": 3, "old": 0},
    ) as dashboard:
        dashboard.open(page, "phones")
        expect(page.locator(".tile header strong")).to_have_text(["201", "203", "204"])
        ada = tile(page, "201")
        expect(ada).to_contain_text("Ada")
        expect(ada.locator(".chip")).to_have_text("In use")
        expect(ada.locator(".partner")).to_have_text("Ben")
        expect(ada.locator(".messages")).to_contain_text("3 new messages")
        expect(tile(page, "203")).to_contain_text("Do not disturb")
        expect(tile(page, "204").locator(".chip")).to_have_text("Unavailable")
        dashboard.put(hint("203", "ringing"))
        expect(tile(page, "203").locator(".chip").last).to_have_text("Ringing")
        page.get_by_role("button", name="1 Ringing").click()
        expect(page.locator(".tile header strong")).to_have_text("203")
        page.get_by_role("button", name="1 Ringing").click()
        page.get_by_role("searchbox").fill("ad")
        expect(page.locator(".tile header strong")).to_have_text("201")


def test_trunks_show_calls_and_trouble(page: Page) -> None:
    endpoint = {
        "server": 1,
        "kind": "endpoint",
        "id": "europe",
        "name": "europe",
        "state": "in_use",
    }
    contact = {"server": 1, "kind": "contact", "id": "europe|sip:x", "endpoint": "europe"}
    with Dashboard(
        server(1, "pbx"),
        *(peer("carrier", "unreachable"), peer("201", "unreachable")),
        registration("account", "rejected", "Forbidden"),
        registration("other", "registered"),
        {
            **endpoint,
            "state": "in_use",
            "aors": ["europe"],
            "reachable": None,
            "since": NOW,
            "device_state": "",
        },
        {**contact, "uri": "sip:x", "status": "reachable", "latency_us": 21_400},
        call(1, trunk="europe"),
        call(2, trunk="europe"),
    ) as dashboard:
        dashboard.open(page, "trunks")
        rows = page.locator(".trunks .table-body .table-row")
        expect(rows.locator(".name")).to_have_text(["account", "carrier", "europe", "other"])
        expect(rows.locator(".chip")).to_have_text(
            ["Rejected", "Unreachable", "In use", "Registered"]
        )
        expect(rows.locator(".calls")).to_have_text(["", "", "2", ""])
        expect(rows.nth(2).locator(".delay")).to_have_text("21 ms")
        expect(rows.first.locator(".address")).to_contain_text("Forbidden")
        expect(page.get_by_text("2 have a problem")).to_be_visible()


def test_trunks_have_their_whole_name_on_a_phone(page: Page) -> None:
    name = "customer-carrier-north"
    with Dashboard(server(1, "pbx"), registration(name, "registered")) as dashboard:
        dashboard.open(page, "trunks")
        fits(page, 390)
        cell = page.locator(".trunks .table-body .name")
        expect(cell).to_have_text(name)
        assert cell.evaluate("(cell) => cell.scrollWidth <= cell.clientWidth")
        expect(page.locator(".trunks .table-body .technology")).to_be_visible()


def room(name: str, application: str) -> Data:
    given = {"server": 1, "kind": "conference", "id": f"{application}|{name}", "name": name}
    known = {"parties": 1, "locked": False, "recording": None, "muted": None, "since": NOW}
    return {**given, **known, "application": application}


def guest(conference: str, name: str, **more: Any) -> Data:
    given = {"server": 1, "kind": "participant", "id": name, "conference": conference, "name": name}
    known = {"number": "201", "channel": f"PJSIP/{name}-1", "user": "7", "admin": False}
    return {
        **given,
        **known,
        "muted": False,
        "talking": False,
        "waiting": False,
        "since": NOW,
    } | more


def test_participants_are_muted_and_removed_by_the_actions_of_their_application(page: Page) -> None:
    with Dashboard(
        server(1, "pbx"),
        *(room("80", "confbridge"), guest("confbridge|80", "Ada")),
        *(room("90", "meetme"), guest("meetme|90", "Ben", muted=True)),
    ) as dashboard:
        dashboard.open(page, "rooms")
        page.get_by_role("button", name="Mute: Ada").click()
        page.get_by_role("dialog").get_by_role("button", name="Mute").click()
        assert dashboard.wait_action("ConfbridgeMute") == {
            "Action": "ConfbridgeMute",
            "Conference": "80",
            "Channel": "PJSIP/Ada-1",
        }
        page.get_by_role("button", name="Remove: Ada").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        dashboard.wait_action("ConfbridgeKick")
        page.get_by_role("button", name="Unmute: Ben").click()
        page.get_by_role("dialog").get_by_role("button", name="Unmute").click()
        assert dashboard.wait_action("MeetmeUnmute") == {
            "Action": "MeetmeUnmute",
            "Meetme": "90",
            "Usernum": "7",
        }
        expect(page.get_by_role("button", name="Remove: Ben")).to_have_count(0)


def test_a_parked_call_is_fetched_as_its_asterisk_wants_it(page: Page) -> None:
    given = {"kind": "parked_call", "id": "default|701", "lot": "default", "space": "701"}
    known = {"channel": "SIP/x-1", "number": "301", "name": "Ben", "since": NOW, "until": None}
    lot = {"kind": "parking_lot", "id": "default", "name": "default", "timeout": 45}
    with Dashboard(
        server(1, "old", version="11.25.3"),
        server(2, "new", version="22.1.0"),
        *({"server": n, **given, **known, "parker": "SIP/201"} for n in (1, 2)),
        *({"server": n, **lot, "first": "701", "last": "720"} for n in (1, 2)),
    ) as dashboard:
        dashboard.open(page)
        page.evaluate("localStorage.setItem('amiws.own_interface', '\"SIP/299\"')")
        dashboard.open(page, "rooms")
        page.reload()
        data = []
        for number in (0, 1):
            page.get_by_role("button", name="Fetch: Ben").nth(number).click()
            page.get_by_role("dialog").get_by_role("button", name="Fetch").click()
            expect(page.get_by_role("dialog")).to_have_count(0)
            data.append(dashboard.wait_action("Originate")["Data"])
        assert data == ["701,default", "default,701"]


def test_a_server_tells_its_quality_and_what_it_may_not_see(page: Page) -> None:
    bad = {"reports": 4, "lost_percent": 2.5, "worst_lost_percent": 9, "jitter_ms": 12.34}
    missing = [
        {"kind": "queue", "needs": "the class agent", "manager_conf": "write = agent"},
        {"kind": "queue_member", "needs": "the class agent", "manager_conf": "write = agent"},
    ]
    one = server(1, "pbx", rtp_incoming=bad | {"round_trip_ms": None}, missing=missing, ssl=True)
    with Dashboard(one, server(2, "other"), call(1), call(2), call(3, on=2)) as dashboard:
        dashboard.open(page, "servers")
        card = page.locator(".server-card").first
        expect(card.locator(".figure")).to_have_text(re.compile(r"2\s*calls · 67%"))
        expect(card.locator(".lock")).to_have_text("The link is encrypted")
        lost = card.get_by_role("row", name="Lost", exact=False).first
        expect(lost.get_by_role("cell").first).to_have_text("2.5 % (bad)")
        card.get_by_text("2 things cannot be shown").click()
        expect(card.locator(".missing li")).to_have_text(
            re.compile(r"queues, queue members: needs the class agent\s*write = agent")
        )
        dashboard.put(server(1, "pbx", connection="waiting", connection_reason="refused"))
        expect(page.locator(".away li")).to_contain_text("refused")
        expect(page.locator(".server-card")).to_have_count(1)


def test_charts_count_by_server_minute_and_country(page: Page) -> None:
    german = {"country": "DE", "trunk_prefix": "9"}
    calls = [
        call(1, dialled="9030123456", callee=person("carrier")),  # Berlin, behind an outside line
        call(2, dialled="0033142685300", callee=None),
        call(3, dialled="442079460155", callee=None, caller=person("+4930123456"), on=2),
        call(4, dialled="305"),
    ]
    minutes = [5, 0, 2, *[0] * 7]
    with Dashboard(
        server(1, "pbx-one", calls_by_minute=minutes, **german),
        server(2, "pbx-two", calls_by_minute=minutes),
        *calls,
    ) as dashboard:
        dashboard.open(page, "charts")
        expect(page.locator(".donut .total")).to_have_text("4")
        expect(page.locator(".donut .legend li")).to_have_text(
            [re.compile(r"pbx-one\s*3\s*75%"), re.compile(r"pbx-two\s*1\s*25%")]
        )
        cells = page.get_by_role("table").get_by_role("cell")
        expect(cells).to_have_text(["0", "0", "0", "0", "0", "0", "0", "4", "0", "10"])
        countries = page.locator(".world .legend .name")
        expect(countries).to_have_count(3)
        assert set(countries.all_inner_texts()) == {"Germany", "France", "United Kingdom"}
        page.get_by_role("button", name="Who calls").click()
        expect(countries).to_have_text("Germany")


def test_numbers_have_flags_and_are_written_internationally(page: Page) -> None:
    abroad = call(1, caller=person("0033142685300", "Zoé"), callee=person("201"))
    with Dashboard(server(1, "pbx", country="DE"), abroad) as dashboard:
        dashboard.open(page)
        caller = page.locator(".calls .table-body .caller")
        expect(caller.locator(".number")).to_have_text(re.compile(r"\+33 1 42 68 53 00"))
        expect(caller.get_by_role("img", name="France")).to_be_visible()
        expect(page.locator(".calls .table-body .called .flag")).to_have_count(0)


def test_a_number_without_its_plus_is_not_taken_for_one_of_the_own_country(page: Page) -> None:
    numbers = ("390600000463", "3560000", "03560000", "30123456", "12125550182")
    calls = [call(n, caller=person(number, f"Who {n}")) for n, number in enumerate(numbers)]
    with Dashboard(server(1, "pbx", country="DE"), *calls) as dashboard:
        dashboard.open(page)
        callers = page.locator(".calls .table-body .caller")
        for n, country in enumerate(("Italy", "Germany", "Germany", "Germany", "United States")):
            caller = callers.filter(has_text=f"Who {n}")
            expect(caller.get_by_role("img", name=country)).to_be_visible()
