"""The view of the audit: for those who may, what it finds and tells, and how it keeps up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.axe import violations
from tests.browser.conftest import PATIENCE, NewContext
from tests.browser.dashboard import Dashboard, call, server
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.stillness import still_pbx

REALM = "asterisk"
TOKEN = "amiws_crm"
ROW = ".audit .table-body [role=row]"
MENU = "navigation"


class Trail:
    """Stands for the API; ``records`` are as it has them, the oldest first."""

    def __init__(self, page: Page, *records: dict[str, Any]) -> None:
        self.records: list[dict[str, Any]] = []
        self.asked: list[dict[str, list[str]]] = []
        self.told: dict[str, Any] = {"writing": True, "refusing": False, "reason": ""}
        self.status = 200
        self.add(*records)
        page.route("**/api/v1/audit*", self._answer)

    def add(self, *records: dict[str, Any]) -> None:
        for record in records:
            seq = len(self.records) + 1
            time = f"2026-11-29T08:{seq // 60 % 60:02}:{seq % 60:02}.123Z"
            self.records.append({"seq": seq, "time": time, "mac": "0" * 64, **record})

    def _answer(self, route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        self.asked.append(query)
        after, before = (int(query.get(name, [end])[0]) for name, end in LIMITS)
        items = [one for one in reversed(self.records) if after < one["seq"] < before]
        if self.status == 200:
            route.fulfill(json={**self.told, "items": items[: int(query["limit"][0])]})
        else:
            route.fulfill(status=self.status, json={"code": self.told["code"], "status": 403})


LIMITS = (("after", "0"), ("before", "1000000"))
WHO = {"user": "bob", "address": "192.0.2.7", "roles": ["agent"], "view": "v2"}
PBX = [{"id": 1, "name": "pbx-one"}]


def action(ref: str, name: str = "QueuePause", **more: Any) -> dict[str, Any]:
    arguments = {"Queue": "support", "Interface": "PJSIP/204"}
    known = {"what": "action", "ref": ref, "allowed": True, "action": name, "servers": PBX}
    return {**known, **WHO, "arguments": arguments, **more}


def reply(ref: str, outcome: str = "answered", on: int = 1, **more: Any) -> dict[str, Any]:
    return {"what": "reply", "ref": ref, "server": on, "outcome": outcome, "ms": 12.3, **more}


RULE = "your roles (agent) do not allow QueuePause for Interface PJSIP/205"
DENIED = action(
    "",
    allowed=False,
    code="not_allowed",
    reason=RULE,
    arguments={"Queue": "support", "Interface": ["PJSIP/205", "PJSIP/206"]},
)
SOME = (
    {"what": "begin", "form": 1, "why": "first", "key": "ab12"},
    {"what": "start", "version": "0.1.0"},
    {"what": "plugins", "plugins": [{"name": "mask", "from": "x"}]},
    {"what": "login", "user": "bob", "address": "192.0.2.7", "how": "digest", "allowed": True},
    action("a-1"),
    reply("a-1"),
    DENIED,
    action("a-2", "Hangup", arguments={"Channel": "PJSIP/204-00000001"}),
    reply("a-2", "refused", reason="No such channel"),
    {"what": "repeat", "ref": "a-1", "action": "QueuePause", "servers": PBX, **WHO},
    {"what": "login", "user": "eve", "address": "198.51.100.9", "how": "digest", "allowed": False}
    | {"reason": "wrong password", "more": 17},
    {"what": "reload", "allowed": False, "reason": "roles.x: unknown key"},
    action("a-3", "Originate", arguments={"Channel": "PJSIP/204", "Exten": "201"}),
)
ROWS = 11


def dashboard() -> Dashboard:
    return Dashboard(server(1, "pbx-one"), call(1), features=["audit"])


def opened(page: Page, site: Dashboard) -> None:
    site.open(page, "audit")
    expect(page.locator(ROW).first).to_be_visible()


def test_rows_tell_who_did_what_where_and_what_came_of_it(
    page: Page, console_errors: list[str]
) -> None:
    Trail(page, *SOME)
    with dashboard() as site:
        opened(page, site)
        rows = page.locator(ROW)
        expect(rows).to_have_count(ROWS)
        for number, texts in {
            0: ("bob", "192.0.2.7", "Originate", "Exten: 201", "pbx-one", "No answer yet"),
            1: ("Reload of the configuration", "Not applied", "roles.x: unknown key"),
            2: ("eve", "198.51.100.9", "Login", "Not allowed", "wrong password"),
            3: ("QueuePause", "A repeat: nothing was sent again"),
            4: ("Hangup", "Refused by the server", "No such channel", "12 ms"),
            5: ("QueuePause", "Interface: PJSIP/206", "Not allowed", RULE),
            6: ("Queue: support · Interface: PJSIP/204", "Done", "12 ms"),
            7: ("Login", "Accepted"),
            8: ("Plugins", "mask"),
        }.items():
            for text in texts:
                expect(rows.nth(number)).to_contain_text(text)
        expect(page.locator(f"{ROW}.denied")).to_have_count(2)
        expect(page.get_by_text("These are all since the start")).to_be_visible()
    assert console_errors == []


def test_words_results_and_kinds_choose_rows(page: Page, console_errors: list[str]) -> None:
    Trail(page, *SOME)
    with dashboard() as site:
        opened(page, site)
        rows, search = page.locator(ROW), page.get_by_role("searchbox")
        for words, number in (
            ("pjsip/205", 1),
            ("BOB queuepause", 3),
            ("eve", 1),
            ("no such channel", 1),
            ("pbx-one hangup", 1),
        ):
            search.fill(words)
            expect(rows).to_have_count(number)
        search.fill("nothing of it")
        expect(page.get_by_text("No record matches.")).to_be_visible()
        search.fill("")
        results = page.get_by_role("group", name="Records by result")
        for name, number in (("2 done", 2), ("2 not allowed", 2), ("2 failed", 2)):
            results.get_by_role("button", name=name).click()
            expect(rows).to_have_count(number)
        results.get_by_role("button", name="5 others").click()
        expect(rows).to_have_count(5)
        results.get_by_role("button", name="5 others").click()
        for kind, number in (("Actions", 5), ("Logins", 2), ("The program", 4)):
            page.get_by_label("Kind").select_option(label=kind)
            expect(rows).to_have_count(number)
    assert console_errors == []


def test_a_row_shows_all_that_its_record_says(page: Page, console_errors: list[str]) -> None:
    more = {"servers": [*PBX, {"id": 2, "name": "pbx-two"}]}
    Trail(
        page,
        *SOME,
        action("a-4", "Reload", **more),
        reply("a-4", "timeout", 2, reason="no answer within 10 s"),
        reply("a-4", "answered"),
    )
    with dashboard() as site:
        opened(page, site)
        detail = page.get_by_role("region")
        page.locator(ROW).filter(has_text=RULE).click()
        for text in ("Not allowed", RULE, "agent", "192.0.2.7", "not_allowed", "PJSIP/206"):
            expect(detail).to_contain_text(text)
        expect(page).to_have_url(f"{site.url}#/audit?record=7")
        page.keyboard.press("Escape")
        expect(detail).to_have_count(0)
        page.locator(ROW).first.focus()
        page.keyboard.press("Enter")
        expect(detail).to_contain_text("No answer in time")
        expect(detail).to_contain_text("pbx-two")
        expect(detail).to_contain_text("no answer within 10 s")
        expect(detail).to_contain_text("pbx-one Done")
        page.go_back()
        page.locator(ROW).filter(has_text="New file").click()
        expect(detail).to_contain_text("ab12")
    assert console_errors == []


def test_older_ones_are_asked_for_page_by_page(page: Page, console_errors: list[str]) -> None:
    trail = Trail(page, *(action(f"a-{number}") for number in range(450)))
    with dashboard() as site:
        opened(page, site)
        older = page.get_by_role("button", name="Older records")
        for number in (200, 400, 450):
            expect(page.locator(".tally strong")).to_have_text(f"{number} records")
            if number < 450:
                older.click()
        expect(older).to_have_count(0)
        expect(page.get_by_text("These are all since the start")).to_be_visible()
    assert ["251"] in [query.get("before") for query in trail.asked]
    assert console_errors == []


def test_a_reply_that_came_before_its_action_is_its_result(page: Page) -> None:
    """The newest page has it, the one before has the action."""
    trail = Trail(page, action("old", "Ping"), *(action(f"a-{number}") for number in range(198)))
    trail.add({"what": "stop"}, reply("old", "timeout"))
    with dashboard() as site:
        opened(page, site)
        page.get_by_role("button", name="Older records").click()
        page.get_by_role("searchbox").fill("ping")
        expect(page.locator(ROW)).to_contain_text("No answer in time")


def test_what_comes_is_shown_unless_somebody_points_at_a_row(
    page: Page, console_errors: list[str]
) -> None:
    trail = Trail(page, *SOME)
    with dashboard() as site:
        opened(page, site)
        trail.add(reply("a-3"), action("a-9", "Ping"))
        expect(page.locator(ROW)).to_have_count(ROWS + 1)
        expect(page.locator(ROW).nth(1)).to_contain_text("Done")
        page.locator(ROW).nth(3).hover()
        trail.add(action("a-10", "Park"), reply("a-9"))
        expect(page.get_by_text("1 newer record")).to_be_visible()
        expect(page.locator(ROW)).to_have_count(ROWS + 1)
        expect(page.locator(ROW).first).to_contain_text("Done")
        page.get_by_role("heading", name="Audit trail").hover()
        expect(page.locator(ROW)).to_have_count(ROWS + 2)
        expect(page.locator(ROW).first).to_contain_text("Park")
        expect(page.get_by_text("newer record")).to_have_count(0)
    newest = {int(query["after"][0]) for query in trail.asked if "after" in query}
    assert max(newest) > len(SOME)
    assert console_errors == []


def test_a_list_that_is_scrolled_stays_until_it_is_scrolled_back(page: Page) -> None:
    trail = Trail(page, *(action(f"a-{number}") for number in range(100)))
    with dashboard() as site:
        opened(page, site)
        body = page.locator(".audit .table-body")
        body.evaluate("(body) => body.scrollTo(0, 500)")
        trail.add(action("b", "Ping"))
        expect(page.get_by_text("1 newer record")).to_be_visible()
        body.evaluate("(body) => body.scrollTo(0, 0)")
        expect(page.locator(ROW).first).to_contain_text("Ping")
        # Nor is it held by a place in a list that is gone.
        body.evaluate("(body) => body.scrollTo(0, 500)")
        page.get_by_role("searchbox").fill("nothing of it")
        expect(page.get_by_text("No record matches.")).to_be_visible()
        page.get_by_role("searchbox").fill("")
        trail.add(action("c", "Park"))
        expect(page.locator(ROW).first).to_contain_text("Park")


def test_too_much_at_once_begins_anew(page: Page) -> None:
    trail = Trail(page, *SOME)
    with dashboard() as site:
        opened(page, site)
        trail.add(*(action(f"b-{number}") for number in range(500)))
        expect(page.locator(".tally strong")).to_have_text("200 records")
        expect(page.get_by_role("button", name="Older records")).to_be_visible()


def test_an_outage_and_the_end_of_a_right(page: Page) -> None:
    trail = Trail(page, *SOME)
    with dashboard() as site:
        opened(page, site)
        trail.told |= {"writing": False, "refusing": True, "reason": "No space left on device"}
        expect(page.get_by_role("alert")).to_have_text(
            "The audit cannot be written: No space left on device"
        )
        trail.status, trail.told = 403, {"code": "not_allowed"}
        expect(page.get_by_text("Your roles do not allow you")).to_be_visible()
        expect(page.locator(ROW)).to_have_count(0)
        trail.told = {"code": "audit_off"}
        expect(page.get_by_text("There is no audit trail")).to_be_visible()
        trail.told = {"code": "something_new"}
        expect(page.get_by_text("cannot be loaded")).to_be_visible()


@pytest.mark.parametrize(
    ("features", "offered"), [(["audit"], True), ([], False)], ids=["on", "off"]
)
def test_the_menu_has_it_where_there_is_one(page: Page, features: list[str], offered: bool) -> None:
    with Dashboard(server(1, "pbx-one"), call(1), features=features) as site:
        site.open(page)
        expect(page.get_by_role("row", name="301")).to_be_visible()
        expect(page.get_by_role(MENU).get_by_role("link", name="Audit")).to_have_count(int(offered))


@pytest.mark.parametrize("chosen", ["", "?record=7"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_is_cut_off(page: Page, chosen: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    Trail(page, *SOME)
    with dashboard() as site:
        site.open(page, f"audit{chosen}")
        expect(page.locator("main h2").first).to_be_visible()
        expect(page.get_by_text("Loading")).to_have_count(0)
        if chosen:
            expect(page.get_by_role("region")).to_contain_text(RULE)
        assert violations(page) == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) == 0


@pytest.mark.parametrize(
    ("locale", "title"), [("de", "Prüfprotokoll"), ("fr", "Journal d\u2019audit")]
)
def test_it_speaks_other_languages(new_context: NewContext, locale: str, title: str) -> None:
    context = new_context(locale=locale)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    Trail(page, *SOME)
    with dashboard() as site:
        site.open(page, "audit")
        expect(page.get_by_role("heading", level=2)).to_have_text(title)
        expect(page.locator(ROW)).to_have_count(ROWS)
        assert "audit." not in page.locator("main").inner_text()  # the name of a missing text
    context.close()


# The real program


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """With an auditor, an agent, and a program that may do all."""
    users = ("rita", "bob")
    lines = [f"{user}:{REALM}:{_md5(f'{user}:{REALM}:secret')}\n" for user in users]
    (tmp_path / "users").write_text("".join(lines))
    (tmp_path / "log").mkdir()
    crm = hashlib.sha256(TOKEN.encode()).hexdigest()
    more = f"""\
