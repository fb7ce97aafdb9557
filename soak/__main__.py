"""Run the real program for minutes under streams, churn, restarts and reloads; then look.

Healthy clients must have got every message of their time exactly once and in
order, and memory and descriptors must be flat. The seed is printed; with the
same one the same things are done at the same times.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

from soak.clients import Checker, Readers, misbehave
from soak.servers import NumberedServer
from tests.support.program import Program, ami_host, configuration, wait_until
from tests.support.ws_client import raw_client

HEALTHY = 20
REST = 5.0  # seconds that the program gets to let go of what is closed
MEMORY_GROWTH = 24 << 20  # bytes, between a tenth of the time and the end: noise of the allocator


class Soak:
    """One run; ``faults`` is empty at its end if all was well."""

    def __init__(self, folder: Path, seed: int, rate: int) -> None:
        self.rng = random.Random(seed)
        self.faults: list[str] = []
        self.counts = dict.fromkeys(("restarts", "reloads", "leavers", "bad clients"), 0)
        self.servers = [NumberedServer(n, rate, random.Random(seed + n)) for n in range(1, 4)]
        self.readers = Readers()
        self.stalled: list[object] = []
        self.folder = folder

    def configuration(self) -> str:
        hosts = [ami_host(s.ami.port, f"pbx{s.ident}", "keepalive: 5") for s in self.servers]
        limits = f"limits:\n  client_buffer: {self.rng.choice([2, 4, 8])} MiB\n  ping_interval: 5"
        if self.rng.random() < 0.5:
            hosts.append(ami_host(1, "nowhere", "id: 99"))
        level = self.rng.choice(["info", "notice"])
        return configuration(*hosts, more=f"log_level: {level}\n{limits}")

    def run(self, seconds: float) -> None:
        with contextlib.ExitStack() as stack:
            for server in self.servers:
                server.ami.start()
                stack.callback(server.stop)
            self.program = stack.enter_context(
                Program(self.folder, self.configuration().replace("log_level: notice", ""))
            )
            self.port = self.program.port
            wait_until(lambda: all(s.logged_in for s in self.servers), "all servers logged in")
            for _ in range(HEALTHY):
                self.add_healthy()
            self._for_a_time(seconds)
            self._end()

    def add_healthy(self) -> None:
        self.readers.add(Checker(raw_client(self.port), self.servers))

    def _for_a_time(self, seconds: float) -> None:
        begin = time.monotonic()
        self.before = (0, 0)
        while (passed := time.monotonic() - begin) < seconds:
            if passed > seconds / 10 and not self.before[0]:
                self.before = self._at_rest()
            self._something()
            if self.program.process.poll() is not None:
                raise RuntimeError(f"the program ended: {self.program.process.returncode}")
            time.sleep(self.rng.uniform(0.05, 0.5))

    def _something(self) -> None:
        chance = self.rng.random()
        if chance < 0.05:
            self.rng.choice(self.servers).restart()
            self.counts["restarts"] += 1
        elif chance < 0.12:
            self.program.reload(self.configuration())
            self.counts["reloads"] += 1
        elif chance < 0.5:
            self.readers.remove(self.rng.choice(self.readers.current))
            self.add_healthy()
            self.counts["leavers"] += 1
        else:
            client = misbehave(self.port, self.rng)
            self.counts["bad clients"] += 1
            if client is not None:
                self.stalled.append(client)
            if len(self.stalled) > 10:
                self.stalled.pop(0).close()  # type: ignore[attr-defined]

    def _at_rest(self) -> tuple[int, int]:
        """Bytes of memory, and descriptors, once all servers and only healthy clients are there.

        A client that stalls may have been closed by the program or not: none is counted.
        """
        wait_until(lambda: all(s.logged_in for s in self.servers), "all servers back", 90)
        for client in self.stalled:
            client.close()  # type: ignore[attr-defined]
        self.stalled.clear()
        time.sleep(REST)
        return self.program.resident_bytes(), self.program.descriptors()

    def _end(self) -> None:
        wait_until(lambda: all(s.logged_in for s in self.servers), "all servers back", 90)
        # Who came while a server was away has had nothing of it until now.
        before = [sum(server.sent) for server in self.servers]
        wait_until(
            lambda: all(sum(s.sent) > b for s, b in zip(self.servers, before, strict=True)),
            "something of each server for each client",
        )
        for server in self.servers:
            server.quiet.set()
        last = list(self.readers.current)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(checker.behind() for checker in last), "the last messages")
        for checker in last:
            self.faults += checker.behind()
        memory, descriptors = self._at_rest()
        if memory - self.before[0] > MEMORY_GROWTH:
            self.faults.append(f"memory grew from {self.before[0]:,} to {memory:,} bytes")
        if descriptors > self.before[1] + 3:
            self.faults.append(f"descriptors grew from {self.before[1]} to {descriptors}")
        print(f"memory {self.before[0] >> 20} → {memory >> 20} MiB", end=", ")
        print(f"descriptors {self.before[1]} → {descriptors}")
        self.readers.stop()
        self.faults += self.readers.faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--rate", type=int, default=100, help="events a second of each server")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory(prefix="amiws-soak-") as folder:
        soak = Soak(Path(folder), options.seed, options.rate)
        soak.run(options.minutes * 60)
    done = ", ".join(f"{count} {name}" for name, count in soak.counts.items())
    print(f"{soak.readers.messages:,} messages checked; {done}")
    for fault in soak.faults[:20]:
        print(f"FAULT: {fault}")
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
