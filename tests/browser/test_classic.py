"""The example for the classic socket in Chromium, and what all shipped pages have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import scenes
from tests.browser.conftest import PATIENCE
from tests.browser.fakes import FakeAmiws
from tests.support.program import ROOT, Program, ami_host, configuration

AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
HOSTILE = '<img src="x" onerror="window.hacked = 1">'

# What vendor/ has, used under the policy as the page would: no use of HTML, styles by script.
USE_VENDOR = """
async () => {
  const load = (name) => import(`/vendor/${name}.js`);
  const [ui, { default: uPlot }, map, shape, numbers, { flagUrl }] = await Promise.all(
    ["ui", "chart", "map", "shape", "numbers", "flags"].map(load));
  const world = await (await fetch(map.worldUrl)).json();
  const countries = map.feature(world, world.objects.countries).features;
  const path = map.geoPath(map.geoNaturalEarth1());
  const germany = countries.find(({ id }) => map.countryOfNumber.get(id) === "DE");
  const country = numbers.parsePhoneNumberFromString("+4930123456").country;
  const count = ui.signal(1);
  const [text, chart] = [document.createElement("div"), document.createElement("div")];
  document.body.append(text, chart);
  ui.render(ui.html`<p id="count" style="color: red">${count}</p>
    <img alt="" src=${flagUrl(country)} />`, text);
  count.value = 2;
  new uPlot({ width: 300, height: 200, series: [{}, { label: "calls" }] }, [[1, 2], [3, 4]], chart);
  const flag = await fetch(flagUrl(country));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return {
    country,
    flag: flag.headers.get("Content-Type"),
    none: flagUrl("ZZ"),
    germany: path(germany).length > 100,
    slice: shape.arc()({ innerRadius: 1, outerRadius: 2, startAngle: 0, endAngle: 1 }).length > 10,
    count: document.getElementById("count").textContent,
    plotted: chart.querySelectorAll("canvas").length,
  };
}
"""


def test_channels_come_and_go(page: Page, console_errors: list[str], tmp_path: Path) -> None:
    rows = page.locator("#channels tr")
    with Program(tmp_path, configuration(ami_host(1)), "--demo") as program:
        page.goto(f"http://127.0.0.1:{program.port}/classic/")
        expect(page.locator("#status")).to_have_text("Connected")
        expect(rows.first).to_be_visible(timeout=3 * PATIENCE)
        channel = rows.first.locator("td").nth(1).text_content()
        gone = rows.filter(has_text=str(channel))
        expect(gone).to_have_count(0, timeout=3 * PATIENCE)
    assert console_errors == []


@pytest.mark.parametrize("host", ["localhost", "pbx.test"])
def test_no_browser_complains(browser: BrowserContext, host: str, tmp_path: Path) -> None:
    """Not even where it knows no secure origin."""
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    with Program(tmp_path, configuration(ami_host(1))) as program:
        answer = page.goto(f"http://{host}:{program.port}/classic/")
        expect(page.locator("#status")).to_contain_text("pbx")  # the answer of a lost server
        assert answer is not None
        secure = page.evaluate("isSecureContext")
        assert ("cross-origin-opener-policy" in answer.headers) == secure == (host == "localhost")
        page.close()
    assert said == []


def test_a_lost_connection_comes_back(page: Page) -> None:
    with FakeAmiws(*scenes.old_and_new()) as first:
        first.pbxs[1].channels = scenes.list_of_a_call()
        page.goto(f"{first.url}classic/")
        expect(page.locator("#channels tr")).to_have_count(len(first.pbxs[1].channels))
    expect(page.locator("#status")).to_contain_text("Not connected")
    expect(page.locator("#channels tr")).to_have_count(len(first.pbxs[1].channels))
    with FakeAmiws(*scenes.old_and_new(), port=first.port):
        expect(page.locator("#status")).to_have_text("Connected")
        expect(page.locator("#channels tr")).to_have_count(0)


def test_hostile_names_are_text(page: Page, console_errors: list[str]) -> None:
    with FakeAmiws(*scenes.old_and_new()) as amiws:
        amiws.pbxs[2].name = HOSTILE
        page.goto(f"{amiws.url}classic/")
        expect(page.locator("#status")).to_have_text("Connected")
        event = {"Event": "Newchannel", **scenes.channel("6.1", HOSTILE, scenes.UP, HOSTILE)}
        amiws.send(amiws.pbxs[2].envelope(3, event))
        cells = page.locator("#channels td")
        expect(cells.nth(0)).to_have_text(HOSTILE)
        expect(cells.nth(1)).to_have_text(HOSTILE)
        assert page.evaluate("window.hacked") is None
    assert console_errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    with FakeAmiws(*scenes.old_and_new()) as amiws:
        amiws.pbxs[1].channels = scenes.list_of_a_call()
        page.goto(f"{amiws.url}classic/")
        expect(page.locator("#channels tr").first).to_be_visible()
        page.evaluate(AXE)
        found = page.evaluate("async () => (await axe.run()).violations")
    assert found == []


def test_the_vendor_folder_works_under_the_policy(
    page: Page, console_errors: list[str], tmp_path: Path
) -> None:
    with Program(tmp_path, configuration(ami_host(1)), "--demo") as program:
        page.goto(f"http://127.0.0.1:{program.port}/classic/")
        assert page.evaluate(USE_VENDOR) == {
            "country": "DE",
            "flag": "image/svg+xml",
            "none": "",
            "germany": True,
            "slice": True,
            "count": "2",
            "plotted": 1,
        }
    assert console_errors == []


@pytest.mark.parametrize(
    "attack",
    [
        "document.body.innerHTML = '<p>'",
        "eval('1')",
        "new Function('1')",
        "fetch('http://127.0.0.2:9/')",
        "new WebSocket('ws://127.0.0.2:9/')",
    ],
)
def test_the_policy_holds(page: Page, attack: str, tmp_path: Path) -> None:
    """What an injected script would try. It runs as a module, since DevTools may do anything."""
    with Program(tmp_path, configuration(ami_host(1))) as program:
        page.goto(f"http://127.0.0.1:{program.port}/classic/")
        directive = page.evaluate(
            """(attack) => new Promise((done) => {
                addEventListener("securitypolicyviolation", (event) =>
                    done(event.effectiveDirective));
                setTimeout(ATTACK, 0);
            })""".replace("ATTACK", f"async () => {{ try {{ await ({attack}); }} catch {{ }} }}"),
            attack,
        )
    assert directive in ("require-trusted-types-for", "script-src", "connect-src")
