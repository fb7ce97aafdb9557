"""The supervisor, with processes that are fakes."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import socket

from amiws_gevent.config import Source
from amiws_gevent.errors import ListenError, StartError
from amiws_gevent.runtime import log
from amiws_gevent.workers import supervisor as module
from amiws_gevent.workers.handover import Beginning
from amiws_gevent.workers.supervisor import Supervisor, cores
from tests.support.greenlets import until
from tests.support.patience import WAIT
from tests.support.workers import FakeProcess

TEXT = """\
ws_host: 127.0.0.1
ws_port: 0
redis: {url: "unix:///none"}
amihosts: [{name: a, host: h, username: u, secret: s}]
"""


class FakeProgram(FakeProcess):
    """What was started under a name."""

    def __init__(self, name: str, beginning: Beginning, methods: Mapping[str, Any]) -> None:
        super().__init__(os.getpid())
        self.name = name
        self.methods = methods
        self.given = beginning

    def keys(self) -> Mapping[str, Any]:
        return self.given.source.replaced

    def told_of(self, method: str) -> list[Any]:
        return [data for name, data in self.told if name == method]


class Site:
    """A supervisor, its file, and what it has started, by name and in order."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "amiws.yaml"
        self.started: list[FakeProgram] = []
        self.prepare: Callable[[FakeProgram], None] = lambda _: None
        self.supervisor: Supervisor
        self.control = log.configure(40, 6, foreground=False, address="/none")
        self._running: gevent.Greenlet[..., int] | None = None

    def write(self, more: str = "workers: 2\n") -> None:
        self.file.write_text(TEXT + more)

    def start(self, more: str = "workers: 2\n") -> Supervisor:
        self.write(more)
        source = Source(str(self.file), str(self.file.parent))
        start: Any = self._start
        self.supervisor = Supervisor(
            source.load(),
            source,
            log=self.control,
            foreground=False,
            pid_file=Path("/run/pid"),
            start_process=start,
        )
        self.supervisor.start()
        self._running = gevent.spawn(self.supervisor.run)
        return self.supervisor

    def _start(
        self, name: str, beginning: Any, methods: Any, *, streams: int | None
    ) -> FakeProgram:
        made = FakeProgram(name, beginning, methods)
        self.prepare(made)
        self.started.append(made)
        return made

    def __getitem__(self, name: str) -> FakeProgram:
        return [each for each in self.started if each.name == name][-1]

    def reload(self, more: str) -> None:
        self.write(more)
        self.supervisor.request_reload()
        greenlet = self.supervisor._reloads._greenlet
        assert greenlet is not None
        greenlet.get(timeout=WAIT)

    def end(self) -> int | None:
        running, self._running = self._running, None
        if running is None:
            return None
        self.supervisor.request_stop()
        return running.get(timeout=WAIT)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.end()
    made.control.close()


def names(site: Site) -> list[str]:
    return sorted(each.name for each in site.started)


def test_a_collector_and_edges(site: Site) -> None:
    supervisor = site.start("workers: 2\nstate_file: /var/lib/a/state\nmetrics_listen: :0\n")
    assert names(site) == ["collector", "edge-1", "edge-2"]
    port = int(supervisor.url.rpartition(":")[2].strip("/"))
    collector, edge = site["collector"].keys(), site["edge-2"].keys()
    assert collector == {"workers": None, "process": "collector", "metrics_listen": None}
    assert (edge["process"], edge["workers"], edge["ws_port"]) == ("edge", None, port)
    assert edge["state_file"] == "/var/lib/a/state.edge-2"
    assert int(edge["metrics_listen"].rpartition(":")[2]) > 0
    given = site["edge-1"].given
    assert given.private_files == ("/run/pid", "/var/lib/a/state", "/var/lib/a/state.logouts")
    assert (given.alone, given.foreground) == (False, False)
    assert site["collector"].given.listener is None
    assert given.listener not in (None, site["edge-2"].given.listener)
    assert given.source.load().settings.process == "edge"
    assert site["collector"].given.source.load().settings.process == "collector"
    assert site.end() == 0
    assert all(each.signals == [signal.SIGTERM] for each in site.started)


def test_edges_alone_for_a_collector_elsewhere(site: Site) -> None:
    site.start("workers: 1\nprocess: edge\n")
    assert names(site) == ["edge-1"]


