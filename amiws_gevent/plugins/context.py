"""What a plugin gets at its start-up: its settings, and what it can ask for, tell and count."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter as Counts
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent

from amiws_gevent.ami import Kind, Message, Value
from amiws_gevent.plugins.facilities import (
    NOT_HERE,
    TOO_MANY,
    Answer,
    AskError,
    Facilities,
    NoFacilities,
    State,
)
from amiws_gevent.plugins.spent import Worker
from amiws_gevent.runtime.log import LogLimiter

MOST_ASKS = 16  # of one plugin that are not answered
DEFAULT_TIMEOUT = 10.0  # seconds

MOST_MEMBERS = 64  # of an event
LARGEST_EVENT = 16 * 1024  # bytes of its names and values
EVENTS_PER_SECOND = 50.0
EVENT_BURST = 200.0

MOST_COUNTERS = 20

PUBLISHED, DROPPED = "published", "dropped"

LOST = "amiws_plugin_lost_messages_total"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_OURS = frozenset({"event", "plugin", "actionid", "response"})
_COUNTER = re.compile(r"[a-z][a-z0-9_]{0,47}")
_NO_WORD = re.compile(r"[^a-z0-9_]+")


class Counter:
    """A number of a plugin's own, in ``/metrics``; it only grows."""

    def __init__(self, name: str, help: str) -> None:  # noqa: A002 - as Prometheus calls it
        self.name = name
        self.help = help
        self.value = 0.0

    def add(self, more: float = 1) -> None:
        """Count ``more``, which is not negative."""
        if not 0 <= more < float("inf"):
            raise ValueError(f"a counter only grows: it cannot add {more!r}")
        self.value += more


def word_of(plugin: str) -> str:
    """A plugin's name as a part of a metric's: ``./long_queue.py#2`` is ``long_queue_2``."""
    base = Path(plugin.replace(".py#", "#")).name.removesuffix(".py")
    return _NO_WORD.sub("_", base.lower()).strip("_") or "plugin"


class Desk:
    """One plugin's part of the program: what it asks, tells and counts is bounded here.

    ``counters`` outlives the plugin: a reload gives the next one those that there are.
    """

    def __init__(
        self,
        name: str,
        facilities: Facilities | None = None,
        counters: dict[str, Counter] | None = None,
        *,
        log: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.facilities: Facilities = facilities or NoFacilities()
        self.counters = {} if counters is None else counters
        self.losses = Counter(LOST, "")
        """Messages that the plugin took and lost."""
        self.events: Counts[str] = Counts({PUBLISHED: 0, DROPPED: 0})
        """Events that the plugin has published, and those that were too many."""
        self._word = word_of(name)
        self._log = log or logging.getLogger("amiws_gevent.plugins")
        self._limiter = LogLimiter()
        self._clock = clock
        self._asking = 0
        self._room = EVENT_BURST
        self._room_at = clock()

    def ask(self, server: int, action: Mapping[str, Any], *, timeout: float, wait: bool) -> Answer:
        """See `PluginContext.ask`."""
        if isinstance(gevent.getcurrent(), Worker):
            raise AskError(
                NOT_HERE, "a filter or transform may not ask: it would have to wait for the answer"
            )
        if self._asking >= MOST_ASKS:
            raise AskError(TOO_MANY, f"{MOST_ASKS} questions of this plugin are not answered yet")
        self._asking += 1
        try:
            return self.facilities.ask(server, action, timeout=timeout, wait=wait)
        finally:
            self._asking -= 1

    def publish(self, event: str, members: Mapping[str, object]) -> bool:
        """See `PluginContext.publish`."""
        message = self._message(event, members)
        if self._has_room() and self.facilities.publish(message):
            self.events[PUBLISHED] += 1
            return True
        self.events[DROPPED] += 1
        self._limiter.log(
            self._log,
            logging.ERROR,
            "events",
            "plugin %s: publishes more than %g events a second; dropped: %d so far",
            self.name,
            EVENTS_PER_SECOND,
            self.events[DROPPED],
        )
        return False

    def counter(self, name: str, help: str) -> Counter:  # noqa: A002 - as Prometheus calls it
        """See `PluginContext.counter`."""
        if not isinstance(name, str) or not _COUNTER.fullmatch(name):
            raise ValueError("a counter's name is 1 to 48 of a to z, 0 to 9 and _, a letter first")
        full = f"amiws_own_{self._word}_{name.removesuffix('_total')}_total"
        known = next((one for one in self.counters.values() if one.name == full), None)
        if known is None:
            if len(self.counters) >= MOST_COUNTERS:
                raise ValueError(f"a plugin may have {MOST_COUNTERS} counters")
            known = self.counters[name] = Counter(full, " ".join(str(help).split())[:200])
        return known

    def _message(self, event: str, members: Mapping[str, object]) -> Message:
        _check_name(event, "an event")
        if len(members) > MOST_MEMBERS:
            raise ValueError(f"an event may have {MOST_MEMBERS} members, not {len(members)}")
        pairs: list[tuple[str, Value]] = [("Event", event), ("Plugin", self._word)]
        for name, value in members.items():
            _check_name(name, "a member")
            if name.lower() in _OURS:
                raise ValueError(f"a member cannot be named {name}: the program sets it")
            many = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, _text(name, one)) for one in many if one is not None]
        size = sum(len(name) + len(str(value).encode("utf-8", "replace")) for name, value in pairs)
        if size > LARGEST_EVENT:
            raise ValueError(f"an event may have {LARGEST_EVENT} bytes, not {size}")
        return Message(Kind.EVENT, pairs)

    def _has_room(self) -> bool:
        now = self._clock()
        self._room = min(EVENT_BURST, self._room + (now - self._room_at) * EVENTS_PER_SECOND)
        self._room_at = now
        if self._room < 1:
            return False
        self._room -= 1
        return True


