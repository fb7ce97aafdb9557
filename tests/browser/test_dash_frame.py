"""The frame of the dashboard: views, languages, themes, lost connections, what leaves the host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import NewContext
from tests.browser.dashboard import Dashboard, call, fits, server
from tests.browser.test_dash_panel import registration
from tests.browser.test_dash_queue_shown import entities
from tests.support.program import ROOT, wait_until
from tests.support.web_root import response

VIEWS = ("calls", "queues", "phones", "trunks", "rooms", "servers", "charts")

LOST = {"connection": "waiting", "connection_reason": "no route to host", "sync": "stale"}


def many_things(**of_first: object) -> list[dict[str, object]]:
    """Something for each view, also what goes wrong; all but one server is of the first."""
    missing = [{"kind": "queue", "needs": "the class agent", "manager_conf": "write = agent"}]
    return [
        server(1, "pbx-one", ssl=True, missing=missing, calls_by_minute=list(range(10))) | of_first,
        server(2, "pbx-two", **LOST),
        *(call(number, phase) for number, phase in enumerate(("talking", "ringing", "queued"), 1)),
        *(
            {"server": 1, "kind": "hint", "id": f"20{n}@x", "exten": f"20{n}", "context": "x"}
            | {"state": state, "since": 0, "presence": None, "presence_message": None}
            for n, state in enumerate(("idle", "ringing", "in_use", "on_hold", "unavailable"))
        ),
        {"server": 1, "kind": "registration", "id": "SIP|u|d", "technology": "SIP", "name": None}
        | {"username": "carrier", "domain": "sip.example.com", "status": "rejected"}
        | {"cause": "Forbidden", "since": None},
        {"server": 1, "kind": "conference", "id": "confbridge|8", "name": "8", "parties": 1}
        | {"application": "confbridge", "locked": True, "recording": True, "since": 0},
        {"server": 1, "kind": "participant", "id": "1.1", "conference": "confbridge|8"}
        | {"channel": "PJSIP/1-1", "number": "201", "name": "Anna", "admin": True, "since": 0}
        | {"muted": True, "talking": True, "waiting": False, "user": None},
        {"server": 1, "kind": "parking_lot", "id": "default", "name": "default"}
        | {"first": "701", "last": "720", "timeout": 45},
        {"server": 1, "kind": "parked_call", "id": "default|701", "lot": "default"}
        | {"space": "701", "channel": "PJSIP/1-1", "number": "301", "name": "Ben", "since": 0}
        | {"parker": "PJSIP/201", "until": None},
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(page: Page, console_errors: list[str], view: str) -> None:
    with Dashboard(*many_things()) as dashboard:
        dashboard.open(page, view)
        is_there(page)
        assert violations(page) == []
    assert console_errors == []


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in ("servers", "charts")])
def test_axe_finds_nothing_in_what_is_stale(page: Page, view: str) -> None:
    with Dashboard(*many_things(**LOST), *entities()[1:]) as dashboard:
        dashboard.open(page, view)
        expect(page.locator(".stale").first).to_be_visible()
        is_there(page)
        assert violations(page) == []


def is_there(page: Page) -> None:
    """Wait for all of the view."""
    expect(page.locator("main h2").first).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)


def test_the_menu_leads_to_each_view_and_back(page: Page, console_errors: list[str]) -> None:
    with Dashboard(*many_things()) as dashboard:
        dashboard.open(page)
        links = page.get_by_role("navigation").get_by_role("link")
        for number, name in enumerate(VIEWS):
            links.nth(number).click()
            expect(page).to_have_url(re.compile(f"#/{name}$"))
            expect(links.nth(number)).to_have_attribute("aria-current", "page")
            expect(page.get_by_role("heading", level=1)).to_have_text(
                links.nth(number).inner_text()
            )
            expect(page.get_by_text("Loading")).to_have_count(0)  # or it fails as the server ends
        expect(page.locator(".world")).to_be_attached()  # or its modules would come to nobody
        page.go_back()
        expect(page).to_have_url(re.compile("#/servers$"))
        expect(page.locator(".server-card")).to_have_count(1)
        expect(page.locator(".away li")).to_contain_text("no route to host")
    assert console_errors == []


TOLD = """() => {
  window.told = [];
  const note = () => told.push(document.querySelector("[role=alert]")?.textContent ?? "");
  const all = { childList: true, subtree: true, characterData: true };
  new MutationObserver(note).observe(document.body, all);
}"""


def test_a_lost_connection_is_told_and_recovered_from(page: Page) -> None:
    with Dashboard(*many_things()) as dashboard:
        dashboard.open(page)
        expect(page.locator(".calls .table-body .table-row")).to_have_count(3)
        dashboard.amiws.refusals = [response(503, b"", "text/plain")] * 1000
        dashboard.drop()
        page.evaluate(TOLD)
        alarm = page.get_by_role("alert")
        expect(alarm).to_contain_text("The connection to amiws-gevent is lost (")
        expect(page.locator(".calls .table-body .table-row.stale")).to_have_count(3)
        dashboard.put(call(9))
        attempts = len(dashboard.amiws.upgrades)
        alarm.get_by_role("button", name="Try now").click()
        wait_until(lambda: len(dashboard.amiws.upgrades) > attempts, "an attempt")
        dashboard.amiws.refusals = []
        expect(page.locator(".calls .table-body .table-row:not(.stale)")).to_have_count(4)
        expect(alarm).to_have_count(0)
        told = page.evaluate("told")
        assert any("Connecting" in text for text in told)
        assert [text for text in told if "()" in text] == []  # the reason stays meanwhile


def test_servers_that_are_lost_are_named_in_each_view(page: Page) -> None:
    away = {"sync": "stale", "connection": "waiting", "connection_reason": "connection refused"}
    both = server(1, "pbx-one"), server(2, "pbx-two", **away)
    with Dashboard(*both, call(1), call(2, on=2)) as dashboard:
        dashboard.open(page)
        expect(page.locator(".calls .table-row.stale")).to_have_count(1)
        bar = page.get_by_text("Out of date: pbx-two")
        expect(bar).to_be_visible()
        dashboard.put(server(2, "pbx-two"))
        expect(bar).to_have_count(0)
        dashboard.put(server(1, "pbx-one", **away), server(2, "pbx-two", **away))
        page.get_by_role("link", name="Out of date: pbx-one, pbx-two").click()
        expect(page.locator(".away li")).to_have_count(2)
        page.go_back()
        expect(page.get_by_text("Out of date")).to_be_visible()
        dashboard.amiws.refusals = [response(503, b"", "text/plain")] * 1000
        dashboard.drop()
        expect(page.get_by_text("connection to amiws-gevent is lost")).to_be_visible()
        expect(page.get_by_text("Out of date")).to_have_count(0)  # all is, not these alone


def test_it_speaks_the_languages_of_the_browser(new_context: NewContext) -> None:
    context = new_context(locale="de-AT")
    page = context.new_page()
    with Dashboard(*many_things()) as dashboard:
        dashboard.open(page)
        expect(page.get_by_role("heading", level=2)).to_have_text("Laufende Gespräche")
        expect(page.locator("html")).to_have_attribute("lang", "de")
        page.get_by_role("button", name="Einstellungen").click()
        page.get_by_label("Sprache").select_option(label="Français")
        page.get_by_role("button", name="Fermer").click()
        expect(page.get_by_role("heading", level=2)).to_have_text("Appels en cours")
        page.reload()
        expect(page.get_by_role("heading", level=2)).to_have_text("Appels en cours")
    context.close()


def test_a_theme_is_kept(new_context: NewContext) -> None:
    context = new_context(color_scheme="light")
    page = context.new_page()
    with Dashboard(*many_things()) as dashboard:
        dashboard.open(page)
        expect(page.locator("body")).to_have_css("background-color", "rgb(243, 245, 247)")
        page.get_by_role("button", name="Preferences").click()
        page.get_by_label("Colours").select_option(label="Dark")
        expect(page.locator("body")).to_have_css("background-color", "rgb(13, 18, 23)")
        page.reload()
        expect(page.locator("body")).to_have_css("background-color", "rgb(13, 18, 23)")
    context.close()


def names_of(language: str, page: Page, dashboard: Dashboard) -> dict[str, object]:
    script = """async (language) => {
        const { default: texts } = await import(`/app/texts/${language}.js`);
        const shape = (one) => typeof one === "string"
            ? [...one.matchAll(/\\{\\w+\\}/g)].map(String).sort().join(" ")
            : Object.fromEntries(Object.entries(one).map(([name, value]) => [name, shape(value)]));
        return shape(texts);
    }"""
    page.goto(f"{dashboard.url}app/style/base.css")
    found: dict[str, object] = page.evaluate(script, language)
    return found


def test_all_languages_have_all_texts_with_the_same_places(page: Page) -> None:
    with Dashboard() as dashboard:
        english = names_of("en", page, dashboard)
        assert names_of("de", page, dashboard) == english
        assert names_of("fr", page, dashboard) == english


def texts_used() -> set[str]:
    """The names of texts that the modules write out whole."""
    files = (ROOT / "web_root/app").rglob("*.js")
    source = "\n".join(file.read_text() for file in files if file.parent.name != "texts")
    return set(re.findall(r'\bt\(\s*"([\w.]+)"', source))


def test_every_text_that_is_used_is_there(page: Page) -> None:
    with Dashboard() as dashboard:
        english = names_of("en", page, dashboard)
    used = texts_used()
    assert len(used) > 50
    for name in sorted(used):
        found: object = english
        for part in name.split("."):
            assert isinstance(found, dict), name
            assert part in found, name
            found = found[part]


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wider_than_the_screen(page: Page, view: str) -> None:
    long = server(3, "a server with a name that is far longer than anybody would expect" * 2)
    with Dashboard(*many_things(), long) as dashboard:
        dashboard.open(page, view)
        expect(page.locator("main h2").first).to_be_visible()
        for width in (3840, 1920, 1280, 768, 390, 320):
            fits(page, width)


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_the_menu_and_what_is_said_of_states_fit(new_context: NewContext, language: str) -> None:
    entries = "[...document.querySelectorAll('.head nav li')]"
    last = f"Math.max(...{entries}.map((entry) => entry.getBoundingClientRect().right))"
    right = "document.querySelector('.head nav').getBoundingClientRect().right"
    cut = """() => [...document.querySelectorAll(".chip, .tally")]
      .filter((one) => one.matches(".tally") ? one.clientHeight > 60
        : one.scrollWidth > one.clientWidth)
      .map((one) => one.textContent)"""
    page = new_context(locale=language).pages[0]
    calls = (call(number, phase) for number, phase in enumerate(("talking", "held", "queued")))
    lines = registration("carrier", "registered"), registration("other", "registered")
    with Dashboard(server(1, "pbx"), *calls, *lines) as dashboard:
        for view in ("calls", "trunks"):
            dashboard.open(page, view)
            expect(page.locator(".table-body .chip").first).to_be_visible()
            for width in (1920, 1366, 1280, 1130, 768, 390):
                fits(page, width)
                if width > 1120:  # icons alone can be scrolled
                    assert page.evaluate(f"{last} <= {right} + 1")
                assert page.evaluate(cut) == []


@pytest.mark.parametrize("view", VIEWS)
def test_no_word_of_a_heading_is_broken(page: Page, view: str) -> None:
    broken = """() => [...document.querySelectorAll("main h1, main h2")]
      .filter((heading) => heading.textContent.split(/\\s+/).some((word) => {
        const range = document.createRange();
        const text = document.createTreeWalker(heading, NodeFilter.SHOW_TEXT).nextNode();
        const at = text?.data.indexOf(word) ?? -1;
        if (!word || at < 0) return false;
        range.setStart(text, at);
        range.setEnd(text, at + word.length);
        return range.getClientRects().length > 1;
      }))
      .map((heading) => heading.textContent)"""
    with Dashboard(*many_things(), server(3, "a server with a long name")) as dashboard:
        dashboard.open(page, view)
        expect(page.locator("main h2").first).to_be_visible()
        for width in (1024, 800, 768, 700, 390, 320):
            fits(page, width)
            assert page.evaluate(broken) == []


def test_forty_servers_are_cards_and_lines(page: Page, tmp_path: Path) -> None:
    lost = {"connection": "waiting", "connection_reason": "connection refused"}
    servers = [server(n, f"pbx-{n}", **(lost if n % 4 == 0 else {})) for n in range(1, 41)]
    with Dashboard(*servers) as dashboard:
        dashboard.open(page, "servers")
        expect(page.locator(".server-card")).to_have_count(30)
        expect(page.locator(".away li")).to_have_count(10)
        expect(page.get_by_text("30 of 40 connected")).to_be_visible()
