"""The links of the program: what plugins are told of them, and what a reload does to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from pydantic import SecretStr

from amiws_gevent.ami import Message
from amiws_gevent.config import AmiHost, Settings
from amiws_gevent.link import Link, LinkState
from amiws_gevent.link.pool import Pool
from amiws_gevent.pipeline import Source
from amiws_gevent.plugins.api import ServerInfo
from tests.support.ami_server import AmiServer, Connection, Packet
from tests.support.assembled import Whole, host
from tests.support.greenlets import until
from tests.support.hosts import ami_host
from tests.support.patience import WAIT


def states(program: Whole) -> list[str]:
    return [what[1] for what in program.happened if isinstance(what, tuple)]


@pytest.mark.slow
def test_each_change_once_and_in_order(program: Whole, ami: AmiServer) -> None:
    program.plugin()
    program.configure("- ./mine.py\n", host(ami.port))
    program.start()
    until(lambda: states(program) == ["connected"])
    ami.kill()
    until(lambda: states(program) == ["connected", "disconnected"])
    gevent.sleep(1.5)  # attempts that fail
    assert states(program) == ["connected", "disconnected"]
    ami.restart()
    until(lambda: states(program) == ["connected", "disconnected", "connected"])


def test_a_refused_login(program: Whole, ami: AmiServer) -> None:
    ami.login = "refuse"
    program.plugin()
    program.configure("- ./mine.py\n", host(ami.port))
    program.start()
    until(lambda: states(program) == ["refused"])


def test_a_server_that_was_never_there(program: Whole) -> None:
    program.plugin()
    program.configure("- ./mine.py\n")
    program.start()
    until(lambda: states(program) == ["disconnected"])


def test_one_that_is_taken_out_of_the_configuration(program: Whole, ami: AmiServer) -> None:
    program.plugin()
    other = host(1, "absent", ", id: 9")
    program.configure("- ./mine.py\n", host(ami.port, "pbx", ", id: 1") + other)
    program.start()
    until(lambda: ("pbx", "connected") in program.happened)
    program.configure("- ./mine.py\n", other)
    program.reload()
    until(lambda: ("pbx", "disconnected") in program.happened)


def test_one_whose_configuration_changes(program: Whole, ami: AmiServer) -> None:
    program.plugin()
    program.configure("- ./mine.py\n", host(ami.port))
    program.start()
    until(lambda: states(program) == ["connected"])
    program.configure("- ./mine.py\n", host(ami.port, more=", keepalive: 99"))
    program.reload()
    until(lambda: states(program) == ["connected", "disconnected", "connected"])
    assert len(ami.connections) == 2


@pytest.mark.parametrize("stays", [True, False], ids=["renamed", "taken out"])
def test_one_that_was_replaced_says_nothing_any_more(
    program: Whole, ami: AmiServer, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """Not even what it hears while it logs off; its successor hears the same."""

    def last_words(connection: Connection, packet: Packet) -> None:
        connection.send(b"Event: Late\r\n\r\n")
        Connection._logoff(connection, packet)

    monkeypatch.setitem(Connection._HANDLERS, "logoff", last_words)
    program.plugin()
    other = host(1, "absent", ", id: 9")
    program.configure("- ./mine.py\n", host(ami.port, "old", ", id: 1") + other)
    server = program.start()
    until(lambda: ("old", "connected") in program.happened)
    replaced = server._pool.links[1]
    successor = host(ami.port, "new", ", id: 1") if stays else ""
    program.configure("- ./mine.py\n", successor + other)
    program.reload()
    until(lambda: replaced.state is LinkState.STOPPED)
    assert ami.connections[0].packets[-1].action == "Logoff"
    assert "Late" not in program.happened
    assert server._pool.sources.keys() == server._pool.links.keys()
    if stays:
        until(lambda: ("new", "connected") in program.happened)
        ami.send(b"Event: News\r\n\r\n")
        until(lambda: "News" in program.happened)


class FakePipeline:
    """Notes what a pool passes on, by the name of the server."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.news: list[tuple[str, str]] = []
        self.plugins = self

    def process(self, source: Source, messages: list[Message]) -> None:
        self.heard += [(source.host.name, message.name) for message in messages]

    def server_changed(self, server: ServerInfo, state: str, reason: str) -> None:
        self.news.append((server.name, state))


