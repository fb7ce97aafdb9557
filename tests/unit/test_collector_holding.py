"""What follows of the leases that a collector gains and loses; whole ways: test_processes.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gevent
import gevent.event
import pytest

from amiws_gevent.collector.holding import Holding
from amiws_gevent.collector.program import Program
from amiws_gevent.config import Settings
from amiws_gevent.crossing.streams import DIRECTORY, PROGRAM, Directory
from amiws_gevent.crossing.tail import Tail
from amiws_gevent.live import LiveState
from amiws_gevent.plugins.api import ServerInfo
from tests.support.actions import settle
from tests.support.edges import CollectorHere
from tests.support.local_bus import LocalBus


def hosts(*numbers: int) -> Settings:
    account = {"username": "amiws", "secret": "s3cret"}
    listed = [{"id": one, "name": f"pbx{one}", "host": "h", **account} for one in numbers]
    return Settings.model_validate({"amihosts": listed})


class Links:
    """Of `link.pool.Pool`: the servers that it was told to connect to, and why not to others."""

    def __init__(self) -> None:
        self.make_source: Any = None
        self.used: list[list[int]] = []
        self.left: list[tuple[str, bool]] = []
        self.leaving: list[gevent.Greenlet[..., None]] = []

    def use(self, settings: Settings, gone: str, *, log_off: bool = True) -> Any:
        self.used.append([host.id for host in settings.amihosts])
        self.left.append((gone, log_off))
        return self.leaving


class Streams:
    """Of `collector.publishing.Publishing`."""

    def __init__(self) -> None:
        self.infos: Any = None
        self.taken: list[tuple[int, Tail | None]] = []
        self.given_up: list[int] = []
        self.ended: list[int] = []

    def take_over(self, info: ServerInfo, tail: Tail | None) -> None:
        self.taken.append((info.id, tail))

    def give_up(self, server: int) -> None:
        self.given_up.append(server)

    def end(self, server: int) -> None:
        self.ended.append(server)


class Bus:
    """Of `bus.api.CollectorBus`."""

    def __init__(self) -> None:
        self.writer = LocalBus()
        self.wanted: list[str] = []
        self.given_back: list[str] = []

    def want(self, leases: Iterable[str]) -> None:
        self.wanted = list(leases)

    def holds(self, lease: str) -> bool:
        return lease == "server-1"

    def give_back(self, lease: str) -> None:
        self.given_back.append(lease)


class Setup:
    def __init__(self, *numbers: int) -> None:
        self.live = LiveState()
        self.links, self.streams, self.bus = Links(), Streams(), Bus()
        self.program = Program(self.live)
        self.keys: list[bytes] = []
        made: Any = (self.live, self.links, self.streams, self.program, self.bus)
        self.holding = Holding(*made, self.keys.append)
        self.holding.configure(hosts(*(numbers or (1, 2))))

    def gains(self, *leases: str) -> None:
        for lease in leases:
            self.holding.gained(lease, 7)
        settle()


def test_it_wants_all_and_has_what_it_gains() -> None:
    setup = Setup()
    assert setup.bus.wanted == [PROGRAM, "server-1", "server-2"]
    assert setup.links.used[-1] == []
    setup.gains("server-2")
    assert (setup.links.used[-1], setup.streams.taken) == ([2], [(2, None)])
    setup.gains("server-2")
    assert len(setup.streams.taken) == 1, "only its term is another"
    setup.gains("server-1")
    assert setup.links.used[-1] == [1, 2]
    assert setup.streams.infos().keys() == {1, 2}
    assert setup.holding.holds(1)
    assert not setup.holding.holds(2)


def test_it_goes_on_behind_what_another_has_told() -> None:
    setup = Setup()
    before = CollectorHere(setup.bus.writer)
    before.says("A")
    before.servers[1].put("channel", "1", a=1)
    before.flush()
    source = before.servers[1].source
    setup.gains("server-1")
    ((server, tail),) = setup.streams.taken
    assert tail is not None
    assert (server, tail.events.epoch, tail.offset) == (1, source.epoch, source.offset)
    (host, other) = hosts(1, 2).amihosts
    made = setup.links.make_source(host)
    assert (made.epoch, made.offset) == (source.epoch, source.offset + 1)
    assert setup.links.make_source(host).epoch != source.epoch, "a reload has replaced the link"
    assert setup.links.make_source(other).offset == 0


def test_a_lease_that_is_lost_before_all_is_read_begins_nothing() -> None:
    setup = Setup()
    setup.holding.gained("server-1", 7)
    setup.holding.lost("server-1", "another has it")
    settle()
    assert setup.streams.taken == []
    setup.holding.gained("server-1", 8)
    setup.holding.lost("server-1", "another has it")
    setup.gains("server-1")
    assert len(setup.streams.taken) == 1


def test_a_lease_that_is_lost_ends_its_link_at_once_and_no_other() -> None:
    setup = Setup()
    setup.gains("server-1", "server-2", PROGRAM)
    setup.holding.lost("server-1", "another has it")
    assert setup.streams.given_up == [1]
    assert setup.links.used[-1] == [2]
    reason, log_off = setup.links.left[-1]
    assert "another has it" in reason
    assert not log_off
    assert setup.program.is_here
    setup.holding.lost("server-1", "it was not had any more")
    assert setup.streams.given_up == [1]


def test_a_lease_that_is_to_be_given_back_is_so_after_the_log_off() -> None:
    setup = Setup()
    setup.gains("server-1")
    done = gevent.event.Event()
    setup.links.leaving = [gevent.spawn(done.wait)]
    setup.holding.yields("server-1", "another collector has fewer")
    settle()
    assert setup.links.used[-1] == []
    assert setup.links.left[-1][1], "it logs off"
    assert setup.bus.given_back == []
    done.set()
    settle()
    assert setup.bus.given_back == ["server-1"]


def test_the_program_goes_on_with_its_key_and_what_edges_know() -> None:
    setup = Setup()
    before = CollectorHere(setup.bus.writer)
    before.servers[0].put("server", "2", name="pbx2", sync="live")
    before.flush()
    setup.gains("server-1", PROGRAM)
    assert setup.keys == [before.publishing.key]
    assert setup.program.is_here
    known = setup.live.servers[0].store
    assert (known.get("server", "2") or {})["sync"] == "live"
    source = before.servers[0].source
    assert setup.live.proxy.epoch == source.epoch
    assert setup.live.proxy.offset > source.offset
    assert [server for server, _ in setup.streams.taken] == [1, 0]
    setup.holding.lost(PROGRAM, "another has it")
    assert not setup.program.is_here
    assert setup.links.used[-1] == [1]


def test_the_program_begins_anew_where_redis_has_lost_its_stream() -> None:
    """Another collector may have gone on in the epoch that this one knows: no position twice."""
    setup = Setup()
    setup.gains(PROGRAM)
    before = setup.live.proxy.epoch
    setup.holding.lost(PROGRAM, "another has it")
    setup.gains(PROGRAM)
    assert setup.streams.taken[-1] == (0, None)
    assert setup.live.proxy.epoch != before


def test_streams_of_another_version_begin_anew(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup()
    for stream in (DIRECTORY, "server-0", "server-1"):
        setup.bus.writer.save(stream, b"of another version")
        setup.bus.writer.append(stream, b"?")
    setup.gains(PROGRAM, "server-1")
    assert setup.streams.taken == [(0, None), (1, None)]
    assert setup.keys == []
    assert "the stream server-1 begins anew" in caplog.text
    assert "other pseudonyms" in caplog.text
    directory = Directory((), frozenset(), True, "", b"k" * 32)
    setup.bus.writer.append(DIRECTORY, directory.encode())
    setup.holding.lost(PROGRAM, "x")
    setup.gains(PROGRAM)
    assert setup.keys == [b"k" * 32]


def test_a_reload_ends_the_streams_of_servers_that_are_gone() -> None:
    setup = Setup(1, 2)
    setup.gains("server-1", "server-2", PROGRAM)
    setup.holding.configure(hosts(2, 3))
    assert setup.streams.ended == [1]
    assert setup.links.used[-1] == [2]
    assert setup.bus.wanted == [PROGRAM, "server-2", "server-3"]
    assert setup.streams.infos().keys() == {2, 3}
    setup.holding.lost("server-1", "it is not wanted any more")
    assert setup.streams.given_up == []
    assert setup.links.used[-1] == [2]
