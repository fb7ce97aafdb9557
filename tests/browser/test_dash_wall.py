"""The wallboard, in Chromium, against the real program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.desk import Desk
from tests.browser.test_dash_queues import HOSTILE, Office

pytestmark = pytest.mark.slow

TURNS = """
() => {
  window.seen = new Set();
  const note = () => {
    for (const tile of document.querySelectorAll(".wall-tile")) seen.add(tile.dataset.queue);
  };
  new MutationObserver(note).observe(document.body, { childList: true, subtree: true });
  note();
}
"""

TOO_SMALL = """
() => [...document.querySelectorAll(".wall-figure dd")]
  .map((figure) => parseFloat(getComputedStyle(figure).fontSize) / innerHeight)
  .filter((share) => share < 0.05)
"""

OVERFLOWS = """
() => {
  const isWide = (box) => box.scrollWidth > box.clientWidth + 1;
  const isHigh = (box) => box.scrollHeight > box.clientHeight + 1;
  const boxes = document.querySelectorAll(".wallboard, .wall-tiles, .wall-body, .wall-tile dl");
  return [
    ...[...boxes].filter((box) => isWide(box) || isHigh(box)),
    ...[...document.querySelectorAll(".wall-figure")].filter(isWide),
  ].map((box) => [box.className, box.textContent, box.scrollWidth, box.clientWidth]);
}
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def offices(folder: Path, stack: ExitStack, page: Page, count: int, servers: int = 1) -> Office:
    """A program with so many queues, in each an agent and somebody who waits for an hour.

    The servers have them in turn; the desk of the office is that of the first.
    """
    desks = [
        Desk(*(f"team {number}" for number in range(first, count, servers)))
        for first in range(servers)
    ]
    for number in range(count):
        queue, desk = f"team {number}", desks[number % servers]
        desk.member(queue, f"PJSIP/{201 + number}", f"Anna {number}")
        desk.caller(queue, f"1.{number}", f"49{number}", HOSTILE, wait=3599)
    page.set_viewport_size({"width": 1920, "height": 1080})
    return Office(folder, stack, desks[0], page, *desks[1:])


def test_forty_queues_are_all_shown_in_turn(tmp_path: Path, stack: ExitStack, page: Page) -> None:
    page.clock.install()
    stack.callback(page.context.clock.resume)  # it is that of all pages
    office = offices(tmp_path, stack, page, 40)
    office.open("wall?all=1&seconds=4&wait=")
    expect(page.locator(".wall-tile")).to_have_count(6)
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 2)  # only the test moves it now
    page.evaluate(TURNS)
    seconds, shown = next_page(page)
    for _ in range(7):
        before = shown
        seconds, shown = next_page(page)
        assert shown == before % 7 + 1
        assert 3.8 < seconds < 4.5
    assert page.evaluate("seen.size") == 40
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")
    page.clock.run_for(20_000)
    expect(page.locator(".wall-page")).to_have_text(f"{(shown - 2) % 7 + 1}/7")


def next_page(page: Page) -> tuple[float, int]:
    """Move the time until the next page is shown; how many seconds, and its number."""
    number = page.locator(".wall-page")
    before, passed = number.inner_text(), 0
    while number.inner_text() == before:
        page.clock.run_for(50)
        passed += 50
        assert passed < 6000, "the page does not turn"
    return passed / 1000, int(number.inner_text().split("/")[0])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 40])
