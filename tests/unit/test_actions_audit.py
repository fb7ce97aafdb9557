"""Actions that are answered: what the audit has of them, and when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest

from amiws_gevent.actions import ActionProblem, ActionService
from amiws_gevent.actions.limits import ActionLimits
from amiws_gevent.config import Limits
from amiws_gevent.errors import NotConnected
from tests.support.actions import (
    ALICE,
    BOB,
    ScriptedLink,
    Told,
    answered,
    as_it_is,
    asked,
    response,
    settle,
)
from tests.support.audited import MemoryTrail
from tests.support.clock import Clock
from tests.support.greenlets import until
from tests.support.plugins import entry, running


class Made:
    def __init__(self, *links: ScriptedLink, limits: Limits | None = None, **more: Any) -> None:
        self.links = links or (ScriptedLink(),)
        self.trail = MemoryTrail(**more)
        self.clock = Clock()
        self.service = ActionService(
            {link.host.id: link for link in self.links},
            as_it_is,
            audit=self.trail,
            action_limits=ActionLimits(limits, self.clock),
            clock=self.clock,
        )

    def refused(self, **given: Any) -> ActionProblem:
        with pytest.raises(ActionProblem) as caught:
            self.service.submit(asked(**given), ALICE, Told())
        settle()
        return caught.value


def test_nothing_is_sent_before_it_is_written() -> None:
    made, told = Made(), Told()
    made.trail.memory.open.clear()
    made.service.submit(asked({"Action": "Ping", "Secret": "s", "ActionID": "7"}), ALICE, told)
    settle()
    (action,) = made.trail.told("action")
    assert (action["user"], action["action"], action["allowed"]) == ("alice", "Ping", True)
    assert action["arguments"] == {"Secret": "[removed]", "ActionID": "7"}
    assert made.links[0].asked == []
    made.trail.memory.open.set()
    told.wait()
    assert len(made.links[0].asked) == 1
    (reply,) = made.trail.told("reply")
    assert (reply["ref"], reply["server"], reply["outcome"]) == (action["ref"], 1, "answered")
    assert reply["ms"] >= 0


def test_each_server_has_its_result() -> None:
    refusal = answered(response(Response="Error", Message="No such queue"), refusal="No")
    made = Made(
        ScriptedLink(1),
        ScriptedLink(2, NotConnected("down")),
        ScriptedLink(3, refusal),
    )
    told = Told()
    made.service.submit(asked({"Action": "Ping"}, "all"), ALICE, told)
    told.wait(3)
    (action,) = made.trail.told("action")
    assert [server["id"] for server in action["servers"]] == [1, 2, 3]
    assert [
        (reply["server"], reply["outcome"], reply.get("reason"))
        for reply in made.trail.told("reply")
    ] == [
        (1, "answered", None),
        (2, "unreachable", "down"),
        (3, "refused", "No such queue"),
    ]


def test_an_originate_is_recorded_as_it_is_sent() -> None:
    made, told = Made(), Told()
    made.service.submit(asked({"Action": "Originate", "Channel": "SIP/1"}), ALICE, told)
    told.wait()
    assert made.trail.told("action")[0]["arguments"] == {"Channel": "SIP/1", "Async": "true"}


def test_what_is_refused(tmp_path: Path) -> None:
    made = Made()
    assert made.refused(server=7).code == "unknown_server"
    source = "def amiws_authorize_action(action, client):\n    return 'not today'\n"
    made.service.plugins = running(entry(tmp_path, source))
    assert made.refused().code == "not_allowed"
    with pytest.raises(ActionProblem):
        made.service.parse({"server": 1, "action": {"Action": "Logoff"}}, ALICE)
    told = [
        (one["code"], one.get("action"), one["reason"][:9]) for one in made.trail.told("action")
    ]
    assert told[0] == ("unknown_server", "CoreStatus", "server 7:")
    assert told[1] == ("not_allowed", "CoreStatus", "not today")
    assert told[2] == ("action_refused", None, "the actio")
    assert made.trail.told("reply") == []
    assert made.links[0].asked == []


def test_a_repeated_request_says_of_which_it_is_a_repeat() -> None:
    made = Made()
    request = asked({"Action": "Ping", "Secret": "s"}, idempotency_key="k")
    for client in (ALICE, ALICE, replace(ALICE, address="192.0.2.8:5001", view="http")):
        told = Told()
        made.service.submit(request, client, told)
        told.wait()
    assert len(made.links[0].asked) == 1
    (action,) = made.trail.told("action")
    assert len(made.trail.told("reply")) == 1
    one, other = made.trail.told("repeat")
    assert one == {
        "time": one["time"],
        "what": "repeat",
        "ref": action["ref"],
        "user": "alice",
        "address": ALICE.address,
        "view": "v2",
        "action": "Ping",
        "servers": [{"id": 1, "name": None}],
    }
    assert (other["ref"], other["address"], other["view"]) == (
        action["ref"],
        "192.0.2.8:5001",
        "http",
    )


def test_a_repeat_of_what_is_still_at_work() -> None:
    made = Made(ScriptedLink())
    made.links[0].open.clear()
    request, told = asked(idempotency_key="k"), Told()
    for _ in range(2):
        made.service.submit(request, ALICE, told)
        settle()
    (action,), (repeat,) = made.trail.told("action"), made.trail.told("repeat")
    assert repeat["ref"] == action["ref"]
    made.links[0].open.set()
    told.wait(2)


def test_a_repeat_with_another_key_or_of_another_user_is_an_action_of_its_own() -> None:
    made = Made()
    for client, key in ((ALICE, "k"), (ALICE, "l"), (BOB, "k")):
        told = Told()
        made.service.submit(asked(idempotency_key=key), client, told)
        told.wait()
    assert made.trail.told("repeat") == []
    assert len(made.trail.told("action")) == 3


def test_a_repeat_of_what_was_before_the_audit_tells_no_number() -> None:
    made = Made()
    writer, made.trail._writer = made.trail._writer, None
    request = asked(idempotency_key="k")
    for _ in range(2):
        told = Told()
        made.service.submit(request, ALICE, told)
        told.wait()
        made.trail._writer = writer
    (repeat,) = made.trail.told("repeat")
    assert "ref" not in repeat


def test_while_the_audit_cannot_be_written_none_is_sent() -> None:
    made, told = Made(), Told()
    made.trail.memory.fails_next = "No space left on device"
    made.service.submit(asked(), ALICE, told)  # the one that finds out
    (reply,) = told.wait()
    assert reply.outcome == "unreachable"
    assert reply.reason == "the audit cannot be written: No space left on device"
    assert reply.retry_after
    made.trail.fail("No space left on device")
    problem = made.refused()
    assert (problem.code, problem.status) == ("audit_unavailable", 503)
    assert problem.retry_after
    assert made.links[0].asked == []


def test_or_all_are_sent_as_the_setting_says() -> None:
    made, told = Made(on_failure="allow"), Told()
    made.trail.memory.fails_next = "No space left on device"
    made.service.submit(asked(), ALICE, told)
    assert told.wait()[0].outcome == "answered"


def test_one_who_leaves_before_the_answer() -> None:
    made = Made()
    made.links[0].open.clear()
    submission = made.service.submit(asked(), ALICE, Told())
    until(lambda: made.links[0].at_work)
    submission.cancel()
    until(lambda: made.trail.told("reply"))
    assert made.trail.told("reply")[0]["outcome"] == "left"


def test_one_who_leaves_before_it_is_written_sends_nothing() -> None:
    made = Made()
    made.trail.memory.open.clear()
    submission = made.service.submit(asked(), ALICE, Told())
    settle()
    submission.cancel()
    made.trail.memory.open.set()
    settle()
    assert made.links[0].asked == []
    assert made.trail.told("reply")[0]["outcome"] == "left"


def test_a_fault_of_ours_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    made, told = Made(ScriptedLink(answer=ZeroDivisionError("x"))), Told()
    made.service.submit(asked(), ALICE, told)
    assert told.wait()[0].outcome == "unknown"
    (reply,) = made.trail.told("reply")
    assert (reply["outcome"], reply["reason"]) == ("unknown", "ZeroDivisionError('x')")


def test_a_repeated_request_sends_nothing_and_is_no_new_action() -> None:
    made = Made()
    for _ in range(2):
        told = Told()
        made.service.submit(asked(idempotency_key="k"), ALICE, told)
        told.wait()
    assert len(made.links[0].asked) == len(made.trail.told("action")) == 1


class TestLimits:
    few = Limits(actions_per_second=1, actions_burst=2, actions_at_work=1)

    def test_too_fast(self) -> None:
        made = Made(limits=self.few)
        for _ in range(2):
            told = Told()
            made.service.submit(asked(), ALICE, told)
            told.wait()
        problem = made.refused()
        assert (problem.code, problem.retry_after) == ("actions_too_fast", 1.0)
        made.service.submit(asked(), BOB, Told())
        made.clock.now += 1
        made.service.submit(asked(), ALICE, Told())
        settle()
        assert made.service.refused == {"actions_too_fast": 1}
        assert made.trail.told("action")[2]["code"] == "actions_too_fast"

    def test_what_is_no_action_counts_as_well(self) -> None:
        made = Made(limits=self.few)
        codes = []
        for _ in range(4):
            with pytest.raises(ActionProblem) as caught:
                made.service.parse({"server": 1}, ALICE)
            codes.append(caught.value.code)
        assert codes == ["bad_request"] * 2 + ["actions_too_fast"] * 2

    def test_at_work(self) -> None:
        made = Made(limits=self.few)
        made.links[0].open.clear()
        first = made.service.submit(asked(), ALICE, Told())
        settle()
        problem = made.refused()
        assert (problem.code, problem.retry_after) == ("too_many_actions", 1.0)
        made.service.submit(asked(), BOB, Told()).cancel()
        first.cancel()
        settle()
        made.clock.now += 9
        told = Told()
        made.links[0].open.set()
        made.service.submit(asked(), ALICE, told)
        told.wait()
        until(lambda: not made.service.at_work)
        gevent.sleep(0)
