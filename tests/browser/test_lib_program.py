"""web_root/lib/amiws.js in Chromium, with the real program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.integration.test_v2_protocol import Setup
from tests.support.relay import Relay

pytestmark = pytest.mark.slow

START = """
async (kinds) => {
  const { Amiws } = await import("/lib/amiws.js");
  window.amiws = new Amiws({ batch: "microtask" });
  window.view = amiws.subscribe({ kind: kinds });
  window.news = amiws.subscribe({ event: "UserEvent" }, { streams: ["events"] });
  window.numbers = [];
  window.gaps = [];
  news.on("event", ({ data }) => numbers.push(data.Number));
  for (const one of [view, news]) {
    one.on("gap", ({ stream, reason, lost }) => gaps.push([stream, reason, lost]));
  }
  amiws.on("status", ({ state }) => state === "lost" && amiws.reconnect());
  await Promise.all([view.ready, news.ready, amiws.servers.ready]);
}
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_after_many_cuts_nothing_is_missing_and_nothing_there_twice(
    page: Page, stack: ExitStack, tmp_path: Path
) -> None:
    setup = Setup(tmp_path, stack)
    relay = stack.enter_context(Relay(setup.program.port))
    page.goto(f"{relay.url}style.css")
    page.evaluate(START, ["queue", "queue_caller"])
    page.wait_for_function("() => amiws.isCurrent(1)")
    setup.pbx.news()
    page.wait_for_function("() => numbers.length === 1")
    for number in range(20):
        setup.pbx.join("sales" if number % 2 else "support", f"1.{number}")
        setup.pbx.news()
        if number % 3 == 0:
            setup.pbx.leave("support", f"1.{number - number % 2}")
        if number % 5 == 0:
            relay.cut()
            page.wait_for_function("() => amiws.status.state === 'live'")
    setup.pbx.event("UserEvent", Number="last")
    page.wait_for_function("() => numbers.at(-1) === 'last'")
    assert page.evaluate("numbers") == [str(number) for number in range(1, 22)] + ["last"]
    assert page.evaluate("gaps") == []
    setup.pbx.join("sales", "last")
    client = setup.live()
    name = client.subscribe("state", kind=["queue", "queue_caller"])
    client.wait(lambda: (1, "queue_caller", "last") in client.collections[name], "the last")
    page.wait_for_function("() => view.get(1, 'queue_caller', 'last')")
    entities = page.evaluate("[...view]")
    found = {(one["server"], one["kind"], one["id"]): one for one in entities}
    assert found == client.collections[name]
    reply = page.evaluate("amiws.action(1, { Action: 'QueueStatus' })")
    assert (reply["outcome"], reply["complete"]) == ("answered", True)


def test_a_page_that_stood_still_is_right_again(
    page: Page, stack: ExitStack, tmp_path: Path
) -> None:
    """It gets the newest state, and is told how many events it lost."""
    setup = Setup(tmp_path, stack, "compression: no\nlimits:\n  client_buffer: 64 KiB\n")
    page.goto(f"http://127.0.0.1:{setup.program.port}/style.css")
    page.evaluate(START, ["queue", "queue_caller"])
    page.wait_for_function("() => amiws.isCurrent(1)")
    client = setup.live()
    name = client.subscribe("state", kind=["queue", "queue_caller"])
    with page.expect_event("dialog") as dialog:  # which holds all that the page runs
        page.evaluate("() => void setTimeout(() => alert('wait'))")
    setup.pbx.join("sales", "first")
    total = 4000
    for number in range(total):
        setup.pbx.event("UserEvent", Number=number, Padding="x" * 4000)
        if number % 100 == 0:
            setup.pbx.join("support", f"1.{number}")
            setup.pbx.leave("support", f"1.{number}")
    setup.pbx.join("sales", "last")
    client.wait(lambda: (1, "queue_caller", "last") in client.collections[name], "the last")
    dialog.value.dismiss()
    page.wait_for_function("() => view.get(1, 'queue_caller', 'last')")
    setup.pbx.event("UserEvent", Number="last")
    page.wait_for_function("() => numbers.at(-1) === 'last'")
    lost = sum(one[2] for one in page.evaluate("gaps") if one[0] == "events")
    assert lost + page.evaluate("numbers.length") == total + 1
    assert lost > 0
    entities = page.evaluate("[...view]")
    found = {(one["server"], one["kind"], one["id"]): one for one in entities}
    assert found == client.collections[name]
    assert page.evaluate("amiws.status.state") == "live"
