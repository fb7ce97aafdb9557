"""The program with ``workers``: its processes live, die, hang, reload and end together."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from amiws_gevent.workers.supervisor import HOLD_TIME
from bench.subjects import connections_of
from tests.support import short_pings
from tests.support.ami_server import AmiServer
from tests.support.daemon import Daemons, gone, listens
from tests.support.listing import event
from tests.support.patience import WAIT
from tests.support.program import ROOT, Program, ami_host, configuration, wait_until
from tests.support.site import get, metric, wait_ready
from tests.support.ws_client import Client

pytestmark = pytest.mark.slow

CONNECTIONS = 60
"""Of which each of two edges has more than 10: else once in ten million runs."""


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    with AmiServer() as server:
        yield server


class Workers(Program):
    """Listens once all processes serve."""

    def _listening(self) -> bool:
        return "workers: listening on http" in self.log

    def pid(self, name: str) -> int:
        """Of the process of this name that serves now."""
        return int(re.findall(rf"workers: {name} serves \(process (\d+)\)", self.log)[-1])

    def count(self, name: str) -> int:
        return self.log.count(f"workers: {name} serves")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid(name), number)

    def replaced(self, name: str, serving: int) -> None:
        """Wait until so many have served."""
        wait_until(lambda: self.count(name) >= serving, f"another {name}:\n{self.log}")

    def pids(self) -> list[int]:
        found = re.findall(r"serves \(process (\d+)\)", self.log)
        return [self.process.pid, *map(int, found)]


def user_event(number: int) -> bytes:
    return event("UserEvent", Number=str(number))


def told(client: Client, number: int) -> bool:
    return any(m["data"].get("Number") == str(number) for m in client.messages if m.get("data"))


def text_of(ami: AmiServer, more: str = "") -> str:
    keys = f"metrics_listen: 127.0.0.1:0\nlimits: {{header_time: {WAIT:g}}}\n"
    return configuration(ami_host(ami.port), more=keys + more)


def test_one_program_of_many_processes(tmp_path: Path, ami: AmiServer) -> None:
    text = text_of(ami, "workers: 2\n")
    with Workers(tmp_path, text, module=short_pings.__name__) as program, ExitStack() as stack:
        ami.wait_login()
        port = program.port
        _spreads_connections(program, port)
        clients = [stack.enter_context(Client(port)) for _ in range(8)]
        ami.send(user_event(1))
        wait_until(lambda: all(told(client, 1) for client in clients), "an event for all")
        _keeps_secrets(program)
        _is_one_in_metrics(program, port)
        _reloads_all_or_none(program, ami)
        _stays_even(program, port)
        _survives_its_parts(program, ami, port)
        pids = program.pids()
    wait_until(lambda: all(map(gone, pids)), "all are gone")
    wait_until(lambda: not listens(port), "nobody listens any more")
    assert "stopped" in program.log.splitlines()[-1]


def _spreads_connections(program: Workers, port: int) -> None:
    def descriptors(name: str) -> int:
        return len(list(Path(f"/proc/{program.pid(name)}/fd").iterdir()))

    names = ["edge-1", "edge-2"]
    before = [descriptors(name) for name in names]
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), WAIT))

        def found() -> list[int]:
            return [descriptors(name) - had for name, had in zip(names, before, strict=True)]

        wait_until(lambda: sum(found()) >= CONNECTIONS, "all are accepted")
        assert min(found()) > 10


def _keeps_secrets(program: Workers) -> None:
    for pid in program.pids()[1:]:
        shown = [Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
        assert b"s3cret" not in b"".join(shown)
    lines = program.log.splitlines()
    assert any(re.search(r" INFO +collector link: pbx .*connected", line) for line in lines)
    assert "s3cret" not in program.log


def _is_one_in_metrics(program: Workers, port: int) -> None:
    metrics_port = int(re.findall(r"metrics at http://127.0.0.1:(\d+)/", program.log)[-1])
    assert get(metrics_port, "/healthz") == (200, "ok\n")
    assert get(port, "/metrics")[0] == 404
    for _ in range(4):  # whichever answers
        assert sum(metric(metrics_port, "amiws_clients")) == 8
        assert sum(metric(metrics_port, "amiws_clients_opened_total")) == 8
        assert sum(metric(metrics_port, "amiws_deliveries_total")) >= 8
    assert len(metric(metrics_port, "process_cpu_seconds_total")) == 5
    received = sum(metric(metrics_port, "amiws_messages_received_total"))
    assert metric(metrics_port, "amiws_messages_published_total") == [received]
    ready = wait_ready(metrics_port)
    assert [server["name"] for server in ready["servers"]] == ["pbx"]
    assert ready["bus"]["process"] == "supervisor"


def _reloads_all_or_none(program: Workers, ami: AmiServer) -> None:
    text = text_of(ami, "workers: 3\nlog_level: debug\n")
    program.reload(text.replace("workers: 3", "workers: 3\nssl_cert: /none\nssl_key: /none"))
    program.wait_for_log("ssl_cert: ")
    program.wait_for_log("the previous one stays in force")
    program.reload(text)
    program.wait_for_log("configuration applied")
    program.replaced("edge-3", 1)
    assert (program.count("edge-1"), program.count("collector")) == (1, 1)


def _stays_even(program: Workers, port: int) -> None:
    """Also when those of one that was killed come again at once."""
    names = ["edge-1", "edge-2", "edge-3"]

    def found(names: Sequence[str] = names) -> list[int]:
        return [connections_of(program.pid(name), port) for name in names]

    with ExitStack() as stack:

        def come(number: int) -> list[socket.socket]:
            address = "127.0.0.1", port
            return [
                stack.enter_context(socket.create_connection(address, WAIT)) for _ in range(number)
            ]

        before = sum(found())
        clients = come(2 * CONNECTIONS)
        wait_until(lambda: sum(found()) >= before + len(clients), "all are accepted")
        program.kill("edge-1")
        program.wait_for_log("edge-1: it was ended by SIGKILL")
        lost = select.select(clients, [], [], 0)[0]
        total = sum(found(names[1:])) + len(lost)
        come(len(lost))
        program.replaced("edge-1", 2)
        wait_until(lambda: sum(found()) >= total, "all are accepted again")
        assert max(found()) <= 1.3 * total / len(names)


def _survives_its_parts(program: Workers, ami: AmiServer, port: int) -> None:
    metrics_port = int(re.findall(r"metrics at http://127.0.0.1:(\d+)/", program.log)[-1])
    opened = sum(metric(metrics_port, "amiws_clients_opened_total"))
    stopped = program.pid("edge-3")
    program.kill("edge-3", signal.SIGSTOP)  # and meanwhile:
    program.kill("edge-1")
    program.wait_for_log("edge-1: it was ended by SIGKILL", 2)
    waiting = [socket.create_connection(("127.0.0.1", port), WAIT) for _ in range(CONNECTIONS)]
    for connection in waiting:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    program.kill("redis")
    program.kill("collector")
    program.wait_for_log("redis: it was ended by SIGKILL")
    for name, serving in (("edge-1", 3), ("redis", 2), ("collector", 2)):
        program.replaced(name, serving)
    silent = short_pings.PING_TIME * short_pings.HANG_PINGS
    program.wait_for_log(f"edge-3: it has not answered for {silent:g} s, and was killed")
    program.replaced("edge-3", 2)
    assert gone(stopped)
    answered = [_is_answered(each) for each in waiting]  # also by one that was not there
    assert all(answered) or max(_absences(program.log)) > HOLD_TIME
    program.wait_for_log("collector link: pbx (127.0.0.1", 2)
    wait_ready(metrics_port)
    with Client(port) as client:
        wait_until(lambda: _tries(ami, client), "events come again")
    assert sum(metric(metrics_port, "amiws_clients_opened_total")) > opened


def _is_answered(connection: socket.socket) -> bool:
    """Or else closed, by an edge that was away for too long."""
    with connection:
        try:
            return connection.recv(9) == b"HTTP/1.1 "
        except ConnectionResetError:
            return False


def _absences(log: str) -> Iterator[float]:
    """Seconds from the end of an edge until the next one of its name has served."""
    ended: dict[str, datetime] = {}
    for time, name, what in re.findall(r"(?m)^(\S+ \S+) \w+ +workers: (edge-\d+)(:| serves)", log):
        at = datetime.fromisoformat(time)
        if what == ":":
            ended[name] = at
        elif name in ended:
            yield (at - ended.pop(name)).total_seconds()


def _tries(ami: AmiServer, client: Client) -> bool:
    ami.send(user_event(2))
    return told(client, 2)


def test_nothing_is_left_of_a_demo_whose_supervisor_is_killed(tmp_path: Path) -> None:
    with Daemons(tmp_path) as daemons:
        done = daemons.start(
            "--demo", str(daemons.port), "--workers", "1", "-p", str(daemons.pid_file)
        )
        assert done.returncode == 0, done.stderr
        assert f"Open http://127.0.0.1:{daemons.port}/ in a browser" in done.stdout
        status, page = get(daemons.port, "/readyz")
        assert (status, page["bus"]["process"]) == (200, "supervisor")
        assert len(page["servers"]) == 3
        children = children_of(daemons.pid)
        assert len(children) == 3
        os.kill(children[-1], signal.SIGSTOP)
        os.kill(daemons.pid, signal.SIGKILL)
        wait_until(lambda: all(map(gone, children)), "all are gone")
        # The last thread of a process may be there for a moment longer, and with it the port.
        wait_until(lambda: not listens(daemons.port), "nobody listens any more")


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in found.split() if not gone(int(child))]


def test_without_redis_server_it_is_said_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "amiws_gevent", "--demo", "0", "--workers", "1"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WAIT,
    )
    assert done.returncode == 69
    assert "neither is installed: install one (Debian: apt install redis-server" in done.stderr
    assert "Traceback" not in done.stderr
