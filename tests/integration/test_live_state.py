"""The live state against a scripted server: lost connections, lost events, lists that fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.live import FollowedServer, state
from amiws_gevent.live.synchroniser import Pace
from amiws_gevent.server import Server
from tests.support.ami_server import AmiServer, Connection, Packet
from tests.support.assembled import Whole, host, housed
from tests.support.greenlets import until
from tests.support.listing import Lists, channel, event, refuse, silent
from tests.support.metrics import wait_for_metrics
from tests.support.program import Program, ami_host, configuration
from tests.support.v2_client import EventsClient
from tests.support.ws_client import Client

PACE = Pace(answer=0.3, clients=0.05, look=0.005, hint=0.001, retry=0.1, hurry=0.05)


class Site:
    """The program in this process, and the server that it follows."""

    def __init__(self, whole: Whole, ami: AmiServer) -> None:
        self.whole = whole
        self.ami = ami
        self.lists = Lists()
        ami.on_action = self.lists
        self.server: Server | None = None

    def start(self, interval: str = "5 min", more: str = "") -> None:
        keys = f"live_state: yes\nsync_interval: {interval}\nqueue_day: 00:00 UTC\n{more}"
        self.whole.configure(hosts=host(self.ami.port), more=keys)
        self.server = self.whole.start()

    @property
    def live(self) -> FollowedServer:
        assert self.server is not None
        found = self.server._live.servers[1]
        assert isinstance(found, FollowedServer)
        return found

    @property
    def entity(self) -> dict[str, Any]:
        assert self.server is not None
        return dict(self.server._live.servers[0].store.get("server", "1") or {})

    @property
    def channels(self) -> set[str]:
        return set(self.live.store.keys("channel"))

    def asked(self, action: str) -> int:
        return sum(
            packet.action == action
            for connection in self.ami.connections
            for packet in connection.packets
        )

    def until_live(self) -> None:
        until(lambda: self.entity["sync"] == "live")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(state, "DEFAULT_PACE", PACE)
    with AmiServer(sleep=gevent.sleep) as ami, housed(tmp_path) as whole:
        yield Site(whole, ami)


def test_what_is_there_is_asked_for_and_what_comes_is_followed(site: Site) -> None:
    site.lists.items["CoreShowChannels"] = [channel(1)]
    site.start()
    site.until_live()
    assert site.channels == {"1.1"}
    site.ami.send(event("Newchannel", **channel(2)))
    until(lambda: site.channels == {"1.1", "2.1"})
    site.ami.send(event("Hangup", **channel(1)))
    until(lambda: site.channels == {"2.1"})
    assert (site.entity["connection"], site.entity["healed"]) == ("connected", {})


def test_every_action_id_is_short_and_ours(site: Site) -> None:
    site.lists.items["ConfbridgeListRooms"] = [{"Conference": "sales"}]
    site.start()
    site.until_live()
    packets = [packet for packet in site.ami.connections[0].packets if packet.action != "Login"]
    assert "ConfbridgeList" in {packet.action for packet in packets}
    for packet in packets:
        action_id = packet.get("ActionID")
        assert action_id.startswith("amiws-gevent-")
        assert len(action_id) <= 60


def test_a_connection_that_ends_amid_a_list_takes_nothing_of_it(site: Site) -> None:
    site.lists.items["CoreShowChannels"] = [channel(1), channel(2)]
    site.start()
    site.until_live()
    cut = []

    def cut_off(connection: Connection, packet: Packet) -> bytes | None:
        if not cut:
            cut.append(1)
            site.lists.items["CoreShowChannels"] = [channel(1)]
            connection.send(site.lists.begin(packet) + site.lists.listed(packet))
            connection.close()
            return None
        return site.lists.begin(packet) + site.lists.listed(packet) + site.lists.end(packet)

    site.lists.special["CoreShowChannels"] = cut_off
    kept: list[set[str]] = []
    site.ami.connections[-1].close()
    until(lambda: site.entity["sync"] == "stale")
    assert site.channels == {"1.1", "2.1"}, "kept while the server is lost"
    until(lambda: cut and site.entity["sync"] == "stale")
    kept.append(site.channels)
    site.until_live()
    assert kept == [{"1.1", "2.1"}], "half a list removes nothing"
    assert site.channels == {"1.1"}


def test_a_list_that_never_comes_makes_the_server_stale_and_nothing_else(site: Site) -> None:
    site.lists.items["CoreShowChannels"] = [channel(1)]
    site.lists.special["QueueStatus"] = silent
    site.start()
    until(lambda: site.entity["sync"] == "stale" and site.asked("ConfbridgeListRooms"))
    assert "QueueStatus: no whole answer within 0.3 s" in site.entity["sync_reason"]
    assert site.channels == {"1.1"}
    del site.lists.special["QueueStatus"]
    site.until_live()
    assert site.entity["sync_reason"] is None


def test_a_list_without_its_end_is_not_taken(site: Site) -> None:
    def endless(connection: Connection, packet: Packet) -> bytes:
        return site.lists.begin(packet) + site.lists.listed(packet)

    site.lists.items["DeviceStateList"] = [{"Device": "PJSIP/1", "State": "INUSE"}]
    site.lists.special["DeviceStateList"] = endless
    site.start()
    until(lambda: "DeviceStateList" in (site.entity.get("sync_reason") or ""))
    assert site.live.store.keys("device") == []
    del site.lists.special["DeviceStateList"]
    site.until_live()
    assert site.live.store.keys("device") == ["PJSIP/1"]


def test_empty_as_an_error_is_empty(site: Site) -> None:
    site.lists.special["ConfbridgeListRooms"] = refuse("No active conferences.")
    site.lists.special["ExtensionStateList"] = refuse("No dialplan hints are available")
    site.start(interval="300 ms")
    site.until_live()
    kinds = {each["kind"] for each in site.entity["missing"]}
    assert not kinds & {"conference", "hint"}
    start = event("ConfbridgeStart", Conference="sales", BridgeUniqueid="b")
    site.ami.send(start)
    until(lambda: site.live.store.keys("conference"))
    until(lambda: not site.live.store.keys("conference"))  # the next empty list has healed it
    assert site.entity["healed"]["conference"] >= 1


def test_what_may_not_be_asked_is_not_and_is_told(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.lists.may = ("ListCommands", "QueueStatus", "BridgeList")
    site.start()
    site.until_live()
    actions = {packet.action for packet in site.ami.connections[0].packets}
    assert actions == {"Login", "ListCommands", "QueueStatus", "BridgeList"}
    told = {each["kind"]: each["manager_conf"] for each in site.entity["missing"]}
    assert told["channel"] == "write = reporting"
    assert told["agent"] == "write = agent"
    assert "queue" not in told
    lines = [r.getMessage() for r in caplog.records if "manager.conf" in r.getMessage()]
    assert len([line for line in lines if "write = reporting" in line]) == 1


def test_an_event_that_was_lost_is_healed_by_the_next_interval(site: Site) -> None:
    site.start(interval="200 ms")
    site.until_live()
    site.ami.send(event("Newchannel", **channel(1)))  # its Hangup never comes
    site.lists.items["CoreShowChannels"] = [channel(2)]  # its Newchannel never came
    until(lambda: site.channels == {"2.1"})
    healed = site.live.healed()
    assert healed["channel", "added"] >= 1
    assert healed["channel", "removed"] >= 1


def test_a_reload_of_asterisk_has_everything_asked_at_once(site: Site) -> None:
    site.start()
    site.until_live()
    before = site.asked("QueueStatus")
    site.ami.send(event("Reload", Module="app_queue.so", Status="0"))
    until(lambda: site.asked("QueueStatus") == before + 1)


def test_clients_see_nothing_of_what_is_asked(tmp_path: Path, ami: AmiServer) -> None:
    ami.on_action = lists = Lists()
    lists.items["CoreShowChannels"] = [channel(number) for number in range(50)]
    more = "live_state: yes\nsync_interval: 200 ms"
    with (
        Program(tmp_path, configuration(ami_host(ami.port), more=more)) as program,
        Client(program.port) as classic,
        EventsClient(program.port) as other,
    ):
        count = asked_so_far(ami)
        wait_for_metrics(
            program.port, lambda scrape: asked_so_far(ami) > count + 3, "asked three times more"
        )
        ami.send(event("Last"))
        for client in (classic, other):
            client.wait_for_event("Last")
            names = {m["data"].get("Event") for m in client.messages if m["type"] == 3}
            assert names <= {"Last", None}
            ids = [m["data"].get("ActionID") or "" for m in client.messages]
            assert not [action_id for action_id in ids if action_id.startswith("amiws-gevent-")]


def asked_so_far(ami: AmiServer) -> int:
    return sum(
        packet.action == "CoreShowChannels"
        for connection in ami.connections
        for packet in connection.packets
    )


def test_a_hundred_clients_cause_no_question(tmp_path: Path, ami: AmiServer) -> None:
    ami.on_action = Lists()
    text = configuration(ami_host(ami.port), more="live_state: yes")
    with Program(tmp_path, text) as program, contextlib.ExitStack() as stack:
        wait_for_metrics(
            program.port,
            lambda scrape: scrape.value("amiws_state_synchronised", server="pbx", server_id="1"),
            "synchronised",
        )
        before = [len(connection.packets) for connection in ami.connections]
        clients = [
            stack.enter_context(kind(program.port))
            for _ in range(50)
            for kind in (Client, EventsClient)
        ]
        ami.send(event("Last"))
        for client in clients:
            client.wait_for_event("Last")
        assert [len(connection.packets) for connection in ami.connections] == before


def test_figures_of_queues_survive_a_restart(tmp_path: Path, ami: AmiServer) -> None:
    ami.on_action = Lists()
    file = tmp_path / "state.json"
    more = f"live_state: yes\nstate_file: {file}\nqueue_day: 00:00 UTC\nmetrics_listen: 127.0.0.1:0"
    text = configuration(ami_host(ami.port), more=more)
    for life in (1, 2):
        with Program(tmp_path, text) as program, Client(program.port) as client:
            until_connected(ami, life)
            caller = {"Queue": "sales", "Uniqueid": f"{life}.1", "Position": "1"}
            member = {"Queue": "sales", "Interface": "SIP/1"}
            missed = event("AgentRingNoAnswer", **member, RingTime="15000")
            ami.send(event("QueueCallerJoin", **caller) + missed + event("Last"))
            client.wait_for_event("Last")
        assert f'"entered": {life}' in file.read_text()
        assert f'"sales|SIP/1": [0, {life}, 0, 0]' in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600


def until_connected(ami: AmiServer, number: int) -> None:
    ami.wait_login(number)


def test_the_demo_becomes_live(tmp_path: Path) -> None:
    with Program(tmp_path, "ws_host: 127.0.0.1\n", "--demo", "0") as program:
        wait_for_metrics(
            program.port,
            lambda scrape: scrape.sum("amiws_state_synchronised") == 3,
            "all PBXs synchronised",
        )
        assert "internal error" not in program.log
        assert "not up to date" not in program.log
        assert "manager.conf" not in program.log
