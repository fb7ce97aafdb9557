"""Queues, their members and the callers who wait in them.

Origin: ``apps/app_queue.c``. Events name a member's interface ``Interface`` (``Location`` in
11, ``Member`` in its Agent events), lists ``Location``; a member's name is ``MemberName``, in
lists ``Name``; what is ``InCall`` is ``IsInCall`` in lists of 11. Queues have no events of
their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.state.figures import DayOf, QueueFigures
from amiws_gevent.state.headers import caller, flag, since_epoch, text, whole
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Steps, TakeList
from amiws_gevent.state.store import Store
from amiws_gevent.state.vocabulary import device_word

QUEUE, MEMBER, CALLER = "queue", "queue_member", "queue_caller"

# What is null until something says it.
_QUEUE: Mapping[str, Any] = dict.fromkeys(("strategy", "max", "weight"))
_MEMBER: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            "name",
            "state_interface",
            "status",
            "state",
            "paused",
            "paused_since",
            "reason",
            "calls_taken",
            "last_call",
            "penalty",
            "login_time",
            "membership",
            "ring_in_use",
        )
    ),
    "in_call": False,
}


QUEUES_PER_STEP = 3
"""Of which those who wait are counted at once."""

MOST_SHIFTED = 500
"""Callers of a server. With more the next list puts their positions right: moving all of them up
for each event would take the time that all servers share."""


class QueuesPart(ListedPart):
    """The kinds ``queue``, ``queue_member`` and ``queue_caller``."""

    kinds = (QUEUE, MEMBER, CALLER)

    def __init__(self, store: Store, *, day_of: DayOf, service_level: int = 20) -> None:
        super().__init__(store)
        self.figures = QueueFigures(day_of, service_level)
        """What they have done today. A reset leaves them, as no server's restart ends a day."""
        self._found: set[str] = set()  # callers that a list has told of, and no event yet

    @property
    def events(self) -> Mapping[str, Callable[[Message], None]]:
        return {
            "queuememberadded": self._member_added,
            "queuememberstatus": self._member,
            "queuememberpause": self._member,
            "queuememberpaused": self._member,
            "queuememberpenalty": self._member,
            "queuememberringinuse": self._member,
            "queuememberremoved": self._member_removed,
            "join": self._joined,
            "queuecallerjoin": self._joined,
            "leave": self._left,
            "queuecallerleave": self._left,
            "queuecallerabandon": self._abandoned,
            "agentconnect": self._answered,
            "agentcomplete": self._completed,
        }

    @property
    def lists(self) -> Mapping[str, TakeList]:
        return {"queuestatus": self._listed}

    def reset(self) -> Steps:
        for key, fields in self.store.of(CALLER).items():
            self.figures.left(fields["queue"], key)
        self._found.clear()
        yield from super().reset()

    def tick(self) -> None:
        self._begin_counting()

    def interrupted(self, now: int) -> None:
        """The server was not heard for a while, until now: its figures are not whole."""
        self.figures.interrupt(now)
        for _ in self._put_all(self.store.keys(QUEUE)):
            pass

    # -- members ---------------------------------------------------------------------

    def _member_added(self, message: Message) -> None:
        self.store.remove(MEMBER, _member_of(message)[0])  # if its end was lost
        self._member(message)

    def _member(self, message: Message) -> None:
        key, fields = _member_of(message)
        known = self.store.get(MEMBER, key)
        if fields.get("paused") is False:
            fields.update(reason=None, paused_since=None)
        elif fields.get("paused") and (known is None or not known["paused"]):
            earlier = since_epoch(message, "LastPause") if known is None else None
            fields["paused_since"] = earlier or self.now
        if self.store.get(QUEUE, fields["queue"]) is None:
            self._show(fields["queue"])
        self.store.put(MEMBER, key, **({**_MEMBER, **fields} if known is None else fields))

    def _member_removed(self, message: Message) -> None:
        self.store.remove(MEMBER, _member_of(message)[0])

    def _in_call(self, message: Message, in_call: bool) -> None:
        key, _ = _member_of(message)
        if self.store.get(MEMBER, key) is not None:
            self.store.put(MEMBER, key, in_call=in_call)

    # -- callers ---------------------------------------------------------------------

    def _joined(self, message: Message) -> None:
        key, queue = _caller_of(message)
        position = whole(message, "Position") or 1
        self._begin_counting()
        if self._waits(key, queue) and key in self._found:
            # A list that came before has him where he has come to since.
            position = self._place(key)
        else:
            if self._waits(key, queue):  # his leaving was lost
                self._shift(queue, self._place(key) + 1, -1)
                self.store.remove(CALLER, key)
            self._shift(queue, position, 1)
        self._found.discard(key)
        self.figures.entered(queue, key)
        fields = {"queue": queue, "position": position, **_fields_of(message)}
        self.renew(CALLER, key, **fields, **self.since(message))
        self._show(queue)

    def _left(self, message: Message) -> None:
        key, queue = _caller_of(message)
        self.figures.left(queue, key)
        if self._waits(key, queue):
            # Not the position that is told: a list that came before may know of the leaving.
            self._shift(queue, self._place(key) + 1, -1)
            self.store.remove(CALLER, key)
            self._found.discard(key)
            self._show(queue)

    def _place(self, key: str) -> int:
        return int((self.store.get(CALLER, key) or {})["position"])

    def _abandoned(self, message: Message) -> None:
        """Leave follows: the place is free only then."""
        key, queue = _caller_of(message)
        self._begin_counting()
        known = self.store.get(CALLER, key) or _fields_of(message)
        told = {
            "number": known["number"],
            "name": known["name"],
            "position": whole(message, "Position"),
            "at": self.now,
        }
        if self.figures.abandoned(queue, key, self._wait(message, known), told):
            self._show(queue)

    def _answered(self, message: Message) -> None:
        key, queue = _caller_of(message)
        self._begin_counting()
        known = self.store.get(CALLER, key) or {}
        if self.figures.answered(queue, key, self._wait(message, known)):
            self._show(queue)
        self._in_call(message, True)

    def _completed(self, message: Message) -> None:
        self._in_call(message, False)

    def _wait(self, message: Message, known: Mapping[str, Any]) -> int:
        """Seconds in the queue: as the server says, or else as they were seen.

        They may be fewer if the clock was set back meanwhile, and never less than none.
        """
        told = whole(message, "HoldTime")
        if told is not None:
            return told
        return max(0, self.now - known["since"]) // 1000 if "since" in known else 0

    def _waits(self, key: str, queue: str) -> bool:
        known = self.store.get(CALLER, key)
        return known is not None and known["queue"] == queue

    def _shift(self, queue: str, first: int, by: int) -> None:
        """No event tells of those behind one who comes or goes."""
        callers = self.store.entities(CALLER)
        if len(callers) > MOST_SHIFTED:
            return
        for key, entity in callers.items():
            fields = entity.fields
            if fields["queue"] == queue and fields["position"] >= first:
                self.store.update(CALLER, key, entity, {"position": fields["position"] + by})

    def _callers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return ((key, entity.fields) for key, entity in self.store.entities(CALLER).items())

    # -- queues ----------------------------------------------------------------------

    def _begin_counting(self) -> None:
        if begun := self.figures.begin(self.now):
            for _ in self._put_all(begun):
                pass

    def _show(self, queue: str) -> None:
        """Put what is counted of a queue."""
        self._begin_counting()
        self._put_figures(queue, sum(fields["queue"] == queue for _, fields in self._callers()))

    def _show_all(self) -> Steps:
        self._begin_counting()
        yield from self._put_all(self.store.keys(QUEUE))

    def _put_all(self, queues: Sequence[str]) -> Steps:
        """As `_show` for each of these; those who wait are counted once for some queues."""
        for start in range(0, len(queues), QUEUES_PER_STEP):
            waiting = Counter(fields["queue"] for _, fields in self._callers())
            for queue in queues[start : start + QUEUES_PER_STEP]:
                if self.store.get(QUEUE, queue) is not None:
                    self._put_figures(queue, waiting[queue])
            yield

    def _put_figures(self, queue: str, waiting: int) -> None:
        figures = self.figures.of(queue).fields(self.figures.service_level)
        made = {} if self.store.get(QUEUE, queue) is not None else _QUEUE
        self.store.put(QUEUE, queue, name=queue, waiting=waiting, **made, **figures)

    # -- lists -----------------------------------------------------------------------

    def _listed(self, items: Sequence[Message], asked: int) -> Steps:
        now = self.now
        queues: dict[str, Item] = {}
        members: dict[str, Item] = {}
        lines: dict[str, dict[str, Item]] = {}
        for item in items:
            kind = item.name.lower()
            if kind == "queueparams":
                queues[item.get("Queue") or ""] = Item(_queue_of(item))
            elif kind == "queuemember":
                key, fields = _member_of(item)
                members[key] = _listed_member(item, fields)
            elif kind == "queueentry":
                key, queue = _caller_of(item)
                lines.setdefault(queue, {})[key] = _listed_caller(item, queue, now)
            yield
        yield from self._take_queues(queues, members, asked)
        for queue in dict.fromkeys((*lines, *(known["queue"] for _, known in self._callers()))):
            self._take_line(queue, lines.get(queue, {}), asked)
            yield
        yield from self._show_all()

    def _take_queues(
        self, queues: Mapping[str, Item], members: Mapping[str, Item], asked: int
    ) -> Steps:
        self._begin_counting()
        yield from self.merge(QUEUE, queues, asked)
        yield from self.merge(MEMBER, members, asked)
        for key in self.store.keys(MEMBER):
            known = self.store.get(MEMBER, key)
            if known is not None and known["paused"] is False:
                # as an event said since, and the list did not know
                self.store.put(MEMBER, key, reason=None, paused_since=None)
            yield

    def _take_line(self, queue: str, listed: Mapping[str, Item], asked: int) -> None:
        """Take those who wait in a queue in one step: their places hang together."""
        for key, item in listed.items():
            if self.take(CALLER, key, item, asked):
                self._found.add(key)
                self.figures.entered(queue, key)
        for key, fields in list(self._callers()):
            if fields["queue"] == queue and key not in listed and self.miss(CALLER, key, asked):
                self.figures.left(queue, key)
                self._found.discard(key)
        self._line_up(queue, listed)

    def _line_up(self, queue: str, listed: Mapping[str, Item]) -> None:
        """Give the callers of a queue their positions: a line is one thing, no field of each.

        Those in the list stand in its order, since it is written behind all that was told
        before it; who has come since it was asked for, and is not in it, stands where he came.
        """
        line: list[tuple[int, str]] = []
        others: list[tuple[int, str]] = []
        for key, fields in self._callers():
            if fields["queue"] == queue:
                if key in listed:
                    line.append((listed[key].estimates["position"], key))
                else:
                    others.append((fields["position"], key))
        placed = [key for _, key in sorted(line)]
        for position, key in sorted(others):
            placed.insert(position - 1, key)
        for position, key in enumerate(placed, 1):
            self.store.put(CALLER, key, position=position)


