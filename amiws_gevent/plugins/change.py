"""Exchanges the running plugins for those of new settings: all of them, or none.

A plugin with the same code and settings runs on. Old plugins stop before new ones start,
since both may want the same file or port; a plugin with changed settings is stopped and
started. If a new one cannot start, the old ones are started again.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence

from amiws_gevent.plugins.context import Counter, Desk
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.facilities import Facilities, NoFacilities
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.plugins.logqueue import Entry
from amiws_gevent.plugins.manager import RELOAD, Plugins, RunningPlugin
from amiws_gevent.runtime.log import LogLimiter

_log = logging.getLogger("amiws_gevent.plugins")


class Change:
    """``plugins`` is what is to run; ``start``, then ``finish`` or ``undo``."""

    def __init__(
        self,
        before: Plugins,
        entries: Sequence[PluginEntry],
        *,
        limiter: LogLimiter,
        queue_limit: int,
        facilities: Facilities | None = None,
    ) -> None:
        self._queue_limit = queue_limit
        self._limiter = limiter
        self._facilities = facilities or NoFacilities()
        self._counters = {plugin.name: plugin.desk.counters for plugin in before.running}
        self._gone = list(before.running)
        kept = [self._keep(entry) for entry in entries]
        self._kept = [plugin for plugin in kept if plugin is not None]
        names = {plugin.name for plugin in self._kept}
        running = []
        for entry, same in zip(entries, kept, strict=True):
            name = same.name if same else _free_name(entry.code.name, names)
            names.add(name)
            running.append(same or self._make(entry, name))
        self.plugins = Plugins(running)
        self._new = [plugin for plugin in running if plugin not in self._kept]
        self._started: list[RunningPlugin] = []

    def _make(self, entry: PluginEntry, name: str) -> RunningPlugin:
        """A plugin that counts on where the one of its name before it is."""
        counters: dict[str, Counter] = self._counters.get(name, {})
        return RunningPlugin(
            entry,
            name=name,
            limiter=self._limiter,
            queue_limit=self._queue_limit,
            desk=Desk(name, self._facilities, counters),
        )

    def _keep(self, entry: PluginEntry) -> RunningPlugin | None:
        """Take the running plugin that is as ``entry`` has it out of those that are gone."""
        same = next((plugin for plugin in self._gone if plugin.entry == entry), None)
        if same is not None:
            self._gone.remove(same)
        return same

    def start(self) -> None:
        """Stop what is gone, start what is new; raises PluginError with all as it was before.

        In between no hook of what is gone may be called.
        """
        Plugins(self._gone).stop()
        try:
            for plugin in self._new:
                plugin.start()
                self._started.append(plugin)
        except PluginError:
            self.undo()
            raise

    def undo(self) -> None:
        """Go back to what ran before."""
        Plugins(self._started).stop()
        for plugin in self._gone:
            try:
                plugin.start()
            except PluginError as error:
                _log.error(
                    "%s; it could not be restarted after the refused reload and stays off",
                    error,
                )

    def finish(self) -> None:
        """The new plugins are in use: tell those that stayed."""
        for plugin in self._kept:
            plugin.state.resume()
            plugin.queue.limit = self._queue_limit
            if RELOAD in plugin.hooks:
                plugin.queue.put([Entry(RELOAD, ())])


def _free_name(name: str, taken: Container[str]) -> str:
    """The name, with a number if the plugin is there more than once."""
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free