class Notes:
    """A follower that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def joined(self, source: Source, link: Link) -> None:
        assert link.state is LinkState.STOPPED
        self.told.append(("joined", source.host.name))

    def changed(self, source: Source, link: Link, state: str, reason: str) -> None:
        self.told.append((source.host.name, state, reason))

    def left(self, source: Source, reason: str) -> None:
        self.told.append(("left", source.host.name, reason))


class World:
    def __init__(self) -> None:
        self.pipeline: Any = FakePipeline()
        self.follower = Notes()
        self.pool = Pool(self.pipeline, self.follower)

    def configure(self, *hosts: AmiHost) -> None:
        self.pool.configure(Settings(amihosts=hosts))

    def ask(self, server_id: int) -> gevent.Greenlet[..., Any]:
        link = self.pool.links[server_id]
        return gevent.spawn(link.ask, {"Action": "CoreStatus"}, timeout=3600)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.pool.log_off()
    made.pool.join(5)


def at(ami: AmiServer, server_id: int = 1, name: str = "pbx") -> AmiHost:
    return ami_host(
        id=server_id, name=name, port=ami.port, username="amiws", secret=SecretStr("s3cret")
    )


def test_links_are_in_the_order_of_the_configuration_and_one_object(world: World) -> None:
    hosts = [ami_host(id=number, name=f"pbx{number}", port=1) for number in (1, 2, 3)]
    links = world.pool.links
    world.configure(*hosts)
    before = dict(links)
    world.configure(hosts[2], hosts[0])
    assert world.pool.links is links
    assert list(links.items()) == [(3, before[3]), (1, before[1])]
    assert list(world.pool.sources) == [3, 1]
    assert [source.host for source in world.pool.sources.values()] == [hosts[2], hosts[0]]


def test_who_waits_for_a_link_that_was_replaced_is_told(world: World, ami: AmiServer) -> None:
    ami.on_action = lambda connection, packet: None
    world.configure(at(ami, name="old"))
    until(lambda: world.pool.links[1].connected)
    asking = world.ask(1)
    ami.wait_for("CoreStatus")
    world.configure(at(ami, name="new"))
    assert not asking.get(timeout=WAIT).complete
    until(lambda: world.pipeline.news[-1] == ("new", "connected"))
    assert world.pipeline.news == [
        ("old", "connected"),
        ("old", "disconnected"),
        ("new", "connected"),
    ]


def test_logged_off_from_all_who_waits_is_told_first(world: World, ami: AmiServer) -> None:
    """The idle ones need not be waited for; `join` does."""
    ami.on_action = lambda connection, packet: None
    world.configure(at(ami, 1, "busy"), at(ami, 2, "idle"))
    until(lambda: all(link.connected for link in world.pool.links.values()))
    asking = world.ask(1)
    ami.wait_for("CoreStatus")
    world.pool.log_off()
    assert asking.ready()
    assert not asking.value.complete
    world.pool.join(WAIT)
    states = [link.state for link in world.pool.links.values()]
    assert states == [LinkState.STOPPED, LinkState.STOPPED]
    assert [connection.packets[-1].action for connection in ami.connections] == ["Logoff"] * 2


def test_where_nobody_waits_it_is_only_asked_to_end(world: World, ami: AmiServer) -> None:
    world.configure(at(ami))
    until(lambda: world.pool.links[1].connected)
    world.pool.log_off()
    world.pool.join(WAIT)
    assert world.pool.links[1].state is LinkState.STOPPED


def test_a_follower_is_told_of_each_state_with_its_reason(world: World, ami: AmiServer) -> None:
    world.configure(at(ami))
    until(lambda: world.pool.links[1].connected)
    assert world.follower.told == [
        ("joined", "pbx"),
        ("pbx", "connecting", ""),
        ("pbx", "logging_in", f"127.0.0.1:{ami.port}"),
        ("pbx", "connected", "Asterisk Call Manager/11.0.0"),
    ]
    ami.kill()
    until(lambda: world.follower.told[4:5])
    assert world.follower.told[4][:2] == ("pbx", "waiting")
    assert world.follower.told[4][2]


def test_a_follower_hears_no_more_of_a_link_that_left(world: World, ami: AmiServer) -> None:
    world.configure(at(ami, name="old"))
    until(lambda: world.pool.links[1].connected)
    old = world.pool.links[1]
    world.configure(at(ami, name="new"))
    until(lambda: old.state is LinkState.STOPPED and world.pool.links[1].connected)
    names = [told[1] if told[0] in ("joined", "left") else told[0] for told in world.follower.told]
    assert names == ["old"] * 5 + ["new"] * 4
    left = ("left", "old", "its configuration has changed")
    assert world.follower.told[4:6] == [left, ("joined", "new")]
    world.configure(at(ami, 9, "other"))
    assert ("left", "new", "no longer in the configuration") in world.follower.told


def test_who_uses_some_of_the_servers_says_why_not_the_others(world: World, ami: AmiServer) -> None:
    settings = Settings(amihosts=(at(ami, 1), at(ami, 2)))
    made: list[Source] = []

    def make(host: AmiHost) -> Source:
        source = Source(host, epoch="of another")
        made.append(source)
        return source

    world.pool.make_source = make
    world.pool.configure(settings)
    until(lambda: all(link.connected for link in world.pool.links.values()))
    assert [source.epoch for source in made] == ["of another"] * 2
    until(lambda: all(connection.logged_in for connection in ami.connections))
    first = settings.model_copy(update={"amihosts": settings.amihosts[:1]})
    (leaving,) = world.pool.use(first, "another has it", log_off=False)
    leaving.join(WAIT)
    assert list(world.pool.links) == [1]
    assert ("left", "pbx", "another has it") in world.follower.told
    nobody = settings.model_copy(update={"amihosts": ()})
    (leaving,) = world.pool.use(nobody, "another takes it")
    leaving.join(WAIT)
    ended = [connection.packets[-1].action == "Logoff" for connection in ami.connections]
    assert sorted(ended) == [False, True], "only the one that logs off says so"
