"""docs/pages.md is held to what it says: its page runs, its JSON is taken."""

from __future__ import annotations

import json
import re
import threading

from playwright.sync_api import Page, expect

from amiws_gevent.ami import parse_client_action
from tests.browser import scenes
from tests.browser.fakes import FakeAmiws
from tests.support.program import ROOT
from tests.support.v2_server import V2Server

TEXT = (ROOT / "docs" / "pages.md").read_text()


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
    assert source == (ROOT / "examples" / "wallboard.html").read_text()
    assert len(source.splitlines()) < 80
    queue = {"server": 1, "kind": "queue", "id": "support", "name": "<i>support</i>"}
    caller = {"server": 1, "kind": "queue_caller", "id": "1.1", "queue": queue["name"], "since": 0}
    idle = {"server": 1, "kind": "queue_member", "id": "support|SIP/1", "queue": queue["name"]}
    idle |= {"state": "idle", "paused": False}
    others = [
        idle | {"id": "support|SIP/2", "paused": True},
        idle | {"id": "support|SIP/3", "state": "in_use"},
        idle | {"server": 2},
        caller | {"server": 2, "id": "2.1"},
    ]
    with V2Server() as server:
        server.more_pages["/wallboard.html"] = source
        page.goto(f"{server.url}wallboard.html")
        client = server.client()
        pbx = {"server": 0, "kind": "server", "id": "1", "sync": "live"}
        client.hello(pbx)
        client.subscribed("s-1")
        client.subscribed("s-2")
        now = 1_700_000_000_000  # that of the server
        waits = caller | {"since": now - 30_000}
        client.snapshot(queue, waits, idle, *others, name="s-1")
        client.snapshot(pbx, name="s-2")
        tile = page.locator("section:not(.stale)")
        expect(tile).to_have_count(1)
        expect(tile.locator("h2")).to_have_text("<i>support</i>")
        expect(tile.locator("strong")).to_have_text("1")
        expect(tile).to_contain_text("1 free to answer")
        late = waits | {"since": now - 90_000}
        client.send({"op": "state", "subscription": "s-1", "set": [late], "unset": []})
        expect(page.locator("section.late")).to_have_count(1)
        gone = {name: caller[name] for name in ("server", "kind", "id")}
        client.send({"op": "state", "subscription": "s-1", "set": [], "unset": [gone]})
        expect(tile).to_contain_text("nobody waits")
        expect(page.locator("section.late")).to_have_count(0)
        stale = {"set": [pbx | {"sync": "stale"}], "unset": []}
        client.send({"op": "state", "subscription": "s-2", **stale})
        expect(page.locator("section.stale")).to_have_count(1)
        client.cut()
        expect(page.get_by_role("status")).to_have_text("the connection was lost")
        expect(page.locator("section.stale")).to_have_count(1)


def test_the_lines_are_those_that_are_explained() -> None:
    source = blocks("html")[0].splitlines()
    table = TEXT.partition("Line by line:")[2].partition("Actions are")[0]
    rows = re.findall(r"^\| (\d+)(?:\u2013(\d+))? \| (.*) \|$", table, re.MULTILINE)
    assert len(rows) > 10
    ends = [0]
    for first, last, _ in rows:
        assert ends[-1] < int(first) <= int(last or first) <= len(source)
        ends.append(int(last or first))
    for first, last, text in rows:
        part = "\n".join(source[int(first) - 1 : int(last or first)])
        for name in re.findall(r"`(isCurrent|late|textContent|list|vmin|status)`", text):
            assert name in part, (first, name)


ACTIONS = """
async (source) => {
  delete Crypto.prototype.randomUUID; // which pages without https have not
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
        assert len(set(originate["idempotency_key"].split(","))) == 4


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
