"""The page in Chromium, against a small server that the tests lead."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import scenes
from tests.browser.fakes import Data, FakeAmiws, FakePbx
from tests.support.web_root import WEB_ROOT

HOSTILE = '<img src="x" onerror="window.hacked = 1"><script>window.hacked = 1</script>'


@pytest.fixture
def amiws() -> Iterator[FakeAmiws]:
    with FakeAmiws(*scenes.old_and_new()) as fake:
        yield fake


def open_live(page: Page, amiws: FakeAmiws) -> None:
    page.goto(amiws.url)
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator(".server")).to_have_count(len(amiws.pbxs))


def say(amiws: FakeAmiws, *events: Data, server_id: int = 1) -> None:
    amiws.send(*(amiws.pbxs[server_id].envelope(3, event) for event in events))


def rows(page: Page) -> Locator:
    return page.locator("#rows tr")


def card(page: Page, name: str) -> Locator:
    return page.locator(".server").filter(has=page.get_by_role("heading", name=name))


def test_servers_and_calls(page: Page, amiws: FakeAmiws, console_errors: list[str]) -> None:
    amiws.pbxs[1].channels = scenes.list_of_a_call()
    open_live(page, amiws)
    expect(page.get_by_role("heading", level=1)).to_have_text("Live calls")
    berlin, lyon = card(page, "pbx-berlin"), card(page, "pbx-lyon")
    expect(berlin.locator(".condition")).to_have_text("Connected")
    expect(lyon.locator(".condition")).to_have_text("Connected")
    expect(berlin.locator(".about")).to_contain_text("Asterisk\u00a013.38.3")
    expect(lyon.locator(".about")).to_contain_text("Asterisk\u00a022.11.0")
    expect(berlin.locator(".active")).to_have_text("1")
    expect(lyon.locator(".active")).to_have_text("0")
    expect(berlin.locator(".started")).to_have_text("0")
    expect(page.get_by_role("heading", name="1 active call")).to_be_visible()
    expect(page.locator("#tally li:visible")).to_have_text(["1 talking"])
    row = rows(page)
    expect(row.locator(".chip")).to_have_text("Talking")
    expect(row.locator(".from .who")).to_have_text("Jürgen")
    expect(row.locator(".from .number")).to_have_text("+49 301 234 567 89")
    expect(row.locator(".to .who")).to_have_text("Anna Weber")
    expect(row.locator(".on")).to_have_text("pbx-berlin")
    expect(row.locator(".time")).to_have_text(re.compile(r"^12:3\d$"))
    expect(page).to_have_title("(1) Live calls \u2013 amiws-gevent")
    assert console_errors == []


def test_a_call_comes_and_goes(page: Page, amiws: FakeAmiws, console_errors: list[str]) -> None:
    open_live(page, amiws)
    expect(page.locator("#no-calls")).to_contain_text("No calls right now")
    say(amiws, *scenes.rings(), server_id=2)
    chip = rows(page).locator(".chip")
    expect(chip).to_have_text("Ringing")
    expect(page.locator("#no-calls")).to_be_hidden()
    say(amiws, *scenes.answers(), server_id=2)
    expect(chip).to_have_text("Talking")
    say(amiws, {"Event": "Hold", **scenes.CALLEE}, server_id=2)
    expect(chip).to_have_text("On hold")
    expect(card(page, "pbx-lyon").locator(".started")).to_have_text("1")
    expect(rows(page).locator(".time")).to_have_text("0:02")  # it ticks by itself
    say(amiws, *scenes.ends(), server_id=2)
    expect(chip).to_have_text("Ended")
    expect(card(page, "pbx-lyon").locator(".active")).to_have_text("0")
    expect(rows(page)).to_have_count(0)
    expect(page.locator("#no-calls")).to_be_visible()
    assert console_errors == []


def test_newest_first_and_rows_are_kept(page: Page, amiws: FakeAmiws) -> None:
    open_live(page, amiws)
    say(amiws, *scenes.rings())
    expect(rows(page)).to_have_count(1)
    rows(page).evaluate("row => { row.dataset.mark = 'first'; }")
    second = scenes.channel("5.1", "PJSIP/7-1", scenes.RING, "7", Exten="8")
    say(amiws, {"Event": "Newchannel", **second})
    expect(rows(page).locator(".from .who")).to_have_text(["7", "Jürgen"])
    assert rows(page).nth(1).get_attribute("data-mark") == "first"


def test_hostile_names_are_inert(page: Page, amiws: FakeAmiws, console_errors: list[str]) -> None:
    amiws.pbxs[2].name = HOSTILE
    amiws.pbxs[2].version = HOSTILE
    amiws.pbxs[1].error = HOSTILE
    open_live(page, amiws)
    caller = scenes.channel("6.1", HOSTILE, scenes.UP, HOSTILE, HOSTILE, Exten=HOSTILE)
    callee = scenes.channel("6.2", HOSTILE, scenes.UP, HOSTILE, f"b{HOSTILE}", Linkedid="6.1")
    events = [
        {"Event": "Newchannel", **caller},
        {"Event": "Newchannel", **callee},
        {"Event": "QueueCallerJoin", **caller, "Queue": HOSTILE},
        {"Event": "Newchannel", "__proto__": "x", "Uniqueid": "__proto__", "Linkedid": HOSTILE},
    ]
    say(amiws, *events, server_id=2)
    expect(rows(page)).to_have_count(2)
    row = rows(page).filter(has_text="In queue")
    expect(row.locator(".from .who")).to_have_text(HOSTILE)
    expect(row.locator(".detail")).to_have_text(HOSTILE)
    expect(row.locator(".on")).to_have_text(HOSTILE)
    expect(page.locator(".note", has_text=HOSTILE)).to_be_visible()
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("window.hacked") is None
    assert console_errors == []


def test_the_socket_drops_and_comes_back(page: Page, amiws: FakeAmiws) -> None:
    amiws.pbxs[1].channels = scenes.list_of_a_call()
    open_live(page, amiws)
    expect(rows(page)).to_have_count(1)
    amiws.refuse_upgrades = True
    pages_loaded = amiws.requests.count("/")
    amiws.drop_pages(1012, "restart")
    expect(page.locator("#link")).to_have_text("Not connected")
    expect(page.locator("#alert")).to_contain_text("was lost (restart)")
    expect(page.locator("#alert")).to_contain_text(re.compile(r"Reconnecting in \d s"))
    expect(page.locator("#alert")).to_contain_text("What you see is as of")
    expect(card(page, "pbx-berlin").locator(".condition")).to_have_text("Unknown")
    expect(rows(page)).to_have_count(1)
    # A refused upgrade tells a page nothing: it loads "/", so that the browser can log in.
    expect(page.locator("#alert")).to_contain_text("Reconnecting in 2 s")
    page.get_by_role("button", name="Try now").click()
    wait_for_requests(page, amiws, pages_loaded + 1)
    amiws.pbxs[1].channels = []
    amiws.refuse_upgrades = False
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#alert")).to_be_hidden()
    expect(card(page, "pbx-berlin").locator(".active")).to_have_text("0")
    expect(card(page, "pbx-berlin").locator(".condition")).to_have_text("Connected")


def wait_for_requests(page: Page, amiws: FakeAmiws, count: int) -> None:
    deadline = time.monotonic() + 60
    while amiws.requests.count("/") < count:
        assert time.monotonic() < deadline, "the page did not load / before trying again"
        page.wait_for_timeout(20)  # lets the browser's messages through


def test_a_login_that_is_needed_is_said(page: Page, amiws: FakeAmiws) -> None:
    open_live(page, amiws)
    page.route(amiws.url, lambda route: route.fulfill(status=401, body="log in"))
    amiws.refuse_upgrades = True
    amiws.drop_pages()
    expect(page.locator("#alert")).to_contain_text("a login is needed")


def test_amiws_itself_restarts(page: Page) -> None:
    with FakeAmiws(*scenes.old_and_new()) as first:
        open_live(page, first)
    expect(page.locator("#link")).to_have_text("Not connected")
    expect(page.locator("#alert")).to_contain_text("no answer")
    with FakeAmiws(FakePbx(1, "pbx-berlin", "22.1.0", "11.0.0"), port=first.port) as second:
        expect(page.locator("#link")).to_have_text("Live")
        expect(card(page, "pbx-berlin").locator(".about")).to_contain_text("22.1.0")
        assert second.actions[0]["Action"] == "CoreSettings"


def test_a_page_that_never_connected(page: Page, amiws: FakeAmiws) -> None:
    amiws.refuse_upgrades = True
    page.goto(amiws.url)
    expect(page.locator("#alert")).to_contain_text("Could not connect")
    expect(page.locator("#alert")).not_to_contain_text("as of")
    expect(page.locator("#no-servers")).to_contain_text("Not connected to amiws-gevent yet")
    expect(page.locator("#no-calls")).to_contain_text("No server is connected")


def test_a_server_goes_down_and_comes_back(page: Page, amiws: FakeAmiws) -> None:
    page.clock.install()
    amiws.pbxs[1].channels = scenes.list_of_a_call()
    open_live(page, amiws)
    expect(rows(page)).to_have_count(1)
    lost = amiws.pbxs[1]
    lost.error = "pbx-berlin is not connected: connection refused"
    page.clock.fast_forward(11_000)
    expect(card(page, "pbx-berlin").locator(".condition")).to_have_text("Not connected")
    expect(card(page, "pbx-berlin").locator(".note")).to_have_text(lost.error)
    expect(card(page, "pbx-berlin").locator(".active")).to_have_text("\u2013")
    expect(card(page, "pbx-lyon").locator(".condition")).to_have_text("Connected")
    expect(rows(page)).to_have_count(0)
    lost.error = ""
    amiws.send(lost.envelope(1, {"Product": "Asterisk Call Manager", "Version": "2.10.6"}))
    expect(card(page, "pbx-berlin").locator(".condition")).to_have_text("Connected")
    expect(card(page, "pbx-berlin").locator(".note")).to_be_hidden()
    expect(rows(page)).to_have_count(1)


def test_a_server_that_does_not_answer(page: Page, amiws: FakeAmiws) -> None:
    page.clock.install()
    open_live(page, amiws)
    amiws.pbxs[2].is_silent = True
    page.clock.fast_forward(11_000)
    page.clock.fast_forward(21_000)
    expect(card(page, "pbx-lyon").locator(".condition")).to_have_text("No answer")
    expect(card(page, "pbx-berlin").locator(".condition")).to_have_text("Connected")


def test_a_socket_gone_deaf_is_given_up(page: Page, amiws: FakeAmiws) -> None:
    page.clock.install()
    open_live(page, amiws)
    for pbx in amiws.pbxs.values():
        pbx.is_silent = True
    for _ in range(3):
        page.clock.fast_forward(15_000)
    expect(page.locator("#alert")).to_contain_text("the connection went quiet")


def test_no_server_answers(page: Page) -> None:
    with FakeAmiws() as amiws:
        page.goto(amiws.url)
        expect(page.locator("#no-servers")).to_contain_text("No server has answered yet")


COUNT_DRAWS = """
() => {
  window.drawn = [];
  const counted = new MutationObserver(() => window.drawn.push(performance.now()));
  counted.observe(document.getElementById("calls-heading"), { childList: true });
}
"""


def test_a_flood_does_not_freeze_the_page(page: Page, amiws: FakeAmiws) -> None:
    """However many events come, the page draws four times a second at most."""
    open_live(page, amiws)
    page.evaluate(COUNT_DRAWS)
    made = [scenes.channel(f"7.{n}", f"PJSIP/{n}-1", scenes.UP, str(n)) for n in range(1500)]
    for start in range(0, len(made), 25):
        say(amiws, *({"Event": "Newchannel", **headers} for headers in made[start : start + 25]))
        page.wait_for_timeout(30)
    expect(page.get_by_role("heading", name="1,500 active calls")).to_be_visible()
    drawn = page.evaluate("window.drawn")
    assert len(drawn) >= 3
    assert len(drawn) <= (drawn[-1] - drawn[0]) / 250 + 2
    expect(rows(page)).to_have_count(200)
    expect(page.locator("#more")).to_have_text("and 1,300 older calls")
    say(amiws, *({"Event": "Hangup", **headers} for headers in made))
    expect(page.get_by_role("heading", name="Active calls")).to_be_visible()
    expect(rows(page)).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_fits_the_screen(page: Page, amiws: FakeAmiws, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 800})
    amiws.pbxs[1].channels = scenes.list_of_a_call()
    amiws.pbxs[2].name = "a-very-long-host-name.of-a-branch-office.example.org"
    amiws.pbxs[2].error = "x" * 300
    open_live(page, amiws)
    expect(rows(page)).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(13, 18, 23)") == (scheme == "dark")
    # A table for screen readers, whatever it looks like.
    row = page.get_by_role("table", name="active call").get_by_role("row").nth(1)
    assert row.get_by_role("cell").count() == 5


def test_motion_is_left_out_where_it_is_not_wanted(page: Page, amiws: FakeAmiws) -> None:
    amiws.pbxs[1].channels = scenes.list_of_a_call()
    page.emulate_media(reduced_motion="reduce")
    open_live(page, amiws)
    expect(rows(page)).to_have_count(1)
    assert rows(page).evaluate("row => getComputedStyle(row).animationName") == "none"


def test_words_and_tints_have_contrast() -> None:
    """WCAG 2.2 AA, 1.4.3: 4.5 to 1 for text, in both colour schemes."""
    style = (WEB_ROOT / "style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    for scheme in (light, dark):
        colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", scheme))
        pairs = [(name, f"{name}-tint") for name in colour if f"{name}-tint" in colour]
        assert len(pairs) == 8
        plain = [("ink", "paper"), ("ink", "card"), ("soft", "paper"), ("soft", "card")]
        plain += [("bad", "card"), ("talking", "card")]
        for text, ground in pairs + plain:
            ratio = contrast(colour[text], colour[ground])
            assert ratio >= 4.5, f"{text} on {ground}: {ratio:.2f}"


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_page_names_no_other_host_and_no_inline_code() -> None:
    """What the Content-Security-Policy would refuse is not there to begin with."""
    names = (".html", ".css", ".js", ".svg")
    files = [file for file in WEB_ROOT.rglob("*.*") if file.suffix in names]
    files = [file for file in files if not file.is_relative_to(WEB_ROOT / "vendor")]
    for file in files:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?|wss?):\\?/\\?/[a-z0-9]", text), file
    page = (WEB_ROOT / "index.html").read_text()
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\son[a-z]+=|\sstyle=", page)
    assert "default-src 'self'" in page
    scripts = "".join(file.read_text() for file in files if file.suffix == ".js")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", scripts)


def test_actions_are_plain_classic_ones(page: Page, amiws: FakeAmiws) -> None:
    open_live(page, amiws)
    for action in amiws.actions:
        assert json.loads(json.dumps(action)) == action
        assert action["Action"] in {"CoreSettings", "CoreStatus", "CoreShowChannels"}
        assert re.fullmatch(r"page-[0-9a-z]+-[a-z]+-(all|\d+)-\d+", action["ActionID"])
