"""Whatever events are lost, said twice or out of order: the next list makes it right.

The world is one queue with members and callers, whose own state says what a list has. What it
does is told by events, some of which get lost, come twice or late.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from amiws_gevent.ami import Message
from amiws_gevent.state.queues import QueuesPart
from tests.support.captured import steps
from tests.support.fed import Fed, event
from tests.support.kinds import KINDS, facts, model, unlike
from tests.support.state import CAPTURES

CALLERS = [str(number) for number in range(6)]
MEMBERS = ["SIP/1", "SIP/2", "SIP/3"]


class World:
    """A server with one queue."""

    def __init__(self) -> None:
        self.line: list[str] = []
        self.members: dict[str, dict[str, Any]] = {}
        self.entered = self.abandoned = 0

    def caller(self, name: str, uniqueid: str, **more: object) -> Message:
        return event(name, Queue="q", Uniqueid=uniqueid, CallerIDNum=uniqueid, **more)

    def join(self, uniqueid: str, place: int) -> list[Message]:
        if uniqueid in self.line:
            return []
        self.entered += 1
        self.line.insert(min(place, len(self.line)), uniqueid)
        return [self.caller("QueueCallerJoin", uniqueid, Position=self.line.index(uniqueid) + 1)]

    def leave(self, uniqueid: str, place: int) -> list[Message]:
        """An odd place means that he gives up."""
        if uniqueid not in self.line:
            return []
        position = self.line.index(uniqueid) + 1
        self.line.remove(uniqueid)
        told = [self.caller("QueueCallerLeave", uniqueid, Position=position)]
        if place % 2:
            self.abandoned += 1
            told.insert(
                0, self.caller("QueueCallerAbandon", uniqueid, Position=position, HoldTime=1)
            )
        return told

    def member(self, uniqueid: str, place: int) -> list[Message]:
        """Add, pause, unpause, or remove one."""
        interface = MEMBERS[int(uniqueid) % len(MEMBERS)]
        told = {"Queue": "q", "Interface": interface}
        known = self.members.get(interface)
        if known is None:
            self.members[interface] = {"paused": False, "reason": None}
            return [event("QueueMemberAdded", **told, Paused=0, Status=1)]
        if place == 0:
            del self.members[interface]
            return [event("QueueMemberRemoved", **told)]
        known.update(paused=bool(place % 2), reason="Lunch" if place % 2 else None)
        reason = "Lunch" if place % 2 else ""
        return [event("QueueMemberPause", **told, Paused=place % 2, PausedReason=reason)]

    def listed(self) -> list[Message]:
        members = [
            event(
                "QueueMember",
                Queue="q",
                Location=interface,
                Paused=int(known["paused"]),
                PausedReason=known["reason"] or "",
                Status=1,
            )
            for interface, known in self.members.items()
        ]
        callers = [
            self.caller("QueueEntry", uniqueid, Position=position, Wait=1)
            for position, uniqueid in enumerate(self.line, 1)
        ]
        return [event("QueueParams", Queue="q"), *members, *callers]

    def is_told_by(self, fed: Fed) -> bool:
        line = {key: fields["position"] for key, fields in fed.store.of("queue_caller").items()}
        waiting = fed.get("queue", "q")["waiting"]
        wanted = {uniqueid: position for position, uniqueid in enumerate(self.line, 1)}
        return (line, told_members(fed), waiting) == (wanted, self.members, len(self.line))


def told_members(fed: Fed) -> dict[str, dict[str, Any]]:
    return {
        fields["interface"]: {"paused": fields["paused"], "reason": fields["reason"]}
        for fields in fed.store.of("queue_member").values()
    }


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "member"]),
        st.sampled_from(CALLERS),
        st.integers(0, 3),
    ),
    max_size=30,
)


def made() -> tuple[World, Fed]:
    fed = Fed()
    fed.add(QueuesPart(fed.store, day_of=lambda ms: "today"))
    return World(), fed


@given(acts=ACTS)
def test_events_alone_tell_it_all(acts: list[tuple[str, str, int]]) -> None:
    world, fed = made()
    fed.list("QueueStatus", *world.listed())
    for act, uniqueid, place in acts:
        for message in getattr(world, act)(uniqueid, place):
            fed.receive(message)
        assert world.is_told_by(fed)
    queue = fed.get("queue", "q")
    assert (queue["entered"], queue["abandoned"]) == (world.entered, world.abandoned)


@given(acts=ACTS, data=st.data())
def test_a_list_heals_what_was_lost_repeated_or_late(
    acts: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    world, fed = made()
    said: list[Message] = []
    for act, uniqueid, place in acts:
        said += getattr(world, act)(uniqueid, place)
    heard = data.draw(st.lists(st.sampled_from(said), max_size=40)) if said else []
    for message in heard:
        fed.receive(message)
    fed.list("QueueStatus", *world.listed())
    assert world.is_told_by(fed)
    queue = fed.get("queue", "q")
    assert 0 <= queue["abandoned"] <= len(heard)


@settings(max_examples=200)
@given(before=ACTS, unseen=ACTS, queued=ACTS, after=ACTS)
def test_a_list_amid_events_undoes_none_of_them(
    before: list[tuple[str, str, int]],
    unseen: list[tuple[str, str, int]],
    queued: list[tuple[str, str, int]],
    after: list[tuple[str, str, int]],
) -> None:
    """The server writes the list when ``queued`` has happened; those events come behind it, and
    ``after`` then. Nothing is lost, so at the end all is as it is there.

    It takes milliseconds: nobody comes and goes in that time, or the next list sets it right.
    """
    world, fed = made()
    fed.list("QueueStatus", *world.listed())

    def happen(acts: list[tuple[str, str, int]]) -> list[Message]:
        return [
            message
            for act, uniqueid, place in acts
            for message in getattr(world, act)(uniqueid, place)
        ]

    for message in happen(before):
        fed.receive(message)
    asked = fed.offset
    for message in happen(unseen):  # between the action and its answer
        fed.receive(message)
    moved = {uniqueid for _, uniqueid, _ in unseen}
    once = {act[1]: act for act in queued if act[1] not in moved}
    late = happen([*once.values()])
    fed.list("QueueStatus", *world.listed(), asked=asked)
    for message in [*late, *happen(after)]:
        fed.receive(message)
    assert world.is_told_by(fed)
    queue = fed.get("queue", "q")
    assert (queue["entered"], queue["abandoned"]) == (world.entered, world.abandoned)


@given(before=ACTS, since=ACTS)
def test_a_list_older_than_events_undoes_none_of_them(
    before: list[tuple[str, str, int]], since: list[tuple[str, str, int]]
) -> None:
    """The server wrote the list when it was asked, and what happened since came before it.

    No server does that, as far as its source tells, but a proxy between could. Who waits is
    told all the same; how one who came again stands among the others the next list says.
    """
    world, fed = made()
    fed.list("QueueStatus", *world.listed())
    for act, uniqueid, place in before:
        for message in getattr(world, act)(uniqueid, place):
            fed.receive(message)
    asked, listed = fed.offset, world.listed()
    for act, uniqueid, place in since:
        for message in getattr(world, act)(uniqueid, place):
            fed.receive(message)
    fed.list("QueueStatus", *listed, asked=asked)
    assert told_members(fed) == world.members
    assert {*fed.store.keys("queue_caller")} == {*world.line}
    fed.list("QueueStatus", *world.listed())
    assert world.is_told_by(fed)


STORIES = ["conference", "park_and_pick_up", "queue_abandoned", "queue_answered"]
EVENTS = {
    story: [
        step.event
        for step in steps(CAPTURES / "scenarios" / f"{story}.raw")
        if step.event is not None and step.event.name not in ("CEL", "VarSet", "Newexten")
    ]
    for story in STORIES
}
LISTS = {
    story: [step for step in steps(CAPTURES / "scenarios" / f"{story}.raw") if step.action in KINDS]
    for story in STORIES
}


@settings(max_examples=40)
@given(story=st.sampled_from(STORIES), amid=st.integers(0, 40), data=st.data())
def test_any_list_heals_what_became_of_a_capture(
    story: str, amid: int, data: st.DataObject
) -> None:
    """Whatever was heard of its events, in whatever order: after the five lists of any moment
    the model is what they say."""
    fed = model()
    for message in data.draw(st.lists(st.sampled_from(EVENTS[story]), max_size=80)):
        fed.receive(message)
    first = min(amid, len(LISTS[story]) // len(KINDS) - 1) * len(KINDS)
    for step in LISTS[story][first : first + len(KINDS)]:
        fed.list(step.action, *step.items)
        listed = model()
        listed.list(step.action, *step.items)
        kinds = KINDS[step.action]
        assert unlike(fed, facts(listed, kinds), kinds) == []
