"""A collector and two edges over a real Redis: what clients get, and what they get amid faults."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.ami_server import AmiServer, Connection, Packet
from tests.support.listing import Lists, channel, event
from tests.support.program import Program, ami_host, wait_until
from tests.support.site import Site, get, logged_in, metric, wait_ready
from tests.support.v2_client import V2Client
from tests.support.ws_client import Client

pytestmark = pytest.mark.slow


@pytest.fixture
def lists() -> Lists:
    made = Lists()
    made.items = {"CoreShowChannels": [channel(1), channel(2)]}
    return made


@pytest.fixture
def ami(lists: Lists) -> Iterator[AmiServer]:
    with AmiServer(on_action=lists) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, ami: AmiServer) -> Iterator[Site]:
    with Site(tmp_path, ami_host(ami.port)) as made:
        yield made


def channels(client: V2Client) -> set[str]:
    client.take()
    return {
        key for held in client.collections.values() for _, kind, key in held if kind == "channel"
    }


def wait_channels(client: V2Client, *keys: int) -> None:
    wanted = {f"{key}.1" for key in keys}
    wait_until(lambda: channels(client) == wanted, f"channels {wanted}, not {channels(client)}")


def wait_event(client: V2Client, name: str, number: str) -> None:
    wait_until(lambda: number in client.events(name), f"event {number}")


def user_event(number: object) -> bytes:
    return event("UserEvent", Number=str(number))


def came_back(client: V2Client, name: str, edge: Program, *, resumed: bool = True) -> V2Client:
    """The same client at another edge, where it goes on."""
    client.close()
    again = V2Client(edge.port)
    again.collections = {name: dict(client.collections[name])}
    answer = again.resume(client.positions[name], "state", "events")
    assert answer["resumed"] is resumed, answer
    return again


def test_clients_of_two_edges_and_the_classic_socket(site: Site, ami: AmiServer) -> None:
    collector = site.collector()
    link = logged_in(ami)
    first, second = site.edge(), site.edge()
    with V2Client(first.port) as one, V2Client(second.port) as two, Client(second.port) as classic:
        names = [client.subscribe("state", "events") for client in (one, two)]
        for client in (one, two):
            wait_channels(client, 1, 2)
        link.send(event("Newchannel", **channel(3)) + user_event(1))
        for client, name in zip((one, two), names, strict=True):
            wait_channels(client, 1, 2, 3)
            wait_event(client, name, "1")
        classic.wait_for_event("UserEvent")
        classic.send({"Action": "CoreStatus", "ActionID": "mine"})
        wait_until(
            lambda: any(m["data"].get("ActionID") == "mine" for m in classic.messages), "answer"
        )
        assert one.of("gap") == two.of("gap") == []
    state = wait_ready(first.port)
    assert state["bus"]["process"] == "edge"
    assert state["servers"][0]["connected"]
    state = wait_ready(collector.metrics_port)
    assert (state["bus"]["process"], state["bus"]["up"]) == ("collector", True)
    assert metric(first.port, "amiws_bus_up") == [1.0]
    with pytest.raises(InvalidStatus):
        Client(collector.metrics_port)


def test_a_client_goes_on_at_another_edge_and_at_one_that_was_restarted(
    site: Site, ami: AmiServer
) -> None:
    site.collector()
    link = logged_in(ami)
    first, second = site.edge(), site.edge()
    client = V2Client(first.port)
    name = client.subscribe("state", "events")
    wait_channels(client, 1, 2)
    link.send(event("Newchannel", **channel(3)) + user_event(1))
    wait_channels(client, 1, 2, 3)
    wait_event(client, name, "1")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    link.send(event("Newchannel", **channel(4)) + user_event(2))
    with came_back(client, name, second) as again:
        wait_channels(again, 1, 2, 3, 4)
        wait_event(again, name, "2")
        assert again.events(name) == ["Newchannel", "2"]
        third = site.edge()
        link.send(user_event(3))
        wait_event(again, name, "3")
        with came_back(again, name, third) as last:
            link.send(event("Newchannel", **channel(5)) + user_event(4))
            wait_channels(last, 1, 2, 3, 4, 5)
            wait_event(last, name, "4")
            assert last.of("gap") == last.of("snapshot") == []


def test_a_collector_is_killed_and_another_one_begins(site: Site, ami: AmiServer) -> None:
    collector = site.collector()
    logged_in(ami)
    edge = site.edge()
    with V2Client(edge.port) as client:
        name = client.subscribe("state", "events")
        wait_channels(client, 1, 2)
        collector.process.send_signal(signal.SIGKILL)
        collector.process.wait()
        wait_until(lambda: sync_of(client, name) == "stale", "the server is stale")
        assert "no collector" in client.collections[name][0, "server", "1"]["sync_reason"]
        assert channels(client) == {"1.1", "2.1"}, "what is known is kept"
        assert not wait_ready(edge.port, ready=False)["bus"]["up"]
        reply = client.request("action", server=1, action={"Action": "Ping"})
        assert reply["outcome"] == "unreachable"
        site.collector()
        link = logged_in(ami, 2)
        wait_until(lambda: sync_of(client, name) == "live", "the server is live")
        wait_channels(client, 1, 2)
        link.send(user_event(7))
        wait_event(client, name, "7")
        wait_ready(edge.port)
        wait_until(lambda: gaps(client) == {"state", "events"}, "the gaps of both streams")


def gaps(client: V2Client) -> set[str]:
    """The streams in which it was told of gaps."""
    client.take()
    return {one["stream"] for one in client.of("gap")}


def sync_of(client: V2Client, name: str) -> Any:
    client.take()
    return client.collections[name].get((0, "server", "1"), {}).get("sync")


def test_an_action_under_way_at_a_collector_that_is_lost_is_unknown(
    site: Site, ami: AmiServer, lists: Lists
) -> None:
    came = threading.Event()

    def silent(_connection: Connection, _packet: Packet) -> None:
        came.set()

    lists.special["SilentlyWait"] = silent
    collector = site.collector()
    logged_in(ami)
    edge = site.edge()
    with V2Client(edge.port) as client:
        client.subscribe("events")
        action = {"Action": "SilentlyWait"}
        client.send({"op": "action", "id": 9, "server": 1, "action": action, "timeout": 60})
        assert came.wait(60)
        collector.process.send_signal(signal.SIGKILL)
        collector.process.wait()
        client.wait(lambda: client.of("reply"), "the reply")
        assert client.of("reply")[0]["outcome"] == "unknown"


def test_redis_is_away_and_comes_back_with_and_without_its_data(site: Site, ami: AmiServer) -> None:
    site.collector()
    link = logged_in(ami)
    edge = site.edge()
    with V2Client(edge.port) as client:
        name = client.subscribe("state", "events")
        wait_channels(client, 1, 2)
        for number in (3, 4):
            link.send(user_event(f"before {number}"))
            wait_event(client, name, f"before {number}")
            site.redis.kill()
            wait_until(lambda: sync_of(client, name) == "stale", "the server is stale")
            link.send(event("Newchannel", **channel(number)))
            site.redis.start()
            wait_until(lambda: sync_of(client, name) == "live", "the server is live")
            wait_channels(client, *range(1, number + 1))
            link.send(user_event(f"after {number}"))
            wait_event(client, name, f"after {number}")
            wait_ready(edge.port)
        assert len(client.of("snapshot")) == 1, "the state goes on: it is not told anew"
        assert {one["stream"] for one in client.of("gap")} <= {"events"}


def test_a_collector_that_stands_still_past_its_lease_ends(site: Site, ami: AmiServer) -> None:
    first = site.collector()
    logged_in(ami)
    edge = site.edge()
    second = site.collector()
    with V2Client(edge.port) as client:
        name = client.subscribe("state", "events")
        wait_channels(client, 1, 2)
        os.kill(first.process.pid, signal.SIGSTOP)
        link = logged_in(ami, 2)
        link.send(user_event(1))
        wait_event(client, name, "1")
        os.kill(first.process.pid, signal.SIGCONT)
        assert first.process.wait(60) == 75, first.log
        link.send(user_event(2))
        wait_event(client, name, "2")
        assert "this collector has the lease" in second.log
        wait_channels(client, 1, 2)


def test_an_action_is_answered_to_who_asked_alone_and_recorded(
    site: Site, ami: AmiServer, tmp_path: Path
) -> None:
    (tmp_path / "audit").mkdir()
    key = tmp_path / "audit.key"
    key.write_text("k" * 64 + "\n")
    key.chmod(0o600)
    audit = f"audit:\n  file: {tmp_path / 'audit' / 'log'}\n  key_file: {key}\n"
    site.collector(audit)
    logged_in(ami)
    first, second = site.edge(audit), site.edge(audit)
    with V2Client(first.port) as one, V2Client(second.port) as two, V2Client(first.port) as three:
        for client in (one, two, three):
            client.subscribe("events")
        reply = one.request("action", server=1, action={"Action": "CoreShowChannels"})
        assert (reply["outcome"], len(reply["items"])) == ("answered", 2)
        assert two.of("reply") == three.of("reply") == []
        refused = two.request("action", server=1, action={"Action": "Logoff"})
        assert refused["op"] == "error"

    def records() -> list[dict[str, Any]]:
        status, told = get(second.port, "/api/v1/audit")
        assert status == 200, told
        return list(told["items"])

    wait_until(
        lambda: (
            {("CoreShowChannels", True), (None, False)}
            <= {(one.get("action"), one.get("allowed")) for one in records()}
        ),
        "both in the audit",
    )
