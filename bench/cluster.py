"""One process that does all, or a collector, Redis and edges: beside the same source and sink.

What each of them costs is counted apart. ``served`` stands for who serves the clients: the one
process, or all edges together.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.runs import Figures, complete
from bench.subjects import Child, Subject, cpu_of, running, scratch, start_ours
from tests.support.redis_server import RedisServer

SERVED, COLLECTOR, REDIS = "served", "collector", "redis"


class Parts(NamedTuple):
    """All processes of what is measured, by what they are, and where clients connect."""

    ports: Sequence[int]
    processes: Mapping[str, Sequence[int]]

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by what they are."""
        return {what: sum(map(cpu_of, pids)) for what, pids in self.processes.items()}


Start = Callable[[int, Child], AbstractContextManager[Parts]]
"""Gets the port of the source, and the source, which it waits for."""


@contextlib.contextmanager
def one_process(ami_port: int, source: Child) -> Iterator[Parts]:
    """What there is without Redis."""
    with running(start_ours(ami_port, None)) as subject:
        _logged_in(source)
        yield Parts([subject.port], {SERVED: [subject.process.pid]})


def edges(count: int) -> Start:
    """A collector, a Redis of its own, and so many edges with ports of their own."""

    @contextlib.contextmanager
    def start(ami_port: int, source: Child) -> Iterator[Parts]:
        with ExitStack() as stack:
            redis = stack.enter_context(RedisServer(Path(tempfile.mkdtemp(dir=scratch()))))
            bus = f"redis:\n  url: {redis.url}\n"

            def started(process: str) -> Child:
                made = start_ours(ami_port, None, bus, process=process)
                return stack.enter_context(running(made))

            collector = started(COLLECTOR)
            _logged_in(source)
            made = [started("edge") for _ in range(count)]
            yield Parts(
                [edge.port for edge in made],
                {
                    SERVED: [edge.process.pid for edge in made],
                    COLLECTOR: [collector.process.pid],
                    REDIS: [redis.pid],
                },
            )

    return start


@contextlib.contextmanager
def workers(count: int, ami_port: int, source: Child) -> Iterator[Subject]:
    """The program with so many workers behind one port, and a Redis that it starts."""
    listens = rf"listening on http://\S*:(\d+)/ with {count} workers?"
    with running(start_ours(ami_port, None, f"workers: {count}\n", listens=listens)) as subject:
        _logged_in(source)
        yield subject


def workers_of(subject: Subject) -> dict[str, int]:
    """The processes of the workers that serve clients, by their names."""
    assert subject.log is not None
    found = re.findall(r"workers: (edge-\d+) serves \(process (\d+)\)", subject.log.read_text())
    return {name: int(pid) for name, pid in found}  # of one that was restarted the newest


def _logged_in(source: Child) -> None:
    assert source.line() == "ready"


class Scene(NamedTuple):
    """Everything of one run, connected."""

    source: Child
    parts: Parts
    sinks: Sequence[Child]
    clients: int


@contextlib.contextmanager
def scene(start: Start, clients: int, sinks: int = 1) -> Iterator[Scene]:
    """``clients`` in all, of so many sinks, spread over the ports."""
    with ExitStack() as stack:
        source = stack.enter_context(running(Child("-m", "bench.source")))
        parts = stack.enter_context(start(int(source.line()), source))
        ports = ",".join(map(str, parts.ports))
        words = ("-m", "bench.sink", ports, str(clients // sinks))
        made = [stack.enter_context(running(Child(*words))) for _ in range(sinks)]
        for sink in made:
            assert sink.line() == "ready"
        yield Scene(source, parts, made, clients)


def run(scene: Scene, command: str, messages: int) -> Figures:
    """Have the source send so many messages; what that cost, and took."""
    for sink in scene.sinks:
        sink.say(f"expect {messages}")
    before = scene.parts.cpu()
    sent = scene.source.ask(command)
    got = [complete(sink) for sink in scene.sinks]
    used = {what: cpu - before[what] for what, cpu in scene.parts.cpu().items()}
    seconds = max(one["end"] for one in got) - sent["start"]
    deliveries = messages * scene.clients
    figures = {
        "us_a_delivery": 1e6 * used[SERVED] / deliveries,
        "sink_us_a_delivery": 1e6 * sum(one["cpu"] for one in got) / deliveries,
        **{f"{what}_us_a_message": 1e6 * cpu / messages for what, cpu in used.items()},
        "deliveries_per_second": deliveries / seconds,
    }
    if latencies := got[0]["latencies_ns"]:
        figures |= {f"{name}_ms": latencies[name] / 1e6 for name in ("p50", "p99")}
    return figures


def paced(scene: Scene, rate: int, seconds: int) -> Figures:
    """Lone events at even distances, after a second to get warm."""
    run(scene, f"paced {rate} 1", rate)
    return run(scene, f"paced {rate} {seconds}", rate * seconds)
