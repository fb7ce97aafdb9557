"""The dashboard below a path of another site, behind a reverse proxy that removes the path."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.support.patience import WAIT
from tests.support.prefix_proxy import PrefixProxy
from tests.support.program import Program, ami_host, configuration
from tests.support.stillness import still_pbx

pytestmark = pytest.mark.slow

PREFIX = "/pbx"

CONNECT = """async () => {
  const { Amiws } = await import("./lib/amiws.js");
  const amiws = new Amiws();
  await new Promise((done) => amiws.on("status", ({ state }) => state === "live" && done()));
  amiws.close();
}"""
"""As a page of one's own does, without a word of where the program is."""


def test_all_of_it_stays_below_the_path(
    page: Page, console_errors: list[str], tmp_path: Path
) -> None:
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).path))
    page.on("websocket", lambda socket: asked.add(urlsplit(socket.url).path))
    with still_pbx() as pbx:
        more = "live_state: yes\ntrusted_proxies: 127.0.0.1\n"
        text = configuration(ami_host(pbx), more=more)
        with Program(tmp_path, text) as program, PrefixProxy(program.port, PREFIX) as proxy:
            base = f"http://127.0.0.1:{proxy.port}{PREFIX}/"
            page.goto(base)
            expect(page.get_by_text("No calls")).to_be_visible()
            begin_call(base)
            row = page.locator(".table-body [role=row]").filter(has_text="Test call")
            expect(row).to_be_visible()
            row.get_by_role("button").click()
            page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
            expect(page.get_by_role("status")).to_contain_text("The call was hung up.")
            expect(page.get_by_text("No calls")).to_be_visible()
            page.get_by_role("link", name="Charts").click()
            expect(page.locator(".world path").first).to_be_attached()
            expect(page.locator(".history canvas")).to_be_attached()
            page.get_by_role("link", name="Wallboard").click()
            expect(page.get_by_text("Loading")).to_have_count(0)
            page.reload()
            page.evaluate(CONNECT)
            page.goto(urljoin(base, "classic/"))
            page.wait_for_load_state("networkidle")
            reference = requests.get(f"{base}api/v1/", timeout=WAIT)
            assert 'href="openapi.json"' in reference.text
            document = urljoin(reference.url, "openapi.json")
            (server,) = requests.get(document, timeout=WAIT).json()["servers"]
            address = urljoin(document, server["url"]).rstrip("/")
            assert address == base.rstrip("/")
            assert requests.get(f"{address}/api/v1/servers", timeout=WAIT).status_code == 200
            assert proxy.elsewhere == []
    assert {path for path in asked if not path.startswith(f"{PREFIX}/")} == set()
    assert {f"{PREFIX}/ws", f"{PREFIX}/app/charts/world.js"} <= asked
    assert console_errors == []


def begin_call(base: str) -> None:
    """One phone that rings, asked for through the proxy."""
    action = {"Action": "Originate", "Channel": "PJSIP/201", "Async": "true"}
    action |= {"Application": "Echo", "Data": "", "CallerID": '"Test call" <201>'}
    answer = requests.post(
        f"{base}api/v1/actions", json={"server": 1, "action": action}, timeout=WAIT
    )
    assert answer.json()["replies"][0]["outcome"] == "answered", answer.text