def test_auto_is_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site.start("workers: auto\n")
    assert len(site.started) == 1 + cores()
    assert f"workers: auto: {cores()}, as this process may use so many cores" in caplog.text


def test_a_port_that_is_taken(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port}.* is in use"):
            site.start(f"workers: 1\nmetrics_listen: 127.0.0.1:{port}\n")
    assert site.started == []


def test_one_that_cannot_start_ends_all(site: Site) -> None:
    def refuse(process: FakeProgram) -> None:
        if process.name == "edge-2":
            process.error = StartError("plugin x: no")
            process.ended.set()

    site.prepare = refuse
    with pytest.raises(StartError, match="plugin x: no"):
        site.start()
    assert site["collector"].signals == [signal.SIGTERM]
    assert site["edge-1"].closed


def test_a_reload_is_for_all(site: Site) -> None:
    supervisor = site.start()
    before = site.started[:]
    url = supervisor.url
    site.reload("workers: 2\nlog_level: debug\n")
    for process in before:
        (told,) = process.told_of("prepare")
        settings = Source(**told).load().settings
        assert (settings.log_level, settings.process) == (7, process.name.partition("-")[0])
        assert process.told[-1] == ("commit", None)
    assert site.started == before
    assert supervisor.url == url
    assert logging.getLogger("amiws_gevent").level == logging.DEBUG


