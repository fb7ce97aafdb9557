"""What runs in the place of a server where there are ``workers``: it has others serve.

It reads the configuration and has all prepare it, keeps the ports, starts the processes and a
Redis for them, and answers for all: metrics, readiness, systemd.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from gevent import subprocess
from gevent.event import Event

from amiws_gevent.config import LoadResult, Settings, Source
from amiws_gevent.config.fields import AUTO, BOTH, COLLECTOR, EDGE
from amiws_gevent.errors import AmiwsError, StartError
from amiws_gevent.plugins.roster import Roster
from amiws_gevent.processes import load_as_before
from amiws_gevent.reload import LastReload, Reloads
from amiws_gevent.runtime.alive import tell_alive
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.runtime.notify import notify, watchdog_time
from amiws_gevent.server import url_of
from amiws_gevent.workers.channel import Method
from amiws_gevent.workers.handover import Beginning
from amiws_gevent.workers.keeper import Keeper
from amiws_gevent.workers.ports import Ports
from amiws_gevent.workers.privateredis import RedisFolder, RedisProcess
from amiws_gevent.workers.process import ProgramProcess
from amiws_gevent.workers.spread import Places
from amiws_gevent.workers.team import AllKeepers, Team, edge_number, end_all
from amiws_gevent.workers.whole import ASK_TIME, Metrics, readiness_of_all

UNWELL_TIME = 60.0
"""Seconds for which systemd is told that all is well while nothing can be served."""

HOLD_TIME = 10.0
"""Seconds for which the clients of an edge that has ended wait for the next one."""

REDIS_TIME = 1.0
"""Seconds for Redis to end."""

REDIS = "redis"

_log = logging.getLogger("amiws_gevent.workers")


@dataclass(frozen=True)
class Plan:
    """A configuration, and what of it each process is told."""

    settings: Settings
    source: Source
    ports: Ports
    redis_url: str
    """Of the Redis of this machine; empty: another one is configured."""

    @property
    def edges(self) -> int:
        """How many there are to be."""
        number = self.settings.workers
        assert number is not None
        return cores() if number == AUTO else number

    def source_of(self, name: str) -> Source:
        """For the process of this name."""
        values: dict[str, Any] = {"workers": None, "process": COLLECTOR, "metrics_listen": None}
        if name != COLLECTOR:
            values |= {"process": EDGE, **self.ports.replaced()}
            if self.settings.state_file is not None:  # logouts, each in a file of its own
                values["state_file"] = f"{self.settings.state_file}.{name}"
        if self.redis_url:
            values[REDIS] = {"url": self.redis_url}
        return self.source.replacing(**values)


class Supervisor:
    """Of `serving.Served`. ``source`` is where ``result`` has come from.

    ``foreground``: whether processes log to standard error too. ``start_process`` starts one of
    the program.
    """

    def __init__(
        self,
        result: LoadResult,
        source: Source,
        *,
        log: LogControl,
        foreground: bool,
        pid_file: Path | None = None,
        start_process: Callable[..., ProgramProcess] = ProgramProcess,
    ) -> None:
        self.plugins = Roster()
        self._result = result
        self._source = source
        self._log = log
        self._foreground = foreground
        self._pid_file = pid_file
        self._start_process = start_process
        self._begun_with: dict[str, Plan] = {}
        self._holds: dict[str, gevent.Greenlet[..., None]] = {}  # of edges that are away
        self._redis: list[Keeper[RedisProcess]] = []
        self._stack = ExitStack()
        self._ended = Event()
        self._well_at = time.monotonic()
        last = LastReload()
        self._metrics = Metrics(last, collector=result.settings.process == BOTH)
        load = partial(load_as_before, source.load, result.settings) if source.path else None
        self._reloads = _WholeReload(self, load, last)
        self._plan: Plan
        self._places: Places
        self._team: Team

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the pages, once started."""
        return url_of(self._plan.settings, self._plan.ports.web.number)

    def start(self) -> None:
        """Have all serve; raises StartError with nothing left."""
        try:
            self._start()
        except StartError:
            self._stack.close()
            raise

    def _start(self) -> None:
        settings, stack = self._result.settings, self._stack
        ports = Ports(settings)
        stack.callback(lambda: self._plan.ports.close())
        source = self._source.with_text(self._result.text)
        self._plan = Plan(settings, source, ports, "")
        if settings.redis is None:
            self._plan = replace(self._plan, redis_url=self._start_redis())
        self._places = Places(self._plan.edges)
        stack.callback(self._places.close)
        self._team = Team(self._keeper, collector=settings.process == BOTH, edges=self._plan.edges)
        stack.callback(lambda: end_all(self._team.keepers))
        stack.callback(lambda: self._plan.ports.web.release_all())
        if settings.workers == AUTO:
            _log.info("workers: auto: %d, as this process may use so many cores", cores())
        self._team.begin()
        self._reloads.applied()
        _log.info("listening on %s with %d workers", self.url, self._plan.edges)

    def _start_redis(self) -> str:
        """Returns its URL."""
        folder = RedisFolder()
        self._stack.callback(folder.remove)
        keeper = Keeper(REDIS, partial(RedisProcess, folder))
        keeper.on_ended = partial(self._metrics.ended, REDIS)
        self._stack.callback(self._end_redis, keeper)
        keeper.begin(must_serve=True)
        keeper.first.get()
        self._redis.append(keeper)
        return folder.url

    @staticmethod
    def _end_redis(keeper: Keeper[RedisProcess]) -> None:
        keeper.stop(signal.SIGKILL)  # it has nothing to keep
        keeper.join(REDIS_TIME)

    def _keeper(self, name: str) -> AllKeepers:
        keeper: AllKeepers = Keeper(
            name,
            lambda: self._start_process(
                name,
                self._beginning(name),
                self._methods,
                streams=None if self._foreground else subprocess.DEVNULL,
            ),
        )
        keeper.on_began = lambda _: self._began(keeper)
        keeper.on_look = lambda _: self._answered(keeper)
        keeper.on_silent = partial(self._silent, keeper)
        keeper.on_ended = partial(self._ended_one, keeper)
        return keeper

    def _beginning(self, name: str) -> Beginning:
        plan = self._begun_with[name] = self._plan
        edge = edge_number(name)
        private = [self._pid_file, plan.settings.state_file, plan.settings.logouts_file]
        return Beginning(
            plan.source_of(name),
            foreground=self._foreground,
            alone=bool(plan.redis_url),
            private_files=tuple(str(path) for path in private if path is not None),
            listener=None if edge is None else plan.ports.web.listener_of(name).fileno(),
            seat=None if edge is None else self._places.take(edge),
        )

    def _began(self, keeper: AllKeepers) -> None:
        held = self._holds.pop(keeper.name, None)
        if held is not None:
            held.kill(block=False)
        self._let_take(keeper)  # again, if it took long to begin
        self._check_plan(keeper)

    def _answered(self, keeper: AllKeepers) -> None:
        self._let_take(keeper)
        self._metrics.look(keeper)

    def _let_take(self, keeper: AllKeepers) -> None:
        """Have other edges hand it connections."""
        edge = edge_number(keeper.name)
        if edge is not None and keeper in self._team.edges:
            self._places.take(edge)

    def _silent(self, keeper: AllKeepers) -> None:
        """Other edges serve what they would hand to one that may hang."""
        edge = edge_number(keeper.name)
        if edge is not None:
            self._places.spare(edge)

    def _ended_one(self, keeper: AllKeepers) -> None:
        self._metrics.ended(keeper.name)
        edge = edge_number(keeper.name)
        if edge is not None:
            self._places.ended(edge)
            if keeper.name not in self._holds:  # else it has not served since
                held = gevent.spawn_later(HOLD_TIME, self._release_if_away, keeper)
                self._holds[keeper.name] = held

    def _release_if_away(self, keeper: AllKeepers) -> None:
        self._holds.pop(keeper.name, None)
        if keeper.process is None and keeper in self._team.edges:
            self._release(keeper.name)

    def _release(self, name: str) -> None:
        """Send clients that wait for an edge to the others."""
        edge = edge_number(name)
        assert edge is not None
        self._plan.ports.web.release(name)
        self._places.release(edge)

    def _check_plan(self, keeper: AllKeepers) -> None:
        """One that began while others went over to the next configuration has the one before."""
        if self._begun_with[keeper.name] is not self._plan:
            keeper.replace("it began with the configuration before")

    @property
    def _methods(self) -> Mapping[str, Method]:
        return {
            "metrics of all": lambda accept: self._metrics.render(self._team, self._redis, accept),
            "readiness of all": lambda _: self._readiness(),
        }

    def _readiness(self) -> dict[str, Any]:
        told = self._team.ask("readiness", timeout=ASK_TIME)
        answers = {answer.keeper.name: answer.data for answer in told if answer.error is None}
        return readiness_of_all(self._team, answers)

    def run(self) -> int:
        """Serve until `request_stop`; returns the exit status."""
        notify("READY=1")
        watching = gevent.spawn(tell_alive, watchdog_time(), self._tell_if_well)
        try:
            self._ended.wait()
        finally:
            notify("STOPPING=1")
            watching.kill()
            self.stop()
        return 0

    def _tell_if_well(self, state: str) -> None:
        """Tell systemd that all is well, if it is, or was a moment ago."""
        now = time.monotonic()
        if self._team.well:
            self._well_at = now
        if now - self._well_at < UNWELL_TIME:
            notify(state)

    def request_stop(self) -> None:
        """Ask ``run`` to end with status 0."""
        self._ended.set()

    def request_reload(self) -> None:
        """Have all go over to the configuration as it is now, or none."""
        self._reloads.begin()

    def stop(self) -> None:
        """End all processes; takes 5 s at most."""
        _log.info("stopping")
        self._reloads.stop()
        self._stack.close()
        _log.info("stopped")

    # -- a reload ------------------------------------------------------------------------

    def apply(self, result: LoadResult) -> None:
        """Have all use it; raises StartError with all as it was."""
        before = self._plan
        settings = result.settings
        if settings.workers is None:
            settings = settings.model_copy(update={"workers": before.settings.workers})
            _log.warning("to run without workers needs a restart; until then their number stays")
        source, ports = self._source.with_text(result.text), Ports(settings, before.ports)
        plan = replace(before, settings=settings, source=source, ports=ports)
        try:
            prepared = self._team.prepare(plan.source_of)
        except StartError:
            ports.close(before.ports)
            raise
        self._plan = plan
        self._begun_with |= dict.fromkeys(prepared, plan)
        self._team.commit()
        before.ports.close(ports)
        self._log.reconfigure(settings.log_facility, settings.log_level)
        for keeper in self._team.keepers:
            if keeper.process is not None:
                self._check_plan(keeper)
        surplus = self._team.resize(plan.edges)
        for keeper in surplus:
            self._release(keeper.name)
        gevent.spawn(end_all, surplus)

    def refused(self, reason: str) -> None:
        """For the audit, which the collector has."""
        collector = self._team.collector
        if collector is not None and collector.process is not None:
            with suppress(AmiwsError):
                collector.process.ask("refused", reason, timeout=ASK_TIME)


class _WholeReload(Reloads):
    """Of all processes."""

    def __init__(
        self, supervisor: Supervisor, load: Callable[[], LoadResult] | None, last: LastReload
    ) -> None:
        super().__init__(load, last)
        self._supervisor = supervisor

    def _apply(self, result: LoadResult) -> None:
        self._supervisor.apply(result)
        self.applied()

    def _refused(self, reason: str) -> None:
        self._supervisor.refused(reason)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))
