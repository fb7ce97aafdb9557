"""A process that a supervisor has started: a collector or an edge that obeys its channel.

It is told its configuration, reloads in two steps, tells what it counts, and asks for what all
of them count. It ends when it is told to, or when the supervisor is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
from gevent import socket
from gevent.event import AsyncResult
from gevent.lock import RLock
from gevent.queue import Queue
from werkzeug.exceptions import ServiceUnavailable

from amiws_gevent.config import LoadResult, Source
from amiws_gevent.errors import AmiwsError, StartError
from amiws_gevent.processes import server_of
from amiws_gevent.reload import Prepared
from amiws_gevent.runtime import log
from amiws_gevent.runtime.signals import Signals
from amiws_gevent.server import Server
from amiws_gevent.serving import EXIT_SOFTWARE, serve
from amiws_gevent.web.acceptor import Spread
from amiws_gevent.web.monitor import Readiness
from amiws_gevent.workers import totals
from amiws_gevent.workers.channel import Channel, Method, Refusal
from amiws_gevent.workers.handover import Beginning
from amiws_gevent.workers.spread import Neighbours

ASK_TIME = 5.0
"""Seconds that a request for the metrics of all may take."""

FLUSH_TIME = 1.0
"""Seconds in which the last words go out."""

_log = logging.getLogger("amiws_gevent.workers")


def run(word: str, signals: Signals) -> int:
    """Be the process that ``word`` says, ``NAME:DESCRIPTOR`` of the channel; the exit status."""
    name, _, descriptor = word.rpartition(":")
    child = Child(socket.socket(fileno=int(descriptor)))
    child.channel.start()
    try:
        with signals.may_end():
            beginning = child.wait()
            result = child.load()
        control = log.configure(
            result.settings.log_facility,
            result.settings.log_level,
            foreground=beginning.foreground,
            process=name,
        )
        made = child.server(result, control, beginning)
        return serve(made, signals, control, started=child.serves, failed=child.failed)
    except StartError as error:
        child.failed(error)
        return error.exit_status
    finally:
        child.channel.close(FLUSH_TIME)


class WholeProgram:
    """What the supervisor knows of all; of `server.Whole`."""

    def __init__(
        self,
        channel: Channel,
        *,
        alone: bool,
        listener: socket.socket | None = None,
        spread: Spread | None = None,
    ) -> None:
        self.alone = alone
        self.listener = listener
        self.spread = spread
        self._channel = channel

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """See `Metrics.render`."""
        text, kind = self._ask("metrics of all", accept)
        return text.encode(), kind

    def readiness(self) -> Readiness:
        """Of all of it."""
        return readiness_of(self._ask("readiness of all"))

    def _ask(self, method: str, data: Any = None) -> Any:
        try:
            return self._channel.ask(method, data, timeout=ASK_TIME)
        except AmiwsError as error:
            raise ServiceUnavailable(f"The supervisor: {error}.") from error


def readiness_of(data: dict[str, Any]) -> Readiness:
    """What came over a channel."""
    return Readiness(**{**data, "servers": tuple(data["servers"])})


class Child:
    """The end of the channel ``sock`` that is told what to do."""

    def __init__(self, sock: socket.socket) -> None:
        methods: dict[str, Method] = {"begin": self._begin, "ping": lambda _: None}
        self.channel = Channel(sock, methods)
        self._beginning: Queue[Beginning] = Queue(1)
        self._methods = methods
        self._begun: AsyncResult[None] = AsyncResult()
        self._source = Source()

    def wait(self) -> Beginning:
        """What the supervisor tells first."""
        return self._beginning.get()

    def load(self) -> LoadResult:
        """The configuration that was told last. Raises ConfigError."""
        return self._source.load()

    @contextmanager
    def server(
        self, result: LoadResult, control: log.LogControl, beginning: Beginning
    ) -> Iterator[Server]:
        """What is to serve."""
        listener = spread = None
        if beginning.listener is not None:
            listener = socket.socket(fileno=beginning.listener)
        if beginning.seat is not None:
            spread = Neighbours(beginning.seat)
        whole = WholeProgram(self.channel, alone=beginning.alone, listener=listener, spread=spread)
        yield server_of(
            result.settings,
            load=self.load,
            log=control,
            private_files=list(map(Path, beginning.private_files)),
            whole=whole,
        )

    def serves(self, server: Server) -> None:
        """It has started."""
        self._methods |= Obeying(server, self._use).methods
        gevent.spawn(self._end_with_supervisor, server)
        self._begun.set()

    def failed(self, error: Exception) -> None:
        """It has not started, or has come to an unforeseen end. The supervisor tells why."""
        if not self._begun.ready():
            status = getattr(error, "exit_status", EXIT_SOFTWARE)
            self._begun.set_exception(Refusal(str(error), status))

    def _begin(self, data: Any) -> None:
        beginning = Beginning.of(data)
        self._use(beginning.source)
        self._beginning.put(beginning)
        self._begun.get()

    def _use(self, source: Source) -> None:
        self._source = source

    def _end_with_supervisor(self, server: Server) -> None:
        self.channel.lost.wait()
        server.request_stop()


class Obeying:
    """What a server that runs is asked. ``use`` has the next configuration come from a source."""

    def __init__(self, server: Server, use: Callable[[Source], None]) -> None:
        self._server = server
        self._use = use
        self._prepared: Prepared | None = None
        self._turn = RLock()  # a step that takes long is not overtaken by the next

    @property
    def methods(self) -> Mapping[str, Method]:
        """By name."""
        return {
            "prepare": self._prepare,
            "commit": self._commit,
            "roll back": self._roll_back,
            "refused": self._server.reload_refused,
            "metrics": self._metrics,
            "readiness": self._readiness,
        }

    def _prepare(self, data: Any) -> None:
        with self._turn:
            self._use(Source(**data))
            self._prepared = self._server.prepare_reload()

    def _commit(self, _data: Any) -> None:
        with self._turn:
            if self._prepared is not None:
                self._prepared.commit()
                self._prepared = None

    def _roll_back(self, _data: Any) -> None:
        with self._turn:
            if self._prepared is not None:
                self._prepared.roll_back()
                self._prepared = None

    def _metrics(self, _data: Any) -> Any:
        return totals.told(self._server.measure())

    def _readiness(self, _data: Any) -> Any:
        return self._server.readiness()._asdict()
