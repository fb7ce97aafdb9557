"""The plugins of the program, from one configuration to the next: who runs, who is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from amiws_gevent.plugins.change import Change
from amiws_gevent.plugins.entry import PluginEntry
from amiws_gevent.plugins.facilities import Facilities
from amiws_gevent.plugins.loading import PluginError
from amiws_gevent.plugins.manager import Plugins, RunningPlugin, plugin_of
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.watchdog import Place


class Roster:
    """``plugins`` are those in use. They change by ``prepare``, then ``finish`` or ``undo``.

    ``facilities`` are what they can have of the program.
    """

    def __init__(self, facilities: Facilities | None = None) -> None:
        self.plugins = Plugins()
        self._facilities = facilities
        self._limiter = LogLimiter()
        self._change: Change | None = None

    def prepare(self, entries: Sequence[PluginEntry], *, queue_limit: int) -> Plugins:
        """Stop those that are gone, and start the new ones; returns what is to be in use.

        Raises PluginError with all as it was. Until the end of the change no hook of those
        in use may be called.
        """
        change = Change(
            self.plugins,
            entries,
            limiter=self._limiter,
            queue_limit=queue_limit,
            facilities=self._facilities,
        )
        self._change = change
        try:
            change.start()
        except PluginError:
            self._change = None
            raise
        return change.plugins

    def finish(self) -> Plugins:
        """The new plugins are in use: tell those that stayed. Returns them all."""
        change, self._change = self._change, None
        assert change is not None
        self.plugins = change.plugins
        change.finish()
        return self.plugins

    def undo(self) -> None:
        """Go back to those in use."""
        change, self._change = self._change, None
        assert change is not None
        change.undo()

    def stop(self, timeout: float) -> None:
        """Stop them all, and what a change that did not come to its end has begun."""
        Plugins(self._begun()).stop(timeout)

    def blame(self, files: Iterable[str], what: str, error: BaseException) -> bool:
        """Count an error as a fault of the plugin that one of ``files`` is of, if one is."""
        found = plugin_of(self._begun(), files)
        if found is not None:
            found.state.failed(what, error)
        return found is not None

    def whereabouts(self, places: Sequence[Place]) -> str:
        """Where the program stands, in words, with the plugin if it is in one; takes no lock.

        ``places`` begin with the innermost.
        """
        if not places:
            return "unknown code"
        plugin = plugin_of(self._begun(), (place.file for place in places))
        if plugin is None:
            return f"{places[0].file}:{places[0].line}"
        own = [place for place in places if plugin.has_file(place.file)]
        return f"plugin {plugin.name}: {own[-1].function}: {own[0].file}:{own[0].line}"

    def _begun(self) -> tuple[RunningPlugin, ...]:
        change = self._change  # another thread may look
        coming = change.plugins.running if change else ()
        return tuple(dict.fromkeys((*self.plugins.running, *coming)))
