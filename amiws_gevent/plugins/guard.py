"""Contains a plugin's faults: counts them and logs each, with the plugin's name, once a minute.

A message hook that waits past its plugin's timeout is cut off. A plugin whose message
hooks overrun again and again is suspended until the next reload, so that it does not delay
every message. A required plugin is not suspended: messages that it has not seen must not
pass.

All hooks but those on the message path and in the log queue are called by
`attempt` in a greenlet of their own, so that whoever asks goes on in time
whatever the hook does.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import gevent

from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.loading import describe
from amiws_gevent.plugins.spent import Metered, Spent
from amiws_gevent.runtime.log import LogLimiter

OVERRUNS_TO_SUSPEND = 5
OVERRUN_WINDOW = 60.0  # seconds in which that many overruns suspend a plugin
END_TIME = 0.2  # seconds that a plugin's greenlet has to end after it was killed
LOOKS = 10  # how often within its limit a call's waiting time is checked

_log = logging.getLogger("amiws_gevent.plugins")


class HookTimeout(BaseException):
    """Thrown into a hook that waits too long; no plugin's ``except Exception`` catches it."""


class PluginState:
    """The state of one running plugin: its faults, its time, whether it is suspended."""

    def __init__(
        self,
        entry: PluginEntry,
        *,
        name: str,
        limiter: LogLimiter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.origin = entry.code.origin
        self.required = entry.required
        self.timeout = entry.hook_timeout
        self.suspended = False
        """Its message hooks are not called. Of a required plugin this drops all messages."""
        self.seconds = 0.0
        """Time that message hooks took, in which messages waited."""
        self.log_seconds = 0.0
        """Time that log hooks took, waits included; no message waited for them."""
        self.dropped = 0
        """Messages that this plugin dropped, by its answer or, if required, by a fault."""
        self.faults: Counter[str] = Counter()
        """By hook, how often it raised, overran or returned a wrong type."""
        self._overruns: deque[float] = deque(maxlen=OVERRUNS_TO_SUSPEND)
        self._limiter = limiter
        self._clock = clock

    def failed(self, hook: str, error: BaseException) -> None:
        """Count a hook's error and log it, at most once a minute for each hook."""
        self._fault(hook, "raised", describe(error, self.origin))

    def answered(self, hook: str, answer: object, wanted: str) -> None:
        """Count an answer of a wrong type, and log it like an error."""
        self._fault(hook, "answered", f"returned {type(answer).__name__}, not {wanted}")

    def overran(self, hook: str, seconds: float, *, cut_off: bool = False) -> None:
        """Count a message hook that took longer than the timeout; suspend one that repeats it."""
        what = "was cut off after" if cut_off else "took"
        self._fault(hook, "overran", f"{what} {seconds:.3g} s; its timeout is {self.timeout:g} s")
        now = self._clock()
        self._overruns.append(now)
        often = len(self._overruns) == OVERRUNS_TO_SUSPEND
        if often and now - self._overruns[0] < OVERRUN_WINDOW and not self.required:
            self._suspend(f"keeps overrunning its timeout of {self.timeout:g} s")

    def stuck(self, hook: str) -> None:
        """Suspend a plugin, required or not, whose message hook does not let itself be cut off."""
        self._fault(hook, "overran", "still waits after it was cut off")
        self._suspend(f"cannot be cut off in {hook}")

    def resume(self) -> None:
        """Begin anew, after a reload."""
        self.suspended = False
        self._overruns.clear()

    def call(
        self, hook: str, function: Callable[..., Any], *arguments: Any, limit: float
    ) -> tuple[bool, Any]:
        """Call a hook for at most ``limit`` seconds: (it went well, its result)."""
        error, result = attempt(function, *arguments, limit=limit)
        if error is not None:
            self.failed(hook, error)
        return error is None, result

    def _suspend(self, why: str) -> None:
        if self.suspended:
            return
        self.suspended = True
        instead = "every message is dropped" if self.required else "messages pass without it"
        _log.error("plugin %s: suspended until the next reload: it %s; %s", self.name, why, instead)

    def _fault(self, hook: str, kind: str, what: str) -> None:
        self.faults[hook] += 1
        suppressed = self._limiter.allow(("plugin", self.name, hook, kind))
        if suppressed is not None:
            more = f" (and {suppressed} more like it)" if suppressed else ""
            _log.error("plugin %s: %s: %s%s", self.name, hook, what, more)


class _Attempt(Metered, gevent.Greenlet):  # type: ignore[type-arg]  # no generic at run time
    """The greenlet of one call."""


def attempt(
    function: Callable[..., Any], *arguments: Any, limit: float
) -> tuple[BaseException | None, Any]:
    """Call a function of a plugin for at most ``limit`` seconds, as `Spent` counts them.

    Returns its error and its result, in time whatever the function does, unless it
    computes. One that waits longer is cut off, and HookTimeout is the error, raised
    where it waited; it is the error too of one that has computed for longer.
    """
    spent = Spent(limit / LOOKS)
    running = _Attempt(_timed, spent, function, arguments)
    running.spent = spent
    running.start()
    try:
        while not running.ready() and spent.look() <= limit:
            running.join(spent.tick)
        if not running.ready():
            late = HookTimeout(f"cut off after {limit:g} s")
            running.kill(late, timeout=END_TIME)
            return late, None
        seconds, error, result = running.get()
        if error is None and seconds > limit:
            return HookTimeout(f"took {seconds:.3g} s; its limit is {limit:g} s"), None
        return error, result
    finally:
        running.kill(block=False)  # if the caller is killed itself


def _timed(
    spent: Spent, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[float, BaseException | None, Any]:
    spent.since = spent.turn()
    error, result = outcome(function, arguments)
    return spent.end(), error, result


def outcome(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[BaseException | None, Any]:
    """The error or the result of a call; nothing that a plugin raises gets out of here."""
    try:
        return None, function(*arguments)
    except BaseException as error:  # noqa: BLE001 - SystemExit would end the program
        return error, None
