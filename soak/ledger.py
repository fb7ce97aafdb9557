"""What one client of amiws.v2 has been told, and what is wrong about it.

Events have a mark, ``SERVER/SESSION/NUMBER``: sessions of a server are numbered as collectors log
in, and so are the events of each session. So a client that hears an older session again hears two
collectors that publish for one server.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

MARK = "Mark"
LASTING = "lasting"
"""Begins the names of channels that are always there: no client may be told otherwise."""

Name = tuple[int, str, str]
Gap = tuple[str, int, str]
Message = Mapping[str, Any]


class Mark(NamedTuple):
    """Which event of a server it is."""

    session: int
    number: int


class _Heard(NamedTuple):
    """Where a client stands with the events of each server."""

    last: dict[int, Mark]
    gaps: set[int]
    """Servers of which it was told a gap since their last event."""

    def copy(self) -> _Heard:
        return _Heard(dict(self.last), set(self.gaps))


class Ledger:
    """Of a client with one subscription to all state and events. Faults are in ``faults``."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.faults: list[str] = []
        self.events = 0
        self.gaps: Counter[Gap] = Counter()
        """By stream, server (-1: of all) and reason."""
        self.position: str | None = None
        self.entities: dict[Name, dict[str, Any]] = {}
        self.heard_at: dict[int, float] = {}
        """By server, when its last event came."""
        self.longest_silence = 0.0
        self._clock = clock
        self._heard = _Heard({}, set())
        self._sure = self._heard.copy()
        """Where the position stands."""
        self._pages: list[Message] = []

    def lost(self) -> None:
        """The connection is lost: what came behind the position comes again."""
        self._heard = self._sure.copy()
        self._pages.clear()

    def begins_anew(self) -> None:
        """It has no position to go on from: anything may be missing."""
        self._heard.gaps.update(self._heard.last)
        self.position = None

    def take(self, message: Message) -> None:
        """A message of the subscription."""
        match message["op"]:
            case "event":
                self._event(message["message"])
            case "gap":
                self._gap(message)
            case "snapshot":
                self._snapshot(message)
            case "state":
                self._state(message)
            case "position":
                for position in message["positions"].values():
                    self._at(position)
        if "position" in message:
            self._at(message["position"])

    def _at(self, position: str) -> None:
        self.position = position
        self._sure = self._heard.copy()

    def _event(self, message: Message) -> None:
        text = message["data"].get(MARK)
        if text is None:
            return
        server, *numbers = map(int, text.split("/"))
        mark, before = Mark(*numbers), self._heard.last.get(server)
        self._check(server, mark, before)
        self._heard.last[server] = mark
        self._heard.gaps.discard(server)
        self.events += 1
        now = self._clock()
        silence = now - self.heard_at.get(server, now)
        self.longest_silence = max(self.longest_silence, silence)
        self.heard_at[server] = now

    def _check(self, server: int, mark: Mark, before: Mark | None) -> None:
        if before is None or mark == (before.session, before.number + 1):
            return
        if mark.session < before.session:
            self._fault(f"server {server}: session {mark} after {before}: two have published")
        elif mark <= before:
            self._fault(f"server {server}: {mark} after {before}: twice, or out of order")
        elif server not in self._heard.gaps:
            self._fault(f"server {server}: {mark} after {before}, and no gap was told")

    def _gap(self, message: Message) -> None:
        server = message.get("server", -1)
        self.gaps[message["stream"], server, message["reason"]] += 1
        if message["stream"] == "events":
            self._heard.gaps.update(self._heard.last if server == -1 else [server])

    def _snapshot(self, message: Message) -> None:
        if message["page"] == 1:
            self._pages.clear()
        self._pages.append(message)
        if message["page"] == message["pages"]:
            items = [item for page in self._pages for item in page["items"]]
            self.entities = {_name(item): item for item in items}
            self._pages.clear()

    def _state(self, message: Message) -> None:
        for item in message["set"]:
            name = _name(item)
            self.entities[name] = {**self.entities.get(name, {}), **item}
        for item in message["unset"]:
            name = _name(item)
            self.entities.pop(name, None)
            if name[1] == "channel" and name[2].startswith(LASTING):
                self._fault(f"server {name[0]}: channel {name[2]} was taken away, and is there")

    def _fault(self, what: str) -> None:
        self.faults.append(f"{self.name}: {what}")

    def newest(self, server: int) -> Mark | None:
        """The last event of a server that it has heard."""
        return self._heard.last.get(server)

    def channels(self, server: int) -> set[str]:
        """The channels of a server."""
        return {key for one, kind, key in self.entities if (one, kind) == (server, "channel")}

    def of_servers(self) -> dict[Name, dict[str, Any]]:
        """All entities of servers, which are the same at all edges."""
        return {name: entity for name, entity in self.entities.items() if name[0] != 0}


def needless(told: Mapping[Gap, int], moves: Mapping[int, int]) -> Iterator[str]:
    """Gaps that need not have been told; ``moves`` is how often each server has moved meanwhile.

    A move is a gap in the events of that server, and in nothing else.
    """
    for (stream, server, reason), count in told.items():
        if count > (moves.get(server, 0) if stream == "events" else 0):
            yield f"{count} gaps in the {stream} of server {server} ({reason})"


def _name(item: Mapping[str, Any]) -> Name:
    return item["server"], item["kind"], item["id"]
