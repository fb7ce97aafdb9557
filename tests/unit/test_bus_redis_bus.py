"""Both sides together: as processes of their own, with the ACL of the docs, and at their ends."""

from __future__ import annotations

import itertools
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest

from amiws_gevent.bus.api import UNKNOWN, UNREACHABLE, Bounds
from amiws_gevent.bus.connection import Connection
from amiws_gevent.bus.redis_bus import RedisCollector, make_collector, make_edge
from amiws_gevent.config import Redis
from tests.support.bus import (
    FENCE,
    KEYS,
    LEASE,
    Answers,
    CollectorLog,
    EdgeLog,
    collector,
    edge,
    lease_of,
)
from tests.support.greenlets import until
from tests.support.redis_server import RedisServer
from tests.support.sharing import Events

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent

COLLECTOR = """
import os, sys
import gevent
from amiws_gevent.bus.api import Bounds
from amiws_gevent.bus.redis_bus import RedisCollector
from amiws_gevent.config import Redis

class Events:
    number = 0
    def on_gained(self, lease, term):
        self.term = term
        bus.writer.save("s", b"snapshot %d" % term)
        gevent.spawn(self.publish, term)
    def publish(self, term):
        while self.term == term:
            bus.writer.append("s", b"%d %d" % (term, self.number))
            self.number += 1
            gevent.sleep(0.001)
    def on_yield(self, lease, reason): pass
    def on_lost(self, lease, reason):
        self.term = 0
        print("lost", bus.writer.refusals, flush=True)
    def on_connection(self, up, reason): pass
    def on_broken(self, stream):
        bus.writer.save(stream, b"anew")
    def on_snapshot_due(self, stream):
        bus.writer.save(stream, b"due")

def ask(data, reply):
    if data == b"wait":
        return
    reply.send(b"no" if reply.expired else b"%d" % os.getpid(), last=True)

settings = Redis.model_validate({"url": sys.argv[1]})
bus = RedisCollector(
    settings, Events(), Bounds(), lease_of=lambda stream: "main", lease_time=float(sys.argv[2])
)
bus.want(["main"])
bus.callee.serve({"ask": ask})
bus.start()
gevent.sleep(600)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as made:
        yield made


@contextmanager
def process(server: RedisServer, lease_time: float) -> Iterator[subprocess.Popen[bytes]]:
    """A collector as a process, which publishes a thousand numbers a second."""
    server.settle()
    words = [sys.executable, "-c", COLLECTOR, server.url, str(lease_time)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as made:
        try:
            yield made
        finally:
            made.send_signal(signal.SIGCONT)
            made.kill()


def terms(log: EdgeLog) -> list[int]:
    """The terms under which the entries of the stream were published, each once."""
    found = [int(entry.split()[0]) for entry in log.entries.get("s", ())]
    return list(dict.fromkeys(found))


def in_order(log: EdgeLog) -> bool:
    """Whether no entry is missing in a term, none comes twice, and no term after a newer one."""
    pairs = [tuple(map(int, entry.split())) for entry in log.entries["s"]]
    follows = all(
        (one[0] == other[0] and one[1] + 1 == other[1]) or one[0] < other[0]
        for one, other in itertools.pairwise(pairs)
    )
    return follows and not log.broken


def test_a_collector_that_is_killed_is_followed(server: RedisServer) -> None:
    with edge(server, "s") as (asker, log), process(server, 1.0) as first:
        until(lambda: len(log.entries.get("s", ())) > 50)
        asker.caller.call(LEASE, "ask", b"wait", 600.0, waiting := Answers())
        asker.caller.call(LEASE, "ask", b"", 600.0, answers := Answers())
        until(lambda: answers.told == [(b"%d" % first.pid, True, "")])
        with process(server, 1.0) as second:
            first.kill()
            until(lambda: waiting.told == [(None, True, UNKNOWN)])
            until(lambda: len(terms(log)) == 2)
            until(lambda: log.collectors[-1][0])
            asker.caller.call(LEASE, "ask", b"", 600.0, answers := Answers())
            until(lambda: answers.told == [(b"%d" % second.pid, True, "")])
        assert in_order(log)


def test_a_collector_that_was_stopped_does_not_publish_any_more(server: RedisServer) -> None:
    """SIGSTOP past its lease, while another takes over; then it goes on, and is refused."""
    with edge(server, "s") as (asker, log), process(server, 1.0) as stopped:
        until(lambda: len(log.entries.get("s", ())) > 50)
        stopped.send_signal(signal.SIGSTOP)
        asker.caller.call(LEASE, "ask", b"", 600.0, answers := Answers())
        until(lambda: answers.told == [(None, True, UNREACHABLE)])
        with process(server, 1.0):
            until(lambda: len(terms(log)) == 2)
            stopped.send_signal(signal.SIGCONT)
            assert stopped.stdout is not None
            assert stopped.stdout.readline().startswith(b"lost")
            before = len(log.entries["s"])
            until(lambda: len(log.entries["s"]) > before + 100)
            assert len(terms(log)) == 2
        assert in_order(log)


def test_redis_that_stands_still_longer_than_the_lease(server: RedisServer) -> None:
    with edge(server, "s") as (_, log), process(server, 1.0):
        until(lambda: len(log.entries.get("s", ())) > 50)
        server.freeze()
        gevent.sleep(1.5)
        before = len(log.entries["s"])
        server.thaw()
        until(lambda: len(log.entries["s"]) > before + 100)
        assert in_order(log)
        assert len(terms(log)) == 1


def users() -> list[str]:
    """The lines of the ACL that docs/redis.md has, with passwords of a test."""
    text = (ROOT / "docs" / "redis.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ +(user (?:default|collector|edge) .*)$", text, re.MULTILINE)
    assert len(lines) == 3
    return lines


def test_the_acl_of_the_docs_permits_what_is_needed_and_no_more(tmp_path: Path) -> None:
    # The tests' own connection is that of a user that the docs do not have.
    options = [*users()[1:], "user default on nopass ~* &* +@all"]
    with RedisServer(tmp_path, options) as server:

        def settings(user: str, password: str) -> Redis:
            given = {"url": server.url, "username": user, "password": password}
            return Redis.model_validate(given)

        log, told = CollectorLog(), EdgeLog()
        bounds = Bounds(entries=200, bytes=10**6, age=5.0)
        server.settle()
        bus = RedisCollector(
            settings("collector", "PASSWORD1"), log, bounds, lease_of=lease_of, lease_time=1.0
        )
        bus.want([LEASE])
        log.bus = bus
        reader = make_edge(settings("edge", "PASSWORD2"), told, lease_of=lease_of)
        reader.reader.follow(["s"])
        bus.callee.serve({"ask": lambda data, reply: reply.send(data, last=data != b"wait")})
        bus.start()
        reader.start()
        until(lambda: log.terms and reader.health.up)
        for i in range(1000):
            bus.writer.append("s", b"%d" % i)
            if i % 50 == 0:
                bus.writer.save("s", b"snapshot")
                until(lambda: not bus.writer.waiting)
        until(lambda: told.entries.get("s", [b""])[-1:] == [b"999"])
        server.ask("FLUSHALL")
        until(lambda: log.broken and told.snapshots["s"] == b"anew")
        until(lambda: told.collectors[-1][0] and reader.health.up and bus.health.up)
        until(lambda: server.ask("EXISTS", KEYS.answers(reader.caller._edge)))  # it listens anew
        reader.caller.call(LEASE, "ask", b"once", 600.0, answers := Answers())
        until(lambda: answers.told == [(b"once", True, "")])
        cancel = reader.caller.call(LEASE, "ask", b"wait", 600.0, waiting := Answers())
        until(lambda: waiting.told)
        cancel()
        until(lambda: not bus.callee.at_work)
        bus.writer.remove("s")
        until(lambda: told.broken[-1][1] == "it is gone")
        assert bus.health.up
        assert reader.health.up
        assert bus.health.losses == reader.health.losses == 0

        direct = Connection(settings("edge", "PASSWORD2"), "x", 5.0)
        direct.open()
        for command in (
            ("XADD", KEYS.stream("s"), "*", "d", "forged", "b", "9"),
            ("HSET", KEYS.about("s"), "snapshot", "forged"),
            ("HSET", KEYS.leases, FENCE, "9 me"),
            ("HSET", KEYS.members, "me", "9 "),
            ("SET", "other", "x"),
            ("FLUSHALL",),
        ):
            (refusal,) = direct.ask_all([command])
            assert "its ACL does not permit" in refusal.reason
        direct.close()
        bus.stop()
        reader.stop()


def test_two_prefixes_share_one_redis(server: RedisServer) -> None:
    with collector(server) as (_, first):
        log = CollectorLog()
        other = make_collector(
            server.settings.model_copy(update={"prefix": "other"}), log, lease_of=lease_of
        )
        other.want([LEASE])
        server.settle("{other}")
        other.start()
        until(lambda: log.terms)
        until(lambda: not first.losses and other.health.up)
        other.stop()
        kinds = {key.split(b":")[1] for key in server.ask("KEYS", "{other}:*")}
        assert kinds == {b"leases", b"members", b"answers", b"answers-bytes"}


def test_the_end_waits_no_longer_than_it_may(server: RedisServer) -> None:
    with collector(server) as (bus, _):
        server.freeze()
        bus.writer.append("s", b"x")
        gevent.sleep(0)
        with gevent.Timeout(30.0):
            bus.stop(0.5)
        server.thaw()
    assert bus.leases.stopping


def test_without_redis_it_starts_and_waits(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    log, told = CollectorLog("s"), EdgeLog()
    bus = make_collector(server.settings, log, lease_of=lease_of, alone=True)
    bus.want([LEASE])
    reader = make_edge(server.settings, told, lease_of=lease_of)
    log.bus = bus
    reader.reader.follow(["s"])
    bus.start()
    reader.start()
    until(lambda: log.states and told.states)
    assert log.states[0] == told.states[0] == (False, "No such file or directory")
    assert not bus.holds(LEASE)
    with server:
        until(lambda: log.terms)
        bus.writer.append("s", b"x")
        until(lambda: told.entries.get("s") == [b"x"])
        bus.stop()
        reader.stop()


def test_ends_leave_no_connection(server: RedisServer) -> None:
    for _ in range(2):
        with collector(server) as (bus, _), edge(server, "s") as (reader, _):
            until(lambda: bus.health.up and reader.health.up)
        names = re.findall(rb" name=(\S+)", server.ask("CLIENT", "LIST"))
        assert names == [b"test"]


def clients(server: RedisServer) -> int:
    """How many connections of the program it has."""
    return int(server.ask("CLIENT", "LIST").count(b" name=amiws-"))


def test_one_loss_of_an_edge_is_one_line(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Of all its connections, those for what edges share too."""
    caplog.set_level(logging.INFO, "amiws_gevent.bus")
    bus = make_edge(server.settings, EdgeLog(), lease_of=lease_of)
    bus.start()
    bus.sharing.start(Events())
    until(lambda: bus.health.up)
    lines = [f"Redis at {server.url}: {what}" for what in ("connected", "the connection is lost")]
    assert caplog.messages == lines[:1]
    number = clients(server)
    server.kill()
    server.start()  # at once: who has nothing to ask would find out a second later
    until(lambda: clients(server) == number and bus.health.up)
    told = [line for line in caplog.messages if "Connection refused" not in line]
    assert told == [*lines, lines[0]]
    bus.sharing.stop()
    bus.stop()


def test_a_lease_moves_to_who_has_fewer_and_its_stream_goes_on(server: RedisServer) -> None:
    names = ["x", "y"]
    with (
        edge(server, "x.s", "y.s") as (_, told),
        collector(server, "x.s", "y.s", leases=names, lease_time=0.5) as (first, before),
    ):
        until(lambda: len(first.held) == 2)
        with collector(server, leases=names, lease_time=0.5) as (second, after):
            until(lambda: second.held)
            (lease,) = second.held
            assert before.yields == [lease]
            assert first.held.keys() | second.held.keys() == set(names)
            second.writer.append(f"{lease}.s", b"after")
            until(lambda: told.entries.get(f"{lease}.s") == [b"after"])
            assert before.lost == after.lost == []
        until(lambda: len(first.held) == 2)
        assert told.broken == []
