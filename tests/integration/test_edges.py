"""A collector and two edges over a real Redis: what clients get, and what they get amid faults."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.ami_server import AmiServer, Connection, Packet
from tests.support.listing import Lists, channel, event
from tests.support.patience import WAIT
from tests.support.program import Program, ami_host, wait_until
from tests.support.site import CollectorProgram, Site, get, logged_in, metric, wait_ready
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


def test_a_collector_is_killed_and_another_one_begins(tmp_path: Path, ami: AmiServer) -> None:
    with Site(tmp_path, ami_host(ami.port), short=True) as site:
        collector = site.collector()
        logged_in(ami)
        edge = site.edge()
        with V2Client(edge.port) as client:
            name = client.subscribe("state", "events")
            wait_channels(client, 1, 2)
            collector.process.send_signal(signal.SIGKILL)
            collector.process.wait()
            wait_until(lambda: sync_of(client, name) == "stale", "the server is stale")
            fields = client.collections[name][0, "server", "1"]
            assert "no collector" in fields["sync_reason"]
            assert fields["connection"] == "waiting"
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
            assert gaps(client) == {"events"}
            assert len(client.of("snapshot")) == 1, "the state goes on"


class Company:
    """Four servers, each with a channel of its number, that two collectors share evenly."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.amis = [self._server(number, stack) for number in SERVERS]
        hosts = [ami_host(ami.port, f"pbx{ami.port}") for ami in self.amis]
        # A Redis that knows of no leases grants none for a while; meanwhile both come.
        self.site = stack.enter_context(Site(folder, *hosts, short=True, settled=False))
        with ThreadPoolExecutor() as threads:
            starting = [threads.submit(self.site.collector) for _ in range(2)]
            self.collectors = [one.result() for one in starting]
        wait_until(lambda: self.shares() == [2, 2], "each has two servers")
        self.moves = dict.fromkeys(SERVERS, 0)
        """By server, how often it has moved."""
        for ami in self.amis:
            ami.wait_for(lambda server: server.connections and server.connections[-1].logged_in)
        self.first = [len(ami.connections) for ami in self.amis]
        self.edge = self.site.edge()
        self.client = stack.enter_context(V2Client(self.edge.port))
        self.names = {
            number: self.client.subscribe("state", "events", server=number) for number in SERVERS
        }
        self.servers = self.client.subscribe("state", kind=["server"])
        for number in SERVERS:
            self.wait_channel(number)
        self.client.take()

    @staticmethod
    def _server(number: int, stack: ExitStack) -> AmiServer:
        lists = Lists()
        lists.items = {"CoreShowChannels": [channel(number)]}
        return stack.enter_context(AmiServer(on_action=lists))

    @staticmethod
    def servers_of(collector: CollectorProgram) -> set[int]:
        """The numbers of the servers that it has."""
        return {int(lease[7:]) for lease in collector.leases - {"program"}}

    def shares(self) -> list[int]:
        return [len(self.servers_of(collector)) for collector in self.collectors]

    def wait_channel(self, number: int) -> None:
        wanted = (number, "channel", f"{number}.1")
        held = self.client.collections[self.names[number]]
        self.client.wait(lambda: wanted in held, f"the channel of {number}")

    def wait_has(self, collector: CollectorProgram, *servers: int) -> None:
        wait_until(lambda: self.servers_of(collector) == set(servers), f"it has {servers}")

    def link(self, number: int) -> Connection:
        """The newest connection to a server."""
        place = number - 1
        made: Connection = logged_in(self.amis[place], self.first[place] + self.moves[number])
        return made

    def syncs(self) -> set[str]:
        return {fields["sync"] for fields in self.client.collections[self.servers].values()}

    def moved(self, servers: Iterable[int]) -> None:
        """These are with another collector."""
        for number in servers:
            self.moves[number] += 1

    def check(self, word: str) -> None:
        """Each server says something, which its client hears; each has as many gaps as moves."""
        for number in SERVERS:
            self.link(number).send(user_event(word))
            wait_event(self.client, self.names[number], word)
        self.client.wait(lambda: self.syncs() == {"live"}, "the collectors tell of all servers")
        assert {gap["stream"] for gap in self.client.of("gap")} <= {"events"}
        gaps = {number: len(self.client.of("gap", name)) for number, name in self.names.items()}
        assert gaps == self.moves
        for name in (*self.names.values(), self.servers):
            assert len(self.client.of("snapshot", name)) == 1, "nothing is told anew"
        assert all(told["unset"] == [] for told in self.client.of("state")), "no channel went"


