"""The dashboard in a slow browser: ``python -m bench page``.

2,000 calls with 300 changes a second, in a headless Chromium whose processor is made four times
slower. All figures are from Chromium's own trace; see bench/trace.py.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bench.runs import Figures
from bench.source import MESSAGES_IN_CALL
from bench.subjects import ROOT, Child, Subject, running, start_ours
from bench.trace import CATEGORIES, Trace, Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

    from bench.sections import Report

CALLS = 2000
CHANGES = 300  # a second
SLOWER = 4
SIZE = {"width": 1440, "height": 900}
PATIENCE = 120_000  # milliseconds

WATCHED = 10.0  # seconds in which nobody touches the page
KEYS = "anna 12 2000 berlin"
BETWEEN_KEYS = 150.0  # milliseconds
SORTS = 16
BETWEEN_SORTS = 400.0
WHEELS = 120
BETWEEN_WHEELS = 25.0

# To be looked at in the developer tools of Chromium, "Performance".
TRACE = ROOT / "bench" / "results" / "page-trace.json"

BARE_PAGE = """
<!doctype html><title>bare</title>
<style>
  body, p { margin: 0 }
  #place { height: 800px; overflow-y: auto }
  p { height: 48px }
</style>
<div id="place"></div>
<script>
  const place = document.getElementById("place");
  for (let row = 0; row < 300; row += 1) {
    place.append(Object.assign(document.createElement("p"), { textContent: `row ${row}` }));
  }
