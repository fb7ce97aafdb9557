"""The message path through plugins: filters, then transforms.

One chain serves one server's messages in one greenlet. Hooks are called
directly, not through pluggy's hook caller, since this runs for every message;
what pluggy knows of their order and parameters was taken when they were
loaded. One timer a batch, not one a call, cuts off a hook that waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from greenlet import greenlet

from amiws_gevent.ami import Message
from amiws_gevent.pluginapi import ServerInfo
from amiws_gevent.plugins.guard import HookTimeout, PluginState

FILTER = "amiws_filter_message"
TRANSFORM = "amiws_transform_message"

MessageHook = tuple[PluginState, Callable[[Message, ServerInfo], Any]]

_FAILED = object()


class MessageChain:
    """Takes messages through ``filters`` and ``transforms``, in the order given."""

    def __init__(
        self,
        filters: Sequence[MessageHook],
        transforms: Sequence[MessageHook],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._filters = filters
        self._transforms = transforms
        self._clock = clock
        self._running_since = math.inf
        self._running_timeout = math.inf
        timeouts = [state.timeout for state, _ in (*filters, *transforms)]
        self._tick = min(timeouts, default=1.0) / 2

    def run(self, messages: Sequence[Message], server: ServerInfo) -> list[Message]:
        """What is left of a batch; called by one greenlet at a time."""
        timer = gevent.get_hub().loop.timer(self._tick, self._tick)
        timer.start(self._cut_off, gevent.getcurrent())
        try:
            kept = (self._one(message, server) for message in messages)
            return [message for message in kept if message is not None]
        finally:
            timer.close()

    def _one(self, message: Message, server: ServerInfo) -> Message | None:
        if not self._passes(message, server):
            return None
        for state, function in self._transforms:
            if state.suspended:
                continue
            result = self._call(state, TRANSFORM, function, message, server)
            if isinstance(result, Message):
                message = result
            elif result is not None:
                if result is not _FAILED:
                    state.failed(TRANSFORM, TypeError(f"returned {result!r:.80}, not a Message"))
                if state.required:
                    state.dropped += 1
                    return None
        return message

    def _passes(self, message: Message, server: ServerInfo) -> bool:
        for state, function in self._filters:
            if state.suspended:
                continue
            answer = self._call(state, FILTER, function, message, server)
            if answer is None:
                continue
            if answer is True:
                return True
            if answer is False:
                state.dropped += 1
                return False
            if answer is not _FAILED:
                state.failed(FILTER, TypeError(f"returned {answer!r:.80}, not True, False or None"))
            if state.required:
                state.dropped += 1
                return False
        return True

    def _call(
        self,
        state: PluginState,
        hook: str,
        function: Callable[[Message, ServerInfo], Any],
        message: Message,
        server: ServerInfo,
    ) -> Any:
        self._running_timeout = state.timeout
        self._running_since = start = self._clock()
        try:
            return function(message, server)
        except HookTimeout:
            return _FAILED
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            state.failed(hook, error)
            return _FAILED
        finally:
            self._running_since = math.inf
            seconds = self._clock() - start
            state.seconds += seconds
            if seconds > state.timeout:
                state.overran(hook, seconds)

    def _cut_off(self, running: greenlet) -> None:
        """Runs in the hub, so only while the greenlet waits."""
        if self._clock() - self._running_since > self._running_timeout:
            self._running_since = math.inf
            running.throw(HookTimeout)
