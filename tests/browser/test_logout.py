"""Logging out, in Chromium with the real program: it asks for the password again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Error, Page

from amiws_gevent.passwd import change
from tests.browser.conftest import PATIENCE, NewContext
from tests.support.program import Program, ami_host, configuration

REALM = "asterisk"

OPEN = """async () => {
  window.ends = {};
  const sockets = {classic: new WebSocket(`ws://${location.host}/ws`),
                   v2: new WebSocket(`ws://${location.host}/ws`, "amiws.v2")};
  for (const [name, socket] of Object.entries(sockets)) {
    await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
    socket.onclose = ({code, reason}) => { window.ends[name] = `${code} ${reason}`; };
  }
  window.stream = new EventSource("/api/v1/events");
  await new Promise((resolve) => { window.stream.onopen = resolve; });
}"""

LOG_OUT = """async (headers) => {
  const answer = await fetch("/api/v1/logout", {method: "POST", headers, body: "{}"});
  return [answer.status, await answer.json()];
}"""

# A connection that is refused does not say why; what it was refused with is asked apart.
SOCKET = """() => new Promise((resolve) => {
  const socket = new WebSocket(`ws://${location.host}/ws`);
  socket.onopen = () => resolve("open");
  socket.onclose = ({code}) => resolve(code);
})"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    users = tmp_path / "users.htdigest"
    for user in ("alice", "bob"):
        change(users, REALM, user, f"{user}s password")
    root = tmp_path / "root"
    root.mkdir()
    (root / "index.html").write_text("<!doctype html><title>In</title>")
    more = f"auth_domain: {REALM}\nauth_file: {users}\nweb_root: {root}"
    with Program(tmp_path, configuration(ami_host(1), more=more)) as program:
        yield program


@pytest.fixture
def context(new_context: NewContext) -> Iterator[BrowserContext]:
    """Nobody answers when it asks for a password: then the page does not load."""
    context = new_context()
    yield context
    context.close()


def loads(page: Page, program: Program, user: str = "") -> None:
    """The page loads; ``user`` types the password into the address."""
    typed = f"{user}:{user}s%20password@" if user else ""
    answer = page.goto(f"http://{typed}127.0.0.1:{program.port}/")
    assert answer is not None
    assert answer.status == 200
    assert page.title() == "In"


def asks_for_a_password(context: BrowserContext, program: Program) -> None:
    """In a tab of its own, which fails in place of the question."""
    page = context.new_page()
    with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
        page.goto(f"http://127.0.0.1:{program.port}/")
    page.close()


def logged_in(page: Page, program: Program, user: str) -> None:
    loads(page, program, user)
    loads(page, program)  # the browser knows the password now


def log_out(page: Page) -> None:
    assert page.evaluate(LOG_OUT, {"Content-Type": "application/json"}) == [
        200,
        {"logout_url": None},
    ]


def test_a_logout_in_the_browser(context: BrowserContext, program: Program) -> None:
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    asks_for_a_password(context, program)
    logged_in(page, program, "alice")
    page.evaluate(OPEN)
    log_out(page)
    page.wait_for_function("window.ends.classic && window.ends.v2")
    assert page.evaluate("window.ends") == {
        "classic": "4410 logged out",
        "v2": "4410 logged out",
    }
    page.wait_for_function("window.stream.readyState !== EventSource.OPEN")
    assert page.evaluate(SOCKET) == 1006
    assert [name for cookie in context.cookies() if (name := str(cookie.get("name")))] == []
    asks_for_a_password(context, program)  # with what the browser remembers, and the old nonce
    logged_in(page, program, "bob")
    assert page.evaluate(SOCKET) == "open"


def test_another_tab_is_logged_out_and_another_browser_is_not(
    context: BrowserContext, new_context: NewContext, program: Program
) -> None:
    first, second = context.new_page(), context.new_page()
    other_context = new_context()
    other = other_context.new_page()
    for page in (first, second, other):
        page.set_default_timeout(PATIENCE)
        logged_in(page, program, "alice")
        page.evaluate(OPEN)
    log_out(first)
    second.wait_for_function("window.ends.classic && window.ends.v2")
    asks_for_a_password(context, program)
    assert other.evaluate("window.ends") == {}
    loads(other, program)
    other_context.close()
