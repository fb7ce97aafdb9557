"""From the running plugins to those of new settings, whole or not at all.

A plugin whose code and settings are as they were runs on. One whose file or
settings changed is stopped before its successor starts, since both may want
the same file or port; if anything then refuses, it is started again.
"""

from __future__ import annotations

from collections.abc import Sequence

from amiws_gevent.config import PluginEntry
from amiws_gevent.log import LogLimiter
from amiws_gevent.plugins.manager import Plugins, RunningPlugin, make_running


class Change:
    """``plugins`` is what is to run; ``start``, then ``finish`` or ``undo``."""

    def __init__(
        self,
        before: Plugins,
        entries: Sequence[PluginEntry],
        *,
        limiter: LogLimiter,
        queue_limit: int,
    ) -> None:
        left = list(before.running)
        self._kept: list[RunningPlugin] = []
        self._new: list[RunningPlugin] = []
        running = []
        for plugin in make_running(entries, limiter=limiter, queue_limit=queue_limit):
            same = next((old for old in left if old.entry == plugin.entry), None)
            if same is not None:
                left.remove(same)
                self._kept.append(same)
            else:
                self._new.append(plugin)
            running.append(same or plugin)
        self._gone = left
        self._stopped: list[RunningPlugin] = []
        self._started: list[RunningPlugin] = []
        self.plugins = Plugins(running)

    def start(self) -> None:
        """Start what is new; raises PluginError with everything as it was before."""
        origins = {plugin.code.origin for plugin in self._new}
        try:
            for plugin in self._gone:
                if plugin.code.origin in origins:
                    plugin.stop()
                    self._stopped.append(plugin)
            for plugin in self._new:
                plugin.start()
                self._started.append(plugin)
        except Exception:
            self.undo()
            raise

    def undo(self) -> None:
        """Go back to what ran before."""
        for plugin in self._started:
            plugin.stop()
        for plugin in self._stopped:
            plugin.start()

    def finish(self) -> None:
        """The new plugins are in use: stop what is left of the old, tell those that stay."""
        for plugin in self._gone:
            if plugin not in self._stopped:
                plugin.stop()
        for plugin in self._kept:
            plugin.state.suspended = False
        Plugins(self._kept).reloaded()
