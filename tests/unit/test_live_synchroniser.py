"""What a server is asked, in which order, how often, and what becomes of the answers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise

import gevent
import pytest

from amiws_gevent.ami import Message
from amiws_gevent.errors import ConnectionLost, NotConnected, SendBufferFull
from amiws_gevent.live.permissions import Missing, Permissions
from amiws_gevent.live.synchroniser import LIVE, STALE, SYNCING, Pace, Synchroniser
from tests.support.asking import (
    ALL,
    Said,
    ScriptedLink,
    commands,
    cut_off,
    item,
    listed,
    refusal,
    single,
)
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.patience import WAIT

INTERVAL = 300.0
FAST = Pace(answer=60, clients=0.05, look=0.001, hint=0.001, retry=10, hurry=3)


class Notes:
    """Who is told."""

    def __init__(self) -> None:
        self.offset = 7
        self.lists: list[tuple[str, int, int, bool]] = []
        self.permissions: list[Permissions] = []
        self.states: list[tuple[str, str]] = []
        self.missing: Sequence[Missing] = ()
        self.known_hints: list[tuple[str, str]] = []
        self.hint_answers: list[str | None] = []
        self.rounds = 0

    def listed(self, action: str, items: Sequence[Message], asked: int, *, heals: bool) -> None:
        self.lists.append((action, len(items), asked, heals))

    def hint_answered(self, response: Message, asked: int) -> None:
        self.hint_answers.append(response.get("Status"))

    def hints(self) -> list[tuple[str, str]]:
        return self.known_hints

    def allowed(self, permissions: Permissions) -> None:
        self.permissions.append(permissions)

    def synchronised(self, state: str, reason: str, missing: Sequence[Missing]) -> None:
        if (state, reason) not in self.states[-1:]:
            self.states.append((state, reason))
        self.missing = missing

    def asked_all(self) -> None:
        self.rounds += 1


class World:
    def __init__(self, version: int | None = 22, **says: Said) -> None:
        self.link = ScriptedLink(**says)
        self.notes = Notes()
        self.clock = Clock()
        self.synchroniser = Synchroniser(
            self.link,
            self.notes,
            name="pbx",
            version=version,
            interval=INTERVAL,
            pace=FAST,
            clock=self.clock,
            random=lambda: 1.0,
        )

    def round(self, after: float = 0.0) -> list[str]:
        """What is asked in one round, so many seconds later."""
        before = len(self.link.asked)
        self.clock.now += after
        self.synchroniser.ask_all_due()
        return self.link.asked[before:]

    @property
    def state(self) -> tuple[str, str]:
        return self.notes.states[-1]


def test_list_commands_comes_first_and_then_what_it_allows() -> None:
    world = World(ListCommands=commands("QueueStatus", "CoreStatus", "Originate", "Hangup"))
    assert world.round() == ["ListCommands", "CoreStatus", "QueueStatus"]
    assert world.state == (LIVE, "")


def test_one_question_at_a_time() -> None:
    world = World()
    world.round()
    assert len(world.link.asked) > 5
    assert world.link.most_at_once == 1


def test_the_items_are_told_with_the_offset_before_the_question() -> None:
    world = World(QueueStatus=listed(item("QueueParams"), item("QueueMember")))
    world.round()
    assert ("QueueStatus", 2, 7, False) in world.notes.lists
    assert ("CoreSettings", 0, 7, False) not in world.notes.lists


def test_a_single_response_is_the_item() -> None:
    world = World(CoreSettings=single(("AsteriskVersion", "22.1")))
    world.round()
    assert ("CoreSettings", 1, 7, False) in world.notes.lists


def test_after_the_interval_everything_is_asked_once_more_and_heals() -> None:
    world = World()
    first = world.round()
    assert world.round(INTERVAL - 1) == []
    assert world.round(1) == first
    heals = {
        action: heals for action, _, _, heals in world.notes.lists[len(world.notes.lists) // 2 :]
    }
    assert heals["QueueStatus"] is True
    assert heals["CoreStatus"] is False  # no event tells of it


def test_the_times_are_spread_by_chance_and_never_longer_than_the_interval() -> None:
    world = World()
    numbers = iter(range(1000))
    world.synchroniser._random = lambda: (next(numbers) % 10) / 10
    world.round()
    due = {due - world.clock.now for due in world.synchroniser._due.values()}
    assert len(due) > 5
    assert min(due) >= 0.75 * INTERVAL
    assert max(due) <= INTERVAL


def test_status_is_asked_only_where_core_show_channels_may_not_be() -> None:
    assert not any(asked.startswith("Status") for asked in World().round())
    world = World(ListCommands=commands("Status", "QueueStatus"))
    assert world.round() == ["ListCommands", "Status", "QueueStatus"]


def test_conferences_are_asked_one_by_one() -> None:
    rooms = listed(
        item("ConfbridgeListRooms", Conference="a"), item("ConfbridgeListRooms", Conference="b")
    )
    world = World(ConfbridgeListRooms=rooms, ConfbridgeList=listed(item("ConfbridgeList")))
    asked = world.round()
    place = asked.index("ConfbridgeListRooms")
    assert asked[place + 1 : place + 3] == ["ConfbridgeList a", "ConfbridgeList b"]
    assert [name for name, *_ in world.notes.lists].count("ConfbridgeList") == 2


def test_a_conference_with_a_name_that_no_action_can_carry_fails_alone() -> None:
    def no(headers: object) -> None:
        from amiws_gevent.ami import ActionError

        raise ActionError("a line feed")

    rooms = listed(item("ConfbridgeListRooms", Conference="a"))
    world = World(ConfbridgeListRooms=rooms, ConfbridgeList=no)
    asked = world.round()
    assert "ExtensionStateList" in asked
    assert world.state == (STALE, "ConfbridgeListRooms: a line feed")


def test_an_incomplete_list_is_not_told_and_makes_the_server_stale() -> None:
    world = World(QueueStatus=cut_off(item("QueueParams")))
    world.round()
    assert "QueueStatus" not in [name for name, *_ in world.notes.lists]
    assert world.state == (STALE, "QueueStatus: no whole answer within 60 s")
    world.link.says["QueueStatus"] = listed()
    assert world.round(FAST.retry) == ["QueueStatus"]
    assert world.state == (LIVE, "")


def test_a_list_that_never_comes_is_asked_for_less_and_less_often() -> None:
    world = World(QueueStatus=cut_off())
    world.round()
    times = []
    for _ in range(2000):
        if "QueueStatus" in world.round(1):
            times.append(world.clock.now)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] <= 2 * FAST.retry + 1
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(INTERVAL, abs=1)


def test_a_refused_action_is_no_fault_but_missing() -> None:
    world = World(QueueStatus=refusal("Permission denied"), BridgeList=refusal("Some failure"))
    world.round()
    assert world.state == (LIVE, "")
    told = {each.kind: (each.needs, each.manager_conf) for each in world.notes.missing}
    assert told["bridge"] == ("BridgeList: Some failure", None)
    assert told["queue"] == ("QueueStatus: Permission denied", None)


def test_a_refusal_for_a_class_names_the_line() -> None:
    world = World(CoreShowChannels=refusal("Permission denied"))
    world.round()
    told = {each.kind: (each.needs, each.manager_conf) for each in world.notes.missing}
    assert told["channel"] == told["call"] == ("the class reporting", "write = reporting")


@pytest.mark.parametrize("error", [NotConnected("gone"), ConnectionLost("gone")])
def test_a_lost_connection_ends_it(error: Exception) -> None:
    world = World(CoreShowChannels=error)
    with pytest.raises(type(error)):
        world.round()
    assert world.link.asked[-1] == "CoreShowChannels"
    assert world.state[0] == SYNCING
    world.synchroniser.start()
    until(lambda: world.synchroniser._greenlet is not None and world.synchroniser._greenlet.dead)


def test_a_server_that_does_not_read_is_asked_again_later() -> None:
    world = World(QueueStatus=SendBufferFull("too slow"))
    world.round()
    assert world.state == (STALE, "QueueStatus: too slow")


def test_a_fault_of_ours_is_logged_and_the_other_questions_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(CoreShowChannels=lambda headers: 1 / 0)
    asked = world.round()
    assert "QueueStatus" in asked
    assert world.state == (STALE, "CoreShowChannels: internal error: ZeroDivisionError")
    assert "pbx: internal error while asking CoreShowChannels" in caplog.text


def test_without_an_answer_to_list_commands_nothing_is_asked() -> None:
    world = World(ListCommands=cut_off())
    assert world.round() == ["ListCommands"]
    assert world.state[0] == STALE
    assert list(world.notes.missing) == []
    world.link.says["ListCommands"] = commands(*ALL)
    assert "QueueStatus" in world.round(2 * FAST.retry)


def test_where_list_commands_is_refused_everything_is_tried() -> None:
    world = World(ListCommands=refusal("Invalid/unknown command"))
    asked = world.round()
    assert {"CoreShowChannels", "SIPpeers", "PJSIPShowEndpoints"} <= set(asked)
    assert "Status" not in asked


def test_what_a_reload_brings_or_takes_away_is_noticed() -> None:
    world = World(ListCommands=commands("QueueStatus"), QueueStatus=cut_off())
    world.round()
    assert world.state[0] == STALE
    world.link.says["ListCommands"] = commands("BridgeList")
    assert world.round(INTERVAL) == ["ListCommands", "BridgeList"]
    assert world.state == (LIVE, "")


def test_questions_wait_for_the_actions_of_clients_but_not_forever() -> None:
    world = World(ListCommands=commands())
    world.link.under_way = 1
    waiting = gevent.spawn(world.synchroniser.ask_all_due)
    gevent.sleep(0.01)
    assert world.link.asked == []
    world.link.under_way = 0
    waiting.get(timeout=WAIT)
    assert world.link.asked == ["ListCommands"]
    world.link.under_way = 1
    world.clock.now += INTERVAL
    waiting = gevent.spawn(world.synchroniser.ask_all_due)
    gevent.sleep(0.01)
    assert len(world.link.asked) == 1
    world.clock.now += FAST.clients
    waiting.get(timeout=WAIT)
    assert len(world.link.asked) == 2


HINTS_OF_11 = """
    -= Registered Asterisk Dial Plan Hints =-
                     201@hints               : SIP/201               State:Idle Watchers  0
                     202@hints               : SIP/202               State:Idle Watchers  0
                    _9XX@hints               : SIP/${EXTEN}          State:Unavailable Watchers  0
                     203@a-context-of-twenty-: SIP/203               State:Idle Watchers  0
