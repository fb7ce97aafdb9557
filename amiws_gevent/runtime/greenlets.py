"""Logs greenlets that end with an error, and counts them for the exit status.

That includes SystemExit and KeyboardInterrupt, with which gevent would end the program
without a word. A greenlet that raises them is more likely a plugin's, or a library's.
"""

from __future__ import annotations

import logging
import signal
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType

import gevent
from gevent.hub import Hub

from amiws_gevent.runtime.log import LogLimiter

_log = logging.getLogger("amiws_gevent.greenlets")


class GreenletWatch:
    """Sees every error that no greenlet caught.

    gevent prints such an error on stderr and goes on; a daemon's stderr is
    /dev/null, and nobody would learn that a part of the program is gone.
    """

    def __init__(self, limiter: LogLimiter | None = None) -> None:
        self.deaths = 0
        self.blame: Callable[[Sequence[str], str, BaseException], bool] = _nobody
        """Called with the files that an error came through (innermost first), what was running,
        and the error. True if it is a plugin's: then that plugin is blamed in the log and
        in its count of faults."""
        self._limiter = limiter or LogLimiter()

    def install(self, hub: Hub) -> None:
        """Report the errors of ``hub``; it still ends the program as before."""
        inherited = hub.handle_error

        def handle_error(
            context: object | None,
            kind: type[BaseException] | None,
            error: BaseException | str | None,
            trace: TracebackType | None,
        ) -> None:
            if context is not None and isinstance(error, BaseException) and _is_death(hub, error):
                self._report(context, error, trace)
            else:
                inherited(context, kind, error, trace)

        hub.handle_error = handle_error  # type: ignore[assignment]  # as Hub.handle_error says

    def _report(self, context: object, error: BaseException, trace: TracebackType | None) -> None:
        frames = traceback.extract_tb(trace)
        files = [*(frame.filename for frame in reversed(frames)), *_files_of_spawn(context)]
        if self.blame(files, "a greenlet", error):
            return
        if isinstance(context, dict):  # pywsgi's: one request failed, its greenlet goes on
            level, what = logging.ERROR, "a request"
        else:
            self.deaths += 1
            level, what = logging.CRITICAL, repr(context)
        place = (frames[-1].filename, frames[-1].lineno) if frames else None
        key = (type(error), place)
        self._limiter.log(_log, level, key, "internal error in %s: %s", what, error, exc_info=error)


def _is_death(hub: Hub, error: BaseException) -> bool:
    """Whether the error ends only its greenlet, not the program."""
    if isinstance(error, SystemExit):
        return True
    if isinstance(error, KeyboardInterrupt):
        return not _signals_raise()
    return not isinstance(error, (*hub.NOT_ERROR, *hub.SYSTEM_ERROR))


def _signals_raise() -> bool:
    """Whether a KeyboardInterrupt may come from a signal, in any greenlet."""
    handlers = map(signal.getsignal, (signal.SIGINT, signal.SIGTERM))
    return signal.default_int_handler in handlers


def _files_of_spawn(context: object) -> list[str]:
    """The files that a greenlet was spawned through, innermost first."""
    frame = context.spawning_stack if isinstance(context, gevent.Greenlet) else None
    files = []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return files


def _nobody(files: Sequence[str], what: str, error: BaseException) -> bool:
    return False
