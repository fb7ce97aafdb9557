"""The dashboard in Chromium before the real program, whose PBXs are simulated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, NewContext
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.stillness import still_pbx

pytestmark = pytest.mark.slow

REALM = "asterisk"
VIEWS = ("queues", "phones", "trunks", "rooms", "servers", "charts", "wall?all=1")
TALLY = ".tally strong"
ROW = ".table-body [role=row]"


def busy(folder: Path) -> Program:
    """The program with the simulated PBXs of its own, where much happens."""
    folder.mkdir(exist_ok=True)
    return Program(folder, "ws_host: 127.0.0.1\n", "--demo", "0", "--seed", "7", "--rate", "60")


def quiet(folder: Path, pbx: int, port: int = 0, more: str = "") -> Program:
    """The program with a PBX where nothing happens that the test does not do."""
    folder.mkdir(exist_ok=True)
    text = configuration(ami_host(pbx), more=f"live_state: yes\n{more}")
    return Program(folder, text.replace("ws_port: 0", f"ws_port: {port}"))


def url(program: Program, path: str = "") -> str:
    return f"http://127.0.0.1:{program.port}/{path}"


def calls(program: Program) -> list[dict[str, Any]]:
    """The calls that the API lists."""
    items: list[dict[str, Any]] = requests.get(
        url(program, "api/v1/state/call?limit=10000"), timeout=WAIT
    ).json()["items"]
    return items


def ask(program: Program, action: dict[str, str], server: int = 1) -> dict[str, Any]:
    """What the PBX answers."""
    answer = requests.post(
        url(program, "api/v1/actions"), json={"server": server, "action": action}, timeout=WAIT
    )
    reply: dict[str, Any] = answer.json()["replies"][0]
    assert reply["outcome"] == "answered", reply
    return reply


def channels(program: Program) -> list[str]:
    """The channels that the PBX itself lists."""
    return [item["Channel"] for item in ask(program, {"Action": "CoreShowChannels"})["items"]]


def begin_call(program: Program) -> None:
    """One phone that rings, until somebody hangs up."""
    start = {"Action": "Originate", "Channel": "PJSIP/201", "Async": "true"}
    app = {"Application": "Echo", "Data": "", "CallerID": '"Test call" <201>'}
    ask(program, start | app)


def agree(page: Page, program: Program) -> bool:
    """Whether the page has the number of calls that the API has."""
    before = len(calls(program))
    shown = page.locator(TALLY).inner_text()
    return before == len(calls(program)) and shown.split()[0] == str(before)


@pytest.fixture
def pbx() -> Iterator[int]:
    with still_pbx() as port:
        yield port


def test_calls_come_change_and_go_and_totals_agree(
    page: Page, console_errors: list[str], tmp_path: Path
) -> None:
    with busy(tmp_path) as program:
        page.goto(url(program))
        expect(page.locator(ROW).first).to_be_visible(timeout=3 * PATIENCE)
        wait_until(lambda: calls(program), "a call")
        first = calls(program)[0]["id"]

        def has_ended() -> bool:
            return first not in {call["id"] for call in calls(program)}

        wait_until(has_ended, "a call ends", 3 * WAIT)

        wait_until(lambda: agree(page, program), "the same total on the page and by the API")
        for _ in range(3):
            states = page.locator(f"{ROW} .chip").all_inner_texts()
            page.wait_for_function(
                """([selector, before]) => JSON.stringify(before) !== JSON.stringify(
                  [...document.querySelectorAll(selector)].map((chip) => chip.innerText))""",
                arg=[f"{ROW} .chip", states],
            )
    assert not [text for text in console_errors if "WebSocket" not in text]


KEEP_SOCKETS = """
window.sockets = [];
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...given) { super(...given); window.sockets.push(this); }
};"""


def test_what_is_compressed_is_shown_as_it_is(
    page: Page, console_errors: list[str], tmp_path: Path
) -> None:
    page.add_init_script(KEEP_SOCKETS)
    with busy(tmp_path) as program:
        page.goto(url(program))
        expect(page.locator(ROW).first).to_be_visible(timeout=3 * PATIENCE)
        extensions = page.evaluate("window.sockets.map((socket) => socket.extensions)")
        assert extensions == ["permessage-deflate; client_no_context_takeover"]

        for _ in range(3):
            seen = {call["id"] for call in calls(program)}
            wait_until(lambda: agree(page, program), "the same total on the page and by the API")
            wait_until(
                lambda known=seen: {call["id"] for call in calls(program)} - known,  # type: ignore[misc]
                "another call begins",
                300,
            )
        wait_until(lambda: agree(page, program), "the same total on the page and by the API")
        assert page.evaluate("window.sockets.length") == 1, "it was never closed"
    assert not [text for text in console_errors if "WebSocket" not in text]


def test_a_hang_up_ends_the_call_in_the_pbx(
    page: Page, console_errors: list[str], tmp_path: Path, pbx: int
) -> None:
    with quiet(tmp_path, pbx) as program:
        page.goto(url(program))
        expect(page.get_by_text("No calls")).to_be_visible()
        begin_call(program)
        row = page.locator(ROW).filter(has_text="Test call")
        expect(row).to_be_visible()
        row.get_by_role("button").click()
        assert len(channels(program)) == 1  # asked for once more first
        page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
        wait_until(lambda: channels(program) == [], "no channel in the PBX")
        expect(page.get_by_text("No calls")).to_be_visible()
        assert calls(program) == []
        assert console_errors == []


def test_no_view_says_a_word_to_others_or_breaks_the_policy(
    page: Page, console_errors: list[str], tmp_path: Path
) -> None:
    """The fixture ``page`` fails for a request to another host."""
    with busy(tmp_path) as program:
        page.goto(url(program))
        expect(page.locator(ROW).first).to_be_visible(timeout=3 * PATIENCE)
        page.locator(ROW).first.click()
        expect(page.locator("#detail-title")).to_be_visible()
        for view in VIEWS:
            page.goto(url(program, f"#/{view}"))
            page.wait_for_load_state("networkidle")
            expect(page.get_by_text("Loading")).to_have_count(0)
        policy = requests.get(url(program), timeout=WAIT).headers["Content-Security-Policy"]
        assert "'unsafe" not in policy
        assert "default-src 'none'" in policy or "default-src 'self'" in policy
        assert console_errors == []


def test_a_killed_program_is_recovered_from_without_a_reload(
    page: Page, tmp_path: Path, pbx: int
) -> None:
    port = free_port()
    row = page.locator(ROW).filter(has_text="Test call")
    alarm = page.get_by_role("alert").filter(has_text="lost")
    with quiet(tmp_path / "first", pbx, port) as first:
        page.goto(url(first))
        expect(page.get_by_text("No calls")).to_be_visible()
        page.evaluate("window.stayed = true")
        begin_call(first)
        expect(row).to_be_visible()
        first.process.kill()
        first.process.wait()
        expect(alarm).to_be_visible()
        expect(page.locator(f"{ROW}.stale")).to_have_count(1)
    with quiet(tmp_path / "second", pbx, port) as second:
        expect(alarm).to_have_count(0)
        expect(page.locator(f"{ROW}.stale")).to_have_count(0)
        expect(row).to_be_visible()
        (channel,) = channels(second)
        ask(second, {"Action": "Hangup", "Channel": channel})
        expect(page.get_by_text("No calls")).to_be_visible()
    assert page.evaluate("window.stayed") is True


def test_a_login_opens_the_socket_and_a_new_one_does_after_a_restart(
    new_context: NewContext, tmp_path: Path, pbx: int
) -> None:
    users = tmp_path / "users.htdigest"
    ha1 = hashlib.md5(f"alice:{REALM}:one".encode()).hexdigest()
    users.write_text(f"alice:{REALM}:{ha1}\n")
    more = f"auth_domain: {REALM}\nauth_file: {users}\n"
    port = free_port()
    context = new_context(http_credentials={"username": "alice", "password": "one"})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    with quiet(tmp_path / "first", pbx, port, more) as first:
        assert requests.get(url(first), timeout=WAIT).status_code == 401
        page.goto(url(first))
        expect(page.get_by_text("No calls")).to_be_visible()
        page.evaluate("window.stayed = true")
    expect(page.get_by_role("alert")).to_be_visible()
    context.clear_cookies()  # no login of before opens anything
    with quiet(tmp_path / "second", pbx, port, more):
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_text("No calls")).to_be_visible()
        assert page.evaluate("window.stayed") is True
        assert context.cookies() != []
    page.close()
