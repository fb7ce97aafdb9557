"""What it costs to share the work: CPU of edges, collector and Redis, and the way through Redis."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from bench import cluster
from bench.cluster import Scene, Start
from bench.runs import Figures, medians
from bench.sections import Report
from bench.source import MESSAGES_IN_CAPTURE
from bench.subjects import Child, Subject, connections_of, running
from tests.support.redis_server import PROGRAM

ALONE = "one process"
ENOUGH_CORES = 8
"""With fewer, source, sinks, collector and Redis take what a second worker would have."""

_CLIENTS = 1000
_MANY_CLIENTS = 4000
"""What four edges are for: each with as many as one process is measured with elsewhere."""

_LONE, _LONE_TO_MANY = 50, 20  # a second
_SECONDS = 5

Rounds = Mapping[str, Sequence[Figures]]


def section(report: Report) -> None:
    """CPU of a delivery with 1, 2 and 4 edges; throughput where it shows."""
    if not _has_redis():
        return
    subjects = {ALONE: cluster.one_process, **{_name(n): cluster.edges(n) for n in (1, 2, 4)}}
    lone, many, burst = (
        f"lone events to {_CLIENTS:,} clients, {_LONE} a second",
        f"lone events to {_MANY_CLIENTS:,} clients, {_LONE_TO_MANY} a second",
        f"bursts to {_CLIENTS:,} clients",
    )
    found: dict[str, dict[str, list[Figures]]] = {
        title: {name: [] for name in subjects} for title in (lone, many, burst)
    }
    for _ in range(report.rounds):
        for name, start in subjects.items():
            with cluster.scene(start, _CLIENTS) as scene:
                found[lone][name].append(cluster.paced(scene, _LONE, _SECONDS))
                found[burst][name].append(_burst(scene))
            with cluster.scene(start, _MANY_CLIENTS) as scene:
                found[many][name].append(cluster.paced(scene, _LONE_TO_MANY, _SECONDS))
    for title, rounds in found.items():
        report.table(title, {name: medians(figures) for name, figures in rounds.items()})
        for name in subjects:
            if name != ALONE:
                cost = ratio(rounds, "us_a_delivery", name, ALONE)
                report.ratio(f"CPU a delivery, {name} against one process", cost, "at most 1.15")
    _throughput(report, os.cpu_count() or 1)


def _burst(scene: Scene) -> Figures:
    return cluster.run(scene, f"burst {MESSAGES_IN_CAPTURE}", MESSAGES_IN_CAPTURE)


def _throughput(report: Report, cores: int) -> None:
    """Deliveries a second with two edges against one, if this machine can tell."""
    if cores < ENOUGH_CORES:
        print(
            f"  throughput of 2 edges against 1: cannot be judged on {cores} cores, since source, "
            f"sinks, collector and Redis take their share: {ENOUGH_CORES} are needed"
        )
        return
    starts = {_name(n): cluster.edges(n) for n in (1, 2)}
    rounds: dict[str, list[Figures]] = {name: [] for name in starts}
    for _ in range(report.rounds):
        for name, start in starts.items():
            with cluster.scene(start, _CLIENTS, sinks=2) as scene:
                rounds[name].append(_burst(scene))
    report.table("throughput", {name: medians(found) for name, found in rounds.items()})
    gain = ratio(rounds, "deliveries_per_second", _name(2), _name(1))
    report.ratio("throughput of 2 edges against 1", gain, "at least 1.6")


def relay(report: Report) -> None:
    """How much longer a lone event takes through Redis than through one process."""
    if not _has_redis():
        return
    starts: dict[str, Start] = {ALONE: cluster.one_process, _name(1): cluster.edges(1)}
    rounds: dict[str, list[Figures]] = {name: [] for name in starts}
    for _ in range(report.rounds):
        for name, start in starts.items():
            with cluster.scene(start, 100) as scene:
                rounds[name].append(cluster.paced(scene, 500, _SECONDS))
    report.table(
        "500 events a second to 100 clients",
        {name: medians(found) for name, found in rounds.items()},
    )
    for figure, most in (("p50_ms", 1), ("p99_ms", 3)):
        more = statistics.median(
            shared[figure] - alone[figure]
            for alone, shared in zip(rounds[ALONE], rounds[_name(1)], strict=True)
        )
        report.ratio(f"{figure} more than one process", more, f"at most {most}")


def spread(report: Report) -> None:
    """How evenly clients are spread over the workers behind one port."""
    if not _has_redis():
        return
    rows: dict[str, Figures] = {}
    for count in (2, 4):
        rows |= {f"{count} workers, {when}": row for when, row in _spread(count).items()}
    report.table(f"{_CLIENTS:,} clients of workers behind one port", rows)
    for name, row in rows.items():
        report.ratio(
            f"most clients of a worker, {name}, against the mean", row["most"], "at most 1.3"
        )


def _spread(count: int) -> dict[str, Figures]:
    """At first, when one was restarted and its clients came again, and when all came again."""
    with ExitStack() as stack:
        source = stack.enter_context(running(Child("-m", "bench.source")))
        subject = stack.enter_context(cluster.workers(count, int(source.line()), source))
        words = ("-m", "bench.sink", str(subject.port), str(_CLIENTS))
        sink = stack.enter_context(running(Child(*words)))
        assert sink.line() == "ready"
        found = {"at first": _evenness(subject)}
        name, pid = next(iter(cluster.workers_of(subject).items()))
        lost = connections_of(pid, subject.port)
        os.kill(pid, signal.SIGKILL)
        sink.ask(f"mend {lost}")
        _until(lambda: cluster.workers_of(subject)[name] != pid)
        found["one restarted"] = _evenness(subject)
        sink.ask("storm")
        found["then all anew"] = _evenness(subject)
        return found


def _evenness(subject: Subject) -> Figures:
    pids = cluster.workers_of(subject).values()
    _until(lambda: sum(connections_of(pid, subject.port) for pid in pids) == _CLIENTS)
    counts = [connections_of(pid, subject.port) for pid in pids]
    return {
        "fewest": min(counts),
        "largest": max(counts),
        "most": max(counts) * len(counts) / _CLIENTS,
    }


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError("the clients are not with the workers")
        time.sleep(0.1)


def ratio(rounds: Rounds, figure: str, name: str, other: str) -> float:
    """``name`` : ``other``, the median of the rounds'."""
    pairs = zip(rounds[name], rounds[other], strict=True)
    return statistics.median(one[figure] / two[figure] for one, two in pairs)


def _name(edges: int) -> str:
    return "1 edge" if edges == 1 else f"{edges} edges"


def _has_redis() -> bool:
    found = shutil.which(PROGRAM) is not None
    if not found:
        print("\nworkers: there is no redis-server on this machine")
    return found
