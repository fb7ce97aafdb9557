"""Queues, their members and the callers who wait in them. Queues have no events of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from amiws_gevent.ami import Message
from amiws_gevent.state.bridges import KIND as BRIDGE
from amiws_gevent.state.channels import KIND as CHANNEL
from amiws_gevent.state.channels import put_who_has, uniqueid, who_has
from amiws_gevent.state.figures import DayOf, QueueFigures
from amiws_gevent.state.headers import since_epoch, whole
from amiws_gevent.state.merge import Item, ListedPart
from amiws_gevent.state.part import Headers, Steps, TakeList, TakeNews
from amiws_gevent.state.queuemessages import (
    NEW_MEMBER,
    NEW_QUEUE,
    caller_of,
    fields_of,
    listed_caller,
    listed_member,
    member_key,
    member_of,
    queue_of,
)
from amiws_gevent.state.store import Store

QUEUE, MEMBER, CALLER = "queue", "queue_member", "queue_caller"

MEMBERS_AT_ONCE = 500
"""Whose figures begin anew in one step, when another day has begun: they take 2 ms."""

NOT_ABANDONED = frozenset({"TIMEOUT", "LEAVEEMPTY", "LEAVEUNAVAIL", "WITHDRAW"})
"""What QUEUESTATUS says of callers who are sent on by the dialplan, though the server has told that
they abandoned the queue (``record_abandoned``). Of one who hung up it says nothing."""

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
        self._unheard_since: int | None = 0
        """Since when the server was not heard, until a list has told what is so now."""

    @property
    def news(self) -> Mapping[str, TakeNews]:
        return {
            "varset": self._variable_set,
            "hangup": self._hung_up,
            "newcallerid": self._changed,
            "rename": self._changed,
        }

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
            "attendedtransfer": self._transferred,
            "agentconnect": self._answered,
            "agentcomplete": self._completed,
            "agentringnoanswer": self._missed,
            "agentdump": self._missed,  # he hung up while the announcement was played to him
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
        if self._unheard_since is None:
            self._unheard_since = self.figures.now
        self.recount(now)

    def recount(self, now: int) -> None:
        """Until now something else was counted: the figures are not whole."""
        self.figures.interrupt(now)
        for _ in self._put_all(self.store.keys(QUEUE)):
            pass

    # -- members ---------------------------------------------------------------------

    def _member_added(self, message: Message) -> None:
        self.store.remove(MEMBER, member_key(message))  # if its end was lost
        self._member(message)

    def _member(self, message: Message) -> None:
        key, fields = member_of(message)
        known = self.store.get(MEMBER, key)
        if fields.get("paused") is False:
            fields.update(reason=None, paused_since=None)
            self._resumed(key, self.now)
        elif fields.get("paused") and (known is None or not known["paused"]):
            earlier = since_epoch(message, "LastPause") if known is None else None
            fields["paused_since"] = earlier or self.now
            self.figures.members.paused(key, fields["paused_since"])
        if self.store.get(QUEUE, fields["queue"]) is None:
            self._show(fields["queue"])
        if known is None:
            fields = {**NEW_MEMBER, **self.figures.members.fields(key), **fields}
        self.store.put(MEMBER, key, **fields)

    def _member_removed(self, message: Message) -> None:
        key = member_key(message)
        self.store.remove(MEMBER, key)
        self._resumed(key, self.now)

    def _resumed(self, key: str, end: int) -> None:
        """A member is not paused: if he was, the pause was over at ``end``."""
        if self.figures.members.is_paused(key):
            self._begin_counting()
            self.figures.members.resumed(key, end)
            self._show_member(key)

    def _missed(self, message: Message) -> None:
        self._begin_counting()
        key = member_key(message)
        self.figures.members.missed(key)
        self._show_member(key)

    def _show_member(self, key: str, **fields: Any) -> None:
        """Put what is counted of a member, and these fields; nothing of one who is not known."""
        if self.store.get(MEMBER, key) is not None:
            self.store.put(MEMBER, key, **self.figures.members.fields(key), **fields)

    # -- callers ---------------------------------------------------------------------

    def _joined(self, message: Message) -> None:
        key, queue = caller_of(message)
        position = whole(message, "Position") or 1
        self._begin_counting()
        if self._waits(key, queue) and key in self._found:
            # A list that came before has him where he has come to since.
            position = self._place(key)
        else:
            self._take_out(key)  # if his leaving was lost
            self.figures.left(queue, key)
            self._shift(queue, position, 1)
        self._found.discard(key)
        self.figures.entered(queue, key)
        fields = {"queue": queue, "position": position, **fields_of(message)}
        self.renew(CALLER, key, **fields, **self.since(message))
        self._show(queue)

    def _left(self, message: Message) -> None:
        key, queue = caller_of(message)
        self.figures.left(queue, key)
        if self._waits(key, queue):
            self._take_out(key)

    def _hung_up(self, values: Headers) -> None:
        """Of one whose leaving was lost; or of a channel in whose place another waits."""
        if (key := uniqueid(values)) in self.store.entities(CALLER):
            self._take_out(key)

    def _take_out(self, key: str) -> None:
        """Whoever it is does not wait any more, if he did."""
        known = self.store.get(CALLER, key)
        if known is not None:
            queue = known["queue"]
            self.figures.left(queue, key)
            # Not the position that is told: a list that came before may know of the leaving.
            self._shift(queue, self._place(key) + 1, -1)
            self.store.remove(CALLER, key)
            self._found.discard(key)
            self._show(queue)

    def _changed(self, values: Headers) -> None:
        put_who_has(self.store, CALLER, values)

    def _transferred(self, message: Message) -> None:
        """Whoever was asked to hold on waits in the place of who transfers him.

        From 12 on, main/bridge.c, ast_bridge_transfer_attended: a phone transfers while its other
        line is in an application. The server swaps the channels, and their Uniqueids with them;
        no event tells that one leaves and the other joins.
        """
        values = message.values
        if values.get("DestType") != "App" or values.get("Result", "Success") != "Success":
            return
        both = [values.get(f"{line}TransfererUniqueid", "") for line in ("Orig", "Second")]
        for key, other in zip(both, ("Second", "Orig"), strict=True):
            known = self.store.get(CALLER, key)
            if known is not None:
                others = self._partners(values, other, both)
                if len(others) == 1:
                    self._replace(key, others[0], known)

    def _partners(self, values: Headers, line: str, without: Sequence[str]) -> list[str]:
        """With whom a transferer talks on this line; or did, as that may have left the bridge."""
        bridge = self.store.get(BRIDGE, values.get(f"{line}BridgeUniqueid", "")) or {}
        others = [member for member in bridge.get("members", ()) if member not in without]
        linkedid = values.get(f"{line}TransfererLinkedid")
        if others or not linkedid:
            return others
        return [
            key
            for key, entity in self.store.entities(CHANNEL).items()
            if entity.fields["linkedid"] == linkedid and key not in without
        ]

    def _replace(self, key: str, heir: str, known: Mapping[str, Any]) -> None:
        self.store.remove(CALLER, key)
        self._found.discard(key)
        self.figures.replaced(known["queue"], key, heir)
        self.renew(CALLER, heir, **{**known, **who_has(self.store, heir)})

    def _place(self, key: str) -> int:
        return int((self.store.get(CALLER, key) or {})["position"])

    def _abandoned(self, message: Message) -> None:
        """Leave follows: the place is free only then."""
        key, queue = caller_of(message)
        self._begin_counting()
        known = self.store.get(CALLER, key) or fields_of(message)
        told = {
            "number": known["number"],
            "name": known["name"],
            "position": whole(message, "Position"),
            "at": self.now,
        }
        if self.figures.abandoned(queue, key, self._wait(message, known), told):
            self._show(queue)

    def _variable_set(self, values: Headers) -> None:
        if values.get("Variable") != "QUEUESTATUS" or values.get("Value") not in NOT_ABANDONED:
            return
        queue = self.figures.sent_on(uniqueid(values))
        if queue is not None:
            self._show(queue)

    def _answered(self, message: Message) -> None:
        key, queue = caller_of(message)
        self._begin_counting()
        known = self.store.get(CALLER, key) or {}
        member = member_key(message)
        if self.figures.answered(queue, key, self._wait(message, known)):
            self.figures.members.answered(member)
            self._show(queue)
        self._show_member(member, in_call=True)

    def _completed(self, message: Message) -> None:
        self._begin_counting()
        member = member_key(message)
        self.figures.members.talked(member, whole(message, "TalkTime") or 0)
        self._show_member(member, in_call=False)

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
        for key in self.figures.members.take_stale(MEMBERS_AT_ONCE):
            self._show_member(key)

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
        made = {} if self.store.get(QUEUE, queue) is not None else NEW_QUEUE
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
                queues[item.get("Queue") or ""] = Item(queue_of(item))
            elif kind == "queuemember":
                key, fields = member_of(item)
                members[key] = listed_member(item, fields, self.figures.members.fields(key))
            elif kind == "queueentry":
                key, queue = caller_of(item)
                lines.setdefault(queue, {})[key] = listed_caller(item, queue, now)
            yield
        yield from self._take_queues(queues, members, asked)
        for queue in dict.fromkeys((*lines, *(known["queue"] for _, known in self._callers()))):
            self._take_line(queue, lines.get(queue, {}), asked)
            yield
        for queue, key in self.figures.inside:  # who left while nobody heard it
            if not self._waits(key, queue):
                self.figures.left(queue, key)
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
            elif known is not None and known["paused"]:
                self.figures.members.paused(key, known["paused_since"] or self.now)
            self._show_member(key)  # of one who is new something may have been counted meanwhile
            yield
        yield from self._end_pauses()

    def _end_pauses(self) -> Steps:
        """End the pauses that a list has no more, and of which no event has told the end.

        Its event may come behind the list. If the server was not heard, it ended while it was not.
        """
        unheard, self._unheard_since = self._unheard_since, None
        for key in self.figures.members.pauses:
            known = self.store.get(MEMBER, key)
            if known is None or not known["paused"]:
                self._resumed(key, self.now if unheard is None else unheard)
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
