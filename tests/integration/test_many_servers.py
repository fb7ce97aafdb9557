"""200 AMI servers in one process, half of them flapping: the healthy ones notice nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ami_server import AmiServer
from tests.support.program import ROOT, Program, ami_host, configuration, wait_until
from tests.support.ws_client import Client

WELL = FLAPPING = 100


@pytest.fixture
def neighbour_ports() -> Iterator[list[int]]:
    command = [sys.executable, "-m", "bench.neighbours", str(WELL - 1), str(FLAPPING)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield [int(port) for port in process.stdout.readline().split()]
        process.kill()


def test_flapping_servers_cost_the_healthy_nothing(
    tmp_path: Path, neighbour_ports: list[int]
) -> None:
    with AmiServer() as server:
        others = [ami_host(port, f"pbx{n}") for n, port in enumerate(neighbour_ports, 2)]
        hosts = configuration(ami_host(server.port), *others)
        with Program(tmp_path, hosts) as program, Client(program.port) as client:
            server.wait_login()
            program.wait_for_log(" as user ", WELL)
            for number in range(1000):
                server.send(b"Event: Numbered\r\nNumber: %d\r\n\r\n" % number)
            numbers = [str(number) for number in range(1000)]

            def received() -> list[str]:
                data = [message["data"] for message in client.messages]
                return [item["Number"] for item in data if item.get("Event") == "Numbered"]

            wait_until(lambda: len(received()) == 1000, "all events")
            assert received() == numbers
            assert len(server.connections) == 1, "never lost"
            # One that stays bad is told of a few times, not with each attempt.
            flapping = [f"pbx{number}" for number in range(WELL + 1, WELL + FLAPPING + 1)]
            told = [
                sum(f" {name} " in line for line in program.log.splitlines()) for name in flapping
            ]
            assert min(told) >= 1
            assert max(told) <= 6
