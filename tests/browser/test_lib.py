"""web_root/lib/amiws.js in Chromium, against a server that says what the test has it say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.program import wait_until
from tests.support.v2_server import Data, V2Connection, V2Server
from tests.support.web_root import response

START = """
async (options) => {
  const { Amiws } = await import("/lib/amiws.js");
  window.statuses = [];
  window.told = [];
  window.amiws = new Amiws({ url: "/ws", batch: "microtask", ...options });
  amiws.on("status", (status) => statuses.push(status));
}
"""

SUBSCRIBE = """
([filters, streams]) => {
  window.view = amiws.subscribe(filters, { streams });
  view.on("change", (changes) => told.push(["change", changes]));
  view.on("event", (message) => told.push(["event", message]));
  view.on("gap", (gap) => told.push(["gap", gap]));
  view.on("error", ({ code }) => told.push(["error", code]));
}
"""


@pytest.fixture
def server() -> Iterator[V2Server]:
    with V2Server() as server:
        yield server


@pytest.fixture(autouse=True)
def time_stands_still(page: Page) -> Iterator[None]:
    """For the scripts of the page: ``run_for`` moves it, and no slow machine."""
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 3600)
    yield
    page.clock.resume()  # it is that of all pages


def start(page: Page, server: V2Server, **options: Any) -> None:
    page.goto(f"{server.url}app/style/base.css")  # any document of that origin that runs nothing
    page.evaluate(START, options)


def live(page: Page, server: V2Server, *servers: Data, **more: Any) -> V2Connection:
    """A page with a connection that has said hello."""
    start(page, server)
    client = server.client()
    client.hello(*servers, **more)
    wait_for(page, "amiws.status.state === 'live'")
    return client


def next_attempt(page: Page, within: int) -> None:
    """Move the time to it and not beyond: what it waits for takes real time."""
    wait = page.evaluate("amiws.status.retryAt - Date.now()")
    assert 0 < wait <= within
    page.clock.run_for(int(wait) + 1)


def reconnect(page: Page) -> None:
    page.evaluate("amiws.reconnect()")
    page.clock.run_for(1)


def subscribe(page: Page, filters: Data | None = None, *streams: str) -> None:
    page.evaluate(SUBSCRIBE, [filters or {}, list(streams) or ["state"]])


def wait_for(page: Page, expression: str) -> None:
    page.wait_for_function(f"() => {expression}", polling=20)


def items(page: Page) -> dict[str, Data]:
    """What the collection has, by id."""
    entities: list[Data] = page.evaluate("[...view]")
    return {str(entity["id"]): entity for entity in entities}


def told(page: Page, what: str) -> list[Any]:
    """What handlers of a name were told since the last time."""
    found: list[Any] = page.evaluate("() => told.splice(0)")
    return [one for name, one in found if name == what]


def call(key: int | str, **fields: Any) -> Data:
    return {"server": 1, "kind": "call", "id": str(key), **fields}


def state(*changed: Data, unset: list[Data] | None = None, position: str = "") -> Data:
    message = {"op": "state", "subscription": "s-1", "set": list(changed), "unset": unset or []}
    return message | ({"position": position} if position else {})


def snapshot_page(page: int, pages: int, *entities: Data) -> Data:
    message = {"op": "snapshot", "subscription": "s-1", "page": page, "pages": pages}
    return message | {"items": list(entities)} | ({"position": "p-1"} if page == pages else {})


def event(text: str, **more: Any) -> Data:
    data = {"Event": "UserEvent", "UserEvent": text}
    message = {"type": 3, "server_id": 1, "server_name": "a", "ssl": False, "data": data}
    return {"op": "event", "subscription": "s-1", "message": message, **more}


def in_turn(page: Page, client: V2Connection) -> None:
    """Wait until the page has worked on all that was sent before."""
    mark = page.evaluate("Date.now()") + 10_000_000
    client.send({"op": "hint-of-a-later-version"})
    client.send({"op": "position", "time": mark, "positions": {}})
    wait_for(page, f"amiws.now() > {mark - 5_000_000}")
    client.send({"op": "position", "time": 0, "positions": {}})
    wait_for(page, "amiws.now() < 5_000_000")


# Collections


def test_a_snapshot_counts_when_its_last_page_has_come(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page, {"kind": "call"})
    assert client.subscribed()["filters"] == {"kind": "call"}
    client.send(snapshot_page(1, 2, call(1, state="ringing")))
    in_turn(page, client)
    assert items(page) == {}
    assert page.evaluate("view.isLoaded") is False
    client.send(snapshot_page(2, 2, call(2, state="talking")))
    page.evaluate("view.ready")
    assert items(page) == {"1": call(1, state="ringing"), "2": call(2, state="talking")}
    assert page.evaluate("[view.size, view.list('call').length, view.list('queue').length]") == [
        2,
        2,
        0,
    ]
    assert page.evaluate("view.get(1, 'call', '2')") == call(2, state="talking")


def test_what_changes_between_the_pages_is_merged_over_them(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page)
    client.subscribed()
    client.send(snapshot_page(1, 2, call(1, state="ringing", number="1"), call(2, state="up")))
    client.send(state(call(3, state="held"), call(3, held=True), call(4, state="new")))
    client.send(state(call(1, state="up"), unset=[call(2), call(5), call(4)]))
    client.send(state(call(5, state="again")))
    in_turn(page, client)
    assert items(page) == {}
    pages = [call(3, state="up", held=False, number="3"), call(5, state="old", number="5")]
    client.send(snapshot_page(2, 2, *pages))
    page.evaluate("view.ready")
    assert items(page) == {
        "1": call(1, state="up", number="1"),
        "3": call(3, state="held", number="3", held=True),
        "5": call(5, state="again"),
    }


def test_a_first_page_begins_anew(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page)
    client.subscribed()
    client.send(snapshot_page(1, 3, call(1)), snapshot_page(2, 3, call(2)), state(call(9)))
    client.send(snapshot_page(1, 2, call(3)), snapshot_page(3, 3, call(8)))
    client.send(snapshot_page(2, 2, call(4)))
    page.evaluate("view.ready")
    assert set(items(page)) == {"3", "4"}


def test_a_snapshot_replaces_and_tells_what_differs(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page)
    client.subscribed()
    client.snapshot(call(1, state="up"), call(2, way=[{"at": 1}]), call(3))
    page.evaluate("view.ready")
    page.evaluate("() => { window.same = view.get(1, 'call', '2'); }")
    told(page, "change")
    client.send(snapshot_page(1, 2, call(1, state="held")))
    in_turn(page, client)
    assert set(items(page)) == {"1", "2", "3"}
    client.send(snapshot_page(2, 2, call(2, way=[{"at": 1}]), call(4)))
    wait_for(page, "view.get(1, 'call', '4')")
    (changes,) = told(page, "change")
    assert [(one["id"], one["before"], one["now"]) for one in changes] == [
        ("3", call(3), None),
        ("1", call(1, state="up"), call(1, state="held")),
        ("4", None, call(4)),
    ]
    assert page.evaluate("view.get(1, 'call', '2') === same") is True


def test_set_merges_and_unset_removes(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page)
    client.subscribed()
    client.snapshot(call(1, state="up", number="201"))
    page.evaluate("view.ready")
    page.evaluate("() => { window.former = view.get(1, 'call', '1'); }")
    told(page, "change")
    client.send(state(call(1, number=None), call(2, state="new")))
    wait_for(page, "view.size === 2")
    assert items(page)["1"] == call(1, state="up", number=None)
    assert page.evaluate("former.number") == "201", "entities are values"
    gone = call(2, last={"cause": 16})
    client.send(state(unset=[gone, call("never-there")]))
    wait_for(page, "view.size === 1")
    changes = told(page, "change")
    assert [[(one["id"], one["now"] is None, one["last"]) for one in some] for some in changes] == [
        [("1", False, None), ("2", False, None)],
        [("2", True, {"cause": 16})],
    ]


def test_changes_are_told_once_a_frame(page: Page, server: V2Server) -> None:
    start(page, server, batch="frame")
    client = server.client()
    client.hello()
    page.evaluate(
        """() => {
          window.requestAnimationFrame = (run) => { window.frame = run; return 1; };
          window.cancelAnimationFrame = () => {};
        }"""
    )
    subscribe(page)
    client.subscribed()
    client.snapshot(call(1, n=0))
    for n in range(1, 6):
        client.send(state(call(1, n=n)))
    client.send(state(call(2), unset=[call(2)]))
    wait_for(page, "view.get(1, 'call', '1')?.n === 5")
    in_turn(page, client)
    assert told(page, "change") == []
    page.evaluate("frame()")
    (changes,) = told(page, "change")
    assert [(one["id"], one["before"], one["now"]) for one in changes] == [
        ("1", None, call(1, n=5)),
        ("2", None, None),
    ]


def test_a_hidden_page_is_told_too(page: Page, server: V2Server) -> None:
    """Without animation frames what waits to be told would grow as long as nobody looks."""
    start(page, server, batch="frame")
    client = server.client()
    client.hello()
    page.evaluate("() => { window.requestAnimationFrame = () => 1; }")
    subscribe(page)
    client.subscribed()
    client.snapshot(call(1))
    wait_for(page, "view.size === 1")
    page.clock.run_for(1100)
    assert len(told(page, "change")) == 1


def test_hostile_values_are_only_values(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page)
    client.subscribed()
    text = (
        '{"op":"snapshot","subscription":"s-1","page":1,"pages":1,"position":"p","items":['
        '{"server":1,"kind":"call","id":"__proto__","__proto__":{"polluted":1},'
        '"name":"<img src=x onerror=alert(1)>\\ud800"},'
        '{"server":1,"kind":"call","id":"constructor"},'
        '{"server":11,"kind":"call","id":"1 call 1"}]}'
    )
    client.send_text("not JSON")
    client.send_text("null")
    client.send_text("[]")
    client.send_text(b"\x00\x01")
    client.send_text('{"op":"__proto__","subscription":"__proto__"}')
    client.send_text('{"op":"reply","id":"toString"}')
    client.send_text(text)
    client.send_text('{"op":"state","subscription":"s-1","set":[{"server":1,"kind":"call",'
                     '"id":"__proto__","__proto__":{"polluted":2}}],"unset":[]}')  # fmt: skip
    page.evaluate("view.ready")
    wait_for(page, "Object.hasOwn(view.get(1, 'call', '__proto__'), '__proto__')")
    in_turn(page, client)
    assert page.evaluate("({}).polluted === undefined && view.size === 3") is True
    assert page.evaluate("view.get(1, 'call', '__proto__').polluted === undefined") is True
    assert page.evaluate("view.get(11, 'call', '1 call 1').server") == 11


def test_a_handler_that_throws_keeps_nothing_from_others(browser: Any, server: V2Server) -> None:
    page = browser.new_page()  # whose faults are wanted
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    client = live(page, server)
    page.evaluate("() => amiws.subscribe().on('change', () => { throw new Error('mine'); })")
    subscribe(page)
    client.subscribed()
    client.snapshot(call(1))
    wait_for(page, "told.length === 1")
    wait_until(lambda: faults, "the fault is told")
    page.close()


# Lost connections


def test_resumes_where_it_was(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page, {"kind": "call"})
    client.subscribed()
    client.snapshot(call(1), position="p-1")
    client.send(state(call(2), position="p-2"), state(call(3)))
    wait_for(page, "view.size === 3")
    client.cut()
    wait_for(page, "amiws.status.state === 'lost'")
    assert page.evaluate("amiws.status.reason") == "the connection was lost"
    next_attempt(page, 2000)
    second = server.client(1)
    second.hello()
    request = second.subscribed("s-9", op="resume", resumed=True)
    assert (request["position"], request["filters"]) == ("p-2", {"kind": "call"})
    assert request["streams"] == ["state"]
    assert set(items(page)) == {"1", "2", "3"}
    second.send(state(unset=[call(1)], position="p-3") | {"subscription": "s-9"})
    wait_for(page, "view.size === 2")
    second.send({"op": "position", "time": 1, "positions": {"s-9": "p-4", "s-1": "p-x"}})
    in_turn(page, second)
    second.close(1001, "amiws-gevent is stopping")
    wait_for(page, "amiws.status.state === 'lost'")
    assert page.evaluate("[amiws.status.reason, amiws.status.code]") == [
        "amiws-gevent is stopping",
        1001,
    ]
    next_attempt(page, 4000)
    third = server.client(2)
    third.hello()
    assert third.take("resume")["position"] == "p-4"


def test_a_position_counts_only_with_the_whole_snapshot(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page)
    client.subscribed()
    client.snapshot(call(1))
    page.evaluate("view.ready")
    client.send(snapshot_page(1, 2, call(5)), state(call(6), position="p-6"))
    client.send({"op": "position", "time": 1, "positions": {"s-1": "p-7"}})
    in_turn(page, client)
    client.cut()
    wait_for(page, "amiws.status.state === 'lost'")
    next_attempt(page, 2000)
    second = server.client(1)
    second.hello()
    second.subscribed()
    assert set(items(page)) == {"1"}, "what was there stays until the snapshot is whole"
    second.send(snapshot_page(2, 2, call(5)))
    second.snapshot(call(7))
    wait_for(page, "view.get(1, 'call', '7')")
    assert set(items(page)) == {"7"}


def test_no_position_counts_before_a_snapshot_that_is_to_come(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page, {}, "state", "events")
    client.subscribed()
    client.send(event("one", position="p-1"))
    in_turn(page, client)
    client.cut()
    wait_for(page, "amiws.status.state === 'lost'")
    reconnect(page)
    server.client(1).hello()
    server.client(1).subscribed()
    server.client(1).snapshot(call(1))
    gap = {"op": "gap", "subscription": "s-1", "stream": "state", "reason": "slow", "lost": None}
    server.client(1).send(gap | {"position": "p-2"}, event("two", position="p-3"))
    in_turn(page, server.client(1))
    server.client(1).cut()
    wait_for(page, "amiws.status.state === 'lost'")
    reconnect(page)
    server.client(2).hello()
    server.client(2).subscribed()
    assert set(items(page)) == {"1"}


def test_it_resumes_where_it_began_if_nothing_came(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page, {}, "events")
    client.subscribed(position="p-0")
    page.evaluate("view.ready")
    client.cut()
    wait_for(page, "amiws.status.state === 'lost'")
    next_attempt(page, 2000)
    again = server.client(1)
    again.hello()
    assert again.subscribed(op="resume", resumed=True, position="p-0")["position"] == "p-0"


def test_gaps_are_told(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page, {"event": "UserEvent"}, "events")
    client.subscribed()
    client.send(event("one"))
    gap = {"op": "gap", "subscription": "s-1", "stream": "events", "reason": "slow", "lost": 7}
    client.send(gap | {"server": 2})
    wait_for(page, "told.length === 2")
    first, second = page.evaluate("told.splice(0)")
    assert first == ["event", event("one")["message"]]
    assert second == ["gap", {"stream": "events", "reason": "slow", "lost": 7, "server": 2}]
    client.cut()  # before any position
    wait_for(page, "amiws.status.state === 'lost'")
    next_attempt(page, 2000)
    again = server.client(1)
    again.hello()
    again.subscribed()
    again.send(event("two", position="p-2"))
    wait_for(page, "told.length === 2")
    assert told(page, "gap") == [
        {"stream": "events", "reason": "connection", "lost": None, "server": None}
    ]
    again.cut()
    wait_for(page, "amiws.status.state === 'lost'")
    next_attempt(page, 4000)
    third = server.client(2)
    third.hello()
    assert third.subscribed(op="resume", resumed=False)["position"] == "p-2"
    third.send(gap | {"reason": "restart", "lost": None}, event("three"))
    wait_for(page, "told.length === 2")
    assert [one["reason"] for one in told(page, "gap")] == ["restart"], "told once"


def test_a_quiet_connection_is_given_up(page: Page, server: V2Server) -> None:
    client = live(page, server, heartbeat=10_000)
    for _ in range(3):
        page.clock.run_for(20_000)
        client.send({"op": "position", "time": 0, "positions": {}})
        wait_for(page, "amiws.now() < 100_000_000")
        client.send({"op": "position", "time": 1_700_000_000_000, "positions": {}})
        wait_for(page, "amiws.now() > 1_600_000_000_000")
        assert page.evaluate("amiws.status.state") == "live"
    page.clock.run_for(26_500)
    wait_for(page, "amiws.status.state !== 'live'")
    assert "the connection went quiet" in page.evaluate("statuses.map(({ reason }) => reason)")
    wait_until(lambda: client.close_code == 4000, "closed by the page")


def test_a_page_that_was_busy_first_reads_what_has_come(page: Page, server: V2Server) -> None:
    """The timer of a busy page may be due before the messages that came meanwhile."""
    client = live(page, server, heartbeat=10_000)
    page.clock.run_for(25_500)
    in_turn(page, client)
    page.clock.run_for(20_000)
    assert page.evaluate("amiws.status.state") == "live"
    page.clock.run_for(20_000)
    wait_for(page, "amiws.status.state !== 'live'")


def test_no_hello_is_no_connection(page: Page, server: V2Server) -> None:
    start(page, server)
    client = server.client()
    client.send({"op": "state", "subscription": "s-1", "set": [], "unset": []})
    page.clock.run_for(15_100)
    wait_for(page, "amiws.status.state === 'lost'")
    assert page.evaluate("amiws.status.reason") == "no answer"
    page.evaluate("() => { statuses.length = 0; amiws.reconnect(); }")
    page.clock.run_for(1)
    again = server.client(1)
    told = "statuses.map(({ state, reason }) => [state, reason])"
    assert page.evaluate(told)[-1] == ["connecting", "no answer"]  # a page never shows nothing
    again.hello()
    wait_for(page, "amiws.status.state === 'live'")
    assert page.evaluate(told)[-1] == ["live", ""]


def test_pages_come_back_one_by_one(page: Page, server: V2Server) -> None:
    """After a restart the attempts are spread over the wait, three quarters of it."""
    server.refusals = [response(503, b"", "text/plain")] * 3
    page.goto(f"{server.url}app/style/base.css")
    page.evaluate(
        """async () => {
          const { Amiws } = await import("/lib/amiws.js");
          const chances = [0, 0.5, 1];
          Math.random = () => chances.shift() ?? 0;
          window.waits = [];
          const note = ({ state, retryAt }) => state === "lost" && waits.push(retryAt - Date.now());
          for (let n = 0; n < 3; n += 1) {
            new Amiws({ url: "/ws", login: null }).on("status", note);
          }
        }"""
    )
    wait_for(page, "waits.length >= 3")
    waits = page.evaluate("waits.slice(0, 3)")
    assert waits == [pytest.approx(wait, abs=5) for wait in (500, 1250, 2000)]


def test_each_failure_doubles_the_wait(page: Page, server: V2Server) -> None:
    server.refusals = [response(503, b"", "text/plain")] * 7
    start(page, server, login=None)
    for longest in (2000, 4000, 8000, 16_000, 30_000, 30_000):
        wait_for(page, "statuses.at(-1)?.state === 'lost'")
        wait = page.evaluate("amiws.status.retryAt - Date.now()")
        assert longest * 0.25 - 1 <= wait <= longest
        page.evaluate("() => { statuses.length = 0; amiws.reconnect(); }")
        page.clock.run_for(1)
    wait_until(lambda: len(server.upgrades) == 7, "the last attempt")


def test_a_network_that_is_back_hurries(page: Page, server: V2Server) -> None:
    server.refusals = [response(503, b"", "text/plain")] * 5
    start(page, server, login=None)
    for _ in range(5):
        wait_for(page, "amiws.status.state === 'lost'")
        page.clock.run_for(1)
        page.evaluate("() => { statuses.length = 0; amiws.reconnect(); }")
        page.clock.run_for(1)
        wait_for(page, "statuses.some(({ state }) => state === 'connecting')")
    server.client().cut()
    wait_for(page, "amiws.status.state === 'lost'")
    assert page.evaluate("amiws.status.retryAt - Date.now()") > 2000
    page.evaluate("dispatchEvent(new Event('online'))")
    wait = page.evaluate("amiws.status.retryAt - Date.now()")
    assert wait <= 1000
    page.clock.run_for(1000)
    server.client(1).hello()
    wait_for(page, "amiws.status.state === 'live'")


def test_a_login_is_asked_for(page: Page, server: V2Server) -> None:
    server.refusals = [response(401, b"", "text/plain")] * 2
    server.page_status = 401
    start(page, server)
    wait_for(page, "amiws.status.state === 'lost'")
    assert server.loads == 0
    next_attempt(page, 2000)
    wait_for(page, "amiws.status.state === 'refused'")
    assert page.evaluate("[amiws.status.code, amiws.status.reason]") == [
        401,
        "a login is needed",
    ]
    assert (len(server.upgrades), server.loads) == (1, 1)
    server.page_status = 200  # somebody has logged in
    next_attempt(page, 60_000)
    wait_until(lambda: len(server.upgrades) == 2, "the WebSocket is tried")
    wait_for(page, "amiws.status.state === 'lost'")
    next_attempt(page, 30_000)
    server.client().hello()
    wait_for(page, "amiws.status.state === 'live'")


def test_after_a_logout_nothing_is_tried_unasked(page: Page, server: V2Server) -> None:
    client = live(page, server)
    client.close(4410, "logged out")
    wait_for(page, "amiws.status.state === 'refused'")
    assert page.evaluate("amiws.status.retryAt") is None
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.run_for(60_000)
    assert (len(server.upgrades), server.loads) == (1, 0)
    reconnect(page)
    server.client(1).hello()
    wait_for(page, "amiws.status.state === 'live'")
    assert server.loads == 1  # which has the browser ask for the password
    assert len(server.upgrades) == 2


def test_close_ends_all(page: Page, server: V2Server) -> None:
    client = live(page, server)
    page.evaluate("amiws.close()")
    wait_until(lambda: client.is_over, "closed")
    assert client.close_code == 1000
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.run_for(120_000)
    assert page.evaluate("amiws.status.state") == "closed"
    assert len(server.upgrades) == 1


# Subscriptions


def test_equal_views_are_one(page: Page, server: V2Server) -> None:
    client = live(page, server)
    same = page.evaluate(
        """() => {
          window.view = amiws.subscribe({ server: [2, 1], event: "Hangup" });
          const other = amiws.subscribe({ event: ["hangup"], server: [1, 2, 1], queue: undefined });
          return view === other && view !== amiws.subscribe({ server: 1 });
        }"""
    )
    assert same is True
    client.subscribed("s-1")
    client.subscribed("s-2")
    client.snapshot(call(1))
    page.evaluate("view.ready")
    page.evaluate("view.close()")
    client.send(state(call(2)))
    wait_for(page, "view.size === 2")
    page.evaluate("view.close()")
    assert client.take("unsubscribe")["subscription"] == "s-1"
    client.send(state(call(3)))
    in_turn(page, client)
    assert page.evaluate("view.size") == 2


@pytest.mark.parametrize("name", ["status", "hello"])
def test_who_subscribes_when_the_connection_is_there_does_it_once(
    page: Page, server: V2Server, name: str
) -> None:
    start(page, server)
    page.evaluate(
        """(name) => amiws.on(name, () => {
          if (amiws.status.state === "live") { amiws.subscribe({ kind: "queue" }) }
        })""",
        name,
    )
    client = server.client()
    client.hello()
    wait_for(page, "amiws.status.state === 'live'")
    page.evaluate("void amiws.action(1, { Action: 'Ping' })")
    client.take("subscribe")
    client.take("action")
    assert len(client.requests) == 2


def test_closed_before_it_began(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page)
    page.evaluate("view.close()")
    client.subscribed()
    assert client.take("unsubscribe")["subscription"] == "s-1"
    client.cut()
    wait_for(page, "amiws.status.state === 'lost'")
    reconnect(page)
    server.client(1).hello()
    wait_for(page, "amiws.status.state === 'live'")
    assert server.client(1).requests == []


def test_a_subscription_that_is_refused(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page, {"queue": "sales"})
    page.evaluate("() => { view.ready.catch(({ code }) => { window.refusal = code; }); }")
    problem = {"op": "error", "code": "too_many_subscriptions", "message": "enough"}
    client.send(problem | {"id": client.take("subscribe")["id"], "retry_after": 5})
    in_turn(page, client)
    assert page.evaluate("window.refusal") is None
    page.clock.run_for(5100)
    request = client.take("subscribe")
    client.send({"op": "error", "id": request["id"], "code": "bad_filter", "message": "no"})
    wait_for(page, "window.refusal === 'bad_filter'")
    assert told(page, "error") == ["bad_filter"]


def test_a_refusal_that_nobody_listens_to_is_in_the_console(
    page: Page, server: V2Server, console_errors: list[str]
) -> None:
    client = live(page, server)
    page.evaluate("() => void amiws.subscribe({ kind: 'queues' })")
    problem = {"op": "error", "code": "bad_filter", "message": "unknown kind 'queues'"}
    client.send(problem | {"id": client.take("subscribe")["id"]})
    in_turn(page, client)
    assert len(console_errors) == 1
    assert "AmiwsError: unknown kind 'queues'" in console_errors[0]


def test_handlers_are_removed(page: Page, server: V2Server) -> None:
    client = live(page, server)
    subscribe(page)
    page.evaluate(
        """() => {
          window.counts = [0, 0, 0];
          const control = new AbortController();
          const remove = view.on("change", () => { counts[0] += 1; });
          view.on("change", () => { counts[1] += 1; }, { signal: control.signal });
          view.on("change", () => { counts[2] += 1; }, { signal: AbortSignal.abort() });
          remove();
          control.abort();
        }"""
    )
    client.subscribed()
    client.snapshot(call(1))
    wait_for(page, "told.length === 1")
    assert page.evaluate("counts") == [0, 0, 0]


def test_servers_that_are_stale(page: Page, server: V2Server) -> None:
    one = {"server": 0, "kind": "server", "id": "1", "name": "pbx", "sync": "live"}
    client = live(page, server, one)
    assert page.evaluate("[amiws.isCurrent(1), amiws.isCurrent(2), amiws.isCurrent(0)]") == [
        True,
        False,
        True,
    ]
    assert client.subscribed()["filters"] == {"server": 0, "kind": "server"}
    client.snapshot({**one, "sync": "stale"})
    wait_for(page, "!amiws.isCurrent(1)")
    client.send(state({**one, "sync": "live"}))
    wait_for(page, "amiws.isCurrent(1)")
    client.cut()
    wait_for(page, "!amiws.isCurrent(1) && amiws.servers.size === 1")


def test_the_clock_of_the_server(page: Page, server: V2Server) -> None:
    client = live(page, server, time=1_000_000)
    offset = page.evaluate("amiws.now() - Date.now()")
    client.send({"op": "position", "time": 2_000_000, "positions": {}})
    wait_for(page, f"amiws.now() - Date.now() > {offset + 900_000}")


# Actions

ASK = """
([method, ...given]) => {
  window.result = null;
  window.seen = [];
  const options = { ...given.pop(), onReply: (reply) => seen.push(reply.server) };
  amiws[method](...given, options).then(
    (value) => { window.result = ["fulfilled", value]; },
    (error) => { window.result = ["rejected", error.code ?? error.name]; },
  );
}
"""
PING = {"Action": "Ping"}


def ask(page: Page, method: str, server: Any, **options: Any) -> None:
    page.evaluate(ASK, [method, server, PING, options])


def result(page: Page) -> Any:
    wait_for(page, "window.result")
    return page.evaluate("result")


def reply(request: Data, server: int, replies: int = 1, **more: Any) -> Data:
    message = {"op": "reply", "id": request["id"], "server": server, "replies": replies}
    outcome = {"outcome": "answered", "response": {"Response": "Success"}, "items": []}
    return message | outcome | {"end": None, "complete": True, "reason": ""} | more


def test_an_action_and_its_reply(page: Page, server: V2Server) -> None:
    client = live(page, server)
    ask(page, "action", 1, timeout=5, wait=True, idempotencyKey="k")
    request = client.take("action")
    assert {name: value for name, value in request.items() if name != "id"} == {
        "op": "action",
        "server": 1,
        "action": PING,
        "timeout": 5,
        "wait": True,
        "idempotency_key": "k",
    }
    client.send(reply(request, 1, items=[{"Event": "x"}], uniqueid="1.2"))
    settled, value = result(page)
    assert settled == "fulfilled"
    assert (value["server"], value["items"], value["uniqueid"]) == (1, [{"Event": "x"}], "1.2")
    assert "op" not in value


def test_an_action_for_several_servers(page: Page, server: V2Server) -> None:
    client = live(page, server)
    ask(page, "actions", [1, 2])
    request = client.take("action")
    assert request["server"] == [1, 2]
    client.send(reply(request, 2, 2))
    wait_for(page, "seen.length === 1")
    assert page.evaluate("result") is None
    client.send(reply(request, 1, 2, outcome="refused"))
    assert [one["server"] for one in result(page)[1]] == [2, 1]
    assert page.evaluate("seen") == [2, 1]


def test_an_action_that_is_not_sent(page: Page, server: V2Server) -> None:
    start(page, server)
    server.client()
    ask(page, "action", 1)
    assert result(page) == ["rejected", "not_connected"]
    server.client().hello()
    wait_for(page, "amiws.status.state === 'live'")
    ask(page, "action", 9)
    request = server.client().take("action")
    problem = {"op": "error", "id": request["id"], "code": "unknown_server", "message": "no"}
    server.client().send(problem)
    assert result(page) == ["rejected", "unknown_server"]


def test_a_connection_lost_leaves_the_outcome_unknown(page: Page, server: V2Server) -> None:
    pbxs = [{"server": 0, "kind": "server", "id": str(n), "sync": "live"} for n in (1, 2, 3)]
    client = live(page, server, *pbxs)
    ask(page, "actions", "all")
    request = client.take("action")
    assert request["server"] == "all"
    client.send(reply(request, 2, 3))
    wait_for(page, "seen.length === 1")
    client.cut()
    replies = result(page)[1]
    assert [(one["server"], one["outcome"]) for one in replies] == [
        (2, "answered"),
        (1, "unknown"),
        (3, "unknown"),
    ]
    assert replies[1]["reason"] == "the connection to amiws-gevent was lost"


def test_an_action_past_its_time(page: Page, server: V2Server) -> None:
    client = live(page, server)
    ask(page, "action", 1, timeout=5)
    request = client.take("action")
    page.clock.run_for(15_100)
    settled, value = result(page)
    assert (settled, value["outcome"]) == ("fulfilled", "unknown")
    client.send(reply(request, 1))  # after all
    in_turn(page, client)
    assert page.evaluate("seen") == [1]


def test_an_action_that_is_given_up(page: Page, server: V2Server) -> None:
    client = live(page, server)
    page.evaluate(
        """() => {
          window.control = new AbortController();
          window.errors = [];
          const note = (error) => errors.push(error.name);
          const options = { signal: control.signal, onReply: () => errors.push("told") };
          amiws.action(1, { Action: "Ping" }, options).catch(note);
          amiws.action(1, { Action: "Ping" }, { signal: AbortSignal.abort() }).catch(note);
        }"""
    )
    request = client.take("action")
    page.evaluate("control.abort()")
    wait_for(page, "errors.length === 2")
    client.send(reply(request, 1))
    in_turn(page, client)
    assert page.evaluate("errors") == ["AbortError", "AbortError"]
    assert len(client.requests) == 1


def test_answers_that_nobody_waits_for(page: Page, server: V2Server) -> None:
    client = live(page, server)
    client.send(json.loads('{"op": "error", "code": "bad_json", "message": "?"}'))
    client.send(reply({"id": 77}, 1), {"op": "pong", "id": 1, "time": 1})
    in_turn(page, client)
    assert page.evaluate("amiws.status.state") == "live"
