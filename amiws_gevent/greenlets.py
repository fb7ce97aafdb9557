"""Greenlets that die by surprise: told in the log, and by the exit status."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

from gevent.hub import Hub

from amiws_gevent.log import LogLimiter

_log = logging.getLogger("amiws_gevent.greenlets")


class GreenletWatch:
    """Sees every error that no greenlet caught.

    gevent prints such an error on stderr and goes on; a daemon's stderr is
    /dev/null, and nobody would learn that a part of the program is gone.
    """

    def __init__(self, limiter: LogLimiter | None = None) -> None:
        self.deaths = 0
        self._limiter = limiter or LogLimiter()

    def install(self, hub: Hub) -> None:
        """Take over the reporting of ``hub``; how it ends the program stays its own."""
        inherited = hub.handle_error

        def handle_error(
            context: object | None,
            kind: type[BaseException] | None,
            error: BaseException | str | None,
            trace: TracebackType | None,
        ) -> None:
            if context is None or not isinstance(error, Exception) or _is_end(hub, error):
                inherited(context, kind, error, trace)
            else:
                self._report(context, error, trace)

        hub.handle_error = handle_error  # type: ignore[assignment]  # as Hub.handle_error says

    def _report(self, context: object, error: Exception, trace: TracebackType | None) -> None:
        if isinstance(context, dict):  # pywsgi's: one request failed, its greenlet goes on
            level, what = logging.ERROR, "a request"
        else:
            self.deaths += 1
            level, what = logging.CRITICAL, repr(context)
        frames = traceback.extract_tb(trace)
        place = (frames[-1].filename, frames[-1].lineno) if frames else None
        key = (type(error), place)
        self._limiter.log(_log, level, key, "%s died: %s", what, error, exc_info=error)


def _is_end(hub: Hub, error: Exception) -> bool:
    return isinstance(error, (*hub.NOT_ERROR, *hub.SYSTEM_ERROR))
