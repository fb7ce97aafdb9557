"""The live model of one server: fed by its link, kept right by what the server answers.

The model runs in the greenlet of the link for the messages of a read, and elsewhere for ticks; each
is one step. A list is taken by the greenlet that has asked for it, in turns of a few milliseconds,
between which the link may read on. What the model raises is a fault of ours that
must not cost the stream: it is counted and logged, and the next list puts right what it broke.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.config import Settings
from amiws_gevent.live.permissions import Missing, Permissions, Reading, asterisk_version
from amiws_gevent.live.proxy import CONNECTED, OFF, Clock, ServerEntity
from amiws_gevent.live.questions import LISTED_ONLY, ONE_OF_SEVERAL, QUESTIONS, READ
from amiws_gevent.live.synchroniser import (
    DEFAULT_PACE,
    LIVE,
    STALE,
    SYNCING,
    Asked,
    Pace,
    Synchroniser,
)
from amiws_gevent.pipeline import Source
from amiws_gevent.runtime.log import LogLimiter
from amiws_gevent.runtime.loop import yield_to_loop
from amiws_gevent.state.merge import ListedPart
from amiws_gevent.state.part import Steps
from amiws_gevent.state.parts import ServerModel, make_model
from amiws_gevent.state.store import Change, Name, Store

ADDED, REMOVED, CHANGED = "added", "removed", "changed"

MOST_ENTITIES = 200_000
"""Of one server: 100,000 are 50,000 channels with their calls and bridges. Past it the server
tells of more than it ends, and what is known of it is forgotten and asked for anew."""

MOST_IN_LINES = 10_000
"""Of these kinds: an event of one may concern all others, since a line moves up."""
_IN_LINES = ("queue_caller", "participant")

LOOK_EVERY = 1000  # messages after which that is looked at: it takes as long as an event

LIST_TURN = 0.003
"""Seconds for which a list is taken before the event loop is yielded to."""

_NO_NEWS = frozenset({"since", "server_since"})
"""Fields that change with others."""

_log = logging.getLogger("amiws_gevent.live")


class LiveServer:
    """What is so on one server, or on the program itself (id 0)."""

    def __init__(self, source: Source, store: Store) -> None:
        self.source = source
        self.store = store
        self.info = source.info


class FollowedServer(LiveServer):
    """One that has a link. ``on_change`` is told of each moment at which ``store``, or that of
    server 0, may have changed.
    """

    def __init__(
        self,
        source: Source,
        link: Asked,
        entity: ServerEntity,
        settings: Settings,
        *,
        now: Clock,
        on_change: Callable[[Store], None],
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        super().__init__(source, Store(offset=source.offset))
        self.entity = entity
        self.errors = 0
        """Faults of the model."""
        self.sync = STALE
        self.settled = False
        """Whether all was asked for since the link began: before that, much may be missing."""
        self._healed: Counter[tuple[str, str]] = Counter()
        self._link = link
        self._now = now
        self._on_change = on_change
        self._pace = pace
        self._interval = settings.sync_interval
        self._day = settings.queue_day
        self._service_level = round(settings.queue_service_level)
        self.model = self._make_model()
        self._too_much = False
        self._unlooked = 0  # messages since the size was looked at
        """Nothing is taken before the server is asked anew."""
        self._was_too_much = False  # since it was live last
        self._reading = Reading()
        self._missing: Sequence[Missing] = ()
        self._logged: set[str] = set()  # lines of manager.conf
        self._connected = False
        self._connections = 0
        self._restarts = entity.restarts
        self._synchroniser: Synchroniser | None = None
        self._limiter = LogLimiter()
        self._tell_sync(STALE, "not connected yet")
        source.observer = self.observe

    def _make_model(self) -> ServerModel:
        return make_model(
            self.store,
            day_of=lambda at: self._day.day_of(at),
            service_level=self._service_level,
            server_part=self.entity.part,
        )

    @property
    def offset(self) -> int:
        return self.source.offset

    def healed(self) -> dict[tuple[str, str], int]:
        """How much lists have put right, by kind, and by added, removed or changed."""
        return dict(self._healed)

    def configure(self, settings: Settings) -> None:
        """Apply what a reload has changed."""
        self._interval = settings.sync_interval
        self._service_level = round(settings.queue_service_level)
        self.model.queues.figures.service_level = self._service_level
        if self._day != settings.queue_day:
            self._day = settings.queue_day
            self._begin()
            self.model.queues.recount(self._now())
        if self._synchroniser is not None:
            self._synchroniser.interval = settings.sync_interval

    def restore_figures(self, kept: Mapping[str, Any]) -> None:
        """Go on with the queues' figures of the program before."""
        try:
            self.model.queues.figures.restore(kept, self._now())
        except ValueError as error:
            _log.error("%s: state_file: %s", self.info.name, error)

    def close(self) -> None:
        """Follow it no longer."""
        self.source.observer = None
        self._end_synchroniser()
        self._tell_sync(OFF, "")

    # -- the link ----------------------------------------------------------------------

    def observe(self, messages: Sequence[Message], offset: int) -> None:
        """Take all messages of one read; of `Source.observer`."""
        now = self._now()
        if not self._too_much:
            self._take(messages, offset, now)
        try:
            self._reading.saw(messages)
            self.model.server.heard(now)
            self._look_for_restart()
        except Exception as error:  # noqa: BLE001 - as in `_contained`, which costs 2 µs a read
            self._tell_fault("a read", error)
        self._on_change(self.store)

    def _take(self, messages: Sequence[Message], offset: int, now: int) -> None:
        rest = iter(messages)
        for _ in range(len(messages) + 1):
            try:
                self.model.receive(rest, offset, now)
                break
            except Exception as error:  # noqa: BLE001 - of one message, which is left out
                self._tell_fault("an event", error)
        self._unlooked += len(messages)
        if self._unlooked >= LOOK_EVERY:
            self._unlooked = 0
            self._look_at_size()

    def connection_changed(self, state: str, reason: str) -> None:
        """The link has come into another state; the entity of the server knows already."""
        with self._contained("the connection"):
            if state == CONNECTED:
                self._connected = True
                self._too_much = False
                self._connections += 1
                self._begin()
                self.model.queues.interrupted(self.model.queues.now)
                self._tell_sync(SYNCING, "")
                self._start_synchroniser(reason)
            else:
                self._connected = False
                self._end_synchroniser()
                self._tell_sync(STALE, reason or "not connected")
        self._on_change(self.store)

    def tick(self) -> None:
        """Let time pass; of a server that is not heard nothing is known to be otherwise."""
        with self._contained("a tick"):
            if self._connected:
                self.model.tick(self.source.advance().offset, self._now())
            else:
                self.model.server.now = self._now()
                self.model.server.tick()
        self._on_change(self.store)

    def _begin(self) -> None:
        self.model.begin(self.source.advance().offset, self._now())

    def _start_synchroniser(self, banner: str) -> None:
        self._end_synchroniser()
        self._synchroniser = Synchroniser(
            self._link,
            self,
            name=self.info.name,
            version=asterisk_version(banner),
            interval=self._interval,
            pace=self._pace,
        )
        self._synchroniser.start()

    def _end_synchroniser(self) -> None:
        if self._synchroniser is not None:
            self._synchroniser.stop()
            self._synchroniser = None

    def _look_at_size(self) -> None:
        """Forget all if it is too much, and ask anew: soon, and later if that was in vain."""
        known = self.store.size + self.model.queues.figures.size
        in_line = max(len(self.store.entities(kind)) for kind in _IN_LINES)
        if known <= MOST_ENTITIES and in_line <= MOST_IN_LINES:
            return
        self._limiter.log(
            _log,
            logging.ERROR,
            "size",
            "%s: told of %d entities (%d callers or participants) and not of their ends; "
            "its live state is dropped, and asked for anew",
            self.info.name,
            known,
            in_line,
        )
        self.store = Store(offset=self.source.advance().offset)
        self.model = self._make_model()
        self._begin()
        self.model.queues.interrupted(self._now())
        self._too_much = True
        self._tell_sync(STALE, f"it told of too many entities ({known}), and is asked anew")
        if self._synchroniser is not None:
            self._synchroniser.begin_anew(
                self._interval if self._was_too_much else self._pace.hurry
            )
        self._was_too_much = True

    def _look_for_restart(self) -> None:
        """What a reload has changed no event tells, such as queues and hints."""
        restarts = self.entity.restarts
        if restarts != self._restarts:
            self._restarts = restarts
            if self._synchroniser is not None:
                self._synchroniser.hurry()

    # -- what was asked (of `synchroniser.Told`) ---------------------------------------

    def listed(self, action: str, items: Sequence[Message], asked: int, *, heals: bool) -> None:
        if self._too_much:
            return
        healed: dict[Name, str] | None = {} if heals else None
        steps = self.model.receive_list(action, items, asked)
        self._work(f"the answer to {action}", steps, healed)
        if healed:
            self._count_healed(healed)

    def _work(self, doing: str, steps: Steps, healed: dict[Name, str] | None = None) -> None:
        """Do what may be long in turns, each at an offset of its own; events come in between.

        ``healed`` gets the names of what was put right, and what was done to each first.
        """
        going_on = True
        while going_on and not self._too_much:
            going_on = False
            with self._contained(doing):
                going_on = self._turn(steps, healed)
            self._look_at_size()
            self._on_change(self.store)
            if going_on:
                yield_to_loop()

    def _turn(self, steps: Steps, healed: dict[Name, str] | None) -> bool:
        """Work on for a turn; whether there is more to do."""
        self._begin()
        end = time.monotonic() + LIST_TURN
        with self.store.noted() as touched:
            going_on = any(time.monotonic() > end for _ in steps)
        if healed is not None:
            for name in touched:
                change = self.store.change(*name, self.store.offset - 1)
                if change is not None and (what := _healed(change)) is not None:
                    healed.setdefault(name, what)
        return going_on

    def hint_answered(self, response: Message, asked: int) -> None:
        with self._contained("the answer to ExtensionState"):
            self._begin()
            self.model.devices.hint_answered(response, asked)
        self._on_change(self.store)

    def hints(self) -> list[tuple[str, str]]:
        return [(fields["exten"], fields["context"]) for fields in self.store.of("hint").values()]

    def allowed(self, permissions: Permissions) -> None:
        """Forget what was known before the connection was lost and cannot be asked for again."""
        self._too_much = False
        if self._connections > 1:
            self._work("what may be asked", self._forget(permissions))

    def _forget(self, permissions: Permissions) -> Steps:
        asked = {
            kind
            for question in QUESTIONS
            if permissions.may(question.action)
            for kind in question.kinds
        }
        for part in self.model.parts:
            if part.lists and not any(permissions.may(action) for action in part.lists):
                yield from part.reset()
            elif isinstance(part, ListedPart):
                yield from part.forget(set(part.kinds) - asked)
        for action in ONE_OF_SEVERAL:
            if not permissions.may(action):
                yield from self.model.receive_list(action, (), self.offset)

    def synchronised(self, state: str, reason: str, missing: Sequence[Missing]) -> None:
        with self._contained("the state of synchronising"):
            self._missing = missing
            if self._too_much:
                return
            self._was_too_much = self._was_too_much and state != LIVE
            if state == LIVE != self.sync:
                _log.info("%s: the live state is synchronised", self.info.name)
            elif state == STALE:
                self._limiter.log(
                    _log,
                    logging.WARNING,
                    "stale",
                    "%s: the live state is not up to date: %s",
                    self.info.name,
                    reason,
                )
            self._tell_sync(state, reason)
            self._log_missing()
        self._on_change(self.store)

    def asked_all(self) -> None:
        self.settled = True
        self._on_change(self.store)

    def _tell_sync(self, state: str, reason: str) -> None:
        self.sync = state
        self.entity.synchronised(state, reason, [*self._missing, *self._reading.missing()])

    def _log_missing(self) -> None:
        """A line for each class that the AMI user lacks, once."""
        certain = [each for each in self._missing if each.certain]
        lines: dict[str, list[str]] = {}
        for each in (*certain, *self._reading.missing()):
            if each.manager_conf is not None and each.manager_conf not in self._logged:
                lines.setdefault(each.manager_conf, []).append(each.kind)
        for line, kinds in lines.items():
            self._logged.add(line)
            _log.warning(
                "%s: the live state lacks %s: add the class to the AMI user in manager.conf (%s)",
                self.info.name,
                ", ".join(kinds),
                line,
            )

    # -- what was put right ------------------------------------------------------------

    def _count_healed(self, healed: Mapping[Name, str]) -> None:
        with self._contained("what was put right"):
            self._healed.update((kind, what) for (kind, _), what in healed.items())
            for kind, count in Counter(kind for kind, _ in healed).items():
                self._reading.healed(kind, count)
            total: Counter[str] = Counter()
            for (kind, _), count in self._healed.items():
                total[kind] += count
            self.entity.healed(dict(total))
        self._on_change(self.store)

    # -- faults ------------------------------------------------------------------------

    @contextmanager
    def _contained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is must not cost the stream
            self._tell_fault(doing, error)

    def _tell_fault(self, doing: str, error: Exception) -> None:
        self.errors += 1
        self._limiter.log(
            _log,
            logging.ERROR,
            doing,
            "%s: internal error in the live state, at %s (%d so far)",
            self.info.name,
            doing,
            self.errors,
            exc_info=error,
        )


def _healed(change: Change) -> str | None:
    """What a list has put right; None if it told only what no event does."""
    if change.kind not in READ:
        return None
    if change.fields is None:
        return REMOVED
    if change.whole:
        return ADDED
    return (
        CHANGED if change.fields.keys() - LISTED_ONLY.get(change.kind, set()) - _NO_NEWS else None
    )