SERVERS = (1, 2, 3, 4)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with ExitStack() as stack:
        yield Company(tmp_path, stack)


def test_collectors_are_killed_stand_still_and_are_replaced(company: Company) -> None:
    """Each server has one gap for each time that it moves, and no other."""
    first, second = company.collectors
    company.check("before")
    check_an_action_of_all(company)

    lost = company.servers_of(first)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    company.wait_has(second, *SERVERS)
    company.moved(lost)
    company.check("killed")
    assert len(metric(second.metrics_port, "amiws_bus_lease_term")) == 5

    third = company.site.collector()
    check_nothing_comes_of_one_that_stands_still(company, second, third)

    fourth = company.site.collector()
    third.process.terminate()
    assert third.process.wait(WAIT) == 0
    company.wait_has(fourth, *SERVERS)
    company.moved(SERVERS)
    company.check("replaced")


def check_an_action_of_all(company: Company) -> None:
    client = company.client
    client.send({"op": "action", "id": 98, "server": "all", "action": {"Action": "CoreStatus"}})
    client.wait(lambda: len(client.of("reply")) == 4, "a reply of each server")
    assert {reply["server"] for reply in client.of("reply")} == set(SERVERS)
    assert {reply["outcome"] for reply in client.of("reply")} == {"answered"}


def check_nothing_comes_of_one_that_stands_still(
    company: Company, still: CollectorProgram, other: CollectorProgram
) -> None:
    """``still`` has all servers; past its leases it tells nothing, and does no action."""
    client = company.client
    links = [company.link(number) for number in SERVERS]
    os.kill(still.process.pid, signal.SIGSTOP)
    links[0].send(user_event("late"))
    client.send({"op": "action", "id": 99, "server": 1, "action": {"Action": "Stopped"}})
    company.wait_has(other, *SERVERS)
    company.moved(SERVERS)
    company.check("taken over")
    client.wait(lambda: any(one["id"] == 99 for one in client.of("reply")), "a reply")
    (reply,) = [one for one in client.of("reply") if one["id"] == 99]
    assert reply["outcome"] in ("unreachable", "unknown")
    os.kill(still.process.pid, signal.SIGCONT)
    for link in links:
        wait_until(lambda link=link: link.ended, "its connections are closed")
    still.process.terminate()  # else it would have servers again after a while
    assert still.process.wait(WAIT) == 0
    company.check("after")
    assert "late" not in client.events(company.names[1])
    assert all(b"Stopped" not in one.received for one in company.amis[0].connections)


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
        assert came.wait(WAIT)
        collector.process.send_signal(signal.SIGKILL)
        collector.process.wait()
        client.wait(lambda: client.of("reply"), "the reply")
        assert client.of("reply")[0]["outcome"] == "unknown"


def test_redis_is_away_and_comes_back_with_and_without_its_data(site: Site, ami: AmiServer) -> None:
    collector = site.collector()
    link = logged_in(ami)
    edge = site.edge()
    for program in (collector, edge):
        program.wait_for_log(f"Redis at {site.redis.url}: connected")
    with V2Client(edge.port) as client:
        name = client.subscribe("state", "events")
        wait_channels(client, 1, 2)
        for number in (3, 4):
            link.send(user_event(f"before {number}"))
            wait_event(client, name, f"before {number}")
            site.redis.kill()
            wait_until(lambda: sync_of(client, name) == "stale", "the server is stale")
            link.send(event("Newchannel", **channel(number)))
            if number == 3:
                for program in (collector, edge):
                    program.wait_for_log(f"Redis at {site.redis.url}: Connection refused")
                    assert program.log.count("the connection is lost") == 1, "one loss, one line"
            site.redis.start()
            wait_until(lambda: sync_of(client, name) == "live", "the server is live")
            wait_channels(client, *range(1, number + 1))
            link.send(user_event(f"after {number}"))
            wait_event(client, name, f"after {number}")
            wait_ready(edge.port)
        assert len(client.of("snapshot")) == 1, "the state goes on: it is not told anew"
        assert {one["stream"] for one in client.of("gap")} <= {"events"}


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
