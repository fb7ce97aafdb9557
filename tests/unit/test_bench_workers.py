"""How the benchmark of shared work counts and judges."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from bench import cluster, workers
from bench.cluster import COLLECTOR, SERVED, Parts, Scene
from bench.sections import Report
from bench.subjects import connections_of


class Said:
    """A source, or a sink, that gives the answers it was made with."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.asked: list[str] = []
        self._answers = iter(answers)

    def say(self, command: str) -> None:
        self.asked.append(command)

    def ask(self, command: str) -> dict[str, Any]:
        self.say(command)
        return next(self._answers)

    def line(self) -> str:
        return json.dumps(next(self._answers))


def sink(**more: Any) -> Any:
    got = {"complete": True, "end": 12.0, "cpu": 0.5, "latencies_ns": {}, **more}
    return Said(got)


def test_what_each_process_costs_is_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([1.0, 2.0, 5.0, 1.1, 2.3, 5.2])
    monkeypatch.setattr(cluster, "cpu_of", lambda _pid: next(used))
    source: Any = Said({"start": 10.0})
    scene = Scene(source, Parts([1], {SERVED: [7, 8], COLLECTOR: [9]}), [sink(), sink()], 100)
    figures = cluster.run(scene, "burst 1000", 1000)
    assert {name: round(value, 6) for name, value in figures.items()} == {
        "us_a_delivery": 4.0,  # of both that serve, 0.1 s and 0.3 s
        "sink_us_a_delivery": 10.0,
        "served_us_a_message": 400.0,
        "collector_us_a_message": 200.0,
        "deliveries_per_second": 50_000.0,
    }
    assert source.asked == ["burst 1000"]


@pytest.mark.parametrize(
    ("cores", "judged"), [(2, False), (workers.ENOUGH_CORES, True)], ids=["few cores", "enough"]
)
def test_a_machine_says_by_itself_whether_it_can_judge_throughput(
    cores: int, judged: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speeds = {"1 edge": 10.0, "2 edges": 17.0}

    @contextlib.contextmanager
    def scene(start: str, clients: int, sinks: int = 1) -> Iterator[str]:
        yield start

    monkeypatch.setattr(cluster, "edges", workers._name)
    monkeypatch.setattr(cluster, "scene", scene)
    monkeypatch.setattr(workers, "_burst", lambda start: {"deliveries_per_second": speeds[start]})
    report = Report(1, with_uws=False)
    workers._throughput(report, cores)
    told = capsys.readouterr().out
    assert ("cannot be judged on 2 cores" in told) is not judged
    assert ("against 1: 1.70 (wanted: at least 1.6)" in told) is judged


def test_connections_of_a_process_to_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert connections_of(os.getpid(), port) == 0
        with socket.create_connection(("127.0.0.1", port)):
            there, _ = listener.accept()
            assert connections_of(os.getpid(), port) == 1
            there.close()
        assert connections_of(os.getpid(), port) == 0
