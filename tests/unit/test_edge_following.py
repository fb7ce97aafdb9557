"""What an edge makes of the streams; whole ways are in test_roles.py."""

from __future__ import annotations

import logging

import gevent
import pytest

from amiws_gevent.crossing.codec import FORMAT
from amiws_gevent.crossing.streams import DIRECTORY, PROGRAM
from amiws_gevent.edge.following import NOT_YET
from amiws_gevent.feeds.feeds import LOOK
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.runtime.outages import AT_ONCE
from tests.support.edges import CollectorHere, EdgeHere
from tests.support.feeds import BOTH, EVENTS, STATE, Client, FakeServer
from tests.support.greenlets import until
from tests.support.local_bus import LocalBus


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()


@pytest.fixture
def collector(bus: LocalBus) -> CollectorHere:
    return CollectorHere(bus)


def edge_with_client(bus: LocalBus) -> tuple[EdgeHere, Client]:
    """An edge that has heard all, and a client of its events."""
    edge = EdgeHere(bus)
    edge.run()
    client = edge.client()
    client.subscribe(EVENTS)
    client.read()
    return edge, client


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
    other = FakeServer(2)
    collector.comes(other)
    other.put("channel", "1", a=1)
    collector.flush()
    edge.run()
    client.read()
    assert edge.following.streams() == [DIRECTORY, "server-0", "server-1", "server-2"]
    assert [name for held in client.collections.values() for name in held if name[0] == 2] == [
        (2, "channel", "1")
    ]
    collector.goes(1)
    collector.flush()
    edge.run()
    assert edge.following.servers.keys() == {0, 2}
    assert edge.following.leases.keys() == {PROGRAM, "server-2"}
    assert "server-1" not in bus.streams


def test_events_that_were_lost_on_the_way_are_a_gap(
    bus: LocalBus, collector: CollectorHere
) -> None:
    edge, client = edge_with_client(bus)
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


def test_gaps_are_told_where_they_are_also_if_all_is_heard_at_once(
    bus: LocalBus, collector: CollectorHere
) -> None:
    edge, client = edge_with_client(bus)
    collector.says("A")
    for name in ("B", "C"):
        CollectorHere(bus, goes_on=True).says(name)
    edge.reader.pass_on()
    late = edge.client()
    late.subscribe(EVENTS)
    edge.tell()
    for one in (client, late):
        one.read()
    told = [one["op"] for one in client.messages if one.get("server") != 0]
    assert told == ["event", "gap", "event", "gap", "event"]
    assert client.events() == ["A", "B", "C"]
    assert late.messages == [], "it has missed nothing"


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


LONG = 1000.0
"""Seconds: longer than any test."""


def position_ahead(
    bus: LocalBus, collector: CollectorHere, edge: EdgeHere, streams: frozenset[str]
) -> str:
    """Of somebody who was told, by another edge, what this one has not heard yet."""
    first = EdgeHere(bus)
    for one in (first, edge):
        one.run()
    client = first.client()
    made = client.subscribe(streams)
    client.read()
    collector.says("A")
    collector.servers[1].put("channel", "1", a=1)
    collector.flush()
    first.run()
    client.read()
    client.beat()
    return client.positions[made.id]


def catch_up(client: Client, streams: frozenset[str], position: str) -> gevent.Greenlet[..., None]:
    return gevent.spawn(client.feed.catch_up, streams, Filters.parse({}), position)


@pytest.mark.parametrize("streams", [EVENTS, STATE, BOTH])
def test_who_comes_from_an_edge_that_was_faster_misses_nothing(
    bus: LocalBus, collector: CollectorHere, streams: frozenset[str]
) -> None:
    edge = EdgeHere(bus, behind=LONG)
    position = position_ahead(bus, collector, edge, streams)
    client = edge.client()
    waiting = catch_up(client, streams, position)
    gevent.sleep(2 * LOOK)
    assert not waiting.ready()
    edge.run()
    until(waiting.ready)
    assert client.subscribe(streams, position).resumed
    collector.says("B")
    edge.run()
    client.read()
    assert client.gaps() == []
    assert client.events() == (["B"] if "events" in streams else [])


def test_it_does_not_wait_for_ever_for_what_another_edge_has_told(
    bus: LocalBus, collector: CollectorHere
) -> None:
    edge = EdgeHere(bus, behind=2 * LOOK)
    position = position_ahead(bus, collector, edge, EVENTS)
    client = edge.client()
    until(catch_up(client, EVENTS, position).ready)
    assert not client.subscribe(EVENTS, position).resumed
    client.read()
    assert client.gaps() == [("events", "future", None)]


