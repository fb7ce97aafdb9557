"""The program over Sentinel and over Cluster: who has the data is killed, and all goes on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from soak.follower import judge
from soak.ledger import Ledger
from soak.pbx import ACTION, IDENTITY, Pbx
from tests.support.program import ami_host
from tests.support.redis_server import RedisServer
from tests.support.redis_sites import cluster, watched
from tests.support.site import Site, wait_ready
from tests.support.v2_client import V2Client

pytestmark = pytest.mark.slow

Redis = tuple[str, RedisServer]
"""The address for the configuration, and the server that has the data."""


@contextmanager
def by_sentinel(folder: Path) -> Iterator[Redis]:
    with watched(folder, [], [], {}) as (settings, (primary, _)):
        yield str(settings.url), primary


@contextmanager
def in_cluster(folder: Path) -> Iterator[Redis]:
    with cluster(folder, [], {}) as site:
        yield str(site.settings.url), site.owner()


@pytest.fixture
def pbx() -> Iterator[Pbx]:
    """Numbers its events."""
    made = Pbx(1, 40, random.Random(1), "127.0.0.1")
    made.start()
    yield made
    made.stop()


class JudgedClient(V2Client):
    """Has a subscription to all; ``ledger`` says what is wrong with what it was told."""

    def __init__(self, port: int) -> None:
        self.ledger = Ledger("client")
        super().__init__(port)
        self.name = self.subscribe("state", "events")

    def take(self) -> None:
        before = self._taken
        super().take()
        for message in self.messages[before : self._taken]:
            self.ledger.take(message)

    def wait_sync(self, wanted: str) -> None:
        servers = self.collections[self.name]
        self.wait(lambda: servers[0, "server", "1"]["sync"] == wanted, f"the server is {wanted}")

    def wait_news(self, pbx: Pbx) -> None:
        """It hears of what the server says from now on."""
        now = pbx.newest
        self.wait(lambda: (self.ledger.newest(1) or now) > now, f"something behind {now}")

    def act(self, identity: str) -> None:
        action = {"Action": ACTION, IDENTITY: identity}
        self.send({"op": "action", "id": identity, "server": 1, "timeout": 60, "action": action})

    def outcome(self, identity: str) -> str:
        """Of an action; waits for it."""

        def found() -> list[str]:
            return [one["outcome"] for one in self.of("reply") if one["id"] == identity]

        self.wait(found, f"the outcome of {identity}")
        return found()[0]


@pytest.mark.parametrize(("redis", "short"), [(by_sentinel, False), (in_cluster, True)])
def test_all_goes_on_after_a_fail_over(
    tmp_path: Path, pbx: Pbx, redis: Callable[[Path], AbstractContextManager[Redis]], short: bool
) -> None:
    """Events come once and in order, or are told as a gap; an action is done once at most.

    Sentinels agree while leases last, which go on then. Short ones have ended before a cluster has
    agreed.
    """
    with redis(tmp_path / "redis") as (url, primary):
        primary.settle()
        with Site(tmp_path, ami_host(pbx.ami.port), url=url, short=short) as site:
            collector = site.collector()
            edge = site.edge()
            with JudgedClient(edge.port) as client:
                client.wait_news(pbx)
                client.act("before")
                assert client.outcome("before") == "answered"
                primary.kill()
                client.act("amid")
                client.wait_sync("stale")
                client.wait_sync("live")
                client.wait_news(pbx)
                for one, port in ((edge, edge.port), (collector, collector.metrics_port)):
                    one.wait_for_log(f"{url}: connected", 2)  # all that it has with Redis
                    wait_ready(port)
                client.act("after")
                assert client.outcome("after") == "answered"
                pbx.quiet.set()
                with JudgedClient(edge.port) as late:
                    for one in (client, late):
                        judge_told(one, pbx)
                for identity in ("before", "amid", "after"):
                    assert judge(client.outcome(identity), pbx.done[identity]) == ""


def judge_told(client: JudgedClient, pbx: Pbx) -> None:
    """Nothing has come twice, what is missing was told as a gap, and the state is right."""
    client.wait(lambda: client.ledger.channels(1) == pbx.channels, "the state of the server")
    assert client.ledger.faults == []