----------------
- 4 hints registered
"""


class TestHintsOf11:
    NAMES = ("ExtensionState", "Command")

    def test_known_ones_and_those_of_the_dialplan_are_asked_one_by_one(self) -> None:
        world = World(
            11,
            ListCommands=commands(*self.NAMES),
            Command=single(("Output", HINTS_OF_11)),
            ExtensionState=lambda headers: single(("Exten", headers["Exten"]), ("Status", "0")),
        )
        world.notes.known_hints = [("199", "hints"), ("201", "hints")]
        assert world.round() == [
            "ListCommands",
            "Command core show hints",
            "ExtensionState 199 hints",
            "ExtensionState 201 hints",
            "ExtensionState 202 hints",
        ]
        assert world.notes.hint_answers == ["0", "0", "0"]

    def test_without_commands_only_known_ones(self) -> None:
        world = World(
            11,
            ListCommands=commands("ExtensionState"),
            ExtensionState=single(("Status", "0")),
        )
        world.notes.known_hints = [("199", "hints")]
        assert world.round() == ["ListCommands", "ExtensionState 199 hints"]

    def test_where_there_is_a_list_none_is_asked_for_itself(self) -> None:
        world = World(ListCommands=commands("ExtensionState", "ExtensionStateList"))
        assert world.round() == ["ListCommands", "ExtensionStateList"]


class TestTime:
    """In its greenlet."""

    def test_hurry_asks_everything_soon_and_once(self) -> None:
        world = World(ListCommands=commands("QueueStatus"))
        world.round()
        world.synchroniser.hurry()
        assert world.round(FAST.hurry - 0.1) == []
        world.synchroniser.hurry()
        assert world.round(0.1) == ["ListCommands", "QueueStatus"]
        assert world.round(FAST.hurry) == []

    def test_it_asks_again_by_itself(self) -> None:
        world = World(ListCommands=commands("QueueStatus"))
        world.synchroniser.interval = 0.02
        world.synchroniser._clock = gevent.get_hub().loop.now
        world.synchroniser.start()
        until(lambda: len(world.link.asked) >= 6)
        world.synchroniser.stop()

    def test_hurry_wakes_it(self) -> None:
        world = World(ListCommands=commands("QueueStatus"))
        world.synchroniser.start()
        until(lambda: world.notes.states[-1:] == [(LIVE, "")])
        world.clock.now += 2 * INTERVAL
        world.synchroniser.hurry()
        until(lambda: len(world.link.asked) == 4)
        world.synchroniser.stop()

    def test_stopped_in_the_middle_of_an_answer_it_tells_nothing_more(self) -> None:
        held = gevent.event.Event()
        world = World(QueueStatus=lambda headers: held.wait() and listed())
        world.synchroniser.start()
        until(lambda: world.link.asked[-1:] == ["QueueStatus"])
        world.synchroniser.stop()
        held.set()
        until(lambda: world.synchroniser._greenlet is None or world.synchroniser._greenlet.dead)
        assert "QueueStatus" not in [name for name, *_ in world.notes.lists]


def test_it_is_syncing_until_every_list_was_answered() -> None:
    world = World()
    world.synchroniser._tell()
    world.round()
    assert world.notes.states == [(SYNCING, ""), (LIVE, "")]


def test_what_was_known_before_is_looked_through_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World()
    world.round()
    world.round(INTERVAL)
    assert len(world.notes.permissions) == 1
    assert world.notes.permissions[0].may("queuestatus")
