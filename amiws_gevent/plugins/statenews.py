"""What one plugin is told of changes of the state: the latest of each entity, however slow it is.

While the hook is at work, changes are joined. A server of which too much waits is told as a whole
instead, as one is that is new to the plugin. So what waits is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from amiws_gevent.plugins.api import Entity, ServerInfo, StateChanges
from amiws_gevent.plugins.entities import copied
from amiws_gevent.plugins.logqueue import Entry, LogQueue
from amiws_gevent.runtime.loop import yield_to_loop

STATE_CHANGED = "amiws_state_changed"

MOST_WAITING = 10_000
"""Entities of one server with changes that were not told."""

PER_TURN = 500  # entities copied before others have their turn

Entities = Callable[[int], Iterable[tuple[str, str, Mapping[str, Any]]]]
"""All of a server: kind, id, fields."""


class _Waiting:
    """Changes of one server; None: it is to be told as a whole."""

    def __init__(self, server: ServerInfo) -> None:
        self.server = server
        self.made: dict[tuple[str, str], Entity] | None = None
        self.gone: dict[tuple[str, str], Entity] = {}


class StateNews:
    """``call`` is what the plugin's queue calls for each entry of the hook."""

    def __init__(self, hook: Callable[..., object], entities: Entities) -> None:
        self._hook = hook
        self._entities = entities
        self._known: dict[int, ServerInfo] = {}
        self._waiting: dict[int, _Waiting] = {}

    def forget(self) -> None:
        """The plugin begins anew: all servers are to be told as a whole."""
        self._known.clear()
        self._waiting.clear()

    def begin(self, queue: LogQueue, server: ServerInfo) -> None:
        """A server's state is another, or new to the plugin: tell it as a whole."""
        self._known.pop(server.id, None)
        self.tell(queue, server, (), ())

    def knows(self, server: int) -> bool:
        """Whether the plugin was told of a server, or will be."""
        return server in self._known

    def tell(
        self,
        queue: LogQueue,
        server: ServerInfo,
        made: Sequence[Entity],
        gone: Sequence[Entity],
    ) -> None:
        """Take changes; entities are not changed here."""
        waiting = self._waiting.get(server.id)
        if waiting is None:
            waiting = self._waiting[server.id] = _Waiting(server)
            if server.id in self._known:
                waiting.made = {}
            queue.put([Entry(STATE_CHANGED, (server.id,), 0)])
        elif server.id not in self._known:
            waiting.made = None
        self._known[server.id] = server
        if waiting.made is not None:
            _join(waiting.made, waiting.gone, made, gone)
            if len(waiting.made) + len(waiting.gone) > MOST_WAITING:
                waiting.made = None
                waiting.gone = {}

    def call(self, server_id: int) -> None:
        """Call the hook with what there is to tell."""
        waiting = self._waiting.pop(server_id, None)
        if waiting is None:
            return
        if waiting.made is None:
            changes = StateChanges(self._whole(server_id), [], whole=True)
        else:
            changes = StateChanges(_copies(waiting.made.values()), _copies(waiting.gone.values()))
        self._hook(changes, waiting.server)

    def _whole(self, server: int) -> list[Entity]:
        found: list[Entity] = []
        for kind, key, fields in list(self._entities(server)):
            found.append({"server": server, "kind": kind, "id": key, **copied(fields)})
            if not len(found) % PER_TURN:
                yield_to_loop()
        return found


def _copies(entities: Iterable[Entity]) -> list[Entity]:
    return [copied(entity) for entity in entities]


def _join(
    made: dict[tuple[str, str], Entity],
    gone: dict[tuple[str, str], Entity],
    more: Sequence[Entity],
    ended: Sequence[Entity],
) -> None:
    for entity in ended:
        name = entity["kind"], entity["id"]
        made.pop(name, None)
        gone[name] = entity
    for entity in more:
        name = entity["kind"], entity["id"]
        gone.pop(name, None)
        known = made.get(name)
        made[name] = entity if known is None else {**known, **entity}
