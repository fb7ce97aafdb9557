"""Several redis-servers that stand in for each other: with Sentinel, or as a Cluster.

All are processes of this machine, on ports of 127.0.0.1, with times so short that a fail-over
takes seconds.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import RedisError
from redis.crc import key_slot

from amiws_gevent.bus.wire import Way, ask
from amiws_gevent.config import Endpoint, Redis
from tests.support.bus import KEYS
from tests.support.patience import WAIT
from tests.support.ports import free_port
from tests.support.program import wait_until
from tests.support.redis_server import PROGRAM, RedisServer

SERVICE = "mymaster"
DOWN_AFTER = 2000
"""Milliseconds without an answer after which a sentinel, or a node, holds a server for dead."""

AT_ONCE = ["repl-diskless-sync-delay 0"]
"""A replica does not wait for others that might come."""


class Sentinel:
    """A sentinel that watches the primary at ``port``; ``options`` are lines of its file."""

    def __init__(self, folder: Path, port: int, options: Sequence[str]) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self._file = folder / "sentinel.conf"
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {port} 2",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}",
            f"sentinel failover-timeout {SERVICE} 5000",
            *options,
        ]
        self._file.write_text("\n".join([*lines, ""]))
        with (folder / "sentinel.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, str(self._file), "--sentinel"], stdin=subprocess.DEVNULL, stdout=log
            )

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(WAIT)


def asked(settings: Redis, port: int, *command: bytes | str | int) -> Any:
    """The reply of the sentinel at a port."""
    wire = Way.to_sentinels(settings, "test").open(Endpoint("127.0.0.1", port))
    try:
        return ask(wire, *command)
    finally:
        wire.disconnect()


@contextmanager
def watched(
    folder: Path, options: Sequence[str], sentinel_options: Sequence[str], keys: dict[str, str]
) -> Iterator[tuple[Redis, list[RedisServer]]]:
    """A primary and its replica, watched by three sentinels that know all of each other.

    The settings have ``keys`` besides the url, and so has who asks the sentinels here.
    """
    with ExitStack() as stack:
        servers = [
            RedisServer(folder / str(n), [*AT_ONCE, *options], tcp="redis") for n in range(2)
        ]
        for server in servers:
            stack.enter_context(server)
        primary, replica = servers
        replica.ask("REPLICAOF", "127.0.0.1", primary.port)
        wait_until(lambda: primary.ask("ROLE")[2], "the replica is connected")
        sentinels = []
        for n in range(3):
            sentinel = Sentinel(folder / f"sentinel{n}", primary.port, sentinel_options)
            stack.callback(sentinel.stop)
            sentinels.append(sentinel)
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        url = f"redis+sentinel://{places}/{SERVICE}"
        settings = Redis.model_validate({"url": url, **keys})

        def knows_all(port: int) -> bool:
            try:
                (about,) = asked(settings, port, "SENTINEL", "MASTERS")
            except (RedisError, OSError):  # it does not listen yet
                return False
            known = dict(zip(about[::2], about[1::2], strict=True))
            return (known[b"num-slaves"], known[b"num-other-sentinels"]) == (b"1", b"2")

        ports = [sentinel.port for sentinel in sentinels]
        wait_until(lambda: all(map(knows_all, ports)), "the sentinels know each other")
        yield settings, servers


class ClusterSite:
    """Three primaries, and a replica of the one that has the keys of the prefix.

    ``user`` has name and password of somebody who may do everything on each of them.
    """

    def __init__(self, servers: list[RedisServer], settings: Redis) -> None:
        self.servers = servers
        self.settings = settings
        self.slot = key_slot(KEYS.slot)
        self._ids = [server.ask("CLUSTER", "MYID") for server in servers]

    def begin(self) -> None:
        """Make one cluster of them; returns when all its nodes agree."""
        first, *others = self.servers
        for place, bounds in enumerate(((0, 5460), (5461, 10922), (10923, 16383))):
            self.servers[place].ask("CLUSTER", "ADDSLOTSRANGE", *bounds)
            self.servers[place].ask("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        (bus_port,) = [line.split()[1] for line in first.options if "cluster-port" in line]
        for other in others:
            other.ask("CLUSTER", "MEET", "127.0.0.1", first.port, bus_port)
        wait_until(lambda: all(self._knows(s, 4) for s in self.servers), "the nodes know all")
        replica = self.servers[3]
        replica.ask("CLUSTER", "REPLICATE", self._ids[self.servers.index(self.owner())])
        wait_until(lambda: self.owner().ask("ROLE")[2], "the replica is connected")
        wait_until(lambda: all(map(self._is_well, self.servers)), "the cluster is up")

    def owner(self) -> RedisServer:
        """The node that has the slot of the prefix, as a living node sees it."""
        alive = next(server for server in self.servers if server.process is not None)
        for low, high, (_, _, identity, *_), *_ in alive.ask("CLUSTER", "SLOTS"):
            if low <= self.slot <= high:
                return self.servers[self._ids.index(identity)]
        raise AssertionError("no node has the slot")

    def give_slot(self, target: RedisServer, user: str, password: str) -> None:
        """Move the slot, with its keys, from its owner to another node, as redis-cli does."""
        source = self.owner()
        source_id, target_id = (self._ids[self.servers.index(s)] for s in (source, target))
        target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", source_id)
        source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target_id)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 100):
            to = ("127.0.0.1", target.port, "", 0, 5000, "AUTH2", user, password, "KEYS")
            source.ask("MIGRATE", *to, *keys)
        for server in (target, source):
            server.ask("CLUSTER", "SETSLOT", self.slot, "NODE", target_id)

    @staticmethod
    def _knows(server: RedisServer, nodes: int) -> bool:
        info: bytes = server.ask("CLUSTER", "INFO")
        return f"cluster_known_nodes:{nodes}\r".encode() in info

    @staticmethod
    def _is_well(server: RedisServer) -> bool:
        info: bytes = server.ask("CLUSTER", "INFO")
        return b"cluster_state:ok" in info


@contextmanager
def cluster(folder: Path, options: Sequence[str], keys: dict[str, Any]) -> Iterator[ClusterSite]:
    """A cluster that works; with TLS if ``keys``, which the settings get too, have ``ssl_ca``."""
    tls = "ssl_ca" in keys
    with ExitStack() as stack:
        servers = []
        for n in range(4):
            own = [
                *AT_ONCE,
                "cluster-enabled yes",
                f"cluster-port {free_port()}",
                f"cluster-node-timeout {DOWN_AFTER * 3}",
                "cluster-replica-validity-factor 0",
                *options,
            ]
            server = RedisServer(folder / str(n), own, tcp="rediss" if tls else "redis")
            servers.append(stack.enter_context(server))
        places = ",".join(f"127.0.0.1:{server.port}" for server in servers[:3])
        url = f"redis{'s' * tls}+cluster://{places}"
        site = ClusterSite(servers, Redis.model_validate({"url": url, **keys}))
        site.begin()
        yield site
