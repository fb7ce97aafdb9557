"""What metrics say of queues and trunks, counted for each server when Prometheus asks.

Their names are those of a PBX's configuration, so each has labels of its own; but not more than
``MOST_QUEUES`` and ``MOST_TRUNKS``, which all servers share alike. What is beyond is counted
together, under the name ``OTHERS``.

A server that is not connected has none: what was known of it is not so any more.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from amiws_gevent.config import AmiHost
from amiws_gevent.live import FollowedServer
from amiws_gevent.metrics.measured import Measured
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.state.callview import KIND as CALL
from amiws_gevent.state.peers import CONTACT, ENDPOINT, PEER
from amiws_gevent.state.queues import CALLER, MEMBER, QUEUE
from amiws_gevent.state.registrations import REGISTRATION
from amiws_gevent.state.store import Store

MOST_QUEUES = 1000
MOST_TRUNKS = 1000
"""Of all servers together. A queue has 18 samples, a trunk 3 at most."""

OTHERS = "(others)"
"""The name for all that are beyond the bound, and for a queue or trunk of this very name. It has
gauges alone."""

ENTITIES_PER_TURN = 1000
"""That are looked at before others have their turn: they take a millisecond."""

MEMBER_STATES = (
    "idle",
    "in_use",
    "busy",
    "ringing",
    "ringing_in_use",
    "on_hold",
    "unavailable",
    "invalid",
    "unknown",
)
"""Those of docs/state-kinds.md."""

USABLE = frozenset(
    {
        "reachable",
        "registered",
        "unmonitored",
        "lagged",
        "idle",
        "in_use",
        "busy",
        "ringing",
        "ringing_in_use",
        "on_hold",
    }
)
"""The states in which a trunk takes calls, as the dashboard has it (phones/trunks.js)."""

_PHONE = re.compile(r"[0-9]{2,6}")
"""Phones are named by their number, trunks are not; as in phones/phones.js."""

Fields = Mapping[str, Any]


@dataclass
class QueueTally:
    """What is so in one queue, or in several. Times in seconds."""

    waiting: int = 0
    longest_wait: float = 0.0
    longest_wait_of_day: float = 0.0
    entered: int = 0
    answered: int = 0
    answered_in_level: int = 0
    abandoned: int = 0
    paused: int = 0
    free: int = 0
    states: Counter[str] = field(default_factory=Counter)

    def add_queue(self, queue: Fields) -> None:
        """Count a queue's own figures."""
        self.waiting += queue["waiting"]
        self.entered += queue["entered"]
        self.answered += queue["answered"]
        self.answered_in_level += queue["answered_in_level"]
        self.abandoned += queue["abandoned"]
        self.longest_wait_of_day = max(self.longest_wait_of_day, queue["longest_wait"])

    def add_member(self, member: Fields) -> None:
        """Count one of its members."""
        state = member["state"] if member["state"] in MEMBER_STATES else "unknown"
        self.states[state] += 1
        self.paused += bool(member["paused"])
        self.free += state == "idle" and not member["paused"]

    def add_caller(self, caller: Fields, now: int) -> None:
        """Count one who waits; ``now`` is in milliseconds."""
        if caller["since"] is not None:
            self.longest_wait = max(self.longest_wait, (now - caller["since"]) / 1000)


@dataclass
class TrunkTally:
    """What is so of one trunk, or of several."""

    down: int = 0
    """How many take no calls."""
    calls: int = 0
    latency: float | None = None
    """Seconds, of the slowest; None if it is not measured."""

    def add_line(self, line: Fields, contacts: Sequence[Fields]) -> None:
        """Count a peer, or an endpoint and its contacts."""
        state = line["state"] if "state" in line else line["status"]
        unreachable = [contact["status"] == "unreachable" for contact in contacts]
        self.down += state not in USABLE or (bool(unreachable) and all(unreachable))
        latencies = [contact["latency_us"] / 1e6 for contact in contacts if contact["latency_us"]]
        if line.get("latency") is not None:
            latencies.append(line["latency"] / 1000)
        if latencies:
            self.latency = max(self.latency or 0.0, *latencies)


