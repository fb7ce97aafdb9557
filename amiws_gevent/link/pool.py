"""The links of the program, one per server of the configuration.

A link that a reload removes or replaces logs off on its own. Its messages are discarded
meanwhile, since its successor may receive the same ones. Who waits for an answer over the
old link is told that the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import gevent

from amiws_gevent.ami import Message
from amiws_gevent.config import AmiHost, Limits, Settings
from amiws_gevent.link.link import Link, LinkState
from amiws_gevent.pipeline import Pipeline, Source
from amiws_gevent.runtime.loop import yield_to_loop

# Seconds
LOG_OFF_TIME = 1.0  # for the server's answer to Logoff
ANSWER_TIME = 0.5  # for the answers that clients wait for

# The states of a link that plugins are told, and their names for plugins.
_TOLD_STATES = {
    LinkState.CONNECTED: "connected",
    LinkState.WAITING: "disconnected",
    LinkState.REFUSED: "refused",
}


class Follower(Protocol):
    """Learns of the links as they come, change and go; its methods must neither block nor raise."""

    def joined(self, source: Source, link: Link) -> None:
        """A server is new, or its entry has changed; its link has not started yet."""

    def changed(self, source: Source, link: Link, state: str, reason: str) -> None:
        """The link has come into another state, by the folded name of a `LinkState`.

        In the link's greenlet, ahead of the messages that come in that state. ``reason`` is the
        banner for "connected", and why it ended for the others.
        """

    def left(self, source: Source, reason: str) -> None:
        """A reload has removed or replaced the link; nothing more is told of it."""


class _Nobody:
    """The follower where nobody follows."""

    def joined(self, source: Source, link: Link) -> None: ...

    def changed(self, source: Source, link: Link, state: str, reason: str) -> None: ...

    def left(self, source: Source, reason: str) -> None: ...


class _Member:
    """A link, its source for the pipeline, and the last state that plugins were told."""

    def __init__(
        self, source: Source, limits: Limits, pipeline: Pipeline, follower: Follower
    ) -> None:
        host = source.host
        self.host = host
        self.source = source
        self.link = Link(
            host,
            limits,
            on_messages=self._on_messages,
            on_state=self._on_state,
        )
        self._pipeline = pipeline
        self._follower = follower
        self._told = ""
        self._replaced = False

    def retire(self, reason: str, log_off: bool) -> gevent.Greenlet[..., None]:
        """Log off, or only close, since the link is removed or replaced; returns who does it."""
        self._replaced = True
        if self._told == "connected":
            self._tell("disconnected", reason)
        self._follower.left(self.source, reason)
        return gevent.spawn(self.link.stop, LOG_OFF_TIME if log_off else 0.0)

    def _on_messages(self, _link: Link, messages: list[Message]) -> None:
        if not self._replaced:
            self._pipeline.process(self.source, messages)

    def _on_state(self, link: Link, state: LinkState, reason: str) -> None:
        if self._replaced:
            return
        self._follower.changed(self.source, link, state.name.lower(), reason)
        told = _TOLD_STATES.get(state)
        # A repeated failure is not reported again.
        if told not in (None, self._told):
            self._tell(told, reason)

    def _tell(self, told: str, reason: str) -> None:
        self._told = told
        self._pipeline.plugins.server_changed(self.source.info, told, reason)


class Pool:
    """Passes the messages of all links to ``pipeline``, and their states to its plugins.

    ``follower`` is told of all links, too.
    """

    def __init__(self, pipeline: Pipeline, follower: Follower | None = None) -> None:
        self.make_source: Callable[[AmiHost], Source] = Source
        """Makes the stream of a server whose link is new."""
        self._pipeline = pipeline
        self._follower = follower or _Nobody()
        self._members: dict[int, _Member] = {}
        self._logging_off: list[gevent.Greenlet[..., None]] = []
        self._links: dict[int, Link] = {}

    @property
    def links(self) -> Mapping[int, Link]:
        """By server id, in the order of the configuration; the same object all the time."""
        return self._links

    @property
    def sources(self) -> dict[int, Source]:
        """The source of each server, by server id; a copy."""
        return {server_id: member.source for server_id, member in self._members.items()}

    def configure(self, settings: Settings) -> None:
        """Stop, start and order the links; those of unchanged entries stay. Cannot fail."""
        self.use(settings, "no longer in the configuration")

    def use(
        self, settings: Settings, gone: str, *, log_off: bool = True
    ) -> list[gevent.Greenlet[..., None]]:
        """`configure`; ``gone`` says why entries are missing. Returns who logs off from these.

        Without ``log_off`` nothing is sent to them any more.
        """
        leaving = []
        hosts = {host.id: host for host in settings.amihosts}
        for server_id, member in list(self._members.items()):
            host = hosts.get(server_id)
            if host == member.host:
                member.link.configure(settings.limits)
                continue
            del self._members[server_id]
            why = gone if host is None else "its configuration has changed"
            leaving.append(member.retire(why, log_off or host is not None))
        self._members = {
            host.id: self._members.get(host.id) or self._start(host, settings.limits)
            for host in settings.amihosts
        }
        self._links.clear()
        self._links.update((server_id, member.link) for server_id, member in self._members.items())
        return leaving

    def _start(self, host: AmiHost, limits: Limits) -> _Member:
        member = _Member(self.make_source(host), limits, self._pipeline, self._follower)
        self._follower.joined(member.source, member.link)
        member.link.start()
        return member

    def log_off(self) -> None:
        """Begin to log off from all servers; returns when nobody waits for an answer any more.

        Who gets none in time is told that the outcome is unknown.
        """
        links = list(self._links.values())
        busy = [gevent.spawn(link.stop, ANSWER_TIME) for link in links if link.under_way]
        idle = [gevent.spawn(link.stop, LOG_OFF_TIME) for link in links if not link.under_way]
        self._logging_off = busy + idle
        if busy:
            gevent.joinall(busy, timeout=2 * ANSWER_TIME)
            yield_to_loop()  # who waited tells its client, before clients are closed

    def join(self, timeout: float) -> None:
        """Wait, at most ``timeout`` seconds, until all are logged off from."""
        gevent.joinall(self._logging_off, timeout=timeout)