live_state: yes
auth_domain: {REALM}
auth_file: {tmp_path}/users
audit: {{file: {tmp_path}/log/audit.jsonl, key_file: {tmp_path}/audit.key, fsync: no}}
roles:
  all: {{see: everything, do: everything}}
  auditor: {{audit: yes}}
  agent: {{see: everything, do: [{{action: Ping}}]}}
users:
  rita: {{roles: auditor}}
  bob: {{roles: agent}}
api_tokens:
- {{name: crm, hash: "sha256:{crm}", roles: all}}
"""
    with still_pbx() as pbx, Program(tmp_path, configuration(ami_host(pbx), more=more)) as made:
        yield made


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def _context(new_context: NewContext, user: str) -> BrowserContext:
    return new_context(http_credentials={"username": user, "password": "secret"})


def _url(program: Program, path: str = "") -> str:
    return f"http://127.0.0.1:{program.port}/{path}"


def _ask(program: Program, user: str, **headers: str) -> tuple[int, str]:
    """The status, and what came of it at the server."""
    login: dict[str, Any] = {"auth": requests.auth.HTTPDigestAuth(user, "secret")}
    if user == "crm":
        login = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
    body = {"server": 1, "action": headers}
    url = _url(program, "api/v1/actions")
    response = requests.post(url, json=body, timeout=WAIT, **login)
    replies = response.json().get("replies") or [{"outcome": ""}]
    return response.status_code, replies[0]["outcome"]


def _is_done(program: Program) -> bool:
    """Before the server is connected an action is not sent; the audit has that as well."""
    asked = _ask(program, "crm", Action="Ping", Password="hunter2")
    return asked == (200, "answered")


@pytest.mark.slow
def test_an_auditor_reads_it_and_does_nothing(new_context: NewContext, program: Program) -> None:
    wait_until(lambda: _is_done(program), "the first action")
    assert _ask(program, "bob", Action="Hangup", Channel="PJSIP/204") == (403, "")
    context = _context(new_context, "rita")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(_url(program))
    # He sees no server: "no calls" would be wrong, and of no use.
    expect(page.get_by_role("heading", name="Audit trail")).to_be_visible()
    page.get_by_role(MENU).get_by_role("link", name="Servers").click()
    expect(page.get_by_role("heading", name="Audit trail")).to_have_count(0)
    page.get_by_role(MENU).get_by_role("link", name="Audit").click()
    denied = page.locator(ROW).filter(has_text="Hangup")
    expect(denied).to_contain_text("your roles (agent) do not allow Hangup")
    expect(denied).to_contain_text("bob")
    done = page.locator(ROW).filter(has_text="token:crm").filter(has_text="Done")
    expect(done).to_contain_text("Ping")
    done.click()
    expect(page.get_by_role("region")).to_contain_text("[removed]")
    assert "hunter2" not in page.content()
    expect(page.locator(ROW).filter(has_text="rita").filter(has_text="Login")).to_have_count(1)
    # What comes is shown by itself, once nobody points at a row.
    page.get_by_role("heading", name="Audit trail").hover()
    assert _ask(program, "bob", Action="Park", Channel="PJSIP/204") == (403, "")
    expect(page.locator(ROW).filter(has_text="do not allow Park")).to_have_count(1)
    reading = page.locator(ROW).filter(has_text="Reading of the audit")
    expect(reading).to_have_count(1)
    expect(reading).to_contain_text("rita")
    page.goto(_url(program, "#/calls"))
    expect(page.get_by_role("button", name="New call")).to_have_count(0)
    context.close()


@pytest.mark.slow
def test_who_may_not_is_not_offered_it_and_gets_nothing(
    new_context: NewContext, program: Program
) -> None:
    assert _ask(program, "crm", Action="Ping")[0] == 200
    context = _context(new_context, "bob")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(_url(program))
    expect(page.get_by_text("No calls")).to_be_visible()
    expect(page.get_by_role(MENU).get_by_role("link")).to_have_count(7)
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    page.goto(_url(program, "#/audit"))
    expect(page.get_by_text("Your roles do not allow you to see the audit trail.")).to_be_visible()
    expect(page.locator(ROW)).to_have_count(0)
    assert "token:crm" not in page.content()
    context.close()
