"""Which server is asked: through fail-overs of Sentinel and Cluster, with real servers."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from amiws_gevent.bus.check import check_redis
from amiws_gevent.bus.connection import Away, Connection
from amiws_gevent.bus.finding import LOOK_TIME, BySentinel, InCluster, NotFound
from amiws_gevent.config import Endpoint, Redis
from tests.support.bus import KEYS, LEASE, collector, edge, fence
from tests.support.certificates import make_certificate
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer
from tests.support.redis_sites import cluster, watched

ROOT = Path(__file__).parents[2]
NOBODY = "127.0.0.1:1"
SECRET = "hunter2hunter2"


def users() -> list[str]:
    """The lines of the ACL in docs/redis.md, for the prefix of the tests."""
    text = (ROOT / "docs" / "redis.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ +(user (?:collector|edge|pbx-sentinel) .*)$", text, re.MULTILINE)
    assert len(lines) == 3
    names = KEYS.slot.decode().removesuffix("slot")
    return [re.sub(r"\{?amiws\}?:", lambda _: names, line) for line in lines]


def given(settings: Redis, **keys: Any) -> Redis:
    return Redis.model_validate({**settings.model_dump(exclude_none=True), **keys})


COLLECTOR = {"username": "collector", "password": "PASSWORD1"}
EDGE = {"username": "edge", "password": "PASSWORD2"}


def at(server: RedisServer, settings: Redis, **keys: Any) -> Any:
    """A server, and how it is found, for the bus."""
    return SimpleNamespace(settings=given(settings, **keys), settle=server.settle)


def why_away(settings: Redis, **keys: Any) -> str:
    with pytest.raises(Away) as caught:
        Connection(given(settings, **keys), "test", 5.0).open()
    return str(caught.value)


def assert_nothing_is_missing(settings: Redis, **keys: Any) -> None:
    """`--check --connect` is content with both users."""
    for user in (COLLECTOR, EDGE):
        report = check_redis(given(settings, **keys, **user), edge=user is EDGE)
        assert (report.problem, report.forbidden) == ("", [])
        assert not any("replica" in hint for hint in report.hints)


@pytest.mark.slow
def test_the_primary_is_found_by_sentinel_and_followed(tmp_path: Path) -> None:
    *server_users, sentinel_user = users()
    of_sentinels = [
        sentinel_user,
        f"user tests on >{SECRET} ~* &* +@all",
        "user default off",
        "sentinel sentinel-user tests",
        f"sentinel sentinel-pass {SECRET}",
    ]
    tests = {"sentinel_username": "tests", "sentinel_password": SECRET}
    with watched(tmp_path, server_users, of_sentinels, tests) as (settings, servers):
        own = {"sentinel_username": "pbx-sentinel", "sentinel_password": "PASSWORD3"}
        url = str(settings.url).replace("sentinel://", f"sentinel://{NOBODY},")
        whole = {"url": url, **own}
        wrong = {**whole, **COLLECTOR, "sentinel_password": "x" + SECRET}
        told = why_away(settings, **wrong)
        assert "it refuses the login: look at sentinel_username and sentinel_password" in told
        assert f"sentinel {NOBODY}: Connection refused" in told
        assert SECRET not in told
        told = why_away(settings, **{**whole, "url": f"{url}s"})
        assert "knows no primary of the name mymasters" in told

        primary, replica = servers
        assert_nothing_is_missing(settings, **whole)
        replica.freeze()
        with (
            collector(at(primary, settings, **whole, **COLLECTOR), "s", wait=False) as (bus, log),
            edge(at(primary, settings, **whole, **EDGE), "s") as (_, read),
        ):
            until(lambda: "none of its replicas confirms" in bus.health.reason)
            assert not bus.holds(LEASE)
            assert log.terms == []
            replica.thaw()
            until(lambda: log.terms)
            bus.writer.append("s", b"before")
            until(lambda: read.entries.get("s") == [b"before"])
            term = bus.term(LEASE)
            assert fence(replica).startswith(b"%d " % term)
            primary.kill()
            until(lambda: not bus.health.up)
            until(lambda: bus.health.up and bus.holds(LEASE))
            bus.writer.append("s", b"after")
            until(lambda: read.entries["s"][-1:] == [b"after"])
            assert bus.term(LEASE) >= term
            assert log.losses == []
            replica.hang_up()  # the sentinels have closed all its connections
            assert replica.ask("ROLE")[0] == b"master"
            # The old primary comes back, and believes to be one until the sentinels tell it.
            primary.start()
            made = Connection(given(settings, **whole, **COLLECTOR), "test", 5.0)
            made.open()
            made.ask("SET", "{amiws}:x", "y")
            made.close()
            assert replica.ask("GET", "{amiws}:x") == b"y"


@pytest.mark.slow
def test_a_primary_that_becomes_a_replica_is_left(tmp_path: Path) -> None:
    with RedisServer(tmp_path, tcp="redis") as server:
        made = Connection(server.settings, "test", 5.0)
        made.open()
        server.ask("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(Away, match="it is a replica: let url of redis name") as caught:
            made.ask_all([("SET", "k", "v"), ("SET", "l", "v")])
        assert not caught.value.asked
        with pytest.raises(Away, match="not connected"):
            made.ask("PING")
        made.open()
        with pytest.raises(Away) as caught:
            made.ask_all([("GET", "k"), ("SET", "l", "v")])
        assert caught.value.asked


@pytest.mark.slow
def test_the_node_with_the_slot_is_found_and_followed(tmp_path: Path) -> None:
    pair = make_certificate(tmp_path / "tls", "127.0.0.1")
    tls = [
        f"tls-cert-file {pair.cert}",
        f"tls-key-file {pair.key}",
        f"tls-ca-cert-file {pair.ca}",
        "tls-auth-clients no",
        "tls-cluster yes",
        "tls-replication yes",
    ]
    collector_line, edge_line, _ = users()
    mover = f"user mover on >{SECRET} ~* &* +@all"
    options = [collector_line, edge_line, mover, *tls]
    with cluster(tmp_path, options, {"ssl_ca": pair.ca}) as site:
        assert_nothing_is_missing(site.settings)
        other = next(each for each in site.servers[:3] if each is not site.owner())
        alone = Connection(given(site.settings, url=other.url, **COLLECTOR), "test", 5.0)
        alone.open()
        with pytest.raises(Away, match=r"another node .* lacks redis\+cluster"):
            alone.ask("GET", KEYS.leases)
        with (
            collector(at(site.owner(), site.settings, **COLLECTOR), "s") as (bus, log),
            edge(at(site.owner(), site.settings, **EDGE), "s") as (_, read),
        ):
            bus.writer.append("s", b"first")
            until(lambda: read.entries.get("s") == [b"first"])
            term, owner = bus.term(LEASE), site.owner()
            site.owner().kill()
            until(lambda: not bus.health.up)
            until(lambda: bus.health.up and bus.holds(LEASE))
            bus.writer.append("s", b"second")
            until(lambda: read.entries["s"][-1:] == [b"second"])
            assert bus.term(LEASE) >= term

            target = next(s for s in site.servers[:3] if s is not owner)
            site.give_slot(target, "mover", SECRET)
            bus.writer.append("s", b"third")
            until(lambda: read.entries["s"][-1:] == [b"third"])
            assert target.ask("EXISTS", KEYS.leases) == 1
            assert log.losses == []


class FakeWire:
    """A connection to a fake server, which answers with a value or an error."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.open = True

    def write(self, data: bytes) -> None:
        """What is asked does not matter here."""

    def read(self, count: int) -> list[Any]:
        return [self.answer] * count

    def disconnect(self) -> None:
        self.open = False


