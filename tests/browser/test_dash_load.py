"""How much the dashboard loads, counted as a wheel has it: compressed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import brotli
from playwright.sync_api import Page, Route, expect

from build_tools.bundle import TERSE
from build_tools.compress import tersely
from tests.browser.dashboard import Dashboard, call, server
from tests.support.program import ROOT

WEB_ROOT = ROOT / "web_root"
LATER = "**/vendor/{numbers,flags}*"
FIRST = 40_000
ALL = 200_000


def shipped(path: Path) -> bytes:
    return tersely(path, TERSE / path.relative_to(WEB_ROOT))


def compressed(path: Path) -> int:
    return len(brotli.compress(shipped(path), quality=11))


def test_the_first_calls_need_few_bytes(page: Page, console_errors: list[str]) -> None:
    """With the modules as a wheel has them, and while nothing else can be loaded."""
    loaded: list[Path] = []

    def give(route: Route) -> None:
        path = WEB_ROOT / (urlsplit(route.request.url).path.strip("/") or "index.html")
        loaded.append(path)
        if path.name == "index.html":
            route.continue_()  # the page is to be of this host
        else:
            route.fulfill(body=shipped(path), path=path)

    held: list[Route] = []
    page.route("**/*", give)
    page.route(LATER, lambda route: held.append(route))
    with Dashboard(server(1, "pbx"), call(1)) as dashboard:
        dashboard.open(page)
        expect(page.get_by_role("row", name="301")).to_be_visible()
        # What is asked for and not needed, such as the picture in the tab, counts as well.
        sizes = {path.relative_to(WEB_ROOT).as_posix(): compressed(path) for path in loaded}
        assert sum(sizes.values()) < FIRST, sorted(sizes.items(), key=lambda size: -size[1])
        assert {"index.html", "app/calls/view.js", "app/style/base.css"} <= sizes.keys()
        page.unroute(LATER)
        for route in held:
            give(route)
        # A view that comes later has its style, and works in its terse form too.
        page.get_by_role("link", name="Servers").click()
        expect(page.get_by_role("heading", name="pbx")).to_be_visible()
        assert WEB_ROOT / "app" / "style" / "servers.css" in loaded
    assert console_errors == []


def test_all_views_in_all_languages_are_not_many_bytes() -> None:
    files = [
        path
        for folder in ("app", "lib", "vendor")
        for path in (WEB_ROOT / folder).rglob("*")
        if path.suffix in {".js", ".css", ".json"}
        and "flags-" not in path.parent.name
        and TERSE not in path.parents
    ]
    sizes = {path.name: compressed(path) for path in files}
    assert len(files) > 60
    assert sum(sizes.values()) < ALL, sorted(sizes.items(), key=lambda size: -size[1])[:12]
