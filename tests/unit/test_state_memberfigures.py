"""What the members of queues have done today: as somebody would tell it who watched them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from amiws_gevent.simulator.pbx.repertoire import only
from amiws_gevent.simulator.pbx.simulation import Simulation
from amiws_gevent.simulator.pbx.style import Style
from amiws_gevent.state import queues as queues_module
from amiws_gevent.state.memberfigures import FIELDS, MemberFigures
from amiws_gevent.state.queues import QueuesPart
from tests.support.agreement import Listener
from tests.support.captured import steps
from tests.support.fed import START, Fed, event, finish
from tests.support.kinds import model
from tests.support.simulator import STARTED, STYLES
from tests.support.state import CAPTURES

DAY = 86_400_000
MIDNIGHT = START - START % DAY + DAY
ANNA, BEN = "support|SIP/anna", "support|SIP/ben"


class Office(Fed):
    """A queue with two members; days are those of UTC."""

    def __init__(self, *, style: str = "13", begins: int = START) -> None:
        super().__init__()
        self.now = begins
        self.interface = "Interface" if style == "13" else "Member"
        self.part = QueuesPart(self.store, day_of=lambda ms: str(ms // DAY))
        self.add(self.part)

    def open(self, **paused: int) -> None:
        """The first list comes: who is paused, since when by the server's clock, or 0."""
        self.list(
            "QueueStatus",
            event("QueueParams", Queue="support"),
            *(
                event(
                    "QueueMember",
                    Queue="support",
                    Location=f"SIP/{name}",
                    Status=1,
                    Paused=int(name in paused),
                    LastPause=paused.get(name, 0),
                )
                for name in ("anna", "ben")
            ),
        )

    def calls(self, uniqueid: str) -> None:
        self.say("QueueCallerJoin", Queue="support", Uniqueid=uniqueid, Position=1)

    def agent(self, name: str, member: str, uniqueid: str, **headers: object) -> None:
        named = {"Queue": "support", self.interface: f"SIP/{member}", "Uniqueid": uniqueid}
        self.say(name, **named, **headers)

    def misses(self, member: str, uniqueid: str) -> None:
        self.agent("AgentRingNoAnswer", member, uniqueid, RingTime=15_000)

    def talks(self, member: str, uniqueid: str, seconds: int, reason: str = "caller") -> None:
        self.say("QueueCallerLeave", Queue="support", Uniqueid=uniqueid, Position=1)
        self.agent("AgentConnect", member, uniqueid, HoldTime=3, RingTime=2)
        told = {"HoldTime": 3, "TalkTime": seconds, "Reason": reason}
        self.agent("AgentComplete", member, uniqueid, **told)

    def pauses(self, member: str, paused: bool = True, *, after: float = 1) -> None:
        told = {"Queue": "support", "Interface": f"SIP/{member}", "Paused": int(paused)}
        self.say("QueueMemberPause", **told, after=after)

    def returns(self, member: str, *, after: float) -> None:
        self.pauses(member, False, after=after)

    def until(self, time: int) -> float:
        """Seconds from now."""
        return (time - self.now) / 1000

    def figures(self, key: str) -> tuple[int, ...]:
        """Answered, missed, seconds of talk and of pauses."""
        return self.some("queue_member", key, *FIELDS)


@pytest.fixture
def office() -> Office:
    made = Office()
    made.open()
    return made


def test_who_has_done_nothing_has_noughts(office: Office) -> None:
    assert office.figures(ANNA) == (0, 0, 0, 0)
    told = {"Queue": "support", "Interface": "SIP/new", "Paused": 0}
    office.say("QueueMemberAdded", **told)
    assert office.figures("support|SIP/new") == (0, 0, 0, 0)


@pytest.mark.parametrize("style", ["11", "13"])
def test_anna_misses_a_call_and_answers_the_next(style: str) -> None:
    """The call that she misses is Ben's; in 11 the events name ``Member``."""
    office = Office(style=style)
    office.open()
    office.calls("1")
    office.misses("anna", "1")
    office.talks("ben", "1", 60)
    office.calls("2")
    office.talks("anna", "2", 30)
    assert (office.figures(ANNA), office.figures(BEN)) == ((1, 1, 30, 0), (1, 0, 60, 0))
    assert office.some("queue", "support", "answered") == (2,)


def test_each_ringing_that_nobody_answers_is_missed(office: Office) -> None:
    office.calls("1")
    for _ in range(3):
        office.misses("anna", "1")
    assert office.figures(ANNA) == (0, 3, 0, 0)


