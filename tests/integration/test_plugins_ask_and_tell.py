"""Plugins that ask, tell and watch, in the real program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.test_v2_protocol import MORE, Setup
from tests.support.metrics import get
from tests.support.plugins import write
from tests.support.program import ami_host, configuration
from tests.support.ws_client import Client

pytestmark = pytest.mark.slow

ALARM = """
class Plugin:
    def amiws_startup(self, context):
        self.context = context
        self.alarms = context.counter("alarms", "Queues that were full.")

    def amiws_state_changed(self, changes, server):
        for entity in changes.set:
            if entity["kind"] == "queue" and entity.get("waiting", 0) >= 2:
                queue = self.context.state.get(server.id, "queue", entity["id"])
                answer = self.context.ask(server.id, {"Action": "QueueStatus"})
                self.context.publish(
                    "QueueFull", Queue=queue["name"], Waiting=queue["waiting"],
                    Items=len(answer.items), Ok=answer.ok,
                )
                self.alarms.add()
"""

MASK = "plugins: [{mask: {callers: last4}}]\n"

HIDING = """
REQUIRED = True

def amiws_transform_message(message):
    return message.replace("CallerIDNum", "***")
"""

HIDING_ALL = """
REQUIRED = True

def amiws_transform_entity(entity):
    if entity["kind"] == "queue":
        raise ValueError("this one is kept back")
    return {**entity, "number": "***"}
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def site(folder: Path, stack: ExitStack, source: str) -> Setup:
    path = write(folder, source)
    return Setup(folder, stack, f"plugins: [{path}]\n")


def test_a_plugin_tells_clients_of_a_full_queue(tmp_path: Path, stack: ExitStack) -> None:
    setup = site(tmp_path, stack, ALARM)
    client = setup.live()
    name = client.subscribe("events", server=0)
    with Client(setup.program.port) as classic:
        setup.pbx.join("sales", "1.1")
        setup.pbx.join("sales", "1.2")
        client.wait(lambda: client.of("event", name), "the plugin's event")
        setup.pbx.news()
        classic.wait_for_event("UserEvent")
        told = [message["data"].get("Event") for message in classic.messages]
        assert told == ["QueueCallerJoin", "QueueCallerJoin", "UserEvent"]
    message = client.of("event", name)[0]["message"]
    assert (message["server_id"], message["server_name"]) == (0, "amiws-gevent")
    data = message["data"]
    assert int(data.pop("Items")) >= 2
    assert data == {
        "Event": "QueueFull",
        "Plugin": "mine",
        "Queue": "sales",
        "Waiting": "2",
        "Ok": "true",
    }
    text = get(setup.program.port, "/metrics").body.decode()
    assert "amiws_own_mine_alarms_total{plugin=" in text


def test_a_plugin_that_hides_in_messages_alone_keeps_the_state_back(
    tmp_path: Path, stack: ExitStack
) -> None:
    setup = site(tmp_path, stack, HIDING)
    client = setup.client()
    assert "state" not in client.hello["features"]
    assert client.subscribe("state", kind="server"), "of which there is nothing to hide"
    answer = client.request("subscribe", streams=["state", "events"])
    assert (answer["op"], answer["code"]) == ("error", "state_withheld")
    assert client.subscribe("events")
    refused = get(setup.program.port, "/api/v1/state/queue")
    assert refused.status == 403
    assert refused.json["code"] == "state_withheld"
    setup.program.wait_for_log("clients get no live state: the plugin")


def test_what_a_required_plugin_fails_on_is_not_shown(tmp_path: Path, stack: ExitStack) -> None:
    setup = site(tmp_path, stack, HIDING_ALL)
    client = setup.live()
    name = client.subscribe("state", kind=["queue", "queue_caller"])
    setup.pbx.join("sales", "1.1")
    key = (1, "queue_caller", "1.1")
    client.wait(lambda: key in client.collections[name], "the caller")
    assert client.collections[name][key]["number"] == "***"
    assert {kind for _, kind, _ in client.collections[name]} == {"queue_caller"}


def test_a_reload_that_adds_mask_shows_the_state_anew(tmp_path: Path, stack: ExitStack) -> None:
    setup = Setup(tmp_path, stack)
    client = setup.live()
    name = client.subscribe("state", kind="queue_caller")
    setup.pbx.event(
        "QueueCallerJoin",
        Queue="sales",
        Uniqueid="1.1",
        Channel="SIP/x-00000001",
        Position=1,
        Count=1,
        CallerIDNum="0301234567",
        CallerIDName="Anna Example",
    )
    key = (1, "queue_caller", "1.1")
    client.wait(lambda: key in client.collections[name], "the caller")
    assert client.collections[name][key]["number"] == "0301234567"
    text = configuration(ami_host(setup.pbx.server.port), more=MORE + MASK)
    setup.program.reload(text)
    client.wait(lambda: client.of("gap", name), "the gap")
    client.wait(
        lambda: client.collections[name].get(key, {}).get("number") == "******4567", "the mask"
    )
    assert client.collections[name][key]["name"] == "***"
