"""docs/pages.md is held to what it says: its page runs, its JSON is taken."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from amiws_gevent.ami import parse_client_action
from tests.browser import scenes
from tests.browser.fakes import FakeAmiws

TEXT = (Path(__file__).parent.parent.parent / "docs" / "pages.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_page_in_full_works(page: Page) -> None:
    (source,) = blocks("html")
    with FakeAmiws(*scenes.old_and_new()) as amiws:
        amiws.more_pages["/hello.html"] = source
        page.goto(f"{amiws.url}hello.html")
        amiws.wait_for_page()
        amiws.event(1, Event="Hangup", Channel="PJSIP/<b>201</b>-1")
        expect(page.locator("li")).to_have_text("pbx-berlin: PJSIP/<b>201</b>-1")
        with page.expect_websocket():  # it comes back by itself
            amiws.drop_pages()


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
