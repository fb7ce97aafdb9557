"""A collector and two edges in this process, over a local bus, with a scripted server."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.ami import Kind, Message
from amiws_gevent.bus import api
from amiws_gevent.config import LoadResult, Settings
from amiws_gevent.identity import Identity
from amiws_gevent.processes import NOT_REACHED_YET, Collector, Edge, load_as_before
from amiws_gevent.server import Server
from tests.support.ami_server import AmiServer
from tests.support.greenlets import until
from tests.support.listing import Lists, channel, event
from tests.support.local_bus import LocalBus, LocalCalls, LocalCollectorBus, LocalEdgeBus
from tests.support.v2_client import V2Client
from tests.support.ws_client import Client

REDIS = {"url": "redis://127.0.0.1"}


class LocalCollector(Collector):
    where: tuple[LocalBus, LocalCalls]
    bus: LocalCollectorBus

    def _make_bus(self, settings: Settings) -> api.CollectorBus:
        self.bus = LocalCollectorBus(*self.where, self)
        return self.bus


class LocalEdge(Edge):
    where: tuple[LocalBus, LocalCalls]

    def _make_bus(self, settings: Settings) -> api.EdgeBus:
        return LocalEdgeBus(*self.where, self._following)


def threaded(test: Callable[..., None]) -> Callable[..., None]:
    """A test in a thread of its own, since its clients block; the servers run in this one."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        gevent.get_hub().threadpool.apply(functools.partial(test, *arguments, **named))

    return run


class Site:
    """All of it; stopped at the end."""

    def __init__(self, ami: AmiServer) -> None:
        self.where = LocalBus(), LocalCalls()
        self.ami = ami
        self.running: list[tuple[Server, gevent.Greenlet[..., int]]] = []
        self._loop = gevent.get_hub().loop

    def settings(self, process: str, **more: Any) -> Settings:
        host = {"name": "pbx", "host": "127.0.0.1", "port": self.ami.port}
        account = {"username": "amiws", "secret": "s3cret"}
        listen = {"ws_host": "127.0.0.1", "ws_port": 0, "redis": REDIS}
        return Settings.model_validate(
            {"amihosts": [{**host, **account}], "process": process, **listen, **more}
        )

    def start(self, kind: Callable[[Settings], Any], settings: Settings) -> Any:
        kind.where = self.where  # type: ignore[attr-defined]

        def begin() -> Any:
            server = kind(settings)
            server.start()
            self.running.append((server, gevent.spawn(server.run)))
            return server

        return self.here(begin)

    def here(self, do: Callable[[], Any]) -> Any:
        """Do something among the servers, and wait for it in the test's thread."""
        done = threading.Event()
        result: list[Any] = []

        def work() -> None:
            try:
                result.append(do())
            finally:
                done.set()

        self._loop.run_callback_threadsafe(gevent.spawn, work)
        assert done.wait(60)
        return result[0]

    def collector(self, **more: Any) -> LocalCollector:
        before = len(self.ami.connections)
        made: LocalCollector = self.start(LocalCollector, self.settings("collector", **more))
        self.link = self.ami.wait_connections(before + 1)
        self.ami.wait_for(lambda _: self.link.logged_in)
        return made

    def edge(self, **more: Any) -> LocalEdge:
        made: LocalEdge = self.start(LocalEdge, self.settings("edge", **more))
        return made

    def stop(self) -> None:
        for server, running in reversed(self.running):
            server.request_stop()
            assert running.get(timeout=20) == 0


@pytest.fixture
def lists() -> Lists:
    made = Lists()
    made.items = {"CoreShowChannels": [channel(1), channel(2)]}
    return made


@pytest.fixture
def site(lists: Lists) -> Iterator[Site]:
    with AmiServer(on_action=lists) as ami:
        made = Site(ami)
        yield made
        made.stop()


def channels(client: V2Client) -> set[str]:
    client.take()
    return {
        key for held in client.collections.values() for _, kind, key in held if kind == "channel"
    }


@threaded
def test_clients_of_two_edges_have_what_the_collector_hears(site: Site) -> None:
    site.collector()
    edges = [site.edge(), site.edge()]
    clients = [V2Client(edge.port) for edge in edges]
    for client in clients:
        client.subscribe("state", "events")
    site.ami.send(event("Newchannel", **channel(3)))
    for client in clients:
        until(lambda client=client: channels(client) == {"1.1", "2.1", "3.1"})
        (held,) = client.held
        until(lambda client=client, held=held: "Newchannel" in client.events(held))
    for client in clients:
        client.close()


@threaded
def test_a_client_goes_on_at_another_edge_without_a_gap(site: Site) -> None:
    site.collector()
    first, second = site.edge(), site.edge()
    client = V2Client(first.port)
    name = client.subscribe("state", "events")
    until(lambda: channels(client) == {"1.1", "2.1"})
    site.ami.send(event("Newchannel", **channel(3)))
    until(lambda: channels(client) == {"1.1", "2.1", "3.1"})
    until(lambda: client.events(name).count("Newchannel") == 1)
    client.close()
    site.ami.send(event("Newchannel", **channel(4)))
    site.ami.send(event("UserEvent", Number="7"))
    again = V2Client(second.port)
    again.collections = {name: dict(client.collections[name])}
    answer = again.resume(client.positions[name], "state", "events")
    assert answer["resumed"] is True
    until(lambda: channels(again) >= {"4.1"})
    until(lambda: again.events(name)[-1:] == ["7"])
    assert again.of("gap") == []
    assert again.of("snapshot") == []
    again.close()


