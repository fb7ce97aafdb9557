"""What an edge makes of the streams; whole ways are in test_roles.py."""

from __future__ import annotations

import pytest

from amiws_gevent.crossing.codec import FORMAT
from amiws_gevent.crossing.streams import DIRECTORY
from amiws_gevent.edge.following import NOT_YET
from tests.support.edges import CollectorHere, EdgeHere
from tests.support.feeds import BOTH, EVENTS
from tests.support.local_bus import LocalBus


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()


@pytest.fixture
def collector(bus: LocalBus) -> CollectorHere:
    return CollectorHere(bus)


def test_it_is_complete_when_all_servers_were_told(bus: LocalBus) -> None:
    edge = EdgeHere(bus)
    edge.run()
    assert not edge.following.wait(0)
    assert edge.following.servers.keys() == {0}
    CollectorHere(bus, 1, 2)
    edge.run()
    assert edge.following.wait(0)
    assert edge.following.servers.keys() == edge.following.sources.keys() == {0, 1, 2}
    assert edge.following.infos.keys() == {1, 2}
    assert edge.following.keeps_state


def test_a_server_that_comes_and_one_that_goes(bus: LocalBus, collector: CollectorHere) -> None:
    edge = EdgeHere(bus)
    edge.run()
    client = edge.client()
    client.subscribe(BOTH)
    client.read()
    other = CollectorHere(LocalBus(), 2).servers[2]
    collector.live.servers[2] = collector.servers[2] = other
    other.put("channel", "1", a=1)
    collector.flush()
    edge.run()
    client.read()
    assert edge.following.streams() == [DIRECTORY, "server-0", "server-1", "server-2"]
    assert [name for held in client.collections.values() for name in held if name[0] == 2] == [
        (2, "channel", "1")
    ]
    del collector.live.servers[1]
    collector.flush()
    edge.run()
    assert edge.following.servers.keys() == {0, 2}


def test_events_that_were_lost_on_the_way_are_a_gap(
    bus: LocalBus, collector: CollectorHere
) -> None:
    edge = EdgeHere(bus)
    edge.run()
    client = edge.client()
    client.subscribe(EVENTS)
    client.read()
    collector.says("A")
    bus.lose(collector.publishing)
    collector.says("B")
    collector.flush()
    edge.run()
    client.read()
    assert client.gaps() == [("events", "history", None)]
    assert [one["server"] for one in client.messages if one["op"] == "gap"] == [1]
    assert client.events() == ["B"]
    assert edge.following.lost == 1


def test_nothing_is_missed_if_what_was_lost_was_told_before(
    bus: LocalBus, collector: CollectorHere
) -> None:
    edge = EdgeHere(bus)
    client = edge.client()
    collector.servers[1].put("channel", "1", a=1)
    collector.flush()
    edge.run()
    client.subscribe(BOTH)
    client.read()
    collector.says("A")
    edge.run()
    bus.lose(collector.publishing)
    collector.servers[1].put("channel", "1", a=2)
    collector.says("B")
    collector.flush()
    edge.run()
    client.read()
    assert client.gaps() == []
    assert client.ops().count("snapshot") == 1
    assert client.events() == ["A", "B"]


def test_a_collector_of_another_epoch_is_told_as_a_restart(
    bus: LocalBus, collector: CollectorHere
) -> None:
    edge = EdgeHere(bus)
    collector.says("A")
    edge.run()
    client = edge.client()
    client.subscribe(BOTH)
    client.read()
    after = CollectorHere(bus)
    after.servers[1].put("channel", "1", a=1)
    after.says("B")
    after.flush()
    edge.run()
    client.read()
    assert set(client.gaps()) == {("events", "restart", None), ("state", "restart", None)}
    assert client.events() == ["B"]
    assert (1, "channel", "1") in next(iter(client.collections.values()))


def test_a_plugin_that_keeps_the_state_back(bus: LocalBus, collector: CollectorHere) -> None:
    from amiws_gevent.feeds.feeds import Showing

    collector.publishing.use(Showing(withheld="the plugin x keeps the state back"))
    collector.flush()
    edge = EdgeHere(bus)
    edge.run()
    assert not edge.feeds.shows_state
    assert edge.following.wait(0)


def test_why_nothing_is_heard(bus: LocalBus, collector: CollectorHere) -> None:
    edge = EdgeHere(bus)
    following = edge.following
    assert following.reason == ""
    following.on_connection(False, "refused")
    assert following.reason == "Redis cannot be reached: refused"
    following.on_collector("program", False, "its lease is over")
    assert following.reason == "Redis cannot be reached: refused"
    following.on_connection(True, "")
    assert following.reason == "there is no collector: its lease is over"
    following.on_collector("program", True, "")
    assert following.reason == ""
    assert NOT_YET


def test_a_collector_of_another_version(
    bus: LocalBus, collector: CollectorHere, caplog: pytest.LogCaptureFixture
) -> None:
    edge = EdgeHere(bus)
    directory = bus.streams[DIRECTORY].entries[-1]
    bus.append(DIRECTORY, directory.replace(FORMAT, b"amiws-gevent 99"))
    edge.run()
    assert "another version" in edge.following.reason
    assert "use the same version for all processes" in caplog.text
    bus.append(DIRECTORY, directory)
    edge.run()
    assert edge.following.reason == ""
    bus.append("server-1", b"?")
    edge.run()
    assert "another version" in edge.following.reason
