"""The live state of all servers, as the links come, change and go.

Of `link.pool.Follower`. Each server has a model, an entity in the store of server 0, and while
it is connected somebody who asks it. What clients do causes nothing here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import gevent

from amiws_gevent.config import AmiHost, Settings
from amiws_gevent.link import Link
from amiws_gevent.live.figuresfile import FiguresFile, name_of
from amiws_gevent.live.liveserver import FollowedServer, LiveServer
from amiws_gevent.live.proxy import (
    PROXY_ID,
    Clock,
    ProxyStore,
    ServerEntity,
    SteadyClock,
    proxy_source,
)
from amiws_gevent.live.synchroniser import DEFAULT_PACE, STALE, Pace
from amiws_gevent.pipeline import Source
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.state.store import Store

TICK = 1.0  # seconds between two ticks of a server
SAVE = 60.0  # seconds between two looks whether the figures are to be written
SAVE_AT_STOP = 1.0  # seconds that the last write may take

_log = logging.getLogger("amiws_gevent.live")


class _Member:
    """A link, what is told of it, and its model; none with ``live_state: no``."""

    def __init__(self, source: Source, link: Link, entity: ServerEntity) -> None:
        self.source = source
        self.link = link
        self.entity = entity
        self.live: FollowedServer | None = None


class LiveState:
    """The models of all servers. `configure` comes before the pool's, `start` after it."""

    def __init__(self, *, now: Clock | None = None, pace: Pace | None = None) -> None:
        self.on_change: Callable[[], None] = lambda: None
        """Called, cheaply and often, when a store has something to drain."""
        self.stays: Callable[[int], bool] = lambda _server: False
        """Whether the entity of a server stays when its link has left: the server is still there,
        and this process has it no longer."""
        self._now = now or SteadyClock()
        self._pace = pace or DEFAULT_PACE
        source = proxy_source()
        self._proxy = ProxyStore(source)
        self._members: dict[int, _Member] = {}
        self._servers: dict[int, LiveServer] = {PROXY_ID: LiveServer(source, self._proxy)}
        self._sources: dict[int, Source] = {PROXY_ID: source}
        self._settings: Settings | None = None
        self._file: FiguresFile | None = None
        self._kept: dict[str, Mapping[str, Any]] = {}  # figures of the file, not yet taken
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    @property
    def proxy(self) -> Source:
        """The stream of server 0."""
        return self._servers[PROXY_ID].source

    @property
    def servers(self) -> Mapping[int, LiveServer]:
        """By id, the program itself (0) first; the same object all the time."""
        return self._servers

    @property
    def sources(self) -> Mapping[int, Source]:
        """The streams of all servers by id, of those without a model too."""
        return self._sources

    @property
    def keeps_state(self) -> bool:
        """Whether servers have models; without, nothing but the servers themselves is told."""
        return self._settings is not None and self._settings.live_state

    @property
    def followed(self) -> list[FollowedServer]:
        """Those that have a model."""
        return [member.live for member in self._members.values() if member.live is not None]

    def is_settled(self, server: int) -> bool:
        """Whether all that is known of a server was asked for; True for one without a model."""
        member = self._members.get(server)
        return member is None or member.live is None or member.live.settled

    def entity_of(self, host: AmiHost, reason: str) -> None:
        """Have an entity for a server that nobody is connected to, and say why."""
        self._is_away(ServerEntity(self._proxy, host, self._now), reason)

    def call_of(self, server: int, channel: str) -> str | None:
        """The id of the call of a channel, by its Uniqueid; None if that is not known."""
        member = self._members.get(server)
        if member is None or member.live is None:
            return None
        return member.live.model.calls.call_of(channel)

    def start(self) -> None:
        """Let time pass."""
        self._greenlets = [gevent.spawn(self._tick_all), gevent.spawn(self._save_now_and_then)]

    def stop(self) -> None:
        """End, with the figures saved; takes SAVE_AT_STOP at most."""
        gevent.killall(self._greenlets, block=False)
        for live in self.followed:
            live.connection_changed("stopped", "")
        self.save(SAVE_AT_STOP)

    def configure(self, settings: Settings) -> None:
        """Apply other settings. Cannot fail."""
        before, self._settings = self._settings, settings
        if before is None or before.state_file != settings.state_file:
            path = settings.state_file
            self._file = None if path is None else FiguresFile(path)
            if before is None and self._file is not None:
                self._kept = self._file.read()
        for member in self._members.values():
            if member.live is None:
                self._follow(member)
            elif settings.live_state:
                member.live.configure(settings)
            else:
                self._unfollow(member)
        self._changed()

    # -- of the pool (`Follower`) ------------------------------------------------------

    def joined(self, source: Source, link: Link) -> None:
        self._sources[source.host.id] = source
        if source.host.id == PROXY_ID:
            _log.warning(
                "%s: its live state is not kept, since the id %d stands for this program; "
                "give it another id",
                source.host.name,
                PROXY_ID,
            )
            return
        entity = ServerEntity(self._proxy, source.host, self._now)
        member = self._members[source.host.id] = _Member(source, link, entity)
        self._follow(member)
        self._changed()

    def changed(self, source: Source, link: Link, state: str, reason: str) -> None:
        member = self._member_of(source)
        if member is not None:
            member.entity.connection_changed(state, reason)
            if member.live is not None:
                member.live.connection_changed(state, reason)
            self._changed()

    def left(self, source: Source, reason: str) -> None:
        if self._sources.get(source.host.id) is source:
            del self._sources[source.host.id]
        member = self._member_of(source)
        if member is not None:
            self._unfollow(member)
            del self._members[source.host.id]
            if self.stays(source.host.id):
                self._is_away(member.entity, reason)
            else:
                member.entity.remove()
            self._changed()

    def _is_away(self, entity: ServerEntity, reason: str) -> None:
        entity.connection_changed("waiting", reason)
        if self.keeps_state:
            entity.synchronised(STALE, reason, ())

    def _member_of(self, source: Source) -> _Member | None:
        member = self._members.get(source.host.id)
        return member if member is not None and member.source is source else None

    def _follow(self, member: _Member) -> None:
        settings = self._settings
        if settings is None or not settings.live_state:
            return
        live = FollowedServer(
            member.source,
            member.link,
            member.entity,
            settings,
            now=self._now,
            on_change=self._changed,
            pace=self._pace,
        )
        member.live = self._servers[live.info.id] = live
        self._restore(live)
        if member.link.connected:
            live.connection_changed("connected", member.link.reason)

    def _unfollow(self, member: _Member) -> None:
        if member.live is not None:
            member.live.close()
            del self._servers[member.live.info.id]
            member.live = None

    def _changed(self, store: Store | None = None) -> None:
        if self._proxy.dirty or (store is not None and store.dirty):
            self.on_change()

    # -- time --------------------------------------------------------------------------

    def _tick_all(self) -> None:
        """Each server once a TICK, and not all at once."""
        while True:
            followed = self.followed
            pause = TICK / max(1, len(followed))
            for live in followed:
                gevent.sleep(pause)
                if self._servers.get(live.info.id) is live:
                    live.tick()
            if not followed:
                gevent.sleep(TICK)

    # -- figures -----------------------------------------------------------------------

    def save(self, timeout: float, pause: Callable[[], None] = lambda: None) -> None:
        """Write the figures, if there is a file for them and they are other than there.

        ``pause`` is called between two servers: those of fifty queues take some milliseconds.
        """
        if self._file is None:
            return
        figures = dict(self._kept)
        for live in self.followed:
            figures[name_of(live.source.host)] = live.model.queues.figures.export()
            pause()
        self._file.write(figures, timeout)

    def _save_now_and_then(self) -> None:
        while True:
            gevent.sleep(SAVE)
            self.save(SAVE, yield_to_loop)

    def _restore(self, live: FollowedServer) -> None:
        kept = self._kept.pop(name_of(live.source.host), None)
        if kept is not None:
            live.restore_figures(kept)