def test_who_hangs_up_during_the_announcement_has_missed_the_call(office: Office) -> None:
    """AgentDump comes instead of AgentConnect; the caller is rung for again."""
    office.calls("1")
    office.agent("AgentDump", "anna", "1")
    assert office.figures(ANNA) == (0, 1, 0, 0)


def test_a_caller_who_is_answered_twice_for_one_stay_counts_once(office: Office) -> None:
    office.calls("1")
    office.agent("AgentConnect", "anna", "1")
    office.agent("AgentConnect", "anna", "1")
    assert office.figures(ANNA) == (1, 0, 0, 0)


def test_one_who_is_passed_back_into_the_queue_is_answered_twice(office: Office) -> None:
    office.calls("1")
    office.talks("anna", "1", 10, "transfer")
    office.calls("1")
    office.talks("ben", "1", 20)
    assert (office.figures(ANNA), office.figures(BEN)) == ((1, 0, 10, 0), (1, 0, 20, 0))


def test_a_talk_without_a_time_takes_none(office: Office) -> None:
    for told in ({}, {"TalkTime": "soon"}, {"TalkTime": -7}):
        office.agent("AgentComplete", "anna", "1", **told)
    assert office.figures(ANNA) == (0, 0, 0, 0)


def test_a_pause_counts_when_it_is_over(office: Office) -> None:
    office.pauses("anna")
    office.pauses("anna", after=600)  # with another reason
    assert office.figures(ANNA) == (0, 0, 0, 0)
    office.returns("anna", after=1200)
    office.returns("anna", after=1200)
    assert (office.figures(ANNA), office.figures(BEN)) == ((0, 0, 0, 1800), (0, 0, 0, 0))
    office.pauses("anna")
    office.returns("anna", after=60)
    assert office.figures(ANNA) == (0, 0, 0, 1860)


def test_a_lunch_over_midnight_counts_for_both_days(office: Office) -> None:
    office.pauses("anna", after=office.until(MIDNIGHT - 5 * 60_000))
    office.returns("anna", after=60)
    office.pauses("anna", after=60)
    office.tick(after=office.until(MIDNIGHT - 1000))
    assert office.figures(ANNA) == (0, 0, 0, 60), "what was over before midnight"
    office.returns("anna", after=office.until(MIDNIGHT + 10 * 60_000))
    assert office.figures(ANNA) == (0, 0, 0, 600), "what is of the new day"


def test_a_pause_of_a_day_and_a_night_is_no_longer_than_the_day(office: Office) -> None:
    office.pauses("anna")
    for day in range(2):
        office.tick(after=office.until(MIDNIGHT + day * DAY))
    office.returns("anna", after=60)
    assert office.figures(ANNA) == (0, 0, 0, 60)


