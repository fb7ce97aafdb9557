"""Which messages a journal keeps."""

from __future__ import annotations

from amiws_gevent.ami import Kind, Message
from amiws_gevent.plugins import ServerInfo

from .._matching import NameSet, ServerSet
from .settings import Settings


class Selection:
    """The rules of the settings, compiled."""

    def __init__(self, settings: Settings) -> None:
        self._types = frozenset(settings.types or Kind)
        self._servers = ServerSet(settings.servers)
        self._events = NameSet(settings.events or ("*",))
        self._except = NameSet(settings.except_events)

    def accepts(self, message: Message, server: ServerInfo) -> bool:
        """Whether the message is kept; rules for events do not hold back others."""
        if message.kind not in self._types or not self._servers.fits(server):
            return False
        if message.kind is not Kind.EVENT:
            return True
        return self._events.fits(message.name) and not self._except.fits(message.name)