class FakeWay:
    """Leads to fake servers, by port: each with its answer; those without refuse."""

    patience = 5.0

    def __init__(self, answers: dict[int, Any]) -> None:
        self.answers = answers
        self.wires: list[FakeWire] = []
        self.asked: list[int] = []

    def open(self, place: Endpoint) -> FakeWire:
        self.asked.append(place.port)
        if place.port not in self.answers:
            raise redis.ConnectionError("refused")
        self.wires.append(FakeWire(self.answers[place.port]))
        return self.wires[-1]

    @property
    def left_open(self) -> int:
        return sum(wire.open for wire in self.wires)


def places(*ports: int) -> tuple[Endpoint, ...]:
    return tuple(Endpoint("h", port) for port in ports)


def test_a_sentinel_that_is_behind_is_not_believed() -> None:
    way = FakeWay({1: [b"slave"], 2: [b"master", 0, []]})
    to_sentinels = FakeWay({11: [b"h", b"1"], 12: None, 13: [b"h", b"1"], 14: [b"h", b"2"]})
    finder = BySentinel(places(10, 11, 12, 13, 14), "m", way, to_sentinels)  # type: ignore[arg-type]
    assert finder.found() is way.wires[-1]
    assert way.asked == [1, 2]  # not that of sentinel 13 once more
    assert (way.left_open, to_sentinels.left_open) == (1, 0)
    assert finder.found() is way.wires[-1]
    assert to_sentinels.asked == [10, 11, 12, 13, 14, 14]  # the one that knew it
    del way.answers[2]
    with pytest.raises(NotFound) as caught:
        finder.found()
    told = str(caught.value)
    assert "h:2, which h:14 names: refused" in told
    assert "h:1, which h:11 names: it is a replica" in told
    assert "sentinel h:12: it knows no primary of the name m" in told