@threaded
def test_an_action_is_answered_to_who_asked_alone(site: Site, lists: Lists) -> None:
    site.collector()
    one, other = site.edge(), site.edge()
    with V2Client(one.port) as asks, V2Client(other.port) as looks:
        for client in (asks, looks):
            client.subscribe("events")
        reply = asks.request("action", server=1, action={"Action": "CoreShowChannels"})
        assert (reply["outcome"], len(reply["items"])) == ("answered", 2)
        assert looks.of("reply") == []


@threaded
def test_a_classic_client_of_an_edge(site: Site) -> None:
    site.collector()
    edge = site.edge()
    with Client(edge.port) as client, Client(edge.port) as other:
        site.ami.send(event("Newchannel", **channel(3)))
        client.wait_for_event("Newchannel")
        client.send({"Action": "CoreStatus", "ActionID": "mine", "AMIServerID": 1})
        for one in (client, other):
            until(lambda one=one: any(m["data"].get("ActionID") == "mine" for m in one.messages))


@threaded
def test_servers_are_stale_while_nothing_is_heard(site: Site) -> None:
    collector, edge = site.collector(), site.edge()
    client = V2Client(edge.port)
    (name,) = (client.subscribe("state", kind=["server"]),)

    def told() -> Any:
        client.take()
        return client.collections[name][0, "server", "1"]

    until(lambda: told()["sync"] == "live")
    site.here(lambda: edge._following.on_collector("server-1", False, "it is gone"))
    until(lambda: told()["sync"] == "stale")
    reason = "there is no collector: it is gone"
    assert (told()["sync_reason"], told()["connection_reason"]) == (reason, reason)
    assert told()["connection"] == "waiting"
    assert not edge._readiness().ready
    assert edge._readiness().bus == {
        "process": "edge",
        "up": False,
        "reason": reason,
        "missing": {"server-1": reason},
        "lag": 0,
    }
    site.here(lambda: edge._following.on_collector("server-1", True, "one has it"))
    until(lambda: told()["sync"] == "live")
    assert told()["connection"] == "connected"
    assert edge._readiness().ready
    assert collector._readiness().ready
    assert client.of("gap") == []
    client.close()


@threaded
def test_a_lease_that_is_lost_and_another_collector_that_goes_on(site: Site) -> None:
    before = site.collector()
    edge = site.edge()
    client = V2Client(edge.port)
    name = client.subscribe("state", "events", server=1)
    until(lambda: channels(client) == {"1.1", "2.1"})
    first = site.link
    for lease in ("server-1", "program"):
        site.here(functools.partial(before.on_lost, lease, "another one has the lease"))
    until(lambda: first.ended)
    assert b"Logoff" not in first.received, "nothing is sent to it any more"
    assert not site.running[0][1].dead, "the process goes on, and may have another server"
    site.collector()
    site.link.send(event("UserEvent", Number="9"))
    until(lambda: client.events(name)[-1:] == ["9"])
    until(lambda: channels(client) == {"1.1", "2.1"})
    assert [one["stream"] for one in client.of("gap")] == ["events"]
    assert len(client.of("snapshot")) == 1, "the state goes on"
    client.close()


@threaded
def test_a_lease_that_is_wanted_back_is_given_after_the_log_off(site: Site) -> None:
    collector = site.collector()
    link = site.link
    site.here(lambda: collector.on_yield("server-1", "another collector has fewer"))
    until(lambda: "server-1" not in collector.bus.held)
    until(lambda: b"Logoff" in link.received)
    assert collector._readiness().bus == {
        "process": "collector",
        "up": True,
        "reason": "",
        "leases": {"program": 1},
    }


@threaded
def test_a_collector_says_why_it_does_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    collector = site.collector()
    for reason in ("lost", "refused"):  # an outage has several reasons, and is one
        site.here(lambda reason=reason: collector.on_connection(False, reason))  # type: ignore[misc]
    assert [line for line in caplog.messages if "Redis" in line] == [], "it is in the bus's log"
    assert collector._readiness().bus["reason"] == "Redis cannot be reached: refused"
    assert not collector.up
    site.here(lambda: collector.on_connection(True, ""))
    collector.bus.held.clear()
    assert collector._readiness().bus["reason"] == "other collectors have all servers"
    assert NOT_REACHED_YET


@threaded
def test_nothing_is_sent_without_the_lease(site: Site) -> None:
    collector, edge = site.collector(), site.edge()
    with V2Client(edge.port) as client:
        client.subscribe("events")
        collector.bus.keeps = False
        reply = client.request("action", server=1, action={"Action": "Ping"})
        assert reply["outcome"] == "unreachable"
        assert "lease" in reply["reason"]
        collector.bus.keeps = True