def _check_name(name: object, what: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"the name of {what} is 1 to 64 letters, digits, _ and -, a letter first; "
            f"not {name!r:.80}"
        )


def _text(name: str, value: object) -> str:
    """A member's value: text, as those of a server's events are."""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in (str, int, float):
        return str(value)
    raise ValueError(f"{name} must be text, a number, a bool, or a list of these")


@dataclass(frozen=True)
class PluginContext:
    """What a plugin gets at its start-up.

    ``settings`` is an instance of the model that ``amiws_settings`` gave (an
    empty model without that hook); ``log`` a logger named after the plugin;
    ``spawn(function, *args)`` runs a greenlet that ends with the plugin, and
    whose error is logged with the plugin's name.
    """

    name: str
    settings: Any
    log: logging.Logger
    spawn: Callable[..., gevent.Greenlet[..., Any]]
    desk: Desk = field(default_factory=lambda: Desk("plugin"), repr=False)
    """The program's side of what is below; not for plugins."""

    @property
    def state(self) -> State:
        """The live state, read-only, as clients see it: at most some 0.2 s old.

        ``get(server, kind, id)``, ``of(server, kind)``, ``servers``.
        """
        return self.desk.facilities.state

    def ask(
        self,
        server: int,
        action: Mapping[str, Any],
        timeout: float = DEFAULT_TIMEOUT,
        *,
        wait: bool = False,
    ) -> Answer:
        """Send an action to the server with that id, and wait for the whole answer.

        ``action`` is as clients write it: ``{"Action": "QueueStatus", "Queue": "support"}``.
        Only the calling greenlet waits, ``timeout`` seconds at most (60): past them, or past 10,000
        messages or 8 MiB, the answer has what came and is not ``complete``. An Originate never
        blocks; with ``wait`` its answer has OriginateResponse as its ``end``. No authorization is
        asked, and what comes is as the server sent it: no transform has seen it.

        Raises AskError: for what cannot be sent, for a server that is not known or not connected,
        when the connection is lost before the answer, when 16 questions of this plugin are not
        answered, and in filters and transforms, which may not wait.
        """
        return self.desk.ask(server, action, timeout=timeout, wait=wait)

    def publish(self, event: str, /, **members: object) -> bool:
        """Tell clients of an event of your own; never waits. False: it was dropped.

        They get it as a message of server 0, which is this program: clients of ``amiws.v2`` and of
        ``/api/v1/events`` that have events of that server; those of the classic socket never. It
        has a position, and is told to who comes back. Values are text, numbers, bools, and lists
        of these; None is left out. ``Plugin`` with the plugin's name is added.

        Transforms of all plugins see it, so that what is masked stays masked; filters and log
        hooks do not. Dropped is what is more than 50 a second, after the first 200. Raises
        ValueError for a name or value that cannot be sent, for more than 64 members or 16 KiB.
        """
        return self.desk.publish(event, members)

    @property
    def losses(self) -> Counter:
        """Counts messages that this plugin took and will never deliver; ``add(n)`` counts.

        In ``/metrics`` it is ``amiws_plugin_lost_messages_total``, on which operators have an
        alert; say in the log why.
        """
        return self.desk.losses

    def counter(self, name: str, help: str) -> Counter:  # noqa: A002 - as Prometheus calls it
        """A counter in ``/metrics``, called ``amiws_own_PLUGIN_NAME_total``.

        The same name gives the same counter, after a reload as well. ``add(n)`` counts. Raises
        ValueError for a name other than small letters, digits and ``_``, and past 20 counters.
        """
        return self.desk.counter(name, help)
