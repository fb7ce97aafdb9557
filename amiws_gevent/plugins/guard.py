"""Keeps a plugin's faults to the plugin: counted, named, told once a minute.

A hook that waits past its plugin's timeout is cut off; a plugin whose message
hooks overrun again and again is suspended until the next reload, so that the
stream does not pay for it message by message. A required plugin is never
suspended: what it does not get to see must not pass.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import gevent

from amiws_gevent.config import PluginEntry
from amiws_gevent.log import LogLimiter
from amiws_gevent.pluginload import describe

OVERRUNS_TO_SUSPEND = 5
OVERRUN_WINDOW = 60.0  # seconds in which that many overruns suspend a plugin
CALL_TIMEOUT = 5.0  # seconds for hooks that no message waits for

_log = logging.getLogger("amiws_gevent.plugins")


class HookTimeout(BaseException):
    """Thrown into a hook that waits too long; no plugin's ``except Exception`` catches it."""


class PluginState:
    """What is known of one running plugin: its faults, its time, whether it is suspended."""

    def __init__(
        self,
        entry: PluginEntry,
        *,
        name: str,
        limiter: LogLimiter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.code = entry.code
        self.name = name
        self.required = entry.required
        self.timeout = entry.hook_timeout
        self.suspended = False
        self.seconds = 0.0
        """What message hooks took, of the stream's time."""
        self.log_seconds = 0.0
        """What log hooks took, waits included; nobody waited for them."""
        self.dropped = 0
        """Messages that this plugin dropped, by its answer or, if required, by a fault."""
        self.faults: Counter[str] = Counter()
        self._overruns: deque[float] = deque(maxlen=OVERRUNS_TO_SUSPEND)
        self._limiter = limiter
        self._clock = clock

    def failed(self, hook: str, error: BaseException) -> None:
        """Count a hook's error and tell it, at most once a minute for each hook."""
        self.faults[hook] += 1
        self._tell(hook, describe(error, self.code.origin))

    def overran(self, hook: str, seconds: float) -> None:
        """Count a message hook that took longer than the timeout; suspend one that keeps at it."""
        self.faults[hook] += 1
        self._tell(hook, f"took {seconds:.3f} s, its timeout is {self.timeout:g} s")
        now = self._clock()
        self._overruns.append(now)
        often = len(self._overruns) == OVERRUNS_TO_SUSPEND
        if often and now - self._overruns[0] < OVERRUN_WINDOW and not self.required:
            self.suspended = True
            _log.error(
                "plugin %s keeps overrunning its timeout of %g s: suspended until the next reload",
                self.name,
                self.timeout,
            )

    def _tell(self, hook: str, what: str) -> None:
        suppressed = self._limiter.allow(f"{self.name}.{hook}")
        if suppressed is not None:
            more = f" (and {suppressed} faults like it)" if suppressed else ""
            _log.error("plugin %s: %s: %s%s", self.name, hook, what, more)

    def call(self, hook: str, function: Callable[..., Any], *arguments: Any) -> tuple[bool, Any]:
        """Call a hook that is not on the message path: (it went well, its result)."""
        try:
            with gevent.Timeout(CALL_TIMEOUT, HookTimeout):
                return True, function(*arguments)
        except HookTimeout:
            self.faults[hook] += 1
            self._tell(hook, f"cut off after {CALL_TIMEOUT:g} s")
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self.failed(hook, error)
        return False, None