def test_nobody_waits_for_what_does_not_come(bus: LocalBus, collector: CollectorHere) -> None:
    edge = EdgeHere(bus, behind=LONG)
    position = position_ahead(bus, collector, edge, BOTH)
    edge.run()
    until(catch_up(edge.client(), BOTH, position).ready)
    until(catch_up(edge.client(), BOTH, "nonsense").ready)
    CollectorHere(bus).flush()  # it begins anew
    edge.run()
    until(catch_up(edge.client(), BOTH, position).ready)


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
    edge.run()
    following = edge.following
    assert following.reason == ""
    following.on_connection(False, "refused")
    assert following.reason == "Redis cannot be reached: refused"
    following.on_collector("server-1", False, "its lease is over")
    assert following.reason == "Redis cannot be reached: refused"
    following.on_connection(True, "")
    assert following.reason == "there is no collector: its lease is over"
    following.on_collector("server-1", True, "a has the lease")
    assert following.reason == ""
    following.on_collector(PROGRAM, False, "its lease is over")
    assert following.reason == "", "all servers are heard"
    assert following.leases == {
        PROGRAM: (False, "there is no collector: its lease is over"),
        "server-1": (True, "a has the lease"),
    }


def test_a_server_that_nobody_has_is_stale_and_the_others_are_not(bus: LocalBus) -> None:
    collector = CollectorHere(bus, 1, 2)
    for server in ("1", "2"):
        fields = {"sync": "live", "sync_reason": None}
        connected = {"connection": "connected", "connection_reason": None}
        collector.servers[0].put("server", server, **fields, **connected)
    collector.flush()
    edge = EdgeHere(bus)
    edge.run()

    def shown(server: str) -> tuple[str, str]:
        fields = edge.following.servers[0].store.get("server", server) or {}
        assert (fields["sync_reason"] is None) == (fields["sync"] == "live")
        return fields["sync"], fields["connection"]

    assert shown("1") == shown("2") == ("live", "connected")
    edge.following.on_collector("server-2", False, "its lease is over")
    assert (shown("1"), shown("2")) == (("live", "connected"), ("stale", "waiting"))
    assert edge.following.reason == ""
    collector.servers[0].put("server", "2", sync="syncing", sync_reason=None, last_event=7)
    collector.flush()
    edge.run()
    assert shown("2") == ("stale", "waiting"), "it is not known yet that one has it again"
    edge.following.on_collector("server-2", True, "b has the lease")
    assert (edge.following.servers[0].store.get("server", "2") or {})["sync"] == "syncing"
    edge.following.on_connection(False, "refused")
    assert shown("1") == shown("2") == ("stale", "connected")


def test_one_lease_of_each_collector_is_asked(bus: LocalBus) -> None:
    CollectorHere(bus, 1, 2, 3)
    edge = EdgeHere(bus)
    edge.run()
    for lease, up, reason in (
        (PROGRAM, True, "a has the lease"),
        ("server-1", True, "a has the lease"),
        ("server-2", True, "b has the lease"),
        ("server-3", False, "no collector has the lease"),
    ):
        edge.following.on_collector(lease, up, reason)
    assert len(edge.following.holders()) == 2
    assert "server-2" in edge.following.holders()


def test_before_anything_is_heard_it_says_so(bus: LocalBus) -> None:
    edge = EdgeHere(bus)
    assert edge.following.reason == NOT_YET
    assert edge.following.leases == {PROGRAM: (True, "one has it")}


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


def test_what_is_not_heard_yet_is_no_fault_and_what_is_lost_is(
    bus: LocalBus, collector: CollectorHere, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "amiws_gevent.edge")
    edge = EdgeHere(bus)
    following = edge.following
    following.on_directory = lambda _: None  # else somebody would have all leases at once
    following.on_connection(False, "refused")
    following.on_connection(True, "")
    following.on_collector("server-1", False, "no collector has the lease")
    edge.run()
    assert following.reason == "there is no collector: no collector has the lease"
    assert caplog.messages == []
    following.on_collector("server-1", True, "a has the lease")
    assert caplog.messages == ["collectors are heard"]
    for number in range(50):
        following.on_collector("server-1", False, f"reason {number}")
        assert following.reason == f"there is no collector: reason {number}"
    following.on_collector("server-1", True, "a has the lease")
    assert caplog.messages[1] == (
        "the live state is not up to date: there is no collector: reason 0"
    )
    assert caplog.messages[-1] == "collectors are heard"
    assert len(caplog.messages) <= 2 + AT_ONCE


def test_that_redis_is_lost_is_in_the_log_of_the_bus(
    bus: LocalBus, collector: CollectorHere, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "amiws_gevent.edge")
    edge = EdgeHere(bus)
    edge.run()
    caplog.clear()
    edge.following.on_connection(False, "refused")
    assert edge.following.reason == "Redis cannot be reached: refused"
    edge.following.on_connection(True, "")
    assert caplog.messages == []
    edge.following.on_connection(False, "refused")
    edge.following.on_collector("server-1", False, "no collector has the lease")
    edge.following.on_connection(True, "")
    edge.following.on_collector("server-1", True, "a has the lease")
    assert caplog.messages == [
        "the live state is not up to date: there is no collector: no collector has the lease",
        "collectors are heard",
    ]
