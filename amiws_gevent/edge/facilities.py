"""What plugins have of an edge: the state; servers are asked, and events made, over the bus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from amiws_gevent.afar import Afar
from amiws_gevent.ami import Message
from amiws_gevent.facilities import Feeds, ShownState
from amiws_gevent.plugins.facilities import Answer


class EdgeFacilities:
    """Of `plugins.facilities.Facilities`."""

    def __init__(self, feeds: Feeds, afar: Afar) -> None:
        self.state = ShownState(feeds)
        self._feeds = feeds
        self._afar = afar

    def entities(self, server: int) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
        """All that is shown of a server."""
        shown = self._feeds.shown.get(server)
        return () if shown is None else shown.current().frozen()

    def show_anew(self) -> None:
        """Entities are what the collectors' plugins make of them."""

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        """Have the collector that has the server ask it. Raises AskError."""
        return self._afar.ask(server, action, timeout=timeout, wait=wait)

    def publish(self, event: Message) -> bool:
        """Have the event published by a collector."""
        return self._afar.publish(event)