def test_a_day_begins_with_noughts_for_all(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some at each event or tick, as there may be thousands."""
    monkeypatch.setattr(queues_module, "MEMBERS_AT_ONCE", 1)
    office.misses("anna", "1")
    office.misses("ben", "1")
    office.tick(after=office.until(MIDNIGHT))
    assert sorted((office.figures(ANNA), office.figures(BEN))) == [(0, 0, 0, 0), (0, 1, 0, 0)]
    office.tick()
    assert [office.figures(ANNA), office.figures(BEN)] == [(0, 0, 0, 0)] * 2
    changed = office.store.changed_at("queue_member", ANNA)
    office.tick()
    assert office.store.changed_at("queue_member", ANNA) == changed


def test_what_comes_first_on_a_day_is_of_that_day(office: Office) -> None:
    office.talks("anna", "1", 30)
    office.agent(
        *("AgentComplete", "anna", "2"), TalkTime=90, after=office.until(MIDNIGHT + 60_000)
    )
    assert office.figures(ANNA) == (0, 0, 90, 0), "a talk counts for the day on which it ends"


def test_who_leaves_and_comes_back_goes_on_with_what_he_had(office: Office) -> None:
    office.misses("anna", "1")
    office.pauses("anna")
    told = {"Queue": "support", "Interface": "SIP/anna"}
    office.say("QueueMemberRemoved", **told, after=60)
    office.misses("anna", "2")  # said late
    office.say("QueueMemberAdded", **told, Paused=0, after=600)
    assert office.figures(ANNA) == (0, 2, 0, 60)


def test_who_was_paused_before_the_program_began_is_so_since_the_server_says() -> None:
    office = Office()
    office.open(anna=START // 1000 - 600)
    office.returns("anna", after=59)
    assert office.figures(ANNA) == (0, 0, 0, 660)


def test_of_a_pause_that_began_nobody_knows_when_counts_what_was_seen() -> None:
    """Lists up to 13 do not say since when."""
    office = Office()
    office.open(anna=0)
    office.returns("anna", after=59)
    assert office.figures(ANNA) == (0, 0, 0, 59)


@pytest.mark.parametrize("gone", [False, True])
def test_a_pause_whose_end_was_not_told_counts_until_a_list_has_it_no_more(
    office: Office, gone: bool
) -> None:
    office.pauses("anna")
    office.open(anna=0)
    ben = event("QueueMember", Queue="support", Location="SIP/ben", Paused=0)
    anna = event("QueueMember", Queue="support", Location="SIP/anna", Paused=0)
    office.list("QueueStatus", *([ben] if gone else [ben, anna]), after=300)
    told = {"Queue": "support", "Interface": "SIP/anna", "Paused": 0}
    office.say("QueueMemberAdded" if gone else "QueueMemberPause", **told, after=300)
    assert office.figures(ANNA) == (0, 0, 0, 301)


def test_a_pause_that_ended_while_the_server_was_not_heard_counts_until_then(
    office: Office,
) -> None:
    office.pauses("anna")
    office.pauses("ben")
    office.tick(after=60)
    for _ in range(2):  # the first connection was lost before a list came
        office.now += 3_600_000
        office.model.begin(office.offset, office.now)
        office.part.interrupted(office.now)
    office.open(ben=START // 1000)
    assert office.figures(ANNA) == (0, 0, 0, 61)
    office.returns("ben", after=9)
    assert office.figures(BEN) == (0, 0, 0, 7270), "he was paused all the time"
    office.pauses("anna")
    office.open()
    assert office.figures(ANNA) == (0, 0, 0, 62), "it is heard again"


def test_a_pause_that_goes_on_while_the_server_restarts_is_one(office: Office) -> None:
    office.pauses("anna")
    finish(office.part.reset())
    office.open(anna=0)
    office.returns("anna", after=99)
    assert office.figures(ANNA) == (0, 0, 0, 100)


def test_a_clock_that_is_set_back_makes_no_pause_negative(office: Office) -> None:
    office.pauses("anna")
    office.returns("anna", after=-600)
    assert office.figures(ANNA) == (0, 0, 0, 0)


def test_a_list_brings_back_nothing_that_was_counted_meanwhile(office: Office) -> None:
    office.misses("anna", "1")
    asked = office.offset
    office.misses("anna", "2")
    member = event("QueueMember", Queue="support", Location="SIP/anna", Paused=0)
    office.list("QueueStatus", event("QueueParams", Queue="support"), member, asked=asked)
    assert office.figures(ANNA) == (0, 2, 0, 0)


def test_what_is_counted_while_a_list_is_taken_is_shown() -> None:
    office = Office()
    member = event("QueueMember", Queue="support", Location="SIP/anna", Paused=0)
    office.model.begin(1, START)
    taking = office.model.receive_list("QueueStatus", [member], 0)
    next(taking)  # read, and not yet in the store
    office.misses("anna", "1")
    finish(taking)
    assert office.figures(ANNA) == (0, 1, 0, 0)


def test_a_member_changes_only_when_something_of_him_does(office: Office) -> None:
    office.misses("anna", "1")
    changed = office.store.changed_at("queue_member", ANNA)
    office.talks("ben", "1", 10)
    office.calls("2")
    office.tick()
    office.open()
    assert office.store.changed_at("queue_member", ANNA) == changed


# -- over a restart of the program -------------------------------------------------------


def again(office: Office, *, after: float = 10) -> Office:
    """Another program, that begins with the figures of this one."""
    other = Office(begins=office.now + int(after * 1000))
    kept = json.loads(json.dumps(office.part.figures.export()))
    other.part.figures.restore(kept, other.now)
    return other


def test_figures_survive_a_restart_of_the_program(office: Office) -> None:
    office.calls("1")
    office.misses("ben", "1")
    office.talks("anna", "1", 30)
    office.pauses("anna")
    other = again(office)
    other.open(anna=0)
    other.returns("anna", after=60)
    assert (other.figures(ANNA), other.figures(BEN)) == ((1, 0, 30, 71), (0, 1, 0, 0))
    assert other.some("queue", "support", "incomplete") == (True,)


def test_a_pause_that_ended_while_the_program_was_down_is_not_guessed(office: Office) -> None:
    office.pauses("anna")
    other = again(office, after=3600)
    other.open()
    assert other.figures(ANNA) == (0, 0, 0, 0)


def test_a_restart_over_midnight_leaves_the_pause_alone(office: Office) -> None:
    office.misses("anna", "1")
    office.pauses("anna")
    other = again(office, after=office.until(MIDNIGHT + 60_000))
    other.open(anna=0)
    assert other.figures(ANNA) == (0, 0, 0, 0)
    other.returns("anna", after=59)
    assert other.figures(ANNA) == (0, 0, 0, 120)


def test_a_file_of_before_has_no_members(office: Office) -> None:
    office.calls("1")
    office.misses("anna", "1")
    kept = {key: value for key, value in office.part.figures.export().items() if key != "members"}
    other = Office(begins=office.now)
    other.part.figures.restore(kept, other.now)
    other.open()
    assert other.figures(ANNA) == (0, 0, 0, 0)
    assert other.some("queue", "support", "entered") == (1,)


@pytest.mark.parametrize(
    "members",
    [
        None,
        [],
        {},
        {"counts": {}},
        {"counts": {"q|1": [1, 2, 3, 4, 5]}, "pauses": {}},
        {"counts": {"q|1": [1, 2, "three", 4]}, "pauses": {}},
        {"counts": {"q|1": [1, 2, float("inf"), 4]}, "pauses": {}},
        {"counts": {}, "pauses": {"q|1": None}},
    ],
    ids=str,
)
def test_what_are_no_figures_of_members_is_refused_and_leaves_all_as_it_was(
    office: Office, members: object
) -> None:
    office.misses("anna", "1")
    office.calls("1")
    before = office.part.figures.export()
    kept: Mapping[str, Any] = {**before, "inside": [], "members": members}
    with pytest.raises(ValueError, match="no figures of queues"):
        office.part.figures.restore(kept, office.now)
    assert office.part.figures.export() == before


# -- real servers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key", "talked"),
    [
        ("scenarios/queue_answered", "support|Local/202@agents/n", 4),
        ("asterisk-13.38", "support|Local/301@default", 17),
        ("asterisk-18", "support|Local/301@default", 17),
        ("asterisk-22.11", "support|Local/301@default", 18),
    ],
)
def test_who_answered_in_a_capture(name: str, key: str, talked: int) -> None:
    fed = model()
    for step in steps(CAPTURES / f"{name}.raw"):
        if step.event is not None:
            fed.receive(step.event, after=0.1)
        elif step.action == "QueueStatus":
            fed.list(step.action, *step.items, after=0)
    assert fed.some("queue_member", key, *FIELDS) == (1, 0, talked, 0)


def test_two_who_pause_in_a_capture() -> None:
    """By the clock of the test: ten seconds for each event. A list has Anna's unpausing before
    its event comes; it is the list that ends the pause."""
    fed = model()
    paused: dict[str, float] = {}
    times: dict[str, float] = {}
    for step in steps(CAPTURES / "scenarios" / "queue_abandoned.raw"):
        if step.event is not None:
            fed.receive(step.event, after=10)
        elif step.action == "QueueStatus":
            fed.list(step.action, *step.items, after=0)
        for key, member in fed.store.of("queue_member").items():
            if member["paused"]:
                paused.setdefault(key, fed.now)
            elif key in paused:
                times.setdefault(key, (fed.now - paused[key]) / 1000)
    assert len(times) == 2
    assert times == {key: fed.get("queue_member", key)["pause_time"] for key in times}
    assert min(times.values()) > 0


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize(("answered", "made"), [(True, "queue_answered"), (False, "pause")])
def test_the_simulated_servers_own_count_agrees(style: Style, made: str, answered: bool) -> None:
    simulation = Simulation(style, started=STARTED, rate=0.001, programme=only([made]))
    members = [member for queue in simulation.switch.queues.values() for member in queue.members]
    taken = [member.calls_taken for member in members]
    listener = Listener(simulation)
    listener.fed.now = round(STARTED * 1000)
    listener.learn()
    due: float | None = STARTED
    while due is not None:
        listener.fed.now = round(due * 1000)
        listener.hear(simulation.advance(due))
        simulation.quiet()
        due = simulation.next_due
    figures = [
        listener.fed.get("queue_member", f"{member.queue.name}|{member.interface}")
        for member in members
    ]
    grown = [member.calls_taken - before for member, before in zip(members, taken, strict=True)]
    assert [told["answered"] for told in figures] == grown
    assert any(grown) == answered
    assert [told["talk_time"] > 0 for told in figures] == [count > 0 for count in grown]
    assert any(told["pause_time"] for told in figures) == (made == "pause")


def test_memory_is_of_those_alone_of_whom_something_counts() -> None:
    figures = MemberFigures()
    figures.begin(0)
    for number in range(10_000):
        figures.fields(f"q|SIP/{number}")
    assert figures.size == 0
    figures.missed("q|SIP/1")
    figures.paused("q|SIP/2", 0)
    assert figures.size == 2
    figures.begin(DAY)
    assert figures.size == 1, "who is paused still is"
