"""Runs a server from its start to its end, whatever ends it; the exit status tells."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import gevent

from amiws_gevent.errors import StartError
from amiws_gevent.runtime.daemon import drop_pid_file
from amiws_gevent.runtime.gc_freeze import GcFreeze
from amiws_gevent.runtime.greenlets import GreenletWatch
from amiws_gevent.runtime.log import LogControl
from amiws_gevent.runtime.signals import EndAsked, Signals
from amiws_gevent.runtime.watchdog import Place, Watchdog

if TYPE_CHECKING:  # it brings Flask, which nothing but a server needs
    from amiws_gevent.plugins.roster import Roster

EXIT_SOFTWARE = 70  # sysexits.h EX_SOFTWARE

_log = logging.getLogger("amiws_gevent.serving")


class Served(Protocol):
    """What is run."""

    plugins: Roster
    """Of these is what goes wrong in greenlets, maybe."""

    def start(self) -> None:
        """Raises StartError with nothing left open."""

    def run(self) -> int:
        """Returns the exit status once all is over."""

    def stop(self) -> None: ...
    def request_stop(self) -> None: ...
    def request_reload(self) -> None: ...


_Served = TypeVar("_Served", bound=Served)


def serve(
    made: AbstractContextManager[_Served],
    signals: Signals,
    control: LogControl,
    *,
    started: Callable[[_Served], None],
    failed: Callable[[Exception], None],
    pid_file: Path | None = None,
) -> int:
    """Start it and run it until it is told to end; returns the exit status.

    ``failed`` is called with a StartError, which it logs, or with any other error, which is
    logged here. Raises EndAsked if the end is asked for before it has started.
    """
    watch = GreenletWatch()
    watch.install(gevent.get_hub())
    try:
        with made as server, GcFreeze():
            gc.enable()  # all is imported; until then `__main__` does without
            watch.blame = server.plugins.blame
            _start(server, signals)
            started(server)
            tell = partial(_tell_stall, server.plugins, control, pid_file)
            with (
                signals.handed_to(end=server.request_stop, reload=server.request_reload),
                Watchdog(tell, EXIT_SOFTWARE),
            ):
                status = server.run()
    except StartError as error:
        failed(error)
        status = error.exit_status
    except Exception as error:  # noqa: BLE001  # the last guard; told with its place
        _log.critical("internal error: %s; the program ends", error, exc_info=True)
        failed(error)
        status = EXIT_SOFTWARE
    return status or (EXIT_SOFTWARE if watch.deaths else 0)


def _start(server: Served, signals: Signals) -> None:
    """Raises EndAsked with all that had begun ended again."""
    try:
        with signals.may_end():
            server.start()
    except EndAsked:
        server.stop()
        raise


def _tell_stall(
    plugins: Roster, control: LogControl, pid_file: Path | None, places: Sequence[Place]
) -> None:
    """Say who keeps the program from its end, and remove the pid file.

    In the watchdog's thread, while the main one stands wherever it does: so no lock.
    """
    text = f"does not stop, still in {plugins.whereabouts(places)}; ended by force"
    control.tell_now(_log, logging.CRITICAL, text)
    if pid_file is not None:
        drop_pid_file(pid_file)