def _member_of(message: Message) -> tuple[str, dict[str, Any]]:
    """The key of a member, and what a message says of it."""
    values = message.values
    queue = values.get("Queue", "")
    interface = text(message, "Interface", "Location", "Member") or ""
    status = whole(message, "Status")
    said: dict[str, Any] = {
        "name": text(message, "MemberName", "Name"),
        "state_interface": text(message, "StateInterface"),
        "status": status,
        "state": None if status is None else device_word(status),
        "paused": flag(message, "Paused"),
        "in_call": flag(message, "IsInCall" if "IsInCall" in values else "InCall"),
        "calls_taken": whole(message, "CallsTaken"),
        "last_call": since_epoch(message, "LastCall"),
        "penalty": whole(message, "Penalty"),
        "login_time": since_epoch(message, "LoginTime"),
        "membership": text(message, "Membership"),
        "ring_in_use": flag(message, "Ringinuse"),
    }
    fields = {name: value for name, value in said.items() if value is not None}
    if "PausedReason" in values or "Reason" in values:
        fields["reason"] = text(message, "PausedReason", "Reason")
    return f"{queue}|{interface}", {"queue": queue, "interface": interface, **fields}


def _listed_caller(item: Message, queue: str, now: int) -> Item:
    since = now - 1000 * (whole(item, "Wait") or 0)
    times = {"since": since, "server_since": None}
    place = {"position": whole(item, "Position") or 1}
    return Item({"queue": queue, **_fields_of(item)}, {**times, **place})


def _listed_member(item: Message, fields: dict[str, Any]) -> Item:
    if fields.get("paused"):
        return Item(fields, {**_MEMBER, "paused_since": since_epoch(item, "LastPause")})
    return Item({**fields, "reason": None, "paused_since": None}, _MEMBER)


def _queue_of(item: Message) -> dict[str, Any]:
    return {
        "name": item.get("Queue") or "",
        "strategy": text(item, "Strategy"),
        "max": whole(item, "Max") or None,
        "weight": whole(item, "Weight"),
    }


def _caller_of(message: Message) -> tuple[str, str]:
    """The key of a caller, and the queue."""
    return message.get("Uniqueid") or "", message.get("Queue") or ""


def _fields_of(message: Message) -> dict[str, Any]:
    who = caller(message)
    return {"channel": who.channel, "number": who.number, "name": who.name}
