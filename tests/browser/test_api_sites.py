"""Pages of another origin and the API, in Chromium: they get nothing and can do nothing.

The browser has logged in on a page of the program before, by Digest, and keeps that login. The
other site is once another site (``localhost``), once the same with another port.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Page
from requests.auth import HTTPDigestAuth

from tests.browser.conftest import PATIENCE, NewContext
from tests.support.ami_server import AmiServer
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration

REALM = "asterisk"
PASSWORD = "one"

# Tries whatever a page can do, and tells what came of it: each must be "nothing".
TRY_ALL = """async (api) => {
  const found = {};
  const action = '{"server": 1, "action": {"Action": "Originate"}}';
  const note = async (name, attempt) => {
    try {
      found[name] = String(await attempt());
    } catch (error) {
      found[name] = "nothing";
    }
  };
  const paths = ["servers", "state/channel", "state", "events", "openapi.json", "", "actions"];
  for (const path of paths) {
    for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      for (const mode of ["cors", "no-cors"]) {
        for (const credentials of ["include", "omit"]) {
          const name = [method, path, mode, credentials].join(" ");
          await note(name, async () => {
            const body = ["GET", "HEAD"].includes(method) ? undefined : action;
            const answer = await fetch(api + path, {method, mode, credentials, body});
            return answer.type === "opaque" && !(await answer.text()) ? "nothing" : answer.type;
          });
        }
      }
    }
  }
  for (const type of ["application/json", "text/plain"]) {
    await note(`POST ${type}`, async () => (await fetch(api + "actions", {
      method: "POST", credentials: "include", headers: {"Content-Type": type}, body: action,
    })).status);
  }
  await note("beacon", async () => {
    navigator.sendBeacon(api + "actions", new Blob([action], {type: "application/json"}));
    navigator.sendBeacon(api + "actions", new Blob([action], {type: "text/plain"}));
    return "nothing";
  });
  for (const path of ["state", "events"]) {
    await note(`EventSource ${path}`, () => new Promise((resolve, reject) => {
      const source = new EventSource(api + path, {withCredentials: true});
      source.onopen = () => resolve("open");
      source.onerror = () => { source.close(); reject(); };
      source.addEventListener("subscribed", () => resolve("subscribed"));
    }));
  }
  for (const [tag, attribute] of [["img", "src"], ["script", "src"], ["iframe", "src"]]) {
    await note(tag, () => new Promise((resolve, reject) => {
      const element = document.createElement(tag);
      element.onload = () => {
        if (tag !== "iframe") { return resolve("loaded"); }
        let text = null;
        try { text = element.contentDocument.body.textContent; } catch (error) { /* foreign */ }
        text ? resolve(text) : reject();
      };
      element.onerror = reject;
      element[attribute] = api + "state/channel";
      document.body.append(element);
    }));
  }
  await note("form", () => new Promise((resolve, reject) => {
    const frame = document.createElement("iframe");
    frame.name = "target";
    document.body.append(frame);
    const form = document.createElement("form");
    form.action = api + "actions";
    form.method = "POST";
    form.enctype = "text/plain";
    form.target = "target";
    const field = document.createElement("input");
    field.name = action.slice(0, -1) + ', "x": "';
    field.value = '"}';
    form.append(field);
    document.body.append(form);
    frame.onload = () => reject();
    form.submit();
  }));
  return found;
}"""


OWN = """async () => {
  const post = (type) => fetch("/api/v1/actions", {
    method: "POST", headers: {"Content-Type": type},
    body: '{"server": 1, "action": {"Action": "Originate"}, "timeout": 1}',
  });
  const listened = await new Promise((resolve) => {
    const source = new EventSource("/api/v1/state");
    source.onopen = () => { source.close(); resolve("open"); };
    source.onerror = () => resolve("error");
  });
  return [
    (await fetch("/api/v1/servers")).status,
    (await post("application/json")).status,
    (await post("text/plain")).status,
    listened,
  ];
}"""


class Other(BaseHTTPRequestHandler):
    """The other site: an empty page at any path."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>other</title><body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@contextmanager
def other_site() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[Program, AmiServer]]:
    users = tmp_path / "users.htdigest"
    ha1 = hashlib.md5(f"alice:{REALM}:{PASSWORD}".encode()).hexdigest()
    users.write_text(f"alice:{REALM}:{ha1}\n")
    more = f"live_state: yes\nauth_domain: {REALM}\nauth_file: {users}"
    with AmiServer() as ami, Program(tmp_path, configuration(ami_host(ami.port), more=more)) as one:
        ami.wait_login()
        yield one, ami


@pytest.fixture(scope="module")
def alices(new_browser: NewContext) -> Iterator[BrowserContext]:
    """Her browser answers Digest challenges, as one does whose user has typed it."""
    with new_browser(http_credentials={"username": "alice", "password": PASSWORD}) as browser:
        yield browser


@pytest.fixture
def logged_in(alices: BrowserContext) -> Iterator[Page]:
    """A page of it. Each test has a program at another port, where it is not logged in yet."""
    page = alices.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()
    alices.clear_cookies()


def streams_opened(program: Program) -> int:
    asked = requests.get(
        f"http://127.0.0.1:{program.port}/metrics",
        auth=HTTPDigestAuth("alice", PASSWORD),
        timeout=WAIT,
    )
    start = "amiws_api_streams_opened_total{"
    lines = [line for line in asked.text.splitlines() if line.startswith(start)]
    assert lines
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


def test_a_page_of_this_server_can_do_all(
    logged_in: Page, program: tuple[Program, AmiServer]
) -> None:
    """So that what follows is refused for its origin, and for nothing else."""
    one, ami = program
    logged_in.goto(f"http://127.0.0.1:{one.port}/")
    assert logged_in.evaluate(OWN) == [200, 200, 415, "open"]
    ami.wait_for(b"Action: Originate")
    assert streams_opened(one) == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("login", [True, False])
def test_a_page_of_another_origin_gets_nothing(
    logged_in: Page,
    page: Page,
    program: tuple[Program, AmiServer],
    host: str,
    login: bool,
) -> None:
    one, ami = program
    api = f"http://127.0.0.1:{one.port}/api/v1/"
    used = logged_in if login else page
    if login:
        logged_in.goto(f"http://127.0.0.1:{one.port}/")
        assert logged_in.evaluate("async () => (await fetch('/api/v1/servers')).status") == 200
    with other_site() as port:
        used.goto(f"http://{host}:{port}/")
        found = used.evaluate(TRY_ALL, api)
        assert len(found) > 100
        assert {name: what for name, what in found.items() if what != "nothing"} == {}
        used.goto("about:blank")
    assert streams_opened(one) == 0
    assert [packet.action for packet in ami.actions if packet.action == "Originate"] == []
