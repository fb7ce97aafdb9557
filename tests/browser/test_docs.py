"""docs/pages.md is held to what it says: its page runs, its JSON is taken."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

from playwright.sync_api import Page, expect

from amiws_gevent.ami import parse_client_action
from tests.browser import scenes
from tests.browser.fakes import FakeAmiws
from tests.support.v2_server import V2Server

TEXT = (Path(__file__).parent.parent.parent / "docs" / "pages.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_page_in_full_works(page: Page) -> None:
    _, source = blocks("html")
    with FakeAmiws(*scenes.old_and_new()) as amiws:
        amiws.more_pages["/hello.html"] = source
        page.goto(f"{amiws.url}hello.html")
        amiws.wait_for_page()
        amiws.event(1, Event="Hangup", Channel="PJSIP/<b>201</b>-1")
        expect(page.locator("li")).to_have_text("pbx-berlin: PJSIP/<b>201</b>-1")
        with page.expect_websocket():  # it comes back by itself
            amiws.drop_pages()


def test_the_wallboard_works(page: Page) -> None:
    source, _ = blocks("html")
    person = {"name": None, "number": "<i>201</i>", "channel": None}
    call = {"server": 1, "kind": "call", "id": "1.1", "caller": person, "called": None}
    queue = {"server": 1, "kind": "queue", "id": "support", "name": "support", "waiting": 2}
    with V2Server() as server:
        server.more_pages["/wallboard.html"] = source
        page.goto(f"{server.url}wallboard.html")
        client = server.client()
        pbx = {"server": 0, "kind": "server", "id": "1", "sync": "live"}
        client.hello(pbx)
        client.subscribed("s-1")
        client.subscribed("s-2")
        client.snapshot(call | {"phase": "ringing"}, queue, name="s-1")
        client.snapshot(pbx, name="s-2")
        lines = page.locator("li:not(.stale)")
        expect(lines).to_have_text(["<i>201</i> calls ?: ringing", "support: 2 waiting"])
        stale = {"set": [pbx | {"sync": "stale"}], "unset": []}
        client.send({"op": "state", "subscription": "s-2", **stale})
        expect(page.locator("li.stale")).to_have_count(2)
        client.cut()
        expect(page.locator("#status")).to_have_text("the connection was lost")
        expect(page.locator("li.stale")).to_have_count(2)


ACTIONS = """
async (source) => {
  const { Amiws } = await import("/lib/amiws.js");
  const lines = [];
  const amiws = new Amiws();
  await new Promise((resolve) => amiws.on("hello", resolve));
  const console = { log: (...words) => lines.push(words) };
  await new (async () => {}).constructor("amiws", "console", source)(amiws, console);
  return lines;
}
"""


def test_the_actions_work(page: Page) -> None:
    source = next(block for block in blocks("js") if "amiws.action" in block)
    with V2Server() as server:
        server.more_pages["/actions.html"] = "<!doctype html>"  # without our policy: no eval
        page.goto(f"{server.url}actions.html")

        def serve() -> None:
            client = server.client()
            client.hello()
            for _ in range(2):
                request = client.take("action")
                reply = {"op": "reply", "id": request["id"], "server": 1, "replies": 1}
                client.send(reply | {"outcome": "answered", "items": []})

        thread = threading.Thread(target=serve)
        thread.start()
        assert page.evaluate(ACTIONS, source) == [["answered", []], ["answered"]]
        thread.join()
        originate = server.client().requests[1]
        assert (originate["wait"], originate["action"]["Priority"]) == (True, 1)
        assert len(originate["idempotency_key"]) == 36


def test_json_examples_are_messages_or_actions() -> None:
    examples = [json.loads(block) for block in blocks("json")]
    actions = [example for example in examples if "Action" in example]
    messages = [example for example in examples if "Action" not in example]
    assert [parse_client_action(json.dumps(action)).name for action in actions] == [
        "Originate",
        "CoreShowChannels",
    ]
    for message in messages:
        assert list(message) == ["type", "server_id", "server_name", "ssl", "data"]
    assert len(messages) == 3