</script>
"""

LOADS = 9

# Marks when the first calls were to be seen.
MARK_FIRST_CALLS = """
new MutationObserver((_, observer) => {
  if (document.querySelector(".table-body [role=row]")) {
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => performance.mark("first calls")));
  }
}).observe(document, { childList: true, subtree: true });
"""

SORTED = "sorted"

# Tells the trace when the table has been drawn in another order.
MARK_ORDERS = """(mark) => {
  const told = () => {
    performance.mark(mark);
    performance.clearMarks(mark);
  };
  const head = document.querySelector(".table-head");
  new MutationObserver(told).observe(head, { attributeFilter: ["aria-sort"], subtree: true });
}"""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def section(report: Report) -> None:
    """All of it."""
    with _browser() as browser, _calls(report.minutes) as subject:
        loads = _loads(browser, f"http://127.0.0.1:{subject.port}/")
        bare = _bare(browser)
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE)
        session = _slowed(page)
        page.goto(f"http://127.0.0.1:{subject.port}/")
        page.wait_for_selector(".table-body [role=row]")
        page.evaluate(MARK_ORDERS, SORTED)
        rows = _measured(browser, page)
        rows["scrolling a bare page"] = bare
        memory = _memory(page, session, report.minutes)
    report.table(f"the dashboard, {CALLS:,} calls, {CHANGES} changes a second", rows)
    _judge(report, rows)
    report.table("first load, from the navigation to the first calls", {"it": loads})
    report.ratio("first load, median, ms", loads["median_ms"], "at most 1000")
    report.table("memory of the page", {"it": memory})
    growth = memory["end_mib"] / memory["start_mib"]
    report.ratio(f"memory after {report.minutes:g} minutes against before", growth, "about 1")


def _judge(report: Report, rows: dict[str, Figures]) -> None:
    for name in ("typing", "sorting"):
        report.ratio(f"{name}, p95 of the answers, ms", rows[name]["p95_ms"], "at most 200")
    ours = [row for name, row in rows.items() if "bare" not in name]
    longest = max(row["longest_task_ms"] for row in ours)
    report.ratio("longest task, ms", longest, "at most 100")
    busy = statistics.mean(row["busy_share"] for row in ours)
    report.ratio("main thread busy", busy, "at most 0.6")
    # One is added to each: a bare page may lose none.
    lost = (1 + rows["scrolling"]["lost_share"] * 100) / (
        1 + rows["scrolling a bare page"]["lost_share"] * 100
    )
    report.ratio("frames lost in scrolling against a bare page", lost, "at most 2")


@contextlib.contextmanager
def _calls(minutes: float) -> Iterator[Subject]:
    """The program with its calls, which go on changing for longer than all this takes."""
    with running(Child("-m", "bench.source")) as source:
        ami_port = int(source.line())
        with running(start_ours(ami_port, None)) as subject:
            assert source.line() == "ready"
            begun = source.ask(f"calls {CALLS}")
            assert begun["messages"] == CALLS * MESSAGES_IN_CALL
            source.say(f"churn {CALLS} {CHANGES} {60 * minutes + 3600}")
            yield subject


@contextlib.contextmanager
def _browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # only this section needs it

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        yield browser
        browser.close()


def _loads(browser: Browser, address: str) -> Figures:
    """How long the first calls take, in a browser of full speed that has nothing yet."""
    found: list[float] = []
    for _ in range(LOADS):
        context = browser.new_context(viewport=SIZE)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.add_init_script(MARK_FIRST_CALLS)
        page.goto(address)
        mark = page.wait_for_function("() => performance.getEntriesByName('first calls')[0]")
        found.append(float(mark.evaluate("(mark) => mark.startTime")))
        context.close()
    return {
        "median_ms": statistics.median(found),
        "fastest_ms": min(found),
        "slowest_ms": max(found),
    }


def _slowed(page: Page) -> CDPSession:
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    return session


def _bare(browser: Browser) -> Figures:
    """Scrolling through plain rows that never change."""
    page = browser.new_page(viewport=SIZE)
    _slowed(page)
    page.set_content(BARE_PAGE)
    browser.start_tracing(page=page, categories=CATEGORIES)
    _mark(page, "scrolling", lambda: _scroll(page))
    trace = Trace(browser.stop_tracing())
    page.close()
    return _figures(trace, "scrolling")


def _measured(browser: Browser, page: Page) -> dict[str, Figures]:
    """A row for each thing that somebody does."""
    headings = page.locator(".table-head button")
    places = [headings.nth(number).bounding_box() for number in range(headings.count())]
    search = page.locator("input[type=search]").bounding_box()
    assert search is not None
    done: dict[str, Callable[[], None]] = {
        "watching": lambda: page.wait_for_timeout(WATCHED * 1000),
        "typing": lambda: _type(page, (search["x"] + 20, search["y"] + search["height"] / 2)),
        "sorting": lambda: _sort(page, [(b["x"] + 10, b["y"] + 10) for b in places if b]),
        "scrolling": lambda: _scroll(page),
    }
    browser.start_tracing(page=page, categories=CATEGORIES)
    for name, act in done.items():
        _mark(page, name, act)
    content = browser.stop_tracing()
    TRACE.parent.mkdir(parents=True, exist_ok=True)
    TRACE.write_bytes(content)
    trace = Trace(content)
    return {name: _figures(trace, name) for name in done}


def _mark(page: Page, name: str, act: Callable[[], None]) -> None:
    page.evaluate("(name) => void performance.mark(name)", f"{name} begins")
    act()
    page.wait_for_timeout(1000)  # what it led to
    page.evaluate("(name) => void performance.mark(name)", f"{name} ends")


def _type(page: Page, place: tuple[float, float]) -> None:
    page.mouse.click(*place)
    for word in KEYS.split():
        for key in [*word, *["Backspace"] * len(word)]:
            page.keyboard.press(key)
            page.wait_for_timeout(BETWEEN_KEYS)


def _sort(page: Page, places: list[tuple[float, float]]) -> None:
    for number in range(SORTS):
        # Each column twice: up and down.
        page.mouse.click(*places[number // 2 % len(places)])
        page.wait_for_timeout(BETWEEN_SORTS)


def _scroll(page: Page) -> None:
    page.mouse.move(SIZE["width"] / 2, SIZE["height"] / 2)
    for number in range(WHEELS):
        page.mouse.wheel(0, 120 if number < WHEELS * 2 / 3 else -120)
        page.wait_for_timeout(BETWEEN_WHEELS)


def _figures(trace: Trace, name: str) -> Figures:
    window: Window = trace.window(f"{name} begins", f"{name} ends")
    tasks = trace.tasks(window)
    figures = {
        "busy_share": sum(tasks) / window.milliseconds,
        "longest_task_ms": max(tasks),
    }
    drawn = SORTED if name == "sorting" else None
    if len(answers := trace.answers(window, drawn)) > 1:
        for field, values in zip(("p95_ms", "p95_own_ms"), zip(*answers, strict=True), strict=True):
            figures[field] = statistics.quantiles(values, n=20)[-1]
    lost, shown = trace.lost_frames(window)
    figures["lost_share"] = lost / max(1, lost + shown)
    return figures


def _memory(page: Page, session: CDPSession, minutes: float) -> Figures:
    """What is used at the beginning and at the end, and how much it grew in each half."""
    found = [_used(session)]
    for _ in range(2):
        end = time.monotonic() + 30 * minutes
        while time.monotonic() < end:
            page.wait_for_timeout(1000)
        found.append(_used(session))
    start, half, last = (each / 2**20 for each in found)
    return {"start_mib": start, "half_mib": half, "end_mib": last}


def _used(session: CDPSession) -> float:
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return used
