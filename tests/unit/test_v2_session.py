"""What a client's requests are answered with."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from amiws_gevent import __version__
from amiws_gevent.actions import ActionProblem, ActionRequest, Reply, Submission
from amiws_gevent.feeds.feed import MOST_SUBSCRIPTIONS, NoState
from amiws_gevent.feeds.filters import Filters
from amiws_gevent.plugins.api import ClientInfo
from amiws_gevent.policy import Rights, Sight
from amiws_gevent.v2.codes import CODES
from amiws_gevent.v2.messages import Limits
from amiws_gevent.v2.session import SUBSCRIPTION_RATE, Session, Shared
from amiws_gevent.web.admission import BURST_TIME
from tests.support.policy import rights
from tests.support.v2 import FakeFeed, faults

SERVER = {"server": 0, "kind": "server", "id": "1", "name": "pbx", "sync": "live", "missing": None}
ALICE = ClientInfo("192.0.2.7:5000", "alice", "v2")
ACTION = {"op": "action", "id": "a", "server": 1, "action": {"Action": "QueueStatus"}}


class FakePeer:
    """A client that keeps what it was sent, each message checked."""

    def __init__(self) -> None:
        self.blocked = False
        self.told: list[dict[str, Any]] = []

    def send_text(self, text: bytes) -> None:
        message = json.loads(text)
        assert faults(message) == []
        self.told.append(message)


class FakeSubmission(Submission):
    """Of an action; ``replies`` how many are to come."""

    def __init__(self, tell: Callable[[Reply, int], None], replies: int) -> None:
        self.replies = replies
        self.reply = tell
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeActions:
    """Takes all actions, or raises ``problem``; keeps what was submitted."""

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.given: list[Mapping[str, Any]] = []
        self.submitted: list[FakeSubmission] = []
        self.replies = 1

    def parse(self, given: Mapping[str, Any], client: ClientInfo) -> ActionRequest:
        assert client is ALICE
        self.given.append(given)
        if self.problem is not None:
            raise self.problem
        request: Any = SimpleNamespace()
        return request

    def submit(
        self, request: ActionRequest, client: ClientInfo, reply: Callable[[Reply, int], None]
    ) -> Submission:
        assert client is ALICE
        self.submitted.append(FakeSubmission(reply, self.replies))
        return self.submitted[-1]


class Setup:
    """A session and all around it."""

    def __init__(self, given: Rights = Rights.everything) -> None:
        self.time = 100.0
        self.peer, self.feed, self.actions = FakePeer(), FakeFeed(), FakeActions()
        self.shared = Shared(
            self.actions,
            lambda _: [SERVER],
            lambda: ["state", "events"],
            Limits(subscriptions=16, message=1000, actions=32),
            25.0,
            lambda: 1700000000.0004,
            lambda: self.time,
        )
        self.session = Session(self.peer, ALICE, self.feed, self.shared, given)

    def ask(self, request: Any) -> dict[str, Any]:
        """The one answer to a request."""
        before = len(self.peer.told)
        self.session.received(request if isinstance(request, str) else json.dumps(request))
        (answer,) = self.peer.told[before:]
        return answer


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_hello(setup: Setup) -> None:
    setup.session.open()
    assert setup.peer.told == [
        {
            "op": "hello",
            "protocol": 2,
            "version": __version__,
            "time": 1700000000000,
            "heartbeat": 25000,
            "user": "alice",
            "features": ["state", "events"],
            "limits": {"subscriptions": 16, "message": 1000, "actions": 32},
            "may": {"subscribe": True, "action": True, "rights": {"everything": True}},
            "servers": [SERVER],
        }
    ]


def hello_of(rights: Rights) -> dict[str, Any]:
    setup = Setup(rights)
    setup.session.open()
    (hello,) = setup.peer.told
    return hello


def test_hello_says_what_the_roles_allow() -> None:
    do = [{"action": "QueuePause", "with": {"Queue": "a"}}, "Ping"]
    may = hello_of(rights([{"queues": ["a"]}], do))["may"]
    assert may["action"] == ["Ping", "QueuePause"]
    assert may["rights"]["roles"] == ["agent"]
    assert may["rights"]["see"] == [{"numbers": "whole", "names": "whole", "queues": ["a"]}]
    assert may["rights"]["do"][-1] == {"action": "QueuePause", "with": {"Queue": ["a"]}}
    assert hello_of(rights())["may"]["action"] == []
    assert hello_of(rights({}, [{"action": "*"}]))["may"]["action"] is True


def test_other_rights_are_for_the_feed_and_for_a_hello_that_is_being_made() -> None:
    setup = Setup(rights({}))
    asked: list[Sight] = []

    def servers(given: Sight) -> list[dict[str, Any]]:
        asked.append(given)
        if len(asked) == 1:  # a reload, amid
            setup.session.use_rights(rights([]))
        return [SERVER] if len(asked) == 1 else []

    setup.shared.servers = servers
    setup.session.open()
    (hello,) = setup.peer.told
    assert hello["servers"] == []
    assert hello["may"]["rights"]["see"] == []
    assert asked == [rights({}).sight, rights([]).sight]
    assert setup.feed.sights == [rights([]).sight]


def test_a_subscription_is_made_and_ended(setup: Setup) -> None:
    filters = {"queue": ["b", "a"], "server": 1}
    answer = setup.ask(
        {"op": "subscribe", "id": 7, "streams": ["state", "events"], "filters": filters}
    )
    assert answer == {
        "op": "subscribed",
        "id": 7,
        "subscription": "events-state",
        "streams": ["events", "state"],
        "filters": {"server": [1], "queue": ["a", "b"]},
        "resumed": False,
    }
    assert setup.feed.asked == [
        (frozenset({"state", "events"}), Filters.parse(filters), None),
    ]
    end = {"op": "unsubscribe", "id": "x", "subscription": "events-state"}
    assert setup.ask(end) == {"op": "unsubscribed", "id": "x", "subscription": "events-state"}
    assert setup.ask(end)["code"] == "unknown_subscription"


def test_it_says_where_it_begins_if_that_is_known(setup: Setup) -> None:
    request = {"op": "subscribe", "id": 1, "streams": ["events"]}
    assert "position" not in setup.ask(request)
    setup.feed.begins = "p-1"
    assert setup.ask(request)["position"] == "p-1"


def test_one_goes_on_where_it_was(setup: Setup) -> None:
    request = {"op": "resume", "id": 1, "streams": ["state"], "position": "p9"}
    assert setup.ask(request)["resumed"] is True
    assert setup.feed.asked == [(frozenset({"state"}), Filters(), "p9")]


def test_who_leaves_while_it_waits_for_what_is_behind_gets_no_subscription(setup: Setup) -> None:
    setup.feed.when_behind = setup.session.close
    request = {"op": "resume", "id": 1, "streams": ["state"], "position": "p9"}
    setup.session.received(json.dumps(request))
    assert (setup.feed.asked, setup.peer.told) == ([], [])


def test_ping(setup: Setup) -> None:
    assert setup.ask({"op": "ping", "id": -1, "new": {}}) == {
        "op": "pong",
        "id": -1,
        "time": 1700000000000,
    }


@pytest.mark.parametrize(
    ("request_", "code", "request_id"),
    [
        ("{", "bad_json", None),
        ([], "bad_json", None),
        ({"op": "news", "id": 5}, "unknown_op", 5),
        ({"op": "ping"}, "bad_request", None),
        ({"op": "ping", "id": {}}, "bad_request", None),
        ({"op": "subscribe", "id": "s", "streams": ["news"]}, "bad_request", "s"),
        (
            {"op": "subscribe", "id": "s", "streams": ["state"], "filters": {"colour": "red"}},
            "bad_filter",
            "s",
        ),
        (
            {"op": "resume", "id": "s", "streams": ["state"], "filters": {"kind": "x"}},
            "bad_request",
            "s",
        ),
        (
            {"op": "subscribe", "id": "s", "streams": ["state"], "filters": {"kind": "nothing"}},
            "bad_filter",
            "s",
        ),
        ({"op": "unsubscribe", "id": 0, "subscription": "s-1"}, "unknown_subscription", 0),
        ({**ACTION, "server": None}, "bad_request", "a"),
    ],
)
def test_a_wrong_request_gets_an_error(
    request_: Any, code: str, request_id: object, setup: Setup
) -> None:
    error = setup.ask(request_)
    assert (error["op"], error["code"], error.get("id")) == ("error", code, request_id)
    assert code in CODES
    assert "retry_after" not in error
    assert setup.shared.errors == {code: 1}
    assert setup.ask({"op": "ping", "id": 1})["op"] == "pong"
    assert setup.actions.submitted == setup.feed.asked == []


def test_more_subscriptions_than_may_be(setup: Setup) -> None:
    for streams in (["state"], ["events"]):
        setup.ask({"op": "subscribe", "id": 1, "streams": streams})
    error = setup.ask({"op": "subscribe", "id": 2, "streams": ["events", "state"]})
    assert (error["code"], error["id"]) == ("too_many_subscriptions", 2)


def test_state_where_none_is_kept(setup: Setup) -> None:
    setup.feed.refuses = NoState("state_off", "live_state is off")
    answer = setup.ask({"op": "subscribe", "id": 1, "streams": ["state"]})
    assert (answer["op"], answer["code"], "retry_after" in answer) == ("error", "state_off", False)


def test_subscriptions_that_are_begun_too_fast_are_refused_for_a_while(setup: Setup) -> None:
    request = {"op": "subscribe", "id": 1, "streams": ["state"]}
    at_once = round(SUBSCRIPTION_RATE * BURST_TIME)
    assert at_once >= MOST_SUBSCRIPTIONS
    for _ in range(at_once):
        assert setup.ask(request)["op"] == "subscribed"
    error = setup.ask({**request, "op": "resume", "position": "p"})
    assert (error["code"], error["id"]) == ("too_many_requests", 1)
    assert 0 < error["retry_after"] <= 1 / SUBSCRIPTION_RATE
    assert len(setup.feed.asked) == at_once
    setup.time += error["retry_after"]
    assert setup.ask(request)["op"] == "subscribed"
    assert setup.ask(request)["code"] == "too_many_requests"
    assert setup.ask({"op": "ping", "id": 1})["op"] == "pong"


def test_an_action_gets_its_replies(setup: Setup) -> None:
    setup.actions.replies = 2
    setup.session.received(json.dumps(ACTION))
    assert setup.actions.given == [ACTION]
    (submission,) = setup.actions.submitted
    assert setup.peer.told == []
    submission.reply(Reply(1, "answered", complete=True, response={"Response": "Success"}), 2)
    submission.reply(Reply(2, "unreachable", reason="not connected", retry_after=1.0), 2)
    first, second = setup.peer.told
    assert (first["id"], first["server"], first["replies"]) == ("a", 1, 2)
    assert first["response"] == {"Response": "Success"}
    assert (second["id"], second["server"], second["retry_after"]) == ("a", 2, 1.0)
    setup.session.close()
    assert not submission.cancelled


def test_actions_with_the_same_id_are_not_mixed_up(setup: Setup) -> None:
    for _ in range(2):
        setup.session.received(json.dumps(ACTION))
    first, second = setup.actions.submitted
    first.reply(Reply(1, "answered"), 1)
    setup.session.close()
    assert (first.cancelled, second.cancelled) == (False, True)


def test_an_action_that_may_not_be_sent(setup: Setup) -> None:
    setup.actions.problem = ActionProblem("too_many_actions", "32 at most", 1.0)
    assert setup.ask(ACTION) == {
        "op": "error",
        "id": "a",
        "code": "too_many_actions",
        "message": "32 at most",
        "retry_after": 1.0,
    }


def test_a_fault_of_ours_is_answered_and_logged(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.actions.problem = ZeroDivisionError("oops")
    error = setup.ask(ACTION)
    assert (error["code"], error["id"], error["message"]) == ("internal", "a", "internal error")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "192.0.2.7:5000" in record.getMessage()


def test_what_is_at_work_ends_with_the_client(setup: Setup) -> None:
    setup.session.received(json.dumps(ACTION))
    setup.session.close()
    assert setup.feed.closed
    assert setup.actions.submitted[0].cancelled
    setup.session.close()


class TestHeartbeat:
    def test_it_has_the_positions_of_all_subscriptions(self, setup: Setup) -> None:
        setup.feed.held = {"s-1": "p1", "s-2": "p2"}
        assert setup.session.beat(1234, {})
        assert setup.peer.told == [
            {"op": "position", "time": 1234, "positions": {"s-1": "p1", "s-2": "p2"}}
        ]

    def test_it_comes_without_a_subscription_too(self, setup: Setup) -> None:
        assert setup.session.beat(1, {})
        assert setup.peer.told[0]["positions"] == {}

    def test_equal_ones_are_made_once(self, setup: Setup) -> None:
        other, third, made = Setup(), Setup(), {}
        setup.feed.held = {"s-1": "p1", "s-2": "p2"}
        other.feed.held = {"s-2": "p2", "s-1": "p1"}
        third.feed.held = {"s-1": "p0", "s-2": "p2"}
        for one in (setup, other, third):
            assert one.session.beat(1, made)
        assert len(made) == 2
        assert third.peer.told[0]["positions"]["s-1"] == "p0"

    def test_it_does_not_wait_behind_what_waits(self, setup: Setup) -> None:
        setup.peer.blocked = True
        assert not setup.session.beat(1, {})
        assert setup.peer.told == []

    def test_a_client_that_left_gets_none(self, setup: Setup) -> None:
        setup.session.close()
        setup.peer.blocked = True
        assert setup.session.beat(1, {})
        assert setup.peer.told == []