@pytest.mark.slow
def test_a_primary_that_is_cut_off_from_the_sentinels_is_left(tmp_path: Path) -> None:
    clock = Clock()
    way = FakeWay({1: [b"master", 0, []]})
    to_sentinels = FakeWay({11: [b"h", b"1"], 12: [b"h", b"1"]})
    finder = BySentinel(places(11, 12), "m", way, to_sentinels, clock=clock)  # type: ignore[arg-type]
    finder.found()
    to_sentinels.answers = {12: [b"h", b"2"]}
    assert not finder.left()  # not yet asked again
    clock.now += LOOK_TIME
    assert not finder.left()  # the first one does not answer
    assert not finder.left()
    clock.now += LOOK_TIME
    assert finder.left()
    with RedisServer(tmp_path) as server:
        made = Connection(server.settings, "test", 5.0)
        made.open()
        clock.now += LOOK_TIME
        made._finder = finder
        with pytest.raises(Away, match="the sentinels name another primary now") as caught:
            made.ask("PING")
        assert not caught.value.asked
        with pytest.raises(Away, match="not connected"):
            made.ask("PING")


def moved(port: int, host: str = "h") -> redis.exceptions.MovedError:
    return redis.exceptions.MovedError(f"9 {host}:{port}")


def test_nodes_lead_to_the_one_with_the_slot() -> None:
    way = FakeWay({2: moved(3), 3: moved(4, host=""), 4: redis.exceptions.AskError("9 h:5")})
    finder = InCluster(places(1, 2), b"k", way)  # type: ignore[arg-type]
    assert finder.found() is way.wires[-1]
    assert (way.asked, way.left_open) == ([1, 2, 3, 4], 1)
    finder.found()
    assert way.asked[4:] == [4]  # the one that had it


def test_nodes_that_do_not_agree_are_not_asked_for_ever() -> None:
    way = FakeWay(
        {1: moved(2), 2: moved(1), 3: moved(9), 4: redis.exceptions.ClusterDownError("x")}
    )
    finder = InCluster(places(1, 3, 4), b"k", way)  # type: ignore[arg-type]
    with pytest.raises(NotFound) as caught:
        finder.found()
    told = str(caught.value)
    assert "the nodes do not agree which of them has the keys" in told
    assert "node h:9: refused" in told
    assert "node h:4: the cluster is down" in told
    assert way.left_open == 0
