"""A real Chromium for the tests of the page, started once a session with an empty profile."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.support.patience import WAIT

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.example.com 127.0.0.1",
]

PATIENCE = WAIT * 1000  # milliseconds

NewContext = Callable[..., BrowserContext]


def chromium_path() -> str:
    """Where the system's Chromium is."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise AssertionError("the browser tests need Chromium: apt-get install chromium")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def new_browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> NewContext:
    """Starts a browser, with a profile of its own, by Playwright's options.

    It takes more than a second of CPU. (A private window in one that runs takes less, and then half
    as much again for each page: what is compiled is not kept for it.)
    """

    def start(**options: Any) -> BrowserContext:
        profile: Path = tmp_path_factory.mktemp("profile")
        return playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium_path(), headless=True, args=ARGUMENTS, **options
        )

    return start


@pytest.fixture
def new_context(new_browser: NewContext) -> Iterator[NewContext]:
    """The same for one test: they end with it."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(new_browser(**options))


@pytest.fixture(scope="session")
def browser(new_browser: NewContext) -> Iterator[BrowserContext]:
    """The browser that most tests share; nothing that the page does stays in it."""
    with new_browser(viewport={"width": 1280, "height": 800}) as browser:
        yield browser


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A fresh page (tab). A fault in its scripts, or a word to another host, fails the test."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    faults: list[str] = []
    hosts: set[str] = set()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: hosts.add(str(urlsplit(request.url).hostname)))
    page.on("websocket", lambda socket: hosts.add(str(urlsplit(socket.url).hostname)))
    yield page
    page.close()
    assert faults == []
    assert hosts <= {"127.0.0.1", "localhost"}


@pytest.fixture
def console_errors(page: Page) -> list[str]:
    """What the page's console says in red, as it comes."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    page.on("console", note)
    return errors
