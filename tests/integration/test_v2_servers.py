"""Servers that go and come back, or that a reload takes away: what clients of amiws.v2 see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.integration.test_v2_protocol import MORE, Setup
from tests.support.program import ami_host, configuration
from tests.support.v2_client import QueuePbx, V2Client

pytestmark = pytest.mark.slow

KINDS = ["queue", "queue_caller"]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def told(client: V2Client, name: str, since: int) -> tuple[set[str], set[str]]:
    """The ids that were set and unset since a message."""
    messages = [m for m in client.messages[since:] if m.get("subscription") == name]
    states = [m for m in messages if m["op"] == "state"]
    found = [{item["id"] for m in states for item in m[part]} for part in ("set", "unset")]
    return found[0], found[1]


def is_live(client: V2Client, servers: str, server: str = "1") -> bool:
    return bool(client.collections[servers][0, "server", server]["sync"] == "live")


def test_what_is_still_there_after_a_loss_is_not_told_again(
    tmp_path: Path, stack: ExitStack
) -> None:
    setup = Setup(tmp_path, stack)
    client = setup.live()
    for caller in ("1.1", "1.2", "1.3"):
        setup.pbx.join("sales", caller)
    name = client.subscribe("state", kind="queue_caller")
    servers = client.subscribe("state", server=0)
    setup.pbx.join("support", "2.1")  # with it the flush of the others is over
    client.wait(lambda: len(client.collections[name]) == 4, "the callers")
    before = {key: dict(item) for key, item in client.collections[name].items()}
    position, since = client.positions[name], len(client.messages)
    for _ in range(3):
        setup.pbx.server.kill()
        client.wait(lambda: not is_live(client, servers), "the loss")
        setup.pbx.callers["sales"] = ["1.1", "1.3", "1.4"]
        setup.pbx.server.restart()
        client.wait(lambda: is_live(client, servers), "it is back")
    client.wait(lambda: (1, "queue_caller", "1.4") in client.collections[name], "who has come")
    assert told(client, name, since) == ({"1.3", "1.4"}, {"1.2"})  # 1.3 moves up
    assert client.of("gap", name) == []
    assert len(client.of("snapshot", name)) == 1
    again = setup.client()
    again.collections[name] = dict(before)
    answer = again.resume(position, "state", kind="queue_caller")
    assert answer["resumed"] is True
    again.wait(lambda: again.of("state", name), "what was missed")
    assert told(again, name, 0) == ({"1.3", "1.4"}, {"1.2"})
    assert again.collections[name] == client.collections[name]


class Two:
    """Two servers with a caller each, and a client that has all of it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.setup = Setup(folder, stack)
        self.other = QueuePbx("sales")
        stack.enter_context(self.other.server)
        self.hosts = [
            ami_host(self.setup.pbx.server.port, "one", "id: 1"),
            ami_host(self.other.server.port, "two", "id: 2"),
        ]
        self.program = self.setup.program
        self.program.reload(configuration(*self.hosts, more=MORE))
        self.client = client = self.setup.client()
        self.servers = client.subscribe("state", server=0)
        self.name = client.subscribe("state", "events", kind="queue_caller")
        self.setup.pbx.callers["sales"] = ["1.1"]
        self.other.callers["sales"] = ["2.1"]
        client.wait(
            lambda: all(
                (0, "server", n) in client.collections[self.servers]
                and is_live(client, self.servers, n)
                for n in ("1", "2")
            ),
            "both",
        )
        self.setup.pbx.join("sales", "1.9")
        self.other.join("sales", "2.9")
        client.wait(lambda: {"1.9", "2.9"} <= self.callers(), "the callers")

    def callers(self) -> set[str]:
        return {key[2] for key in self.client.collections[self.name]}


def test_a_server_that_a_reload_removes_takes_its_entities_along(
    tmp_path: Path, stack: ExitStack
) -> None:
    two = Two(tmp_path, stack)
    two.program.reload(configuration(two.hosts[0], more=MORE))
    two.client.wait(lambda: not any(one.startswith("2.") for one in two.callers()), "it is gone")
    assert (0, "server", "2") not in two.client.collections[two.servers]
    assert "1.9" in two.callers()
    two.setup.pbx.join("sales", "1.10")
    two.client.wait(lambda: "1.10" in two.callers(), "the other goes on")
    two.client.wait(
        lambda: two.client.events(two.name)[-1:] == ["QueueCallerJoin"], "as its events"
    )
    two.program.reload(configuration(*two.hosts, more=MORE))
    two.client.wait(lambda: "2.9" in two.callers(), "it is back")


def test_a_server_that_a_reload_changes_is_told_anew_and_its_position_is_a_gap(
    tmp_path: Path, stack: ExitStack
) -> None:
    two = Two(tmp_path, stack)
    position = two.client.positions[two.name]
    two.program.reload(configuration(two.hosts[0], two.hosts[1] + "  login: md5\n", more=MORE))
    two.client.wait(lambda: two.client.of("gap", two.name), "the gap")
    two.client.wait(lambda: {"1.9", "2.9"} <= two.callers(), "both")
    again = stack.enter_context(V2Client(two.program.port))
    answer = again.resume(position, "state", "events", kind="queue_caller")
    assert answer["resumed"] is False
    again.wait(lambda: two.name in again.collections, "the snapshot")
    gaps = {(gap["stream"], gap["reason"], gap.get("server")) for gap in again.of("gap")}
    assert gaps == {("events", "restart", 2), ("state", "restart", None)}

    def both_have_the_same() -> object:
        two.client.take()
        return again.collections[two.name] == two.client.collections[two.name]

    again.wait(both_have_the_same, "the same")


def test_without_a_live_state_everything_says_so(tmp_path: Path, stack: ExitStack) -> None:
    setup = Setup(tmp_path, stack)
    client = setup.live()
    position_of = client.subscribe("state", kind="queue")
    setup.program.reload(configuration(ami_host(setup.pbx.server.port), more="live_state: no\n"))
    client.wait(lambda: client.collections[position_of] == {}, "nothing is told any more")
    servers = client.subscribe("state", server=0, kind="server")
    assert client.collections[servers][0, "server", "1"]["sync"] == "off"
    refused = client.request("subscribe", streams=["state"], filters={"kind": "channel"})
    assert (refused["op"], refused["code"]) == ("error", "state_off")
    name = client.subscribe("events")
    setup.pbx.join("sales", "1.1")
    client.wait(lambda: client.events(name) == ["QueueCallerJoin"], "events go on")
    fresh = setup.client()
    (server,) = fresh.hello["servers"]
    assert server["sync"] == "off"
    url = f"http://127.0.0.1:{setup.program.port}/api/v1/"
    (server,) = requests.get(url + "servers", timeout=60).json()["items"]
    assert server["sync"] == "off"
    answer = requests.get(url + "state/channel", timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (409, "state_off")
