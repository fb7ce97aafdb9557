"""Pages of the program in a frame of another site, and a site whose name is made to point here.

In Chromium, with a login that the browser keeps and without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PATIENCE
from tests.browser.test_api_sites import other_site
from tests.support.ami_server import AmiServer
from tests.support.program import Program, ami_host, configuration

EVIL = "evil.example.com"

EMBED = """(url) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.onload = () => resolve();
  frame.src = url;
  document.body.append(frame);
})"""

# What a page can do to the server that it came from, as its browser believes.
TRY = """async () => {
  const found = {};
  for (const path of ["/", "/lib/amiws.js", "/api/v1/servers", "/api/v1/state/channel"]) {
    found[path] = (await fetch(path)).status;
  }
  const action = '{"server": 1, "action": {"Action": "Originate"}}';
  found.post = (await fetch("/api/v1/actions", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: action,
  })).status;
  for (const protocol of [[], ["amiws.v2"]]) {
    found[`ws ${protocol}`] = await new Promise((resolve) => {
      const socket = new WebSocket(`ws://${location.host}/ws`, protocol);
      socket.onopen = () => { socket.send(action); resolve("open"); };
      socket.onerror = () => resolve("refused");
    });
  }
  return found;
}"""


@contextmanager
def running(folder: Path, more: str = "") -> Iterator[tuple[Program, AmiServer]]:
    with AmiServer() as ami, Program(folder, configuration(ami_host(ami.port), more=more)) as one:
        ami.wait_login()
        yield one, ami


def framed(page: Page, program: Program, site: int) -> Page:
    """A page of another site that has the dashboard in a frame."""
    page.goto(f"http://localhost:{site}/")
    page.evaluate(EMBED, f"http://127.0.0.1:{program.port}/")
    return page


def test_another_site_cannot_have_the_dashboard_in_a_frame(page: Page, tmp_path: Path) -> None:
    """It could lay it under a page of its own, and have the user click on what it likes."""
    with running(tmp_path) as (program, _), other_site() as site:
        framed(page, program, site)
        (frame,) = page.main_frame.child_frames
        assert frame.url in ("", "chrome-error://chromewebdata/")
        assert "client 127.0.0.1" not in program.log, "no WebSocket either"
        page.goto("about:blank")


def test_a_site_of_allowed_origins_can(page: Page, tmp_path: Path) -> None:
    with other_site() as site:
        more = f"allowed_origins: ['http://localhost:{site}']\n"
        with running(tmp_path, more) as (program, _):
            framed(page, program, site)
            dashboard = page.frame_locator("iframe")
            expect(dashboard.locator("h1").first).to_be_visible()
            page.goto("about:blank")


def test_a_site_that_is_made_to_point_here_gets_nothing(
    browser: BrowserContext, tmp_path: Path
) -> None:
    """DNS rebinding. What its page would try, a page of that origin tries: the refusal itself."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    with running(tmp_path, "allowed_hosts: []\n") as (program, ami):
        refusal = page.goto(f"http://{EVIL}:{program.port}/")
        assert refusal is not None
        assert refusal.status == 403
        found: dict[str, Any] = page.evaluate(TRY)
        assert set(found.values()) <= {403, "refused"}, found
        assert len(found) == 7
        assert [packet for packet in ami.actions if packet.action == "Originate"] == []
        page.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_same_page_by_a_name_of_the_machine_gets_all(
    page: Page, tmp_path: Path, name: str
) -> None:
    """So that what is refused above is refused for its name."""
    with running(tmp_path, "allowed_hosts: []\nlive_state: yes\n") as (program, ami):
        page.goto(f"http://{name}:{program.port}/")
        found = page.evaluate(TRY)
        assert set(found.values()) == {200, "open"}, found
        ami.wait_for(b"Action: Originate")
        page.goto("about:blank")
