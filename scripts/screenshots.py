"""Pictures of all views of the dashboard: ``make screenshots``.

Each view of the program with its simulated PBXs, always the same calls: in both themes, on a phone,
a laptop and a screen on the wall. They are to be looked at, in ``screenshots/``. The few that the
README shows are copied to docs/images.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests
from playwright.sync_api import Browser, Page, sync_playwright
from requests.auth import HTTPDigestAuth

ROOT = Path(__file__).parent.parent
SEED = "7"
RATE = "100"
SETTLED = 90.0  # seconds, after which there is something to see in each view
PATIENCE = 120_000  # milliseconds
STILL = 1500  # milliseconds for a view to be drawn, and to stand still

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Screen(NamedTuple):
    """A size in CSS pixels, and how many pixels of the picture each has."""

    width: int
    height: int
    scale: float


SCREENS = {
    "phone": Screen(390, 844, 2),
    "laptop": Screen(1366, 768, 1),
    "wall": Screen(1920, 1080, 1),
}
THEMES = ("light", "dark")
VIEWS = {
    "calls": "#/calls",
    "call": "#/calls",
    "queues": "#/queues",
    "phones": "#/phones",
    "trunks": "#/trunks",
    "rooms": "#/rooms",
    "servers": "#/servers",
    "charts": "#/charts",
    "audit": "#/audit",
    "record": "#/audit",
    "wall": "#/wall?all=1",
}
USERS = ("alice", "bob")
PASSWORD = "wonderland"  # noqa: S105 - of a program that is there for the pictures alone
CONFIGURATION = """\
ws_host: 127.0.0.1
audit: {{file: {folder}/log/audit.jsonl, key_file: {folder}/audit.key, fsync: no}}
auth_domain: demo
auth_file: {folder}/users
roles:
  all: {{see: everything, do: everything}}
  agent: {{see: everything, do: [{{action: QueuePause, with: {{Queue: sales, Interface: "*",
    Paused: "*", Reason: "*"}}}}]}}
users: {{alice: {{roles: all}}, bob: {{roles: agent}}}}
"""
ACTIONS = (
    {"Action": "QueuePause", "Queue": "sales", "Interface": "PJSIP/204", "Paused": "true"},
    {"Action": "QueuePause", "Queue": "billing", "Interface": "PJSIP/204", "Paused": "true"},
    {"Action": "Originate", "Channel": "PJSIP/204", "Exten": "00445512345", "Context": "outbound"},
    {"Action": "QueueStatus", "Queue": "sales"},
    {"Action": "Hangup", "Channel": "PJSIP/299-00000001"},
)
CHOSEN = ("laptop-dark-calls", "laptop-light-queues", "laptop-light-charts", "wall-dark-wall")


def main() -> None:
    parser = argparse.ArgumentParser(description="Take pictures of the dashboard.")
    parser.add_argument("views", nargs="*", metavar="VIEW", choices=[*VIEWS, []])
    parser.add_argument("--folder", type=Path, default=ROOT / "screenshots")
    parser.add_argument("--settled", type=float, default=SETTLED, help="seconds to wait first")
    parser.add_argument("--docs", action="store_true", help="copy the chosen ones to docs/images")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with _program() as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_chromium(), args=ARGUMENTS)
        time.sleep(options.settled)
        _act(url)
        for screen in SCREENS:
            for theme in THEMES:
                _take(browser, url, screen, theme, options.views or list(VIEWS), options.folder)
        browser.close()
    if options.docs:
        for name in CHOSEN:
            _shrink(options.folder / f"{name}.png", ROOT / "docs" / "images" / f"{name}.png")
    print(f"in {options.folder}")


@contextmanager
def _program() -> Iterator[str]:
    """The program with its PBXs; its address."""
    with tempfile.NamedTemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "amiws.yaml"
        file.write_text(CONFIGURATION.format(folder=folder))
        lines = (f"{user}:demo:{_md5(f'{user}:demo:{PASSWORD}')}\n" for user in USERS)
        Path(folder, "users").write_text("".join(lines))
        Path(folder, "log").mkdir()
        words = ["-m", "amiws_gevent", "-f", str(file)]
        words += ["--demo", "0", "--seed", SEED, "--rate", RATE]
        program = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, *words], stderr=log, cwd=ROOT
        )
        try:
            yield _address(program, Path(log.name))
        finally:
            program.terminate()
            program.wait(30)


def _address(program: subprocess.Popen[bytes], log: Path) -> str:
    while program.poll() is None:
        if found := re.search(r"listening on (https?://\S*:\d+/)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(log.read_text())


def _act(url: str) -> None:
    """Something for the audit: of somebody who may do little, and of one who may do all."""
    for user in USERS:
        for action in ACTIONS:
            body = {"server": [1, 2] if action["Action"] == "QueueStatus" else 2, "action": action}
            login = HTTPDigestAuth(user, PASSWORD)
            requests.post(f"{url}api/v1/actions", json=body, auth=login, timeout=60)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _chromium() -> str:
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    return next(filter(None, found))


def _take(
    browser: Browser, url: str, screen: str, theme: str, views: list[str], folder: Path
) -> None:
    width, height, scale = SCREENS[screen]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-GB",
        http_credentials={"username": USERS[0], "password": PASSWORD},
    )
    for view in views:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url + VIEWS[view])
        _prepare(page, view)
        page.screenshot(path=folder / f"{screen}-{theme}-{view}.png")
        page.close()
    context.close()


def _prepare(page: Page, view: str) -> None:
    """Wait until the view shows something; choose a call for the view of one."""
    if view in ("calls", "call"):
        page.wait_for_selector(".table-body [role=row]")
    if view == "call":
        page.locator(".table-body [role=row]").filter(has_text="Talking").first.click()
        page.wait_for_selector("#detail-title")
    if view == "record":
        page.locator(".audit [role=row]").filter(has_text="your roles").first.click()
        page.wait_for_selector("#detail-title")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(STILL)


def _shrink(picture: Path, to: Path) -> None:
    """With 256 colours, which is all that the page has."""
    to.parent.mkdir(exist_ok=True)
    words = ["pngquant", "--force", "--strip", "--speed", "1", "--output", str(to), str(picture)]
    subprocess.run(words, check=True)  # noqa: S603 - as above: words of this file


if __name__ == "__main__":
    main()
