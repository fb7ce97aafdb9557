"""What a subscription of amiws.v2 has, from its snapshot over cuts and restarts to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_v2_protocol import Setup
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, configuration
from tests.support.v2_client import V2Client

pytestmark = pytest.mark.slow


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with ExitStack() as stack:
        yield Setup(tmp_path, stack)


def callers(client: V2Client, name: str) -> list[str]:
    """The callers that a collection has, in the order of their places; none before its snapshot."""
    known = client.collections.get(name, {})
    found = [item for key, item in known.items() if key[1] == "queue_caller"]
    return [item["id"] for item in sorted(found, key=lambda item: item["position"])]


def test_a_snapshot_and_then_what_changes(setup: Setup) -> None:
    client = setup.live()
    setup.pbx.join("sales", "1.1")
    name = client.subscribe("state", kind=["queue", "queue_caller"])
    client.wait(lambda: callers(client, name) == ["1.1"], "who was there before")
    assert client.collections[name][1, "queue", "support"]["waiting"] == 0
    setup.pbx.join("sales", "1.2")
    client.wait(lambda: callers(client, name) == ["1.1", "1.2"], "who comes")
    setup.pbx.leave("sales", "1.1")
    client.wait(lambda: callers(client, name) == ["1.2"], "who leaves")
    client.wait(
        lambda: client.collections[name][1, "queue_caller", "1.2"]["position"] == 1, "the place"
    )
    assert client.of("event") == client.of("gap") == []


def test_what_changes_alone_is_told(setup: Setup) -> None:
    client = setup.live()
    name = client.subscribe("state", kind="queue", queue="sales")
    setup.pbx.join("sales", "1.1")
    client.wait(lambda: client.collections[name][1, "queue", "sales"]["waiting"] == 1, "one waits")
    # what is younger than the last flush may be told once more, whole, after the snapshot
    before = len(client.of("state", name))
    setup.pbx.join("sales", "1.2")
    client.wait(lambda: client.collections[name][1, "queue", "sales"]["waiting"] == 2, "two wait")
    changes = [item for message in client.of("state", name)[before:] for item in message["set"]]
    assert {item["id"] for item in changes} == {"sales"}
    assert all("strategy" not in item for item in changes)


def test_events_alone(setup: Setup) -> None:
    client = setup.live()
    name = client.subscribe("events", event=["userevent", "QueueCallerJoin"])
    setup.pbx.news(2)
    setup.pbx.event("Other")
    setup.pbx.join("sales", "1.1")
    client.wait(lambda: len(client.events(name)) == 3, "three events")
    assert client.events(name) == ["1", "2", "QueueCallerJoin"]
    assert client.of("snapshot", name) == client.of("state", name) == []
    message = client.of("event", name)[0]["message"]
    assert list(message) == ["type", "server_id", "server_name", "ssl", "data"]


def test_an_event_comes_no_later_than_the_state_that_it_has_made(setup: Setup) -> None:
    client = setup.live()
    name = client.subscribe("state", "events", queue="sales")
    setup.pbx.join("sales", "1.1")
    client.wait(lambda: callers(client, name) == ["1.1"], "the caller")
    told = [m["op"] for m in client.messages if m.get("subscription") == name]
    assert told.index("event") < told.index("state")


def test_each_subscription_is_a_collection_of_its_own(setup: Setup) -> None:
    client = setup.live()
    sales = client.subscribe("state", queue="sales")
    support = client.subscribe("state", queue="support")
    assert sales != support
    setup.pbx.join("support", "1.1")
    client.wait(lambda: callers(client, support) == ["1.1"], "the caller")
    assert callers(client, sales) == []
    other = setup.live()
    assert other.subscribe("state", queue=["sales"]) == sales


def test_nothing_comes_after_unsubscribed(setup: Setup) -> None:
    client = setup.live()
    gone = client.subscribe("state", "events", queue="sales")
    stays = client.subscribe("state", "events", queue=["sales", "support"])
    answer = client.request("unsubscribe", subscription=gone)
    assert answer["op"] == "unsubscribed"
    setup.pbx.join("sales", "1.1")
    client.wait(lambda: callers(client, stays) == ["1.1"], "the caller")
    at = client.messages.index(answer)
    assert [m for m in client.messages[at + 1 :] if m.get("subscription") == gone] == []
    error = client.request("unsubscribe", subscription=gone)
    assert error["code"] == "unknown_subscription"


def test_what_leaves_a_filter_is_unset_and_what_enters_comes_whole(setup: Setup) -> None:
    client = setup.live()
    name = client.subscribe("state", kind="queue_caller", extension="201")
    everything = client.subscribe("state", kind="queue_caller")
    pbx = setup.pbx
    pbx.callers["sales"].append("1.1")

    def joins(number: str) -> None:
        pbx.event("QueueCallerJoin", Queue="sales", Uniqueid="1.1", Position=1, CallerIDNum=number)

    joins("200")
    client.wait(lambda: callers(client, everything) == ["1.1"], "the caller")
    assert callers(client, name) == []
    joins("201")
    client.wait(lambda: callers(client, name) == ["1.1"], "it enters")
    (entered,) = client.of("state", name)[-1]["set"]
    assert entered.keys() == client.collections[everything][1, "queue_caller", "1.1"].keys()
    joins("202")
    client.wait(lambda: callers(client, name) == [], "it leaves")
    (left,) = client.of("state", name)[-1]["unset"]
    assert left == {"server": 1, "kind": "queue_caller", "id": "1.1"}
    assert callers(client, everything) == ["1.1"]


def test_one_that_was_cut_off_gets_what_it_missed_and_nothing_twice(setup: Setup) -> None:
    asked: dict[str, Any] = {"kind": ["queue", "queue_caller"]}
    stays, cut = setup.live(), setup.live()
    whole = stays.subscribe("state", "events", **asked)
    name = cut.subscribe("state", "events", **asked)
    setup.pbx.join("sales", "1.1")
    setup.pbx.news(3)
    cut.wait(lambda: callers(cut, name) == ["1.1"] and len(cut.events(name)) == 4, "all so far")
    collection = cut.collections[name]
    seen = cut.events(name)
    cut.close()
    setup.pbx.join("sales", "1.2")
    setup.pbx.leave("sales", "1.1")
    setup.pbx.join("support", "1.3")
    setup.pbx.news(3)
    stays.wait(
        lambda: (
            len(stays.events(whole)) == 10
            and stays.collections[whole][1, "queue", "support"]["waiting"] == 1
        ),
        "all with who stayed",
    )
    again = setup.client()
    again.collections[name] = collection
    answer = again.resume(cut.positions[name], "state", "events", **asked)
    assert (answer["subscription"], answer["resumed"]) == (name, True)
    setup.pbx.news()
    again.wait(lambda: again.events(name)[-1:] == ["7"], "the newest")
    stays.wait(lambda: stays.events(whole)[-1:] == ["7"], "the newest")
    again.wait(
        lambda: again.collections[name] == stays.collections[whole], "the state of who stayed"
    )
    assert again.of("snapshot") == again.of("gap") == []
    assert seen + again.events(name) == stays.events(whole)


def test_a_position_of_something_else_is_a_gap_and_a_snapshot(setup: Setup) -> None:
    client = setup.live()
    setup.pbx.join("sales", "1.1")
    other = client.subscribe("state", "events", queue="support")
    for position in ("nonsense", "", client.positions[other]):
        answer = client.resume(position, "state", "events", kind="queue_caller")
        name = answer["subscription"]
        assert answer["resumed"] is False
        client.wait(lambda name=name: callers(client, name) == ["1.1"], "the snapshot")  # type: ignore[misc]
        gaps = client.of("gap", name)
        assert {gap["stream"] for gap in gaps} >= {"state"}
        client.request("unsubscribe", subscription=name)


def test_a_restart_of_the_program_is_a_gap(tmp_path: Path) -> None:
    with ExitStack() as stack:
        setup = Setup(tmp_path, stack)
        client = setup.live()
        name = client.subscribe("state", "events", kind="queue_caller")
        setup.pbx.join("sales", "1.1")
        client.wait(lambda: callers(client, name) == ["1.1"], "the caller")
        position = client.positions[name]
        setup.program.process.terminate()
        assert client.wait_closed() == 1001
        setup.program.process.wait(WAIT)
        text = configuration(ami_host(setup.pbx.server.port), more="live_state: yes\n")
        again = tmp_path / "again"
        again.mkdir()
        setup.program = stack.enter_context(Program(again, text))
        client = setup.live()
        answer = client.resume(position, "state", "events", kind="queue_caller")
        assert (answer["subscription"], answer["resumed"]) == (name, False)
        client.wait(lambda: callers(client, name) == ["1.1"], "the snapshot")
        gaps = client.of("gap", name)
        assert {gap["stream"] for gap in gaps} == {"state", "events"}
        assert all(gap["lost"] is None for gap in gaps)


def test_a_server_that_is_lost_is_stale_and_keeps_its_state(setup: Setup) -> None:
    client = setup.live()
    setup.pbx.join("sales", "1.1")
    setup.pbx.join("sales", "1.2")
    name = client.subscribe("state")

    def sync() -> object:
        return client.collections[name][0, "server", "1"]["sync"]

    client.wait(lambda: callers(client, name) == ["1.1", "1.2"], "the callers")
    setup.pbx.server.kill()
    client.wait(lambda: sync() == "stale", "the loss")
    assert callers(client, name) == ["1.1", "1.2"]
    setup.pbx.callers["sales"] = ["1.2"]
    setup.pbx.server.restart()
    client.wait(lambda: sync() == "live", "the server is back")
    client.wait(lambda: callers(client, name) == ["1.2"], "who left meanwhile")
    assert len(client.of("snapshot", name)) == 1