@pytest.mark.parametrize("servers", [1, 2])
def test_figures_are_large_and_nothing_is_cut_off(
    tmp_path: Path, stack: ExitStack, page: Page, count: int, servers: int
) -> None:
    office = offices(tmp_path, stack, page, count, servers)
    for number in range(10, 30):
        office.desk.join("team 0", f"2.{number}", "49", "Ina")
    office.desk.connect("team 0", "2.10", "PJSIP/201", 5)
    office.open("wall?all=1&wait=0&seconds=9999")
    tiles = page.locator(".wall-tile")
    expect(tiles).to_have_count(min(count, 6))
    expect(tiles.first.locator("[data-figure=level] dd")).to_have_text("100%")
    expect(tiles.first.locator("[data-figure=waiting] dd")).to_have_text("20")
    expect(tiles.first.locator("[data-figure=longest] dd")).to_have_text(re.compile(r"^1:\d\d:"))
    expect(tiles.first.locator("h2 small")).to_have_count(int(servers > 1 and count > 1))
    for width, height in ((1280, 720), (1920, 1080), (3840, 2160), (390, 800), (800, 900)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function("(width) => innerWidth === width", arg=width)
        columns = 1 if width < height else {1: 1, 2: 2, 4: 2}.get(count, 3)
        grid = page.locator(".wall-tiles")
        expect(grid).to_have_attribute("style", re.compile(f"--columns: ?{columns};"))
        assert page.evaluate(OVERFLOWS) == []
        if width > height:
            assert page.evaluate(TOO_SMALL) == []
    expect(page.locator("main button, main a, main input")).to_have_count(0)
    expect(page.locator("main img")).to_have_count(0)


def test_the_address_chooses_queues_and_figures_are_those_of_the_api(
    tmp_path: Path, stack: ExitStack, page: Page
) -> None:
    office = offices(tmp_path, stack, page, 5)
    office.open("wall?queue=team+1&queue=team+3&server=1")
    tiles = page.locator(".wall-tile")
    expect(tiles.locator("h2")).to_have_text(["team 1", "team 3"])
    for number in range(10, 14):
        office.desk.join("team 3", f"2.{number}", "49", "Ina")
    office.desk.abandon("team 3", "2.13", 7)
    office.desk.connect("team 3", "2.12", "PJSIP/204", 25)
    tile = tiles.nth(1)
    expect(tile.locator("[data-figure=abandoned] dd")).to_have_text("1")
    queue = next(one for one in office.state("queue") if one["id"] == "team 3")
    assert queue["waiting"] == 3
    for name in ("waiting", "abandoned"):
        expect(tile.locator(f"[data-figure={name}] dd")).to_have_text(str(queue[name]))
    expect(tile.locator("[data-figure=level] dd")).to_have_text("0%")
    expect(page.locator(".wall-total b").first).to_have_text("4")


def test_alarms_are_told_in_words_also_of_other_pages(
    tmp_path: Path, stack: ExitStack, page: Page
) -> None:
    office = offices(tmp_path, stack, page, 8)
    office.open("wall?all=1&waiting=2&wait=&seconds=9999")
    expect(page.locator(".wall-tile")).to_have_count(4)
    expect(page.locator(".wall-tile.in-alarm")).to_have_count(0)
    office.desk.join("team 7", "2.1", "49", "Ina")
    expect(page.locator(".wall-elsewhere")).to_have_text("Alarm team 7")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".wall-tile.in-alarm .word")).to_have_text("Alarm")
    expect(page.locator(".wall-elsewhere")).to_have_text("")


def test_what_is_out_of_date_says_so(tmp_path: Path, stack: ExitStack, page: Page) -> None:
    office = offices(tmp_path, stack, page, 2)
    office.open("wall?all=1&wait=0")
    expect(page.locator(".wall-tile.in-alarm")).to_have_count(2)
    office.desk.server.kill()
    expect(page.locator(".wall-tile.is-stale .word")).to_have_text(["Out of date", "Out of date"])
    expect(page.locator(".wall-lost")).to_have_text("Out of date: pbx")
    expect(page.locator(".wall-tile.in-alarm")).to_have_count(0)
    office.program.process.terminate()
    expect(page.locator(".alarm")).to_contain_text("connection to amiws-gevent is lost")
    assert page.evaluate(OVERFLOWS) == []


def test_the_chooser_makes_the_address(tmp_path: Path, stack: ExitStack, page: Page) -> None:
    office = offices(tmp_path, stack, page, 3)
    office.open("wall")
    page.get_by_label("team 1").check()
    page.get_by_label("team 2").check()
    page.get_by_label("So many callers wait").fill("1")
    address = page.get_by_label("Address")
    expect(address).to_have_value(
        f"http://127.0.0.1:{office.program.port}/#/wall?queue=team+1&queue=team+2&waiting=1"
    )
    page.get_by_role("link", name="Start").click()
    expect(page.locator(".wall-tile.in-alarm h2")).to_have_text(["team 1", "team 2"])