@pytest.mark.parametrize(
    ("more", "fails", "told"),
    [
        ("workers: x\n", False, "workers: must be auto or a number from 1 to 128"),
        ("workers: 2\n", True, "the certificate is gone (edge-2)"),
    ],
)
def test_a_reload_that_is_refused(
    site: Site, more: str, fails: bool, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.start()

    def answer(method: str, _data: Any) -> None:
        if fails and method == "prepare":
            raise ListenError("the certificate is gone")

    site["edge-2"].answer = answer
    site.reload(more)
    assert told in caplog.text
    assert "the previous one stays in force" in caplog.text
    assert site["edge-1"].told_of("commit") == []
    assert len(site["edge-1"].told_of("roll back")) == fails
    (refused,) = site["collector"].told_of("refused")
    assert told in refused
    site["edge-1"].ended.set()
    until(lambda: len(site.started) == 4)
    assert site["edge-1"].given.source.text == TEXT + "workers: 2\n"


def test_one_that_dies_amid_a_reload_has_the_new_one_or_is_replaced(site: Site) -> None:
    site.start()
    first = site["edge-1"]

    def answer(method: str, _data: Any) -> None:
        if method == "prepare":
            first.ended.set()  # and comes again before the others have committed
            until(lambda: site["edge-1"] is not first)

    first.answer = answer
    now = "workers: 2\nlog_level: debug\n"
    site.reload(now)
    until(lambda: site["edge-1"].given.source.text == TEXT + now)
    assert site["edge-2"].signals == []


def test_workers_come_and_go(site: Site) -> None:
    site.start()
    site.reload("workers: 3\n")
    until(lambda: "edge-3" in names(site))
    assert used(site) == [1, 1]
    leaving = site.supervisor._team.edges[1]
    site.reload("workers: 1\n")
    leaving.on_look(site["edge-2"])  # an answer that was under way
    assert used(site) == [1, 0]
    until(lambda: site["edge-3"].closed and site["edge-2"].closed)
    assert site["edge-1"].signals == []


def test_the_clients_of_an_edge_wait_for_the_next_but_not_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HOLD_TIME", 0.001)
    site.start()
    first = site["edge-1"]
    first.ended.set()
    until(lambda: site["edge-1"] is not first)
    assert site["edge-1"].given.listener == first.given.listener

    def hang(process: FakeProgram) -> None:
        process.error = StartError("no")
        process.ended.set()

    site.prepare = hang
    site["edge-1"].ended.set()
    ports = site.supervisor._plan.ports
    until(lambda: "edge-1" not in ports.web._listeners)
    assert used(site) == [0, 1]
    site.prepare = lambda _: None
    until(lambda: site.supervisor._team.edges[0].process is not None)
    assert "edge-1" in ports.web._listeners
    assert used(site) == [1, 1]


def test_the_wait_for_an_edge_is_not_cut_short_by_the_one_before(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[Timer] = []

    class Timer:
        """Of `gevent.spawn_later`, for a time that the test decides."""

        def __init__(self, _seconds: float, do: Callable[..., None], *arguments: Any) -> None:
            self.ring = partial(do, *arguments)
            timers.append(self)

        def kill(self, block: bool = True) -> None:
            self.ring = partial(int)

    functions = SimpleNamespace(spawn=gevent.spawn, spawn_later=Timer, sleep=gevent.sleep)
    monkeypatch.setattr(module, "gevent", functions)

    def refuse(process: FakeProgram) -> None:
        process.error = StartError("no")
        process.ended.set()

    site.start()
    (keeper, _), ports = site.supervisor._team.edges, site.supervisor._plan.ports
    first = site["edge-1"]
    first.ended.set()
    until(lambda: keeper.process is not None and site["edge-1"] is not first)
    site.prepare = refuse
    site["edge-1"].ended.set()
    until(lambda: keeper.restarts > 3)
    timers[0].ring()
    assert "edge-1" in ports.web._listeners
    assert len(timers) == 2, "one for each absence, however often it is tried"
    timers[1].ring()
    assert "edge-1" not in ports.web._listeners


def used(site: Site) -> list[int]:
    """Of the places of two edges, which can be handed connections."""
    return list(site.supervisor._places._memory.used[:2])


def test_an_edge_that_does_not_answer_is_handed_no_connections(site: Site) -> None:
    site.start()
    edge = site.supervisor._team.edges[1]
    edge.on_silent()
    assert used(site) == [1, 0]
    edge.on_look(site["edge-2"])
    assert used(site) == [1, 1]
    collector = site.supervisor._team.collector
    assert collector is not None
    collector.on_silent()
    collector.on_look(site["collector"])
    assert used(site) == [1, 1]


@pytest.mark.parametrize("more", ["", "workers: 2\nprocess: edge\n"])
def test_what_needs_a_restart_is_said(
    site: Site, more: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.start()
    site.reload(more)
    assert "needs a restart" in caplog.text
    assert len(site.started) == 3
    assert all(each.signals == [] for each in site.started)


def test_metrics_and_readiness_of_all(site: Site) -> None:
    site.start()

    def answer(method: str, _data: Any) -> Any:
        bus = {"up": True, "reason": ""}
        readiness = {"listening": True, "servers": [], "audit": None, "bus": bus}
        samples = [("amiws_gaps_total", {}, 2)]
        told = {"readiness": readiness, "metrics": [("amiws_gaps", "Gaps.", "counter", samples)]}
        return told[method]

    for process in site.started:
        process.answer = answer
    methods = site["edge-1"].methods
    text, _ = methods["metrics of all"]("")
    assert "amiws_gaps_total 6.0" in text.splitlines()
    assert methods["readiness of all"](None)["bus"]["up"] is True


def test_systemd_is_told_while_all_is_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(module, "notify", lambda *words: told.extend(words))
    monkeypatch.setattr(module, "watchdog_time", lambda: 0.001)
    site.start()
    until(lambda: told.count("WATCHDOG=1") > 1)
    assert told[0] == "READY=1"
    monkeypatch.setattr(module, "UNWELL_TIME", 0.0)
    for keeper in site.supervisor._team.keepers:
        keeper.heard.clear()
    gevent.sleep(0)
    del told[:]
    for _ in range(10):
        gevent.sleep(0.001)
    assert told == []


def test_a_redis_of_its_own(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[FakeProcess] = []

    def start(_folder: Any) -> FakeProcess:
        made.append(FakeProcess(os.getpid()))
        return made[-1]

    monkeypatch.setattr(module, "RedisProcess", start)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("tests.unit.test_workers_supervisor.TEXT", TEXT.replace("redis:", "x-r:"))
    site.start()
    url = site["edge-1"].keys()["redis"]["url"]
    assert url == site["collector"].keys()["redis"]["url"]
    assert url.startswith("unix:///")
    assert site["collector"].given.alone
    made[0].ended.set()
    until(lambda: len(made) == 2)
    assert site.end() == 0
    assert made[1].signals == [signal.SIGKILL]
    assert list(tmp_path.glob("amiws-redis-*")) == []
