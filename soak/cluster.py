"""Lose collectors, edges and Redis for minutes: ``python -m soak.cluster --minutes 10``.

Collectors and edges are killed, stopped past their lease and let go on, and cut off from all
others; Redis is killed, with and without its data, and stands still. Clients follow all: each
message has to come once and in order, or to be told as a gap; an older session of a server must
never be heard again (two collectors would have published for it); no action may be done twice, nor
one that was told as not done. Nobody may be without news for longer than a lease and a bound. Then
all processes are replaced, one after the other, and in the end all clients have the same state as
the servers.

The seed is printed; with the same one the same faults come in the same order. Processes are cut
off in network namespaces, which only root may make; without, that is left out, and said.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from amiws_gevent.bus.connection import Away
from amiws_gevent.bus.leases import LEASE_TIME
from soak.follower import Follower, Place, judge
from soak.late import LateWriter
from soak.ledger import Gap, needless
from soak.members import COLLECTOR, EDGE, INSIDE, Member, Network, namespaces
from soak.pbx import Pbx
from tests.support.program import ami_host, configuration
from tests.support.redis_server import RedisServer

SERVERS = 3
CLIENTS = 6
MEMBERS = 2  # of each kind
RATE = 40  # events a second of each server

BOUND = 20.0
"""Seconds that may pass beside the lease until all is heard: to log in, to change the edge."""

_PROGRAM = 0  # the server that is the program itself
_UNDER_WAY = 1.0  # seconds after which nothing comes any more of what a lost one has sent
_LOST = "has lost the lease"


class Soak:
    """One run; ``faults`` is empty at its end if all was well."""

    def __init__(self, folder: Path, seed: int, network: Network | None) -> None:
        self.rng = random.Random(seed)
        self.faults: list[str] = []
        self.done: Counter[str] = Counter()
        self.longest = 0.0
        """Seconds that anybody was without news of a server, without those of which it is known."""
        self._folder = folder
        self._network = network
        host = "127.0.0.1" if network is None else network.host
        self.pbxs = [
            Pbx(number, RATE, random.Random(seed + number), host)
            for number in range(1, SERVERS + 1)
        ]
        if network is None:
            self._redis = RedisServer(folder / "redis")
            self._url = self._redis.url
        else:
            options = [f"bind 127.0.0.1 {host}", "protected-mode no"]
            self._redis = RedisServer(folder / "redis", options, tcp="redis")
            self._url = f"redis://{host}:{self._redis.port}"
        self._late = LateWriter(self._redis, range(1, SERVERS + 1))
        self._host = host
        self._numbers = iter(range(2, 250))
        self.members: list[Member] = []
        self._retired: list[Member] = []
        self._not_offered: set[Member] = set()
        self.clients = [
            Follower(f"client {number}", self._places, SERVERS, random.Random(seed - number))
            for number in range(1, CLIENTS + 1)
        ]
        self._began = time.monotonic()

    def run(self, seconds: float, upgrades: int) -> None:
        """Do all that is said above, the upgrade so many times."""
        with contextlib.ExitStack() as stack:
            for pbx in self.pbxs:
                stack.callback(pbx.stop)
                pbx.start()
            stack.enter_context(self._redis)
            stack.callback(self._end_members)
            for kind in (COLLECTOR, EDGE):
                for _ in range(MEMBERS):
                    self._add(kind).start()
            for client in self.clients:
                stack.callback(client.stop)
                client.start()
            self._expect_news(time.monotonic(), "the start")
            self._for_a_time(seconds)
            for _ in range(upgrades):
                self._upgrade()
            self._end()

    # -- who is there ------------------------------------------------------------------------

    def _add(self, kind: str) -> Member:
        number = next(self._numbers)
        made = Member(kind, number, self._folder, partial(self._configuration, kind), self._network)
        self.members.append(made)
        return made

    def _configuration(self, kind: str, host: str, port: int) -> str:
        hosts = [
            ami_host(pbx.ami.port, f"pbx{pbx.ident}", "keepalive: 5").replace(
                "127.0.0.1", self._host
            )
            for pbx in self.pbxs
        ]
        limits = "limits:\n  actions_per_second: 1000\n  actions_burst: 1000\n"
        more = f"live_state: yes\nsync_interval: 1 h\nredis:\n  url: {self._url}\n{limits}"
        text = configuration(*hosts, more=more)
        if kind == COLLECTOR:
            return f"{text}metrics_listen: '{host}:{port}'\n"
        text = text.replace("ws_host: 127.0.0.1", f"ws_host: {host}")
        return text.replace("ws_port: 0", f"ws_port: {port}")

    def _of(self, kind: str) -> list[Member]:
        return [member for member in self.members if member.kind == kind]

    def _places(self) -> list[Place]:
        """Where a load balancer would send a client: it knows what has ended, and no more."""
        return [
            member.place
            for member in self._of(EDGE)
            if member.running and member not in self._not_offered
        ]

    def _end_members(self) -> None:
        for member in [*self.members, *self._retired]:
            if member.cut_off:
                member.heal()
            member.end()

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} s  {what}", flush=True)

    def _fault(self, what: str) -> None:
        self.faults.append(what)
        self._say(f"FAULT: {what}")

    # -- faults ------------------------------------------------------------------------------

    def _for_a_time(self, seconds: float) -> None:
        ways: list[Callable[[], None]] = [
            self._kill_collector,
            self._stop_collector,
            self._kill_edge,
            self._stop_edge,
            self._redis_with_data,
            self._redis_without_data,
            self._redis_stands_still,
        ]
        if self._network is not None:
            ways += [self._cut_collector, self._cut_edge]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            todo = ways.copy()
            self.rng.shuffle(todo)
            for way in todo:
                if time.monotonic() < end:
                    way()
                    self._look()
                    time.sleep(self.rng.uniform(1.0, 4.0))

    def _past_the_lease(self) -> float:
        return LEASE_TIME + self.rng.uniform(2.0, 8.0)

    def _kill_collector(self) -> None:
        self._lose(COLLECTOR, "is killed", Member.kill, 0.0, Member.start)

    def _stop_collector(self) -> None:
        self._lose(COLLECTOR, "is stopped", Member.stop, self._past_the_lease(), Member.go_on)

    def _cut_collector(self) -> None:
        self._lose(COLLECTOR, "is cut off", Member.cut, self._past_the_lease(), Member.heal)

    def _kill_edge(self) -> None:
        self._lose(EDGE, "is killed", Member.kill, 0.0, Member.start)

    def _stop_edge(self) -> None:
        seconds = self.rng.uniform(3.0, 15.0)
        self._lose(EDGE, "is stopped", Member.stop, seconds, Member.go_on)

    def _cut_edge(self) -> None:
        seconds = self.rng.uniform(3.0, 15.0)
        self._lose(EDGE, "is cut off", Member.cut, seconds, Member.heal)

    def _lose(
        self,
        kind: str,
        what: str,
        lose: Callable[[Member], object],
        seconds: float,
        heal: Callable[[Member], object],
    ) -> None:
        """One is lost: the others have to do; then it comes back, and must do no harm."""
        member = self.rng.choice(self._of(kind))
        self.done[f"{kind} {what}"] += 1
        self._say(f"{member.name} {what}")
        refused = self._refused(member)
        self._late.remember()
        began = time.monotonic()
        lose(member)
        time.sleep(_UNDER_WAY)
        self._expect_news(began + _UNDER_WAY, f"{member.name} {what}")
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        heal(member)
        self._say(f"{member.name} is back, after {time.monotonic() - began:.0f} s")
        self._expect_news(time.monotonic(), f"{member.name} is back")
        self.done["refused by the fence"] += max(0, self._refused(member) - refused)
        late, taken = self._late.attempt()
        self.done["refused by the fence, of the soak's own"] += late
        for stream in taken:
            self._fault(f"{stream}: Redis took what was written under a term of before")

    @staticmethod
    def _refused(member: Member) -> int:
        """What Redis has refused of a collector since another had a newer lease."""
        if member.kind == EDGE or not member.running:
            return 0
        return int(member.metric("amiws_bus_refusals_total"))

    def _redis_with_data(self) -> None:
        def end() -> None:
            with contextlib.suppress(Away):
                self._redis.ask("SHUTDOWN", "SAVE")

        self._lose_redis("restarts with its data", end, self._redis.start)

    def _redis_without_data(self) -> None:
        def start() -> None:
            for file in self._folder.glob("redis/*.rdb"):
                file.unlink()
            self._redis.start()

        self._lose_redis("restarts without its data", self._redis.kill, start)

    def _redis_stands_still(self) -> None:
        self._lose_redis("stands still", self._redis.freeze, self._redis.thaw)

    def _lose_redis(self, what: str, lose: Callable[[], None], heal: Callable[[], None]) -> None:
        seconds = self.rng.uniform(0.5, 15.0)
        self.done[f"redis {what}"] += 1
        self._say(f"Redis {what} ({seconds:.1f} s)")
        lose()
        self._redis.hang_up()
        time.sleep(seconds)
        heal()
        self._expect_news(time.monotonic(), f"Redis {what}")

    # -- what is judged ----------------------------------------------------------------------

    def _expect_news(self, since: float, after: str) -> None:
        """Each client hears of each server since then, within a lease and the bound."""
        limit = since + LEASE_TIME + BOUND
        while missing := list(self._without_news(since)):
            self._look()
            if time.monotonic() > limit:
                self._fault(f"{after}: {', '.join(missing)} within {limit - since:.0f} s")
                return
            time.sleep(0.05)
        self._say(f"all is heard, {time.monotonic() - since:.1f} s after {after}")
        self.longest = max(self.longest, time.monotonic() - since)

    def _without_news(self, since: float) -> Iterator[str]:
        for client in self.clients:
            for pbx in self.pbxs:
                if client.ledger.heard_at.get(pbx.ident, 0.0) <= since:
                    yield f"{client.ledger.name} heard nothing of server {pbx.ident}"

    def _look(self) -> None:
        """Who has ended by itself is started again, as systemd would; and what clients found."""
        for member in self.members:
            status = member.ended_with
            if status not in (None, -signal.SIGKILL):  # it was not us
                self._fault(f"{member.name} ended with {status}")
                member.start()
        for client in self.clients:
            faults, client.ledger.faults = client.ledger.faults, []
            for fault in faults:
                self._fault(fault)

    # -- a rolling upgrade -------------------------------------------------------------------

    def _upgrade(self) -> None:
        """A new one first, then the old one ends; new clients are sent to new edges alone."""
        old = {kind: self._of(kind) for kind in (EDGE, COLLECTOR)}
        reconnects = [client.reconnects for client in self.clients]
        self._not_offered.update(old[EDGE])
        for kind in (EDGE, COLLECTOR):
            for member in old[kind]:
                self._say(f"{member.name} is replaced")
                sessions, gaps = self._sessions(), self._gaps()
                self._add(kind).start()
                status = member.terminate()
                if status != 0:
                    self._fault(f"{member.name} ended with {status} when it was replaced")
                self.members.remove(member)
                self._retired.append(member)
                self._expect_news(time.monotonic(), f"{member.name} was replaced")
                self._look()
                told = [after - before for after, before in zip(self._gaps(), gaps, strict=True)]
                # Clients are told of a move before who has the server now logs in.
                self._expect_news(time.monotonic(), f"all gaps of {member.name}")
                moves = self._sessions() - sessions
                moves[_PROGRAM] = kind == COLLECTOR
                self._judge_gaps(member, told, moves)
        for client, count in zip(self.clients, reconnects, strict=True):
            if client.reconnects > count + 1:
                again = client.reconnects - count
                self._fault(f"{client.ledger.name} connected {again} times in the upgrade")
        self._not_offered.clear()

    def _gaps(self) -> list[Counter[Gap]]:
        return [client.ledger.gaps.copy() for client in self.clients]

    def _sessions(self) -> Counter[int]:
        """How often collectors have logged in so far, by server."""
        return Counter({pbx.ident: pbx.begun for pbx in self.pbxs})

    def _judge_gaps(self, member: Member, told: list[Counter[Gap]], moves: Counter[int]) -> None:
        """A client is told a gap in the events of a server where that has moved, and once."""
        for client, gaps in zip(self.clients, told, strict=True):
            for gap in needless(gaps, moves):
                self._fault(f"{member.name} was replaced: {client.ledger.name} was told {gap}")

    # -- the end -----------------------------------------------------------------------------

    def _end(self) -> None:
        for client in self.clients:
            client.acting = False
        self._wait(lambda: not any(client.waiting for client in self.clients), "answers")
        for pbx in self.pbxs:
            pbx.quiet.set()
        self._wait(self._equal, "all clients have the state of the servers")
        self._look()
        for member in [*self.members, *self._retired]:
            for fault in member.faults():
                self._fault(fault)
            self.done["leases lost to another"] += member.log.count(_LOST)
        self._judge_actions()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + LEASE_TIME + 2 * BOUND
        while not condition():
            if time.monotonic() > limit:
                self._fault(f"not in the end: {what}")
                return
            time.sleep(0.1)

    def _equal(self) -> bool:
        """Whether the clients have the servers' channels, and all the same of all else."""
        with contextlib.suppress(RuntimeError):  # what a client has changes while it is read
            first = self.clients[0].ledger.of_servers()
            return all(
                client.ledger.of_servers() == first
                and all(client.ledger.channels(pbx.ident) == pbx.channels for pbx in self.pbxs)
                for client in self.clients
            )
        return False

    def _judge_actions(self) -> None:
        done: Counter[str] = sum((pbx.done for pbx in self.pbxs), Counter())
        told: Counter[str] = Counter()
        for client in self.clients:
            for identity, outcome in client.outcomes.items():
                told[outcome or "not told: the connection was lost"] += 1
                if wrong := judge(outcome, done[identity]):
                    self._fault(f"action {identity}: {wrong}")
        print("actions: " + ", ".join(f"{count} {what}" for what, count in told.items()))


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m soak.cluster", description=__doc__)
    words.add_argument("--minutes", type=float, default=10.0)
    words.add_argument("--upgrades", type=int, default=1, help="how often all are replaced")
    words.add_argument("--seed", type=int, default=None)
    words.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    options = words.parse_args()
    if not options.in_namespace:
        why = namespaces()
        if not why:  # all links and addresses are gone when the last process of it is
            again = [sys.executable, "-m", "soak.cluster", *sys.argv[1:], INSIDE]
            os.execvp("unshare", ["unshare", "--net", "--", *again])
        print(f"nobody is cut off: there are no network namespaces ({why})")
    seed = random.Random().randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}, {options.minutes:g} minutes", flush=True)
    network = Network() if options.in_namespace else None
    with tempfile.TemporaryDirectory(prefix="amiws-soak-") as folder:
        soak = Soak(Path(folder), seed, network)
        soak.run(options.minutes * 60, options.upgrades)
        if soak.faults:
            _keep_logs(Path(folder))
    _tell(soak, seed)
    return 1 if soak.faults else 0


def _keep_logs(folder: Path) -> None:
    """Where who looks for the cause finds them."""
    kept = Path(tempfile.mkdtemp(prefix="amiws-soak-logs-"))
    for log in folder.glob("*.log"):
        (kept / log.name).write_bytes(log.read_bytes())
    print(f"logs: {kept}")


def _tell(soak: Soak, seed: int) -> None:
    print("; ".join(f"{what}: {count}" for what, count in sorted(soak.done.items())))
    events = sum(client.ledger.events for client in soak.clients)
    gaps = sum(sum(client.ledger.gaps.values()) for client in soak.clients)
    silence = max(client.ledger.longest_silence for client in soak.clients)
    print(
        f"{events:,} events checked, {gaps} gaps told; {soak.longest:.1f} s the longest wait for "
        f"news after a fault, {silence:.1f} s the longest silence"
    )
    print(f"seed {seed}: {len(soak.faults)} faults")
    for fault in soak.faults[:20]:
        print(f"FAULT: {fault}")


if __name__ == "__main__":
    sys.exit(main())