@threaded
def test_pseudonyms_are_the_same_at_all_edges(site: Site) -> None:
    see = [{"numbers": "masked"}]
    roles = {"roles": {"some": {"see": see, "do": [{"action": "*"}]}}, "anonymous_roles": ["some"]}
    collector = site.collector(**roles)
    edges = [site.edge(**roles), site.edge(**roles)]
    rights = [one._access.rights_of(Identity()) for one in (collector, *edges)]
    assert rights[0] == rights[1] == rights[2]
    assert len({one._access._key for one in (collector, *edges)}) == 1


@threaded
def test_plugins_of_an_edge_ask_and_publish(site: Site) -> None:
    site.collector()
    edge, other = site.edge(), site.edge()
    facilities = edge._facilities()
    with V2Client(other.port) as client:
        name = client.subscribe("events", server=0)
        ping = {"Action": "CoreShowChannels"}
        answer = site.here(lambda: facilities.ask(1, ping, timeout=9, wait=False))
        assert (answer.ok, len(answer.items)) == (True, 2)
        event = Message(Kind.EVENT, [("Event", "UserEvent"), ("Number", "7")])
        assert site.here(lambda: facilities.publish(event))
        until(lambda: client.events(name) == ["7"])


@threaded
def test_collectors_know_the_pseudonyms_of_the_one_that_has_the_program(site: Site) -> None:
    collector = site.collector()
    before = collector._access.rights_of(Identity())
    site.here(lambda: collector._use_common({"key": "ab" * 32, "term": 7}))
    assert collector._access._key == collector._publishing.key == b"\xab" * 32
    assert collector._access.rights_of(Identity()) is before, "without roles there are none"
    assert collector._take_report({}) == {"term": 1, "key": "ab" * 32}
    site.here(lambda: collector.on_lost("program", "another has it"))
    assert collector._take_report({}) is None
    assert collector._to_report() == {"1": (1, collector._live.servers[0].store.get("server", "1"))}


@threaded
def test_a_collector_has_no_pages(site: Site) -> None:
    assert site.collector().url is None


def test_a_process_alone_imports_no_redis_and_no_workers() -> None:
    program = (
        "import sys\n"
        "import amiws_gevent.cli\n"
        "from amiws_gevent.config import Settings\n"
        "from amiws_gevent.processes import server_of\n"
        "host = {'name': 'a', 'host': 'h', 'username': 'u', 'secret': 's'}\n"
        "server = server_of(Settings.model_validate({'amihosts': [host]}))\n"
        "others = {'redis', 'amiws_gevent.workers'} & set(sys.modules)\n"
        "print(type(server).__name__, others)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"Server set()\n"


@pytest.mark.parametrize("process", ["collector", "edge"])
def test_without_its_library_a_process_says_what_to_install(process: str, tmp_path: Path) -> None:
    text = f"process: {process}\nredis: {{url: 'unix:///r'}}\nws_port: 0\n"
    text += "amihosts: [{name: a, host: 127.0.0.1, port: 1, username: u, secret: s}]\n"
    (tmp_path / "amiws.yaml").write_text(text)
    program = (
        "import sys\n"
        "sys.modules['redis'] = None\n"
        "from amiws_gevent.cli import main\n"
        f"sys.exit(main(['-f', '{tmp_path}/amiws.yaml']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 69
    assert "install amiws-gevent[redis]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reload_makes_no_other_process_and_no_other_redis(site: Site) -> None:
    before = site.settings("edge")
    other = site.settings("collector", redis={"url": "redis://other"}, log_level="debug")
    loaded = load_as_before(lambda: LoadResult(other, ["w"], []), before)
    assert (loaded.settings.process, loaded.settings.redis) == ("edge", before.redis)
    assert loaded.settings.log_level == other.log_level
    assert len(loaded.warnings) == 3
    same = LoadResult(before, [], [])
    assert load_as_before(lambda: same, before) is same


class EdgeBehind(LocalEdge):
    """Its streams have so many entries that it has not heard, each time that it looks."""

    lags: list[int]

    def lag(self) -> dict[str, int]:
        return {"server-1": self.lags.pop(0) if len(self.lags) > 1 else self.lags[0]}


@threaded
def test_an_edge_serves_once_it_has_heard_what_there_was_at_its_start(site: Site) -> None:
    """A client may come that has heard it at another edge: it would be told a gap."""
    EdgeBehind.lags = [3, 1, 0]
    site.collector()
    site.start(EdgeBehind, site.settings("edge"))
    assert EdgeBehind.lags == [0]


@threaded
def test_an_edge_that_stays_behind_serves_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    EdgeBehind.lags = [7]
    monkeypatch.setattr("amiws_gevent.processes.BEGIN_TIME", 0.5)
    site.collector()
    edge = site.start(EdgeBehind, site.settings("edge"))
    assert "clients are served before all is known" in caplog.text
    with V2Client(edge.port) as client:
        assert client.hello["protocol"] == 2
