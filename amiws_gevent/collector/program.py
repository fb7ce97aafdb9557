"""What collectors tell each other: the one that has the program knows the servers of all.

It publishes server 0, whose entities are all servers. Each of the others tells it those of its own
servers, as soon as they change, and all of them when the program has moved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import gevent
from gevent.event import AsyncResult, Event

from amiws_gevent.bus.api import Caller, Problem
from amiws_gevent.config import AmiHost
from amiws_gevent.crossing import calls
from amiws_gevent.crossing.streams import PROGRAM
from amiws_gevent.live import LiveState
from amiws_gevent.live.proxy import PROXY_ID
from amiws_gevent.plugins.api import ServerInfo
from amiws_gevent.state.servers import SERVER

# Seconds
HEARTBEAT = 5.0  # between two reports at most: so long may it take until who begins knows all
REPORT_TIME = 10.0
RETRY = 1.0

NOBODY = "no collector has this server"

Entities = Mapping[str, tuple[int, Mapping[str, Any]]]
"""By the key of a server: the term of its lease, and the fields of its entity."""


class Program:
    """The servers of the configuration, and what is known of those that others have."""

    def __init__(self, live: LiveState) -> None:
        self.hosts: dict[int, AmiHost] = {}
        """All of the configuration, by id; the same object all the time."""
        self.own: Collection[int] = ()
        """Those that this collector is connected to."""
        self.is_here = False
        """Whether this collector tells edges of the program."""
        self._live = live
        self._store = live.servers[PROXY_ID].store
        self._terms: dict[int, int] = {}
        live.stays = lambda server: self.is_here and server in self.hosts

    @property
    def infos(self) -> Mapping[int, ServerInfo]:
        """All servers of the configuration."""
        return {one.id: ServerInfo(one.id, one.name, one.ssl) for one in self.hosts.values()}

    def configure(self, hosts: Mapping[int, AmiHost]) -> None:
        """There are these servers from now on."""
        self.hosts.clear()
        self.hosts.update(hosts)
        if self.is_here:
            self._have_all({})

    def begin(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        """Tell edges of all servers; of those of others what edges know, until they report."""
        self.is_here = True
        self._have_all(known)

    def end(self) -> None:
        """Another collector tells of them."""
        self.is_here = False
        self._terms.clear()
        for key in self._store.keys(SERVER):
            if int(key) not in self.own:
                self._store.remove(SERVER, key)

    def _have_all(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        for key in self._store.keys(SERVER):
            if int(key) not in self.hosts:
                self._store.remove(SERVER, key)
        for server, host in self.hosts.items():
            key = str(server)
            if server in self.own or server == PROXY_ID:
                continue
            if key in known:
                self._store.put(SERVER, key, **known[key])
            elif self._store.get(SERVER, key) is None:
                self._live.entity_of(host, NOBODY)
        self._live.on_change()

    def take(self, entities: Mapping[str, tuple[int, Mapping[str, Any]]]) -> bool:
        """What another collector tells of its servers; whether this one tells edges of them.

        What the collector before it tells too late is not taken.
        """
        if not self.is_here:
            return False
        for key, (term, fields) in entities.items():
            server = int(key)
            if server in self.own or server not in self.hosts:
                continue
            if term >= self._terms.get(server, 0):
                self._terms[server] = term
                self._store.put(SERVER, key, **fields)
        self._live.on_change()
        return True

    def entities(self, term_of: Callable[[int], int]) -> Entities:
        """What this collector has to tell of its own servers, with the terms of their leases."""
        found = {server: self._store.get(SERVER, str(server)) for server in self.own}
        return {
            str(server): (term_of(server), fields)
            for server, fields in found.items()
            if fields is not None
        }


class Reports:
    """Tells the collector that has the program. ``on_common`` gets what all have in common.

    ``entities`` gives what is to be told; None: this collector has the program itself.
    """

    def __init__(
        self,
        caller: Caller,
        entities: Callable[[], Entities | None],
        on_common: Callable[[Mapping[str, Any]], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caller = caller
        self._entities = entities
        self._on_common = on_common
        self._woken = Event()
        self._told: Entities = {}
        self._to = 0  # the term of the lease of who was told
        self._clock = clock
        self._due = clock()  # also if nothing has changed
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin to tell."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def wake(self) -> None:
        """Something may have changed; returns at once."""
        self._woken.set()

    def _run(self) -> None:
        while True:
            self._woken.wait(HEARTBEAT)
            self._woken.clear()
            entities = self._entities()
            if entities is None:
                self._told, self._to = {}, 0
            elif not self._report(entities):
                gevent.sleep(RETRY)
                self._woken.set()

    def _report(self, entities: Entities) -> bool:
        """Tell what is other than was told; whether that was heard."""
        news = {
            key: (term, fields)
            for key, (term, fields) in entities.items()
            if key not in self._told or not _is_same(self._told[key], (term, fields))
        }
        if not news and self._clock() < self._due:
            return True
        self._due = self._clock() + HEARTBEAT
        answered: AsyncResult[bytes] = AsyncResult()

        def on_answer(data: bytes | None, _last: bool, _problem: Problem) -> None:
            answered.set(data or b"")

        question = calls.encode(servers=news)
        self._caller.call(PROGRAM, calls.REPORT, question, REPORT_TIME, on_answer)
        data = answered.get()
        if not data:
            return False
        common = calls.decode(data)
        if common["term"] != self._to:  # another one, which knows nothing yet
            self._told, self._to = {}, common["term"]
            self._on_common(common)
            self._woken.set()
        else:
            self._told = {**entities}
        return True


def _is_same(one: tuple[int, Mapping[str, Any]], other: tuple[int, Mapping[str, Any]]) -> bool:
    """Whether nothing has changed: the fields are another object then."""
    return one[0] == other[0] and one[1] is other[1]
