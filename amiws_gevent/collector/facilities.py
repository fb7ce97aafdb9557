"""What plugins have of a collector: servers that others have are asked over the bus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amiws_gevent.afar import Afar
from amiws_gevent.ami import Message
from amiws_gevent.collector.actions import HeldLinks
from amiws_gevent.collector.program import Program
from amiws_gevent.facilities import Feeds, ProgramFacilities
from amiws_gevent.pipeline import Source
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.plugins.facilities import Answer


class CollectorFacilities(ProgramFacilities):
    """Of `plugins.facilities.Facilities`, and of `answering.Facilities`."""

    def __init__(
        self,
        links: HeldLinks,
        feeds: Feeds,
        proxy: Source,
        transformed: Callable[[ServerInfo, Sequence[Message]], Sequence[Message]],
        *,
        program: Program,
        afar: Afar,
    ) -> None:
        super().__init__(links, feeds, proxy, transformed)
        self._program = program
        self._afar = afar

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        """Ask a server, or have the collector ask it that has it. Raises AskError."""
        if server in self._program.own:
            return super().ask(server, action, timeout=timeout, wait=wait)
        return self._afar.ask(server, action, timeout=timeout, wait=wait)

    def publish(self, event: Message) -> bool:
        """Tell clients, or have the collector tell them that has the program."""
        if self._program.is_here:
            return self.publish_here(event)
        return self._afar.publish(event)

    def publish_here(self, event: Message) -> bool:
        """Tell clients, by the stream of server 0."""
        return super().publish(event)
