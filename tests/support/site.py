"""A collector, edges and Redis as processes, with scripted AMI servers."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import metrics
from tests.support.ami_server import AmiServer
from tests.support.forkserver import MAIN
from tests.support.ports import free_port
from tests.support.program import Program, configuration, wait_until
from tests.support.redis_server import RedisServer

MORE = "live_state: yes\nsync_interval: 1 h\n"


class CollectorProgram(Program):
    """It serves no clients: it is there when it says so. ``metrics_port`` has its metrics."""

    metrics_port: int

    def __init__(self, folder: Path, configuration: str, *options: str, short: bool) -> None:
        module = "tests.support.short_leases" if short else MAIN
        super().__init__(folder, configuration, *options, module=module)

    @property
    def leases(self) -> set[str]:
        """Those that it holds."""
        return set(get(self.metrics_port, "/readyz")[1]["bus"]["leases"])

    def _listening(self) -> bool:
        return "collector: " in self.log


class Site:
    """Use as a context manager; ``hosts`` are entries of ``amihosts``.

    With ``short`` leases are short. Unless Redis is ``settled`` it grants none for that time.
    With ``url`` Redis is there already, at that address, and ``redis`` does not run.
    """

    def __init__(
        self,
        folder: Path,
        *hosts: str,
        more: str = "",
        short: bool = False,
        settled: bool = True,
        url: str = "",
    ) -> None:
        self.folder = folder
        self._short = short
        self._settled = settled
        self.redis = RedisServer(folder / "redis")
        self.edges: list[Program] = []
        self._hosts = hosts
        self._url = url
        self._more = f"{MORE}redis:\n  url: {url or self.redis.url}\n{more}"
        self._stack = ExitStack()
        self._number = 0

    def __enter__(self) -> Self:
        if not self._url:
            self._stack.enter_context(self.redis)
            if self._settled:
                self.redis.settle()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def configuration(self, more: str = "") -> str:
        return configuration(*self._hosts, more=self._more + more)

    def collector(self, more: str = "") -> CollectorProgram:
        """Start one."""
        port = free_port()
        made = CollectorProgram(
            self._folder("collector"),
            self.configuration(f"metrics_listen: 127.0.0.1:{port}\n{more}"),
            "--process",
            "collector",
            short=self._short,
        )
        made.metrics_port = port
        return self._stack.enter_context(made)

    def edge(self, more: str = "") -> Program:
        """Start one; it listens."""
        made = Program(self._folder("edge"), self.configuration(more), "--process", "edge")
        self._stack.enter_context(made)
        self.edges.append(made)
        return made

    def _folder(self, name: str) -> Path:
        self._number += 1
        folder = self.folder / f"{name}{self._number}"
        folder.mkdir()
        return folder


def get(port: int, path: str) -> tuple[int, Any]:
    """Status and JSON, or text, of a request."""
    status, body = metrics.get(port, path)
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body.decode()


def metric(port: int, name: str) -> list[float]:
    """The values of a metric."""
    _, text = get(port, "/metrics")
    return [float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M)]


def wait_ready(port: int, ready: bool = True) -> Any:
    """Wait until /readyz says so, or that it is not."""
    wait_until(lambda: get(port, "/readyz")[1].get("ready") is ready, f"ready: {ready}")
    return get(port, "/readyz")[1]


def logged_in(server: AmiServer, connections: int = 1) -> Any:
    """Wait for the connection of that number; it is logged in."""
    link = server.wait_connections(connections)
    server.wait_for(lambda _: link.logged_in)
    return link
