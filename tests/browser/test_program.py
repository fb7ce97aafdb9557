"""The page in Chromium, served by the real program."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import scenes
from tests.browser.conftest import PATIENCE, NewContext
from tests.browser.fakes import Data
from tests.support.ami_server import AmiServer
from tests.support.program import Program, ami_host, configuration


def packet(headers: Data) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{lines}\r\n".encode()


def card(page: Page, name: str) -> Locator:
    return page.locator(".server").filter(has=page.get_by_role("heading", name=name))


@pytest.fixture
def pbx() -> Iterator[AmiServer]:
    with AmiServer(username="amiws", secret="s3cret") as server:
        yield server


def test_the_demo_shows_all_servers_and_moving_calls(
    page: Page, console_errors: list[str], tmp_path: Path
) -> None:
    with Program(tmp_path, configuration(ami_host(1)), "--demo") as program:
        page.goto(f"http://127.0.0.1:{program.port}/")
        expect(page.locator("#link")).to_have_text("Live")
        expect(page.locator(".server .condition")).to_have_text(["Connected"] * 3)
        expect(page.locator(".server .about").nth(0)).to_contain_text("Asterisk\u00a013.")
        expect(page.locator(".server .about").nth(1)).to_contain_text("Asterisk\u00a022.")
        expect(page.locator(".server .about").nth(2)).to_contain_text("Asterisk\u00a011.")
        for started in page.locator(".server .started").all():
            expect(started).not_to_have_text("0", timeout=3 * PATIENCE)
        expect(page.locator("tr[data-state=ringing]").first).to_be_visible(timeout=3 * PATIENCE)
        expect(page.locator("tr[data-state=talking]").first).to_be_visible(timeout=3 * PATIENCE)
        expect(page.locator("tr[data-state=ended]").first).to_be_visible(timeout=3 * PATIENCE)
    assert console_errors == []


def test_a_call_through_the_program(page: Page, pbx: AmiServer, tmp_path: Path) -> None:
    with Program(tmp_path, configuration(ami_host(pbx.port))) as program:
        pbx.wait_login()
        page.goto(f"http://127.0.0.1:{program.port}/")
        pbx.wait_for(b"Action: CoreShowChannels")
        pbx.send(b"".join(map(packet, scenes.rings())))
        expect(page.locator("#rows .chip")).to_have_text("Ringing")
        expect(page.locator("#rows .from .who")).to_have_text("Jürgen")
        pbx.send(b"".join(map(packet, scenes.answers())))
        expect(page.locator("#rows .chip")).to_have_text("Talking")
        pbx.send(b"".join(map(packet, scenes.ends())))
        expect(page.locator("#rows .chip")).to_have_text("Ended")


def test_a_lost_server_shows_so_and_comes_back(page: Page, pbx: AmiServer, tmp_path: Path) -> None:
    page.clock.install()
    with Program(tmp_path, configuration(ami_host(pbx.port, "pbx-one"))) as program:
        pbx.wait_login()
        page.goto(f"http://127.0.0.1:{program.port}/")
        pbx.wait_for(b"Action: CoreShowChannels")
        pbx.send(b"".join(map(packet, scenes.rings())))
        expect(page.locator("#rows tr")).to_have_count(1)
        pbx.kill()
        program.wait_for_log("next attempt")
        page.clock.fast_forward(11_000)
        expect(card(page, "pbx-one").locator(".condition")).to_have_text("Not connected")
        expect(card(page, "pbx-one").locator(".note")).to_contain_text("not connected")
        expect(page.locator("#rows tr")).to_have_count(0)
        pbx.restart()
        expect(card(page, "pbx-one").locator(".condition")).to_have_text("Connected")


def test_the_program_restarts_and_wants_a_login(new_context: NewContext, tmp_path: Path) -> None:
    """The cookie of the old process is worth nothing: the page has the browser log in again."""
    hashed = hashlib.md5(b"anna:pbx:s3cret", usedforsecurity=False).hexdigest()
    (tmp_path / "htdigest").write_text(f"anna:pbx:{hashed}\n")
    login = f"auth_domain: pbx\nauth_file: {tmp_path}/htdigest"
    context = new_context(http_credentials={"username": "anna", "password": "s3cret"})
    page = context.new_page()
    with Program(tmp_path, configuration(ami_host(1), more=login)) as first:
        port = first.port
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#link")).to_have_text("Live")
        expect(page.locator(".server .condition")).to_have_text("Not connected")
    expect(page.locator("#link")).to_have_text("Not connected")
    context.clear_cookies()
    same_port = configuration(ami_host(1), more=login).replace("ws_port: 0", f"ws_port: {port}")
    with Program(tmp_path, same_port):
        expect(page.locator("#link")).to_have_text("Live")
    context.close()