class Tally(NamedTuple):
    """Of one server: its queues, trunks and registrations, by the name that their label has."""

    host: AmiHost
    service_level: int
    """Seconds within which a caller should be answered."""
    queues: Mapping[str, QueueTally]
    trunks: Mapping[str, TrunkTally]
    registrations: Mapping[str, int]
    """How many of that name are not registered."""


class _Names:
    """The names that may be labels: the first that came, so that they stay while they are there."""

    def __init__(self, names: Iterable[str], most: int) -> None:
        self._told = frozenset(islice(dict.fromkeys(names), most)) - {OTHERS}

    def label(self, name: str) -> str:
        return name if name in self._told else OTHERS


def tally_all(measured: Measured) -> list[Tally]:
    """Count for all servers that are connected; others have their turn in between."""
    followed = measured.live.followed
    links = measured.pool.links
    most_queues = max(1, MOST_QUEUES // max(1, len(followed)))
    most_trunks = max(1, MOST_TRUNKS // max(1, len(followed)))
    found = []
    for live in followed:
        link = links.get(live.source.host.id)
        if link is not None and link.connected:
            found.append(_tally(live, most_queues, most_trunks))
    return found


def _tally(live: FollowedServer, most_queues: int, most_trunks: int) -> Tally:
    figures = live.model.queues.figures
    return Tally(
        live.source.host,
        figures.service_level,
        _queues(live.store, live.model.queues.now, most_queues),
        _trunks(live.store, most_trunks),
        _registrations(live.store, most_trunks),
    )


def _queues(store: Store, now: int, most: int) -> dict[str, QueueTally]:
    names = _Names(store.keys(QUEUE), most)
    found: defaultdict[str, QueueTally] = defaultdict(QueueTally)
    for queue in _all(store, QUEUE):
        found[names.label(queue["name"])].add_queue(queue)
    for member in _all(store, MEMBER):
        found[names.label(member["queue"])].add_member(member)
    for caller in _all(store, CALLER):
        found[names.label(caller["queue"])].add_caller(caller, now)
    return found


def _trunks(store: Store, most: int) -> dict[str, TrunkTally]:
    """Peers and endpoints that are no phones, and the calls through them.

    Calls through what is none of them, such as DAHDI, are calls of the others.
    """
    contacts: defaultdict[str, list[Fields]] = defaultdict(list)
    for contact in _all(store, CONTACT):
        contacts[contact["endpoint"]].append(contact)
    lines = [peer for peer in _all(store, PEER) if not _is_phone(peer)]
    lines += [endpoint for endpoint in _all(store, ENDPOINT) if not _is_phone(endpoint)]
    names = _Names((line["name"] for line in lines), most)
    found: defaultdict[str, TrunkTally] = defaultdict(TrunkTally)
    for line in lines:
        found[names.label(line["name"])].add_line(line, contacts.get(line["name"], ()))
    for call in _all(store, CALL):
        if call["trunk"] is not None:
            found[names.label(call["trunk"])].calls += 1
    return found


def _registrations(store: Store, most: int) -> dict[str, int]:
    known = [(_name_of(one), one["status"]) for one in _all(store, REGISTRATION)]
    names = _Names((name for name, _ in known), most)
    found: Counter[str] = Counter()
    for name, status in known:
        found[names.label(name)] += status != "registered"
    return found


def _name_of(registration: Fields) -> str:
    name: str | None = registration["name"]
    return name or f"{registration['username'] or ''}@{registration['domain'] or ''}"


def _is_phone(line: Fields) -> bool:
    return _PHONE.fullmatch(line["name"]) is not None


def _all(store: Store, kind: str) -> Iterator[Fields]:
    """The fields of the entities that are there now; others have their turn in between."""
    for number, entity in enumerate(list(store.entities(kind).values()), 1):
        if entity.fields:  # else it has gone meanwhile
            yield entity.fields
        if not number % ENTITIES_PER_TURN:
            yield_to_loop()
