"""What plugins have of an edge: the state. Servers are asked, and events made, at the collector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.facilities import Feeds, ShownState
from amiws_gevent.plugins.facilities import UNREACHABLE, Answer, AskError


class EdgeFacilities:
    """Of `plugins.facilities.Facilities`."""

    def __init__(self, feeds: Feeds) -> None:
        self.state = ShownState(feeds)
        self._feeds = feeds

    def entities(self, server: int) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
        """All that is shown of a server."""
        shown = self._feeds.shown.get(server)
        return () if shown is None else shown.current().frozen()

    def show_anew(self) -> None:
        """Entities are what the collector's plugins make of them."""

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        """Raises AskError."""
        raise AskError(UNREACHABLE, "an edge has no connection to servers; ask at the collector")

    def publish(self, event: Message) -> bool:
        """Nothing is published."""
        return False
